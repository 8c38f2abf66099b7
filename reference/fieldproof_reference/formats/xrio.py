"""The riometer's XRIO record, version 0 (riometer data flow, 2006): pack, check, flag, find.

A record is a 20-byte header and n points of 6 bytes, little-endian, n = 60 as a rule: 380 bytes.

* *Invalidation* is the five checks of 2006 and nothing else. They notice 2 bit flips in 100, so a
  record that passes is only provisionally valid; integrity comes from a digest made at the edge.
* *Flags* say what is odd about a valid record and never reject it (R1-29). They are a function of
  the record alone, but for `CADENCE` and `HOUR`, which are of its place in a file (`center/flags`).
* `walk` goes by header, never by a stride of 380 bytes (T19): a consistent record of any n is one
  record, and a record that another header cuts short is junk up to that header (T7). No value of a
  12-bit converter can look like the magic, so a header inside a record is a real one.

The timestamp is declared signed in 2006 and read unsigned, which is the same up to 2038 and carries
the format to 2106. Python's native `l` would be eight bytes on today's machines, hence the `<`.
"""

import struct
from collections.abc import Iterator, Sequence
from enum import Enum, StrEnum
from itertools import pairwise
from typing import NamedTuple

from fieldproof_reference.formats import Malformed

HEADER = struct.Struct("<4s4scB2siH2s")
HEADER_BYTES = HEADER.size
POINT_BYTES = 6
RECORD_POINTS = 60
RECORD_BYTES = HEADER_BYTES + RECORD_POINTS * POINT_BYTES

STREAM_ID = b"XRIO"
VERSION = b"0"
SAMPLE_RATE = 1  # samples per second
LARGEST_CODE = 4095  # of a 12-bit converter
NEAR_ZERO_CODES = (2038, 2058)  # within 50 mV of 0 V = 2048, at 4.883 mV a code
CONTINUOUS_CODES = 4
"""What two neighbouring averages may differ by beyond both ranges: our assumption. The samples run
on from the last of one second to the first of the next, so averages differ by no more than both
ranges and a step from sample to sample. It finds of single flipped bits what was measured for the
format: 66 in 100, with the other flags and the five checks."""

_NORMAL_DATAPOINTS = struct.pack("<H", RECORD_POINTS)
_NORMAL_HIGH_BYTES = bytes(range((LARGEST_CODE >> 8) + 1))
_NORMAL_NPOINTS = bytes((59, 60, 61))
_TEXT_RATE = ord("1")  # a sender that writes the digit in place of the number
_NORMAL_VALUES = struct.Struct("<" + "3H" * RECORD_POINTS)
_TIMESTAMP = struct.Struct("<I")
_DATAPOINTS = struct.Struct("<H")


class Header(NamedTuple):
    """The header's fields in the order of the wire."""

    stream_id: bytes
    site_id: bytes
    version: bytes
    sample_rate: int
    spare1: bytes
    timestamp_s: int  # Unix second of the first sample, 0 to 2**32 - 1
    datapoints: int
    spare2: bytes


class Check(Enum):
    """The five invalidation checks, in their order."""

    STREAM_ID = "stream id"
    SITE_ID = "site id"
    VERSION = "version"
    DATA_SIZE = "data size"
    TOTAL_LENGTH = "total length"


class Flag(StrEnum):
    """What may be odd about a valid record."""

    UNKNOWN_SITE = "unknown site"
    TEXT_SAMPLE_RATE = "sample rate as text"
    SAMPLE_RATE = "sample rate"
    SPARES = "spares in use"
    DATAPOINTS = "datapoints"
    CODE_RANGE = "code above 4095"
    NPOINTS = "npoints"
    DEAD_PREAMPLIFIER = "dead preamplifier"
    CONTINUITY = "sample continuity"
    CADENCE = "cadence"  # not a whole number of minutes after the record before
    HOUR = "another hour"  # than that of its file


class Span(NamedTuple):
    """A piece of a file: one record, or bytes that are none."""

    offset: int
    size: int
    valid: bool


def pack(site_id: bytes, timestamp_s: int, points: bytes) -> bytes:
    """One record; `points` as from `pack_points`, `timestamp_s` from 0 to 2**32 - 1.

    Raises ValueError for a site id not of four bytes, a broken point or a field out of range."""
    datapoints, rest = divmod(len(points), POINT_BYTES)
    if len(site_id) != 4 or rest or not 0 <= timestamp_s < 1 << 32 or datapoints > 0xFFFF:
        raise ValueError(
            f"no record can be made of site id {site_id!r}, second {timestamp_s} and "
            f"{len(points)} bytes of points: give 4 bytes, 32 bits and at most 65535 points"
        )
    signed_s = timestamp_s - (timestamp_s >> 31 << 32)
    header_bytes = HEADER.pack(
        STREAM_ID, site_id, VERSION, SAMPLE_RATE, b"\0\0", signed_s, datapoints, b"\0\0"
    )
    return header_bytes + points


def pack_points(averages: Sequence[int], ranges: Sequence[int], counts: Sequence[int]) -> bytes:
    """The points of a record from its three columns of equal length, each value 0 to 65535."""
    total = 3 * len(averages)
    values = [0] * total
    try:
        values[0::3], values[1::3], values[2::3] = averages, ranges, counts
        return struct.pack(f"<{total}H", *values)
    except (ValueError, struct.error) as error:
        raise ValueError(f"these columns are no points: {error}") from error


def header(record: bytes) -> Header:
    """The header's fields as they stand, checked for nothing but length."""
    if len(record) < HEADER_BYTES:
        raise Malformed(f"an XRIO header has {HEADER_BYTES} bytes, here are {len(record)}")
    fields = Header._make(HEADER.unpack_from(record))
    return fields._replace(timestamp_s=fields.timestamp_s & 0xFFFF_FFFF)


def timestamp_s(record: bytes) -> int:
    """Unix second of the first sample, of a record of at least a header's length."""
    second: int = _TIMESTAMP.unpack_from(record, 12)[0]
    return second


def site(record: bytes) -> str:
    """The site in lower case, safe in a path (T16); `Malformed` unless it is four ASCII letters."""
    letters = record[4:8]
    if len(letters) != 4 or not letters.isalpha():  # bytes.isalpha, unlike str's, is ASCII-only
        raise Malformed(f"the site id {letters!r} is not four letters")
    return letters.decode("ascii").lower()


def invalid(record: bytes, strict: bool = False) -> Check | None:
    """The first of the five checks that `record` fails, None for a valid record.

    A consistent record of other than 60 points is valid; `strict` rejects it as 2006 would have."""
    if (
        len(record) == RECORD_BYTES
        and record[:4] == STREAM_ID
        and record[8:9] == VERSION
        and record[16:18] == _NORMAL_DATAPOINTS
        and record[4:8].isalpha()
    ):
        return None
    failed = _invalid_header(record[:HEADER_BYTES], strict)
    if failed is None and len(record) != _declared_bytes(record):
        return Check.TOTAL_LENGTH
    return failed


def _invalid_header(head: bytes, strict: bool = False) -> Check | None:
    """The first of the four checks that look at the header alone which these bytes fail."""
    if head[:4] != STREAM_ID:
        return Check.STREAM_ID
    if len(head) < 8 or not head[4:8].isalpha():
        return Check.SITE_ID
    if head[8:9] != VERSION:
        return Check.VERSION
    if len(head) < HEADER_BYTES or head[16:18] == b"\0\0":
        return Check.DATA_SIZE
    if strict and head[16:18] != _NORMAL_DATAPOINTS:
        return Check.DATA_SIZE
    return None


def _declared_bytes(data: bytes, offset: int = 0) -> int:
    """The size of the record that the header at `offset` announces."""
    datapoints: int = _DATAPOINTS.unpack_from(data, offset + 16)[0]
    return HEADER_BYTES + POINT_BYTES * datapoints


def flags(record: bytes, known_sites: frozenset[str]) -> tuple[Flag, ...]:
    """What is odd about a valid record by itself, in the order of `Flag`.

    `known_sites` in lower case."""
    found: list[Flag] = []
    if record[4:8].lower().decode("latin-1") not in known_sites:
        found.append(Flag.UNKNOWN_SITE)
    if record[9] != SAMPLE_RATE:
        found.append(Flag.TEXT_SAMPLE_RATE if record[9] == _TEXT_RATE else Flag.SAMPLE_RATE)
    if record[10:12] != b"\0\0" or record[18:20] != b"\0\0":
        found.append(Flag.SPARES)
    if record[16:18] != _NORMAL_DATAPOINTS:
        found.append(Flag.DATAPOINTS)
    return (*found, *_point_flags(record))


def values(record: bytes) -> tuple[int, ...]:
    """Average, range and npoints of each second in turn, of a valid record."""
    if len(record) == RECORD_BYTES:
        return _NORMAL_VALUES.unpack_from(record, HEADER_BYTES)
    return struct.unpack_from(f"<{(len(record) - HEADER_BYTES) // 2}H", record, HEADER_BYTES)


def jumps(averages: Sequence[int], ranges: Sequence[int]) -> Iterator[int]:
    """The seconds (1 is the second one) whose average is further from that of the second before
    than a continuous signal can go."""
    average, spread = averages[0], ranges[0]
    for second, (following, spread_of) in enumerate(zip(averages, ranges, strict=True)):
        if abs(following - average) > spread + spread_of + CONTINUOUS_CODES:
            yield second
        average, spread = following, spread_of


def _point_flags(record: bytes) -> Iterator[Flag]:
    """The flags that the points raise.

    It takes every sixth byte and deletes the normal values, where that says as much as a look at
    each value: several times faster."""
    high_bytes = record[21::POINT_BYTES] + record[23::POINT_BYTES]
    if high_bytes.translate(None, _NORMAL_HIGH_BYTES):
        yield Flag.CODE_RANGE
    if record[24::POINT_BYTES].translate(None, _NORMAL_NPOINTS) or any(record[25::POINT_BYTES]):
        yield Flag.NPOINTS
    of_points = values(record)
    averages = of_points[0::3]
    low, high = NEAR_ZERO_CODES
    if low <= averages[0] <= high and low <= min(averages) and max(averages) <= high:
        yield Flag.DEAD_PREAMPLIFIER
    if any(jumps(averages, of_points[1::3])):
        yield Flag.CONTINUITY


def walk(data: bytes) -> tuple[Span, ...]:
    """The whole of `data` as records and junk, in order, without overlap and without a hole."""
    if _is_plain(data):
        return tuple(Span(at, RECORD_BYTES, True) for at in range(0, len(data), RECORD_BYTES))
    starts = [*_header_offsets(data), len(data)]
    spans = [Span(0, starts[0], False)] if starts[0] else []
    for start, following in pairwise(starts):
        end = start + _declared_bytes(data, start)
        if end > following:  # torn: the file, or the next record, begins before this one ends
            spans.append(Span(start, following - start, False))
            continue
        spans.append(Span(start, end - start, True))
        if end < following:
            spans.append(Span(end, following - end, False))
    return tuple(spans)


def _is_plain(data: bytes) -> bool:
    """Whether the bytes are records of 60 points and nothing else, as nearly all files are."""
    count, rest = divmod(len(data), RECORD_BYTES)
    return (
        rest == 0
        and data.count(STREAM_ID) == count
        and all(
            invalid(data[at : at + RECORD_BYTES]) is None
            for at in range(0, len(data), RECORD_BYTES)
        )
    )


def _header_offsets(data: bytes) -> Iterator[int]:
    """Where the magic stands at the head of 20 bytes that pass the checks of a header."""
    offset = data.find(STREAM_ID)
    while offset >= 0:
        if _invalid_header(data[offset : offset + HEADER_BYTES]) is None:
            yield offset
        offset = data.find(STREAM_ID, offset + len(STREAM_ID))
