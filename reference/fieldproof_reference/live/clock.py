"""The host's clock. Monotonic time is CLOCK_MONOTONIC; where UTC comes from is configured.

A clock file makes a process live in a made-up UTC, as a shared-memory reference clock does for a
time daemon. It has 32 bytes, little-endian: uint64 sequence (odd while it is written), int64
monotonic_ns (CLOCK_MONOTONIC), int64 utc_ns (at that moment), int64 rate_ppb:

    UTC = utc_ns + (monotonic - monotonic_ns) * (10**9 + rate_ppb) // 10**9

A reader that sees an odd or a changed sequence reads again. One that never sees anything else goes
by what it read last: the writer may have died in the middle. What is outside of 64 bits is not
believed.
"""

import os
import struct
import time
from pathlib import Path
from typing import NamedTuple, Protocol

from fieldproof_contract import SECOND_NS, Monotonic, Now

CLOCK_FILE = struct.Struct("<Qqqq")
_SEQUENCE_BYTES = 8

ATTEMPTS = 100
"""Readings of a clock that is being written, before the last good one must do. A writer needs a
microsecond."""

_LARGEST = 2**63 - 1


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> Now:
        """Monotonic time and UTC of one moment."""


class SystemClock:
    """The machine's UTC plus an offset, so that a process can live at another date."""

    def __init__(self, offset_ns: int = 0) -> None:
        self._offset_ns = offset_ns

    def now(self) -> Now:
        """Monotonic time and UTC of one moment."""
        return Now(Monotonic(time.monotonic_ns()), time.time_ns() + self._offset_ns)


class _Reading(NamedTuple):
    monotonic_ns: int
    utc_ns: int
    rate_ppb: int

    def utc_at(self, monotonic_ns: int) -> int:
        """UTC by this reading."""
        passed_ns = monotonic_ns - self.monotonic_ns
        return self.utc_ns + passed_ns * (SECOND_NS + self.rate_ppb) // SECOND_NS


class FileClock:
    """The clock of a clock file. Raises OSError where it cannot be opened, and ValueError where no
    time can be had of it.

    The file is read, not mapped: who maps a file that somebody then cuts dies of SIGBUS."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        first = self._read(time.monotonic_ns())
        if first is None:
            self.close()
            raise ValueError(f"The clock file {path} holds no time: start its writer first.")
        self._last = first

    def now(self) -> Now:
        """Monotonic time and UTC of one moment."""
        monotonic_ns = time.monotonic_ns()
        self._last = self._read(monotonic_ns) or self._last
        return Now(Monotonic(monotonic_ns), self._last.utc_at(monotonic_ns))

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)

    def _read(self, monotonic_ns: int) -> _Reading | None:
        for _ in range(ATTEMPTS):
            data = os.pread(self._fd, CLOCK_FILE.size, 0)
            again = os.pread(self._fd, _SEQUENCE_BYTES, 0)
            if len(data) < CLOCK_FILE.size:
                return None
            sequence, *values = CLOCK_FILE.unpack(data)
            if sequence % 2 == 0 and data.startswith(again):
                reading = _Reading(*values)
                return reading if abs(reading.utc_at(monotonic_ns)) <= _LARGEST else None
        return None
