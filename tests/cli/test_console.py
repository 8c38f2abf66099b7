"""The report as text: two golden reports, and the rules that hold for every report."""

import typing
from pathlib import Path

import msgspec
import pytest

from fieldproof.console import EFFECTS, EVIDENCE, WIDTH, describe, render, render_list
from fieldproof.faults import (
    CenterDown,
    ClockStep,
    Fault,
    Kill,
    Lose,
    Outage,
    PowerCut,
    at,
)
from fieldproof.oracle.worldfile import (
    LineFigures,
    LinkFigures,
    LiveFigures,
    MachineFigures,
    ProcessFigures,
)
from fieldproof.scenario import Center, Link, Scenario, Site
from fieldproof.verdict import (
    SCHEMA,
    ClaimResult,
    FaultResult,
    LedgerSummary,
    Lost,
    Report,
    Verdict,
    Wire,
)

GOLDEN = Path(__file__).parent

DAY = Scenario(
    name="three-lost-packets",
    story="One site-day over a satellite link loses three datagrams; "
    "reconciliation restores exactly those.",
    starts="2006-01-17T00:00Z",
    lasts="24h",
    links=(Link("vsat"),),
    nodes=(Site("daws", via="vsat", address="206.172.47.234"), Center()),
    faults=tuple(at(when, Lose("vsat")) for when in ("16:23", "18:41", "22:07")),
)

PASSED = Report(
    schema=SCHEMA,
    scenario="three-lost-packets",
    tier="virtual",
    system="reference",
    seed=1,
    verdict=Verdict.PASS,
    exit=0,
    command="fieldproof run three-lost-packets --seed 1",
    claims=(
        ClaimResult("lost_exactly(vsat, 3)", Verdict.PASS, 3, 3, "datagrams"),
        ClaimResult("identical(center, daws)", Verdict.PASS, 24, 24, "files"),
        ClaimResult("wire_bytes(vsat, repair)", Verdict.PASS, 400, 386, "B"),
    ),
    faults=tuple(FaultResult(when, "lose", 1) for when in ("16:23", "18:41", "22:07")),
    ledger=LedgerSummary(547_200, 546_060, 1_140, 0),
    wire=(
        Wire("vsat", "telemetry", 587_520, 1_440),
        Wire("vsat", "repair", 386, 2),
        Wire("vsat", "manifest", 7_550, 25),
    ),
    log_sha256="9c2e" * 16,
    generators_end={"link:vsat": "50912", "daws": "77"},
    run_dir="runs/three-lost-packets-0007",
    seconds=1.5,
)

MONTH = Scenario(
    name="hard-december",
    story="Four sites go through a month with an outage, a power cut and many lost datagrams, in a "
    "story that is too long for one line.",
    starts="2005-12-01T00:00Z",
    lasts="31d",
    links=tuple(Link(f"link{number}") for number in range(4)),
    nodes=(
        *(Site(f"sit{letter}", via=f"link{number}") for number, letter in enumerate("abcd")),
        Center(),
    ),
    faults=(
        *(at(f"+{day}d06:00", Lose("link0")) for day in range(1, 7)),
        at("+9d03:00", Outage("link1"), until="+12d03:00"),
        at("+20d12:00", PowerCut("center")),
        at("+25d12:00", Kill("sita", restart_after_s=2.5)),
    ),
)

FAILED = Report(
    schema=SCHEMA,
    scenario="hard-december",
    tier="virtual",
    system="reference with acquire=Deaf",
    seed=42,
    verdict=Verdict.FAIL,
    exit=1,
    command="fieldproof run hard-december --seed 42",
    claims=(
        ClaimResult("settled()", Verdict.PASS, "30h", "2h", ""),
        ClaimResult(
            "accounted(sita)",
            Verdict.FAIL,
            0,
            1_140,
            "B",
            "1 140 B of sita are missing that no fault excuses, the first of them the record of "
            "2005-12-07T06:00:05 in riometer/2005/12/07/sita_xrio/20051207_06_sita_xrio.dat at 0.",
        ),
        ClaimResult(
            "identical(center, sitb)",
            Verdict.UNDECIDED,
            "a digest of sixty-four hexadecimal digits as text",
            "another digest of sixty-four hexadecimal digits as text",
            "",
            "The checker crashed: ZeroDivisionError.",
            harness_fault=True,
        ),
    ),
    faults=(
        *(FaultResult(f"+{day}d06:00", "lose", int(day != 3)) for day in range(1, 7)),
        FaultResult("+9d03:00", "outage", 4_320),
        FaultResult("+20d12:00", "power_cut", 1),
        FaultResult("+25d12:00", "kill", 1),
    ),
    ledger=LedgerSummary(
        67_852_800,
        66_001_140,
        1_850_000,
        1_660,
        (Lost("sita", "kill", 520), Lost("center", "power cut", 1_140)),
    ),
    wire=tuple(
        Wire(f"link{number}", purpose, size, packets)
        for number in range(4)
        for purpose, size, packets in (("telemetry", 18_213_120, 44_640), ("repair", 12_345, 67))
    ),
    log_sha256="0123456789abcdef" * 4,
    generators_end={},
    run_dir="runs/hard-december-0001",
    seconds=47.25,
)


def golden(name: str) -> str:
    """The pinned text of a report."""
    return (GOLDEN / name).read_text(encoding="utf-8")


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run directory under the current folder, with some of the evidence."""
    monkeypatch.chdir(tmp_path)
    run_dir = Path("runs/three-lost-packets-0007")
    (run_dir / "disks/center/udp/2006/01/17/206.172.47.234").mkdir(parents=True)
    for name in ("log.jsonl", "scenario.json", "verdict.json"):
        (run_dir / name).touch()
    return run_dir


def test_a_report_that_passes(run_dir: Path):
    """The text of a run that passes is, to the letter, the golden one."""
    assert golden("pass.txt") == render(PASSED, DAY, run_dir, colour=False)


def test_a_report_that_fails(run_dir: Path):
    """The text of a long run that fails is, to the letter, the golden one."""
    assert golden("fail.txt") == render(FAILED, MONTH, Path(FAILED.run_dir), colour=False)


@pytest.mark.parametrize(("report", "scenario"), [(PASSED, DAY), (FAILED, MONTH)])
def test_lines_fit(report: Report, scenario: Scenario, run_dir: Path):
    """No line is wider than 100 columns, save the one with a command to copy."""
    lines = render(report, scenario, run_dir, colour=False).splitlines()
    assert [] == [line for line in lines if len(line) > WIDTH and "wc -l" not in line]


def test_colour_changes_no_word(run_dir: Path):
    """With the colour codes taken out, the coloured text is the plain one."""
    coloured = render(FAILED, MONTH, run_dir, colour=True)
    for code in ("\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m"):
        assert code in coloured
        coloured = coloured.replace(code, "")
    assert render(FAILED, MONTH, run_dir, colour=False) == coloured


def test_a_ledger_that_does_not_add_up_says_so(run_dir: Path):
    """Where the parts are not the whole, the ledger line has an unequal sign."""
    ledger = LedgerSummary(380, 0, 0, 0)
    report = msgspec.structs.replace(PASSED, ledger=ledger)
    assert "380 B produced ≠ 0 live" in render(report, DAY, run_dir, colour=False)


@pytest.mark.parametrize(
    ("starts", "lasts", "axis"),
    [
        ("2006-01-17T16:00Z", "2h", "  2006-01-17 16:00 ─"),
        ("2006-01-17T16:00Z", "2h", "─ 18:00   "),
        ("2006-01-17T16:00Z", "8h", "─ 24:00   "),
        ("2006-01-17T16:00Z", "24h", "┴"),
        ("2006-01-17T23:58:55Z", "65s", "  2006-01-17 23:58:55 ─"),
        ("2006-01-17T23:58:55Z", "65s", "─ 24:00:00   "),
        ("2005-12-31T00:00Z", "400d", "  2005-12-31 ─────"),
    ],
)
def test_the_axis_is_labelled(run_dir: Path, starts: str, lasts: str, axis: str):
    """Minutes label short spans and dates long ones; midnights inside are marked if they fit."""
    scenario = msgspec.structs.replace(DAY, starts=starts, lasts=lasts, faults=())
    assert axis in render(PASSED, scenario, run_dir, colour=False).splitlines()[2]


def test_a_cross_stands_where_the_fault_struck(run_dir: Path):
    """Of a day, noon is in the middle of the axis, and a lasting fault shades its share."""
    faults = (at("00:00", Outage("vsat"), until="11:00"), at("06:00", Kill("daws")))
    scenario = msgspec.structs.replace(DAY, faults=faults)
    report = msgspec.structs.replace(PASSED, faults=(FaultResult("", "", 1),) * 2)
    axis = render(report, scenario, run_dir, colour=False).splitlines()[2].split()[2]
    assert (axis.index("✕") + 1) * 4 - len(axis) in range(-3, 5)
    assert axis.replace("✕", "▒").count("▒") * 24 - len(axis) * 11 in range(24 + 1)


LIVE = LiveFigures(
    isolation="user, network, PID and mount namespaces",
    links=(
        LinkFigures(
            "vsat",
            "up",
            "tun",
            offered=40,
            delivered=37,
            lost_by_model=2,
            lost_by_fault=1,
            lost_by_machine=0,
            asked_delay_ms=300.0,
            asked_jitter_ms=20.0,
            delay_p50_ms=301.23,
            delay_p99_ms=318.4,
            late_p99_ms=0.92,
        ),
        LinkFigures("vsat", "down", "tun", 3, 3, 0, 0, 0),
    ),
    lines=(LineFigures("daws", 14_400, 0.11, 2.3, 26.6),),
    machine=MachineFigures(1.5, 4.0, 0.0),
    processes=tuple(ProcessFigures(name, 12.34, 40.2) for name in ("pump", "player", "daws")),
)


def test_every_fault_has_words():
    """The closed union of faults and the table of their effects name the same types."""
    assert set(typing.get_args(Fault)) == set(EFFECTS)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Lose("vsat", 3), "lose 3 on vsat"),
        (ClockStep("daws", by_s=-1.5), "step the clock of daws by -1.5 s"),
        (CenterDown(), "center down"),
    ],
)
def test_a_fault_in_words(fault: Fault, words: str):
    """A fault's words carry its own values."""
    assert words == describe(fault)


def test_a_live_report_shows_what_was_achieved(run_dir: Path):
    """Means, the latest link and the latest line each have a row, processes as many as they need;
    figures that nobody noted are left out."""
    report = msgspec.structs.replace(PASSED, tier="live", live=LIVE)
    text = render(report, DAY, run_dir, colour=False)
    assert text.startswith("three-lost-packets   live   seed 1")
    rows = [
        "  means     user, network, PID and mount namespaces; tun links",
        "  links     vsat, up: asked 300 ms +-20; got p50 301.2, p99 318.4, late 0.9 ms; "
        "3 of 40 lost (latest",
        "            of 2)",
        "  lines     daws, 14 400 samples: late p50 0.1, p99 2.3, max 26.6 ms",
        "  CPU       pump 12.3 s 40 MB   player 12.3 s 40 MB   daws 12.3 s 40 MB",
    ]
    assert rows == [row for row in text.splitlines() if row in rows]
    assert "means" not in render(PASSED, DAY, run_dir, colour=False)
    assert [] == [line for line in text.splitlines() if len(line) > WIDTH and "wc -l" not in line]


def test_the_time_without_excuse_has_a_row(run_dir: Path):
    """A live report says how much of the span nothing could excuse."""
    live = msgspec.structs.replace(LIVE, judged_s=105.0, unexcused_s=62.34)
    report = msgspec.structs.replace(PASSED, tier="live", live=live)
    row = "  judged    without excuse: 62.3 s of 105.0 s; a fault or a start may excuse the rest"
    assert row in render(report, DAY, run_dir, colour=False).splitlines()


def test_other_packets_are_explained(run_dir: Path):
    """Nobody has to wonder what `other` is."""
    report = msgspec.structs.replace(PASSED, wire=(Wire("vsat", "other", 56, 1),))
    text = render(report, DAY, run_dir, colour=False)
    assert "1 packets   vsat, other (ICMP and the like: no port of ours)" in text


def test_all_of_the_evidence_is_folded_between_words(run_dir: Path):
    """Names of files stay whole, and no row is wider than the report."""
    for name in EVIDENCE:
        (run_dir / name).touch()
    rows = render(PASSED, DAY, run_dir, colour=False).splitlines()
    first = rows.index("  evidence  runs/three-lost-packets-0007/") + 1
    last = next(number for number, row in enumerate(rows) if row.startswith("  look at"))
    assert [] == [row for row in rows[first:last] if len(row) > WIDTH]
    names = " ".join(rows[first:last]).split()
    assert list(EVIDENCE) == [name.removesuffix("/") for name in names]


def test_figures_of_links_are_not_broken_at_hyphens(run_dir: Path):
    """A tolerance such as +-20 is one word."""
    links = tuple(
        msgspec.structs.replace(LIVE.links[0], link="v" * length, late_p99_ms=99.0)
        for length in range(4, 70)
    )
    for link in links:
        live = msgspec.structs.replace(LIVE, links=(link,))
        report = msgspec.structs.replace(PASSED, tier="live", live=live)
        assert "+-20" in render(report, DAY, run_dir, colour=False)


def test_a_skipped_report_says_so(run_dir: Path):
    """A run that a system declined is neither passed nor failed."""
    claim = ClaimResult("declined", Verdict.SKIPPED, "", "", "", "It does not do this.")
    report = msgspec.structs.replace(PASSED, verdict=Verdict.SKIPPED, exit=5, claims=(claim,))
    text = render(report, DAY, run_dir, colour=False)
    assert "  SKIPPED 1 of 1" in text
    assert "It does not do this." in text


def test_the_catalog_as_text():
    """Each scenario has a line with its figures and its story below."""
    assert [
        "three-lost-packets    24h from 2006-01-17T00:00Z   1 site   3 faults   virtual",
        "  One site-day over a satellite link loses three datagrams; reconciliation restores "
        "exactly those.",
        "hard-december         31d from 2005-12-01T00:00Z   4 sites   9 faults   virtual",
    ] == render_list([DAY, MONTH]).splitlines()[:3]
