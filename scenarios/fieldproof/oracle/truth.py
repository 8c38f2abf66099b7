"""What points ought to hold, recomputed from the instrument's samples."""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

PROBE_POINTS = 240
"""How many points to give to `find`: enough to tell neighbouring samples apart."""

_FIRST = 30
_MOST_CANDIDATES = 16
_TOO_MANY = 4


class Instrument(Protocol):
    """What the judge asks of a simulated riometer; times are true ns."""

    def instant_ns(self, k: int) -> int:
        """When sample k was taken."""

    def first_at(self, true_ns: int) -> int:
        """The first sample at a time or later."""

    def firsts_at(self, true_ns: Integers) -> Integers:
        """`first_at` of many times."""

    def codes(self, first: int, last: int) -> NDArray[np.uint16]:
        """A/D codes of samples [first, last)."""


class Points(NamedTuple):
    """Points over successive runs of samples; of an empty run all is 0."""

    nearest: Integers  # averages, halves rounded up
    floor: Integers  # averages, fractions dropped
    range: Integers  # maximum minus minimum


def points(instrument: Instrument, first: int, counts: Integers) -> Points:
    """The points over the samples from `first` on, `counts` samples in each."""
    full = counts > 0
    some = counts[full]
    nearest, floor, spread = (np.zeros(len(counts), dtype=np.int64) for _ in range(3))
    if len(some):
        codes = instrument.codes(first, first + int(some.sum()))
        starts = np.cumsum(some) - some
        sums = np.add.reduceat(codes, starts, dtype=np.uint32).astype(np.int64)
        nearest[full] = (2 * sums + some) // (2 * some)
        floor[full] = sums // some
        spread[full] = np.maximum.reduceat(codes, starts) - np.minimum.reduceat(codes, starts)
    return Points(nearest, floor, spread)


class Found(NamedTuple):
    """Where successive points belong."""

    start: int  # sample with which the first of them begins
    score: int  # how many points it goes well


def find(
    instrument: Instrument, wanted_points: NDArray[np.void], wanted: int, low: int, high: int
) -> Found | None:
    """The start in [low, high] that suits successive points (dtype POINT) best; None where not
    three in four of the first averages come out anywhere.

    One sample too early or too late, nine points in ten are still right. So starts are compared by
    how far they go until too many points are wrong by either rounding, then by how many are right
    so far by one of them; among equals the one nearest to `wanted`."""
    low = max(0, low)
    counts = wanted_points["npoints"].astype(np.int64)
    if high < low or not counts[:_FIRST].any():
        return None
    hits = _hits(instrument, counts[:_FIRST], wanted_points["average"][:_FIRST], low, high)
    enough = np.flatnonzero(4 * hits >= 3 * int((counts[:_FIRST] > 0).sum()))
    if not len(enough):
        return None
    by_hits = enough[np.lexsort((np.abs(low + enough - wanted), -hits[enough]))]
    candidates = (low + by_hits[:_MOST_CANDIDATES]).tolist()

    def goes_well(start: int) -> tuple[int, int]:
        ought = points(instrument, start, counts)
        range_ok = wanted_points["range"] == ought.range
        nearest, floor = (
            range_ok & (wanted_points["average"] == average)
            for average in (ought.nearest, ought.floor)
        )
        reach = _reach(nearest | floor)
        return reach, max(int(nearest[:reach].sum()), int(floor[:reach].sum()))

    fits = {start: goes_well(start) for start in candidates}
    start = max(candidates, key=lambda start: (*fits[start], -abs(start - wanted)))
    return Found(start, fits[start][0])


def _hits(
    instrument: Instrument, counts: Integers, averages: NDArray[np.uint16], low: int, high: int
) -> Integers:
    """For each start in [low, high], how many points would have these averages."""
    sums = np.zeros(high - low + int(counts.sum()) + 1, dtype=np.int64)
    np.cumsum(instrument.codes(low, low + len(sums) - 1), dtype=np.int64, out=sums[1:])
    starts = high - low + 1
    hits = np.zeros(starts, dtype=np.int64)
    at = 0
    for count, average in zip(counts.tolist(), averages.tolist(), strict=True):
        if count:
            run = sums[at + count : at + count + starts] - sums[at : at + starts]
            hits += (run // count == average) | ((2 * run + count) // (2 * count) == average)
        at += count
    return hits


def _reach(right: NDArray[np.bool_]) -> int:
    """How many points it goes until `_TOO_MANY` are wrong."""
    wrong = np.flatnonzero(~right)
    return int(wrong[_TOO_MANY - 1]) if len(wrong) >= _TOO_MANY else len(right)
