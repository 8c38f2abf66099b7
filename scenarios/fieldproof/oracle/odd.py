"""What is odd about the records of an hour file, by the judge's own rules (R1-29), and what a
center says of it in `flags/2006/01/17/daws.jsonl`.

Judged are the flags whose limits the spec states: sample rate, spares, datapoints, codes above
4095, npoints other than 59 to 61, a dead preamplifier (all averages within 50 mV of zero), a record
in the file of another hour, and bytes that are no record. Not judged are `cadence` and `sample
continuity`, whose limits are the center's own choice, nor the words of `why`.

Where bytes are no record, two honest decoders may cut them differently: it is judged whether
something is said of each stretch of them, and that `corrupt` is said of nothing else.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fieldproof.oracle.xrio import POINTS, Records

LARGEST_CODE = 4095
NEAR_ZERO = 2038, 2058
CORRUPT = "corrupt"
JUDGED = frozenset(
    {
        "sample rate",
        "sample rate as text",
        "spares in use",
        "datapoints",
        "code above 4095",
        "npoints",
        "dead preamplifier",
        "another hour",
    }
)

HOUR_S = 3600

Odd = dict[int, frozenset[str]]
"""By offset: the flags of a record that raises any."""


class Said(NamedTuple):
    """What a day's lines say of one hour file."""

    flags: Odd  # of records, by offset; only those that are judged
    corrupt: tuple[tuple[int, int], ...]  # (offset, size)
    twice: tuple[int, ...]  # offsets of which two lines speak


NOTHING_SAID = Said({}, (), ())


def odd(data: bytes, records: Records, hour_utc_s: int) -> Odd:
    """The flags that the records of an hour file raise, as far as they are judged."""
    found: dict[str, NDArray[np.bool_]] = dict(_of_headers(data, records))
    found |= dict(_of_points(records))
    off_s = records.timestamps_s - hour_utc_s
    found["another hour"] = (off_s < 0) | (off_s >= HOUR_S)
    raised: dict[int, set[str]] = {}
    for flag, rows in found.items():
        for row in np.flatnonzero(rows).tolist():
            raised.setdefault(int(records.offsets[row]), set()).add(flag)
    return {offset: frozenset(flags) for offset, flags in raised.items()}


def said(lines: tuple[dict[str, Any], ...]) -> tuple[dict[int, Said], int]:
    """The lines of a day, by hour of the day, and how many of them nobody can make sense of."""
    flags: dict[int, Odd] = {}
    corrupt: dict[int, list[tuple[int, int]]] = {}
    places = Counter[tuple[int, int]]()
    senseless = 0
    for line in lines:
        match line:
            case {"hour": int(hour), "offset": int(offset), "bytes": int(size), "flags": list(of)}:
                raised = {flag for flag in of if isinstance(flag, str)}
                places[hour, offset] += 1
                if CORRUPT in raised:
                    corrupt.setdefault(hour, []).append((offset, size))
                elif raised & JUDGED:
                    flags.setdefault(hour, {})[offset] = frozenset(raised & JUDGED)
            case _:
                senseless += 1
    found = {
        hour: Said(
            flags.get(hour, {}),
            tuple(corrupt.get(hour, ())),
            tuple(at for (of, at), times in places.items() if of == hour and times > 1),
        )
        for hour in sorted({hour for hour, _ in places})
    }
    return found, senseless


def differences(
    raised: Odd, records: Records, told: Said, until_s: int
) -> Iterator[tuple[int, str]]:
    """Where what a center says is not what its file gives, by offset. Of what began at `until_s` or
    later it need not say anything yet."""
    strays = records.strays
    for offset in told.twice:
        yield offset, "two lines speak of it"
    for offset in sorted(raised.keys() | told.flags.keys()):
        ours, theirs = raised.get(offset, frozenset()), told.flags.get(offset, frozenset())
        row = int(np.searchsorted(records.offsets, offset)) if ours else -1
        is_young = row >= 0 and records.timestamps_s[row] >= until_s
        if ours == theirs or _is_in(offset, strays) or (is_young and not theirs):
            continue
        yield offset, f"it raises {_words(ours)}, and its line says {_words(theirs)}"
    spoken = [*told.corrupt, *((offset, 1) for offset in told.flags)]
    for stray in strays:
        if not any(_touch(stray, span) for span in spoken):
            yield stray[0], "it is no record, and no line says so"
    for span in told.corrupt:
        if not any(_touch(stray, span) for stray in strays):
            yield span[0], f"a line calls it {CORRUPT}"


def _of_headers(data: bytes, records: Records) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    octets = np.frombuffer(data, dtype=np.uint8)
    fields = octets[records.offsets[:, None] + np.array([9, 10, 11, 18, 19])]
    if not len(fields) or (fields == np.array([1, 0, 0, 0, 0], dtype=np.uint8)).all():
        return
    is_text = fields[:, 0] == ord("1")
    yield "sample rate as text", is_text
    yield "sample rate", (fields[:, 0] != 1) & ~is_text
    yield "spares in use", fields[:, 1:].any(axis=1)


def _of_points(records: Records) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    yield "datapoints", records.counts != POINTS
    points = records.points
    if not len(points):
        return
    first = np.cumsum(records.counts) - records.counts
    averages = points["average"]
    high = np.maximum.reduceat(averages, first)
    low = np.minimum.reduceat(averages, first)
    ranges = np.maximum.reduceat(points["range"], first)
    yield "code above 4095", (high > LARGEST_CODE) | (ranges > LARGEST_CODE)
    yield "dead preamplifier", (low >= NEAR_ZERO[0]) & (high <= NEAR_ZERO[1])
    counts = points["npoints"]
    most, least = np.maximum.reduceat(counts, first), np.minimum.reduceat(counts, first)
    yield "npoints", (most > POINTS + 1) | (least < POINTS - 1)


def _is_in(offset: int, spans: tuple[tuple[int, int], ...]) -> bool:
    return any(at <= offset < at + size for at, size in spans)


def _touch(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < sum(other) and other[0] < sum(one)


def _words(flags: frozenset[str]) -> str:
    return ", ".join(sorted(flags)) or "nothing"
