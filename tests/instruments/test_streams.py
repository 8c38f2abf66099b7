"""Named random streams."""

import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fieldproof_simulators.streams import child_seed, splitmix64, words_at

WORDS = st.integers(0, 2**64 - 1)


def test_child_seed_is_the_head_of_a_digest_over_seed_nul_and_name():
    """The rule in the docstring is the rule, so that others can repeat our streams."""
    digest = hashlib.sha256(b"1\x00link:vsat").digest()
    assert int.from_bytes(digest[:8], "little") == child_seed(1, "link:vsat")


def test_seed_and_name_cannot_run_into_each_other():
    """Seed 1 with name "2x" and seed 12 with name "x" are different streams."""
    assert child_seed(1, "2x") != child_seed(12, "x")


def test_splitmix64_gives_the_published_sequence():
    """The first outputs for state 1234567 are those of the reference implementation."""
    golden_gamma = 0x9E3779B97F4A7C15
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert expected == [splitmix64(1234567 + n * golden_gamma) for n in range(3)]


@given(WORDS, st.lists(st.integers(-5, 2**40), min_size=1))
def test_scalar_and_array_words_agree(seed: int, indices: list[int]):
    """Word n of a stream is the same number whether asked for alone or in an array."""
    expected = [splitmix64(seed + index) for index in indices]
    assert expected == words_at(seed, np.array(indices, dtype=np.int64)).tolist()
