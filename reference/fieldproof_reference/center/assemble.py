"""Puts what an edge sent into a copy of the day. Pure: the copy becomes real elsewhere, or never.

An answer to a whole hour *is* that hour's file. An answer to any other gap takes the place of the
records that the center has inside the gap; a record goes to the hour of its first sample, junk
stays with the record before it. Where that guess is wrong the digest says so, and whole hours are
asked for.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, takewhile

from fieldproof_reference.center.gaps import is_whole_hour, whole_hour
from fieldproof_reference.formats import xrio
from fieldproof_reference.formats.days import DAY_S, HOUR_S
from fieldproof_reference.protocols.repair import Gap

Day = Mapping[int, bytes]
"""The content of the hour files of a day, by hour; no entry where there is no file."""


def assembled(
    day: Day, number: int, gaps: Sequence[Gap], groups: Sequence[Sequence[bytes]]
) -> dict[int, bytes]:
    """The day with the groups of items in the place of what it had in the gaps."""
    hours = dict(day)
    for gap, items in zip(gaps, groups, strict=True):
        if is_whole_hour(gap):
            _put(hours, (gap.before_s - 1) // HOUR_S, b"".join(items))
        else:
            _fill(hours, number, gap, items)
    return hours


def within(day: Day, number: int, gaps: Sequence[Gap]) -> list[list[bytes]]:
    """What the day holds in each of the gaps, in the order of its files."""
    groups: list[list[bytes]] = []
    for gap in gaps:
        if is_whole_hour(gap):
            groups.append(items_of(day.get((gap.before_s - 1) // HOUR_S, b"")))
            continue
        parts = []
        for hour in range((gap.after_s or 0) // HOUR_S, min(gap.before_s, DAY_S - 1) // HOUR_S + 1):
            data = day.get(hour, b"")
            before, after = _around(data, number, gap)
            parts.append(data[len(before) : len(data) - len(after)])
        groups.append([item for part in parts for item in items_of(part)])
    return groups


def differing(before: bytes, after: bytes, number: int, hour: int) -> tuple[Gap, list[bytes]]:
    """The stretch of an hour file in which two versions of it differ, and what lies there now."""
    old, new = items_of(before), items_of(after)
    first = _same(old, new)
    behind = _same(old[first:][::-1], new[first:][::-1])
    last = len(new) - behind
    whole = whole_hour(hour)
    after_s = _second(new[first - 1], number) if first else None
    before_s = _second(new[last], number) if behind else None
    if before_s is None or (after_s or -1) >= before_s:
        before_s = whole.before_s
    return Gap(whole.after_s if after_s is None else after_s, before_s), new[first:last]


def items_of(data: bytes) -> list[bytes]:
    """Records, and the junk between them, of a file or a part of it."""
    return [data[span.offset : span.offset + span.size] for span in xrio.walk(data)]


def displaced(before: Day, after: Day) -> list[bytes]:
    """Records of `before` that `after` does not have, as often as it does not have them."""
    missing = Counter(_records(before.values()))
    missing.subtract(_records(after.values()))
    return [record for record, count in missing.items() for _ in range(count)]


def _fill(hours: dict[int, bytes], number: int, gap: Gap, items: Sequence[bytes]) -> None:
    arriving: dict[int, list[bytes]] = {}
    hour = ((gap.after_s or 0) // HOUR_S) % 24
    for item in items:
        if xrio.invalid(item) is None:
            hour = (xrio.timestamp_s(item) // HOUR_S) % 24
        arriving.setdefault(hour, []).append(item)
    first = 0 if gap.after_s is None else gap.after_s // HOUR_S
    last = min(gap.before_s, DAY_S - 1) // HOUR_S
    for hour in sorted({*range(first, last + 1), *arriving}):
        before, after = _around(hours.get(hour, b""), number, gap)
        _put(hours, hour, before + b"".join(arriving.get(hour, ())) + after)


def _around(data: bytes, number: int, gap: Gap) -> tuple[bytes, bytes]:
    """What lies before and after the gap in a file whose records are in order."""
    start = end = 0
    for span in xrio.walk(data):
        if not span.valid:
            continue
        stop = span.offset + span.size
        second = xrio.timestamp_s(data[span.offset : stop]) - number * DAY_S
        if second < gap.before_s:
            end = stop
        if gap.after_s is not None and second <= gap.after_s:
            start = stop
    return data[:start], data[end:]


def _same(some: Sequence[bytes], others: Sequence[bytes]) -> int:
    """How many items at the beginning are the same."""
    pairs = zip(some, others, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _second(item: bytes, number: int) -> int | None:
    """Of the day, of a record's first sample; None for junk and for a record of another day."""
    second = xrio.timestamp_s(item) - number * DAY_S if xrio.invalid(item) is None else -1
    return second if 0 <= second < DAY_S else None


def _put(hours: dict[int, bytes], hour: int, data: bytes) -> None:
    if data:
        hours[hour] = data
    else:
        hours.pop(hour, None)


def _records(files: Iterable[bytes]) -> Iterable[bytes]:
    return chain.from_iterable(map(items_of, files))
