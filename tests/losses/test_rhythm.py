"""Which moments a stream missed: by its own phase, whatever came late, twice or from a new one."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldproof_reference.center.rhythm import ANY_TIME_NS, cadence_ns, rhythm

S = 1_000_000_000
MINUTE = 60 * S


def jittered(minutes, phase_s=5.0, seed=1):
    """Arrivals at these minutes, half a second early or late."""
    source = random.Random(seed)
    return [round((60 * minute + phase_s + source.uniform(-0.5, 0.5)) * S) for minute in minutes]


def missed_minutes(came, until_minute, phase_s=5.0, **more):
    """The minutes that nobody came to, and how many are spare."""
    found = rhythm(sorted(came), 0, until_minute * MINUTE, **more)
    return [round((at / S - phase_s) / 60) for at in found.missed_ns], len(found.spare_ns)


@given(st.sets(st.integers(0, 199), max_size=190), st.floats(2.5, 57.5), st.integers(0, 99))
def test_what_was_lost_is_what_is_missed(lost, phase_s, seed):
    """Any losses of a jittering stream are told, minute by minute, those at the ends included."""
    came = jittered([minute for minute in range(200) if minute not in lost], phase_s, seed)
    assert (sorted(lost), 0) == missed_minutes(came, 200, phase_s)


@pytest.mark.parametrize("phase_s", [0.0, 0.2, 59.8])
def test_a_phase_at_midnight_loses_nothing(phase_s):
    """Jitter around the ends of the day is no loss, though a day has 1439 or 1441 arrivals then."""
    for seed in range(30):
        came = [
            when for when in jittered(range(-1, 201), phase_s, seed) if 0 <= when < 200 * MINUTE
        ]
        assert ([], 0) == missed_minutes(came, 200, phase_s)


@pytest.mark.parametrize("late_s", [1, 20, 31, 44, 59, 75, 100, 600, 3000])
def test_a_late_one_is_not_missing(late_s):
    """A datagram that comes any time after it was due stands for the moment that it was due."""
    came = jittered(range(100))
    came[20] += late_s * S
    assert ([], 0) == missed_minutes(came, 100)


def test_what_waited_is_not_missing():
    """Ten datagrams at once after ten minutes of silence (a frozen receiver) are the ten due."""
    came = jittered(range(100))
    came[40:50] = [came[50] - 7 * S + number for number in range(10)]
    assert ([], 0) == missed_minutes(came, 100)


def test_a_duplicate_is_spare():
    """A second copy, at once or half a minute later, is no one's due datagram."""
    came = jittered(range(100))
    for since_s in (0.001, 3, 29, 33):
        assert ([], 1) == missed_minutes([*came, came[30] + round(since_s * S)], 100)


def test_a_copy_does_not_stand_for_what_is_lost_after_it():
    """A copy half a minute late is spare although the next datagram is lost."""
    came = jittered(minute for minute in range(100) if minute != 41)
    assert ([41], 1) == missed_minutes([*came, came[40] + 30 * S], 100)


def test_a_late_one_of_long_ago_counts_where_it_is_known_to_be_none_twice():
    """What comes hours late fills a gap where duplicates were told by content, else none."""
    came = jittered(minute for minute in range(600) if minute != 20)
    came.append(came[500] + 9 * S)
    assert ([20], 1) == missed_minutes(came, 600)
    assert ([], 0) == missed_minutes(came, 600, late_ns=ANY_TIME_NS)


def test_a_station_that_begins_anew_has_a_new_phase():
    """After a restart at the edge datagrams are due at another second: one step is longer, and no
    minute of the new phase is missed."""
    came = jittered(range(50)) + jittered(range(50, 100), phase_s=25.0)
    assert ([], 0) == missed_minutes(came, 100)
    gone = came[:60] + came[63:]
    assert 3 == len(rhythm(gone, 0, 100 * MINUTE).missed_ns)


def test_a_silent_stream_misses_everything():
    """Nobody came at all: a datagram a minute was due."""
    assert 1440 == len(rhythm([], 0, 1440 * MINUTE).missed_ns)


def test_the_cadence_of_another_stream():
    """The watcher's long and short intervals by turns are a minute; ten seconds are ten."""
    assert MINUTE == cadence_ns([round((60 * n + 0.5 * (n % 2)) * S) for n in range(50)])
    assert 10 * S == cadence_ns([10 * S * n for n in range(50) if n % 7])
    assert MINUTE == cadence_ns([5, 7])
    came = [10 * S * n for n in range(1, 60) if n not in (20, 21)]
    assert [200 * S, 210 * S] == rhythm(came, 0, 600 * S, cadence_ns=10 * S).missed_ns


@given(st.lists(st.integers(0, 3600 * S), max_size=60))
def test_any_arrivals_have_a_rhythm(came):
    """Whatever came: moments missed are in order and inside of the time, and the books balance."""
    found = rhythm(sorted(came), 0, 3600 * S)
    assert sorted(found.missed_ns) == found.missed_ns
    assert all(0 <= at < 3600 * S for at in found.missed_ns)
    assert len(found.missed_ns) <= 60
    assert len(found.spare_ns) <= len(came)
