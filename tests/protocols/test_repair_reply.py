"""The fragments of a reply and their assembly under loss, disorder, doubling and forgery."""

import hmac
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldproof_reference.protocols.repair import (
    Assembly,
    Codec,
    Gap,
    Reply,
    Request,
    pack_request,
    reply_fragments,
)

KEY = b"the key of daws"
REQUEST = pack_request(Request("daws", 13_165, Codec.COLUMNS_DEFLATE, (Gap(None, 86_400),)), KEY)
DIGEST = bytes(range(32))


def body_of(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def fragments_of(size: int, used: Codec = Codec.RAW, key: bytes = KEY) -> tuple[bytes, ...]:
    return reply_fragments(REQUEST, used, DIGEST, body_of(size), key)


def test_layout():
    """RA, the request's bytes 2 to 8 with the codec used, index, last index, digest, body, tag."""
    (fragment,) = fragments_of(3, Codec.RAW_DEFLATE)
    assert b"RA\x41" + REQUEST[3:9] + b"\0\0" + DIGEST + body_of(3) == fragment[:-16]
    assert 11 + 32 + 3 + 16 == len(fragment)


@pytest.mark.parametrize(
    ("expected", "size"),
    [
        ([59], 0),
        ([1459], 1400),
        ([1459, 28], 1401),
        ([1459, 1427, 227], 3000),
    ],
)
def test_sizes(expected, size):
    """Up to 1400 bytes of body a fragment: with UDP and IP the largest is 1487 bytes."""
    assert expected == [len(fragment) for fragment in fragments_of(size)]


@given(st.integers(0, 9000), st.sampled_from(Codec), st.randoms(use_true_random=False), st.data())
def test_any_order_any_loss_any_doubling(size, used, source, data):
    """Fragments of equal replies may come in any order, doubled, and over several tries: what comes
    out is what was sent, and `missing` counts down to it."""
    assembly = Assembly(REQUEST, KEY)
    fragments = fragments_of(size, used)
    tries = 3 * list(range(len(fragments)))
    source.shuffle(tries)
    seen: set[int] = set()
    for index in tries:
        assert (index not in seen) == assembly.add(fragments[index])
        seen.add(index)
        assert len(fragments) - len(seen) == assembly.missing
        assert (len(fragments) == len(seen)) == assembly.complete
    assert Reply(used, DIGEST, body_of(size)) == assembly.result()


def test_nothing_yet():
    """Before the first fragment at least one is missing, and there is no result."""
    assembly = Assembly(REQUEST, KEY)
    assert (1, False) == (assembly.missing, assembly.complete)
    with pytest.raises(ValueError, match="1 fragments are missing"):
        assembly.result()


def test_forgeries():
    """A fragment with any one bit changed, or under another key, is not taken."""
    (fragment,) = fragments_of(3)
    assembly = Assembly(REQUEST, KEY)
    for bit in range(8 * len(fragment)):
        flipped = bytearray(fragment)
        flipped[bit // 8] ^= 1 << bit % 8
        assert not assembly.add(bytes(flipped))
    assert not assembly.add(fragments_of(3, key=b"another key")[0])
    assert 1 == assembly.missing


def test_reply_to_another_request():
    """The answer to another request of the same site and day is not taken: the tag binds them."""
    other = pack_request(Request("daws", 13_165, Codec.COLUMNS_DEFLATE, ()), KEY)
    assert not Assembly(other, KEY).add(fragments_of(3)[0])


@pytest.mark.parametrize(
    "other", [fragments_of(3), fragments_of(5000), fragments_of(3000, Codec.RAW_DEFLATE)]
)
def test_the_first_fragment_decides(other):
    """Authentic fragments of another number or codec, from changed files, are not mixed in."""
    assembly = Assembly(REQUEST, KEY)
    mine = fragments_of(3000)
    assert assembly.add(mine[1])
    assert not any(assembly.add(fragment) for fragment in other)
    assert [True, True] == [assembly.add(mine[0]), assembly.add(mine[2])]
    assert body_of(3000) == assembly.result().body


@given(st.binary(max_size=80), st.binary(max_size=40))
def test_hostile_datagrams(data, tail):
    """Any bytes, also under the right tag, are taken or not, and never raise."""
    assembly = Assembly(REQUEST, KEY)
    assembly.add(data)
    signed = b"RA\x01" + REQUEST[3:9] + tail
    assert not assembly.add(signed)
    from_the_edge = signed + tag_of(signed)
    has_digest = len(tail) >= 34 or tail[:1] != b"\0"  # fragment 0 must bring the digest
    is_good = len(tail) >= 2 and tail[0] <= tail[1] and has_digest
    assert is_good == assembly.add(from_the_edge)


def tag_of(signed: bytes) -> bytes:
    """The tag of a reply, from its definition."""
    return hmac.digest(KEY, REQUEST[-16:] + signed, "sha256")[:16]


@pytest.mark.parametrize(
    "head",
    [
        b"RM\x01" + REQUEST[3:9],
        b"RA\x02" + REQUEST[3:9],
        b"RA\x01gill" + REQUEST[7:9],
        b"RA\x01daws\0\0",
    ],
    ids=["kind", "version", "site", "day"],
)
def test_authentic_but_not_ours(head):
    """A fragment with the right tag that names another kind, version, site or day is not taken."""
    signed = head + b"\0\0" + DIGEST
    assert not Assembly(REQUEST, KEY).add(signed + tag_of(signed))


def test_reserved_codecs_are_not_taken():
    """A reply in a codec that is not supported here cannot be used and is not taken."""
    signed = b"RA\x21" + REQUEST[3:9] + b"\0\0" + DIGEST
    assert not Assembly(REQUEST, KEY).add(signed + tag_of(signed))


def test_largest_reply():
    """256 fragments are the most a reply can have; a longer body is refused, never cut."""
    assert 256 == len(fragments_of(256 * 1400))
    with pytest.raises(ValueError, match="make no reply"):
        fragments_of(256 * 1400 + 1)
    with pytest.raises(ValueError, match="make no reply"):
        reply_fragments(REQUEST, Codec.RAW, DIGEST[1:], b"", KEY)
