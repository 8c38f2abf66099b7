"""One site, one closed day that is not proven: what is known of it, and what to ask next. Pure.

What happens to a case is said in `reconcile`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from fieldproof_contract import Log, Monotonic, Now
from fieldproof_reference.center import EdgeAtCenter, Method, SiteDay
from fieldproof_reference.center.assemble import Day
from fieldproof_reference.center.gaps import ALL_HOURS, by_cadence, suspect_hours, whole_hours
from fieldproof_reference.center.methods import Level, Way
from fieldproof_reference.center.methods.deltas import Deltas
from fieldproof_reference.center.methods.pull import Pull
from fieldproof_reference.center.methods.ranges import Ranges
from fieldproof_reference.center.methods.repair import Digest, Repair
from fieldproof_reference.formats.days import day_text
from fieldproof_reference.protocols.repair import Gap, Manifest

WAYS: Mapping[Method, type[Way]] = {
    "repair": Repair,
    "xdelta": Deltas,
    "rsync": Pull,
    "http-range": Ranges,
}
NEXT: Mapping[Method, Method] = {"xdelta": "repair", "rsync": "repair", "http-range": "repair"}
"""What takes the place of a method that cannot be had: the one that every edge of ours has."""

LONG_AGO = Monotonic(0)


@dataclass(slots=True)
class Case:
    """One site, one closed day, not yet proven."""

    of: SiteDay
    due: Monotonic
    manifest: Manifest | None
    method: Method
    is_dark: bool  # no manifest was here when it began
    patience_ns: int = 0
    level: Level = Level.GAPS
    gaps: tuple[Gap, ...] = ()
    way: Way | None = None  # what was asked, None: nothing yet
    asked_at: Monotonic = LONG_AGO  # the last time
    rests: bool = False  # the way will be asked again
    queues: bool = False  # for another case of the site, whose way goes alone
    failures: int = 0  # of the method, in a row
    digest: bytes = b""  # of the day, as the edge last signed it
    by: str = ""  # the method that brought what was promoted, empty: nothing was
    syncing: tuple[str, ...] = ()  # files that are to be durable before the day is proven


def is_asked(known: EdgeAtCenter) -> bool:
    """Whether the site has a method and signs manifests."""
    return known.reconcile in WAYS and known.fetch_from is None


def gaps_for(case: Case, day: Day) -> tuple[Gap, ...]:
    """Which stretches the case's level means, for the center's day as it is."""
    if case.level is Level.GAPS:
        return by_cadence(day, case.of.day, case.manifest)
    if case.level is Level.HOURS:
        return whole_hours(suspect_hours(day, case.manifest) or ALL_HOURS)
    return whole_hours(ALL_HOURS)


def way_for(case: Case) -> type[Way]:
    """The way of the case's method; before it the digest, where it needs one that is not here."""
    way = WAYS[case.method]
    return Digest if way.trusts_manifest and not case.digest else way


def hurry(case: Case, now: Now) -> None:
    """The edge lives: nothing is waited for but what takes its time. What was just asked may be
    answered yet."""
    case.is_dark = False
    if case.way is None or case.rests:
        case.patience_ns, case.due = 0, now.monotonic
    elif not case.way.alone:
        case.patience_ns = case.way.patience_ns
        case.due = Monotonic(max(now.monotonic, case.asked_at + case.patience_ns))


def method_failed(case: Case, why: str, following: Method) -> Log:
    """A method could not be had, or leads nowhere."""
    day = day_text(case.of.day)
    detail = {"site": case.of.site, "day": day, "method": case.method, "why": why}
    return Log("method failed", {**detail, "next": following})


def not_usable(case: Case, why: str) -> Log:
    """An answer did not lead to the digest; the case's level is the next one."""
    return Log(
        "answer not usable", {"site": case.of.site, "why": why, "next": case.level.name.lower()}
    )


def difference(case: Case, day: Day) -> Log:
    """What the center knows of a day that it could not make whole: the hours that are not as the
    manifest says, and between which seconds of the day records should be and are not."""
    gaps = by_cadence(day, case.of.day, case.manifest)
    spans = [f"{-1 if gap.after_s is None else gap.after_s}..{gap.before_s}" for gap in gaps]
    hours = [f"{hour:02d}" for hour in suspect_hours(day, case.manifest)]
    detail = {"site": case.of.site, "day": day_text(case.of.day), "hours": " ".join(hours)}
    return Log("day differs", {**detail, "seconds": " ".join(spans)})
