"""A report as text for people: what was run, what went wrong, where every byte went, what held.

Lines are at most `WIDTH` wide, save for paths and commands, which are meant to be copied whole.
Each begins with a label of fixed width, so that the eye (and grep) finds the same fact at the same
place in every report. Colour repeats what the words say and is never needed.
"""

import datetime
import hashlib
import shlex
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

import msgspec

from fieldproof import faults
from fieldproof.checks.machine import asked, got
from fieldproof.faults import Fault
from fieldproof.options import LIVE
from fieldproof.oracle.trees import TELEMETRY_PORT
from fieldproof.oracle.worldfile import LinkFigures, LiveFigures
from fieldproof.progress import rate
from fieldproof.scenario import Scenario
from fieldproof.tiers import lacks
from fieldproof.verdict import ClaimResult, FaultResult, LedgerSummary, Report, Verdict, Wire

WIDTH = 100
INDENT = 12  # two spaces and a label of ten
DAY_S = 86400

EVIDENCE = (
    "verdict.json",
    "ledger.jsonl",
    "log.jsonl",
    "world.json",
    "scenario.json",
    "versions.json",
    "disks",
    "links",
    "processes",
)
"""What a run directory holds, what a reader wants first, first."""

EFFECTS: dict[type[Fault], str] = {
    faults.Lose: "lose {count} on {link}",
    faults.Duplicate: "duplicate {count} on {link}",
    faults.Reorder: "hold back {count} on {link} by {by_s:g} s",
    faults.Corrupt: "flip a bit in {count} on {link}",
    faults.Outage: "outage of {link}",
    faults.Kill: "kill {host}, back after {restart_after_s:g} s",
    faults.PowerCut: "cut the power of {host}, back after {restart_after_s:g} s",
    faults.CenterDown: "{host} down",
    faults.Freeze: "freeze {host}",
    faults.ClockStep: "step the clock of {host} by {by_s:g} s",
    faults.ClockDrift: "let the clock of {host} drift by {ppm:g} ppm",
    faults.DiskFull: "fill the disk of {host}",
    faults.DeadPreamplifier: "dead preamplifier at {host}",
    faults.Unplug: "unplug the serial cable of {host}",
    faults.DropBytes: "drop {count} single bytes on the line of {host}",
    faults.BurstLoss: "lose {count} bytes in a row on the line of {host}",
    faults.Garble: "garble {percent:g} % of the bytes on the line of {host}",
    faults.Stall: "stall the line of {host}",
    faults.Cooked: "set the serial port of {host} to cooked mode",
    faults.XonXoff: "set the serial port of {host} to XON/XOFF",
    faults.RotRecord: "rot bit {bit} of the newest record of {host}",
    faults.MoveAddress: "move {host} to {to}",
    faults.Spoof: "spoof {kind} for {site} from {source}",
}
"""What each fault does, in as few words as a line of the report has room for."""

WORDS_OF_PURPOSES = {"other": "other (ICMP and the like: no port of ours)"}
"""What a purpose is called, where its name alone would leave a reader wondering."""

COLOURS = {
    Verdict.PASS: "32",
    Verdict.FAIL: "31",
    Verdict.UNDECIDED: "33",
    Verdict.SKIPPED: "33",
}
WORDS = {Verdict.PASS: "ok", Verdict.FAIL: "FAIL", Verdict.UNDECIDED: "?", Verdict.SKIPPED: "-"}
TOTALS = {
    Verdict.PASS: "PASSED",
    Verdict.FAIL: "FAILED",
    Verdict.UNDECIDED: "UNDECIDED",
    Verdict.SKIPPED: "SKIPPED",
}

Painter = Callable[[str, Verdict], str]
"""Gives a text the colour of a verdict, or leaves it as it is."""


def render(report: Report, scenario: Scenario, run_dir: Path, colour: bool) -> str:
    """The whole text, with a newline at its end; `colour` allows ANSI colours."""
    paint: Painter = _paint if colour else _plain
    lines = (
        f"{report.scenario}   {report.tier}   seed {report.seed}   system {report.system}",
        *_wrap(scenario.story, 2),
        _timeline(report, scenario),
        *_faults(report, scenario),
        *_ledger(report.ledger),
        *_wire(report.wire),
        *(_achieved(report.live) if report.live else ()),
        *_claims(report.claims, paint),
        _verdict(report, paint),
        _labelled("again", report.command),
        *_evidence(scenario, run_dir),
    )
    return "\n".join(lines) + "\n"


def render_list(scenarios: Sequence[Scenario]) -> str:
    """The catalog as text: a line for each scenario and its story below."""
    width = max(len(scenario.name) for scenario in scenarios)
    lines = []
    for scenario in scenarios:
        sites, faults = len(scenario.sites), len(scenario.faults)
        lines.append(
            f"{scenario.name:<{width}}   {scenario.lasts:>4} from {scenario.starts}   "
            f"{sites} site{'s' * (sites != 1)}   {faults} fault{'s' * (faults != 1)}   "
            f"{', '.join(scenario.tiers)}"
        )
        lines.extend(_wrap(scenario.story, 2))
        if LIVE in scenario.tiers and (lacking := lacks(scenario, LIVE)):
            lines.extend(_wrap(f"Cannot run here in the tier {LIVE}: {lacking}", 2))
    return "\n".join(lines) + "\n"


def spaced(number: int | float | str) -> str:
    """A number with its thousands set apart, such as `547 200`; text as it is."""
    return number if isinstance(number, str) else f"{number:,}".replace(",", " ")


def describe(fault: Fault) -> str:
    """A fault in a few words, such as `lose 1 on vsat`."""
    return EFFECTS[type(fault)].format_map(msgspec.structs.asdict(fault))


def _plain(text: str, verdict: Verdict) -> str:
    return text


def _paint(text: str, verdict: Verdict) -> str:
    return f"\x1b[{COLOURS[verdict]}m{text}\x1b[0m"


def _labelled(label: str, text: str) -> str:
    return f"  {label:<{INDENT - 2}}{text}".rstrip()


def _wrap(text: str, indent: int) -> list[str]:
    margin = " " * indent
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=margin,
        subsequent_indent=margin,
        break_long_words=False,  # a path stays whole
        break_on_hyphens=False,
    )


def _folded(text: str) -> list[str]:
    """Lines for a `_block`; no word is broken, not even at its hyphens."""
    room = WIDTH - INDENT
    return textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)


def _block(label: str, lines: Iterable[str]) -> Iterator[str]:
    """The lines, one below the other, with the label before the first."""
    for line in lines:
        yield _labelled(label, line)
        label = ""


# --- timeline ------------------------------------------------------------------------------------


def _timeline(report: Report, scenario: Scenario) -> str:
    begins, until = ends(scenario)
    tail = f"{report.seconds:6.1f} s"  # as wide however long it took: the axis is the scenario's
    if report.live is None:  # real time has the rate 1
        tail += f" {rate(scenario.lasts_s, report.seconds):>10}"
    width = WIDTH - len(f"  {begins}  {until}{tail}")
    return f"  {begins} {axis(scenario, width)} {until}{tail}"


def ends(scenario: Scenario) -> tuple[str, str]:
    """Labels of the axis: minutes where the span fits into two days (seconds, where either end is
    no whole minute), else dates."""
    begins = datetime.datetime.fromtimestamp(scenario.starts_utc_s, datetime.UTC)
    until = begins + datetime.timedelta(seconds=scenario.lasts_s)
    if scenario.lasts_s > 2 * DAY_S:
        return f"{begins:%Y-%m-%d}", f"{until:%Y-%m-%d}"
    clock = "%H:%M:%S" if begins.second or until.second else "%H:%M"
    midnight = "24:00:00" if clock == "%H:%M:%S" else "24:00"
    is_midnight = (until.hour, until.minute, until.second) == (0, 0, 0)
    return f"{begins:%Y-%m-%d} {begins:{clock}}", midnight if is_midnight else f"{until:{clock}}"


def axis(scenario: Scenario, width: int) -> str:
    """The judged span on `width` cells: `┴` a midnight, `✕` a fault, `▒` a fault that lasts."""
    cells = ["─"] * width

    def cell(seconds: float) -> int:
        return min(width - 1, max(0, int(seconds * width / scenario.lasts_s)))

    if scenario.lasts_s <= width // 4 * DAY_S:  # closer ticks would hide the faults
        first_s = -scenario.starts_utc_s % DAY_S or DAY_S
        for midnight_s in range(first_s, scenario.lasts_s, DAY_S):
            cells[cell(midnight_s)] = "┴"
    for timed in sorted(scenario.faults, key=lambda timed: timed.until is None):
        from_cell = cell(scenario.instant_s(timed.when))
        if timed.until is None:  # drawn last: a cross shows on the shade
            cells[from_cell] = "✕"
        else:
            until_cell = cell(scenario.instant_s(timed.until))
            cells[from_cell : until_cell + 1] = "▒" * (until_cell + 1 - from_cell)
    return "".join(cells)


# --- faults --------------------------------------------------------------------------------------


def _faults(report: Report, scenario: Scenario) -> Iterator[str]:
    if not scenario.faults:
        yield _labelled("faults", "none")
        return
    fired = sum(result.fired > 0 for result in report.faults)
    total = f"{fired} of {len(report.faults)} fired   "
    kinds: dict[Fault, list[tuple[str, FaultResult]]] = {}
    for timed, result in zip(scenario.faults, report.faults, strict=True):
        span = timed.when if timed.until is None else f"{timed.when}–{timed.until}"
        kinds.setdefault(timed.fault, []).append((span, result))
    for fault, acts in kinds.items():
        text = total + _times([span for span, _ in acts]) + "   " + describe(fault)
        missed = [span for span, result in acts if result.fired == 0]
        yield _labelled("faults" if total.strip() else "", text)
        if missed:
            yield _labelled("", f"{'':{len(total)}}did not fire: {_times(missed)}")
        total = " " * len(total)


def _times(spans: list[str]) -> str:
    """The times of a fault; of many, how many and the first and last."""
    if len(spans) <= 4:
        return "  ".join(spans)
    return f"{len(spans)} times, {spans[0]} to {spans[-1]}"


# --- ledger and wire -----------------------------------------------------------------------------


def _ledger(ledger: LedgerSummary) -> Iterator[str]:
    parts = ledger.delivered_bytes + ledger.restored_bytes + ledger.lost_bytes
    equals = "=" if parts == ledger.produced_bytes else "≠"
    yield _labelled(
        "ledger",
        f"{spaced(ledger.produced_bytes)} B produced {equals} "
        f"{spaced(ledger.delivered_bytes)} live + {spaced(ledger.restored_bytes)} restored (repair)"
        f" + {spaced(ledger.lost_bytes)} lost",
    )
    yield from _block(
        "lost", (f"{spaced(loss.bytes):>12} B   {loss.hop}, {loss.cause}" for loss in ledger.lost)
    )


def _wire(wire: tuple[Wire, ...]) -> Iterator[str]:
    """A line per purpose and link; of more than three links, per purpose over all of them."""
    links = {entry.link for entry in wire}
    if len(links) > 3:
        everywhere = f"{len(links)} links"
        wire = tuple(msgspec.structs.replace(entry, link=everywhere) for entry in wire)

    def key(entry: Wire) -> tuple[str, str]:
        return entry.purpose, entry.link

    lines = []
    for (purpose, link), entries in groupby(sorted(wire, key=key), key=key):
        same = list(entries)
        sent, packets = (sum(entry.bytes for entry in same), sum(entry.packets for entry in same))
        what = WORDS_OF_PURPOSES.get(purpose, purpose)
        lines.append(f"{spaced(sent):>12} B {spaced(packets):>10} packets   {link}, {what}")
    yield from _block("wire", lines)


# --- what a live run achieved ---------------------------------------------------------------------


def _achieved(live: LiveFigures) -> Iterator[str]:
    """By what means a live run was made, and how links, lines and processes did. Of many links or
    lines the latest is shown."""
    backends = "/".join(sorted({each.backend for each in live.links})) or "no"
    yield _labelled("means", f"{live.isolation or 'the plain machine'}; {backends} links")
    if live.judged_s:
        of = f"{live.unexcused_s:.1f} s of {live.judged_s:.1f} s"
        yield _labelled("judged", f"without excuse: {of}; a fault or a start may excuse the rest")
    links = [each for each in live.links if each.offered]
    if links:
        worst = max(links, key=lambda each: each.late_p99_ms or 0.0)
        text = _link_figures(worst) + _of_many(len(links))
        yield from _block("links", _folded(text))
    if live.lines:
        line = max(live.lines, key=lambda each: each.late_p99_ms)
        late = f"late p50 {line.late_p50_ms:.1f}, p99 {line.late_p99_ms:.1f}"
        text = f"{line.site}, {spaced(line.samples)} samples: {late}, max {line.late_max_ms:.1f} ms"
        yield _labelled("lines", text + _of_many(len(live.lines)))
    cpu = [
        f"{each.name} {each.cpu_s:.1f} s" + (f" {each.rss_mb:.0f} MB" if each.rss_mb else "")
        for each in live.processes
    ]
    yield from _block("CPU", _rows(cpu))


def _link_figures(figures: LinkFigures) -> str:
    """Such as `vsat, up: asked 300 ms +-20; got p50 301.2, p99 318.4, late 0.9; 1 of 9 lost`."""
    lost = figures.lost_by_model + figures.lost_by_fault + figures.lost_by_machine
    return (
        f"{figures.link}, {figures.direction}: {asked(figures)}; got {got(figures)} ms; "
        f"{lost} of {figures.offered} lost"
    )


def _rows(parts: Iterable[str]) -> list[str]:
    """The parts, as many to a row as it has room for."""
    rows: list[str] = []
    for part in parts:
        if rows and INDENT + len(rows[-1]) + 3 + len(part) <= WIDTH:
            rows[-1] += f"   {part}"
        else:
            rows.append(part)
    return rows


def _of_many(number: int) -> str:
    return f" (latest of {number})" if number > 1 else ""


# --- claims and verdict --------------------------------------------------------------------------


def _claims(claims: tuple[ClaimResult, ...], paint: Painter) -> Iterator[str]:
    names = min(44, max((len(claim.name) for claim in claims), default=0))
    figures = min(20, max((len(_measured(claim)) for claim in claims), default=0))
    yield from _block(
        "checks", (line for claim in claims for line in _claim(claim, names, figures, paint))
    )


def _measured(claim: ClaimResult) -> str:
    return f"{spaced(claim.measured)} {claim.unit}".rstrip()


def _claim(claim: ClaimResult, names: int, widest: int, paint: Painter) -> Iterator[str]:
    """A line with the figures, in columns; where the claim does not hold, its detail below."""
    word = f"{WORDS[claim.verdict]:<6}"
    figures = f"{_measured(claim):<{widest}}   limit {spaced(claim.limit)}"
    line = f"{claim.name:<{names}}   {figures}"
    painted = paint(word, claim.verdict)
    if INDENT + len(word) + len(line) <= WIDTH:
        yield painted + line
    else:
        yield painted + claim.name
        yield from _indented(figures, len(word))
    if claim.verdict is not Verdict.PASS:
        yield from _indented(claim.detail, len(word))


def _indented(text: str, by: int) -> Iterator[str]:
    """Lines for a `_block`, `by` further in than its own."""
    return (line.removeprefix(" " * INDENT) for line in _wrap(text, INDENT + by))


def _verdict(report: Report, paint: Painter) -> str:
    count = sum(claim.verdict is report.verdict for claim in report.claims)
    total = f"{TOTALS[report.verdict]} {count} of {len(report.claims)}"
    end_state = hashlib.sha256(msgspec.json.encode(report.generators_end, order="sorted"))
    return (
        f"  {paint(total, report.verdict)}   end state {end_state.hexdigest()[:8]}…"
        f"   log {report.log_sha256[:8]}…"
    )


def _evidence(scenario: Scenario, run_dir: Path) -> Iterator[str]:
    kept = [run_dir / name for name in EVIDENCE if (run_dir / name).exists()]
    yield _labelled("evidence", f"{run_dir}/")
    yield from _block("", _folded("  ".join(path.name + "/" * path.is_dir() for path in kept)))
    if len(scenario.sites) == 1:
        day = scenario.starts[:10].replace("-", "/")
        received = (
            run_dir / "disks" / scenario.center.name / "udp" / day / scenario.sites[0].address
        )
        if received.is_dir():
            yield _labelled(
                "look at", f"wc -l {shlex.quote(str(received))}/ut??_{TELEMETRY_PORT}.idx"
            )
