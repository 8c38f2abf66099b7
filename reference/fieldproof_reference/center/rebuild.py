"""The archive once more, from the raw tree alone (I7), and how the one that is there differs.

The laws:

1. `refiled` puts all of the raw tree through the `sieve` of live validation. So it makes, byte for
   byte, what live filing had made before anything was reconciled. Nothing here is done twice.
2. `derived` makes what is a function of canonical files, day by day: the flags. Whatever else is
   such a function has its place in `MAKERS`.
3. What reconciliation brought is not in the raw tree, and no rebuild brings it back. `compared`
   says of each hour file what the archive has more, what less, and whether that is on record: the
   digest of its day or hour proves it, or notes say that the one was restored and the other
   quarantined. Anything else is at odds: rot, a lost file, somebody's hand.
4. `promotion` changes only what is at odds, an hour at a time, and loses nothing: what the raw tree
   gives and what is noted as restored become the hour file; any other record goes to quarantine
   (I3); a proof that did not hold any more is taken back, so that the edge is asked again.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from enum import StrEnum
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import NamedTuple

from fieldproof_contract import DiskView, Effects, Remove, Replace, Sync
from fieldproof_reference import ports
from fieldproof_reference.center import SiteDay, SiteHour, flags, provenance
from fieldproof_reference.center.quarantine import quarantine
from fieldproof_reference.center.sieve import Sieve
from fieldproof_reference.formats import trees, xrio
from fieldproof_reference.formats.days import DAY_S, HOUR_S
from fieldproof_reference.protocols.repair import day_digest

CANONICAL = "riometer/"


class Found(StrEnum):
    """What is to be said of an hour file."""

    EQUAL = "equal"
    PROVEN = "proven"  # other than the raw tree gives, and the edge's by its digest
    RECONCILED = "reconciled"  # other, and notes say why
    AT_ODDS = "at odds"


class Hour(NamedTuple):
    """An hour file of the archive, compared with what the raw tree gives."""

    path: str
    found: Found
    more: tuple[bytes, ...]  # records and junk that the raw tree does not give
    less: tuple[bytes, ...]  # records that the raw tree gives and the archive lacks


# --- making it ------------------------------------------------------------------------------------


def refiled(raw: DiskView, fresh: DiskView, sites: Iterable[str]) -> Iterator[Effects]:
    """File the raw tree anew on `fresh`, where nothing is yet. Each effect is to be carried out
    before the next is asked for."""
    sieve = Sieve(sites)
    sieve.begin(raw, fresh)
    found = ((trees.parse_arrival_path(path), path) for path in raw.listing("udp/"))
    indexes = [
        (file.utc_s, path)
        for file, path in found
        if file is not None and file.suffix == "idx" and file.port == ports.TELEMETRY
    ]
    for _, path in sorted(indexes):
        lines = raw.read(path)
        yield from sieve.lines(path, lines[: lines.rfind(b"\n") + 1])
        sieve.settle()


def derived(archive: DiskView) -> Iterator[Effects]:
    """What is made of canonical files: each effect is for the disk as it was left by the one
    before. Where all is as it should be there is none."""
    for of in site_days(archive):
        for maker in MAKERS:
            yield maker(archive, of)


def flags_of_day(archive: DiskView, of: SiteDay) -> Effects:
    """The flags of a day."""
    path, lines = flags.flags_path(of), flags.day_lines(archive, of)
    there = archive.size(path) is not None
    if lines:
        return () if there and archive.read(path) == lines else (Replace(path, lines),)
    return (Remove(path),) if there else ()


MAKERS: tuple[Callable[[DiskView, SiteDay], Effects], ...] = (flags_of_day,)
"""Each makes one thing of a day, after those that stand before it."""


def site_days(archive: DiskView) -> list[SiteDay]:
    """The days of which there are hour files, or flags, in order."""
    hours = filter(None, map(trees.parse_hour_path, archive.listing(CANONICAL)))
    days = {SiteDay(hour.site, hour.utc_s // DAY_S) for hour in hours}
    flagged = filter(None, map(flags.parse_flags_path, archive.listing("flags/")))
    return sorted(days.union(flagged))


# --- comparing it ---------------------------------------------------------------------------------


def compared(archive: DiskView, fresh: DiskView) -> Iterator[Hour]:
    """Every hour file of either, in order."""
    record = _Record(archive)
    for path in sorted({*archive.listing(CANONICAL), *fresh.listing(CANONICAL)}):
        hour = trees.parse_hour_path(path)
        if hour is None:
            continue
        ours, raws = _content(archive, path), _content(fresh, path)
        if ours == raws and archive.size(path) is not None:
            yield Hour(path, Found.EQUAL, (), ())
            continue
        more, less = _beyond(ours, raws), _beyond(raws, ours)
        of = SiteHour(hour.site, hour.utc_s // HOUR_S)
        if record.proves(of):
            found = Found.PROVEN
        elif record.explains(of, more, less):
            found = Found.RECONCILED
        else:
            found = Found.AT_ODDS
        yield Hour(path, found, more, less)


class _Record:
    """What the archive has on record about its own changes."""

    def __init__(self, archive: DiskView) -> None:
        self._archive = archive
        self.notes = lru_cache(maxsize=16)(self._of_day)
        self._day_proof = lru_cache(maxsize=16)(self._proves_day)

    @cached_property
    def _kept_out(self) -> frozenset[str]:
        """SHA-256 of all that is in quarantine."""
        paths = self._archive.listing("quarantine/")
        files = (_notes(self._archive.read(path)) for path in paths if path.endswith(".jsonl"))
        return frozenset(str(note.get("sha256")) for notes in files for note in notes)

    def _of_day(self, of: SiteDay) -> list[dict[str, int | str]]:
        return _notes(_content(self._archive, provenance.path_of(of)))

    def proves(self, of: SiteHour) -> bool:
        """Whether the hour is as a digest of the edge says."""
        if self._day_proof(of.day):
            return True
        said = [note for note in self.notes(of.day) if note.get("hour") == of.hour]
        if not said or said[-1]["what"] != provenance.HOUR_PROVEN:
            return False
        content = _content(self._archive, trees.hour_path(of.site, of.hour * HOUR_S))
        return said[-1].get("sha256") == sha256(content).hexdigest()

    def _proves_day(self, of: SiteDay) -> bool:
        said = [note for note in self.notes(of) if note["what"] in ("confirmed", "reopened")]
        if not said or said[-1]["what"] != "confirmed":
            return False
        hours = (trees.hour_path(of.site, of.day * DAY_S + n * HOUR_S) for n in range(24))
        files = [(path.rpartition("/")[2], _content(self._archive, path)) for path in hours]
        return said[-1].get("digest") == day_digest([f for f in files if f[1]]).hex()

    def explains(self, of: SiteHour, more: Sequence[bytes], less: Sequence[bytes]) -> bool:
        """Whether notes say that `more` was restored and `less` quarantined; where the order alone
        differs, that anything was restored there."""
        if not more and not less:
            return self.restored(of, b"")
        return all(self.restored(of, item) for item in more) and all(
            sha256(item).hexdigest() in self._kept_out for item in less
        )

    def restored(self, of: SiteHour, item: bytes) -> bool:
        """Whether notes say that an item of the hour was restored; of one that is no record of its
        day, that anything was restored in that hour."""
        first_s, last_s = of.hour % 24 * HOUR_S, of.hour % 24 * HOUR_S + HOUR_S - 1
        if xrio.invalid(item) is None:
            second = xrio.timestamp_s(item) - of.day.day * DAY_S
            first_s, last_s = (second, second) if 0 <= second < DAY_S else (first_s, last_s)
        stretches = (
            (int(note.get("after_s", -1)), int(note.get("before_s", DAY_S)))
            for note in self.notes(of.day)
            if note["what"] == "restored"
        )
        return any(max(first_s, a + 1) <= min(last_s, b - 1) for a, b in stretches)


# --- putting it in its place ----------------------------------------------------------------------


def promotion(archive: DiskView, fresh: DiskView, hour: Hour, utc_s: int) -> Effects:
    """What it takes that an hour file at odds is as law 4 says; `utc_s` is now."""
    place = trees.parse_hour_path(hour.path)
    if hour.found is not Found.AT_ODDS or place is None:
        return ()
    of, record = SiteHour(place.site, place.utc_s // HOUR_S), _Record(archive)
    kept = [item for item in hour.more if record.restored(of, item) and xrio.invalid(item) is None]
    records = [*_items(_content(fresh, hour.path)), *kept]
    records.sort(key=lambda item: (xrio.timestamp_s(item), item))
    after = b"".join(records)
    effects = _taken_back(archive, of, record)
    for item in hour.more:
        if item not in kept:
            origin = {"path": hour.path}
            effects += quarantine(archive, "not in the raw tree", item, utc_s, origin)
    if after:
        return (*effects, Replace(hour.path, after))
    return (*effects, Remove(hour.path)) if archive.size(hour.path) is not None else effects


def _taken_back(archive: DiskView, of: SiteHour, record: _Record) -> Effects:
    """The notes that say that an hour, and its day, are not proven any more."""
    effects: Effects = ()
    said = [note["what"] for note in record.notes(of.day) if note.get("hour") == of.hour]
    if said and said[-1] == provenance.HOUR_PROVEN:
        effects += (provenance.line(of.day, provenance.HOUR_REOPENED, {"hour": of.hour}),)
    if provenance.is_confirmed(archive, of.day):
        effects += (provenance.line(of.day, "reopened", {"why": "at odds with the raw tree"}),)
    return (*effects, Sync((provenance.path_of(of.day),))) if effects else ()


# --- helpers --------------------------------------------------------------------------------------


def _content(disk: DiskView, path: str) -> bytes:
    return disk.read(path) if disk.size(path) is not None else b""


def _items(data: bytes) -> list[bytes]:
    return [data[span.offset : span.offset + span.size] for span in xrio.walk(data)]


def _beyond(data: bytes, other: bytes) -> tuple[bytes, ...]:
    """Items of `data` that `other` has not, as often as it has them less."""
    beyond = Counter(_items(data))
    beyond.subtract(_items(other))
    return tuple(item for item, count in beyond.items() for _ in range(count))


def _notes(lines: bytes) -> list[dict[str, int | str]]:
    """What whole lines of notes say; what rot made of a line says nothing."""
    found: list[dict[str, int | str]] = []
    for line in lines.splitlines():
        with suppress(ValueError):
            note = json.loads(line)
            if isinstance(note, dict):
                found.append({"what": "", **note})
    return found
