"""Harness canaries: the harness itself is broken on purpose, and never says `pass`.

The night loses a datagram and repairs it, and passes. Then one part of the harness is broken, with
a sound system under it.
"""

import secrets

import pytest
from msgspec.structs import replace
from planted import (
    ACCOUNTED,
    CLAIMS,
    CONSERVED,
    MIRRORS,
    TO_EDGE,
    TO_TRUTH,
    fallen,
    judged,
    night,
)

from fieldproof import ledger
from fieldproof.checks import lost_exactly
from fieldproof.checks.conservation import Accounted
from fieldproof.evidence import Evidence
from fieldproof.faults import Kill, Lose, Outage, at
from fieldproof.judge import judge
from fieldproof.run import Stage
from fieldproof.scenario import Link, StatusMonitor
from fieldproof.verdict import Exit, Verdict
from fieldproof_simulators.instruments.riometer import Riometer
from fieldproof_simulators.lines.feed import SecondsFeed
from fieldproof_simulators.links import fates, virtual
from fieldproof_simulators.machines.clock import HostClock
from fieldproof_simulators.machines.host import Host

LOST_ONE = lost_exactly("vsat", 1)


def hour(*faults, **world):
    """The last hour of the day, which is then repaired; it claims all that there is to claim."""
    return night(*faults, starts="2006-01-17T23:00Z", lasts="1h", reconciles=True, **world)


NIGHT = hour(at("23:10:30", Lose("vsat")), claims=(*CLAIMS, LOST_ONE))
UNSETTLED = replace(hour(at("23:10:30", Outage("vsat"), until="+1d00:09:50")), settles_within="1m")
"""The repair is on its way when the world ends."""


@pytest.fixture
def broken(monkeypatch):
    """Replaces a method of the harness by one that is given the sound one first."""

    def replace_method(where, name, wrong):
        sound = getattr(where, name)
        monkeypatch.setattr(where, name, lambda *args: wrong(sound, *args))

    return replace_method


def test_a_sound_harness_passes(tmp_path):
    """What the canaries break is what makes them fail."""
    assert [] == fallen(judged(NIGHT, tmp_path))


def test_a_link_that_drops_nothing_is_noticed(broken, tmp_path):
    """A link that takes an order to lose a datagram and does not carry it out fails the run."""
    broken(virtual.VirtualLink, "order", lambda order, link, lose: lose)
    assert ["faults_fired", LOST_ONE.name] == fallen(judged(NIGHT, tmp_path))


def test_a_link_that_only_says_that_it_drops_is_noticed(broken, tmp_path):
    """A link that logs a loss and delivers the datagram all the same fails the run."""

    def lose(sound, link, flight, cause, fault):
        sound(link, flight, cause, fault)
        link._through_model(flight)

    broken(virtual.VirtualLink, "_lose", lose)
    assert ["raw_untouched", LOST_ONE.name] == fallen(judged(NIGHT, tmp_path))


def test_a_wire_that_repeats_a_sample_is_noticed(broken, tmp_path):
    """A sample that crosses the line twice, and that the instrument took once, fails the run."""
    told = []

    def reads(sound, host, event):
        told.append(event)
        sound(host, event)
        if len(told) == 60_000:
            sound(host, event)

    broken(Host, "reads", reads)
    words = replace(NIGHT, fidelity="words", lasts="30m", starts="2006-01-17T23:30Z", faults=())
    report = judged(replace(words, checks=CLAIMS), tmp_path)
    assert [TO_TRUTH.name] == fallen(report)


def test_a_wire_that_is_dead_is_noticed(broken, tmp_path):
    """A line that never brings a sample fails the run."""
    broken(SecondsFeed, "begin", lambda begin, feed: None)
    report = judged(NIGHT, tmp_path)
    assert Verdict.FAIL is report.verdict
    assert {TO_EDGE.name, TO_TRUTH.name, "accounted"} <= set(fallen(report))


def test_an_instrument_whose_truth_changes_is_noticed(broken, tmp_path):
    """Samples that are others when the judge asks for them again fail the run."""

    def codes(sound, instrument, first, last):
        changed = sound(instrument, first, last).copy()
        changed[:1] += 60  # which makes one average greater by one
        return changed

    judged(NIGHT, tmp_path)
    broken(Riometer, "codes", codes)
    assert [TO_TRUTH.name] == fallen(judge(tmp_path))


def test_a_clock_that_stalls_is_noticed(broken, tmp_path):
    """A host whose UTC stands still while the world says that it is right fails the run."""
    stalls_ns = (NIGHT.starts_utc_s + 1800) * 10**9
    broken(HostClock, "utc_ns", lambda utc_ns, self, ns: min(utc_ns(self, ns), stalls_ns))
    report = judged(NIGHT, tmp_path)
    assert Verdict.FAIL is report.verdict
    assert TO_TRUTH.name in fallen(report)


def test_a_checker_that_raises_leaves_the_run_undecided(broken, tmp_path):
    """A claim whose checker crashed is a fault of the harness, whatever the others say."""

    def crash(judge, claim, evidence):
        raise ZeroDivisionError

    broken(Accounted, "judge", crash)
    report = judged(NIGHT, tmp_path)
    assert (["accounted"], Exit.HARNESS_FAULT) == (fallen(report), report.exit)


@pytest.mark.parametrize("first", [0, 20, 59])
def test_a_ledger_that_forgets_a_record_is_noticed(first, broken, tmp_path):
    """Records that get no fate leave the books open, wherever in the span they are."""

    def rows(sound, book):
        every = list(sound(book))
        return every[:first] + every[first + 1 :]

    broken(ledger._Book, "_rows", rows)
    assert ["accounted"] == fallen(judged(NIGHT, tmp_path))


def test_a_ledger_that_forgets_lost_samples_is_noticed(broken, tmp_path):
    """A run of samples that is in no record and gets no fate leaves the books open."""
    broken(Evidence, "skipped", lambda skipped, evidence, site: ())
    scenario = hour(at("23:10:20", Kill("daws")))
    assert ["accounted"] == fallen(judged(scenario, tmp_path))


def test_a_log_that_was_edited_is_noticed(tmp_path):
    """A log without the line of a loss cannot be judged by."""
    judged(NIGHT, tmp_path)
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"".join(x for x in log.read_bytes().splitlines(True) if b'"lost"' not in x))
    report = judge(tmp_path)
    assert Exit.HARNESS_FAULT == report.exit
    assert "log_intact" in fallen(report)


def test_a_fault_that_never_fires_is_noticed(tmp_path):
    """An order to a link that nobody uses fails the run."""
    scenario = hour(at("23:10:30", Lose("idle")))
    scenario = replace(scenario, links=(*scenario.links, Link("idle")))
    assert ["faults_fired"] == fallen(judged(scenario, tmp_path))


def test_a_world_that_ends_before_it_settles_is_noticed(tmp_path):
    """A world that has no time to converge fails the run."""
    assert ["settled", TO_EDGE.name] == fallen(judged(UNSETTLED, tmp_path))


def test_a_world_that_only_says_that_it_settled_is_noticed(broken, tmp_path):
    """A world that believes an unrepaired center to be equal is not believed."""
    broken(Stage, "_converged", lambda converged, stage: True)
    names = [MIRRORS.name, CONSERVED.name, TO_EDGE.name]
    assert names == fallen(judged(UNSETTLED, tmp_path))


def test_a_run_that_produces_nothing_is_noticed(tmp_path):
    """A site without an instrument fails the run, even where nothing is claimed."""
    site, center = NIGHT.nodes
    empty = replace(site, instruments=(StatusMonitor(),))
    scenario = replace(NIGHT, nodes=(empty, center), faults=(), checks=())
    assert ["produced"] == fallen(judged(scenario, tmp_path))


def test_an_oracle_that_sees_an_empty_archive_is_noticed(broken, tmp_path):
    """No record to compare is not a comparison that holds."""
    broken(Evidence, "_hour_files", lambda hour_files, evidence, host, site: ())
    report = judged(NIGHT, tmp_path)
    assert Verdict.FAIL is report.verdict
    assert {TO_EDGE.name, TO_TRUTH.name, "in_order", "accounted"} <= set(fallen(report))


@pytest.mark.parametrize("is_seeded", [True, False])
def test_an_unseeded_number_shows_in_a_second_run(is_seeded, broken, tmp_path):
    """Two runs of one seed differ in their log and their generators where one draw is unseeded."""
    if not is_seeded:
        broken(fates, "child_seed", lambda seed, *args: secrets.randbits(63))
    scenario = replace(NIGHT, links=(Link("vsat", "certus-350"),), checks=(ACCOUNTED,))
    runs = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        report = judged(scenario, tmp_path / name)
        runs.append((report.log_sha256, report.generators_end))
    one, two = runs
    assert (is_seeded, is_seeded) == (one[0] == two[0], one[1] == two[1])


def test_an_unseeded_number_makes_the_second_run_undecided(broken, tmp_path):
    """The second of two equal runs beside each other is a harness fault where they differ."""
    broken(fates, "child_seed", lambda seed, *args: secrets.randbits(63))
    scenario = replace(NIGHT, links=(Link("vsat", "certus-350"),), checks=(ACCOUNTED,))
    codes = []
    for number in (1, 2):
        run_dir = tmp_path / f"{scenario.name}-{number:04d}"
        run_dir.mkdir()
        (run_dir / "versions.json").write_text("{}")
        codes.append(judged(scenario, run_dir).exit)
    assert Exit.HARNESS_FAULT == codes[1]
