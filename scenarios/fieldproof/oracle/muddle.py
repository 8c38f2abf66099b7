"""Points of seconds in which a serial line was bad: an honest edge made of it what it could.

The laws:

1. Such points are not compared with samples: bytes were lost, bent, or glued together.
2. What lies between the clear points before and behind them is either in these points, as many
   samples as they claim, or lost. If they claim more than there is, the rest is invented or used
   again, and counts as that.
3. Lost samples are taken to be missing where the windows of the faults are and points hold less
   than their second has; then elsewhere in the windows; then wherever points hold less. So what is
   missing beyond the windows is outside of them, and nobody excuses it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fieldproof.oracle.clock import SECOND_NS, Integers


class Stretch(NamedTuple):
    """Samples [first, last) between the clear points on either side."""

    first: int
    last: int


def touched(label_ns: Integers, windows_ns: Sequence[tuple[int, int]]) -> np.ndarray:
    """Which seconds that begin at these times share an instant with a window [from, until)."""
    is_touched = np.zeros(len(label_ns), dtype=bool)
    for from_ns, until_ns in windows_ns:
        is_touched |= (label_ns + SECOND_NS > from_ns) & (label_ns < until_ns)
    return is_touched


def lost(
    stretch: Stretch,
    counts: Integers,
    seconds: Integers,
    windows: Sequence[tuple[int, int]],
) -> tuple[tuple[int, int], ...]:
    """Where samples of a stretch are missing, by law 3, as [first, last).

    `counts` are the samples that points claim, `seconds` those with which their seconds begin, and
    the one with which the second behind the last begins. `windows` are samples, too."""
    size = stretch.last - stretch.first
    left = size - int(counts.sum())
    if left <= 0:
        return ()
    rank = np.full(size, 3)
    begins = (seconds - stretch.first).clip(0, size)
    begins[-1] = size
    for count, first, last in zip(counts, begins[:-1], begins[1:], strict=True):
        rank[first + count : last] = 2  # held less than its second has
    for first, last in windows:
        rank[max(0, first - stretch.first) : max(0, last - stretch.first)] %= 2
    # Of equals the latest: what was heard late was there, so what came first is not missing.
    chosen = np.lexsort((-np.arange(size), rank))[:left]
    is_lost = np.zeros(size, dtype=np.int8)
    is_lost[chosen] = 1
    edges = np.flatnonzero(np.diff(np.concatenate(([0], is_lost, [0]))))
    ends = (edges + stretch.first).tolist()
    return tuple(zip(ends[::2], ends[1::2], strict=True))


def allotted(stretch: Stretch, claimed: int, missing: Sequence[tuple[int, int]]) -> Integers:
    """The samples that points hold which claim `claimed`: those that are not missing, in order;
    what they claim beyond is the last sample once more."""
    samples = np.arange(stretch.first, stretch.last)
    for first, last in missing:
        samples = samples[(samples < first) | (samples >= last)]
    held: Integers = np.full(claimed, max(stretch.first, stretch.last - 1), dtype=np.int64)
    held[: len(samples)] = samples[:claimed]
    return held
