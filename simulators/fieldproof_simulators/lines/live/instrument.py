"""One riometer that is played into a port in real time, through the serial model.

A word is due when it would have crossed the line: one word's time after its sample's conversion. As
long as the line is well, a word is one write. While something is wrong, words go through the model,
which says what comes out, and when. While the host is down there is nobody with the port open: its
words are lost without a fact, and what had not been read is forgotten.

What waits for the reader is known from the kernel ten times a second, and counted between. Beyond
what the kernel's line discipline can show (`_FULL`), only the own count goes on, so that a reader
that does not read loses what comes after `RECEIVER_BYTES`, as with a UART.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np

from fieldproof_simulators.instruments.riometer import PreampDead, RateSegment, Riometer
from fieldproof_simulators.lines.adwords import WORD_BYTES, encode, with_samples, word_time_ns
from fieldproof_simulators.lines.hurts import Hurt
from fieldproof_simulators.lines.live.lateness import Lateness
from fieldproof_simulators.lines.live.messages import LineBegin, LineRow, PlayerBegin
from fieldproof_simulators.lines.live.port import Port, PortGone, baud_of, is_spoilt
from fieldproof_simulators.lines.misread import misread
from fieldproof_simulators.lines.serial import RECEIVER_BYTES, Framing, SerialLine

Tell = Callable[[str, str, Mapping[str, str | int]], None]
"""Takes a fact: where, what, detail."""

FRAMING = Framing()
WORD_NS = word_time_ns(FRAMING.baud)

SPOILING = {
    "cooked": ("line cooked", "line raw"),
    "xonxoff": ("line with flow control", "line without flow control"),
}
"""Faults that are settings of the system's port: the kernel carries them out."""

_FULL = 4095  # bytes: what a line discipline holds
_BLOCK = 1024  # words that are made at once

LATE_NS = 100_000_000
"""A word that is written so much later than it should be is a fact of the machine."""


class Instrument:
    """See the head of this file. Times are true time."""

    def __init__(self, begin: LineBegin, run: PlayerBegin, tell: Tell) -> None:
        """Raises ValueError for a site or a noise preset that does not exist, OSError for a port
        that cannot be opened."""
        self.site = begin.site
        self.late = Lateness()
        self.words = 0  # due while the host was up
        self._tell = tell
        self._riometer = Riometer(
            begin.site,
            run.seed,
            run.begins_utc_ns,
            noise=begin.noise,
            rate_segments=(RateSegment(0, begin.drift_ppb),),
            faults=tuple(PreampDead(*span) for span in begin.dead_ns),
        )
        self._line = SerialLine(begin.site, run.seed, FRAMING)
        self._port = Port(begin.instrument_port, begin.system_port, FRAMING.baud)
        self._port.open()
        self._is_up = False
        self._is_well = True  # words need not go through the model
        self._was_late = False
        self._unread = 0
        self._heard_baud = FRAMING.baud
        self._spoilt: Hurt | None = None
        self._spoilt_fired: dict[int, int] = {}
        self._backlog_ns: int | None = None  # when more of what was stalled comes
        self._next = 0  # the sample that is due next
        self._due_ns: list[int] = []  # of samples from `_first` on
        self._words: list[bytes] = []
        self._first = 0

    # --- playing ---

    def begin(self, now_ns: int) -> int:
        """Begin with the first word that is due from now on; when it is."""
        self._next = self._riometer.first_at(now_ns - WORD_NS)
        self._make_block()
        return self._due_ns[0]

    def play(self, now_ns: int) -> int:
        """Do what is due by now, one word at most; when to do the next."""
        at = self._next - self._first
        due_ns = self._due_ns[at]
        if now_ns < due_ns:
            self._hear(now_ns)
            return self._soonest(due_ns)
        if self._is_up:
            self.words += 1
            self._note_lateness(now_ns - due_ns)
            if self._is_well and self._unread + WORD_BYTES <= RECEIVER_BYTES:
                self._put(self._words[at])
            else:
                self._line.unread = self._unread
                self._line.send(due_ns - WORD_NS, WORD_BYTES * self._next, self._words[at])
                self._hear(now_ns)
        self._next += 1
        if at + 1 == len(self._words):
            self._make_block()
            at = -1
        return self._soonest(self._due_ns[at + 1])

    def _note_lateness(self, late_ns: int) -> None:
        """Count it; of a stretch of words that are much too late, say the first."""
        self.late.add(late_ns // 1000)
        is_late = late_ns > LATE_NS
        if is_late and not self._was_late:
            self._tell(self.site, "late", {"ms": late_ns // 1_000_000})
        self._was_late = is_late

    def look(self) -> None:
        """Look at the ports: what was not read, and how the system has set its own."""
        if not self._port.is_open:
            return
        try:
            self._port.drain()
            unread = self._port.unread()
            self._unread = unread if unread < _FULL else max(unread, self._unread)
            if self._is_up and self._port.is_watched:
                self._look_at_settings()
        except PortGone as error:
            self._lose_port(error)

    def _soonest(self, due_ns: int) -> int:
        return due_ns if self._backlog_ns is None else min(due_ns, self._backlog_ns)

    def _hear(self, now_ns: int) -> None:
        """Pass on what came through the model."""
        heard = self._line.advance(now_ns)
        if heard and self._heard_baud != FRAMING.baud:
            heard = misread(heard, FRAMING.baud, self._heard_baud)
        if heard:
            self._put(heard)
        self._backlog_ns = self._line.due_ns()
        self._say()
        self._judge()

    def _put(self, data: bytes) -> None:
        """Write to the port. What it does not take is lost, and said."""
        try:
            taken = self._port.write(data)
        except PortGone as error:
            self._lose_port(error)
            taken = 0
        self._unread += taken
        if taken < len(data):
            what = "line overrun" if self._port.is_open else "line dropped"
            end = WORD_BYTES * (self._next + 1)
            for place in range(end - len(data) + taken, end):
                self._line.lose(what, "port", place)
            self._is_well = False

    def _make_block(self) -> None:
        first, last = self._next, self._next + _BLOCK
        samples = np.arange(first, last, dtype=np.int64)
        self._first = first
        self._due_ns = (self._riometer.instants_ns(samples) + WORD_NS).tolist()
        data = encode(self._riometer.codes(first, last))
        self._words = [data[a:b] for a, b in pairwise(range(0, len(data) + 1, WORD_BYTES))]

    # --- the host ---

    def host_up(self) -> None:
        """Somebody opens the port."""
        self._port.forget_unread()
        self._unread = 0
        self._is_up = True

    def host_down(self) -> None:
        """Nobody has the port open any more."""
        self._is_up = False
        self._line.begin_anew()
        self._backlog_ns = None
        self._say()
        self._port.forget_unread()
        self._unread = 0

    # --- faults ---

    def hurt(self, now_ns: int, hurt: Hurt) -> None:
        """A fault strikes. Raises ValueError where it cannot."""
        if hurt.kind in SPOILING:
            self._spoil(hurt)
        else:
            self._line.hurt(now_ns, hurt)
        if hurt.kind == "unplug":
            self._port.close()
            self._unread = 0
        self._say()
        self._judge()

    def heal(self, now_ns: int, kind: str, fault: int) -> None:
        """A fault ends; one that is over is no error."""
        if kind in SPOILING:
            self._unspoil(kind, fault)
        else:
            self._line.heal(now_ns, fault)
        self._backlog_ns = self._line.due_ns()
        self._say()
        self._judge()

    def reopen(self) -> None:
        """The port is there again. Raises OSError where it is not."""
        self._port.open()
        self._unread = 0
        self._judge()

    def _spoil(self, hurt: Hurt) -> None:
        try:
            self._port.spoil(hurt.kind)
        except PortGone as error:
            raise ValueError(f"The port of {self.site} is gone: {error}.") from None
        self._spoilt = hurt
        self._spoilt_fired[hurt.fault] = 1
        self._tell(self.site, SPOILING[hurt.kind][0], {"fault": hurt.fault})

    def _unspoil(self, kind: str, fault: int) -> None:
        self._spoilt = None
        self._port.restore()
        self._tell(self.site, SPOILING[kind][1], {"fault": fault})

    def _look_at_settings(self) -> None:
        settings = self._port.settings()
        if self._spoilt is not None and not is_spoilt(settings):
            self._tell(self.site, "line set raw", {"fault": self._spoilt.fault, "who": "system"})
            self._spoilt = None
        baud = baud_of(settings)
        if baud is None or baud == self._heard_baud:
            return
        self._heard_baud = baud
        agrees = baud == FRAMING.baud
        what = "line baud agrees" if agrees else "line baud mismatch"
        self._tell(self.site, what, {"asked": baud, "sent": FRAMING.baud})
        self._judge()

    def _lose_port(self, error: PortGone) -> None:
        self._tell(self.site, "line port gone", {"reason": str(error)})
        self._judge()

    def _judge(self) -> None:
        """Whether words may again go straight to the port."""
        agrees = self._heard_baud == FRAMING.baud
        self._is_well = self._line.clean and self._port.is_open and agrees

    def _say(self) -> None:
        for what, detail in self._line.take_facts():
            self._tell(self.site, what, with_samples(detail))

    # --- figures ---

    @property
    def is_plugged(self) -> bool:
        """Whether there is a port to write to."""
        return self._port.is_open

    @property
    def last_sample(self) -> int:
        """The last sample whose time came; -1 before the first."""
        return self._next - 1

    def fired(self) -> dict[int, int]:
        """How often each fault of this line acted."""
        return {**self._spoilt_fired, **self._line.all_fired()}

    def end(self) -> LineRow:
        """The line ends; what it achieved."""
        for what, detail in self._line.finish():
            self._tell(self.site, what, with_samples(detail))
        self._port.close()
        self.late.fold()
        return LineRow(
            self.site,
            self.words,
            self.late.percentile_ms(50),
            self.late.percentile_ms(99),
            self.late.max_ms,
            self._line.overrun_bytes,
            self._port.system_end,
        )
