"""The words of the riometer's A/D on its serial line."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldproof_simulators.lines.adwords import WORD_BYTES, encode, word_time_ns


@given(st.lists(st.integers(0, 4095)))
def test_words_carry_the_codes(codes: list[int]):
    """Upper bytes are marked by bit 7 and six bits of each byte give the codes back."""
    data = encode(np.array(codes, dtype=np.uint16))
    upper, lower = data[0::2], data[1::2]
    assert all(byte & 0xC0 == 0x80 for byte in upper)
    assert all(byte & 0xC0 == 0 for byte in lower)
    assert codes == [(a & 0x3F) << 6 | b for a, b in zip(upper, lower, strict=True)]
    assert WORD_BYTES * len(codes) == len(data)


def test_a_word_by_hand():
    """3584, 7.5 V, is 0xB8 0x00; and a plain list is as good as an array."""
    assert bytes.fromhex("b800") == encode([3584])


def test_thirteen_bits_are_refused():
    """A code that does not fit a word is refused by its value."""
    with pytest.raises(ValueError, match="4096"):
        encode([1, 4096])


def test_word_time_is_twenty_bits():
    """At 9600 baud a word takes 2.08 ms, so that sixty a second use an eighth of the line."""
    assert (2_083_333, 173_611) == (word_time_ns(), word_time_ns(115_200))
