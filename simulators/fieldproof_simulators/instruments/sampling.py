"""When a riometer's A/D converts: a 60 Hz clock that drifts, and a jitter on every sample.

Theory of operation. The nominal instant of sample k is exact integer arithmetic from an anchor:
`anchor_ns + (k - first) * sixty_ns // 60`, where sixty_ns is what 60 intervals take. A rate segment
anchors at the first nominal instant at or after its start, so that no interval is cut short. The
jitter of sample k is a hash of k, bounded to less than a twentieth of an interval. Hence

1. instants strictly increase, and
2. the first sample at or after t is the first whose nominal instant is t - JITTER_NS or later, or
   the one after it: no search is needed.

One expression serves the scalar and the array form, so that they cannot disagree.
"""

from bisect import bisect_right
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from fieldproof_contract import SECOND_NS
from fieldproof_simulators.streams import child_seed, splitmix64, words_at

SAMPLE_RATE_HZ = 60  # riometer data flow, 2006
JITTER_NS = 692_820  # half width of a uniform jitter with a standard deviation of 0.4 ms
_MAX_DRIFT_PPB = 100_000_000  # 10 %: an interval stays far longer than the jitter

Integers = TypeVar("Integers", int, NDArray[np.int64])


class RateSegment(NamedTuple):
    """From a true time on, the sampling clock is fast by `drift_ppb` parts in 10**9."""

    from_ns: int  # true time
    drift_ppb: int  # positive: sixty intervals are shorter than one second by so many ns


DEFAULT_SEGMENTS = (RateSegment(from_ns=0, drift_ppb=50_000),)


class _Anchor(NamedTuple):
    """Sample `first` is nominally at `at_ns`; sixty intervals take `sixty_ns` from there on."""

    first: int
    at_ns: int
    sixty_ns: int


def _nominal(k: Integers, first: Integers, at_ns: Integers, sixty_ns: Integers) -> Integers:
    return at_ns + (k - first) * sixty_ns // SAMPLE_RATE_HZ


def _first_nominal(
    from_ns: Integers, first: Integers, at_ns: Integers, sixty_ns: Integers
) -> Integers:
    """The smallest k with a nominal instant of `from_ns` or later (a ceiling division)."""
    return first - (at_ns - from_ns) * SAMPLE_RATE_HZ // sixty_ns


class SamplingClock:
    """The instants of all samples as a function of (seed, rate segments).

    Sample 0 is within two intervals of true time 0, at a phase drawn from the seed. Raises
    ValueError where the segments do not start at 0 or do not increase."""

    def __init__(self, seed: int, segments: tuple[RateSegment, ...]) -> None:
        _check(segments)
        self._jitter_seed = child_seed(seed, "jitter")
        phase_ns = child_seed(seed, "phase") % (SECOND_NS // SAMPLE_RATE_HZ)
        anchors = [_Anchor(0, JITTER_NS + phase_ns, SECOND_NS - segments[0].drift_ppb)]
        for segment in segments[1:]:
            first = _first_nominal(segment.from_ns, *anchors[-1])
            at_ns = _nominal(first, *anchors[-1])
            anchors.append(_Anchor(first, at_ns, SECOND_NS - segment.drift_ppb))
        self._anchors = tuple(anchors)
        self._columns = np.array(anchors, dtype=np.int64).T

    def instant_ns(self, k: int) -> int:
        """True time of sample k's conversion."""
        anchor = self._anchors[max(0, bisect_right(self._anchors, k, key=_first) - 1)]
        word = splitmix64(self._jitter_seed + k)
        return _nominal(k, *anchor) + ((word >> 32) * (2 * JITTER_NS) >> 32) - JITTER_NS

    def instants_ns(self, k: NDArray[np.int64]) -> NDArray[np.int64]:
        """True times of the conversions of samples k."""
        delays_ns = ((words_at(self._jitter_seed, k) >> 32) * (2 * JITTER_NS) >> 32).astype(
            np.int64
        )
        return self.nominal_ns(k) + delays_ns - JITTER_NS

    def nominal_ns(self, k: NDArray[np.int64]) -> NDArray[np.int64]:
        """True times of samples k without their jitter."""
        return _nominal(k, *self._anchors_of(k, self._columns[0]))

    def first_at(self, true_ns: int) -> int:
        """The smallest k >= 0 with `instant_ns(k) >= true_ns`."""
        from_ns = true_ns - JITTER_NS
        anchor = self._anchors[max(0, bisect_right(self._anchors, from_ns, key=_at_ns) - 1)]
        k = max(0, _first_nominal(from_ns, *anchor))
        return k + (self.instant_ns(k) < true_ns)

    def firsts_at(self, true_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """`first_at` of many times at once."""
        from_ns = true_ns - JITTER_NS
        k = np.maximum(0, _first_nominal(from_ns, *self._anchors_of(from_ns, self._columns[1])))
        return k + (self.instants_ns(k) < true_ns)

    def _anchors_of(
        self, values: NDArray[np.int64], starts: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """The columns of `_Anchor` that govern each value, by the last start at or before it."""
        rows = np.maximum(0, np.searchsorted(starts, values, side="right") - 1)
        first, at_ns, sixty_ns = self._columns[:, rows]
        return first, at_ns, sixty_ns


def _first(anchor: _Anchor) -> int:
    return anchor.first


def _at_ns(anchor: _Anchor) -> int:
    return anchor.at_ns


def _check(segments: tuple[RateSegment, ...]) -> None:
    starts = [segment.from_ns for segment in segments]
    if not starts or starts[0] != 0 or any(a >= b for a, b in pairwise(starts)):
        raise ValueError(
            f"the sampling clock's rate segments start at {starts} ns: "
            "give one from 0 and the others at later and later times"
        )
    for segment in segments:
        if abs(segment.drift_ppb) > _MAX_DRIFT_PPB:
            raise ValueError(
                f"the sampling clock's drift from {segment.from_ns} ns is {segment.drift_ppb} ppb: "
                f"stay within {_MAX_DRIFT_PPB}"
            )
