"""What a Linux terminal does to the bytes of an instrument when nobody made the port raw.

A port opens as a terminal for people. The kernel then gathers lines (ICANON), makes signals of
control-C, Z and backslash (ISIG, which throws away all that nobody has read yet), edits with U, W,
V and DEL (IEXTEN, ECHOE), makes a line feed of each carriage return (ICRNL), and takes S and Q for
stop and start (IXON). One word of the A/D in six holds such a byte.

The model is that of N_TTY in the kernel with the flags and characters of a new terminal
(`tty_std_termios`), for a reader that takes each line at once; a test holds it against a real
terminal, byte for byte.
"""

from typing import NamedTuple

LINE_BYTES = 4096
"""The longest open line (N_TTY_BUF_SIZE); whatever comes after takes the place of its last byte."""

XON, XOFF = 0x11, 0x13
FLOW = frozenset({XON, XOFF})
"""What IXON takes out of the stream."""

SIGNALS = frozenset({0x03, 0x1A, 0x1C})  # VINTR, VSUSP, VQUIT
END_OF_FILE = 0x04  # VEOF
REPRINT, KILL, LITERAL, WORD_ERASE, ERASE = 0x12, 0x15, 0x16, 0x17, 0x7F
RETURN, NEWLINE = 0x0D, 0x0A
_PARTS_OF_WORDS = frozenset(
    [*b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"]
    + [byte for byte in range(0xC0, 0x100) if byte not in (0xD7, 0xF7)]
)
"""isalnum() of the kernel, which is that of Latin-1, and the underscore."""


class Byte(NamedTuple):
    """A byte of the line and its place in all that the instrument ever sent."""

    place: int
    value: int


class Taken(NamedTuple):
    """What came of one byte."""

    heard: tuple[Byte, ...] | None  # what a read brings now; empty is an end of file
    lost: tuple[int, ...]  # places of bytes that nobody will ever read
    changed: tuple[int, ...]  # places of bytes that will be read as something else


NOTHING = Taken(None, (), ())


class Cooked:
    """A terminal's input in canonical mode."""

    def __init__(self) -> None:
        self._line: list[Byte] = []
        self._is_literal = False  # the byte before was ^V

    def take(self, byte: Byte) -> Taken:
        """The next byte arrives."""
        displaced = self._drop(LINE_BYTES - 1)
        taken = self._receive(byte)
        return taken._replace(lost=displaced + taken.lost) if displaced else taken

    def release(self) -> tuple[Byte, ...]:
        """The open line, which becomes readable: it ended, or the terminal is made raw."""
        line = tuple(self._line)
        self._line.clear()
        return line

    def _receive(self, byte: Byte) -> Taken:
        place, value = byte
        if self._is_literal:
            self._is_literal = False
            self._line.append(byte)
            return NOTHING
        if value in FLOW or value == REPRINT:
            return Taken(None, (place,), ())
        if value in SIGNALS:
            return Taken(None, (*self._drop(0), place), ())
        if value in (ERASE, KILL, WORD_ERASE):
            return Taken(None, (*self._drop(self._start_of(value)), place), ())
        if value == LITERAL:
            self._is_literal = True
            return Taken(None, (place,), ())
        if value == END_OF_FILE:
            return Taken(self.release(), (place,), ())
        if value in (RETURN, NEWLINE):
            self._line.append(Byte(place, NEWLINE))
            return Taken(self.release(), (), (place,) if value == RETURN else ())
        self._line.append(byte)
        return NOTHING

    def _drop(self, start: int) -> tuple[int, ...]:
        """Forget the open line from `start` on; the places of what it held there."""
        lost = tuple(place for place, _ in self._line[start:])
        del self._line[start:]
        return lost

    def _start_of(self, eraser: int) -> int:
        """How much of the open line an eraser leaves."""
        if eraser == KILL:
            return 0
        if eraser == ERASE:
            return max(0, len(self._line) - 1)
        in_word = False
        for at in range(len(self._line) - 1, -1, -1):
            if self._line[at].value in _PARTS_OF_WORDS:
                in_word = True
            elif in_word:
                return at + 1
        return 0
