"""The riometer's sampling clock: which sample is when."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldproof_simulators.instruments.riometer import Riometer
from fieldproof_simulators.instruments.sampling import RateSegment, SamplingClock

MONTH_NS = 31 * 86_400 * 10**9


@st.composite
def clocks(draw: st.DrawFn) -> SamplingClock:
    """Clocks of up to four rate segments within a month."""
    later = draw(st.lists(st.integers(1, MONTH_NS), max_size=3, unique=True))
    drifts = st.integers(-2_000_000, 2_000_000)
    segments = [RateSegment(start, draw(drifts)) for start in (0, *sorted(later))]
    return SamplingClock(draw(st.integers(0, 2**64 - 1)), tuple(segments))


@given(clocks(), st.integers(0, 60 * 86_400 * 31))
def test_first_at_inverts_instant(clock: SamplingClock, k: int):
    """The first sample at or after sample k's instant is k; one nanosecond later it is k + 1."""
    assert (k, k + 1) == (
        clock.first_at(clock.instant_ns(k)),
        clock.first_at(clock.instant_ns(k) + 1),
    )


@given(clocks(), st.integers(-(10**9), MONTH_NS))
def test_first_at_is_the_first(clock: SamplingClock, true_ns: int):
    """The sample that first_at names is not before the time, and the one before it is."""
    k = clock.first_at(true_ns)
    assert clock.instant_ns(k) >= true_ns
    assert k == 0 or clock.instant_ns(k - 1) < true_ns


@given(clocks(), st.lists(st.integers(0, MONTH_NS), min_size=1))
def test_arrays_agree_with_scalars(clock: SamplingClock, times_ns: list[int]):
    """The array forms give what the scalar forms give, number by number."""
    firsts = [clock.first_at(time_ns) for time_ns in times_ns]
    assert firsts == clock.firsts_at(np.array(times_ns)).tolist()
    assert [clock.instant_ns(k) for k in firsts] == clock.instants_ns(np.array(firsts)).tolist()


@given(clocks(), st.integers(0, MONTH_NS))
def test_instants_strictly_increase(clock: SamplingClock, from_ns: int):
    """Successive instants are 12 to 21 ms apart, across rate changes too."""
    first = clock.first_at(from_ns)
    gaps_ns = np.diff(clock.instants_ns(np.arange(first, first + 500)))
    assert 12_000_000 < gaps_ns.min()
    assert gaps_ns.max() < 21_000_000


def test_samples_continue_through_a_rate_change():
    """Around a change of rate no sample is missing or doubled, and the new rate then holds."""
    change_ns = 10 * 10**9
    segments = (RateSegment(0, 0), RateSegment(change_ns, -1_000_000))
    clock = SamplingClock(7, segments)
    first = clock.first_at(change_ns)
    nominal_ns = clock.nominal_ns(np.arange(first - 61, first + 121))
    assert (10**9, 10**9 + 1_000_000) == (
        nominal_ns[60] - nominal_ns[0],
        nominal_ns[-1] - nominal_ns[-61],
    )


def test_sample_zero_is_at_the_start():
    """No sample is before true time 0, and the first follows within two intervals."""
    instants_ns = [SamplingClock(seed, (RateSegment(0, 0),)).instant_ns(0) for seed in range(100)]
    assert min(instants_ns) >= 0
    assert max(instants_ns) < 2 * 10**9 // 60


def test_default_jitter_has_the_stated_deviation():
    """Instants deviate from a regular clock by 0.4 ms (one standard deviation)."""
    clock = SamplingClock(1, (RateSegment(0, 0),))
    k = np.arange(100_000)
    assert 0.4e6 == pytest.approx(np.std(clock.instants_ns(k) - clock.nominal_ns(k)), rel=0.01)


@pytest.mark.parametrize(
    "segments",
    [(), (RateSegment(5, 0),), (RateSegment(0, 0), RateSegment(0, 1))],
    ids=["none", "late", "not increasing"],
)
def test_segments_must_start_at_zero_and_increase(segments: tuple[RateSegment, ...]):
    """A clock whose rate is undefined or doubly defined somewhere is refused by name."""
    with pytest.raises(ValueError, match="rate segments"):
        SamplingClock(1, segments)


def test_absurd_drift_is_refused():
    """A drift of more than ten percent would let the jitter reorder samples."""
    with pytest.raises(ValueError, match="200000000 ppb"):
        SamplingClock(1, (RateSegment(0, 200_000_000),))


def test_a_riometer_tells_many_instants_at_once():
    """The instants of many samples are those of each."""
    riometer = Riometer("daws", 3, 0)
    k = np.arange(1000)
    assert [riometer.instant_ns(int(each)) for each in k] == riometer.instants_ns(k).tolist()
