"""The example of a foreign edge: it knows nothing of ours, and its records satisfy our judge."""

import ast
import fcntl
import importlib.util
import os
import random
import signal
import socket
import subprocess
import sys
import termios
import time
import tty
from collections.abc import Callable
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldproof.oracle import trees, xrio
from fieldproof.oracle.clock import Clock
from fieldproof.oracle.locate import Archive
from fieldproof.oracle.partition import partition
from fieldproof_simulators.instruments.riometer import Riometer

EXAMPLE = Path(__file__).parents[2] / "scenarios" / "third_party" / "edge.py"
S = 1_000_000_000
BEGINS_S = 1_137_512_400
PATIENCE_S = 20


@pytest.fixture(scope="module")
def edge():
    """The example, imported by its path."""
    spec = importlib.util.spec_from_file_location("third_party_edge", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def words(codes) -> bytes:
    """Serial words, encoded from the layout in THIRD-PARTY.md."""
    return b"".join(bytes([0b1000_0000 | code >> 6, code & 0b0011_1111]) for code in codes)


def points(record: bytes) -> list[tuple[int, int, int]]:
    """Average, range and number of samples of each second of a record."""
    values = np.frombuffer(record, "<u2", offset=20).tolist()
    return list(zip(values[0::3], values[1::3], values[2::3], strict=True))


# --- what it is -----------------------------------------------------------------------------------


def test_the_example_is_short_and_foreign():
    """The example has less than a hundred lines and imports none of our packages."""
    text = EXAMPLE.read_text()
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(text))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert len(text.splitlines()) < 100
    assert set() == imported - sys.stdlib_module_names - {"serial"}


# --- what it makes of the line --------------------------------------------------------------------


def fed(edge, riometer, spans_ns, chunk, delay_ns):
    """The records of the example from the samples of some spans of true time. Words arrive
    `chunk(rng)` at a time, each read `delay_ns(rng)` after its last sample."""
    rng = random.Random(5)
    records = []
    for from_ns, until_ns in spans_ns:
        recorder = edge.Recorder("daws")
        at, last, read_ns = riometer.first_at(from_ns), riometer.first_at(until_ns), 0
        while at < last:
            end = min(last, at + chunk(rng))
            read_ns = max(read_ns, riometer.instant_ns(end - 1) + delay_ns(rng))
            data = words(riometer.codes(at, end).tolist())
            records.extend(recorder.read(data, BEGINS_S * S + read_ns))
            at = end
    return records


def judged(records, riometer):
    """The partition of the records, in true minutes 10 to 30."""
    decoded = xrio.decode(b"".join(records), "daws")
    fields = (decoded.offsets, decoded.sizes, decoded.timestamps_s, decoded.counts, decoded.points)
    archive = Archive(("hour.dat",), np.zeros(len(records), dtype=np.int64), *fields)
    clock = Clock(BEGINS_S * S, (), 3600 * S, ((0, 0, 0),))
    return partition(archive, riometer, clock, (600 * S, 1800 * S))


@pytest.fixture(scope="module")
def riometer():
    """The instrument of a quiet hour."""
    return Riometer("daws", 1, BEGINS_S * S)


@pytest.mark.parametrize(
    ("chunk", "delay_ns"),
    [
        (lambda rng: 1, lambda rng: 2_000_000),
        (lambda rng: 1, lambda rng: int(rng.expovariate(1 / 3e6)) % 30_000_000),
        (lambda rng: rng.choice((1, 1, 1, 2, 5, 60, 600)), lambda rng: rng.randrange(20_000_000)),
    ],
    ids=["steady", "late", "in bursts"],
)
def test_its_points_partition_the_samples(edge, riometer, chunk, delay_ns):
    """Under jitter, and when the process was held up, every sample is in one point, in order,
    rightly labelled, and averages are rounded down throughout."""
    seen = judged(fed(edge, riometer, [(400 * S, 1950 * S)], chunk, delay_ns), riometer)
    assert ("floor", (), ()) == (seen.rounding, seen.gaps, seen.deviations)
    assert seen.archived == seen.produced > 0


def test_after_a_death_it_goes_on_from_the_clock(edge, riometer):
    """A new life's labels are right, and the samples of no life are the only ones that lack."""
    lives = [(400 * S, 900 * S + S // 3), (911 * S + S // 2, 1950 * S)]
    seen = judged(fed(edge, riometer, lives, lambda rng: 1, lambda rng: 10**6), riometer)
    (gap,) = seen.gaps
    assert () == seen.deviations
    assert 11 <= (gap.until_ns - gap.from_ns) / S <= 72


SPOILT = {
    "counts through silence": (
        "while self.begins_s + len(self.points) < second",
        "if self.begins_s + len(self.points) < second",
        "label",
    ),
    "takes the first for the least": (
        "max(codes) - min(codes)",
        "max(codes) - codes[0]",
        "value",
    ),
    "rounds some averages up": (
        "(sum(codes) // n,",
        "(sum(codes) // n + (self.begins_s // 60) % 2,",
        "value",
    ),
}


@pytest.mark.parametrize("defect", SPOILT)
def test_a_spoilt_copy_is_found_out(riometer, defect):
    """A copy of the example with one defect deviates in what it does wrong."""
    right, wrong, kind = SPOILT[defect]
    assert 1 == EXAMPLE.read_text().count(right)
    spoilt = ModuleType("spoilt_edge")
    exec(EXAMPLE.read_text().replace(right, wrong), spoilt.__dict__)
    records = fed_over_a_silence(spoilt, riometer)
    assert kind in {deviation.kind for deviation in judged(records, riometer).deviations}


def test_an_unspoilt_copy_is_not(edge, riometer):
    """What finds out the spoilt copies has nothing against the example itself."""
    assert () == judged(fed_over_a_silence(edge, riometer), riometer).deviations


def fed_over_a_silence(edge, riometer):
    """The records of one life, in which the line was silent for five seconds."""
    recorder = edge.Recorder("daws")
    records = []
    for from_ns, until_ns in ((400 * S, 1000 * S + S // 3), (1005 * S + S // 2, 1950 * S)):
        for at in range(riometer.first_at(from_ns), riometer.first_at(until_ns)):
            read_ns = BEGINS_S * S + riometer.instant_ns(at) + 10**6
            records.extend(recorder.read(words(riometer.codes(at, at + 1).tolist()), read_ns))
    return records


def test_silent_seconds_are_points_of_zeros(edge):
    """Seconds in which no word came are points of zero samples, and the next point goes on."""
    recorder = edge.Recorder("daws")
    made = []
    for second in (0, 1, 5, *range(6, 61)):
        made += recorder.read(words([100, 105]), (BEGINS_S + second) * S + S // 2)
    (record,) = made
    assert [(102, 5, 2)] * 2 + [(0, 0, 0)] * 3 + [(102, 5, 2)] * 55 == points(record)


def test_a_silence_over_a_records_end_makes_no_empty_record(edge):
    """After a long silence the open record is filled up, and the next begins with a sample."""
    recorder = edge.Recorder("daws")
    assert [] == list(recorder.read(words([100]), BEGINS_S * S))
    (first,) = recorder.read(words([200]), (BEGINS_S + 1000) * S)
    (second,) = recorder.read(words([300]), (BEGINS_S + 1060) * S)
    assert [(100, 0, 1)] + [(0, 0, 0)] * 59 == points(first)
    assert [(200, 0, 1)] + [(0, 0, 0)] * 59 == points(second)
    assert [BEGINS_S, BEGINS_S + 1000] == [
        int.from_bytes(record[12:16], "little") for record in (first, second)
    ]


@given(data=st.binary(max_size=60), cut=st.integers(0, 60))
def test_garbage_invents_no_sample(edge, data, cut):
    """Whatever bytes come, in whatever pieces, the samples are those of whole words in them."""
    expected = [
        (first & 63) << 6 | second
        for first, second in pairwise(data)
        if 0x80 <= first < 0xC0 and second < 0x40
    ]
    recorder = edge.Recorder("daws")
    read_ns = BEGINS_S * S + S * 9 // 10
    assert [] == [
        record for part in (data[:cut], data[cut:]) for record in recorder.read(part, read_ns)
    ]
    assert expected == recorder.codes


def test_a_clock_that_goes_back_reopens_no_second(edge):
    """Samples that seem older than the open second are counted in it."""
    recorder = edge.Recorder("daws")
    assert [] == list(recorder.read(words([1]), (BEGINS_S + 5) * S))
    assert [] == list(recorder.read(words([2]), BEGINS_S * S))
    assert ([], [1, 2]) == (recorder.points, recorder.codes)


# --- what it keeps --------------------------------------------------------------------------------


def a_record(edge) -> bytes:
    """One record of the first minute of `BEGINS_S`."""
    recorder = edge.Recorder("daws")
    made = [*recorder.read(words([7]), BEGINS_S * S)]
    return [*made, *recorder.read(words([8]), (BEGINS_S + 60) * S)][0]


def test_its_archive_is_where_the_judge_looks(edge, tmp_path):
    """Records are filed by the hour of their first sample, under the names of the 2006 tree."""
    record = a_record(edge)
    edge.file_record(tmp_path, "daws", record)
    edge.file_record(tmp_path, "daws", record)
    assert record * 2 == (tmp_path / trees.hour_path("daws", BEGINS_S)).read_bytes()
    assert 1 == len(trees.hour_files(tmp_path, "daws"))


@pytest.mark.parametrize("torn", [1, 379])
def test_nothing_is_built_upon_half_a_record(edge, tmp_path, torn):
    """What a death left of a record is cut off before the next one is appended."""
    record = a_record(edge)
    path = tmp_path / trees.hour_path("daws", BEGINS_S)
    path.parent.mkdir(parents=True)
    path.write_bytes(record + record[:torn])
    edge.file_record(tmp_path, "daws", record)
    assert record * 2 == path.read_bytes()


# --- the process ----------------------------------------------------------------------------------


class Line:
    """A serial line that can be unplugged: a pseudo-terminal behind a name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ends: list[int] = []

    def plug(self) -> None:
        """A new pseudo-terminal under the same name."""
        self._ends = list(os.openpty())
        tty.setraw(self._ends[1])
        self.path.symlink_to(os.ttyname(self._ends[1]))

    def unplug(self) -> None:
        """Both ends are gone."""
        self.path.unlink()
        for end in self._ends:
            os.close(end)
        self._ends = []

    def write(self, data: bytes) -> None:
        """What the instrument sends."""
        os.write(self._ends[0], data)

    def unread(self) -> int:
        """Bytes that nobody has read yet."""
        answer = fcntl.ioctl(self._ends[1], termios.FIONREAD, bytes(4))
        return int.from_bytes(answer, sys.byteorder)


def told(tmp_path: Path, line: Line, center: socket.socket, **others: str) -> dict[str, str]:
    """What the harness tells an edge."""
    said = {
        "ROLE": "edge",
        "SITE": "daws",
        "SERIAL": str(line.path),
        "ARCHIVE": str(tmp_path / "disk"),
        "ADDRESS": "127.0.0.2",
        "CENTER": f"127.0.0.1:{center.getsockname()[1]}",
        "UTC_OFFSET_S": "0.000000000",
    }
    return {f"FIELDPROOF_{name}": value for name, value in (said | others).items()}


@pytest.fixture
def center():
    """A socket to which the example sends."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(PATIENCE_S)
        yield listening


@pytest.fixture
def line(tmp_path):
    """A line that is plugged in."""
    made = Line(tmp_path / "port")
    made.plug()
    yield made
    made.unplug()


@contextmanager
def running(environment: dict[str, str]):
    """The example as a process."""
    process = subprocess.Popen([sys.executable, str(EXAMPLE)], env=os.environ | environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def await_that(holds: Callable[[], bool]) -> None:
    """Look until it holds."""
    until_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until_s
        time.sleep(0.01)


def is_read(line: Line) -> None:
    """Bytes that are sent now, and those after them, are read."""
    for _ in range(3):
        line.write(words([2600]))
        await_that(lambda: line.unread() == 0)


def test_it_survives_an_unplugged_cable_and_ends_in_good_order(tmp_path, line, center):
    """It reads the line, reads it again after it was gone for a while, and exits 0 on SIGTERM."""
    with running(told(tmp_path, line, center)) as process:
        is_read(line)
        line.unplug()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)  # it does not end
        line.plug()
        is_read(line)
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(PATIENCE_S)


@pytest.mark.parametrize("others", [{"ROLE": "center"}, {"STATUS": "1"}], ids=str)
def test_what_it_does_not_do_it_says(tmp_path, line, center, others):
    """As a center, and where a status monitor is wanted, it exits 77."""
    with running(told(tmp_path, line, center, **others)) as process:
        assert 77 == process.wait(PATIENCE_S)


def test_a_record_is_filed_and_sent_from_its_own_address(edge, tmp_path, line, center, monkeypatch):
    """A minute of words becomes a record in the archive and one datagram, labelled by the system's
    clock plus the offset; a disk that takes it late delays it and no more."""
    started_ns = time.time_ns()
    clock = iter(started_ns + second * S for second in range(70))
    offset_s = BEGINS_S - started_ns / S
    (tmp_path / "disk").write_bytes(b"")  # in the way of the folder

    def readings(port: str):
        for second in range(62):
            if second == 61:
                (tmp_path / "disk").unlink()
            yield words([1000 + second])

    others = {"UTC_OFFSET_S": f"{offset_s + 0.5:.9f}"}
    for name, value in told(tmp_path, line, center, **others).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(edge, "readings", readings)
    monkeypatch.setattr(edge.time, "time_ns", lambda: next(clock))
    monkeypatch.setattr(edge.signal, "signal", lambda *_: None)
    edge.main()
    datagram, (source, _) = center.recvfrom(65535)
    assert "127.0.0.2" == source
    assert datagram == (tmp_path / "disk" / trees.hour_path("daws", BEGINS_S)).read_bytes()
    assert BEGINS_S == int.from_bytes(datagram[12:16], "little")
    assert [(1000 + second, 0, 1) for second in range(60)] == points(datagram)
