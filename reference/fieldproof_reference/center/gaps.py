"""Which stretches of a day to ask for: by cadence where that can be known, else by whole hours.

The rules:

1. Only hours whose digest differs from the manifest's are suspect; without a manifest all are.
2. Records come every 60 s. Two neighbours more than `APART_S` apart, or a day that begins or ends
   without its records, is a gap. It is asked for when it touches a suspect hour.
3. A suspect hour that no gap explains (a flipped bit, a record too many) is asked for whole; so is
   one whose records are out of order or too close, for there the cadence tells nothing (T6).
4. Where that does not lead to the edge's digest, whole hours are asked for, then all 24. So they
   are where there are more gaps than a request can name.

A whole hour is the open interval from the last second of the hour before to the first of the next.
"""

from collections.abc import Mapping, Sequence
from itertools import chain, pairwise

from fieldproof_reference.formats import xrio
from fieldproof_reference.formats.days import DAY_S, HOUR_S
from fieldproof_reference.protocols.repair import NO_FILE, Gap, Manifest, hour_digest
from fieldproof_reference.protocols.request import MOST_GAPS

CADENCE_S = 60
APART_S = 90
CLOSE_S = 50

ALL_HOURS = tuple(range(24))


def suspect_hours(day: Mapping[int, bytes], manifest: Manifest | None) -> tuple[int, ...]:
    """Hours whose file is not what the manifest says. `day`: content by hour of the day."""
    if manifest is None:
        return ALL_HOURS
    return tuple(
        hour
        for hour in ALL_HOURS
        if manifest.hour_digests[hour] != (hour_digest(day[hour]) if hour in day else NO_FILE)
    )


def by_cadence(day: Mapping[int, bytes], number: int, manifest: Manifest | None) -> tuple[Gap, ...]:
    """Rules 1 to 3 for day `number` (since 1970). Without a manifest an hour without a gap is taken
    to be whole: the digest in the answer tells."""
    suspects = suspect_hours(day, manifest)
    seconds = [_seconds(day[hour], number, hour) for hour in sorted(day)]
    found = [
        gap for gap in _missing(sorted(chain.from_iterable(seconds))) if _touches(gap, suspects)
    ]
    explained = {hour for gap in found for hour in _hours(gap)}
    irregular = {
        hour
        for hour, times in zip(sorted(day), seconds, strict=True)
        if any(later - earlier < CLOSE_S for earlier, later in pairwise(times))
    }
    unexplained = set(suspects) - explained if manifest else set()
    whole = [hour for hour in suspects if hour in unexplained | irregular]
    gaps = _merged([*found, *map(whole_hour, whole)])
    return gaps if len(gaps) <= MOST_GAPS else whole_hours(suspects)


def whole_hours(hours: Sequence[int]) -> tuple[Gap, ...]:
    """Rule 4: each of the hours by itself, so that each answer is the whole of a file."""
    return tuple(map(whole_hour, hours))


def whole_hour(hour: int) -> Gap:
    """The interval that holds every second of the hour."""
    return Gap(hour * HOUR_S - 1 if hour else None, (hour + 1) * HOUR_S)


def is_whole_hour(gap: Gap) -> bool:
    """Whether the answer to this gap is the whole content of one hour file."""
    return gap == whole_hour(_hours(gap)[0])


def _seconds(data: bytes, number: int, hour: int) -> list[int]:
    """Seconds of the day of the first samples of the records that belong to the hour, in file
    order. A record with a damaged time is none of them."""
    seconds = (
        xrio.timestamp_s(data[span.offset : span.offset + span.size]) - number * DAY_S
        for span in xrio.walk(data)
        if span.valid
    )
    return [second for second in seconds if second // HOUR_S == hour]


def _missing(seconds: list[int]) -> list[Gap]:
    """Where a record should be, by cadence, and is not."""
    if not seconds:
        return [Gap(None, DAY_S)]
    gaps = [Gap(None, seconds[0])] if seconds[0] >= CADENCE_S else []
    gaps += [Gap(a, b) for a, b in pairwise(seconds) if b - a > APART_S]
    if DAY_S - seconds[-1] > CADENCE_S:
        gaps.append(Gap(seconds[-1], DAY_S))
    return gaps


def _hours(gap: Gap) -> range:
    """Hours in which a record of this gap could begin."""
    first = 0 if gap.after_s is None else gap.after_s + 1
    return range(first // HOUR_S, (gap.before_s - 1) // HOUR_S + 1)


def _touches(gap: Gap, suspects: Sequence[int]) -> bool:
    return any(hour in suspects for hour in _hours(gap))


def _merged(gaps: list[Gap]) -> tuple[Gap, ...]:
    """The same seconds, in order and without overlap."""
    merged: list[Gap] = []
    for gap in sorted(gaps, key=lambda gap: -1 if gap.after_s is None else gap.after_s):
        if merged and gap.after_s is not None and gap.after_s < merged[-1].before_s - 1:
            before = merged.pop()
            gap = Gap(before.after_s, max(before.before_s, gap.before_s))
        elif merged and gap.after_s is None:
            before = merged.pop()
            gap = Gap(None, max(before.before_s, gap.before_s))
        merged.append(gap)
    return tuple(merged)
