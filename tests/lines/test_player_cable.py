"""The player over a real cable: what only a whole line can show."""

import os
import termios

import pytest
import serial

from fieldproof_simulators.lines.serial import RECEIVER_BYTES

pytestmark = pytest.mark.needs("socat")

PATIENCE_S = 30.0


def test_a_system_opens_the_port(cabled_line):
    """pyserial at 9600 8N1 hears the instrument's stream."""
    line = cabled_line
    with serial.Serial(str(line.cable.system_end), 9600, timeout=PATIENCE_S) as port:
        line.up()
        assert 0 <= line.place(port.read(40))


def test_a_system_that_does_not_read_loses_what_comes_then(cabled_line):
    """When a UART would have overrun, words are dropped and said to be, until somebody reads."""
    line, reader = cabled_line, cabled_line.reader
    line.up()
    filler = bytes(RECEIVER_BYTES - 60)
    instrument = os.open(line.cable.instrument_end, os.O_RDWR | os.O_NOCTTY)
    os.write(instrument, filler)
    os.close(instrument)
    line.wait_for_words(45)
    reader.until(RECEIVER_BYTES - 30)
    fact = line.fact("line overrun")
    reader.until(40)
    words = reader.data.replace(filler, b"", 1)
    assert len(reader.data) - len(words) == len(filler)
    first, last = fact.detail["from_byte"], fact.detail["until_byte"]
    assert last - first == fact.detail["bytes"]
    assert last == line.place(words[first - line.place(words[:20]) :])


def test_unplugged_and_back(cabled_line):
    """The reader loses the port, and hears the stream again under the same name after a while; the
    fact says what it missed."""
    line, reader = cabled_line, cabled_line.reader
    line.up()
    reader.until(20)
    line.hurt("unplug", 1)
    line.cable.unplug()
    with pytest.raises(OSError):
        while reader.read(PATIENCE_S):
            pass
        raise OSError("an end of file, as pyserial takes it")
    line.wait_for_words(5)
    assert not line.states()[-1].plugged
    line.cable.replug()
    line.player.replug(line.site)
    line.heal("unplug", 1)
    line.reopen()
    data = reader.until(20)
    lost = line.fact("line dropped").detail
    assert ("unplug", 1) == (lost["cause"], lost["fault"])
    assert lost["until_byte"] == line.place(data)


def test_a_cable_that_breaks_by_itself_is_told(cabled_line):
    """Where socat dies of something else, the player says that the port is gone, and goes on when
    it is back."""
    line = cabled_line
    line.up()
    line.cable.unplug()
    assert line.fact("line port gone").detail["reason"]
    line.cable.replug()
    line.player.replug(line.site)
    line.reopen()
    assert 0 <= line.place(line.reader.until(20))


def test_a_terminal_for_people(cabled_line):
    """Cooked mode is really set at the system's port, and really undone."""
    line, port = cabled_line, cabled_line.reader.descriptor
    raw = termios.tcgetattr(port)
    line.up()
    line.reader.until(4)
    line.hurt("cooked", 2)
    canonical = termios.ICANON | termios.ECHO | termios.ISIG
    assert canonical == termios.tcgetattr(port)[3] & canonical
    line.heal("cooked", 2)
    assert raw == termios.tcgetattr(port)
    assert {"fault": 2} == line.fact("line cooked").detail == line.fact("line raw").detail


def test_a_system_that_makes_its_port_raw_again(cabled_line):
    """Flow control that the system switches off is gone for good, and that is told."""
    line, port = cabled_line, cabled_line.reader.descriptor
    raw = termios.tcgetattr(port)
    line.up()
    line.hurt("xonxoff", 3)
    assert termios.tcgetattr(port)[0] & termios.IXON
    termios.tcsetattr(port, termios.TCSANOW, raw)
    assert {"fault": 3, "who": "system"} == line.fact("line set raw").detail
    line.heal("xonxoff", 3)
    assert raw == termios.tcgetattr(port)


def test_a_wrong_baud_rate_is_heard_as_garbage(cabled_line):
    """A system that asks for another rate does not hear the stream, and is told of in a fact."""
    line, reader = cabled_line, cabled_line.reader
    right = termios.tcgetattr(reader.descriptor)
    wrong = [*right[:4], termios.B19200, termios.B19200, right[6]]
    line.up()
    termios.tcsetattr(reader.descriptor, termios.TCSANOW, wrong)
    assert {"asked": 19_200, "sent": 9600} == line.fact("line baud mismatch").detail
    reader.read()
    assert -1 == line.place(reader.until(20))
    termios.tcsetattr(reader.descriptor, termios.TCSANOW, right)
    line.fact("line baud agrees")
    reader.read()
    assert 0 <= line.place(reader.until(20))


def test_what_was_not_read_dies_with_its_reader(cabled_line):
    """A new life does not hear what waited for the last one."""
    line = cabled_line
    line.up()
    line.wait_for_words(20)
    line.down()
    down_ns = line.now_ns()
    line.up()
    place = line.place(line.reader.until(20))
    assert riometer_ns(place) == pytest.approx(down_ns, abs=0.5e9)


def riometer_ns(place: int) -> float:
    """About when the byte at this place was sent."""
    return place / 120 * 1e9
