"""An hour that came from the edge becomes part of the archive, and its proof is noted. Pure.

In this order, so that a death in between leaves too many notes and never too few: what loses its
place goes to quarantine (I3), what gains one is noted with its origin (I4), then the file changes.
"""

from hashlib import sha256

from fieldproof_contract import SECOND_NS, DiskView, Effects, Log, Now, Publish, Replace, Sync
from fieldproof_reference.center import (
    CONFIRMED,
    PROMOTED,
    REOPENED,
    Promoted,
    SiteDay,
    SiteHour,
    provenance,
)
from fieldproof_reference.center.assemble import displaced
from fieldproof_reference.center.errand import Errand, held
from fieldproof_reference.center.quarantine import quarantine
from fieldproof_reference.formats import trees, xrio
from fieldproof_reference.formats.days import DAY_S, HOUR_S, day_text
from fieldproof_reference.protocols.repair import day_digest

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


def closed(of: SiteHour) -> Effects:
    """The hour is as at the edge: nobody may add to it."""
    return (Publish(CONFIRMED, of),)


def reopened(disk: DiskView, of: SiteHour) -> Effects:
    """The edge may have changed the hour after its proof."""
    effects: Effects = (provenance.line(of.day, provenance.HOUR_REOPENED, {"hour": of.hour}),)
    if provenance.is_confirmed(disk, of.day):
        effects += (provenance.line(of.day, "reopened", {"hour": of.hour}),)
    return (*effects, Sync((provenance.path_of(of.day),)), Publish(REOPENED, of))


def noted(errand: Errand, after: bytes) -> Effects:
    """The note that a restart believes: the hour is proven, and by what."""
    of = errand.of
    detail: dict[str, str | int] = {"hour": of.hour, "sha256": sha256(after).hexdigest()}
    detail["by"] = errand.proof.value
    line = provenance.line(of.day, provenance.HOUR_PROVEN, detail)
    return (line, Sync((line.path,)))


def day_noted(disk: DiskView, of: SiteDay) -> Effects:
    """All hours of a day are proven."""
    paths = (trees.hour_path(of.site, of.day * DAY_S + hour * HOUR_S) for hour in range(24))
    files = [(path.rpartition("/")[2], held(disk, path)) for path in paths]
    digest = day_digest([(name, data) for name, data in files if data]).hex()
    line = provenance.line(of, "confirmed", {"digest": digest})
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
