"""Good copies of what is bad at the edge, from the raw tree, for those who draw or compute (T13).

The archive mirrors the edge, so what rotted there is bad here, too, while the datagram that was
sent before may have been whole. It does not come back into the archive. But whoever makes a product
may take it, and must mark it: it is a received copy that no digest proves.

A received record is offered where its hour has flags, the archive has not the same record, it
raises no flag itself, and no record of the archive that raises none is of its time. One that came
more than `LATE_H` hours after its own is not looked for.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from fieldproof_contract import DiskView
from fieldproof_reference import ports
from fieldproof_reference.center import SiteDay, SiteHour
from fieldproof_reference.center.flags import flags_path
from fieldproof_reference.center.gaps import CLOSE_S
from fieldproof_reference.center.receive import data_path
from fieldproof_reference.formats import Malformed, idx, trees, xrio
from fieldproof_reference.formats.days import DAY_S, HOUR_S, day_text

LATE_H = 2


class Offer(NamedTuple):
    """A received copy, and where it is kept."""

    record: bytes
    index_path: str  # path of the raw index file that speaks of it


def offered(disk: DiskView, of: SiteDay) -> Iterator[Offer]:
    """What may stand for what is bad in a day, in the order of time."""
    flagged = list(_flagged(disk, flags_path(of)))
    for hour in sorted({hour for hour, _ in flagged}):
        offsets = {offset for its, offset in flagged if its == hour}
        yield from _of_hour(disk, SiteHour(of.site, of.day * 24 + hour), offsets)


def _of_hour(disk: DiskView, of: SiteHour, flagged: set[int]) -> Iterator[Offer]:
    path = trees.hour_path(of.site, of.hour * HOUR_S)
    data = disk.read(path) if disk.size(path) is not None else b""
    spans = [span for span in xrio.walk(data) if span.valid]
    there = {data[span.offset : span.offset + span.size] for span in spans}
    sound_s = [xrio.timestamp_s(data[s.offset :]) for s in spans if s.offset not in flagged]
    known = frozenset({of.site})
    copies = {copy.record: copy for copy in _received(disk, of)}
    for record in sorted(copies, key=lambda record: (xrio.timestamp_s(record), record)):
        second = xrio.timestamp_s(record)
        is_new = all(abs(second - other_s) >= CLOSE_S for other_s in sound_s)
        if record not in there and is_new and not xrio.flags(record, known):
            yield copies[record]


def _received(disk: DiskView, of: SiteHour) -> Iterator[Offer]:
    """Every valid record of the hour that came soon, by its first sample."""
    hours = range(of.hour, of.hour + LATE_H + 1)
    for day in range(hours[0] * HOUR_S // DAY_S, hours[-1] * HOUR_S // DAY_S + 1):
        for path in disk.listing(f"udp/{day_text(day, '%Y/%m/%d')}/"):
            file = trees.parse_arrival_path(path)
            if file is None or file.suffix != "idx" or file.port != ports.TELEMETRY:
                continue
            if file.utc_s // HOUR_S in hours:
                yield from _records(disk, path, of)


def _records(disk: DiskView, path: str, of: SiteHour) -> Iterator[Offer]:
    data = disk.read(data_path(path)) if disk.size(data_path(path)) is not None else b""
    for line in disk.read(path).splitlines():
        with suppress(Malformed):
            entry = idx.parse(line)
            record = data[entry.offset : entry.offset + entry.size]
            if (
                xrio.invalid(record) is None
                and xrio.site(record) == of.site
                and xrio.timestamp_s(record) // HOUR_S == of.hour
            ):
                yield Offer(record, path)


def _flagged(disk: DiskView, path: str) -> Iterator[tuple[int, int]]:
    """Hour and offset of each line of a flag file."""
    for line in disk.read(path).splitlines() if disk.size(path) is not None else ():
        with suppress(ValueError, KeyError, TypeError):
            note = json.loads(line)
            hour, offset = int(note["hour"]), int(note["offset"])
            if hour in range(24):
                yield hour, offset
