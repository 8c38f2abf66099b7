"""Absorption events: high-energy particles thicken the lower ionosphere and the cosmic noise dims.

Each UTC day of a site has its own few events, drawn from (seed, day) alone, so that any moment can
be computed without the days before it. One day is fixed instead: Dawson, 2006-01-17, on which the
byte counts of "Riometer data flow", 2006, were measured; our generator's noise is calibrated there.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fieldproof_contract import SECOND_NS
from fieldproof_simulators.instruments.sky import DAY_S, Floats, bell, cosine
from fieldproof_simulators.streams import child_seed, splitmix64

PULSATION_S = 180.0
PULSATION_DEPTH = 0.25
_REACH_SIGMAS = 6  # the bell is zero from 5.7 on


class AbsorptionEvent(NamedTuple):
    """A bell in time."""

    peak_s: int  # after the day's midnight, UTC
    sigma_s: int
    depth_mdb: int


DAWSON_2006_01_17 = (
    AbsorptionEvent(peak_s=40_680, sigma_s=432, depth_mdb=2_500),
    AbsorptionEvent(peak_s=44_640, sigma_s=1_800, depth_mdb=900),
    AbsorptionEvent(peak_s=54_720, sigma_s=900, depth_mdb=1_000),
    AbsorptionEvent(peak_s=66_240, sigma_s=432, depth_mdb=3_000),
)
_FIXED = {("daws", 13_165): DAWSON_2006_01_17}  # days since 1970


def events_of(site: str, seed: int, day: int) -> tuple[AbsorptionEvent, ...]:
    """The events of a UTC day (days since 1970), none to four of them: 1 to 3.4 dB, between half
    depths 10 to 90 minutes, mostly in the morning. Our assumption, after published days."""
    if (site, day) in _FIXED:
        return _FIXED[site, day]
    day_seed = child_seed(seed, f"absorption:{day}")
    return tuple(_drawn(day_seed, n) for n in range(splitmix64(day_seed) % 5))


def _drawn(day_seed: int, n: int) -> AbsorptionEvent:
    time, width, depth = (splitmix64(day_seed + 3 * n + part) for part in (1, 2, 3))
    # The sum of two uniforms, 05 to 21 UT: morning and noon in western and central Canada.
    peak_s = 18_000 + time % 28_800 + (time >> 32) % 28_800
    return AbsorptionEvent(peak_s, sigma_s=255 + width % 2_038, depth_mdb=1_000 + depth % 2_401)


def absorption_mdb(site: str, seed: int, utc_ns: NDArray[np.int64]) -> Floats:
    """How much the sky is dimmed at each of the increasing times, 0 or more."""
    utc_s = (utc_ns // SECOND_NS).astype(np.float64)
    total = np.zeros_like(utc_s)
    first_day, last_day = (int(edge_ns) // (DAY_S * SECOND_NS) for edge_ns in utc_ns[[0, -1]])
    for day in range(first_day - 1, last_day + 2):  # a bell may reach over midnight
        for event in events_of(site, seed, day):
            peak_s = float(day * DAY_S + event.peak_s)
            reach_s = _REACH_SIGMAS * event.sigma_s
            low, high = np.searchsorted(utc_s, [peak_s - reach_s, peak_s + reach_s])
            z = (utc_s[low:high] - peak_s) / float(event.sigma_s)
            total[low:high] += event.depth_mdb * bell(z)
    return total * (1.0 + PULSATION_DEPTH * cosine(utc_s / PULSATION_S))
