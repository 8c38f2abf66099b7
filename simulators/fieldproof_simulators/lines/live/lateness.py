"""How late words were: a histogram with steps of 1/16 octave, so that a run of any length fits."""

import numpy as np
from numpy.typing import NDArray

_PER_OCTAVE = 16
_BUCKETS = 40 * _PER_OCTAVE  # 1 us to 12 days


class Lateness:
    """Collects lateness in microseconds: `add` is called for every word and is cheap."""

    def __init__(self) -> None:
        self._fresh: list[int] = []
        self._counts: NDArray[np.int64] = np.zeros(_BUCKETS, dtype=np.int64)
        self._max_us = 0
        self.add = self._fresh.append

    def fold(self) -> None:
        """Put what was added into the histogram; to be called now and then."""
        if not self._fresh:
            return
        late_us = np.array(self._fresh, dtype=np.int64)
        self._fresh.clear()
        self._max_us = max(self._max_us, int(late_us.max()))
        steps = np.log2(np.maximum(late_us, 1)) * _PER_OCTAVE
        buckets = np.minimum(steps.astype(np.int64), _BUCKETS - 1)
        self._counts += np.bincount(buckets, minlength=_BUCKETS)

    def percentile_ms(self, percent: float) -> float:
        """At most so late was this part of what was folded; within 4.5 %, and 0 for nothing."""
        total = int(self._counts.sum())
        if not total:
            return 0.0
        bucket = int(np.searchsorted(np.cumsum(self._counts), total * percent / 100))
        upper_us = 2 ** ((bucket + 1) / _PER_OCTAVE)
        return round(min(upper_us, self._max_us) / 1000, 3)

    @property
    def max_ms(self) -> float:
        """The latest of what was folded."""
        return round(self._max_us / 1000, 3)
