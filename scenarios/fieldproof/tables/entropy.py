"""How few bytes would do: an estimate of what is new in some records, if the rest is known.

The points' columns are taken as differences from the point before (averages) and as they are
(ranges, numbers of samples); each value then costs what its share among the values of its column in
the same hour says, in bits (Shannon, 1948): noise changes with the signal over the day. The shares
themselves, headers, times and digests are not counted: a coder that looks at one value at a time
comes near it, and hardly under.
"""

import numpy as np
from numpy.typing import NDArray

HOUR_POINTS = 3600


def least_bytes(points: NDArray[np.void], lacking: NDArray[np.bool_]) -> float:
    """For those of the points (dtype `oracle.xrio.POINT`, in order) that somebody lacks."""
    averages = points["average"].astype(np.int64)
    columns = np.diff(averages, prepend=averages[:1]), points["range"], points["npoints"]
    hours = range(0, len(points), HOUR_POINTS)
    return (
        sum(
            _bits(column[at : at + HOUR_POINTS], lacking[at : at + HOUR_POINTS])
            for column in columns
            for at in hours
        )
        / 8
    )


def _bits(column: NDArray[np.integer], lacking: NDArray[np.bool_]) -> float:
    _, places, counts = np.unique(column, return_inverse=True, return_counts=True)
    return float(-np.log2(counts[places[lacking]] / len(column)).sum())
