"""Outages as intervals, and the loss record of December 2005 that they were fitted to."""

from itertools import pairwise
from statistics import median

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldproof_contract import SECOND_NS
from fieldproof_simulators.links.outages import DECEMBER_2005, Outages, intervals

SEEDS = st.integers(0, 2**64 - 1)
HOUR_NS = 3_600 * SECOND_NS
OFTEN = Outages(up_mean_s=600, down_mean_s=60)


@given(SEEDS, st.integers(-(10**18), 2 * 10**18))
def test_outages_are_apart_in_order_and_inside(seed, from_ns):
    """Each begins after the one before ended, and none begins before or ends after the window."""
    found = intervals(OFTEN, seed, from_ns, from_ns + HOUR_NS)
    times_ns = [from_ns, *(time_ns for interval in found for time_ns in interval)]
    assert all(earlier < later for earlier, later in pairwise(times_ns))
    assert from_ns + HOUR_NS >= times_ns[-1]


@given(SEEDS, st.integers(0, HOUR_NS))
def test_a_longer_window_only_adds_outages(seed, shorter_ns):
    """A window cut short holds the outages of the long one, cut off at its end."""
    assert intervals(OFTEN, seed, 0, shorter_ns) == tuple(
        (begin_ns, min(end_ns, shorter_ns))
        for begin_ns, end_ns in intervals(OFTEN, seed, 0, HOUR_NS)
        if begin_ns < shorter_ns
    )


def test_means_are_those_asked_for():
    """Over 20,000 outages the mean times up and down are within 3 % (4 deviations)."""
    found = intervals(OFTEN, 1, 0, 20_000 * 660 * SECOND_NS)
    down_s = [(end_ns - begin_ns) / SECOND_NS for begin_ns, end_ns in found]
    up_s = [(later[0] - sooner[1]) / SECOND_NS for sooner, later in pairwise(found)]
    assert OFTEN.down_mean_s == pytest.approx(sum(down_s) / len(down_s), rel=0.03)
    assert OFTEN.up_mean_s == pytest.approx(sum(up_s) / len(up_s), rel=0.03)


def test_the_cause_names_the_stream():
    """With one seed, a center and a link still fail at different times."""
    assert intervals(OFTEN, 1, 0, HOUR_NS) == intervals(OFTEN, 1, 0, HOUR_NS)
    center = Outages(OFTEN.up_mean_s, OFTEN.down_mean_s, "center")
    assert intervals(center, 1, 0, HOUR_NS) != intervals(OFTEN, 1, 0, HOUR_NS)


def test_intervals_are_pinned():
    """A seed's outages stay the same nanoseconds on every processor and in every release."""
    pinned = (
        (255_498_158_793_641, 258_173_139_874_139),
        (390_373_589_246_995, 393_091_792_234_939),
        (1_133_709_697_107_130, 1_134_973_169_264_435),
        (1_199_246_298_736_020, 1_199_387_647_067_996),
        (1_240_197_815_360_395, 1_242_608_593_058_726),
        (2_263_116_035_919_518, 2_263_180_545_295_974),
    )
    assert pinned == intervals(DECEMBER_2005, 200512, 0, 31 * 24 * HOUR_NS)


@pytest.mark.parametrize(
    ("up_mean_s", "down_mean_s", "name"), [(0, 1, "up"), (1, -1, "down"), (1, float("nan"), "down")]
)
def test_a_mean_that_is_no_time_is_refused(up_mean_s, down_mean_s, name):
    """Means are above 0 seconds."""
    with pytest.raises(ValueError, match=rf"Outages\.{name}_mean_s is .*: give seconds above 0"):
        Outages(up_mean_s, down_mean_s)


def missing_per_day(month: int) -> np.ndarray:
    """One simulated December: of a packet each minute, 0.11 % at random and all during outages."""
    missing = np.random.default_rng(month).random(31 * 1_440) < 0.0011
    for begin_ns, end_ns in intervals(DECEMBER_2005, month, 0, 31 * 24 * HOUR_NS):
        first, after = (-(-time_ns // (60 * SECOND_NS)) for time_ns in (begin_ns, end_ns))
        missing[first:after] = True
    return missing.reshape(31, 1_440).sum(axis=1)


def test_december_2005_is_an_ordinary_draw():
    """Over 600 months: 0.26 to 0.34 % lost, as clustered by day as the record (dispersion 10.5)."""
    months = [missing_per_day(month) for month in range(600)]
    assert 0.26 <= 100 * np.mean(months) / 1_440 <= 0.34
    assert 8 <= median(np.var(days, ddof=1) / np.mean(days) for days in months) <= 25
