"""What came from the edge becomes part of the archive: a day, or an hour with its proof. Pure.

In this order, so that a death in between leaves too many notes and never too few: what loses its
place goes to quarantine (I3), what gains one is noted with its origin (I4), then the file changes.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256

from fieldproof_contract import (
    SECOND_NS,
    DiskView,
    Effects,
    Log,
    Now,
    Publish,
    Remove,
    Replace,
    Sync,
)
from fieldproof_reference.center import (
    CONFIRMED,
    PROMOTED,
    REOPENED,
    Promoted,
    SiteDay,
    SiteHour,
    provenance,
)
from fieldproof_reference.center.assemble import Day, displaced
from fieldproof_reference.center.canonical import path_of
from fieldproof_reference.center.errand import Errand, held
from fieldproof_reference.center.quarantine import quarantine
from fieldproof_reference.formats import trees, xrio
from fieldproof_reference.formats.days import DAY_S, HOUR_S, day_text
from fieldproof_reference.protocols.repair import Gap, day_digest

METHOD = "http-range"


def promotion(disk: DiskView, errand: Errand, after: bytes, now: Now) -> Effects:
    """`after` becomes the hour file, if it is another than the center's."""
    before, of = held(disk, errand.path), errand.of
    if before == after and (errand.absent or disk.size(errand.path) is not None):
        return ()
    effects: Effects = ()
    for record in displaced({0: before}, {0: after}):
        origin: dict[str, str | int] = {"site": of.site, "day": day_text(of.day.day)}
        effects += quarantine(disk, "not at the edge", record, now.utc_ns // SECOND_NS, origin)
    items = size = 0
    for after_s, before_s, content in _stretches(errand, after):
        count = len(xrio.walk(content))
        detail: dict[str, str | int] = {
            "after_s": after_s,
            "before_s": before_s,
            "items": count,
            "bytes": len(content),
            "utc_ns": now.utc_ns,
            "method": METHOD,
        }
        effects += (provenance.line(of.day, "restored", detail),)
        items, size = items + count, size + len(content)
    facts: dict[str, str | int] = {
        "site": of.site,
        "day": day_text(of.day.day),
        "items": items,
        "bytes": size,
        "method": METHOD,
    }
    return (
        *effects,
        Sync((provenance.path_of(of.day),)),
        Replace(errand.path, after),
        Log("repaired", facts),
        Publish(PROMOTED, Promoted((errand.path,))),
    )


def day_promotion(
    disk: DiskView,
    of: SiteDay,
    before: Day,
    after: Day,
    stretches: Sequence[tuple[Gap, Sequence[bytes]]],
    how: Mapping[str, str],
    now: Now,
) -> Effects:
    """`after` becomes the day. `stretches`: what came, and in which gaps it lies; `how`: by which
    method, for people."""
    effects: Effects = ()
    origin: dict[str, str | int] = {"site": of.site, "day": day_text(of.day)}
    for record in displaced(before, after):
        effects += quarantine(disk, "not at the edge", record, now.utc_ns // SECOND_NS, origin)
    for gap, items in stretches:
        stretch = {"after_s": -1 if gap.after_s is None else gap.after_s, "before_s": gap.before_s}
        amount = {"items": len(items), "bytes": sum(map(len, items)), "utc_ns": now.utc_ns}
        effects += (provenance.line(of, "restored", {**stretch, **amount, **how}),)
    effects += (Sync((provenance.path_of(of),)),) if stretches else ()
    changed = [hour for hour in range(24) if before.get(hour) != after.get(hour)]
    paths = tuple(path_of(of, hour) for hour in changed)
    for hour, path in zip(changed, paths, strict=True):
        effects += (Replace(path, after[hour]) if hour in after else Remove(path),)
    items = [item for _, group in stretches for item in group]
    facts = {**origin, "items": len(items), "bytes": sum(map(len, items)), **how}
    return (*effects, Log("repaired", facts), Publish(PROMOTED, Promoted(paths)))


def closed(of: SiteHour) -> Effects:
    """The hour is as at the edge: nobody may add to it."""
    return (Publish(CONFIRMED, of),)


def reopened(disk: DiskView, of: SiteHour, now: Now) -> Effects:
    """The edge may have changed the hour after its proof."""
    detail = {"hour": of.hour, "utc_ns": now.utc_ns}
    effects: Effects = (provenance.line(of.day, provenance.HOUR_REOPENED, detail),)
    if provenance.is_confirmed(disk, of.day):
        effects += (provenance.line(of.day, "reopened", detail),)
    return (*effects, Sync((provenance.path_of(of.day),)), Publish(REOPENED, of))


def noted(errand: Errand, after: bytes, now: Now) -> Effects:
    """The note that a restart believes: the hour is proven, and by what."""
    of = errand.of
    detail: dict[str, str | int] = {"hour": of.hour, "sha256": sha256(after).hexdigest()}
    detail |= {"by": errand.proof.value, "method": METHOD, "utc_ns": now.utc_ns}
    line = provenance.line(of.day, provenance.HOUR_PROVEN, detail)
    return (line, Sync((line.path,)))


def day_noted(disk: DiskView, of: SiteDay, now: Now) -> Effects:
    """All hours of a day are proven."""
    paths = (trees.hour_path(of.site, of.day * DAY_S + hour * HOUR_S) for hour in range(24))
    files = [(path.rpartition("/")[2], held(disk, path)) for path in paths]
    digest = day_digest([(name, data) for name, data in files if data]).hex()
    detail: dict[str, str | int] = {"digest": digest, "method": METHOD, "utc_ns": now.utc_ns}
    line = provenance.line(of, "confirmed", detail)
    said = Log("confirmed", {"site": of.site, "day": day_text(of.day)})
    return (line, Sync((line.path,)), Publish(CONFIRMED, of), said)


def hour_text(of: SiteHour) -> str:
    """`2006-01-17 16`, for people."""
    return f"{day_text(of.day.day)} {of.hour % 24:02d}"


def _stretches(errand: Errand, after: bytes) -> list[tuple[int, int, bytes]]:
    """What was fetched, and between which seconds of the day it lies; a whole hour is one stretch,
    from the last second of the hour before to the first of the next."""
    if errand.contents:
        pairs = zip(errand.wanted, errand.contents, strict=False)
        return [(piece.after_s, piece.before_s, content) for piece, content in pairs]
    begins_s = errand.of.hour % 24 * HOUR_S
    return [(begins_s - 1, begins_s + HOUR_S, after)]
