"""When a stream's datagrams were due, and which of these moments nobody came to.

A station sends one datagram a minute, not at the beginning of the minute but at a phase of its own,
with a jitter of half a second (its watcher polls). So what is due is told by the arrivals:

1. The next is due a minute after the last that came on time. Between two that did, every whole
   minute is a moment at which one was due and did not come.
2. One that comes within a quarter of a minute of a due moment is on time. One that comes elsewhere
   while the next keeps to the old phase is one too many: it fills the nearest moment before it at
   which nobody came (it is late); where there is none, nobody missed it (it is spare). If the next
   keeps to the new phase, the phase has moved: the station began anew.
3. Before the first and after the last arrival datagrams are due at the same phase, up to the ends
   of the time that is asked about, less `EDGE_NS`: jitter at its ends is no loss.

Other streams have another cadence in the place of a minute: `cadence_ns`.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from fieldproof_contract import SECOND_NS

CADENCE_NS = 60 * SECOND_NS
EDGE_NS = SECOND_NS
LATE_NS = 3600 * SECOND_NS
"""Our assumption: what is later than that, and may be a duplicate, is one."""

ANY_TIME_NS = 1 << 62


class Rhythm(NamedTuple):
    """What the arrivals of a stream tell."""

    missed_ns: list[int]  # due moments to which nobody came, in order
    spare_ns: list[int]  # arrivals that stand for no due moment, in order


def cadence_ns(came_ns: Sequence[int]) -> int:
    """The cadence of a stream, to the second: the median of two intervals in a row, because a
    watcher that polls makes long and short ones by turns. A minute where too few came to tell."""
    pairs = sorted(after - before for before, after in zip(came_ns, came_ns[2:], strict=False))
    if not pairs:
        return CADENCE_NS
    seconds = (pairs[len(pairs) // 2] // 2 + SECOND_NS // 2) // SECOND_NS
    return max(1, seconds) * SECOND_NS


def rhythm(
    came_ns: Sequence[int],
    from_ns: int,
    until_ns: int,
    *,
    late_ns: int = LATE_NS,
    cadence_ns: int = CADENCE_NS,
) -> Rhythm:
    """Of arrivals in [from, until), in order. A stream of which nothing came had its datagrams due
    from the beginning on. `late_ns`: how far back a late one may fill a gap, which is no matter
    where it is known that none is a duplicate (`ANY_TIME_NS`)."""
    if not came_ns:
        return Rhythm(list(range(from_ns, until_ns - cadence_ns + 1, cadence_ns)), [])
    first = came_ns[0]
    early = range(first - cadence_ns, from_ns + EDGE_NS, -cadence_ns)
    walk = _Walk(first, list(reversed(early)), late_ns, cadence_ns)
    for number, when in enumerate(came_ns[1:], 2):
        walk.step(when, came_ns[number] if number < len(came_ns) else None)
    walk.settle(())
    walk.missed += range(walk.anchor + cadence_ns, until_ns - EDGE_NS, cadence_ns)
    return Rhythm(walk.missed, sorted(walk.spare))


class _Walk:
    """Goes along the arrivals; `anchor` is the last that was on time."""

    def __init__(self, anchor: int, missed: list[int], late_ns: int, cadence_ns: int) -> None:
        self.anchor = anchor
        self.missed = missed
        self.spare: list[int] = []
        self._late_ns = late_ns
        self._cadence_ns = cadence_ns
        self._off_ns = cadence_ns // 4
        self._extra: list[int] = []  # since the anchor

    def step(self, when: int, following: int | None) -> None:
        """The next arrival, and the one after it."""
        since = when - self.anchor
        steps = (since + self._cadence_ns // 2) // self._cadence_ns
        strays = abs(since - steps * self._cadence_ns) > self._off_ns
        if steps == 0 or (strays and following is not None and self._keeps(when, following)):
            self._extra.append(when)
            return
        pace = since // steps
        self.settle([self.anchor + number * pace for number in range(1, steps)])
        self.anchor = when

    def settle(self, due: Sequence[int]) -> None:
        """Nobody came on time to these: those who came at other times may stand for them."""
        self.missed += due
        for when in self._extra:
            before = bisect_right(self.missed, when) - 1
            if before >= 0 and when - self.missed[before] <= self._late_ns:
                self.missed.pop(before)
            else:
                self.spare.append(when)
        self._extra.clear()

    def _keeps(self, when: int, following: int) -> bool:
        """Whether the following arrival keeps to the old phase, and not to that of `when`."""
        return self._is_on(following - self.anchor) and not self._is_on(following - when)

    def _is_on(self, span_ns: int) -> bool:
        """Whether a time is a number of whole steps, near enough."""
        half = self._cadence_ns // 2
        return abs((span_ns + half) % self._cadence_ns - half) <= self._off_ns
