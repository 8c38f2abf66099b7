"""The body of a repair's reply: what the edge holds in each gap, in the order of its files.

An item is a record or, since the center must mirror the edge byte for byte, the junk between two.

    raw       per gap: varint number of items; per item: varint length, bytes
    columns   all records of all gaps as one `columns` body, paired where LZMA2 compresses it; each
              record's second says which gap

Columns need every item to be a record that fits the template and lies, in order, inside its gap;
one torn or misdated item sends the whole body raw. Compression is raw deflate or raw LZMA2, both in
the standard library. Encoders of different versions differ in their bytes (T26): only what is
decoded is the contract. A reader says how much it expects and never unpacks much more (T24).
"""

import lzma
import zlib
from collections.abc import Sequence
from typing import Any

from fieldproof_reference.formats import Malformed, columns, varint, xrio
from fieldproof_reference.formats.columns import Layout
from fieldproof_reference.formats.days import DAY_S
from fieldproof_reference.protocols.request import Gap
from fieldproof_reference.protocols.wire import Codec

LONG_S = 3600
"""Gaps of this many seconds in all are worth the better compression."""

_COLUMNS = {Codec.COLUMNS_DEFLATE: Layout.PLAIN, Codec.COLUMNS_LZMA: Layout.PAIRED}
_RAW_DEFLATE_WBITS = -15
_LZMA2: list[dict[str, Any]] = [
    {
        "id": lzma.FILTER_LZMA2,
        "preset": 9 | lzma.PRESET_EXTREME,
        "dict_size": 1 << 20,  # a day's columns are a quarter of it; the reader must allocate it
        "lc": 4,  # the upper half of the byte before; readers take it from the stream
        "lp": 0,
        "pb": 0,
    }
]


def seconds_of(gaps: Sequence[Gap]) -> int:
    """How long the gaps are in all."""
    return sum(gap.before_s - (gap.after_s or 0) for gap in gaps)


def codec_for(gaps: Sequence[Gap]) -> Codec:
    """How records of these gaps are best written."""
    return Codec.COLUMNS_LZMA if seconds_of(gaps) > LONG_S else Codec.COLUMNS_DEFLATE


def pack_body(
    groups: Sequence[Sequence[bytes]], wanted: Codec, day: int, gaps: Sequence[Gap]
) -> tuple[Codec, bytes]:
    """The codec used and the body for `groups`, one group of items for each of the `gaps`.

    The codec is the wanted one; RAW_DEFLATE where columns do not fit; RAW where deflate does not
    shrink."""
    items = [item for group in groups for item in group]
    if wanted in _COLUMNS:
        body = columns.encode(items, day, _COLUMNS[wanted])
        if body is not None and _grouped(items, gaps, day) == [list(group) for group in groups]:
            return wanted, _compress(body, wanted)
    body = b"".join(map(_put_group, groups))
    if wanted is not Codec.RAW:
        deflated = _compress(body, Codec.RAW_DEFLATE)
        if len(deflated) < len(body):
            return Codec.RAW_DEFLATE, deflated
    return Codec.RAW, body


def unpack_body(
    codec: Codec, body: bytes, gaps: Sequence[Gap], day: int, limit_bytes: int
) -> tuple[tuple[bytes, ...], ...]:
    """The items of each gap; `Malformed` for a body that is not exactly that of these gaps.

    `limit_bytes` bounds the sum of the items; two and a half times that is unpacked on the way at
    most, for columns of pure noise are longer than their records."""
    if codec is Codec.XDELTA:
        raise Malformed("the body is of deltas, not of what lies in gaps")
    plain = _decompress(body, codec, 5 * (limit_bytes + len(gaps)) // 2)
    if codec in _COLUMNS:
        _check_size(columns.count_of(plain) * xrio.RECORD_BYTES, limit_bytes)
        records = columns.decode(plain, day, _COLUMNS[codec])
        groups = _grouped(records, gaps, day)
        if groups is None:
            raise Malformed(f"the body brings a record of day {day} that lies in no gap asked for")
    else:
        groups = _take_groups(plain, len(gaps))
    _check_size(sum(len(item) for group in groups for item in group), limit_bytes)
    return tuple(map(tuple, groups))


def _check_size(total_bytes: int, limit_bytes: int) -> None:
    if total_bytes > limit_bytes:
        raise Malformed(f"the body brings {total_bytes} bytes where {limit_bytes} are the most")


def _grouped(records: Sequence[bytes], gaps: Sequence[Gap], day: int) -> list[list[bytes]] | None:
    """The records of each gap by their seconds, in order; None if one lies outside of all gaps."""
    groups: list[list[bytes]] = [[] for _ in gaps]
    index = 0
    for record in records:
        second = xrio.timestamp_s(record) - day * DAY_S
        while index < len(gaps) and not gaps[index].holds(second):
            index += 1
        if index == len(gaps):
            return None
        groups[index].append(record)
    return groups


def _put_group(items: Sequence[bytes]) -> bytes:
    return varint.put(len(items)) + b"".join(varint.put(len(item)) + item for item in items)


def _take_groups(plain: bytes, count: int) -> list[list[bytes]]:
    groups: list[list[bytes]] = []
    offset = 0
    for _ in range(count):
        items: list[bytes] = []
        total, offset = varint.take(plain, offset)
        while len(items) < total:
            size, offset = varint.take(plain, offset)
            if offset + size > len(plain):
                raise Malformed(f"an item of {size} bytes does not fit a body of {len(plain)}")
            items.append(plain[offset : offset + size])
            offset += size
        groups.append(items)
    if offset != len(plain):
        raise Malformed(f"{len(plain) - offset} bytes follow the last of {count} gaps")
    return groups


def _compress(plain: bytes, codec: Codec) -> bytes:
    if codec is Codec.COLUMNS_LZMA:
        return lzma.compress(plain, lzma.FORMAT_RAW, filters=_LZMA2)
    columnar = codec is Codec.COLUMNS_DEFLATE  # small numbers, few repeats: what Z_FILTERED is for
    strategy = zlib.Z_FILTERED if columnar else zlib.Z_DEFAULT_STRATEGY
    deflate = zlib.compressobj(9, zlib.DEFLATED, _RAW_DEFLATE_WBITS, strategy=strategy)
    return deflate.compress(plain) + deflate.flush()


def _decompress(body: bytes, codec: Codec, most_bytes: int) -> bytes:
    """The plain body, never more than one byte beyond `most_bytes`, however large it would be."""
    if codec is Codec.RAW:
        plain, whole = body, True
    else:
        inflate = (
            lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_LZMA2)
            if codec is Codec.COLUMNS_LZMA
            else zlib.decompressobj(_RAW_DEFLATE_WBITS)
        )
        try:
            plain = inflate.decompress(body, most_bytes + 1)
        except (zlib.error, lzma.LZMAError) as error:
            raise Malformed(f"the body is not {codec.name}: {error}") from error
        whole = inflate.eof and not inflate.unused_data
    if len(plain) > most_bytes:
        raise Malformed(f"the body unpacks to more than the {most_bytes} bytes expected")
    if not whole:
        raise Malformed(f"the body is not one whole {codec.name} stream")
    return plain
