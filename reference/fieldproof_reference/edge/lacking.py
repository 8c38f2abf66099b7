"""What a request's gaps mean in the edge's own files: what lies in them, and what is left without.

Position decides, not time stamps alone: the items between the last good record and the next good
one, whatever they are. Where such a record does not exist here, the first record that is later
takes its place; a bound on a full hour means the beginning of that hour's file, and a gap of full
hours is those files, whatever they hold. Pure.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from fieldproof_reference.formats import trees, xrio
from fieldproof_reference.formats.days import DAY_S, HOUR_S
from fieldproof_reference.protocols.repair import Gap, Request

Files = Sequence[tuple[str, bytes]]
"""Hour files of a day as (base name, content), in name order."""


class Item(NamedTuple):
    """A record or a stretch of junk of a day's files, in file order."""

    hour: int  # of the file
    second: int | None  # of the day, of a record's first sample; None for junk
    data: bytes


class Versions(NamedTuple):
    """An hour file in two versions."""

    hour: int
    without: bytes  # what lies in no gap: what a center should hold that asks for these gaps
    whole: bytes


def pick(files: Files, request: Request) -> list[list[bytes]]:
    """What the day's files hold in each gap of the request."""
    items = _all_items(files, request)
    return [[item.data for item in items[span]] for span in _spans(items, request)]


def lacking(files: Files, request: Request) -> list[Versions]:
    """The hours of which something lies in a gap."""
    items = _all_items(files, request)
    left_out = {index for span in _spans(items, request) for index in range(len(items))[span]}
    kept: dict[int, list[bytes]] = {trees.hour_of(name): [] for name, _ in files}
    for index, item in enumerate(items):
        if index not in left_out:
            kept[item.hour].append(item.data)
    versions = [
        Versions(trees.hour_of(name), b"".join(kept[trees.hour_of(name)]), data)
        for name, data in files
    ]
    return [one for one in versions if one.without != one.whole]


def _all_items(files: Files, request: Request) -> list[Item]:
    return [item for name, data in files for item in _items(trees.hour_of(name), data, request)]


def _spans(items: list[Item], request: Request) -> list[slice]:
    return [slice(_after(items, gap), _before(items, gap.before_s)) for gap in request.gaps]


def _items(hour: int, data: bytes, request: Request) -> list[Item]:
    items = []
    for offset, size, valid in xrio.walk(data):
        piece = data[offset : offset + size]
        second = xrio.timestamp_s(piece) - request.day * DAY_S if valid else None
        items.append(Item(hour, second, piece))
    return items


def _after(items: list[Item], gap: Gap) -> int:
    """Index of the first item of the gap."""
    if gap.after_s is None:
        return 0
    if (gap.after_s + 1) % HOUR_S == 0 == gap.before_s % HOUR_S:  # a good record may be there, too
        return _before(items, gap.after_s + 1)
    for index, item in enumerate(items):
        if item.second == gap.after_s:
            return index + 1
    return _before(items, gap.after_s + 1)


def _before(items: list[Item], second: int) -> int:
    """Index of the first item that is not before `second` of the day."""
    if second % HOUR_S == 0:
        return bisect_left(items, second // HOUR_S, key=lambda item: item.hour)
    times = [(index, item.second) for index, item in enumerate(items) if item.second is not None]
    exact = (index for index, found in times if found == second)
    later = (index for index, found in times if found > second)
    return next(exact, next(later, len(items)))
