"""One direction of a serial line, from the sender's buffer to the reader.

Rules:

1. Bytes cross one after the other at line rate, in order. Each has crossed at a time of its own,
   and a fault (hurts.py) acts on the bytes that cross in [struck, healed), whatever else happens.
2. Bytes have places, counted from the first that the instrument ever sent. One that is lost or
   changed is in a fact with its place: what was sent is what was heard and what was lost.

Theory of operation. A byte waits in the sender's buffer, crosses the wire, comes into the
receiver's FIFO, where it is lost if the reader leaves too much unread ("line overrun"), and goes
through the terminal's line discipline to the reader.

The caller gives bytes with the time at which the sender has them (`send`), and asks what was heard
by now (`advance`); `due_ns` says when to ask again for what a stall held back. A line that is
`clean` changes nothing: the caller may then pass its bytes by.
"""

from collections import deque
from typing import NamedTuple

from fieldproof_contract import SECOND_NS
from fieldproof_simulators.lines.discipline import FLOW, Byte, Cooked
from fieldproof_simulators.lines.hurts import (
    KINDS,
    NEVER_NS,
    OF_BYTES,
    SENDER_BYTES,
    Hurt,
    Window,
    begin,
)
from fieldproof_simulators.lines.tally import Fact, Tally

RECEIVER_BYTES = 16 + 4095
"""The FIFO of a 16550 UART, and what a Linux line discipline holds for a reader."""


class Framing(NamedTuple):
    """How a byte is put on the wire: one start bit, data, parity (N, E or O), stop bits."""

    baud: int = 9600
    data_bits: int = 8
    parity: str = "N"
    stop_bits: int = 1

    def time_ns(self, count: int) -> int:
        """How long `count` bytes in a row take, rounded down."""
        bits = 1 + self.data_bits + (self.parity != "N") + self.stop_bits
        return count * bits * SECOND_NS // self.baud


class _Train(NamedTuple):
    """Bytes that cross without a pause: since when, and how many."""

    since_ns: int
    length: int


class SerialLine:
    """See the head of this file. `name` names the line's random streams; times are true time."""

    def __init__(self, name: str, seed: int, framing: Framing | None = None) -> None:
        self.unread = 0  # bytes that wait for the reader, as far as the caller knows
        self.overrun_bytes = 0  # for which the receiver had no room
        self._framing = framing or Framing()
        self._name = name
        self._seed = seed
        self._windows: list[Window] = []
        self._queue: deque[tuple[int, Byte]] = deque()  # since when the sender has it, and what
        self._train = _Train(0, 0)  # that crossed last
        self._stalled_by = -1  # the fault whose backlog is in the queue
        self._heard = bytearray()
        self._sent = self._passed = 0  # the place after the last byte, at both ends of the wire
        self._tally = Tally()
        self._fired: dict[int, int] = {}

    # --- hurting ---

    def hurt(self, at_ns: int, hurt: Hurt) -> None:
        """A fault strikes."""
        begun = begin(hurt, self._name, self._seed, at_ns)
        if not begun.exhausted:
            self._windows.append(begun)
        if hurt.kind == "stall":
            self._stalled_by = hurt.fault
        if hurt.kind not in OF_BYTES:
            self._fired[hurt.fault] = 1
        self._say_state(hurt, 0)

    def heal(self, at_ns: int, fault: int) -> None:
        """A fault ends; one that is over, or never was, is no error."""
        for window in self._windows:
            if window.hurt.fault == fault and window.lasts:
                window.until_ns = at_ns
                self._say_state(window.hurt, 1)

    def fired(self, fault: int) -> int:
        """How often a fault acted: bytes lost or changed by those of `OF_BYTES`, else 1."""
        return self._fired.get(fault, 0)

    def all_fired(self) -> dict[int, int]:
        """`fired` of every fault that ever was."""
        return dict(self._fired)

    def is_hurt_by(self, kind: str) -> bool:
        """Whether such a fault lasts."""
        return any(window.hurt.kind == kind and window.lasts for window in self._windows)

    @property
    def clean(self) -> bool:
        """Whether bytes would come through as they are, each at its time, and nothing is left to
        be said."""
        return not (self._windows or self._queue or self._heard) and self._tally.is_empty

    def _say_state(self, hurt: Hurt, which: int) -> None:
        what = KINDS[hurt.kind][which]
        if what:
            self._tally.say(what, {"fault": hurt.fault})

    # --- bytes ---

    def send(self, at_ns: int, place: int, data: bytes) -> None:
        """The sender has these bytes since `at_ns`; the first has this place in its stream."""
        self._move(at_ns)
        for byte in map(Byte, range(place, place + len(data)), data):
            if self._stalled_by >= 0 and len(self._queue) >= SENDER_BYTES:
                self._tally.note("line dropped", "stall", self._stalled_by, byte.place)
            else:
                self._queue.append((at_ns, byte))
        self._sent = place + len(data)

    def advance(self, now_ns: int) -> bytes:
        """What came to the reader by now, after what this said last."""
        self._move(now_ns)
        self._retire(now_ns)
        self._tally.settle(self._passed, self._sent)
        heard = bytes(self._heard)
        self._heard.clear()
        return heard

    def due_ns(self) -> int | None:
        """When the next byte will have crossed; None where none is on its way, or it is stalled."""
        if not self._queue:
            return None
        _, due_ns = self._crossing(self._queue[0][0])
        return None if due_ns >= NEVER_NS else due_ns

    def begin_anew(self) -> None:
        """The reader's machine came up: what was on its way is gone; faults last."""
        self._queue.clear()
        self._heard.clear()
        for window in self._windows:
            window.cooked = Cooked()
        self._tally.finish()

    def take_facts(self) -> list[Fact]:
        """The facts since this was asked last."""
        return self._tally.take()

    def finish(self) -> list[Fact]:
        """The line ends: all facts that there are."""
        self._tally.finish()
        return self._tally.take()

    def lose(self, what: str, cause: str, place: int) -> None:
        """The caller could not pass on a byte that had come through: a fact of its own words."""
        self.overrun_bytes += what == "line overrun"
        self._tally.note(what, cause, -1, place)

    # --- on the way ---

    def _move(self, now_ns: int) -> None:
        """Let all bytes cross that have crossed by now."""
        while self._queue:
            at_ns, byte = self._queue[0]
            train, due_ns = self._crossing(at_ns)
            if due_ns > now_ns:
                return
            self._queue.popleft()
            self._train = train
            self._arrive(due_ns, byte)
            self._passed = byte.place + 1
        if not self.is_hurt_by("stall"):
            self._stalled_by = -1

    def _crossing(self, at_ns: int) -> tuple[_Train, int]:
        """Of a byte that the sender has since `at_ns`: the train that it ends, and when it has
        crossed."""
        since_ns, count = self._train
        begins_ns = since_ns + self._framing.time_ns(count)
        if at_ns > begins_ns:
            since_ns, count, begins_ns = at_ns, 0, at_ns
        due_ns = since_ns + self._framing.time_ns(count + 1)
        for window in self._windows:
            if window.hurt.kind != "stall" or window.from_ns >= due_ns:
                continue
            if begins_ns < window.until_ns:
                since_ns, count, begins_ns = window.until_ns, 0, window.until_ns
                due_ns = since_ns + self._framing.time_ns(1)
        return _Train(since_ns, count + 1), due_ns

    def _arrive(self, due_ns: int, byte: Byte) -> None:
        """A byte has crossed: what the wire made of it, and the receiver."""
        self._retire(due_ns)
        for window in self._windows:
            if due_ns < window.from_ns:
                continue
            value = window.on_the_wire(byte)
            if value is None:
                self._hit(window, "line dropped", byte.place)
                if window.exhausted:
                    window.until_ns = due_ns
                return
            if value != byte.value:
                self._hit(window, "line garbled", byte.place)
                byte = Byte(byte.place, value)
        if self.unread + len(self._heard) >= RECEIVER_BYTES:
            self.lose("line overrun", "reader", byte.place)
        else:
            self._discipline(due_ns, byte)

    def _discipline(self, due_ns: int, byte: Byte) -> None:
        """Through the terminal to the reader."""
        for window in self._windows:
            if due_ns < window.from_ns:
                continue
            if window.hurt.kind == "cooked":
                taken = window.cooked.take(byte)
                for place in taken.lost:
                    self._hit(window, "line dropped", place)
                for place in taken.changed:
                    self._hit(window, "line garbled", place)
                self._heard += bytes(heard.value for heard in taken.heard or ())
                return
            if window.hurt.kind == "xonxoff" and byte.value in FLOW:
                self._hit(window, "line dropped", byte.place)
                return
        self._heard.append(byte.value)

    def _retire(self, now_ns: int) -> None:
        """Forget the faults that are over by now. What a stall held back begins to move when it
        ended; a terminal that is raw again gives its open line."""
        if all(now_ns < window.until_ns for window in self._windows):
            return
        for window in self._windows:
            if window.until_ns > now_ns:
                continue
            self._heard += bytes(byte.value for byte in window.cooked.release())
            free_ns = self._train.since_ns + self._framing.time_ns(self._train.length)
            if window.hurt.kind == "stall" and free_ns < window.until_ns:
                self._train = _Train(window.until_ns, 0)
        self._windows = [window for window in self._windows if now_ns < window.until_ns]

    def _hit(self, window: Window, what: str, place: int) -> None:
        hurt = window.hurt
        if hurt.kind in OF_BYTES:
            self._fired[hurt.fault] = self._fired.get(hurt.fault, 0) + 1
        self._tally.note(what, hurt.kind, hurt.fault, place)
