"""A body of deltas is what was packed, or `Malformed`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldproof_reference.protocols.deltas import pack_deltas, unpack_deltas
from fieldproof_reference.protocols.repair import Codec, Gap, Malformed, unpack_body


@given(st.dictionaries(st.integers(0, 23), st.binary(max_size=300), max_size=24))
def test_what_was_packed(deltas):
    """Any deltas of any hours come back, in the order of the hours."""
    packed = pack_deltas(sorted(deltas.items()))
    assert sorted(deltas.items()) == unpack_deltas(packed)


@given(st.binary(max_size=99))
def test_any_bytes(data):
    """Any bytes are deltas that pack to the same bytes but for the spelling of numbers, or they
    are `Malformed`."""
    try:
        deltas = unpack_deltas(data)
    except Malformed:
        return
    assert deltas == unpack_deltas(pack_deltas(deltas))
    assert all(0 <= hour < 24 for hour, _ in deltas)
    assert sum(len(delta) for _, delta in deltas) < len(data)


@pytest.mark.parametrize(
    "deltas",
    [
        [(3, b"x"), (3, b"y")],
        [(4, b"x"), (3, b"y")],
        [(24, b"x")],
        [(hour, b"") for hour in range(25)],
    ],
)
def test_hours_that_cannot_be(deltas):
    """Hours are those of a day, in order, once."""
    with pytest.raises(Malformed):
        unpack_deltas(pack_deltas(deltas))


def test_cut_and_extended():
    """A body that lacks its end, or has bytes behind it, is refused."""
    body = pack_deltas([(3, b"xyz"), (9, b"")])
    for wrong in (*(body[:at] for at in range(len(body))), body + b"\0"):
        with pytest.raises(Malformed):
            unpack_deltas(wrong)


def test_deltas_are_no_items():
    """Whoever asked for records takes no deltas for them."""
    with pytest.raises(Malformed, match="of deltas"):
        unpack_body(Codec.XDELTA, pack_deltas([]), (Gap(None, 86_400),), 13_165, 1_000)
