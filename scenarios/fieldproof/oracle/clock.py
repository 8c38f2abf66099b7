"""What a host believed UTC to be, as the world recorded it, and the way back to true time.

A host's UTC is `begins + true time - leap seconds passed + offset`, made of straight *pieces*: a
new one starts where its offset or rate was changed and where a leap second begins (UTC then goes
through one second twice). Each piece may be asked beyond its ends: a record that was begun under
one piece keeps its labels when the next one starts.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SECOND_NS = 1_000_000_000
Integers = NDArray[np.int64]


class Piece(NamedTuple):
    """From true time `from_ns` on, UTC is `utc_ns` and runs `drift_ppb` fast."""

    from_ns: int
    utc_ns: int
    drift_ppb: int

    def utc_at(self, true_ns: int) -> int:
        """Unix time at a true time, ns."""
        elapsed_ns = true_ns - self.from_ns
        return self.utc_ns + elapsed_ns + elapsed_ns * self.drift_ppb // SECOND_NS


class Clock:
    """See the head of this file.

    `offsets` are (true ns, host UTC - true UTC in ns, drift in ppb), from true time 0 on; without
    any, this is true UTC. `ends_ns` is the true time at which the world ended."""

    def __init__(
        self,
        begins_utc_ns: int,
        leaps_ns: Sequence[int],
        ends_ns: int,
        offsets: Sequence[tuple[int, int, int]] = ((0, 0, 0),),
    ) -> None:
        leaps = sorted(leaps_ns)
        changes = sorted(offsets, key=lambda change: change[0])
        pieces = []
        starts = {change[0] for change in changes} | {leap for leap in leaps if leap < ends_ns}
        for from_ns in sorted(starts):
            since_ns, offset_ns, drift_ppb = changes[
                max(0, bisect_right(changes, from_ns, key=lambda change: change[0]) - 1)
            ]
            offset_ns += (from_ns - since_ns) * drift_ppb // SECOND_NS
            utc_ns = begins_utc_ns + from_ns - bisect_right(leaps, from_ns) * SECOND_NS + offset_ns
            pieces.append(Piece(from_ns, utc_ns, drift_ppb))
        self.pieces = tuple(pieces)
        self.ends_ns = (*(piece.from_ns for piece in pieces[1:]), ends_ns)
        """True time at which each piece ends."""
        self._columns = np.array(pieces, dtype=np.int64).T

    def utc_at(self, true_ns: int) -> int:
        """The host's Unix time at a true time, ns."""
        at = bisect_right(self.pieces, true_ns, key=lambda piece: piece.from_ns)
        return self.pieces[max(0, at - 1)].utc_at(true_ns)

    def instants_of(self, utc_ns: int) -> tuple[int, ...]:
        """Every true time at which the host's UTC was `utc_ns`: none, one or several."""
        utc = np.array([utc_ns])
        found = [int(self.instants_by(utc, np.array([n]))[0]) for n in range(len(self.pieces))]
        return tuple(
            true_ns
            for true_ns, piece, end_ns in zip(found, self.pieces, self.ends_ns, strict=True)
            if piece.from_ns <= true_ns < end_ns
        )

    def instants_by(self, utc_ns: Integers, rows: Integers) -> Integers:
        """True times at which pieces `rows`, made endless, show `utc_ns`."""
        from_ns, piece_utc_ns, drift_ppb = self._columns[:, rows]
        elapsed_ns = utc_ns - piece_utc_ns
        # Float products are exact enough (microseconds in a month) where integers would overflow.
        excess_ns = np.rint(elapsed_ns * (drift_ppb / (SECOND_NS + drift_ppb))).astype(np.int64)
        true_ns: Integers = from_ns + elapsed_ns - excess_ns
        return true_ns

    def rows_at(self, true_ns: Integers) -> Integers:
        """Which piece is in force at each true time."""
        rows: Integers = np.searchsorted(self._columns[0], true_ns, side="right") - 1
        return rows.clip(min=0)

    def utc_ranges(self, from_ns: int, until_ns: int) -> tuple[tuple[int, int], ...]:
        """The stretches [from, until) of host UTC, ns, that true times [from_ns, until_ns) show."""
        ranges = []
        for piece, end_ns in zip(self.pieces, self.ends_ns, strict=True):
            first_ns, last_ns = max(from_ns, piece.from_ns), min(until_ns, end_ns)
            if first_ns < last_ns:
                ranges.append((piece.utc_at(first_ns), piece.utc_at(last_ns)))
        return tuple(ranges)
