"""Claims on the machine that plays a live run: was it as fast and as exact as the story needs?

Every live run makes all of them. None of them can fail: a machine that was too slow proves nothing
about the system under test, so the run is undecided (exit 75) and may be tried again. What the
figures allow, other claims allow for: see `oracle.partition.LIVE_LATE_NS`.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from fieldproof.checks.claim import result, undecided
from fieldproof.faults import CenterDown, Kill, Unplug, Value
from fieldproof.oracle.clock import SECOND_NS
from fieldproof.oracle.excuses import OF_THE_LINK
from fieldproof.oracle.log import MACHINE
from fieldproof.oracle.worldfile import LinkFigures
from fieldproof.verdict import ClaimResult, Verdict

if TYPE_CHECKING:
    from fieldproof.evidence import Evidence

MOST_LATE_MS = 100.0
"""How late one packet in a hundred, one sample in a hundred, or a wake-up may be."""

MOST_STEP_MS = 10.0
"""How far the machine's clock may have been set while the run went on."""

MOST_OFF_S = 2.0
MOST_STARTING_S = 5.0
"""How far off its time a fault may strike, and how much longer a restart may take."""


def off_target(evidence: "Evidence") -> str:
    """What of a live run's machine was not good enough, first, in words; "" for nothing, as always
    in virtual time."""
    if not evidence.world.is_live:
        return ""
    for claim in (LinkOnTarget(), LinesOnTime(), MachineKeptTime()):
        found = claim.judge(evidence)
        if found.verdict is not Verdict.PASS:
            return found.detail
    return ""


def most_late_ns(evidence: "Evidence", *places: str) -> int:
    """The longest that anything waited at these places together, by what was measured there: lines,
    by their sites, and the `MACHINE`."""
    world = evidence.world
    worst_ms = [line.late_max_ms for line in world.lines if line.site in places]
    worst_ms += [world.machine.wake_max_ms] if world.machine and MACHINE in places else []
    return round(sum(worst_ms) * 1_000_000)


class OnTime(Value, frozen=True, tag="on_time"):
    """Faults struck when the scenario says, and what was killed was started again in time."""

    @property
    def name(self) -> str:
        """As in a report."""
        return "on_time"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By the times that the stage noted."""
        off = list(_off(evidence))
        worst_s = round(max((abs(each.by_s) for each in off), default=0.0), 3)
        wrong = [each for each in off if not -MOST_OFF_S <= each.by_s <= each.most_s]
        limit = f"faults <= {MOST_OFF_S:g}, starts <= {MOST_STARTING_S:g}"
        if not wrong:
            return result(self, True, limit, worst_s, "s")
        first = wrong[0]
        said = f"{len(wrong)} were not in time; first: {first.what}, {first.by_s:+.1f} s off."
        return undecided(self, limit, worst_s, "s", said)


class _Off(NamedTuple):
    """How far the begin or the end of a fault was off the scenario's time."""

    what: str
    by_s: float
    most_s: float


def _off(evidence: "Evidence") -> Iterator[_Off]:
    pairs = zip(evidence.scenario.faults, evidence.world.struck_ns, strict=True)
    for timed, (from_ns, until_ns) in pairs:
        fault, name = timed.fault, f"{type(timed.fault).__name__} at {timed.when}"
        if from_ns is None:
            continue  # it never struck: `faults_fired` says so
        yield _Off(name, (from_ns - evidence.true_ns(timed.when)) / SECOND_NS, MOST_OFF_S)
        if until_ns is None:
            continue
        if isinstance(fault, Kill):
            more_s = (until_ns - from_ns) / SECOND_NS - fault.restart_after_s
            yield _Off(f"the start after {name}", more_s, MOST_STARTING_S)
        elif timed.until is not None:
            most_s = MOST_STARTING_S if isinstance(fault, CenterDown | Unplug) else MOST_OFF_S
            late_s = (until_ns - evidence.true_ns(timed.until)) / SECOND_NS
            yield _Off(f"the end of {name}", late_s, most_s)


class LinkOnTarget(Value, frozen=True, tag="link_on_target"):
    """Each direction of a link that carried packets let them go when its model said, lost none of
    its own accord, and lost by its model what the log says."""

    @property
    def name(self) -> str:
        """As in a report."""
        return "link_on_target"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By the pump's figures; those of the worst direction are shown."""
        used = [each for each in evidence.world.links if each.offered]
        silent = {(each.link, each.direction) for each in evidence.world.wire if each.packets}
        silent -= {(each.link, each.direction) for each in used}
        wrong = [f"no figure is there of {link}, {where}" for link, where in sorted(silent)]
        wrong += [said for each in used for said in _off_link(evidence, each)]
        if not used:
            wrong.append("no link says what it carried")
            return undecided(self, "", "none", "", f"Off target: {'; '.join(wrong)}.")
        worst = max(used, key=lambda each: (each.lost_by_machine, each.late_p99_ms or 0.0))
        limit = f"{asked(worst)}, p99 late <= {MOST_LATE_MS:g}"
        if wrong:
            said = f"Off target: {'; '.join(wrong)}."
            return undecided(self, limit, got(worst), "ms", said)
        said = f"Of {len(used)} directions the latest was {worst.link}, {worst.direction}."
        return result(self, True, limit, got(worst), "ms", said)


def _off_link(evidence: "Evidence", figures: LinkFigures) -> Iterator[str]:
    """What of one direction of a link is not as it should be."""
    place = f"{figures.link}, {figures.direction}"
    if figures.delivered and figures.late_p99_ms is None:
        yield f"{place}, does not say how late it was"
    elif (figures.late_p99_ms or 0.0) > MOST_LATE_MS:
        yield f"{place}, let packets go {figures.late_p99_ms:.1f} ms late at p99"
    if figures.lost_by_machine:
        yield f"{place}, lost {figures.lost_by_machine} packets that its model did not"
    logged = sum(
        line.text("cause") in OF_THE_LINK
        for line in evidence.log.lines["lost"]
        if line.where == figures.link
        and line.text("direction") == figures.direction
        and line.number("fault") < 0
    )
    if logged != figures.lost_by_model:
        yield (
            f"{place}, lost {figures.lost_by_model} packets by its model, of which the log has "
            f"{logged}"
        )


def asked(figures: LinkFigures) -> str:
    """What was asked of a link's direction, such as `asked 300 ms +-20, 128 kbit/s`."""
    delay, jitter = figures.asked_delay_ms or 0.0, figures.asked_jitter_ms or 0.0
    text = f"asked {delay:g} ms" + (f" +-{jitter:g}" if jitter else "")
    if figures.asked_rate_bit_s:
        text += f", {figures.asked_rate_bit_s / 1000:g} kbit/s"
    if figures.asked_loss_percent:
        text += f", {figures.asked_loss_percent:.2g} % lost"
    return text


def got(figures: LinkFigures) -> str:
    """What a link's direction achieved, such as `p50 301.2, p99 318.4, late 0.9`."""
    parts = (
        ("p50", figures.delay_p50_ms),
        ("p99", figures.delay_p99_ms),
        ("late", figures.late_p99_ms),
    )
    return ", ".join(f"{name} {ms:.1f}" for name, ms in parts if ms is not None) or "nothing"


class LinesOnTime(Value, frozen=True, tag="lines_on_time"):
    """Every riometer's samples were on its serial line when they were taken."""

    @property
    def name(self) -> str:
        """As in a report."""
        return "lines_on_time"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By the player's figures; those of the latest line are shown."""
        lines = {line.site: line for line in evidence.world.lines if line.samples}
        wrong = [
            f"no figure is there of the line of {site}"
            for site in evidence.riometer_sites
            if site not in lines
        ]
        wrong += [
            f"the line of {line.site} was {line.late_p99_ms:.1f} ms late at p99"
            for line in lines.values()
            if not line.late_p99_ms <= MOST_LATE_MS
        ]
        limit = f"p99 late <= {MOST_LATE_MS:g}"
        worst = max(lines.values(), key=lambda line: line.late_p99_ms, default=None)
        found = f"{worst.late_p99_ms:.1f}, max {worst.late_max_ms:.1f}" if worst else "none"
        if wrong:
            return undecided(self, limit, found, "ms", f"Off target: {'; '.join(wrong)}.")
        return result(self, True, limit, found, "ms")


class MachineKeptTime(Value, frozen=True, tag="machine_kept_time"):
    """A process that asked to be woken was, and nobody set the machine's clock."""

    @property
    def name(self) -> str:
        """As in a report."""
        return "machine_kept_time"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By what the stage measured."""
        limit = f"wake <= {MOST_LATE_MS:g}, clock <= {MOST_STEP_MS:g}"
        machine = evidence.world.machine
        if machine is None:
            said = "The run does not say how the machine kept time."
            return undecided(self, limit, "none", "ms", said)
        found = f"wake {machine.wake_p99_ms:.1f}, clock {machine.clock_stepped_ms:.1f}"
        if machine.wake_p99_ms <= MOST_LATE_MS and abs(machine.clock_stepped_ms) <= MOST_STEP_MS:
            return result(self, True, limit, found, "ms")
        said = (
            f"Wake-ups were {machine.wake_p99_ms:.1f} ms late at p99, and the clock was set by "
            f"{machine.clock_stepped_ms:.1f} ms."
        )
        return undecided(self, limit, found, "ms", said)
