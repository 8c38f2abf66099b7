"""Where samples are missing that a bad line may have cost: every one has exactly one place."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldproof.oracle.muddle import Stretch, allotted, lost, touched

RATE = 60
COUNTS = st.lists(st.integers(0, 70), min_size=1, max_size=8)
WINDOWS = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), max_size=3)


def seconds_of(counts, first=100):
    """The samples with which the seconds of these points begin, and the next one."""
    return np.arange(len(counts) + 1) * RATE + first


def missing(spans):
    """The samples of some spans, each as often as it is named."""
    return [sample for first, last in spans for sample in range(first, last)]


@given(COUNTS, WINDOWS, st.integers(-20, 20))
def test_every_sample_of_a_stretch_is_held_or_missing(counts, windows, more):
    """Each is in one place and no sample from elsewhere is; what is claimed beyond is repeated."""
    stretch = Stretch(100, max(100, 100 + RATE * len(counts) + more))
    held = np.array(counts)
    gone = lost(stretch, held, seconds_of(counts), windows)
    claimed = allotted(stretch, sum(counts), gone).tolist()
    size = stretch.last - stretch.first
    assert sum(counts) == len(claimed)
    assert max(0, size - sum(counts)) == len(missing(gone))
    assert sorted({*claimed, *missing(gone)} & {*range(*stretch)}) == list(range(*stretch))
    assert set() == set(claimed[:size]) & set(missing(gone))
    assert sorted(claimed) == claimed


@given(COUNTS, WINDOWS)
def test_windows_are_filled_first(counts, windows):
    """A sample is missing outside of the windows only where all samples within are missing."""
    stretch = Stretch(100, 100 + RATE * len(counts))
    gone = set(missing(lost(stretch, np.array(counts), seconds_of(counts), windows)))
    inside = set(missing(windows)) & set(range(*stretch))
    assert gone <= inside or inside <= gone


@pytest.mark.parametrize(
    ("counts", "windows", "expected"),
    [
        ((60, 0, 60), [(100, 280)], ((160, 220),)),
        ((60, 20, 60), [(100, 280)], ((180, 220),)),
        ((60, 59, 60), [(100, 200)], ((199, 200),)),
        ((60, 60, 60), [(100, 280)], ()),
        ((60, 70, 60), [(100, 280)], ()),
        ((0, 0, 92), [(100, 280)], ((132, 220),)),
        ((60, 0, 60), [(160, 180)], ((160, 220),)),
        ((60, 0, 60), [], ((160, 220),)),
    ],
)
def test_samples_are_missing_where_points_hold_less(counts, windows, expected):
    """In the windows first; a second that holds more than its own makes up for those before it."""
    assert expected == lost(Stretch(100, 280), np.array(counts), seconds_of(counts), windows)


def test_a_second_is_touched_by_what_shares_an_instant_with_it():
    """Windows are half-open, and so are seconds."""
    label_ns = np.arange(5) * 10**9
    found = touched(label_ns, [(10**9, 10**9 + 1), (3 * 10**9 - 1, 3 * 10**9)])
    assert [False, True, True, False, False] == found.tolist()
