"""The detector's law: noise power in, volts out, and back.

Power is in thousandths of a decibel below the power that gives full scale, 7.5 V. NORSTAR's own law
is unknown, so the law can be exchanged: `DETECTOR` has the shape published for another riometer,
`LINEAR` makes volts proportional to power. A law is a table of integers at every tenth of a
decibel with integer interpolation between, because the last bit of a power function differs from
CPU to CPU.
"""

import math
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FULL_SCALE_UV = 7_500_000  # the detector's upper limit (riometer data flow, 2006)
_STEP_MDB = 100


class VoltageLaw(Protocol):
    """What the riometer asks of a law; both directions are monotone and clamp at their ends."""

    def microvolts(self, power_mdb: NDArray[np.int64]) -> NDArray[np.int64]:
        """Detector output for a power, `FULL_SCALE_UV` at 0 mdB and above."""

    def power_mdb(self, microvolts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Power, 0 or negative, that gives this detector output."""


class PowerLaw:
    """Volts as power to an exponent that changes over the range.

    `ranges` are (width in whole dB, exponent), from full scale downwards; below the last the output
    stays at its floor."""

    def __init__(self, *ranges: tuple[int, float]) -> None:
        exponents = [exponent for width_db, exponent in ranges for _ in range(width_db * 10)]
        decades = 0.0
        column_uv = [FULL_SCALE_UV]
        for exponent in exponents:
            decades -= exponent * _STEP_MDB / 10_000
            column_uv.append(round(FULL_SCALE_UV * math.pow(10, decades)))
        self._microvolts = np.array(column_uv[::-1], dtype=np.int64)
        self._power_mdb = np.arange(-_STEP_MDB * len(exponents), 1, _STEP_MDB, dtype=np.int64)

    def microvolts(self, power_mdb: NDArray[np.int64]) -> NDArray[np.int64]:
        """Detector output for a power, `FULL_SCALE_UV` at 0 mdB and above."""
        return _interpolate(power_mdb, self._power_mdb, self._microvolts)

    def power_mdb(self, microvolts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Power, 0 or negative, that gives this detector output."""
        return _interpolate(microvolts, self._microvolts, self._power_mdb)


def _interpolate(
    x: NDArray[np.int64], xs: NDArray[np.int64], ys: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Linear interpolation in increasing tables, rounded down, clamped at both ends."""
    inside = np.clip(x, xs[0], xs[-1])
    left = np.minimum(np.searchsorted(xs, inside, side="right"), len(xs) - 1) - 1
    rise, run = ys[left + 1] - ys[left], xs[left + 1] - xs[left]
    between: NDArray[np.int64] = ys[left] + (inside - xs[left]) * rise // run
    return between


DETECTOR: VoltageLaw = PowerLaw((5, 0.41), (5, 0.37), (10, 0.33), (5, 0.28), (5, 0.18))
"""Local exponents of a riometer detector of Lancaster University (auroraplot), stretched so that
the top of its 30 dB is 7.5 V. Our assumption for NORSTAR."""

LINEAR: VoltageLaw = PowerLaw((30, 1.0))
"""Volts proportional to power, as published for the Casey riometer."""
