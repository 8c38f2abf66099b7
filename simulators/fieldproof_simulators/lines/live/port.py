"""Both ends of a serial line as the player sees them: the one it writes to, and the system's.

The system's end is looked at where it is a pseudo-terminal: how much waits there unread, which baud
rate was asked for, whether it is raw. The player keeps it open, as socat does, so that its settings
and what waits there outlive a close; `forget_unread` is what the last close of a real port does. A
real device is left to the system alone.

Writing never blocks. `PortGone` says that a port is not there any more; it is closed then.
"""

import errno
import fcntl
import os
import re
import stat
import struct
import termios
import tty
from contextlib import suppress
from pathlib import Path
from typing import Any

_BAUDS = {
    getattr(termios, name): int(name[1:]) for name in dir(termios) if re.fullmatch(r"B\d+", name)
}
_PTS_MAJORS = range(136, 144)  # of the Unix98 slaves, Documentation/admin-guide/devices.txt
_GONE = (errno.EIO, errno.ENXIO, errno.ENODEV, errno.ENOENT)
_IFLAG, _OFLAG, _CFLAG, _LFLAG, _ISPEED, _OSPEED = range(6)  # of tcgetattr

_COOKED_IFLAG = termios.ICRNL | termios.IXON
_COOKED_OFLAG = termios.OPOST | termios.ONLCR
_COOKED_LFLAG = (
    termios.ISIG
    | termios.ICANON
    | termios.IEXTEN
    | termios.ECHO
    | termios.ECHOE
    | termios.ECHOK
    | termios.ECHOCTL
    | termios.ECHOKE
)
"""As a Linux terminal is born (tty_std_termios)."""


class PortGone(Exception):
    """The port was there and is not any more."""


class Port:
    """See the head of this file. Paths; `baud` is what the instrument sends at."""

    def __init__(self, instrument_end: str, system_end: str, baud: int) -> None:
        self.instrument_end = instrument_end
        self.system_end = system_end
        self._baud = baud
        self._ours = self._theirs = -1  # descriptors
        self._was: list[Any] | None = None  # the system's settings before somebody spoilt them

    @property
    def is_open(self) -> bool:
        """Whether it can be written to."""
        return self._ours >= 0

    @property
    def is_watched(self) -> bool:
        """Whether the system's end can be looked at."""
        return self._theirs >= 0

    def open(self) -> None:
        """Open both ends. Raises OSError where the instrument's cannot be."""
        self.close()
        flags = os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
        self._ours = os.open(self.instrument_end, flags)
        try:
            _make_raw(self._ours, self._baud)
        except termios.error as error:
            self.close()
            raise OSError(*error.args, self.instrument_end) from None
        with suppress(OSError):
            if self.system_end and _is_pseudo(self.system_end):
                self._theirs = os.open(self.system_end, flags)

    def close(self) -> None:
        """Let go of both ends. May be called again."""
        for descriptor in (self._ours, self._theirs):
            if descriptor >= 0:
                os.close(descriptor)
        self._ours = self._theirs = -1
        self._was = None

    def write(self, data: bytes) -> int:
        """How many of the bytes were taken: none by a port that is closed. Raises PortGone."""
        if self._ours < 0:
            return 0
        try:
            return os.write(self._ours, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._gone(error) from None

    def drain(self) -> None:
        """Throw away what the system sent: an instrument that does not listen. Raises PortGone."""
        try:
            while os.read(self._ours, 4096):
                pass
        except BlockingIOError:
            return
        except OSError as error:
            raise self._gone(error) from None

    # --- the system's end ---

    def unread(self) -> int:
        """Bytes that wait for the system: 0 where its end cannot be looked at. Raises PortGone."""
        if self._theirs < 0:
            return 0
        try:
            answer = fcntl.ioctl(self._theirs, termios.FIONREAD, b"\0\0\0\0")
        except OSError as error:
            raise self._gone(error) from None
        return int(struct.unpack("i", answer)[0])

    def forget_unread(self) -> None:
        """Throw away what waits for the system, if it can be looked at."""
        with suppress(termios.error):
            if self.is_watched:
                termios.tcflush(self._theirs, termios.TCIFLUSH)

    def settings(self) -> list[Any]:
        """The settings of the system's end, as tcgetattr gives them. Raises PortGone."""
        try:
            return termios.tcgetattr(self._theirs)
        except termios.error as error:
            raise self._gone(error) from None

    def spoil(self, kind: str) -> None:
        """Make the system's end a terminal for people (`cooked`), or switch software flow control
        on (`xonxoff`). Raises PortGone; ValueError where it cannot be reached."""
        if not self.is_watched:
            raise ValueError(
                f"The settings of {self.system_end or 'the system'} cannot be changed from here: "
                "it is no pseudo-terminal."
            )
        spoilt = self.settings()
        self._was = self.settings()
        if kind == "cooked":
            spoilt[_IFLAG] |= _COOKED_IFLAG
            spoilt[_OFLAG] |= _COOKED_OFLAG
            spoilt[_LFLAG] |= _COOKED_LFLAG
        else:
            spoilt[_IFLAG] |= termios.IXON
        termios.tcsetattr(self._theirs, termios.TCSANOW, spoilt)

    def restore(self) -> None:
        """Undo `spoil`, unless the system has done so."""
        was, self._was = self._was, None
        with suppress(termios.error, PortGone):
            if was is not None and is_spoilt(self.settings()):
                termios.tcsetattr(self._theirs, termios.TCSANOW, was)

    def _gone(self, error: Exception) -> Exception:
        """What to raise for an error: PortGone where the port is not there any more."""
        if error.args[0] not in _GONE:
            return error
        self.close()
        return PortGone(f"{self.instrument_end}: {error.args[-1]}")


def is_spoilt(settings: list[Any]) -> bool:
    """Whether settings (of tcgetattr) are such that bytes are eaten."""
    return bool(settings[_LFLAG] & termios.ICANON or settings[_IFLAG] & termios.IXON)


def baud_of(settings: list[Any]) -> int | None:
    """The rate at which settings have the line read; None for one that has no constant."""
    speed = settings[_ISPEED] or settings[_OSPEED]
    return _BAUDS.get(speed)


def _make_raw(descriptor: int, baud: int) -> None:
    tty.setraw(descriptor, termios.TCSANOW)
    settings = termios.tcgetattr(descriptor)
    settings[_CFLAG] = settings[_CFLAG] & ~termios.CRTSCTS | termios.CLOCAL | termios.CREAD
    settings[_ISPEED] = settings[_OSPEED] = getattr(termios, f"B{baud}")
    termios.tcsetattr(descriptor, termios.TCSANOW, settings)


def _is_pseudo(path: str) -> bool:
    """Whether it is the slave of a pseudo-terminal. Raises OSError."""
    found = Path(path).stat()
    return stat.S_ISCHR(found.st_mode) and os.major(found.st_rdev) in _PTS_MAJORS
