"""Live histories spoiled by hand: what the machine did never fails, what the system did still does.

The story is that of conftest.py, played in real time."""

import json
from itertools import pairwise

import pytest

from fieldproof.checks import (
    accounted,
    identical,
    latency,
    link_delay,
    raw_untouched,
)
from fieldproof.evidence import Evidence
from fieldproof.faults import Outage, at
from fieldproof.judge import judge
from fieldproof.verdict import Exit, Verdict

ORACLE = "identical(*, oracle)"
IMPLICIT = [
    "log_intact",
    "settled",
    "faults_fired",
    "nodes_lived",
    "produced",
    "raw_untouched",
    "mirrors_edges",
    "nothing_vanished",
    "origins_noted",
    "conserved",
    "flags_derived",
    "raw_replays",
    "kills_complete",
    "on_time",
    "link_on_target",
    "lines_on_time",
    "machine_kept_time",
]


@pytest.fixture
def live(history):
    """The story as a live run, before anything is spoiled."""
    history.go_live()
    return history


def verdicts(history):
    """The names of the claims that do not hold, and what became of each."""
    report = judge(history.write())
    assert not any(claim.harness_fault for claim in report.claims), report.claims
    return {
        claim.name: str(claim.verdict)
        for claim in report.claims
        if claim.verdict is not Verdict.PASS
    }


def test_the_story_in_real_time_passes(live):
    """Nothing spoiled: every claim holds; claims on the machine stand where `repeats` stood."""
    report = judge(live.write())
    assert Exit.PASS == report.exit, report.claims
    names = [claim.name for claim in report.claims]
    assert IMPLICIT + [c.name for c in live.checks if c.name not in IMPLICIT] == names
    assert "live" == report.tier
    assert report.command.endswith("/scenario.json --tier live")


def test_the_report_has_the_figures(live):
    """What links, lines and processes achieved is in the document, as world.json has it."""
    report = judge(live.write())
    document = json.loads((live.root / "verdict.json").read_bytes())["live"]
    for name in ("links", "lines", "processes"):
        pairs = zip(live.more[name], document[name], strict=True)
        assert all(wanted.items() <= found.items() for wanted, found in pairs)
    assert live.more["machine"] == document["machine"]
    asked = [(c.limit, c.measured) for c in report.claims if c.name == "link_on_target"]
    expected = ("asked 300 ms +-20, p99 late <= 100", "p50 300.4, p99 319.2, late 1.2")
    assert [expected] == asked


def test_other_files_on_a_disk_are_nobodys_business(live):
    """A real host leaves locks, sockets and notes of its own beside its archive."""
    root = live.write()
    for host in ("daws", "center"):
        for path in ("edge.lock", "notes/status.txt", "lost+found/x"):
            (root / "disks" / host / path).parent.mkdir(exist_ok=True)
            (root / "disks" / host / path).write_text("busy")
    assert Exit.PASS == judge(root).exit


# --- the machine ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "changes", "claim"),
    [
        ("links", {"late_p99_ms": 100.1}, "link_on_target"),
        ("links", {"late_p99_ms": None}, "link_on_target"),
        ("links", {"lost_by_machine": 1}, "link_on_target"),
        ("links", {"lost_by_model": 3}, "link_on_target"),
        ("links", {"offered": 0}, "link_on_target"),
        ("lines", {"late_p99_ms": 101.0}, "lines_on_time"),
        ("lines", {"samples": 0}, "lines_on_time"),
        ("machine", {"wake_p99_ms": 100.5}, "machine_kept_time"),
        ("machine", {"clock_stepped_ms": -10.5}, "machine_kept_time"),
    ],
)
def test_a_machine_that_is_off_target_is_undecided(live, part, changes, claim):
    """One figure beyond its limit leaves the run undecided, which may be tried again."""
    figures = live.more[part]
    (figures if isinstance(figures, dict) else figures[0]).update(changes)
    assert {claim: "undecided"} == verdicts(live)
    assert Exit.MACHINE_UNDECIDED == judge(live.root).exit


@pytest.mark.parametrize("part", ["links", "lines", "machine"])
def test_figures_that_are_missing_are_undecided(live, part):
    """A run that does not say how it was played proves nothing."""
    del live.more[part]
    assert ["undecided"] == list(verdicts(live).values())


@pytest.mark.parametrize(
    ("fault", "shift_s", "in_time"),
    [
        (0, (1.9, None), True),
        (0, (2.1, None), False),
        (0, (-2.1, None), False),
        (1, (0, 4.9), True),
        (1, (0, 5.1), False),
        (2, (1.0, 5.9), True),
        (2, (1.0, 6.1), False),
        (2, (0, -2.1), False),
    ],
)
def test_faults_that_were_not_in_time_are_undecided(live, kit, fault, shift_s, in_time):
    """A fault may be two seconds off, a start five seconds late; a start counts from the kill."""
    times = live.more["struck_ns"][fault]
    for end, by_s in enumerate(shift_s):
        if by_s:
            times[end] += round(by_s * kit.S)
    live.checks = (identical("center:*", to="edges"),)
    assert ({} if in_time else {"on_time": "undecided"}) == verdicts(live)


def test_a_loss_by_the_machine_is_not_the_systems(live):
    """A packet that the pump could not take is excused, and leaves the run undecided."""
    for line in live.log:
        if line.get("cause") == "lose":
            line |= {"cause": "machine", "fault": -1}
    live.more["links"][0] |= {"lost_by_machine": 1, "lost_by_fault": 0}
    assert {"link_on_target": "undecided"} == verdicts(live)


def late_labels(history, kit, off_s, site="daws", text="16:10:05"):
    """One record whose seconds all begin `off_s` later than the samples' own."""
    label_s = kit.clock_s(text)
    riometer = history.riometers[site]
    seconds = [(label_s - kit.BEGINS_S + second + off_s) for second in range(61)]
    bounds = [riometer.first_at(round(at_s * kit.S)) for at_s in seconds]
    before = kit.clock_s(text) - 60
    first = riometer.first_at((before - kit.BEGINS_S) * kit.S)
    early = [riometer.first_at((before + second - kit.BEGINS_S) * kit.S) for second in range(60)]
    after = [
        riometer.first_at((label_s + 60 + second - kit.BEGINS_S) * kit.S) for second in range(1, 61)
    ]
    assert first == early[0]
    for start_s, edges in (
        (before, [*early, bounds[0]]),
        (label_s, bounds),
        (label_s + 60, [bounds[-1], *after]),
    ):
        stamps = [int.from_bytes(data[12:16], "little") for data in history.edge[site]]
        points = [kit.measure(riometer.codes(*pair)) for pair in pairwise(edges)]
        history.replace(site, stamps.index(start_s), kit.pack(site, start_s, points))


@pytest.mark.parametrize(("off_s", "allowed"), [(-0.14, True), (-0.2, False), (0.08, False)])
def test_samples_may_be_heard_late_but_not_early(live, kit, off_s, allowed):
    """A second may begin with samples that are 100 ms older than in virtual time."""
    live.checks = (identical("*", to="oracle"), accounted())
    late_labels(live, kit, off_s)
    assert ({} if allowed else {ORACLE: "fail"}) == verdicts(live)


def test_what_is_late_in_virtual_time_fails(history, kit):
    """Nothing is late there by itself."""
    history.checks = (identical("*", to="oracle"),)
    late_labels(history, kit, -0.14)
    assert {ORACLE: "fail"} == verdicts(history)


def test_wrong_times_on_a_late_machine_are_undecided(live, kit):
    """Labels off by more than is allowed, where the line was off target: nobody can tell."""
    live.checks = (identical("*", to="oracle"),)
    late_labels(live, kit, -0.3)
    live.more["lines"][0]["late_p99_ms"] = 250.0
    expected = {"lines_on_time": "undecided", ORACLE: "undecided"}
    assert expected == verdicts(live)


def test_wrong_times_on_a_machine_with_a_hiccup_are_undecided(live, kit):
    """At p99 all was well, but once the line was as late as the labels say."""
    live.checks = (identical("*", to="oracle"),)
    late_labels(live, kit, -0.3)
    live.more["lines"][0]["late_max_ms"] = 290.0
    assert {ORACLE: "undecided"} == verdicts(live)


def measured(live, where, ms):
    """The figures say that a line or the machine was once this late."""
    if where == "machine":
        live.more["machine"]["wake_max_ms"] = ms
    for line in live.more["lines"]:
        if line["site"] == where:
            line["late_max_ms"] = ms


@pytest.mark.parametrize(
    ("at", "where", "ms", "verdict"),
    [
        ("16:10:05", "daws", 260, None),
        ("16:10:05", "machine", 260, None),
        ("16:10:05", "gill", 260, "fail"),
        ("16:20:00", "daws", 260, "undecided"),  # it was as late once, but not then
        ("16:10:05", "daws", 110, "fail"),
    ],
)
def test_a_hiccup_that_the_log_has_excuses_as_much(live, kit, at, where, ms, verdict):
    """Labels may be off where the log says that the line or the machine was late, by as much."""
    live.checks = (identical("*", to="oracle"),)
    late_labels(live, kit, -0.3)
    measured(live, where, float(ms))
    live.note(kit.clock_s(at) * kit.S, where, "late", ms=ms)
    assert ({ORACLE: verdict} if verdict else {}) == verdicts(live)


@pytest.mark.parametrize("where", ["daws", "machine"])
@pytest.mark.parametrize(
    ("at", "ms"), [("16:10:05", 260), ("16:10:05", 10**12), ("16:50:00", 10**7), ("16:10:05", -1)]
)
def test_a_hiccup_that_nobody_measured_excuses_nothing(live, kit, at, where, ms):
    """A late fact, however huge, excuses no more than the latest that its place ever was."""
    live.checks = (identical("*", to="oracle"),)
    late_labels(live, kit, -0.3)
    live.note(kit.clock_s(at) * kit.S, where, "late", ms=ms)
    assert {ORACLE: "fail"} == verdicts(live)


def test_a_hiccup_without_figures_excuses_nothing(live, kit):
    """Where the run does not say how late the machine was, its word for it counts for nothing."""
    live.checks = (identical("*", to="oracle"),)
    late_labels(live, kit, -0.3)
    live.more["machine"] = None
    live.note(kit.clock_s("16:10:05") * kit.S, "machine", "late", ms=260)
    assert "pass" != verdicts(live).get(ORACLE, "pass")


def test_wrong_values_fail_on_any_machine(live):
    """A machine that was late changes no value."""
    live.checks = (identical("*", to="oracle"),)
    live.more["lines"][0]["late_p99_ms"] = 250.0
    number = live.number_of("daws", "16:10:05")
    data = bytearray(live.edge["daws"][number])
    data[20 + 6 * 7] ^= 1
    live.replace("daws", number, bytes(data))
    assert {"lines_on_time": "undecided", ORACLE: "fail"} == verdicts(live)
    assert Exit.FAIL == judge(live.root).exit


def test_late_arrivals_over_a_late_link_are_undecided(live):
    """The delay that a claim limits may be the machine's."""
    live.checks = (latency("daws", p50_s=0.1, p99_s=0.2),)
    assert {"latency(daws)": "fail"} == verdicts(live)
    live.more["links"][0]["late_p99_ms"] = 900.0
    expected = {"link_on_target": "undecided", "latency(daws)": "undecided"}
    assert expected == verdicts(live)


@pytest.mark.parametrize(
    ("limits_ms", "holds"), [((0.1, 1.2), True), ((0.05, 1.2), False), ((0.1, 1.1), False)]
)
def test_a_link_is_judged_by_its_lateness(live, limits_ms, holds):
    """link_delay takes figures at their limits, and fails beyond."""
    live.checks = (link_delay("vsat", *limits_ms),)
    assert ({} if holds else {"link_delay(vsat)": "fail"}) == verdicts(live)


def test_a_link_without_a_packet_fails_link_delay(live):
    """Nothing to compare is no pass."""
    live.checks = (link_delay("vsat", 1.0, 1.0),)
    live.more["links"][0] |= {"late_p50_ms": None, "delivered": 0}
    assert "fail" == verdicts(live)["link_delay(vsat)"]


# --- the system -----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["exit code 1", "signal SIGSEGV"])
def test_a_system_that_ended_by_itself_fails_nodes_lived(live, kit, how):
    """A process that no fault ended is a defect of the system under test."""
    live.note(kit.clock_s("16:10:00") * kit.S, "daws", "host died", how=how, code=1)
    report = judge(live.write())
    (claim,) = [claim for claim in report.claims if claim.verdict is not Verdict.PASS]
    assert ("nodes_lived", f"First: daws {how}.") == (claim.name, claim.detail)


def test_what_outlived_a_kill_fails_kills_complete(live, kit):
    """A host of which a process lives on was not killed: who, when and which are named."""
    when = kit.clock_s("16:40:20") * kit.S
    live.note(when, "daws", "host down", cause="kill", fault=2)
    live.note(when + 3_000_000, "daws", "survived", pids="4711, 4712")
    report = judge(live.write())
    (claim,) = [claim for claim in report.claims if claim.verdict is not Verdict.PASS]
    assert ("kills_complete", 1) == (claim.name, claim.measured)
    assert (
        "First: daws was killed (kill) at 2006-01-17T16:40:20Z, and processes of it lived on: "
        "4711, 4712." == claim.detail
    )
    assert Exit.FAIL == report.exit


@pytest.mark.parametrize("pids", [None, 7, [1, 2]])
def test_a_survivor_of_an_end_that_was_no_fault_fails_too(live, kit, pids):
    """Whatever ended the host, and however the survivors are noted."""
    live.note(kit.clock_s("17:10:00") * kit.S, "gill", "survived", pids=pids)
    (claim,) = [claim for claim in judge(live.write()).claims if claim.name == "kills_complete"]
    assert Verdict.FAIL is claim.verdict
    assert claim.detail.startswith("First: gill was ended at 2006-01-17T17:10:00Z, and processes")


def test_words_of_a_survivor_are_no_fact(live, kit):
    """A system that says that it survived has said so."""
    live.say(kit.clock_s("16:40:20") * kit.S, "daws/filing", "survived", pids="1")
    assert {} == verdicts(live)


def test_the_time_without_excuse_is_told(live, kit):
    """Of the hour: less the first start, the kill with what is lost around it, and the center's
    five minutes, each with what is given at its ends."""
    figures = judge(live.write()).live
    edge_s, startup_s = 1.1, 5.0
    killed_s = 60 + 10 + 2 * edge_s + startup_s
    down_s = 300 + 2 * edge_s + startup_s
    assert 3600.0 == figures.judged_s
    assert figures.unexcused_s == pytest.approx(3600 - killed_s - down_s, abs=0.11)


def test_an_outage_is_time_with_an_excuse(live, kit):
    """A dark link excuses what entered it, as long as it was dark."""
    plain = judge(live.write()).live.unexcused_s
    live.faults += (at("16:50", Outage("vsat"), until="16:51"),)
    live.fired.append(1)
    times = [(kit.clock_s(text) - kit.BEGINS_S) * kit.S for text in ("16:50:00", "16:51:00")]
    live.more["struck_ns"].append(times)
    assert judge(live.write()).live.unexcused_s == pytest.approx(plain - 60.5, abs=0.11)


def test_what_met_a_center_that_was_down_is_excused_by_its_window_alone(live, kit):
    """A record that came a minute before the center went down, and is not there, is not excused."""
    live.checks = (accounted(), raw_untouched())
    number = live.number_of("daws", "16:27:05")
    old = live.edge["daws"][number]
    live.raw["daws"] = [entry for entry in live.raw["daws"] if entry[1] != old]
    names = ("raw_untouched", "origins_noted", "accounted")
    assert dict.fromkeys(names, "fail") == verdicts(live)


def test_a_datagram_that_a_killed_center_had_not_read_is_excused(live, kit):
    """It came in the second before the center went down, and no line says so."""
    live.checks = (accounted(), raw_untouched())
    number = live.number_of("daws", "16:28:05")
    old = live.edge["daws"][number]
    live.raw["daws"] = [entry for entry in live.raw["daws"] if entry[1] != old]
    live.more["struck_ns"][1][0] = (kit.clock_s("16:29:06") - kit.BEGINS_S) * kit.S
    assert {"on_time": "undecided"} == verdicts(live)


@pytest.mark.parametrize(("text", "fine"), [("16:40:34", True), ("16:40:38", False)])
def test_a_real_edge_takes_time_to_start(live, kit, text, fine):
    """Five seconds after its start an edge has to hear everything; what it says is its own."""
    live.checks = (accounted(),)
    first = live.number_of("daws", "16:40:30")
    shift_s = kit.clock_s(text) - kit.clock_s("16:40:30")
    for number in range(first, len(live.edge["daws"])):
        label_s = int.from_bytes(live.edge["daws"][number][12:16], "little") + shift_s
        late = kit.record(live.riometers["daws"], "daws", label_s)
        old = live.edge["daws"][number]
        live.raw["daws"] = [
            (when + shift_s * kit.S if payload == old else when, payload)
            for when, payload in live.raw["daws"]
        ]
        live.replace("daws", number, late)
    assert ({} if fine else {"accounted": "fail"}) == verdicts(live)


def test_a_run_that_was_declined_is_skipped(live):
    """A system that does not do the scenario ends the run with 5, whatever else is there."""
    live.more["declined"] = "daws exited with 77"
    report = judge(live.write())
    assert (Verdict.SKIPPED, Exit.NOTHING) == (report.verdict, report.exit)
    assert ["declined"] == [claim.name for claim in report.claims]
    assert "daws exited with 77" in report.claims[0].detail


def test_an_archive_under_another_address_is_found(live, kit):
    """Where the world says under which address the others saw a site, its raw files are there."""
    hosts = {name: {"lives": [[0, None]], "utc_offset": []} for name in ("daws", "gill", "center")}
    for number, site in enumerate(kit.ADDRESSES, start=2):
        hosts[site]["addresses"] = [f"127.0.0.{number}"]
    live.more["hosts"] = hosts
    root = live.write()
    for number, address in enumerate(kit.ADDRESSES.values(), start=2):
        for folder in (root / "disks/center/udp").glob(f"*/*/*/{address}"):
            folder.rename(folder.with_name(f"127.0.0.{number}"))
        for path in (root / "disks/center/udp").glob(f"*/*/*/127.0.0.{number}/*.idx"):
            path.write_text(path.read_text().replace(address, f"127.0.0.{number}"))
    assert Exit.PASS == judge(root).exit


def test_what_was_fetched_by_ranges_is_restored(live, kit):
    """A repair by another method is one: the ledger names it, and provenance has to."""
    for line in live.log:
        if line.get("said") == "repaired":
            line["detail"]["method"] = "http-range"
    units = Evidence(live.write()).ledger.units
    assert {"http-range"} == {unit.by for unit in units if unit.fate == "restored"}
    assert Exit.PASS == judge(live.root).exit


@pytest.mark.parametrize(
    "damage",
    [{"tier": "laboratory"}, {"struck_ns": []}, {"lines": [{"site": "daws"}]}],
)
def test_a_damaged_live_world_is_one_sentence(live, damage):
    """An unknown tier, or faults without times, is a ValueError that names the file."""
    live.more |= damage
    with pytest.raises(ValueError, match=r"world\.json") as caught:
        judge(live.write())
    assert "\n" not in str(caught.value)
