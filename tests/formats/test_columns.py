"""The columns of a repair: layout, round trips, what does not fit, hostile bodies."""

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fieldproof_reference.formats import Malformed, columns, varint, xrio
from fieldproof_reference.formats.columns import Layout

DAY = 13_165  # 2006-01-17
values = st.integers(0, 65535)
point_bytes = st.one_of(
    st.binary(min_size=360, max_size=360),
    st.lists(st.sampled_from([0, 59, 60, 61, 2400, 65535]), min_size=180, max_size=180).map(
        lambda numbers: struct.pack("<180H", *numbers)
    ),
)
days_of_records = st.lists(st.tuples(st.integers(0, 86_400), point_bytes), min_size=1, max_size=4)


def record(second: int, points: bytes | None = None) -> bytes:
    normal = xrio.pack_points([2400] * 60, [4] * 60, [60] * 60)
    return xrio.pack(b"daws", DAY * 86_400 + second, normal if points is None else points)


THREE = [record(58_985), record(67_265), record(79_625)]  # 16:23:05, 18:41:05, 22:07:05
BODY = columns.encode(THREE, DAY) or b""
PAIRED = columns.encode(THREE, DAY, Layout.PAIRED) or b""
BODIES = {Layout.PLAIN: BODY, Layout.PAIRED: PAIRED}


def test_layout():
    """Template, count and times of three records are those of the published example."""
    expected = "5852494f64617773300100003c000000 03 e9cc03 d840 c860"
    assert bytes.fromhex(expected) == BODY[:24]


def test_columns_of_values():
    """Averages as differences over all records, then ranges, then npoints, zigzag and escaped."""
    points = xrio.pack_points([0, 65535, 127, *[127] * 57], [254, 255, *[0] * 58], [59, 61] * 30)
    body = columns.encode([record(0, points), record(60, points)], DAY) or b""
    rise, fall = b"\xff\xfe\xff\x01", b"\xff\xff\xfe\x01"  # 0 to 65535, 65535 to 127
    first, second = b"\0" + rise + fall, b"\xfd" + rise + fall  # begins at 0; at 0 less 127
    ranges = b"\xfe" + b"\xff\xff\0\0" + bytes(58)
    expected = first + bytes(57) + second + bytes(57) + 2 * ranges + b"\x01\x02" * 60
    assert expected == body[19:]


def test_pairs_of_values():
    """Differences and ranges share a byte, npoints follow, then what fits no half, point by point,
    differences first."""
    points = xrio.pack_points([7, 7, 0, *[0] * 57], [14, 15, 300, *[0] * 57], [59, *[60] * 59])
    body = columns.encode([record(0, points)], DAY, Layout.PAIRED) or b""
    pairs = b"\xee" + b"\x0f" + b"\xdf" + bytes(57)
    wide = b"\0" + b"\xff\x1d\x01\0"  # 15 and 300, less 15
    assert pairs + b"\1" + bytes(59) + wide == body[18:]
    assert 1 == columns.count_of(body)


@given(days_of_records, st.sampled_from(Layout))
def test_round_trip(day, layout):
    """Records of one day in the order of time come back byte for byte, whatever their values."""
    records = [record(second, points) for second, points in sorted(day)]
    body = columns.encode(records, DAY, layout)
    assert body is not None
    assert tuple(records) == columns.decode(body, DAY, layout)
    assert len(body) < 16 + 5 + len(records) * 380 * 5 / 2


@pytest.mark.parametrize(
    "records",
    [
        [],
        [b"junk"],
        [b""],
        [record(0), record(60)[:-1]],
        [record(0), record(60).replace(b"daws", b"DAWS")],
        [xrio.pack(b"daws", DAY * 86_400, bytes(354))],
        [record(0)[:16] + b"\x3d\0" + record(0)[18:]],
        [record(60), record(0)],
        [record(-1)],
        [record(86_401)],
    ],
)
def test_what_does_not_fit(records):
    """Junk, other headers, other lengths, other days and other orders are left to the raw body."""
    for layout in Layout:
        assert columns.encode(records, DAY, layout) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        BODY[:16],
        BODY[:-1],
        BODY + b"\0",
        BODY[:12] + b"\x3d" + BODY[13:],
        BODY[:16] + varint.put(4) + BODY[17:],
        BODY[:16] + varint.put(2**31) + BODY[17:],
        BODY[:17] + varint.put(86_401) + BODY[20:],
        BODY[:24] + b"\xff\xff\xff\xff" + BODY[25:],
        BODY[:24] + b"\x01" + BODY[25:],
        BODY[:-1] + b"\xff",
        BODY[:-1] + b"\x79",
    ],
    ids=range(12),
)
def test_malformed_bodies(body):
    """A body that is cut, too long, or says what no record can say is refused."""
    with pytest.raises(Malformed):
        columns.decode(body, DAY)


@pytest.mark.parametrize(
    "body",
    [
        PAIRED[:-1],
        PAIRED + b"\0",
        PAIRED[:16] + varint.put(4) + PAIRED[17:],
        PAIRED[:24] + b"\xff" + PAIRED[25:],
        PAIRED[:-1] + b"\xff",
    ],
    ids=range(5),
)
def test_malformed_pairs(body):
    """So is one of pairs."""
    with pytest.raises(Malformed):
        columns.decode(body, DAY, Layout.PAIRED)


@pytest.mark.parametrize("day", [-1, 49_710])
def test_days_beyond_the_timestamp(day):
    """A body does not decode to a day that 32 bits of seconds cannot name."""
    late = columns.encode([record(86_000)], DAY) or b""
    with pytest.raises(Malformed):
        columns.decode(late, day)


@given(
    st.sampled_from(Layout),
    st.binary(max_size=60),
    st.none() | st.tuples(st.integers(0, len(BODY)), st.binary(max_size=4)),
    st.sampled_from([DAY, -1, 0, 49_710, 60_000]),
)
def test_hostile_bodies(layout, body, change, day):
    """Any bytes are records or `Malformed`, and never more than 3.2 times as many bytes."""
    if change is not None:
        good = BODIES[layout]
        body = good[: change[0]] + change[1] + good[change[0] + 1 :]
    try:
        records = columns.decode(body, day, layout)
    except Malformed:
        return
    assert all(380 == len(each) for each in records)
    assert 380 * len(records) <= 3.2 * len(body)


@given(st.integers(0, 2**32 - 1), st.binary(max_size=3))
@example(127, b"")
@example(128, b"")
def test_varint_round_trip(value, tail):
    """A number comes back, and the offset is behind it."""
    data = b"\xff" + varint.put(value) + tail
    assert (value, len(data) - len(tail)) == varint.take(data, 1)


@pytest.mark.parametrize(
    "data", [b"", b"\x80", b"\xff" * 5, b"\x80" * 5 + b"\0", b"\xff\xff\xff\xff\x10"]
)
def test_no_varint(data):
    """A number that is cut short or does not fit 32 bits is refused."""
    with pytest.raises(Malformed):
        varint.take(data, 0)


@pytest.mark.parametrize("value", [-1, 2**32])
def test_varint_range(value):
    """Numbers beyond 32 bits are not written."""
    with pytest.raises(ValueError, match="a varint holds"):
        varint.put(value)
