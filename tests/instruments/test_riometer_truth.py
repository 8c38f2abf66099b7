"""The riometer's codes are a function of (seed, site, rate segments, faults)."""

import hashlib
import math
import os
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldproof_simulators.instruments.riometer import PreampDead, RateSegment, Riometer

BEGINS_NS = 1_137_455_400 * 10**9  # 2006-01-16 23:50 UTC
BLOCK = 1 << 17
HOUR = 216_000  # samples
DAY = 24 * HOUR
GOLDEN_HOUR = "c5eac904aa314bd4d69f650ea10ccf38eebbd2a0e9f5f90f7e4b424adf94f0cd"


def riometer(**options: object) -> Riometer:
    return Riometer("daws", 1, BEGINS_NS, **options)  # type: ignore[arg-type]


def seconds(codes: np.ndarray) -> np.ndarray:
    """Rows of 60 codes."""
    return codes[: len(codes) // 60 * 60].reshape(-1, 60).astype(np.int64)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(BLOCK - 3000, 2 * BLOCK + 3000), min_size=2, max_size=6))
def test_any_split_of_a_range_gives_the_same_codes(cuts: list[int]):
    """A range asked for in pieces, by a fresh instrument, is the range asked for at once."""
    cuts = sorted(cuts)
    other = riometer()
    pieces = [other.codes(first, last) for first, last in pairwise(cuts)]
    assert riometer().codes(cuts[0], cuts[-1]).tolist() == np.concatenate(pieces).tolist()


def test_order_of_asking_does_not_matter():
    """A sample of the tenth day is the same whether or not the days before were asked for."""
    patient = riometer()
    for first in range(0, 3 * BLOCK, BLOCK):
        patient.codes(first, first + 10)
    late = slice(10 * DAY, 10 * DAY + 500)
    expected = riometer().codes(late.start, late.stop)
    assert expected.tolist() == patient.codes(late.start, late.stop).tolist()


def test_codes_are_pinned():
    """One hour of codes has this SHA-256 on every CPU and under every numpy."""
    data = riometer().codes(HOUR, 2 * HOUR).astype("<u2").tobytes()
    assert GOLDEN_HOUR == hashlib.sha256(data).hexdigest()


def test_codes_do_not_depend_on_the_hash_seed():
    """Another process with another PYTHONHASHSEED makes the same codes."""
    program = (
        "import hashlib; from fieldproof_simulators.instruments.riometer import Riometer; "
        f"codes = Riometer('daws', 1, {BEGINS_NS}).codes({HOUR}, {2 * HOUR}); "
        "print(hashlib.sha256(codes.astype('<u2').tobytes()).hexdigest())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "TZ": "Asia/Tokyo"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert GOLDEN_HOUR == done.stdout.strip()


def test_another_site_changes_nothing():
    """Making and asking another site's instrument leaves this site's codes alone."""
    alone = riometer().codes(0, 5000)
    gillam, dawson = Riometer("gill", 1, BEGINS_NS), riometer()
    assert gillam.codes(0, 5000).tolist() != alone.tolist()
    assert alone.tolist() == dawson.codes(0, 5000).tolist()


def test_seeds_differ():
    """Another seed is another instrument."""
    assert (
        riometer().codes(0, 500).tolist() != Riometer("daws", 2, BEGINS_NS).codes(0, 500).tolist()
    )


def test_codes_are_read_only():
    """Nobody can change the truth that the next caller sees, across a block border either."""
    assert not riometer().codes(0, 10).flags.writeable
    assert not riometer().codes(BLOCK - 5, BLOCK + 5).flags.writeable


def test_level_is_continuous_across_knots_and_blocks():
    """The mean of a second moves by no more than noise where blocks meet."""
    around = [seconds(riometer().codes(n * BLOCK - 60, n * BLOCK + 60)) for n in range(1, 60)]
    jumps = [abs(int(after.sum() - before.sum())) / 60 for before, after in around]
    assert np.median(jumps) < 1.5


def test_dead_preamplifier_is_within_50_mv_of_zero():
    """Between its two instants every code is 2038..2058, and the neighbours are not."""
    fault = PreampDead(from_ns=2_000 * 10**9, until_ns=6_000 * 10**9)
    instrument = riometer(faults=(fault,))
    first, last = instrument.first_at(fault.from_ns), instrument.first_at(fault.until_ns)
    dead = instrument.codes(first, last)
    assert set(range(2_038, 2_059)) == set(dead.tolist())
    assert min(instrument.codes(first - 1, first)[0], instrument.codes(last, last + 1)[0]) > 2_200


def test_dead_preamplifier_spares_the_rest():
    """Outside a fault the codes are those of a healthy instrument."""
    fault = PreampDead(from_ns=2_000 * 10**9, until_ns=6_000 * 10**9)
    hurt, healthy = riometer(faults=(fault,)), riometer()
    last = healthy.first_at(fault.from_ns)
    assert healthy.codes(0, last).tolist() == hurt.codes(0, last).tolist()


def test_detector_ends_at_seven_and_a_half_volts():
    """On a day with impulses the highest code is 3584, and more than one sample is held there."""
    codes = riometer().codes(0, DAY)
    assert 3_584 == codes.max()
    assert (codes == 3_584).sum() > 1


def test_impulses_come_forty_times_an_hour():
    """Steps of more than 50 codes in a day are as many as 40 exponential impulses an hour give."""
    steps = np.diff(riometer().codes(0, DAY).astype(np.int64))
    expected = 40 * 24 * math.exp(-50 / (0.8 * 4096 / 20))
    assert expected == pytest.approx(int((steps > 50).sum()), rel=0.1)


@pytest.mark.parametrize(
    ("noise", "relative"),
    [("quiet", 0.0005), ("2006", 0.00107), ("la-jolla", 0.0023), ("2023", 0.009)],
)
def test_preset_sets_the_noise_of_one_second_means(noise: str, relative: float):
    """Successive one-second means differ by the preset's noise, the converter's included."""
    means = seconds(riometer(noise=noise).codes(0, 6 * HOUR)).mean(axis=1) - 2_048
    middle_half = np.diff(np.quantile(np.diff(means) / means[1:], [0.25, 0.75]))[0]
    converter = 0.5 / math.sqrt(60) / means.mean()
    expected = math.hypot(relative, converter)
    assert expected == pytest.approx(middle_half / 1.349 / math.sqrt(2), rel=0.05)


def test_rate_segments_change_the_instants_and_not_the_sample_numbers():
    """A faster clock has more samples in an hour."""
    fast = riometer(rate_segments=(RateSegment(0, 50_000), RateSegment(10**12, 1_000_000)))
    hour_ns = 3_600 * 10**9
    assert HOUR + 2 * 72 < fast.first_at(hour_ns) < HOUR + 3 * 72


@pytest.mark.parametrize(
    ("site", "noise", "message"),
    [("xxxx", "2006", "no site 'xxxx'"), ("daws", "loud", "no noise preset 'loud'")],
)
def test_unknown_names_are_refused(site: str, noise: str, message: str):
    """A site or preset that does not exist is refused in a sentence that names it."""
    with pytest.raises(ValueError, match=message):
        Riometer(site, 1, BEGINS_NS, noise=noise)


@pytest.mark.parametrize(("first", "last"), [(-1, 5), (7, 3)])
def test_a_range_that_is_none_is_refused(first: int, last: int):
    """Samples before the first, and ranges that end before they begin, do not exist."""
    with pytest.raises(ValueError, match="has no samples"):
        riometer().codes(first, last)


def test_an_empty_range_is_empty():
    """A range of no samples is an empty array, at a block border too."""
    assert [0, 0] == [len(riometer().codes(k, k)) for k in (0, BLOCK)]
