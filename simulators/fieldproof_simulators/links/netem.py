"""One direction of a link: what becomes of a frame, decision for decision as Linux netem does it.

One generator per direction, seeded once. For one frame, in this order, a feature draws only when
it is configured:

    step         draws   rule
    duplicate    1       two copies when the threshold >= draw; a clone is never cloned again
    loss         1 or 2  one copy less (so duplicate and loss together leave one clean original)
    nothing left 0       dropped: "loss"
    corrupt      1       the original only: the clone was made before
    limit        0       with `limit_frames` held, both copies are dropped: "limit"
    clone        as it   goes through loss, corrupt, limit, reorder and delay before its original
    reorder      0 or 1  after gap - 1 frames in order: ahead of all others, due at once
    delay        0 or 1  otherwise: latency and jitter, then the rate

Held are the frames that are not due yet, so the limit caps rate times delay as well. With a rate,
a frame starts when the one before it has left: jitter never reorders and delay overlaps queueing.
Without one, jitter does reorder. So one seed loses the same frames here, in a live emulator and in
the kernel; recordings of a 6.12 kernel are the tests' vectors.

Not modelled, because the kernel's own choice has no seed or no use here: the position of the
corrupted bit, `slot`, `ecn`, and every correlation.
"""

from heapq import heappop, heappush
from typing import NamedTuple

from fieldproof_contract import SECOND_NS
from fieldproof_simulators.links.delays import delay_source
from fieldproof_simulators.links.impairments import Impairments
from fieldproof_simulators.links.losses import (
    FourState,
    GilbertElliott,
    RandomLoss,
    loss_source,
    threshold,
)
from fieldproof_simulators.links.tausworthe import Tausworthe

__all__ = [
    "Copy",
    "FourState",
    "GilbertElliott",
    "Impairments",
    "LinkModel",
    "Passage",
    "RandomLoss",
]


class Copy(NamedTuple):
    """One arrival of a frame."""

    due_ns: int
    corrupted: bool = False  # one bit differs, which no UDP, TCP or IP checksum lets through
    early: bool = False  # reordered: it skipped the delay
    clone: bool = False  # the duplicate, not the original


class Passage(NamedTuple):
    """What became of one frame: its copies in queue order, or why there are none.

    A driver delivers by due time, and copies due together in the order in which they were sent.
    """

    copies: tuple[Copy, ...]
    dropped: str | None = None  # "loss" or "limit"


_LOST = Passage((), "loss")
_OVER_LIMIT = Passage((), "limit")


class LinkModel:
    """The state of one direction. `seed` is netem's own, 64 bits: derive it by hashing."""

    def __init__(self, impairments: Impairments, seed: int) -> None:
        self._generator = Tausworthe(seed)
        self._draw = draw = self._generator.draw
        self._duplicate = threshold(impairments.duplicate_percent)
        self._corrupt = threshold(impairments.corrupt_percent)
        self._reorder = threshold(impairments.reorder_percent)
        self._gap = impairments.reorder_gap
        self._in_order = 0
        self._loses = loss_source(impairments.loss, draw)
        self._delay_ns = delay_source(
            impairments.delay_ns, impairments.jitter_ns, impairments.distribution, draw
        )
        self._impairments = impairments
        self._now_ns = 0
        self._held_ns: list[int] = []  # a heap of due times
        self._last_due_ns = 0  # the latest in the heap

    @property
    def draws(self) -> int:
        """How many values the generator has given."""
        return self._generator.draws

    @property
    def state(self) -> tuple[int, int, int, int]:
        """The generator's words, for the end-state report of a run."""
        return self._generator.state

    def send(self, now_ns: int, length: int) -> Passage:
        """Hands over a frame of `length` bytes at `now_ns`, which never decreases (ValueError)."""
        if now_ns < self._now_ns:
            raise ValueError(
                f"A link was given a frame at {now_ns} ns after one at {self._now_ns} ns: "
                "send in order of time."
            )
        self._now_ns = now_ns
        held_ns = self._held_ns
        while held_ns and held_ns[0] <= now_ns:
            heappop(held_ns)
        return self._pass(now_ns, length, False)

    def _pass(self, now_ns: int, length: int, clone: bool) -> Passage:
        copies = 1
        if self._duplicate and not clone and self._duplicate >= self._draw():
            copies = 2
        if self._loses is not None and self._loses():
            copies -= 1
        if not copies:
            return _LOST
        corrupted = self._corrupt > 0 and self._corrupt >= self._draw()
        if len(self._held_ns) >= self._impairments.limit_frames:
            return _OVER_LIMIT
        clones = self._pass(now_ns, length, True).copies if copies == 2 else ()
        due_ns, early = self._schedule(now_ns, length)
        if not self._held_ns or due_ns > self._last_due_ns:
            self._last_due_ns = due_ns
        heappush(self._held_ns, due_ns)
        return Passage((*clones, Copy(max(now_ns, due_ns), corrupted, early, clone)))

    def _schedule(self, now_ns: int, length: int) -> tuple[int, bool]:
        """When a frame is due, maybe before `now_ns`, and whether it overtakes the others."""
        if self._reorder and self._in_order >= self._gap - 1 and self._reorder >= self._draw():
            self._in_order = 0
            return now_ns, True
        self._in_order += 1
        due_ns = now_ns + self._delay_ns()
        if self._impairments.rate_bit_s:
            if self._held_ns:
                due_ns = max(due_ns, self._last_due_ns)
            due_ns += self._serialisation_ns(length)
        return due_ns, False

    def _serialisation_ns(self, length: int) -> int:
        link = self._impairments
        length += link.overhead_bytes
        if link.cell_bytes:
            cells = -(-length // link.cell_bytes)
            length = cells * (link.cell_bytes + link.cell_overhead_bytes)
        return length * SECOND_NS // (link.rate_bit_s // 8)
