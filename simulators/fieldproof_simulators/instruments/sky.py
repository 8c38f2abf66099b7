"""What the sky sends to a riometer: cosmic noise that turns with the stars, less absorption.

Floats serve the sky alone (this file and absorption.py), and only in + - * / and floor, one ufunc
at a time: these are exact to the last bit by IEEE 754, whereas sin, exp and interp differ between
CPUs and numpy builds. The riometer rounds the results down to integers before it goes on.
"""

import math

import numpy as np
from numpy.typing import NDArray

from fieldproof_contract import SECOND_NS
from fieldproof_simulators.streams import words_at

Floats = NDArray[np.float64]

DAY_S = 86_400
_J2000_UNIX_S = 946_728_000  # 2000-01-01 12:00 UTC

SCINTILLATION_PPM = 10_000  # of the signal, standard deviation; our assumption
_SCINTILLATION_KNOTS = 80  # from one drawn value to the next, 11 minutes
_FOUR_UNIFORMS_SD = 65_536 / math.sqrt(3)  # of the sum of four uniform 16 bit numbers
_INTERPOLATED = math.sqrt(2 / 3)  # what linear interpolation leaves of the standard deviation


def _cosine_terms(count: int) -> tuple[float, ...]:
    """Coefficients of cos(2 pi x) in powers of x**2, without a power function."""
    terms = [1.0]
    for n in range(1, count):
        terms.append(-terms[-1] * (2 * math.pi) * (2 * math.pi) / (2 * n * (2 * n - 1)))
    return tuple(terms)


_COSINE_TERMS = _cosine_terms(11)


def cosine(turns: Floats) -> Floats:
    """cos(2 pi turns) by its series about the nearest whole turn; the error is below 1e-9."""
    part = turns - np.floor(turns + 0.5)
    square = part * part
    total = np.zeros_like(square)
    for term in reversed(_COSINE_TERMS):
        total = total * square + term
    return total


def bell(z: Floats) -> Floats:
    """Nearly exp(-z**2 / 2), by (1 - z**2 / 32)**16; zero from |z| = sqrt(32) outwards."""
    power = np.maximum(0.0, 1.0 - z * z / 32.0)
    for _ in range(4):
        power = power * power
    return power


def sidereal_hours(utc_ns: NDArray[np.int64], longitude_deg: float) -> Floats:
    """Local mean sidereal time in hours, not reduced to 0..24; gains 236 s a day."""
    days = (utc_ns // SECOND_NS - _J2000_UNIX_S).astype(np.float64) / DAY_S
    return 18.697374558 + 24.06570982441908 * days + longitude_deg / 15.0


def quiet_day_volts(utc_ns: NDArray[np.int64], longitude_deg: float) -> Floats:
    """Detector output with nothing in the way: two harmonics of the sidereal day, 2.2 to 4.1 V.

    The coefficients are those that the calibrated day was made with (our assumption)."""
    hours = sidereal_hours(utc_ns, longitude_deg)
    daily = cosine((hours - 18.5) / 24.0)
    half_daily = cosine((hours - 5.0) / 12.0)
    return 3.0 + 0.9 * daily + 0.25 * half_daily


def scintillation(seed: int, knots: NDArray[np.int64]) -> Floats:
    """Slow relative fluctuation of the signal at each knot of the level."""
    node, part = knots // _SCINTILLATION_KNOTS, knots % _SCINTILLATION_KNOTS
    here, there = _near_gaussian(seed, node), _near_gaussian(seed, node + 1)
    mixed: NDArray[np.int64] = here * (_SCINTILLATION_KNOTS - part) + there * part
    scale = SCINTILLATION_PPM / 1e6 / (_FOUR_UNIFORMS_SD * _INTERPOLATED * _SCINTILLATION_KNOTS)
    return mixed.astype(np.float64) * scale


def _near_gaussian(seed: int, index: NDArray[np.int64]) -> NDArray[np.int64]:
    """Centred sums of four 16 bit uniforms."""
    words = words_at(seed, index)
    total = (words & 0xFFFF) + (words >> 16 & 0xFFFF) + (words >> 32 & 0xFFFF) + (words >> 48)
    centred: NDArray[np.int64] = total.astype(np.int64) - 2 * 0xFFFF
    return centred
