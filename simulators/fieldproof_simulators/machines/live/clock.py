"""The clock file of a host, the machine's own clock, and how late this process is woken.

A clock file is 32 bytes, little-endian, mapped by its readers as NTP daemons map reference clocks:

    offset 0   uint64  sequence       odd while it is being written
    offset 8   int64   monotonic_ns   at this CLOCK_MONOTONIC ...
    offset 16  int64   utc_ns         ... the host believes that Unix time is this,
    offset 24  int64   rate_ppb       and from there on its clock gains so much

    UTC = utc_ns + (m - monotonic_ns) * (10**9 + rate_ppb) // 10**9    at CLOCK_MONOTONIC m

A reader reads the sequence, the rest, and the sequence: where it is odd or has changed, again.
"""

import mmap
import os
import struct
import threading
import time
from array import array
from math import ceil
from pathlib import Path
from typing import NamedTuple

LAYOUT = struct.Struct("<4q")
PERIOD_NS = 50_000_000
LOOKS = 5


class ClockFile:
    """The one writer of a clock file, which appears with the first `write`, whole."""

    def __init__(self, path: Path) -> None:
        """`path` must not be there: a reader of an older file would go on with that one."""
        self.path = path
        self._words: memoryview | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> "ClockFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, monotonic_ns: int, utc_ns: int, rate_ppb: int = 0) -> None:
        """At CLOCK_MONOTONIC `monotonic_ns` it is `utc_ns`, and from there on the clock gains
        `rate_ppb` ns a second. Raises OSError (FileExistsError at the first write), and
        `struct.error` for what 64 bits do not hold."""
        reading = LAYOUT.pack(0, monotonic_ns, utc_ns, rate_ppb)
        if self._words is None:
            self._words = self._make(reading)
            return
        self._words[0] += 1
        self._fence()
        for index, word in enumerate((monotonic_ns, utc_ns, rate_ppb), 1):
            self._words[index] = word
        self._fence()
        self._words[0] += 1

    def close(self) -> None:
        """The file stays, for readers that outlive us. May be called again."""
        if self._words is not None:
            self._words.release()
            self._words = None

    def _make(self, reading: bytes) -> memoryview:
        """Makes the file under another name, so that no reader sees half of it, and maps it. A word
        of the map is stored in one piece; bytes would not be."""
        draft = self.path.with_name(f".{self.path.name}.new")
        with draft.open("xb+") as file:
            try:
                file.write(reading)
                file.flush()
                os.link(draft, self.path)  # unlike a rename, this fails where there is a file
                return memoryview(mmap.mmap(file.fileno(), LAYOUT.size)).cast("q")
            finally:
                draft.unlink()

    def _fence(self) -> None:
        """Earlier stores are seen before later ones, also on ARM: taking a lock keeps what follows
        behind it, giving it back keeps what was before in front."""
        for _ in range(2):
            with self._lock:
                pass


def machine_clock_ns() -> int:
    """CLOCK_REALTIME minus CLOCK_MONOTONIC of the machine. It changes by milliseconds an hour while
    the clock is disciplined; a jump during a run is a step of the machine's own clock."""
    looks = []
    for _ in range(LOOKS):
        before_ns = time.monotonic_ns()
        utc_ns = time.time_ns()
        after_ns = time.monotonic_ns()
        looks.append((after_ns - before_ns, utc_ns - (before_ns + after_ns) // 2))
    return min(looks)[1]


class Lateness(NamedTuple):
    """How late a process was woken; nearest-rank percentiles."""

    deadlines: int
    p50_ns: int
    p99_ns: int
    max_ns: int


class Watch:
    """Whether the machine keeps time: deadlines at a fixed distance, and how late each was met.

    To be part of a selector loop: wait no longer than until `due_ns`, and tell it when awake. Of a
    long sleep every deadline that it missed is counted, each with its own lateness; else the worst
    moments of a machine would count least. What it measures includes our own work in the loop."""

    def __init__(self, now_ns: int, period_ns: int = PERIOD_NS) -> None:
        """`now_ns`: CLOCK_MONOTONIC."""
        self.due_ns = now_ns + period_ns
        self._period_ns = period_ns
        self._late_ns = array("q")

    def woken(self, now_ns: int) -> int:
        """The process is awake; how late, or a negative number if nothing was due yet."""
        late_ns = now_ns - self.due_ns
        while self.due_ns <= now_ns:
            self._late_ns.append(now_ns - self.due_ns)
            self.due_ns += self._period_ns
        return late_ns

    def lateness(self) -> Lateness:
        """So far; all 0 before the first deadline."""
        ordered = sorted(self._late_ns)
        if not ordered:
            return Lateness(0, 0, 0, 0)
        p50_ns, p99_ns = (ordered[ceil(len(ordered) * part / 100) - 1] for part in (50, 99))
        return Lateness(len(ordered), p50_ns, p99_ns, ordered[-1])
