"""When the receiver was down, by its own notes and by what it received."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldproof_reference.center.beats import Downtime, Mark, downtimes, marks

S = 1_000_000_000


def down(said, came_s=(), from_s=0, until_s=1000, known=False):
    """Downtimes in seconds, and since when they are known."""
    notes = [Mark(second * S, f"{what}_s") for what, second in said]
    came_ns = [round(second * S) for second in came_s]
    found, since_ns = downtimes(notes, came_ns, from_s * S, until_s * S, known)
    return [(each.from_ns // S, each.until_ns // S) for each in found], since_ns


def test_a_life_ends_at_its_last_sign():
    """A killed receiver was down from its last arrival or beat to the start of the next life."""
    said = [("began", 0), ("beat", 250), ("began", 500)]
    busy = [*range(60, 241, 60), *range(540, 1000, 60)]
    assert ([(250, 500)], 0) == down(said, busy)
    assert ([(290, 500)], 0) == down(said, [*busy[:4], 290, *busy[4:]])


def test_an_end_in_good_order_is_exact():
    """A stopped receiver says when it ended, and a short stop is as good as a long one."""
    said = [("began", 0), ("ended", 300), ("began", 310)]
    assert ([(300, 310)], 0) == down(said, [*range(0, 300, 20), *range(320, 1000, 20)])


def test_a_receiver_that_stood_still_was_down():
    """More than a beat's time without any sign is a stop, though no life ended."""
    assert ([(300, 700)], 0) == down([("began", 0)], [*range(0, 301, 60), *range(700, 1000, 60)])


def test_before_the_first_word_nothing_is_known():
    """Only from its first line on is it known when the receiver was down, if ever."""
    assert ([], None) == down([], range(0, 1000, 300))
    assert ([], 600 * S) == down([("began", 600)], [10, 650, 720, 790, 860, 930, 990])
    assert ([(10, 600)], 0) == down([("began", 600)], [10, *range(650, 1000, 60)], known=True)


def test_a_receiver_that_did_not_come_back_is_down_to_the_end():
    """After its last sign it was down as long as the question goes."""
    assert ([(180, 1000)], 0) == down([("began", 0)], [60, 120, 180])
    assert ([(0, 1000)], 0) == down([], known=True)
    busy = range(0, 960, 30)
    assert ([(960, 1000)], 0) == down([("began", 0), ("ended", 960)], busy)


@given(st.binary(max_size=200))
def test_any_bytes_are_marks_or_nothing(data):
    """What is no line of ours is passed over, and what is one is of this time."""
    assert all(0 <= mark.utc_ns < S << 33 for mark in marks(data))


@pytest.mark.parametrize(
    "odd", [b"[]", b"{", b'{"beat_s": true}', b'{"beat_s": -1}', b'{"beat_s": 1e3}', b"[" * 9999]
)
def test_odd_lines_are_passed_over(odd):
    """A line among others that is none costs itself alone, and so does a half line at the end."""
    whole = json.dumps({"beat_s": 7}).encode()
    data = whole + b"\n" + odd + b"\n" + whole + b"\n" + whole[:-1]
    assert [(7 * S, "beat_s")] * 2 == [tuple(mark) for mark in marks(data)]


@given(
    st.lists(st.tuples(st.sampled_from(["began", "beat", "ended"]), st.integers(0, 999))),
    st.lists(st.integers(0, 999)),
    st.booleans(),
)
def test_downtimes_are_in_order_and_hold_no_arrival(said, came_s, known):
    """Whatever was said: downtimes are apart, inside of the time, and nothing came in them."""
    notes = [Mark(second * S, f"{what}_s") for what, second in said]
    found, _ = downtimes(notes, sorted(second * S for second in came_s), 0, 1000 * S, known)
    assert sorted(found) == list(found)
    assert all(isinstance(each, Downtime) and each.from_ns < each.until_ns for each in found)
    assert not any(e.from_ns < second * S < e.until_ns for e in found for second in came_s)
