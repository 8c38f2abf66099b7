"""A day as curves: what the minutes are, when the sky is quiet, and how deep an absorption is."""

import random
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldproof_reference.center import curves
from fieldproof_reference.formats import xrio

DAY = 13_165  # 2006-01-17
FIRST_S = DAY * 86_400


def record(first_s, codes, counts=None):
    """A record of these averages."""
    counts = counts or [60] * len(codes)
    return xrio.pack(b"DAWS", first_s, xrio.pack_points(codes, [0] * len(codes), counts))


def by_hand(records):
    """Mean, lowest and highest volts by minute, one point after the other."""
    seconds = {}
    for one in records:
        values = struct.unpack_from(f"<{(len(one) - 20) // 2}H", one, 20)
        for index, (code, count) in enumerate(zip(values[::3], values[2::3], strict=True)):
            minute = (xrio.timestamp_s(one) + index - FIRST_S) // 60
            if count and 0 <= minute < 1440:
                seconds.setdefault(minute, []).append((code + 0.5) / 4096 * 20 - 10)
    return {at: (sum(v) / len(v), min(v), max(v)) for at, v in seconds.items()}


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.integers(1, 40))
def test_minutes_are_those_of_a_slow_reader(seed, number):
    """Every second counts in its own minute of the day, and in no other, and one without samples
    counts nowhere."""
    source = random.Random(seed)
    records = [
        record(
            FIRST_S + source.randrange(-90, 86_400 + 30),
            [source.randrange(4096) for _ in range(size)],
            [source.choice((0, 59, 60, 61)) for _ in range(size)],
        )
        for size in (source.choice((1, 59, 60, 75)) for _ in range(number))
    ]
    expected = by_hand(records)
    found = curves.minutes(records, DAY)
    for curve, index in zip(found, range(3), strict=True):
        assert set(expected) == set(np.flatnonzero(np.isfinite(curve)))
        for minute, values in expected.items():
            assert values[index] == pytest.approx(curve[minute], abs=1e-9)


def sky(day, depth=0.0):
    """What a sky gives that is a function of sidereal time alone, as the IERS has its turning."""
    minutes = (np.arange(1440) + 0.5) / 1440
    turns = (day + minutes) * 1.002737909350795
    return 3 + 0.9 * np.cos(2 * np.pi * turns) + 0.25 * np.cos(4 * np.pi * turns + 1) - depth


def test_the_quiet_day_follows_the_stars():
    """The curve of days before is that of the day to come, four minutes a day earlier; by the sun's
    time it would be 0.1 V off after ten days."""
    days = [(day, sky(day)) for day in range(DAY - 14, DAY)]
    later = DAY + 10
    quiet = curves.quiet_day(days, later)
    assert np.abs(quiet - sky(later)).max() < 0.01
    assert np.abs(sky(later) - sky(DAY)).max() > 0.1


def test_neither_absorption_nor_one_burst_makes_a_quiet_day():
    """Days with deep absorption and a day of interference leave the curve where it is."""
    days = [(day, sky(day)) for day in range(DAY - 14, DAY)]
    days = [(day, c - 1.0 if day % 3 == 0 else c) for day, c in days]  # a third of them: absorbed
    days[5] = (days[5][0], days[5][1] + 3.0)
    assert np.abs(curves.quiet_day(days, DAY) - sky(DAY)).max() < 0.01


def test_holes_in_days_are_bridged():
    """Where some days have nothing the others stand in; where no day has, the neighbours do."""
    days = [(day, sky(day)) for day in range(DAY - 14, DAY)]
    for index, (_, curve) in enumerate(days):
        curve[100 * index : 100 * index + 200] = np.nan
        curve[700:710] = np.nan
    assert np.abs(curves.quiet_day(days, DAY) - sky(DAY)).max() < 0.02


@pytest.mark.parametrize("number", range(curves.FEWEST_QUIET_DAYS))
def test_few_days_make_no_quiet_day(number):
    """No curve is better than one of days that were not quiet; days without data are no days."""
    empty = np.full(1440, np.nan)
    days = [(DAY - 1 - back, sky(DAY - 1 - back)) for back in range(number)]
    assert curves.quiet_day([*days, (DAY - 9, empty), (DAY - 8, empty)], DAY) is None


def test_a_sky_seen_by_halves_makes_no_quiet_day():
    """Where less than half of the sky was ever seen there is no curve."""
    days = [(day, sky(day)) for day in range(DAY - 14, DAY)]
    for _, curve in days:
        curve[600:] = np.nan
    assert curves.quiet_day(days, DAY) is None


def test_absorption_is_what_the_law_says():
    """Just below full scale half the power is 3.01 dB, for volts go as power to 0.41; and neither
    more volts than on a quiet day nor missing ones are an absorption."""
    quiet = np.full(1440, 7.5)
    volts = quiet.copy()
    volts[1], volts[2], volts[3] = 7.5 * 0.5**0.41, 7.4, np.nan
    quiet[2] = 7.0
    depth = curves.absorption(volts, quiet)
    assert 0.0 == depth[0]
    assert 10 * np.log10(2) == pytest.approx(depth[1], abs=1e-6)
    assert 0.0 == depth[2]
    assert np.isnan(depth[3])


PUBLISHED = (
    (0.0, 1.948739), (-5.0, 1.216), (-10.0, 0.791), (-15.0, 0.542), (-20.0, 0.371), (-25.0, 0.269),
    (-30.0, 0.219387),
)  # fmt: skip
"""Power below the upper end in dB, and volts: of the calibration of the Lancaster riometers."""


def test_the_law_is_that_of_a_real_riometer():
    """Scaled to 7.5 V at its upper end, the published calibration is met within 0.1 dB."""
    volts = np.full(1440, 7.5)
    for index, (_, measured) in enumerate(PUBLISHED):
        volts[index] = measured / PUBLISHED[0][1] * 7.5
    depth = curves.absorption(volts, np.full(1440, 7.5))
    for index, (power_db, _) in enumerate(PUBLISHED):
        assert -power_db == pytest.approx(depth[index], abs=0.1)
