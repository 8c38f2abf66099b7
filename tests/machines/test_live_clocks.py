"""The clock file under concurrent writes, the machine's own clock, and the watch over lateness."""

import struct
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldproof_simulators.machines.live.clock import (
    ClockFile,
    Lateness,
    Watch,
    machine_clock_ns,
)

SLEW_NS = 1_000_000  # by which the machine may be disciplined meanwhile
INT64 = st.integers(-(2**63), 2**63 - 1)

# A reader that shares nothing with the writer but the layout. A reading is whole if its words fit
# each other as the writer makes them fit.
READER = """
import mmap, struct, sys
with open(sys.argv[1], "rb") as file:
    words = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
assert 32 == len(words)
seen, again = set(), 0
while len(seen) < 3000:
    (before,) = struct.unpack_from("<Q", words, 0)
    reading = struct.unpack_from("<qqq", words, 8)
    (after,) = struct.unpack_from("<Q", words, 0)
    if before % 2 or before != after:
        again += 1
        continue
    monotonic_ns, utc_ns, rate_ppb = reading
    assert utc_ns == -3 * monotonic_ns and rate_ppb == monotonic_ns ^ 0x5555, reading
    seen.add(monotonic_ns)
"""


def read(path):
    """The words of a clock file."""
    return struct.unpack("<Qqqq", path.read_bytes())


def test_a_reader_never_sees_half_of_a_reading(tmp_path):
    """A reader in another process that keeps the protocol gets whole readings only, while thousands
    are written."""
    path = tmp_path / "clock"
    with ClockFile(path) as clock:
        clock.write(1 << 40, -3 << 40, 1 << 40 ^ 0x5555)
        with subprocess.Popen([sys.executable, "-S", "-c", READER, str(path)]) as reader:
            number = 1 << 40
            while reader.poll() is None:
                number += 0x0101010101
                clock.write(number, -3 * number, number ^ 0x5555)
        assert 0 == reader.returncode


@given(st.lists(st.tuples(INT64, INT64, INT64), min_size=1, max_size=5))
def test_the_file_has_what_was_written_last(tmp_path_factory, readings):
    """The file is 32 little-endian bytes with an even sequence that grows with each write."""
    path = tmp_path_factory.mktemp("clock") / "clock"
    with ClockFile(path) as clock:
        for index, reading in enumerate(readings):
            clock.write(*reading)
            assert (2 * index, *reading) == read(path)


def test_the_file_appears_whole_and_stays(tmp_path):
    """There is no file before the first write, nothing else is left beside it, and closing keeps
    it."""
    clock = ClockFile(tmp_path / "clock")
    assert [] == list(tmp_path.iterdir())
    clock.write(1, 2, 3)
    clock.close()
    clock.close()
    assert [tmp_path / "clock"] == list(tmp_path.iterdir())
    assert (0, 1, 2, 3) == read(tmp_path / "clock")


def test_a_second_writer_is_refused(tmp_path):
    """A clock file that is there is not replaced under its readers."""
    with ClockFile(tmp_path / "clock") as clock, ClockFile(tmp_path / "clock") as second:
        clock.write(1, 2)
        with pytest.raises(FileExistsError):
            second.write(3, 4)
        assert (0, 1, 2, 0) == read(tmp_path / "clock")


def test_a_reading_beyond_64_bits_changes_nothing(tmp_path):
    """What does not fit is an error, and the last reading stays, whole."""
    with ClockFile(tmp_path / "clock") as clock:
        clock.write(1, 2, 3)
        with pytest.raises(struct.error):
            clock.write(1, 1 << 63)
        assert (0, 1, 2, 3) == read(tmp_path / "clock")


def test_the_machines_clock_is_between_its_neighbours():
    """The difference of the two clocks lies between two plain ones, one too small by the time
    between its readings and one too large."""
    small_ns = time.time_ns() - time.monotonic_ns()
    said_ns = machine_clock_ns()
    large_ns = -time.monotonic_ns() + time.time_ns()
    assert small_ns - SLEW_NS <= said_ns <= large_ns + SLEW_NS


def test_the_watch_counts_every_deadline_that_was_missed():
    """On time counts 0, early not at all, and a long sleep once for each deadline in it."""
    watch = Watch(now_ns=1000, period_ns=100)
    assert 1100 == watch.due_ns
    assert Lateness(0, 0, 0, 0) == watch.lateness()
    assert [-50, 0, 30] == [watch.woken(now_ns) for now_ns in (1050, 1100, 1230)]
    assert 250 == watch.woken(1550)
    assert (1600, Lateness(5, 50, 250, 250)) == (watch.due_ns, watch.lateness())


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=100), st.integers(1, 1000))
def test_the_watch_loses_no_deadline(steps_ns, period_ns):
    """Whenever the process is woken, the deadlines counted are those that have passed, and the
    worst lateness is at most the longest sleep."""
    watch = Watch(0, period_ns)
    now_ns = 0
    for step_ns in steps_ns:
        now_ns += step_ns
        watch.woken(now_ns)
    lateness = watch.lateness()
    assert now_ns // period_ns == lateness.deadlines
    assert lateness.p50_ns <= lateness.p99_ns <= lateness.max_ns < max(steps_ns)
