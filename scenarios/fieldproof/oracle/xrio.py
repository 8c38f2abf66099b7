"""XRIO version 0 records out of hour files ("Riometer data flow", 2006): the judge's own decoder.

A sound file is a row of 380-byte records and is read as one array. Any other file is walked by its
headers (a record of n points has 20 + 6 n bytes); bytes that belong to no record are *strays*: torn
records, or records that are no longer recognised. A header is believed where its record ends at
another header or at the end of the file; one of 60 points also where no other begins before that.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MAGIC = b"XRIO"
HEADER_BYTES = 20
POINT_BYTES = 6
POINTS = 60
RECORD_BYTES = HEADER_BYTES + POINTS * POINT_BYTES

POINT = np.dtype([("average", "<u2"), ("range", "<u2"), ("npoints", "<u2")])
RECORD = np.dtype(
    [
        ("stream", "S4"),
        ("site", "S4"),
        ("version", "S1"),
        ("rate", "u1"),
        ("spare1", "<u2"),
        ("timestamp", "<u4"),
        ("datapoints", "<u2"),
        ("spare2", "<u2"),
        ("points", POINT, (POINTS,)),
    ]
)


class Records(NamedTuple):
    """The records of one file, in its order."""

    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    timestamps_s: NDArray[np.int64]  # Unix second of the first sample, as written
    counts: NDArray[np.int64]  # points in each
    points: NDArray[np.void]  # dtype POINT, of all records one after the other
    strays: tuple[tuple[int, int], ...]  # (offset, size) of bytes that are no record of the site


def decode(data: bytes, site: str) -> Records:
    """The records of `site` (four letters, any case) in an hour file's bytes."""
    if len(data) % RECORD_BYTES == 0:
        array = np.frombuffer(data, dtype=RECORD)
        sound = (array["stream"] == MAGIC) & (array["version"] == b"0")
        sound &= array["datapoints"] == POINTS
        if sound.all() and _all_of(array["site"], site):
            return _of_array(array)
    return _of_pieces(data, *walk(data, site))


def walk(data: bytes, site: str) -> tuple[list[int], tuple[tuple[int, int], ...]]:
    """Offsets of the site's records, and the strays between them as (offset, size)."""
    records: list[int] = []
    strays: list[tuple[int, int]] = []
    at = 0
    while at < len(data):
        size = _record_size(data, at, site)
        if size:
            records.append(at)
            at += size
            continue
        following = data.find(MAGIC, at + 1)
        end = following if following >= 0 else len(data)
        if strays and sum(strays[-1]) == at:
            strays[-1] = (strays[-1][0], strays[-1][1] + end - at)
        else:
            strays.append((at, end - at))
        at = end
    return records, tuple(strays)


def odd_headers(data: bytes, offsets: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of the records at `offsets` have a sample rate other than 1 Hz, or a spare in use."""
    if len(offsets) == 0:
        return np.zeros(0, dtype=np.bool_)
    content = np.frombuffer(data, dtype=np.uint8)
    found = content[offsets[:, None] + np.array([9, 10, 11, 18, 19])]
    odd: NDArray[np.bool_] = (found != np.array([1, 0, 0, 0, 0])).any(axis=1)
    return odd


def _record_size(data: bytes, at: int, site: str) -> int:
    """Size of the record at `at`, or 0 where there is none to believe in."""
    header = data[at : at + HEADER_BYTES]
    if len(header) < HEADER_BYTES or header[:4] != MAGIC or header[8:9] != b"0":
        return 0
    if header[4:8].lower() != site.encode().lower():
        return 0
    count = int.from_bytes(header[16:18], "little")
    size = HEADER_BYTES + POINT_BYTES * count
    if count == 0 or at + size > len(data):
        return 0
    if data[at + size : at + size + 4] in (b"", MAGIC):
        return size
    last = at + size + len(MAGIC) - 1
    is_whole = data.find(MAGIC, at + 4, last) < 0  # no other record begins before its end
    return size if count == POINTS and is_whole else 0


def _all_of(sites: NDArray[np.bytes_], site: str) -> bool:
    """Whether every site id folds to `site`."""
    return all(name.lower() == site.encode().lower() for name in np.unique(sites).tolist())


def _of_array(array: NDArray[np.void]) -> Records:
    return Records(
        offsets=np.arange(len(array), dtype=np.int64) * RECORD_BYTES,
        sizes=np.full(len(array), RECORD_BYTES, dtype=np.int64),
        timestamps_s=array["timestamp"].astype(np.int64),
        counts=np.full(len(array), POINTS, dtype=np.int64),
        points=array["points"].reshape(-1),
        strays=(),
    )


def _of_pieces(data: bytes, offsets: list[int], strays: tuple[tuple[int, int], ...]) -> Records:
    counts = [int.from_bytes(data[at + 16 : at + 18], "little") for at in offsets]
    points = [
        np.frombuffer(data, dtype=POINT, count=count, offset=at + HEADER_BYTES)
        for at, count in zip(offsets, counts, strict=True)
    ]
    stamps = [int.from_bytes(data[at + 12 : at + 16], "little") for at in offsets]
    return Records(
        offsets=np.array(offsets, dtype=np.int64),
        sizes=np.array(counts, dtype=np.int64) * POINT_BYTES + HEADER_BYTES,
        timestamps_s=np.array(stamps, dtype=np.int64),
        counts=np.array(counts, dtype=np.int64),
        points=np.concatenate(points) if points else np.empty(0, dtype=POINT),
        strays=strays,
    )
