"""Clocks: true UTC with its leap seconds, and what a host believes UTC to be."""

import calendar

from hypothesis import given
from hypothesis import strategies as st

from fieldproof_contract import SECOND_NS
from fieldproof_simulators.machines.clock import HostClock, Offset, TrueUtc, iso

MIDNIGHT_NS = calendar.timegm((2006, 1, 1, 0, 0, 0)) * SECOND_NS
NEW_YEAR = TrueUtc(MIDNIGHT_NS - 10 * SECOND_NS)  # ten seconds before the leap second begins
YEARS_2000_TO_2018_NS = st.integers(946_684_800 * SECOND_NS, 1_514_764_800 * SECOND_NS)
TWELVE_YEARS_NS = st.integers(0, 12 * 366 * 86_400 * SECOND_NS)


def test_a_leap_second_repeats_2005_12_31_23_59_59():
    """Seconds of true time read 58, 59, 59 and 0 around the leap second of 2005."""
    seconds = [iso(NEW_YEAR.at(true_s * SECOND_NS))[:19] for true_s in range(8, 13)]
    assert [
        "2005-12-31T23:59:58",
        "2005-12-31T23:59:59",
        "2005-12-31T23:59:59",
        "2006-01-01T00:00:00",
        "2006-01-01T00:00:01",
    ] == seconds


def test_a_leap_second_begins_at_midnight_and_steps_back_once():
    """Unix time steps back by one second at the first instant of the inserted second."""
    leap_ns = NEW_YEAR.leaps_ns[0]
    assert 10 * SECOND_NS == leap_ns
    assert MIDNIGHT_NS - 1 == NEW_YEAR.at(leap_ns - 1)
    assert MIDNIGHT_NS - SECOND_NS == NEW_YEAR.at(leap_ns)
    assert MIDNIGHT_NS == NEW_YEAR.at(leap_ns + SECOND_NS)
    assert leap_ns + SECOND_NS == NEW_YEAR.when(MIDNIGHT_NS)
    assert leap_ns - 1 == NEW_YEAR.when(MIDNIGHT_NS - 1)


def test_later_leap_seconds_begin_later_by_those_before():
    """The three-year distance of two leap seconds is by one second longer than the calendar's."""
    first_ns, second_ns = NEW_YEAR.leaps_ns[:2]
    calendar_ns = (calendar.timegm((2009, 1, 1, 0, 0, 0)) * SECOND_NS) - MIDNIGHT_NS
    assert calendar_ns + SECOND_NS == second_ns - first_ns


def test_a_world_that_begins_after_a_leap_second_has_it_behind():
    """A leap second that is over when the world begins is not among those to come."""
    assert len(NEW_YEAR.leaps_ns) - 1 == len(TrueUtc(MIDNIGHT_NS).leaps_ns)


@given(YEARS_2000_TO_2018_NS, TWELVE_YEARS_NS)
def test_when_gives_the_first_time_at_which_it_is_that_utc(begins_ns, later_ns):
    """`when` is a right inverse of `at`, and no earlier true time has that UTC."""
    utc = TrueUtc(begins_ns)
    true_ns = utc.when(begins_ns + later_ns)
    assert begins_ns + later_ns == utc.at(true_ns)
    for leap_ns in utc.leaps_ns:
        if leap_ns <= true_ns < leap_ns + SECOND_NS:
            assert begins_ns + later_ns != utc.at(true_ns - SECOND_NS)


@given(YEARS_2000_TO_2018_NS, TWELVE_YEARS_NS)
def test_when_never_says_later_than_it_is(begins_ns, true_ns):
    """The first true time of a UTC is this one, or a second ago while a second repeats."""
    utc = TrueUtc(begins_ns)
    repeats = any(leap_ns <= true_ns < leap_ns + SECOND_NS for leap_ns in utc.leaps_ns)
    assert repeats * SECOND_NS == true_ns - utc.when(utc.at(true_ns))


def test_a_disciplined_clock_shows_true_utc_through_a_leap_second():
    """A host with GPS repeats 23:59:59 as true UTC does."""
    clock = HostClock(NEW_YEAR)
    times_ns = range(0, 20 * SECOND_NS, SECOND_NS // 4)
    assert [NEW_YEAR.at(at_ns) for at_ns in times_ns] == [clock.utc_ns(at_ns) for at_ns in times_ns]


def test_a_step_is_kept_by_a_clock_that_drifts():
    """A step changes the offset by its size and leaves the rate alone."""
    clock = HostClock(NEW_YEAR)
    clock.drift(0, 1000)
    clock.step(5 * SECOND_NS, -SECOND_NS)
    assert 5000 - SECOND_NS == clock.offset_ns(5 * SECOND_NS)
    assert 8000 - SECOND_NS == clock.offset_ns(8 * SECOND_NS)


def test_discipline_steps_to_true_utc_and_ends_the_drift():
    """Discipline returns the step that it makes; from then on the offset is nothing."""
    clock = HostClock(NEW_YEAR)
    clock.drift(0, -40_000)
    assert 400_000 == clock.discipline(10 * SECOND_NS)
    assert NEW_YEAR.at(60 * SECOND_NS) == clock.utc_ns(60 * SECOND_NS)


def test_a_clock_shows_one_stretch_between_its_changes():
    """A step, a leap second and the ends of the time asked for bound the stretches."""
    clock = HostClock(NEW_YEAR)  # whose leap second begins at 10 s
    clock.step(4 * SECOND_NS, 100 * SECOND_NS)
    clock.step(15 * SECOND_NS, -100 * SECOND_NS)
    begins_ns = MIDNIGHT_NS - 10 * SECOND_NS
    stretches = [(1, 4), (104, 110), (109, 114), (14, 19)]
    assert [
        (begins_ns + first * SECOND_NS, begins_ns + last * SECOND_NS) for first, last in stretches
    ] == list(clock.shown(SECOND_NS, 20 * SECOND_NS))
    assert [(begins_ns + 105 * SECOND_NS, begins_ns + 106 * SECOND_NS)] == list(
        clock.shown(5 * SECOND_NS, 6 * SECOND_NS)
    )


CHANGES = st.lists(
    st.tuples(
        st.integers(0, 10**12),
        st.one_of(
            st.tuples(st.just("step"), st.integers(-(10**13), 10**13)),
            st.tuples(st.just("drift"), st.integers(-(10**6), 10**6)),
            st.just(("discipline", 0)),
        ),
    ),
    max_size=8,
)


@given(CHANGES)
def test_history_tells_the_offset_at_every_time(changes):
    """The offset is piecewise linear, and `history` has each piece: when, offset, drift."""
    clock, now_ns, offset_ns, drift_ppb = HostClock(NEW_YEAR), 0, 0, 0
    expected = [Offset(0, 0, 0)]
    for wait_ns, (what, by) in changes:
        now_ns += wait_ns
        offset_ns += wait_ns * drift_ppb // SECOND_NS
        assert offset_ns == clock.offset_ns(now_ns)
        if what == "step":
            clock.step(now_ns, by)
            offset_ns += by
        elif what == "drift":
            clock.drift(now_ns, by)
            drift_ppb = by
        else:
            assert -offset_ns == clock.discipline(now_ns)
            offset_ns = drift_ppb = 0
        expected.append(Offset(now_ns, offset_ns, drift_ppb))
    assert expected == clock.history


def test_iso_cuts_to_microseconds():
    """UTC as text keeps six digits and rounds nothing up."""
    assert "2005-12-31T23:59:59.999999Z" == iso(MIDNIGHT_NS - 1)
