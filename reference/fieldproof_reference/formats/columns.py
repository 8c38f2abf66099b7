"""Riometer records as columns, the body of a repair before compression (our own layout).

    template   16 bytes   bytes 0-11 and 16-19 of every record
    count      varint     records
    times      varints    second of day of the first record, then differences
    averages   column     of all points of all records, each less the one before, zigzag
    ranges     column     as they are
    npoints    column     each less 60, zigzag

A column holds one byte for a value below 255, otherwise FF and three bytes little-endian. Zigzag
maps 0, -1, 1, -2 ... to 0, 1, 2, 3 ... Alike values end up side by side, which is what a compressor
wants: three records of 2006's noise deflate to about 230 bytes, against 350 as they are.

`Layout.PAIRED` has a byte for each point in the place of the first two columns, and a fourth:

    pairs      bytes      the average's difference in the upper half, the range in the lower,
                          15 where one is 15 or more
    npoints    column     as above
    wide       column     those values less 15, in the order of points, differences first

A compressor that looks at the byte before and at the upper half of the present one (LZMA, lc=4)
then sees what the values know of each other: a day takes 48.7 kB in the place of 52.8.

Only whole records of 60 points that share the template and are in the order of time fit. The
decoded records are the contract; encoders may differ in how they compress what this file writes.
"""

import struct
from collections.abc import Iterable, Sequence
from enum import Enum
from itertools import accumulate, chain, pairwise

from fieldproof_reference.formats import Malformed, varint, xrio
from fieldproof_reference.formats.days import DAY_S

_TEMPLATE_BYTES = 16
_ESCAPE = 0xFF
_ESCAPED_BYTES = 4
_WIDE = 15
_POINTS = struct.Struct(f"<{3 * xrio.RECORD_POINTS}H")
_TIMESTAMP = struct.Struct("<I")


class Layout(Enum):
    """How the averages and ranges are written; the value is the least of bytes for a point."""

    PLAIN = 3
    PAIRED = 2


def encode(records: Sequence[bytes], day: int, layout: Layout = Layout.PLAIN) -> bytes | None:
    """The records of one day as columns, None where they do not fit the layout or are none.

    `day` counts from 1970-01-01; a leap second may be filed as second 86400 of its day."""
    if not records:
        return None
    template = _template(records[0])
    if any(len(r) != xrio.RECORD_BYTES or _template(r) != template for r in records):
        return None
    if template[12:14] != xrio.RECORD_POINTS.to_bytes(2, "little"):
        return None
    seconds = [xrio.timestamp_s(record) - day * DAY_S for record in records]
    steps = [seconds[0], *(b - a for a, b in pairwise(seconds))]
    if min(steps) < 0 or seconds[-1] > DAY_S:
        return None
    points = [_POINTS.unpack_from(record, xrio.HEADER_BYTES) for record in records]
    averages = chain.from_iterable(p[0::3] for p in points)
    differences = [_zigzag(b - a) for a, b in pairwise(chain((0,), averages))]
    ranges = list(chain.from_iterable(p[1::3] for p in points))
    npoints = chain.from_iterable(p[2::3] for p in points)
    excesses = _put_column(_zigzag(n - xrio.RECORD_POINTS) for n in npoints)
    head = (template, varint.put(len(records)), *map(varint.put, steps))
    if layout is Layout.PLAIN:
        return b"".join((*head, _put_column(differences), _put_column(ranges), excesses))
    pairs = zip(differences, ranges, strict=True)
    halves = bytes(min(d, _WIDE) << 4 | min(r, _WIDE) for d, r in pairs)
    both = chain.from_iterable(zip(differences, ranges, strict=True))
    wide = _put_column(value - _WIDE for value in both if value >= _WIDE)
    return b"".join((*head, halves, excesses, wide))


def count_of(body: bytes) -> int:
    """How many records a body says that it has. Raises Malformed."""
    return varint.take(body, _TEMPLATE_BYTES)[0]


def decode(body: bytes, day: int, layout: Layout = Layout.PLAIN) -> tuple[bytes, ...]:
    """The records, byte for byte; `Malformed` for anything that is not exactly such a body.

    It makes at most 3.2 times as many bytes as it is given."""
    template, (count, offset) = body[:_TEMPLATE_BYTES], varint.take(body, _TEMPLATE_BYTES)
    if template[12:14] != xrio.RECORD_POINTS.to_bytes(2, "little"):
        raise Malformed(f"the template {template.hex()} is not one of 60-point records")
    if count * (1 + layout.value * xrio.RECORD_POINTS) > len(body) - offset:
        raise Malformed(f"{count} records cannot be in a body of {len(body)} bytes")
    steps: list[int] = []
    for _ in range(count):
        step, offset = varint.take(body, offset)
        steps.append(step)
    seconds = list(accumulate(steps))
    last_s = max(seconds, default=0)
    if day < 0 or last_s > DAY_S or day * DAY_S + last_s >= 1 << 32:
        raise Malformed(f"second {last_s} of day {day} is no time of a record")
    take = _take_pairs if layout is Layout.PAIRED else _take_points
    values, offset = take(body, offset, count * xrio.RECORD_POINTS)
    if offset != len(body):
        raise Malformed(f"{len(body) - offset} bytes follow the last column")
    return tuple(
        template[:12]
        + _TIMESTAMP.pack(day * DAY_S + second)
        + template[12:]
        + _POINTS.pack(*values[first : first + 3 * xrio.RECORD_POINTS])
        for second, first in zip(
            seconds, range(0, len(values), 3 * xrio.RECORD_POINTS), strict=True
        )
    )


def _template(record: bytes) -> bytes:
    return record[:12] + record[16:20]


def _take_points(body: bytes, offset: int, count: int) -> tuple[list[int], int]:
    """The values of `count` points in the order of records, and the offset behind the columns."""
    differences, offset = _take_column(body, offset, count)
    ranges, offset = _take_column(body, offset, count)
    excesses, offset = _take_column(body, offset, count)
    return _points_of(differences, ranges, excesses), offset


def _take_pairs(body: bytes, offset: int, count: int) -> tuple[list[int], int]:
    """The same for pairs."""
    halves = body[offset : offset + count]
    both = [half for pair in halves for half in (pair >> 4, pair & 0xF)]
    excesses, offset = _take_column(body, offset + count, count)
    wide_at = [at for at, half in enumerate(both) if half == _WIDE]
    wide, offset = _take_column(body, offset, len(wide_at))
    for at, value in zip(wide_at, wide, strict=True):
        both[at] += value
    return _points_of(both[0::2], both[1::2], excesses), offset


def _points_of(differences: list[int], ranges: list[int], excesses: list[int]) -> list[int]:
    """The values of the points, in the order of records."""
    values = [0] * (3 * len(ranges))
    values[0::3] = accumulate(map(_unzigzag, differences))
    values[1::3] = ranges
    values[2::3] = (xrio.RECORD_POINTS + _unzigzag(excess) for excess in excesses)
    if values and not 0 <= min(values) <= max(values) <= 0xFFFF:
        raise Malformed("a column leaves the 16 bits of a point's value")
    return values


def _zigzag(value: int) -> int:
    return 2 * value if value >= 0 else -2 * value - 1


def _unzigzag(value: int) -> int:
    return -(value >> 1) - 1 if value & 1 else value >> 1


def _put_column(values: Iterable[int]) -> bytes:
    out = bytearray()
    for value in values:
        if value < _ESCAPE:
            out.append(value)
        else:
            out.append(_ESCAPE)
            out += value.to_bytes(_ESCAPED_BYTES - 1, "little")
    return bytes(out)


def _take_column(body: bytes, offset: int, count: int) -> tuple[list[int], int]:
    """`count` values from `offset`, and the offset behind them. Escapes are rare: what lies between
    two of them is copied in one piece."""
    values: list[int] = []
    while len(values) < count:
        end = offset + count - len(values)
        escape = body.find(_ESCAPE, offset, end)
        stop = end if escape < 0 else escape
        values += body[offset:stop]
        offset = stop + (_ESCAPED_BYTES if escape >= 0 else 0)
        if offset > len(body):
            raise Malformed(f"a column of {count} values ends with the body at {len(body)} bytes")
        if escape >= 0:
            values.append(int.from_bytes(body[escape + 1 : offset], "little"))
    return values, offset
