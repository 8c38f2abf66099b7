"""A riometer's day as curves: volts by the minute, the quiet day, absorption. Pure; needs numpy.

    records of the day ----> seconds ----> minutes (mean, lowest, highest second)
    minutes of 14 days ----> by sidereal time, the mean of the second and third highest
                       ----> smooth: the first 20 harmonics -----------------> quiet-day curve
    minutes, quiet day ----> through the detector's law ---------------------> absorption, dB

The sky turns once in a sidereal day, 3 min 56 s less than a day: the quiet-day curve is a function
of sidereal time (spec of the riometer, section 13). Two of the lowest and the one highest value do
not count, so neither absorption nor an interference makes a quiet day.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from fieldproof_reference.formats import xrio
from fieldproof_reference.formats.days import DAY_S

Curve = NDArray[np.float64]
"""A value for each of `MINUTES`; NaN where there is none."""

MINUTES = 1440
FEWEST_QUIET_DAYS = 4
"""Our assumption: with fewer, the third highest value is the lowest or nearly so."""

HARMONICS = 20
DAY_SIDEREAL = 1.002737909350795
"""Turns of the sky in a day of 86 400 s (IERS conventions)."""

MOST_DB = 30.0
_RANGES = ((5, 0.41), (5, 0.37), (10, 0.33), (5, 0.28), (5, 0.18))
"""From full scale downwards: width in dB, and the exponent of volts against power there. NORSTAR's
own law is unknown; these are of the law published for the Lancaster riometers."""

FULL_SCALE_V = 7.5


def minutes(records: Iterable[bytes], day: int) -> tuple[Curve, Curve, Curve]:
    """Mean, lowest and highest second of each minute of a UTC day (counted from 1970), volts.

    A record's points are a second apart, from its timestamp on. Points of other days, and points
    without samples, do not count."""
    seconds: list[NDArray[np.int64]] = []
    codes: list[NDArray[np.int64]] = []
    for record in records:
        points = np.frombuffer(record, "<u2", offset=xrio.HEADER_BYTES).reshape(-1, 3)
        first_s = xrio.timestamp_s(record) - day * DAY_S
        counted = points[:, 2] > 0
        seconds.append(first_s + np.flatnonzero(counted))
        codes.append(points[counted, 0].astype(np.int64))
    mean, low, high = (np.full(MINUTES, np.nan) for _ in range(3))
    if not seconds:
        return mean, low, high
    second, code = np.concatenate(seconds), np.concatenate(codes)
    here = (second >= 0) & (second < DAY_S)
    minute, code = second[here] // 60, code[here]
    order = np.argsort(minute, kind="stable")
    found, begins = np.unique(minute[order], return_index=True)
    if len(found):
        sorted_codes = code[order]
        count = np.diff([*begins, len(sorted_codes)])
        mean[found] = _volts(np.add.reduceat(sorted_codes, begins) / count)
        low[found] = _volts(np.minimum.reduceat(sorted_codes, begins))
        high[found] = _volts(np.maximum.reduceat(sorted_codes, begins))
    return mean, low, high


def quiet_day(days: Sequence[tuple[int, Curve]], of: int) -> Curve | None:
    """What the quiet sky gives in each minute of day `of`, volts; `days` are days with their mean
    minutes. None where fewer than `FEWEST_QUIET_DAYS` have anything, or half the sky is unseen."""
    seen = [(day, curve) for day, curve in days if np.isfinite(curve).any()]
    if len(seen) < FEWEST_QUIET_DAYS:
        return None
    table = np.full((len(seen), MINUTES), np.nan)
    for row, (day, curve) in zip(table, seen, strict=True):
        row[_sidereal_minutes(day)] = curve
    count = np.isfinite(table).sum(axis=0)
    known = count >= FEWEST_QUIET_DAYS - 1
    if known.sum() < MINUTES // 2:
        return None
    highest = -np.sort(-table, axis=0)  # NaN last
    places = np.flatnonzero(known)
    raw = np.interp(np.arange(MINUTES), places, highest[1:3, places].mean(axis=0), period=MINUTES)
    waves = np.fft.rfft(raw)
    waves[HARMONICS + 1 :] = 0
    smooth: Curve = np.fft.irfft(waves, MINUTES)
    return smooth[_sidereal_minutes(of)]


def absorption(volts: Curve, quiet: Curve) -> Curve:
    """How far below the quiet day each minute is, dB; not below 0, as the K2 files have it."""
    with np.errstate(invalid="ignore"):
        return np.clip(_decibels(quiet) - _decibels(volts), 0.0, MOST_DB)


def _volts(codes: NDArray[np.int64] | Curve) -> Curve:
    return (codes + 0.5) / 4096 * 20 - 10


def _sidereal_minutes(day: int) -> NDArray[np.int64]:
    """For each minute of a day the minute of the sidereal day, from a common zero."""
    turns = (day + (np.arange(MINUTES) + 0.5) / MINUTES) * DAY_SIDEREAL
    return np.floor((turns % 1.0) * MINUTES).astype(np.int64)


def _law() -> tuple[Curve, Curve]:
    """The detector's law as a table: volts, rising, and power below full scale in dB."""
    power_db, volts = [0.0], [FULL_SCALE_V]
    for width_db, exponent in _RANGES:
        power_db.append(power_db[-1] - width_db)
        volts.append(volts[-1] * 10 ** (-width_db * exponent / 10))
    return np.array(volts[::-1]), np.array(power_db[::-1])


_LAW_V, _LAW_DB = _law()


def _decibels(volts: Curve) -> Curve:
    """Power below full scale; the logarithm is linear in each range of the law."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Curve = np.interp(np.log(volts), np.log(_LAW_V), _LAW_DB)
    found[~np.isfinite(volts) | (volts <= 0)] = np.nan
    return found
