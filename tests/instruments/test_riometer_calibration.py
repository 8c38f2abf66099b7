"""Dawson's day: our 24 hour files compress to what "Riometer data flow", 2006, measured.

The packer here is the test's own, so that no codec of the reference or the oracle can hide a fault.
"""

import struct
import zlib
from typing import NamedTuple

import numpy as np
import pytest

from fieldproof_simulators.instruments.riometer import Riometer

FIRST_POINT_S = 1_137_456_000 + 5  # 2006-01-17 00:00:05 UTC
BEGINS_S = FIRST_POINT_S - 605
ZLIB_BYTES = 109_275  # 24 hour files, zlib level 6, of the generator that rsync's 110908 calibrated
THREE_RECORDS = (16 * 60 + 23, 18 * 60 + 41, 22 * 60 + 7)
THREE_RECORDS_BYTES = 234


class Day(NamedTuple):
    """One value for each of the 86400 seconds."""

    averages: np.ndarray
    ranges: np.ndarray
    npoints: np.ndarray


def measure(seed: int) -> Day:
    """Group a day's samples by UTC second."""
    instrument = Riometer("daws", seed, BEGINS_S * 10**9)
    boundaries_ns = (605 + np.arange(86_401, dtype=np.int64)) * 10**9
    firsts = instrument.firsts_at(boundaries_ns)
    codes = instrument.codes(int(firsts[0]), int(firsts[-1])).astype(np.int64)
    starts, n = firsts[:-1] - firsts[0], np.diff(firsts)
    ranges = np.maximum.reduceat(codes, starts) - np.minimum.reduceat(codes, starts)
    return Day((2 * np.add.reduceat(codes, starts) + n) // (2 * n), ranges, n)


def hour_files(day: Day) -> list[bytes]:
    """The 24 files of 60 XRIO records."""
    points = np.stack(day, axis=1).astype("<u2").reshape(1440, 60, 3)
    records = [
        struct.pack(
            "<4s4scB2siH2s", b"XRIO", b"daws", b"0", 1, b"", FIRST_POINT_S + 60 * i, 60, b""
        )
        + points[i].tobytes()
        for i in range(1440)
    ]
    return [b"".join(records[hour * 60 : hour * 60 + 60]) for hour in range(24)]


def delta_columns(day: Day, records: tuple[int, ...]) -> bytes:
    """Three columns of some records: zigzag differences, ranges, zigzag point counts."""
    seconds = np.concatenate([np.arange(60 * i, 60 * i + 60) for i in records])
    averages = day.averages[seconds]
    steps, extra = np.diff(averages, prepend=0), day.npoints[seconds] - 60
    columns = np.concatenate(
        [steps << 1 ^ steps >> 63, day.ranges[seconds], extra << 1 ^ extra >> 63]
    )
    return b"".join(
        bytes([n]) if n < 255 else b"\xff" + n.to_bytes(3, "little") for n in columns.tolist()
    )


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_day_compresses_to_the_published_size(seed: int):
    """zlib level 6 makes of the 547200 bytes what it made of the calibrated day, within 3 %."""
    files = hour_files(measure(seed))
    assert 547_200 == sum(map(len, files))
    assert ZLIB_BYTES == pytest.approx(sum(len(zlib.compress(file, 6)) for file in files), rel=0.03)


def test_points_are_like_those_of_the_calibrated_day():
    """Point counts are 59, 60 or 61, 2.7 % of them not 60, and the median range is 4."""
    day = measure(1)
    assert {59, 60, 61} == set(day.npoints.tolist())
    assert 0.027 == pytest.approx((day.npoints != 60).mean(), rel=0.1)
    assert 4 == np.median(day.ranges)


def test_three_records_repair_at_the_published_cost():
    """Delta columns of the three lost records deflate to about the measured 234 bytes."""
    header_bytes = 16 + 1 + 9  # template, count, three times
    packed = zlib.compress(delta_columns(measure(1), THREE_RECORDS), 9, -15)
    assert THREE_RECORDS_BYTES == pytest.approx(header_bytes + len(packed), rel=0.1)
