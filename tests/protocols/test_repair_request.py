"""The request of a repair and the frame of all its datagrams."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldproof_reference.protocols.repair import (
    Codec,
    Gap,
    Malformed,
    Request,
    Unauthentic,
    kind,
    pack_request,
    read_request,
    site_of,
)

DAY = 13_165  # 2006-01-17
KEY = b"the key of daws"
DAWSON = Request(
    "daws",
    DAY,
    Codec.COLUMNS_DEFLATE,
    (Gap(58_925, 59_045), Gap(67_205, 67_325), Gap(79_565, 79_685)),  # 16:23, 18:41, 22:07, at :05
)
PACKED = pack_request(DAWSON, KEY)


def signed(body: bytes) -> bytes:
    return body + hmac.digest(KEY, body, "sha256")[:16]


@st.composite
def gap_tuples(draw):
    """Disjoint gaps in order: consecutive pairs of sorted seconds, now and then back to back."""
    bounds = sorted(draw(st.sets(st.integers(0, 86_400), max_size=20)))
    gaps = [Gap(a, b) for a, b in zip(bounds[0::2], bounds[1::2], strict=False)]
    if gaps and draw(st.booleans()):
        gaps[0] = Gap(None, gaps[0].before_s)
    if gaps and draw(st.booleans()) and (gaps[-1].after_s or 0) < 86_400:
        gaps[-1] = Gap(gaps[-1].after_s, 86_400)
    return tuple(gaps)


requests = st.builds(
    Request,
    st.text("abcdefghijklmnopqrstuvwxyz", min_size=4, max_size=4),
    st.integers(0, 200_000),
    st.sampled_from(Codec),
    gap_tuples(),
)


def test_the_published_example():
    """The three gaps of Dawson's day take 12 bytes, the request 38, and all of them are known."""
    header = b"RQ" + b"\x11" + b"daws" + DAY.to_bytes(2, "little") + b"\x03"
    assert signed(header + bytes.fromhex("aecc0378 868d0478 ceed0478")) == PACKED
    assert 38 == len(PACKED)


@given(requests, st.binary(max_size=40), st.integers(-32_767, 32_768))
def test_round_trip(request, key, ahead):
    """A request says what it was made from, given a day within 32768 of its own."""
    data = pack_request(request, key)
    assert request == read_request(data, key, request.day + ahead)
    assert ("request", request.site) == (kind(data), site_of(data))


def test_day_is_the_nearest():
    """The 16 bits of the wire mean the day nearest to the one at hand."""
    data = pack_request(DAWSON, KEY)
    assert DAY + 65_536 == read_request(data, KEY, DAY + 65_536 + 100).day


@pytest.mark.parametrize(
    ("expected", "gap"),
    [
        ([11, 19], Gap(10, 20)),
        ([0, 1, 10, 11, 19], Gap(None, 20)),
        ([11, 19, 20, 21, 86_399, 86_400], Gap(10, 86_400)),
        ([], Gap(10, 11)),
    ],
)
def test_gaps_are_open(expected, gap):
    """The two records at the ends are not in the gap; start and end of the day are, with the leap
    second."""
    seconds = [-1, 0, 1, 10, 11, 19, 20, 21, 86_399, 86_400, 86_401]
    assert expected == [second for second in seconds if gap.holds(second)]


@pytest.mark.parametrize(
    "gaps",
    [
        (Gap(10, 10),),
        (Gap(20, 10),),
        (Gap(None, -1),),
        (Gap(-1, 10),),
        (Gap(10, 86_401),),
        (Gap(10, 30), Gap(20, 40)),
        (Gap(30, 40), Gap(10, 20)),
        (Gap(10, 20), Gap(None, 30)),
        tuple(Gap(n, n + 1) for n in range(256)),
    ],
    ids=range(9),
)
def test_gaps_that_cannot_be_asked_for(gaps):
    """Gaps that are empty, overlap, run backwards, leave the day, or are too many are refused."""
    with pytest.raises(ValueError, match="no request can be made for site daws"):
        pack_request(DAWSON._replace(gaps=gaps), KEY)


@pytest.mark.parametrize("site", ["DAWS", "daw", "dawson", "d/ws", "daẅs", ""])
def test_sites_that_cannot_be_named(site):
    """Only four lower-case letters fit the header."""
    with pytest.raises(ValueError, match="no header can name site"):
        pack_request(DAWSON._replace(site=site), KEY)


@pytest.mark.parametrize(
    ("reason", "body"),
    [
        ("version", b"RQ\x12" + PACKED[3:-16]),
        ("version", b"RA" + PACKED[2:-16]),
        ("version", PACKED[:3] + b"DAWS" + PACKED[7:-16]),
        ("codec 2 is not supported here", b"RQ\x21" + PACKED[3:-16]),
        ("codec 3 is not supported here", b"RQ\x31" + PACKED[3:-16]),
        ("too many", PACKED[:-16] + b"\0"),
        ("varint", PACKED[:-17]),
        ("does not follow", PACKED[:9] + b"\2" + 2 * PACKED[10:14]),
        ("no interval", PACKED[:9] + b"\1\1\0"),
    ],
)
def test_authentic_nonsense(reason, body):
    """A request with the right tag and the wrong content is refused, and the reason is given."""
    with pytest.raises(Malformed, match=reason):
        read_request(signed(body), KEY, DAY)


def test_forgeries():
    """Any one bit changed, or another key: not authentic."""
    for bit in range(8 * len(PACKED)):
        flipped = bytearray(PACKED)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Unauthentic):
            read_request(bytes(flipped), KEY, DAY)
    with pytest.raises(Unauthentic):
        read_request(PACKED, b"another key", DAY)


@given(st.binary(max_size=60), st.booleans())
def test_hostile_requests(data, has_tag):
    """Any bytes, signed or not, are a request or `Malformed`."""
    data = signed(b"RQ\x11daws" + data) if has_tag else data
    try:
        request = read_request(data, KEY, DAY)
    except Malformed:
        return
    assert request == read_request(pack_request(request, KEY), KEY, DAY)


@pytest.mark.parametrize(
    ("expected", "data"),
    [
        (("request", "daws"), PACKED),
        (("reply", "daws"), b"RA" + PACKED[2:]),
        (("manifest", "daws"), b"RM" + PACKED[2:]),
        (("request", None), PACKED[:3] + b"../." + PACKED[7:]),
        ((None, None), b"XRIO" + PACKED),
        ((None, None), PACKED[:25]),
        ((None, None), b""),
    ],
)
def test_kind_and_site(expected, data):
    """What a datagram claims to be, and about which site, can be asked before any key is known."""
    assert expected == (kind(data), site_of(data))
