"""Virtual time: what a site-day costs to simulate, to send word by word, and to judge."""

from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import pytest

from fieldproof import catalog
from fieldproof.judge import judge
from fieldproof.run import run
from fieldproof.scenario import Scenario
from fieldproof.verdict import Verdict
from fieldproof_simulators.instruments.riometer import Riometer
from fieldproof_simulators.links.netem import LinkModel
from fieldproof_simulators.links.profiles import profile
from fieldproof_simulators.machines.disk import Disk
from fieldproof_simulators.world import World

DAY = catalog.load("dawson-three-lost-packets")
HOUR = msgspec.structs.replace(DAY, name="hour", lasts="1h", faults=(), checks=())
BEGINS_UTC_NS = 1_137_456_000 * 10**9  # 2006-01-17
MINUTE_NS = 60 * 10**9
DAY_SAMPLES = 86_400 * 60
RECORD_IP_BYTES = 408


def play(scenario: Scenario, run_dir: Path) -> Path:
    """Let a scenario happen in a directory of its own."""
    run(scenario, 1, run_dir)
    return run_dir


def anew(tmp_path_factory, scenario: Scenario):
    """A `setup` that gives each round its own directory."""
    return lambda: ((scenario, tmp_path_factory.mktemp(scenario.name)), {})


def done_by(scenario: Scenario, run_dir: Path) -> dict[str, int]:
    """What the world did: counted in a run that is not timed, for counting costs time too."""
    counter: Counter[str] = Counter()
    with pytest.MonkeyPatch.context() as patch:
        for owner, method, what in (
            (World, "call_at", "events"),
            (Disk, "append", "appends"),
            (Disk, "ask_sync", "file syncs"),
            (World, "transmit", "datagrams"),
        ):
            patch.setattr(owner, method, counting(getattr(owner, method), counter, what))
        run(scenario, 1, run_dir)
    return dict(counter)


def counting(method, counter: Counter[str], what: str):
    """The method, counted."""

    def counted(*args):
        counter[what] += 1
        return method(*args)

    return counted


def records_of(run_dir: Path, site: str) -> int:
    """Records in the archive of a site, lead and settling included."""
    files = (run_dir / "disks" / site / "riometer").rglob("*.dat")
    return sum(path.stat().st_size for path in files) // 380


def test_riometer(measure):
    """A day of samples is made by arithmetic on arrays, from nothing but the seed."""

    def make(riometer: Riometer) -> np.ndarray:
        return riometer.codes(0, DAY_SAMPLES)

    codes = measure(
        "riometer, a day of samples",
        make,
        setup=lambda: ((Riometer("daws", 1, BEGINS_UTC_NS),), {}),
        counts=lambda codes: {"samples": len(codes)},
        rounds=5,
    )
    assert len(codes) == DAY_SAMPLES


@pytest.mark.parametrize("name", ["perfect", "dawson-2005-lossy", "starlink"])
def test_link(measure, name):
    """A datagram's fate costs microseconds, whatever the link does to it."""
    packets = 10_000

    def send(model: LinkModel) -> int:
        passages = (model.send(n * MINUTE_NS, RECORD_IP_BYTES) for n in range(packets))
        return sum(passage.dropped is not None for passage in passages)

    measure(
        f"link model, {name}",
        send,
        setup=lambda: ((LinkModel(profile(name).up, 1),), {}),
        counts=lambda dropped: {"packets": packets, "dropped": dropped},
        rounds=10,
    )


@pytest.mark.parametrize("fidelity", ["seconds", "words"])
def test_fidelities(measure, tmp_path_factory, fidelity):
    """Whole seconds cost a small part of what every single word costs, for the same archive."""
    scenario = msgspec.structs.replace(HOUR, fidelity=fidelity)
    counted = done_by(scenario, tmp_path_factory.mktemp("counted"))
    run_dir = measure(
        f"world, a site-hour in {fidelity}",
        play,
        setup=anew(tmp_path_factory, scenario),
        counts=lambda run_dir: {"records": records_of(run_dir, "daws"), **counted},
        rounds=3,
        against="world, a site-hour in seconds" if fidelity == "words" else "",
    )
    assert 60 < records_of(run_dir, "daws") <= 80


def test_site_day(measure, tmp_path_factory):
    """One site, one day, three lost packets, repaired."""
    counted = done_by(DAY, tmp_path_factory.mktemp("counted"))
    measure(
        "world, a site-day",
        play,
        setup=anew(tmp_path_factory, DAY),
        counts=lambda run_dir: {"records": records_of(run_dir, "daws"), **counted},
        rounds=5,
    )


def test_judge(measure, dawson_day):
    """All evidence of that day is read, its ledger written, and every claim judged."""
    report = measure(
        "judge, that site-day",
        judge,
        dawson_day,
        counts=lambda report: {
            "records": report.ledger.produced_bytes // 380,
            "claims": len(report.claims),
        },
        rounds=5,
        against="world, a site-day",
    )
    assert Verdict.PASS is report.verdict


def test_twelve_sites(measure, tmp_path_factory):
    """Twelve sites on twelve links cost about twelve times what one does."""
    scenario = catalog.load("twelve-sites-day")
    counted = done_by(scenario, tmp_path_factory.mktemp("counted"))
    measure(
        "world, a day of twelve sites",
        play,
        setup=anew(tmp_path_factory, scenario),
        counts=lambda run_dir: {
            "records": sum(records_of(run_dir, site.name) for site in scenario.sites),
            **counted,
        },
        rounds=2,
        against="world, a site-day",
    )
