"""The A/D's serial words: round trips, and what is lost when bytes are lost."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldproof_reference.formats.adwords import TwoByteWords, WordDecoder

samples = st.lists(st.integers(0, 4095), max_size=40)


def wire(codes: list[int]) -> bytes:
    return bytes(byte for code in codes for byte in (0x80 | code >> 6, code & 0x3F))


def decoded(data: bytes) -> tuple[list[int], int]:
    decoder: WordDecoder = TwoByteWords()
    return decoder.feed(data), decoder.discarded


@pytest.mark.parametrize(
    ("code", "data"),
    [(0, b"\x80\x00"), (4095, b"\xbf\x3f"), (2048, b"\xa0\x00"), (65, b"\x81\x01")],
)
def test_words(code, data):
    """The upper six bits come first, marked by the top bit."""
    assert ([code], 0) == decoded(data)


@given(samples, st.lists(st.integers(0, 80)))
def test_any_chunks(codes, cuts):
    """However the line cuts the bytes, the same codes come out."""
    data, decoder = wire(codes), TwoByteWords()
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    assert codes == [code for a, b in pairwise(edges) for code in decoder.feed(data[a:b])]
    assert 0 == decoder.discarded


@given(samples.filter(bool), st.data())
def test_one_byte_lost(codes, data):
    """Any one byte lost costs exactly its own sample; no sample is invented or changed."""
    at = data.draw(st.integers(0, 2 * len(codes) - 1))
    whole = wire(codes)
    got, discarded = decoded(whole[:at] + whole[at + 1 :])
    assert codes[: at // 2] + codes[at // 2 + 1 :] == got
    at_the_end = at == len(whole) - 1  # the first byte is then still waiting
    assert (0 if at_the_end else 1) == discarded


@given(samples.filter(bool), st.data())
def test_an_odd_number_of_bytes_lost(codes, data):
    """An odd run of lost bytes costs the samples it touches, and invents none."""
    at = data.draw(st.integers(0, 2 * len(codes) - 1))
    end = at + 1 + 2 * data.draw(st.integers(0, (2 * len(codes) - 1 - at) // 2))
    whole = wire(codes)
    got, _ = decoded(whole[:at] + whole[end:])
    assert codes[: at // 2] + codes[(end + 1) // 2 :] == got


def test_the_loss_this_format_cannot_see():
    """The second half of one word and the first half of the next lost together make one sample that
    never was: the format has nothing to contradict it."""
    whole = wire([0, 4095])
    assert ([0x3F], 0) == decoded(whole[:1] + whole[3:])


@given(samples.filter(bool), st.data())
def test_noise_costs_one_sample_at_most(codes, data):
    """A byte that no word contains, put in anywhere, breaks at most the word it falls into."""
    at = data.draw(st.integers(0, 2 * len(codes)))
    noise = bytes((data.draw(st.integers(0, 255).filter(lambda byte: byte & 0x40)),))
    whole = wire(codes)
    got, discarded = decoded(whole[:at] + noise + whole[at:])
    broken = at // 2 + at % 2
    assert codes[: at // 2] + codes[broken:] == got
    assert 1 + 2 * (at % 2) == discarded


@given(st.binary(max_size=200))
def test_every_byte_is_accounted_for(data):
    """Any bytes: each is in a sample, discarded, or the one that waits; codes have 12 bits."""
    codes, discarded = decoded(data)
    waiting = len(data) - 2 * len(codes) - discarded
    assert waiting == (1 if data and data[-1] & 0xC0 == 0x80 else 0)
    assert all(0 <= code <= 4095 for code in codes)


@given(st.binary(max_size=20), samples.filter(bool))
def test_found_again_after_garbage(garbage, codes):
    """After any garbage the words are found again; at most one sample too many comes before them,
    where the garbage itself contains words."""
    got, _ = decoded(garbage + wire(codes))
    assert codes == got[-len(codes) :]
