"""A receiver at the wrong baud rate hears garbage, and one at the right rate hears the bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldproof_simulators.lines.misread import misread

RATES = (300, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)


@given(st.binary(max_size=64), st.sampled_from(RATES))
def test_the_right_rate(data: bytes, baud: int):
    """At one rate on both sides everything is heard as it was sent."""
    assert data == misread(data, baud, baud)


@pytest.mark.parametrize("heard_baud", [9400, 9800])
def test_a_rate_that_is_near_enough(heard_baud: int):
    """Two per cent off, the last bit is still sampled in its own time."""
    assert b"\x80\x3f\xaa\x55" == misread(b"\x80\x3f\xaa\x55", 9600, heard_baud)


@pytest.mark.parametrize("heard_baud", [rate for rate in RATES if rate != 9600])
def test_a_wrong_rate(heard_baud: int):
    """Words of the converter are not heard at any other rate."""
    words = bytes(value for code in range(64) for value in (0x80 | code, code))
    assert words != misread(words, 9600, heard_baud)


def test_a_faster_receiver_takes_bits_for_bytes():
    """At four times the rate, the start bit and three zeros of 0xF8 are a NUL with a framing error:
    what follows is high."""
    assert b"\x00" == misread(b"\xf8", 9600, 38_400)


def test_a_receiver_that_is_off():
    """At rate 0 nothing is heard."""
    assert b"" == misread(b"\x80\x01", 9600, 0)


@given(st.binary(max_size=32), st.integers(1, 1_000_000), st.integers(1, 1_000_000))
def test_any_rates(data: bytes, sent_baud: int, heard_baud: int):
    """Whatever the rates, there are no more bytes than falling edges."""
    levels = "1" + "".join("0" + f"{byte:08b}"[::-1] + "1" for byte in data)
    assert len(misread(data, sent_baud, heard_baud)) <= levels.count("10")


@pytest.mark.parametrize("rates", [(0, 9600), (9600, -1)])
def test_rates_that_are_none(rates: tuple[int, int]):
    """A sender without a rate, or a negative one, is refused."""
    with pytest.raises(ValueError, match="no rates"):
        misread(b"", *rates)
