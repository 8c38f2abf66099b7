"""How late words were is told from a histogram of fixed size."""

from hypothesis import given
from hypothesis import strategies as st

from fieldproof_simulators.lines.live.lateness import Lateness


def collected(late_us: list[int], pieces: int = 1) -> Lateness:
    """All of these, folded in some pieces."""
    lateness = Lateness()
    for piece in range(pieces):
        for one_us in late_us[piece::pieces]:
            lateness.add(one_us)
        lateness.fold()
    return lateness


def test_nothing():
    """Of no words, none was late."""
    assert (0.0, 0.0) == (collected([]).percentile_ms(99), collected([]).max_ms)


def test_a_hundred():
    """Half of them, nearly all of them, and the last one."""
    lateness = collected([1000 * n for n in range(1, 101)], pieces=3)
    assert 50 <= lateness.percentile_ms(50) <= 50 * 1.045
    assert 99 <= lateness.percentile_ms(99) <= 100
    assert 100 == lateness.max_ms


@given(st.lists(st.integers(0, 10**10), min_size=1), st.integers(1, 5))
def test_a_percentile_is_never_below(late_us: list[int], pieces: int):
    """What is said of half of them is at least the median, and off by a step at most."""
    median_us = sorted(late_us)[(len(late_us) - 1) // 2]
    said_us = 1000 * collected(late_us, pieces).percentile_ms(50)
    assert median_us - 1 <= said_us <= max(2, median_us) * 1.05
