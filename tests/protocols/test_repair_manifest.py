"""The manifest of a day and the two digests."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldproof_reference.protocols.repair import (
    NO_FILE,
    Malformed,
    Manifest,
    Unauthentic,
    day_digest,
    hour_digest,
    kind,
    pack_manifest,
    read_manifest,
    site_of,
)

KEY = b"the key of daws"
DAY = 13_165  # 2006-01-17
MANIFEST = Manifest(
    "daws", DAY, bytes(range(32)), (*[hour_digest(b"an hour")] * 23, NO_FILE), (*[60] * 23, 0)
)
PACKED = pack_manifest(MANIFEST, KEY)

manifests = st.builds(
    Manifest,
    st.text("abcdefghijklmnopqrstuvwxyz", min_size=4, max_size=4),
    st.integers(0, 200_000),
    st.binary(min_size=32, max_size=32),
    st.tuples(*[st.binary(min_size=8, max_size=8)] * 24),
    st.tuples(*[st.integers(0, 255)] * 24),
)


def signed(body: bytes) -> bytes:
    return body + hmac.digest(KEY, body, "sha256")[:16]


def test_layout():
    """Header, day digest, 24 hour digests, 24 counts, tag: 274 bytes."""
    header = b"RM\x01daws" + DAY.to_bytes(2, "little") + b"\0"
    hours = hashlib.sha256(b"an hour").digest()[:8] * 23 + bytes(8)
    assert signed(header + bytes(range(32)) + hours + bytes([60] * 23 + [0])) == PACKED
    assert 274 == len(PACKED)


@given(manifests, st.integers(-32_767, 32_768))
def test_round_trip(manifest, ahead):
    """A manifest says what it was made from, given a day within 32768 of its own."""
    data = pack_manifest(manifest, KEY)
    assert manifest == read_manifest(data, KEY, manifest.day + ahead)
    assert ("manifest", manifest.site) == (kind(data), site_of(data))


def test_counts_are_capped():
    """More than 255 records in an hour are told as 255."""
    many = MANIFEST._replace(counts=(256, 100_000, *[60] * 22))
    assert (255, 255, 60) == read_manifest(pack_manifest(many, KEY), KEY, DAY).counts[:3]


@pytest.mark.parametrize(
    "wrong",
    [
        MANIFEST._replace(day_digest=b"short"),
        MANIFEST._replace(hour_digests=MANIFEST.hour_digests[1:]),
        MANIFEST._replace(hour_digests=(b"short", *MANIFEST.hour_digests[1:])),
        MANIFEST._replace(counts=(60,)),
    ],
    ids=range(4),
)
def test_parts_of_the_wrong_size(wrong):
    """Missing hours and digests of another length are refused."""
    with pytest.raises(ValueError, match="no manifest can be made"):
        pack_manifest(wrong, KEY)


@pytest.mark.parametrize(
    "body",
    [
        PACKED[:-17],
        PACKED[:-16] + b"\0",
        b"RQ" + PACKED[2:-16],
        b"RM\x11" + PACKED[3:-16],
        PACKED[:9] + b"\1" + PACKED[10:-16],
    ],
    ids=range(5),
)
def test_authentic_nonsense(body):
    """A manifest with the right tag and the wrong form is refused."""
    with pytest.raises(Malformed):
        read_manifest(signed(body), KEY, DAY)


def test_forgeries():
    """Any one byte changed, or another key: not authentic."""
    for at in range(len(PACKED)):
        with pytest.raises(Unauthentic):
            read_manifest(PACKED[:at] + bytes((PACKED[at] ^ 1,)) + PACKED[at + 1 :], KEY, DAY)
    with pytest.raises(Unauthentic):
        read_manifest(PACKED, b"another key", DAY)


@given(st.binary(max_size=300), st.booleans())
def test_hostile_manifests(data, has_tag):
    """Any bytes, signed or not, are a manifest or `Malformed`."""
    data = signed(b"RM\x01daws" + data) if has_tag else data
    try:
        manifest = read_manifest(data, KEY, DAY)
    except Malformed:
        return
    assert data == pack_manifest(manifest, KEY)


def test_day_digest():
    """Name, NUL, 64-bit size, content of each file in the order of names."""
    plain = b"a.dat\0" + b"\3" + bytes(7) + b"one" + b"b.dat\0" + bytes(8)
    assert hashlib.sha256(plain).digest() == day_digest([("b.dat", b""), ("a.dat", b"one")])


@given(st.dictionaries(st.sampled_from("abcdef"), st.binary(max_size=9)), st.data())
def test_day_digest_tells_days_apart(files, data):
    """The order in which files are given does not matter; a missing, empty or changed file does."""
    listed = list(files.items())
    assert day_digest(listed) == day_digest(data.draw(st.permutations(listed)))
    assert day_digest(listed) != day_digest([*listed, ("g", b"")])
    for at, (name, content) in enumerate(listed):
        rest = listed[:at] + listed[at + 1 :]
        assert day_digest(listed) != day_digest(rest)
        assert day_digest(listed) != day_digest([*rest, (name, content + b"\0")])
