"""The XRIO record: layout, the five checks and their power, flags, and finding records in bytes."""

import struct
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldproof_reference.formats import Malformed, xrio
from fieldproof_reference.formats.xrio import Check, Flag, Span

SECOND = 1_137_456_005  # 2006-01-17 00:00:05
SITES = frozenset({"daws", "gill"})

codes = st.integers(0, 4095)
points = st.lists(st.tuples(codes, codes, st.integers(59, 61)), min_size=1, max_size=90)
sites = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=4, max_size=4)


def record(averages=None, ranges=None, counts=None, *, site=b"daws", second=SECOND) -> bytes:
    averages = [2400] * 60 if averages is None else averages
    ranges = [4] * len(averages) if ranges is None else ranges
    counts = [60] * len(averages) if counts is None else counts
    return xrio.pack(site, second, xrio.pack_points(averages, ranges, counts))


def changed(data: bytes, offset: int, new: bytes) -> bytes:
    return data[:offset] + new + data[offset + len(new) :]


def flags(data: bytes) -> tuple[Flag, ...]:
    return xrio.flags(data, SITES)


def test_layout():
    """The first bytes of a record are those of the 2006 structure, little-endian."""
    expected = bytes.fromhex("5852494f 64617773 30 01 0000 8533cc43 3c00 0000 6009 0400 3c00")
    assert (20, 380) == (xrio.HEADER_BYTES, xrio.RECORD_BYTES)
    assert expected == record()[:26]
    assert 380 == len(record())


@given(sites, st.integers(0, 2**32 - 1), points)
def test_round_trip(site, second, columns):
    """Every field comes back, the timestamp unsigned, and the record is valid."""
    averages, ranges, counts = zip(*columns, strict=True)
    data = record(averages, ranges, counts, site=site.encode(), second=second)
    header = xrio.header(data)
    assert (site.encode(), second, len(columns)) == (
        header.site_id,
        header.timestamp_s,
        header.datapoints,
    )
    assert second == xrio.timestamp_s(data)
    assert site.lower() == xrio.site(data)
    assert [*sum(columns, ())] == [*struct.unpack(f"<{3 * len(columns)}H", data[20:])]
    assert xrio.invalid(data) is None


@pytest.mark.parametrize(
    ("site", "second", "body"),
    [(b"daw", 0, b""), (b"daws", -1, b""), (b"daws", 2**32, b""), (b"daws", 0, b"12345")],
)
def test_pack_refuses(site, second, body):
    """What does not fit the fields is refused and never cut to size."""
    with pytest.raises(ValueError, match="no record can be made"):
        xrio.pack(site, second, body)


@pytest.mark.parametrize(
    "columns",
    [([1], [1, 2], [1]), ([1, 2], [1], [1, 2]), ([1], [1], [65536]), ([-1], [0], [60])],
)
def test_pack_points_refuses(columns):
    """Columns of unequal length and values beyond 16 bits are refused."""
    with pytest.raises(ValueError, match="are no points"):
        xrio.pack_points(*columns)


@pytest.mark.parametrize(
    ("expected", "data"),
    [
        (Check.STREAM_ID, changed(record(), 0, b"xrio")),
        (Check.STREAM_ID, b"XRI"),
        (Check.SITE_ID, changed(record(), 4, b"da/s")),
        (Check.SITE_ID, changed(record(), 4, "dé".encode() + b"s")),
        (Check.SITE_ID, b"XRIOdaw"),
        (Check.VERSION, changed(record(), 8, b"1")),
        (Check.VERSION, b"XRIOdaws"),
        (Check.DATA_SIZE, changed(record(), 16, b"\0\0")),
        (Check.DATA_SIZE, record()[:17]),
        (Check.DATA_SIZE, record([])),
        (Check.TOTAL_LENGTH, changed(record(), 16, b"\x3d\0")),
        (Check.TOTAL_LENGTH, record()[:-1]),
        (Check.TOTAL_LENGTH, record() + b"\0"),
    ],
)
def test_each_check(expected, data):
    """Each of the five checks rejects what it is there for, and the first that fails is named."""
    assert expected is xrio.invalid(data)


def test_strict_rejects_other_lengths():
    """A consistent record of 59 points is valid (A6) unless the caller insists on 60."""
    short = record([2400] * 59)
    assert xrio.invalid(short) is None
    assert Check.DATA_SIZE is xrio.invalid(short, strict=True)
    assert xrio.invalid(record(), strict=True) is None


def test_64_bit_sender_is_rejected():
    """Compiled where `long` has eight bytes the record grows to 384 bytes: rejected."""
    grown = struct.pack("<4s4scB2sqH2s", b"XRIO", b"daws", b"0", 1, b"\0\0", SECOND, 60, b"\0\0")
    assert 384 == len(grown + record()[20:])
    assert Check.DATA_SIZE is xrio.invalid(grown + record()[20:])


def test_byte_swapped_sender_is_rejected():
    """A big-endian sender announces 15360 points: rejected."""
    head = struct.pack(">4s4scB2siH2s", b"XRIO", b"daws", b"0", 1, b"\0\0", SECOND, 60, b"\0\0")
    swapped = head + struct.pack(">180H", *struct.unpack("<180H", record()[20:]))
    assert 15360 == xrio.header(swapped).datapoints
    assert Check.TOTAL_LENGTH is xrio.invalid(swapped)


def test_detection_power():
    """Of all 3040 single bit flips the five checks catch those of the header's fixed fields, within
    one point of the 2.4 % that was measured for the 2006 format."""
    good = record()
    found = Counter(
        xrio.invalid(changed(good, bit // 8, bytes((good[bit // 8] ^ 1 << bit % 8,))))
        for bit in range(8 * len(good))
    )
    assert 2.4 == pytest.approx(100 * (3040 - found.pop(None)) / 3040, abs=1)
    assert {
        Check.STREAM_ID: 32,
        Check.SITE_ID: 12,  # a flip that makes another letter passes
        Check.VERSION: 8,
        Check.TOTAL_LENGTH: 16,
    } == found


@given(st.binary(max_size=400) | st.binary(max_size=60).map(lambda tail: record()[:20] + tail))
def test_checks_never_raise(data):
    """Any bytes get a verdict; a valid verdict means the size that the header announces."""
    if xrio.invalid(data) is None:
        assert len(data) == 20 + 6 * xrio.header(data).datapoints
        assert xrio.site(data).isascii()


@pytest.mark.parametrize("site_id", [b"da/s", b"..\0\0", b"da\xe9s", b"d4ws", b"daw"])
def test_site_is_safe(site_id):
    """Only four ASCII letters become a site, whatever a path would make of the rest (T16)."""
    with pytest.raises(Malformed):
        xrio.site(b"XRIO" + site_id)


def test_header_needs_its_length():
    """Fewer than 20 bytes are no header."""
    with pytest.raises(Malformed):
        xrio.header(record()[:19])


@pytest.mark.parametrize(
    ("expected", "data"),
    [
        ((), record()),
        ((), record(site=b"GILL")),
        ((Flag.UNKNOWN_SITE,), record(site=b"mars")),
        ((Flag.TEXT_SAMPLE_RATE,), changed(record(), 9, b"1")),
        ((Flag.SAMPLE_RATE,), changed(record(), 9, b"\x02")),
        ((Flag.SPARES,), changed(record(), 10, b"\0\1")),
        ((Flag.SPARES,), changed(record(), 18, b"\1\0")),
        ((), record(second=0)),
        ((Flag.DATAPOINTS,), record([2400] * 61)),
        ((), record([4095] * 30 + [0] * 30, [4] * 29 + [4094, 0] + [4] * 29)),
        ((Flag.CODE_RANGE,), record([4095] * 59 + [4096])),
        ((Flag.CODE_RANGE,), record(ranges=[4] * 59 + [4096])),
        ((), record(counts=[59, 61] * 30)),
        ((Flag.NPOINTS,), record(counts=[60] * 59 + [58])),
        ((Flag.NPOINTS,), record(counts=[62] + [60] * 59)),
        ((Flag.NPOINTS,), record(counts=[60] * 59 + [60 + 256])),
        ((Flag.DEAD_PREAMPLIFIER,), record([2038, 2046, 2054, 2058, 2050, 2042] * 10)),
        ((), record([2050] * 59 + [2059])),
        ((), record([2046] * 59 + [2037])),
        ((), record([2400, 2412, 2400] * 20)),
        ((Flag.CONTINUITY,), record([2400] * 59 + [2413])),
        ((Flag.CONTINUITY,), record([2413] + [2400] * 59)),
    ],
)
def test_each_flag(expected, data):
    """Each oddity raises its flag and no other; the limits belong to the normal side."""
    assert expected == flags(data)


near_limits = st.sampled_from([0, 2037, 2038, 2048, 2058, 2059, 4095, 4096, 65535])
npoints = st.sampled_from([0, 58, 59, 60, 61, 62, 315, 316])


@given(
    st.lists(st.tuples(near_limits, near_limits, npoints), min_size=1, max_size=3)
    | st.lists(st.tuples(st.integers(2037, 2059), codes, st.just(60)), min_size=1, max_size=3)
)
def test_point_flags_agree_with_the_plain_reading(columns):
    """The shortcuts by bytes say the same as comparing every value."""
    averages, ranges, counts = zip(*columns, strict=True)
    expected = {
        Flag.CODE_RANGE: max(averages) > 4095 or max(ranges) > 4095,
        Flag.NPOINTS: min(counts) < 59 or max(counts) > 61,
        Flag.DEAD_PREAMPLIFIER: 2038 <= min(averages) and max(averages) <= 2058,
        Flag.CONTINUITY: any(
            abs(averages[n] - averages[n - 1]) > ranges[n] + ranges[n - 1] + 4
            for n in range(1, len(averages))
        ),
    }
    raised = flags(record(averages, ranges, counts))
    assert [flag for flag, is_raised in expected.items() if is_raised] == [
        flag for flag in raised if flag is not Flag.DATAPOINTS
    ]


def test_walk_goes_by_header():
    """Records of other lengths are found by what their headers say, not by a stride (T19)."""
    sizes = [380, 374, 386, 26, 380]
    data = b"".join(record([2400] * ((size - 20) // 6)) for size in sizes)
    assert sizes == [span.size for span in xrio.walk(data) if span.valid]


def test_walk_past_a_torn_record():
    """A record torn by a crash is junk up to the next header, which is not lost with it (T7)."""
    torn = record()[:200]
    data = record() + torn + record() + torn
    assert (
        Span(0, 380, True),
        Span(380, 200, False),
        Span(580, 380, True),
        Span(960, 200, False),
    ) == xrio.walk(data)


def test_walk_past_a_wrong_size():
    """A record whose count grew to 61 does not swallow the head of the next one."""
    data = changed(record(), 16, b"\x3d\0") + record()
    assert (Span(0, 380, False), Span(380, 380, True)) == xrio.walk(data)


def test_walk_past_a_broken_magic():
    """Bytes between two records are one span of junk."""
    data = record() + changed(record(), 0, b"Y") + b"XRIO" + record()
    assert (Span(0, 380, True), Span(380, 384, False), Span(764, 380, True)) == xrio.walk(data)


pieces = st.one_of(
    points.map(lambda columns: record(*zip(*columns, strict=True))),
    st.binary(max_size=30),
    st.integers(1, 379).map(lambda size: record()[:size]),
    st.just(b"XRIO"),
)


@given(st.lists(pieces, max_size=8).map(b"".join))
def test_walk_partitions(data):
    """Spans cover any bytes once and in order, and every valid one passes the checks."""
    spans = xrio.walk(data)
    assert data == b"".join(data[span.offset : span.offset + span.size] for span in spans)
    offset = 0
    for span in spans:
        assert (offset, True) == (span.offset, span.size > 0)
        offset += span.size
        if span.valid:
            assert xrio.invalid(data[span.offset : offset]) is None


@given(st.lists(points, max_size=6), st.lists(st.binary(max_size=20), min_size=7, max_size=7))
def test_walk_finds_every_whole_record(records, junk):
    """Whatever lies between them, whole records of 12-bit values are all found, byte for byte."""
    whole = [record(*zip(*columns, strict=True)) for columns in records]
    junk = [piece.replace(b"X", b"x") for piece in junk]  # a forged header is another story
    data = junk[0] + b"".join(a + b for a, b in zip(whole, junk[1:], strict=False))
    found = [data[s.offset : s.offset + s.size] for s in xrio.walk(data) if s.valid]
    assert whole == found
