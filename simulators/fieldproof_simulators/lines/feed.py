"""From the riometer to the edge in virtual time: what arrives on the serial line, and when.

A sample is heard when both bytes of its word have crossed the line: `word_time_ns` after its
conversion. A line hears nothing while its host is down, and begins anew with each life: `LineUp`.

Two fidelities. In `words` every sample is an event of its own, and the line can be hurt: as long as
it is, its words go through the serial model (serial.py). In `seconds` the line is skipped:
whole minutes of samples are handed over, grouped into the seconds of the host's clock just as an
edge groups them that

* starts a record with the first sample it hears, in that sample's second,
* latches its clock at the start of each record, counts 60 seconds from there, and starts the next
  record in the second that the clock then says is nearest.

The hand-over comes at the sample that closes the record in `words`, so that both fidelities give
the same bytes at the same times (a test holds them together).
"""

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fieldproof_contract import SECOND_NS, LineData, LineDown, LineSeconds, LineUp
from fieldproof_simulators.instruments.riometer import Riometer
from fieldproof_simulators.lines.adwords import encode, with_samples, word_time_ns
from fieldproof_simulators.lines.hurts import Hurt
from fieldproof_simulators.lines.serial import SerialLine
from fieldproof_simulators.machines.host import Host

LINE = "riometer"
WORD_NS = word_time_ns()
RECORD_SECONDS = 60
_TABLE_SECONDS = 60 * RECORD_SECONDS

UNPLUGGED = "the line is unplugged"
"""What a driver says to its nodes."""


class Surroundings(Protocol):
    """What a feed needs from its world."""

    seed: int

    def now_ns(self) -> int:
        """True time."""

    def call_at(self, true_ns: int, action: Callable[[], None]) -> None:
        """Do `action` at a true time that is not past."""

    def log(self, where: str, what: str, detail: Mapping[str, str | int]) -> None:
        """Write a fact to the run's log."""


class Feed(Protocol):
    """A serial line into a host."""

    def begin(self) -> None:
        """The host came up."""


class WordsFeed:
    """Every word of the A/D as an event, on a line that can be hurt."""

    def __init__(self, riometer: Riometer, host: Host, world: Surroundings) -> None:
        self._riometer = riometer
        self._host = host
        self._world = world
        self._line = SerialLine(host.name, world.seed)
        self._is_hurt = False  # or something of it is left: words go through the model
        self._first = 0
        self._words = b""

    def begin(self) -> None:
        """The host came up: it hears from the next whole word on."""
        self._line.begin_anew()
        if self._line.is_hurt_by("unplug"):
            self._host.reads(LineDown(LINE, UNPLUGGED))
        else:
            self._host.reads(LineUp(LINE))
        self._await(self._riometer.first_at(self._world.now_ns() - WORD_NS), len(self._host.lives))

    # --- hurting ---

    def hurt(self, hurt: Hurt) -> None:
        """A fault strikes the line, now."""
        self._is_hurt = True
        self._line.hurt(self._world.now_ns(), hurt)
        self._say()
        if hurt.kind == "unplug":
            self._host.reads(LineDown(LINE, UNPLUGGED))

    def heal(self, fault: int) -> None:
        """A fault of the line ends, now."""
        was_unplugged = self._line.is_hurt_by("unplug")
        self._line.heal(self._world.now_ns(), fault)
        self._say()
        if was_unplugged and not self._line.is_hurt_by("unplug"):
            self._host.reads(LineUp(LINE))
        self._await_backlog(len(self._host.lives))

    def fired(self, fault: int) -> int:
        """How often a fault acted: bytes lost or changed, where its kind counts bytes, else 1."""
        return self._line.fired(fault)

    def _say(self) -> None:
        for what, detail in self._line.take_facts():
            self._world.log(self._host.name, what, with_samples(detail))

    # --- words ---

    def _await(self, k: int, life: int) -> None:
        at_ns = self._riometer.instant_ns(k) + WORD_NS
        self._world.call_at(at_ns, lambda: self._deliver(k, life))

    def _deliver(self, k: int, life: int) -> None:
        if life != len(self._host.lives) or not self._host.up:
            return
        offset = 2 * (k - self._first)
        if not 0 <= offset < len(self._words):
            self._first, offset = k, 0
            self._words = encode(self._riometer.codes(k, k + _TABLE_SECONDS))
        word = self._words[offset : offset + 2]
        if self._is_hurt:
            self._line.send(self._world.now_ns() - WORD_NS, 2 * k, word)
            self._hear(life)
        else:
            self._host.reads(LineData(LINE, word))
        self._await(k + 1, life)

    def _hear(self, life: int) -> None:
        """Hand over what came through a line that is hurt, and wait for what is on its way."""
        heard = self._line.advance(self._world.now_ns())
        self._say()
        self._is_hurt = not self._line.clean
        if heard:
            self._host.reads(LineData(LINE, heard))
        self._await_backlog(life)

    def _await_backlog(self, life: int) -> None:
        due_ns = self._line.due_ns()
        if due_ns is not None:
            due_ns = max(due_ns, self._world.now_ns())
            self._world.call_at(due_ns, lambda: self._hear_backlog(life))

    def _hear_backlog(self, life: int) -> None:
        due_ns = self._line.due_ns()
        is_due = due_ns is not None and due_ns <= self._world.now_ns()
        if is_due and life == len(self._host.lives) and self._host.up:
            self._hear(life)


class SecondsFeed:
    """Whole minutes of samples, grouped by the host's clock."""

    def __init__(self, riometer: Riometer, host: Host, world: Surroundings) -> None:
        self._riometer = riometer
        self._host = host
        self._world = world
        self._table_ns = 0  # true time of the first second in the table
        self._table: NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def begin(self) -> None:
        """The host came up: its first record starts with the first whole word."""
        self._host.reads(LineUp(LINE))
        k = self._riometer.first_at(self._world.now_ns() - WORD_NS)
        heard_ns = self._riometer.instant_ns(k) + WORD_NS
        utc_ns = self._host.clock.utc_ns(heard_ns)
        label_s = utc_ns // SECOND_NS
        self._record(k, label_s, heard_ns - (utc_ns - label_s * SECOND_NS))

    def _record(self, first: int, label_s: int, anchor_ns: int) -> None:
        """Plan the record of sample `first` on; second `label_s` began at `anchor_ns`."""
        ends = self._ends(anchor_ns)
        closing_ns = self._riometer.instant_ns(int(ends[-1])) + WORD_NS
        lengths = (ends - np.concatenate(((first,), ends[:-1]))).astype("<u2")
        life = len(self._host.lives)

        def close() -> None:
            if life != len(self._host.lives) or not self._host.up:
                return
            last = int(ends[-1])
            codes = self._riometer.codes(first, last).tobytes()
            self._host.reads(LineSeconds(LINE, label_s, lengths.tobytes(), codes))
            boundary_ns = anchor_ns + RECORD_SECONDS * SECOND_NS
            offset_ns = self._host.clock.utc_ns(closing_ns) - closing_ns
            label = (boundary_ns + offset_ns + SECOND_NS // 2) // SECOND_NS
            self._record(last, label, label * SECOND_NS - offset_ns)

        self._world.call_at(closing_ns, close)

    def _ends(self, anchor_ns: int) -> NDArray[np.int64]:
        """The first samples heard after each of the record's 60 seconds; made an hour at a time."""
        row, rest_ns = divmod(anchor_ns - self._table_ns, SECOND_NS)
        if rest_ns or not 0 <= row <= len(self._table) - RECORD_SECONDS:
            seconds = np.arange(1, _TABLE_SECONDS + 1, dtype=np.int64)
            self._table_ns, row = anchor_ns, 0
            self._table = self._riometer.firsts_at(anchor_ns - WORD_NS + seconds * SECOND_NS)
        return self._table[row : row + RECORD_SECONDS]
