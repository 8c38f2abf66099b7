"""From the riometer to the edge in virtual time: what arrives on the serial line, and when.

A sample is heard when both bytes of its word have crossed the line: `word_time_ns` after its
conversion. A line hears nothing while its host is down, and begins anew with each life.

Two fidelities. In `words` every sample is an event of its own. In `seconds` the line is skipped:
whole minutes of samples are handed over, grouped into the seconds of the host's clock just as an
edge groups them that

* starts a record with the first sample it hears, in that sample's second,
* latches its clock at the start of each record, counts 60 seconds from there, and starts the next
  record in the second that the clock then says is nearest.

The hand-over comes at the sample that closes the record in `words`, so that both fidelities give
the same bytes at the same times (a test holds them together).
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fieldproof_contract import SECOND_NS, LineData, LineSeconds
from fieldproof_simulators.instruments.riometer import Riometer
from fieldproof_simulators.lines.adwords import encode, word_time_ns
from fieldproof_simulators.machines.host import Host

LINE = "riometer"
WORD_NS = word_time_ns()
RECORD_SECONDS = 60
_TABLE_SECONDS = 60 * RECORD_SECONDS


class Timers(Protocol):
    """What a feed needs from its world."""

    def now_ns(self) -> int:
        """True time."""

    def call_at(self, true_ns: int, action: Callable[[], None]) -> None:
        """Do `action` at a true time that is not past."""


class Feed(Protocol):
    """A serial line into a host."""

    def begin(self) -> None:
        """The host came up."""


class WordsFeed:
    """Every word of the A/D as an event."""

    def __init__(self, riometer: Riometer, host: Host, world: Timers) -> None:
        self._riometer = riometer
        self._host = host
        self._world = world
        self._first = 0
        self._words = b""

    def begin(self) -> None:
        """The host came up: it hears from the next whole word on."""
        self._await(self._riometer.first_at(self._world.now_ns() - WORD_NS), len(self._host.lives))

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
        self._host.reads(LineData(LINE, self._words[offset : offset + 2]))
        self._await(k + 1, life)


class SecondsFeed:
    """Whole minutes of samples, grouped by the host's clock."""

    def __init__(self, riometer: Riometer, host: Host, world: Timers) -> None:
        self._riometer = riometer
        self._host = host
        self._world = world
        self._table_ns = 0  # true time of the first second in the table
        self._table: NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def begin(self) -> None:
        """The host came up: its first record starts with the first whole word."""
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
