"""Bytes and values: both members of each pair of codecs, on a real day's records."""

import numpy as np
import pytest

from fieldproof.oracle import idx as oracle_idx
from fieldproof.oracle import xrio as oracle_xrio
from fieldproof_contract import Address
from fieldproof_reference.formats import columns, idx, xrio
from fieldproof_reference.formats.adwords import TwoByteWords
from fieldproof_simulators.lines import adwords

DAY = 13_165  # 2006-01-17, counted from 1970
SITES = frozenset({"daws"})
MINUTE_NS = 60 * 10**9
COLUMNS = ("average", "range", "npoints")


@pytest.fixture(scope="session")
def records(hour_files) -> list[bytes]:
    """The 1440 records of the day."""
    return [
        data[span.offset : span.offset + span.size]
        for data in hour_files.values()
        for span in xrio.walk(data)
    ]


@pytest.fixture(scope="session")
def index_file() -> bytes:
    """An index of a day's arrivals."""
    source = Address("206.172.47.234", 32769)
    begins_ns = DAY * 1440 * MINUTE_NS
    entries = (
        idx.Entry(begins_ns + n * MINUTE_NS, 24985, source, 380, 380 * n, b"XRIO")
        for n in range(1440)
    )
    return b"".join(map(idx.line, entries))


def test_xrio_pack(measure, records):
    """A record is packed from its three columns of sixty."""
    points = oracle_xrio.decode(b"".join(records), "daws").points.reshape(-1, 60)
    made = [
        (xrio.timestamp_s(record), *(row[name].tolist() for name in COLUMNS))
        for record, row in zip(records, points, strict=True)
    ]

    def pack() -> list[bytes]:
        return [xrio.pack(b"DAWS", second, xrio.pack_points(*cols)) for second, *cols in made]

    packed = measure(
        "xrio, pack a day",
        pack,
        counts=lambda packed: {"records": len(packed), "bytes": sum(map(len, packed))},
        rounds=20,
    )
    assert records == packed


def test_xrio_invalid(measure, records):
    """The five checks of 2006 on records that pass them."""
    failed = measure(
        "xrio, check a day",
        lambda: [xrio.invalid(record) for record in records],
        counts=lambda failed: {"records": len(failed)},
        rounds=20,
    )
    assert {None} == set(failed)


def test_xrio_flags(measure, records):
    """What may be odd about a valid record, on records that are not odd."""
    flags = measure(
        "xrio, flag a day",
        lambda: [xrio.flags(record, SITES) for record in records],
        counts=lambda flags: {"records": len(flags)},
        rounds=20,
        against="xrio, check a day",
    )
    assert {()} == set(flags)


def test_xrio_walk(measure, hour_files):
    """The reference finds records by their headers."""
    spans = measure(
        "xrio, walk a day (reference)",
        lambda: [span for data in hour_files.values() for span in xrio.walk(data)],
        counts=lambda spans: {"records": len(spans), "files": len(hour_files)},
        rounds=20,
    )
    assert all(span.valid for span in spans)


def test_xrio_decode(measure, hour_files):
    """The oracle reads a sound file as one array, values included."""
    decoded = measure(
        "xrio, decode a day (oracle)",
        lambda: [oracle_xrio.decode(data, "daws") for data in hour_files.values()],
        counts=lambda decoded: {
            "records": sum(len(each.offsets) for each in decoded),
            "files": len(hour_files),
        },
        rounds=20,
        against="xrio, walk a day (reference)",
    )
    assert not any(each.strays for each in decoded)


def test_idx_line(measure, index_file):
    """An index line is written for each arrival."""
    entries = [idx.parse(line) for line in index_file.splitlines()]
    written = measure(
        "idx, write a day",
        lambda: b"".join(map(idx.line, entries)),
        counts=lambda written: {"lines": len(entries), "bytes": len(written)},
        rounds=20,
    )
    assert index_file == written


def test_idx_parse(measure, index_file):
    """The reference reads an index line by line, each line whole or not at all."""
    lines = index_file.splitlines()
    measure(
        "idx, read a day (reference)",
        lambda: list(map(idx.parse, lines)),
        counts=lambda entries: {"lines": len(entries), "bytes": len(index_file)},
        rounds=20,
    )


def test_idx_parse_by_the_oracle(measure, index_file):
    """The oracle reads an index file at once."""
    index = measure(
        "idx, read a day (oracle)",
        lambda: oracle_idx.parse(index_file),
        counts=lambda index: {"lines": len(index.entries), "bytes": len(index_file)},
        rounds=20,
        against="idx, read a day (reference)",
    )
    assert not index.malformed


def test_columns_encode(measure, records):
    """A day's records become columns, which is most of what makes them small."""
    measure(
        "columns, encode a day",
        lambda: columns.encode(records, DAY),
        counts=lambda body: {"records": len(records), "bytes": len(body)},
        rounds=5,
    )


def test_columns_decode(measure, records):
    """Columns become the same records again."""
    body = columns.encode(records, DAY)
    decoded = measure(
        "columns, decode a day",
        lambda: columns.decode(body, DAY),
        counts=lambda decoded: {"records": len(decoded), "bytes": len(body)},
        rounds=5,
    )
    assert records == list(decoded)


def test_words_encode(measure):
    """The instrument's side of the serial line writes an hour of A/D words at once."""
    codes = np.arange(216_000, dtype=np.uint16) & 0xFFF
    measure(
        "A/D words, encode an hour",
        lambda: adwords.encode(codes),
        counts=lambda line: {"samples": len(codes), "bytes": len(line)},
        rounds=10,
    )


def test_words_decode(measure):
    """The edge's side reads byte by byte, as it must."""
    codes = np.arange(216_000, dtype=np.uint16) & 0xFFF
    line = adwords.encode(codes)
    decoded = measure(
        "A/D words, decode an hour",
        lambda: TwoByteWords().feed(line),
        counts=lambda decoded: {"samples": len(decoded), "bytes": len(line)},
        rounds=5,
        against="A/D words, encode an hour",
    )
    assert codes.tolist() == decoded
