"""What points ought to hold, recomputed from the instrument's samples."""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


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


def find(
    instrument: Instrument, counts: Integers, averages: Integers, wanted: int, low: int, high: int
) -> int | None:
    """The start in [low, high] from which the most of successive points have these averages.

    None where fewer than three in four do. Of equally good starts, the one nearest to `wanted`."""
    low = max(0, low)
    if high < low or not counts.sum():
        return None
    total = int(counts.sum())
    sums = np.zeros(high - low + total + 1, dtype=np.int64)
    np.cumsum(instrument.codes(low, high + total), dtype=np.int64, out=sums[1:])
    starts = np.arange(high - low + 1)
    hits = np.zeros(len(starts), dtype=np.int64)
    at = 0
    for count, average in zip(counts.tolist(), averages.tolist(), strict=True):
        if count:
            run = sums[at + count : at + count + len(starts)] - sums[at : at + len(starts)]
            hits += (run // count == average) | ((2 * run + count) // (2 * count) == average)
        at += count
    best = int(hits.max())
    if 4 * best < 3 * int((counts > 0).sum()):
        return None
    candidates = low + starts[hits == best]
    return int(candidates[np.argmin(np.abs(candidates - wanted))])
