"""Serial lines of the live driver: raw, whole, and there again after whatever happened to them."""

import fcntl
import os
import termios
import time
import tty

import pytest

from fieldproof_contract import LineData, LineDown, LineUp
from fieldproof_reference.live import lines
from fieldproof_reference.live.lines import Line


@pytest.fixture
def line(host, bench, cable, monkeypatch):
    """A line of a host, not opened, that is checked often."""
    monkeypatch.setattr(lines, "CHECK_NS", 20_000_000)
    monkeypatch.setattr(lines, "SOONEST_NS", 5_000_000)
    host.add("node", lambda: bench.Probe([]))
    host.boot()

    class Told(Line):
        def __init__(self):
            self.events, self.said, self.times = [], [], []
            super().__init__(
                host.loop, host.clock, "riometer", cable.link, self.note, self.said.append
            )

        def note(self, event, now):
            self.events.append(event)
            self.times.append(now)

        @property
        def data(self):
            return b"".join(one.data for one in self.events if isinstance(one, LineData))

        def until(self, happened):
            host.until(happened, f"{self.events[-3:]}, {self.said}")

    told = Told()
    yield told
    told.close()


def settings_of(port):
    return termios.tcgetattr(port)


def test_a_port_is_opened_raw_whatever_it_was_before(line, cable):
    """Cooked mode, echo, flow control and another rate are gone; people hear that it is up."""
    iflag, oflag, cflag, lflag, _, _, control = settings_of(cable.port)
    iflag |= termios.ICRNL | termios.IXON | termios.IXOFF | termios.ISTRIP
    lflag |= termios.ICANON | termios.ECHO | termios.ISIG
    wrong = [iflag, oflag | termios.OPOST, cflag, lflag, termios.B300, termios.B300, control]
    termios.tcsetattr(cable.port, termios.TCSANOW, wrong)
    line.open()
    iflag, oflag, cflag, lflag, ispeed, ospeed, _ = settings_of(cable.port)
    assert 0 == iflag & (termios.ICRNL | termios.IXON | termios.IXOFF | termios.ISTRIP)
    assert 0 == lflag & (termios.ICANON | termios.ECHO | termios.ISIG)
    assert 0 == oflag & termios.OPOST
    assert (termios.B9600, termios.B9600) == (ispeed, ospeed)
    assert termios.CS8 == cflag & (termios.CSIZE | termios.PARENB | termios.CSTOPB)
    assert [LineUp("riometer")] == line.events
    assert [f"line riometer is up: {cable.link}, 9600 8N1, raw."] == line.said


def test_every_byte_comes_as_it_was_sent(line, cable):
    """All 256 values, also those that mean something to a terminal, in any position."""
    line.open()
    sent = bytes(range(256)) + bytes(reversed(range(256))) + b"\x03\x04\x11\x13\x1a\xff\x00\r\n"
    for start in range(0, len(sent), 50):
        cable.send(sent[start : start + 50])
        line.until(lambda end=start + 50: len(line.data) == min(end, len(sent)))
    assert sent == line.data
    assert len(sent) == line.bytes_heard


def test_what_the_port_held_before_is_thrown_away(line, cable):
    """Bytes that came before the opening are of another time."""
    cable.send(b"stale" * 100)
    line.open()
    cable.send(b"fresh")
    line.until(lambda: line.data)
    assert b"fresh" == line.data


def test_a_late_reader_gets_everything_in_one_piece(line, cable, bench):
    """What gathered while the process slept is one `LineData`, whose time is that of its end."""
    line.open()
    sent = os.urandom(12_000)
    cable.send(sent)
    bench.until(lambda: cable.waiting == bench.READABLE, "the port to be full")
    before_ns = time.monotonic_ns()
    line.until(lambda: line.data)
    after_ns = time.monotonic_ns()
    assert [LineUp("riometer"), LineData("riometer", sent)] == line.events
    assert before_ns <= line.times[1].monotonic <= after_ns - lines.MORE_NS


def test_a_cable_that_is_pulled_is_waited_for(line, cable):
    """The line goes down with a reason and is opened again behind the same link; what comes then is
    heard; people hear of each change once."""
    line.open()
    cable.pull()
    line.until(lambda: LineUp not in map(type, line.events[1:]) and line.events[1:])
    down = line.events[1]
    assert isinstance(down, LineDown)
    assert down.reason
    line.until(lambda: "down" in line.state and "No such file" in line.state)
    cable.plug()
    line.until(lambda: line.state == "up")
    cable.send(b"again")
    line.until(lambda: line.data)
    assert [LineUp("riometer"), down, LineUp("riometer"), LineData("riometer", b"again")] == (
        line.events
    )
    said = [text.split(":")[0] for text in line.said]
    assert 2 == said.count("line riometer is up")
    assert 1 <= said.count("line riometer is down") <= 2


@pytest.mark.parametrize("content", [None, b"", "folder"])
def test_what_is_no_port_is_tried_again(line, cable, content):
    """A missing device, a plain file or a folder is a line that is down; when the port is there at
    last, the line comes up."""
    cable.pull()
    if isinstance(content, bytes):
        cable.link.write_bytes(content)
    elif content:
        cable.link.mkdir()
    line.open()
    assert ["LineDown"] == [type(event).__name__ for event in line.events]
    if isinstance(content, bytes):
        cable.link.unlink()
    elif content:
        cable.link.rmdir()
    cable.plug()
    line.until(lambda: line.state == "up")
    assert ["LineDown", "LineUp"] == [type(event).__name__ for event in line.events]


def test_attempts_become_rarer(line, cable, host, monkeypatch):
    """The wait doubles from the shortest to the longest, and begins anew after an opening."""
    waits = []
    real = host.loop.call_in
    monkeypatch.setattr(lines, "LATEST_NS", 30_000_000)
    monkeypatch.setattr(
        host.loop, "call_in", lambda wait_ns, act: waits.append(wait_ns) or real(wait_ns, act)
    )
    line._wait_ns = lines.SOONEST_NS
    cable.pull()
    line.open()
    line.until(lambda: len(waits) > 5)
    assert [5, 10, 20, 30, 30] == [wait_ns // 1_000_000 for wait_ns in waits[:5]]
    cable.plug()
    line.until(lambda: line.state == "up")
    waits.clear()
    cable.pull()
    line.until(lambda: 5_000_000 in waits)


@pytest.mark.parametrize(
    ("part", "flags"),
    [(3, termios.ICANON | termios.ECHO | termios.ISIG), (0, termios.IXON | termios.ICRNL)],
    ids=["cooked", "xon"],
)
def test_a_port_that_somebody_set_otherwise_is_set_raw_again(line, cable, part, flags):
    """Within a second the line is raw again, people are told, the line stays up, and bytes come as
    they are."""
    line.open()
    changed = settings_of(cable.port)
    changed[part] |= flags
    termios.tcsetattr(cable.port, termios.TCSANOW, changed)
    line.until(lambda: not settings_of(cable.port)[part] & flags)
    line.until(lambda: len(line.said) > 1)
    assert "line riometer was not raw: another program set" in line.said[1]
    cable.send(b"\x13\x11\r\x04")
    line.until(lambda: line.data)
    assert b"\x13\x11\r\x04" == line.data
    assert [LineUp("riometer")] == [one for one in line.events if not isinstance(one, LineData)]


def test_an_end_of_file_of_a_cooked_port_is_no_unplugged_cable(line, cable, monkeypatch):
    """The byte 4 makes a cooked port look closed: the line is set raw, and stays up."""
    monkeypatch.setattr(lines, "CHECK_NS", 10**12)  # only the read can notice
    line.open()
    tty.setcbreak(cable.port)
    changed = settings_of(cable.port)
    changed[3] |= termios.ICANON
    termios.tcsetattr(cable.port, termios.TCSANOW, changed)
    cable.send(b"\x04")
    line.until(lambda: len(line.said) > 1)
    cable.send(b"fresh")
    line.until(lambda: line.data)
    assert not [one for one in line.events if isinstance(one, LineDown)]


def test_a_port_is_this_programs_alone(line, cable):
    """Who asks for the port alone is refused while it is open; and a line whose port somebody else
    has says so."""
    line.open()
    other = os.open(cable.link, os.O_RDWR | os.O_NOCTTY)
    try:
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        line.close()
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        line.open()
        assert "down (another program has locked it)" == line.state
    finally:
        os.close(other)


def test_reopening_is_told_as_a_break(line, cable):
    """On request the port is closed and opened: down, then up, and data go on."""
    line.open()
    line.reopen()
    cable.send(b"x")
    line.until(lambda: line.data)
    down = LineDown("riometer", "opened again on request")
    assert [LineUp("riometer"), down, LineUp("riometer")] == line.events[:3]


def test_silence_is_told_to_people_once(line, cable, monkeypatch):
    """An open line that brings nothing is not down, but silent, until it speaks again."""
    monkeypatch.setattr(lines, "SILENT_NS", 30_000_000)
    line.open()
    line.until(lambda: line.state == "up, but silent")
    cable.send(b"x")
    line.until(lambda: line.state == "up")
    assert ["line riometer speaks again."] == line.said[2:3]
    assert "line riometer is silent" in line.said[1]
    assert not [one for one in line.events if isinstance(one, LineDown)]


def test_a_closed_line_tells_nothing(line, cable, host):
    """After the close nothing is read, checked or opened."""
    line.open()
    line.close()
    cable.send(b"x")
    for _ in range(10):
        host.turn()
    assert ([LineUp("riometer")], 1) == (line.events, len(line.said))
