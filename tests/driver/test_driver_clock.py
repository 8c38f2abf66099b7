"""The clock of a process is the file that says so, however it is written; and the log tells it."""

import os
import struct
import time
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldproof_contract import SECOND_NS
from fieldproof_reference.live.clock import CLOCK_FILE, FileClock, SystemClock
from fieldproof_reference.live.humanlog import HumanLog, second_text

UTC_NS = 1_137_456_000 * SECOND_NS


@pytest.fixture
def clock_file(tmp_path, bench):
    return bench.ClockFile(tmp_path / "clock")


def test_the_systems_clock_can_live_at_another_date():
    """UTC is the system's plus the offset; monotonic time is CLOCK_MONOTONIC."""
    before_ns = time.time_ns()
    now = SystemClock(-5 * SECOND_NS).now()
    assert before_ns - 5 * SECOND_NS <= now.utc_ns <= time.time_ns() - 5 * SECOND_NS
    assert now.monotonic <= time.monotonic_ns()


@pytest.mark.parametrize("rate_ppb", [0, 500_000, -500_000, 10**9, -(10**9)])
def test_utc_runs_at_the_rate_of_the_file(clock_file, rate_ppb):
    """UTC is what the file says for its moment, and from there on as fast as it says."""
    began_ns = time.monotonic_ns() - 100 * SECOND_NS
    clock_file.set(UTC_NS, rate_ppb, began_ns)
    with closing(FileClock(clock_file.path)) as clock:
        now = clock.now()
    passed_ns = now.monotonic - began_ns
    assert UTC_NS + passed_ns * (10**9 + rate_ppb) // 10**9 == now.utc_ns


def test_a_step_of_the_clock_is_seen_at_once(clock_file):
    """A new reading counts from the next look on; monotonic time does not step."""
    clock_file.set(UTC_NS)
    with closing(FileClock(clock_file.path)) as clock:
        first = clock.now()
        clock_file.set(UTC_NS - 3_600 * SECOND_NS)
        second = clock.now()
    assert UTC_NS <= first.utc_ns < UTC_NS + 60 * SECOND_NS
    assert -3_600 * SECOND_NS <= second.utc_ns - UTC_NS < -3_540 * SECOND_NS
    assert first.monotonic <= second.monotonic


@pytest.mark.parametrize("content", [b"", bytes(31), struct.pack("<Qqqq", 1, 0, 0, 0)])
def test_a_file_without_a_time_is_refused(tmp_path, content):
    """Too short, or written by nobody who came to an end: one sentence."""
    path = tmp_path / "clock"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^The clock file .* holds no time: start its writer"):
        FileClock(path)


def test_a_file_that_spoils_leaves_the_last_time(clock_file):
    """A writer that died in the middle, or a file that was cut, does not stop the clock."""
    clock_file.set(UTC_NS)
    with closing(FileClock(clock_file.path)) as clock:
        first = clock.now()
        half = struct.pack("<Qqqq", 5, 0, 0, 0)
        for content in (half, b"", bytes(7), struct.pack("<Qqqq", 6, 0, 2**63 - 1, 2**63 - 1)):
            with clock_file.path.open("r+b") as file:
                file.truncate()
                file.write(content)
            now = clock.now()
            assert now.utc_ns - first.utc_ns == now.monotonic - first.monotonic


@given(st.binary(max_size=40))
def test_any_bytes_are_a_time_or_are_refused(tmp_path_factory, content):
    """Whatever a clock file holds, UTC is within 64 bits, or the file is refused in a sentence."""
    path = tmp_path_factory.mktemp("clock") / "clock"
    path.write_bytes(content)
    try:
        clock = FileClock(path)
    except ValueError:
        return
    with closing(clock):
        assert abs(clock.now().utc_ns) < 2**63
    assert len(content) >= CLOCK_FILE.size
    assert content[0] % 2 == 0


@pytest.mark.parametrize(
    ("utc_s", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_137_515_046, "2006-01-17T16:24:06Z"),
        (-1, "1969-12-31T23:59:59Z"),
        (-62_135_596_801, "-62135596801 s"),
        (253_402_300_799, "9999-12-31T23:59:59Z"),
        (253_402_300_800, "253402300800 s"),
    ],
)
def test_seconds_are_told_as_people_tell_them(utc_s, text):
    """As a date where the calendar has one, as a number elsewhere."""
    assert text == second_text(utc_s)


def test_the_log_for_people_survives_moving_and_a_full_disk(tmp_path):
    """After `reopen` lines go to a new file; where nothing can be written, nothing is raised."""
    path = tmp_path / "log"
    with closing(HumanLog(SystemClock(), path)) as log:
        log.say("one \ud800")
        path.rename(tmp_path / "log.1")
        log.say("two")
        log.reopen()
        log.say("three")
    assert ["one \\ud800", "two"] == _said(tmp_path / "log.1")
    assert ["three"] == _said(path)
    with closing(HumanLog(SystemClock(), os.devnull.replace("null", "full"))) as full:
        full.say("nobody hears this")


def _said(path):
    return [line.split(" ", 1)[1] for line in path.read_text().splitlines()]
