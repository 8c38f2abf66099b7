"""The claim on what an edge says of its own losses: nothing is lost in silence."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from fieldproof.checks.claim import result
from fieldproof.faults import Kill, PowerCut, Value
from fieldproof.oracle import declared, foreign
from fieldproof.oracle.clock import SECOND_NS
from fieldproof.oracle.declared import Declaration, Spans
from fieldproof.oracle.excuses import Window
from fieldproof.verdict import ClaimResult

if TYPE_CHECKING:
    from fieldproof.evidence import Evidence

OFF_S = 2
"""How far a declaration may be off at each of its ends."""

UNKNOWN_S = 60
"""How much more than what is missing a declaration may cover for each kill: an edge that comes back
knows when its newest record ended, and not what was still on its way to the disk."""


class Declared(Value, frozen=True, tag="declared"):
    """Every second of samples that an edge heard and lost is declared by the edge itself, in its
    durable `declared/<site>.jsonl` or by points of no samples, and hardly a second that it kept.

    Of all sites. A run of missing samples that is shorter than a second need not be known."""

    @property
    def name(self) -> str:
        """As in a report."""
        return "losses_declared"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By the declarations, and by the samples that are in no record."""
        undeclared_s, said = 0.0, ""
        points = 0
        for site in evidence.riometer_sites:
            lost_s, problem = _judged(evidence, site)
            undeclared_s += lost_s
            said = said or problem
            points += evidence.partition(site).points
        if not points:
            said = "There is no record, so nothing can be told from nothing."
        return result(self, not said, 0, round(undeclared_s, 1), "s undeclared", said)


def _judged(evidence: "Evidence", site: str) -> tuple[float, str]:
    """Seconds that a site lost and did not declare, and what is wrong in one sentence."""
    told = _told(evidence, site)
    if told is None:
        return 0.0, f"declared/{site}.jsonl of {site} is there and cannot be read."
    if told.malformed:
        return 0.0, f"Line {told.malformed[0]} of declared/{site}.jsonl cannot be read."
    missing = _missing(evidence, site)
    said = declared.united(
        [(each.from_s * SECOND_NS, each.until_s * SECOND_NS) for each in told.lines]
    )
    known = declared.united(
        [
            *declared.widened(said, OFF_S),
            *_empty(evidence, site),
            *_of_windows(evidence, site, lambda window: window.fault < 0),
        ]
    )
    silent = [
        (from_ns, until_ns)
        for from_ns, until_ns in declared.without(missing, known)
        if until_ns - from_ns >= SECOND_NS
    ]
    if silent:
        lost_s = declared.length_ns(tuple(silent)) / SECOND_NS
        first_s = silent[0][0] // SECOND_NS
        return lost_s, f"{site} says nothing of {lost_s:.1f} s that it lost, from {first_s} s on."
    over_s = _over_s(evidence, site, told, missing)
    allowed_s = UNKNOWN_S * sum(
        isinstance(each.fault, Kill | PowerCut) and each.fault.host == site
        for each in evidence.struck
    )
    if over_s > allowed_s:
        return 0.0, (
            f"{site} declares {over_s:.0f} s that are in its records, of which {allowed_s} s could "
            "not be known."
        )
    return 0.0, ""


def _told(evidence: "Evidence", site: str) -> Declaration | None:
    """What a site declares; None where nobody can read it."""
    path = f"declared/{site}.jsonl"
    data = evidence.content(site, path)
    if data is None and foreign.is_there(evidence.disk(site), path):
        return None
    may_be_torn = any(
        isinstance(each.fault, Kill | PowerCut) and each.fault.host == site
        for each in evidence.struck
    )
    return declared.parse(data or b"", may_be_torn)


def _missing(evidence: "Evidence", site: str) -> Spans:
    """The host's UTC in which samples of the judged span are in no point."""
    clock = evidence.clock(site)
    return declared.united(
        [
            span
            for gap in evidence.partition(site).gaps
            for span in clock.utc_ranges(gap.from_ns, gap.until_ns)
        ]
    )


def _of_windows(evidence: "Evidence", site: str, wanted: Callable[[Window], bool]) -> Spans:
    """The host's UTC of its windows that are wanted. Of what no fault of the scenario did, as of
    the time before its first start, an edge can know nothing."""
    clock = evidence.clock(site)
    return declared.united(
        [
            utc
            for window in evidence.sample_windows(site)
            if wanted(window)
            for utc in clock.utc_ranges(window.from_ns, window.until_ns)
        ]
    )


def _empty(evidence: "Evidence", site: str) -> Spans:
    """The seconds of points that say that nothing was heard."""
    archive = evidence.site_files(site).archive
    first = np.cumsum(archive.counts) - archive.counts
    place = np.arange(len(archive.points)) - np.repeat(first, archive.counts)
    seconds = np.repeat(archive.timestamps_s, archive.counts) + place
    silent = seconds[archive.points["npoints"] == 0].tolist()
    return declared.united([(at_s * SECOND_NS, (at_s + 1) * SECOND_NS) for at_s in silent])


def _over_s(evidence: "Evidence", site: str, told: Declaration, missing: Spans) -> float:
    """Seconds of the judged span that a site declares though they are in its records. A line is
    forgiven `OFF_S`, if anything is missing there or a fault may have cost something."""
    clock = evidence.clock(site)
    span = declared.united(list(clock.utc_ranges(*evidence.world.judged_ns)))
    hurt = _of_windows(evidence, site, lambda window: True)
    forgiving = declared.united([*declared.widened(missing, OFF_S), *hurt])
    over_ns = 0
    for line in told.lines:
        mine = ((line.from_s * SECOND_NS, line.until_s * SECOND_NS),)
        outside = declared.without(mine, span)
        kept_ns = declared.length_ns(declared.without(declared.without(mine, missing), outside))
        forgiven_ns = OFF_S * SECOND_NS * declared.touches(mine[0], forgiving)
        over_ns += max(0, kept_ns - forgiven_ns)
    return over_ns / SECOND_NS
