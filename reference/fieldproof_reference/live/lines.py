"""Serial lines: opened raw, read when there is something, opened again when they are gone.

    closed --opened: LineUp--> open --error, nothing, or reopen(): LineDown--> closed
       ^                                                                         |
       +--- after 0.1 s, then twice as long each time, 5 s at most --------------+

1. 9600 baud, 8 bits, no parity, 1 stop bit, no flow control, nothing translated or echoed; no other
   program that asks for the port alone gets it.
2. What the port held when it was opened is of another time and thrown away.
3. What came is told with the time at which its last byte was read. The line is read until there is
   no more, so that a process that slept has all that it missed as one piece.
4. Another program may change a port's settings at any time. They are compared once a second, and
   set again: what came meanwhile was read as it came.
5. Modem lines are left alone: not every port has them (a PTY has none).
6. An open port from which nothing comes is no fault of the port; a person is told.
"""

import errno
import os
import select
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import serial

from fieldproof_contract import SECOND_NS, Event, LineData, LineDown, LineUp, Now
from fieldproof_reference.live.clock import Clock
from fieldproof_reference.live.loop import READ, Action, Loop

BAUD = 9600
SOONEST_NS = SECOND_NS // 10
LATEST_NS = 5 * SECOND_NS
CHECK_NS = SECOND_NS
SILENT_NS = 10 * SECOND_NS
"""Without a byte for so long, a line that should bring 120 a second is silent."""

READ_BYTES = 4096
MUCH_BYTES = 256
"""So many bytes at once say that the process was late by seconds, for words come one by one: more
may follow as soon as the port has room, and the kernel's workers find time."""

MORE_NS = SECOND_NS // 10
"""How long to wait for that after the last such piece. It costs nothing but a moment: each piece
has the time at which it was read."""

MOST_BYTES = 1 << 17
"""More than any chain of buffers of a line holds (our assumption): three socats hold 100 kB."""

SETTINGS = f"{BAUD} 8N1, raw"

Tell = Callable[[Event, Now | None], None]
"""Takes what happened, and when if that is not now."""


class Line:
    """One serial line of the host, by its name there."""

    def __init__(
        self,
        loop: Loop,
        clock: Clock,
        name: str,
        path: Path,
        tell: Tell,
        say: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._name = name
        self._path = path
        self._tell = tell
        self._say = say
        self._port: serial.Serial | None = None
        self._fd = -1
        self._asked: list[Any] = []  # the settings that we made, as tcsetattr takes them
        self._given: list[Any] = []  # what the port made of them
        self._wait_ns = SOONEST_NS
        self._openings = 0
        self._heard_ns = 0  # when the last byte came, or the port was opened
        self._is_silent = False
        self.bytes_heard = 0
        """Of this process."""
        self.state = "not opened yet"
        """For people: up, or why not."""

    def open(self) -> None:
        """Open the port, and tell of it; where that fails, try again later."""
        self._openings += 1
        try:
            self._configure()
        except (OSError, termios.error) as error:
            self._down(_reason(error))
            return
        self._wait_ns = SOONEST_NS
        self._loop.watch(self._fd, READ, self._read)
        self._later(CHECK_NS, self._check)
        self._heard_ns, self._is_silent = time.monotonic_ns(), False
        self.state = "up"
        self._say(f"line {self._name} is up: {self._path}, {SETTINGS}.")
        self._tell(LineUp(self._name), None)

    def reopen(self) -> None:
        """Close the port and open it again, at once."""
        if self._port is not None:
            self.close()
            self._tell(LineDown(self._name, "opened again on request"), None)
        self.open()

    def close(self) -> None:
        """Leave the port; no more is told."""
        self._openings += 1
        if self._port is not None:
            self._loop.unwatch(self._fd)
            self._port.close()
            self._port = None

    def _configure(self) -> None:
        self._port = serial.Serial(str(self._path), BAUD, timeout=0, exclusive=True)
        try:
            self._fd = self._port.fileno()
            self._asked = termios.tcgetattr(self._fd)
            # With 0, as pyserial has it, a read without bytes would look like a port that is gone.
            self._asked[6][termios.VMIN] = 1
            self._set()
        except (OSError, termios.error):
            self._port.close()
            self._port = None
            raise

    def _set(self) -> None:
        termios.tcsetattr(self._fd, termios.TCSANOW, self._asked)
        self._given = termios.tcgetattr(self._fd)

    def _later(self, wait_ns: int, action: Action) -> None:
        """Do `action` after a while, unless the port was closed or opened meanwhile."""
        opening = self._openings
        self._loop.call_in(wait_ns, lambda: action() if opening == self._openings else None)

    def _down(self, reason: str) -> None:
        was_up, state = self._port is not None, f"down ({reason})"
        self.close()
        if state != self.state:
            self._say(f"line {self._name} is down: {reason}; {self._path} is tried again.")
        is_news = was_up or not self.state.startswith("down")
        self.state = state
        self._later(self._wait_ns, self.open)
        self._wait_ns = min(2 * self._wait_ns, LATEST_NS)
        if is_news:
            self._tell(LineDown(self._name, reason), None)

    def _read(self) -> None:
        reason = ""
        try:
            data = os.read(self._fd, READ_BYTES)
            now = self._clock.now()
            if len(data) >= MUCH_BYTES:
                data, now = self._with_rest(data, now)
            if data:
                self._tell(LineData(self._name, data), now)
                self._note(data)
            elif not self._restore():
                reason = "the port was closed at its other end"
        except BlockingIOError:
            return
        except (OSError, termios.error) as error:
            reason = _reason(error)
        if reason:
            self._down(reason)

    def _with_rest(self, data: bytes, now: Now) -> tuple[bytes, Now]:
        """What was read, what follows of it, and when the last of it was read."""
        ends_ns = now.monotonic + MORE_NS
        while len(data) < MOST_BYTES:
            wait_ns = ends_ns - time.monotonic_ns()
            if wait_ns <= 0 or not select.select((self._fd,), (), (), wait_ns / SECOND_NS)[0]:
                break
            try:
                more = os.read(self._fd, READ_BYTES)
            except OSError:
                break  # met again by the next read
            if not more:
                break
            data, now = data + more, self._clock.now()
            if len(more) >= MUCH_BYTES:
                ends_ns = now.monotonic + MORE_NS
        return data, now

    def _note(self, data: bytes) -> None:
        """Count what came; tell a person where that is news."""
        self.bytes_heard += len(data)
        self._heard_ns = time.monotonic_ns()
        if self._is_silent:
            self._is_silent, self.state = False, "up"
            self._say(f"line {self._name} speaks again.")

    def _check(self) -> None:
        if not self._is_silent and time.monotonic_ns() - self._heard_ns >= SILENT_NS:
            self._is_silent, self.state = True, "up, but silent"
            self._say(f"line {self._name} is silent: {self._path} brings nothing.")
        try:
            self._restore()
        except (OSError, termios.error) as error:
            self._down(_reason(error))
        else:
            self._later(CHECK_NS, self._check)

    def _restore(self) -> bool:
        """Set the port raw again where somebody has set it otherwise; whether that was so."""
        if termios.tcgetattr(self._fd) == self._given:
            return False
        self._set()
        self._say(f"line {self._name} was not raw: another program set {self._path}; now it is.")
        return True


def _reason(error: Exception) -> str:
    """One line: what the system calls it."""
    if isinstance(error, OSError) and error.errno:
        is_locked = error.errno == errno.EWOULDBLOCK
        return "another program has locked it" if is_locked else os.strerror(error.errno)
    number = error.args[0] if error.args else None
    return os.strerror(number) if isinstance(number, int) else str(error)
