"""Clocks: the world's true time, true UTC, and what a host believes UTC to be.

True time is integer nanoseconds since the world began; it never steps, and it is every host's
monotonic clock. True UTC is Unix time, which cannot say 23:59:60: as a Linux kernel does, it goes
through 23:59:59 twice when a leap second is inserted. A host's UTC is true UTC plus an offset that
is linear between the faults that change it.
"""

import calendar
import datetime
from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from fieldproof_contract import SECOND_NS

LEAP_DATES = ((2005, 12, 31), (2008, 12, 31), (2012, 6, 30), (2015, 6, 30), (2016, 12, 31))
"""Days that ended with 23:59:60 (IERS Bulletin C) since the riometers of 2005."""


class TrueUtc:
    """True UTC as a function of true time, leap seconds included."""

    def __init__(self, begins_utc_ns: int) -> None:
        """`begins_utc_ns`: Unix time of true time 0, nanoseconds."""
        self.begins_utc_ns = begins_utc_ns
        ahead = [
            (calendar.timegm((*date, 0, 0, 0)) + 86400) * SECOND_NS - begins_utc_ns
            for date in LEAP_DATES
        ]
        coming = [true_ns for true_ns in ahead if true_ns > 0]
        self.leaps_ns = tuple(true_ns + index * SECOND_NS for index, true_ns in enumerate(coming))
        """True times at which an inserted second begins."""

    def at(self, true_ns: int) -> int:
        """Unix time, ns."""
        return self.begins_utc_ns + true_ns - bisect_right(self.leaps_ns, true_ns) * SECOND_NS

    def when(self, utc_ns: int) -> int:
        """The first true time at which Unix time is `utc_ns`."""
        true_ns = utc_ns - self.begins_utc_ns
        for leap_ns in self.leaps_ns:
            if true_ns >= leap_ns:
                true_ns += SECOND_NS
        return true_ns


class Offset(NamedTuple):
    """From `true_ns` on, host UTC is true UTC plus `offset_ns`, changing by `drift_ppb`."""

    true_ns: int
    offset_ns: int
    drift_ppb: int


class HostClock:
    """What one host believes UTC to be. Disciplined by GPS (offset 0) until a fault says else."""

    def __init__(self, utc: TrueUtc) -> None:
        self._utc = utc
        self.history: list[Offset] = [Offset(0, 0, 0)]

    def offset_ns(self, true_ns: int) -> int:
        """Host UTC minus true UTC at `true_ns`, which may not lie before the last change."""
        since = self.history[-1]
        return since.offset_ns + (true_ns - since.true_ns) * since.drift_ppb // SECOND_NS

    def utc_ns(self, true_ns: int) -> int:
        """The host's Unix time, ns."""
        since = self.history[-1]
        offset_ns = since.offset_ns
        if since.drift_ppb:
            offset_ns = self.offset_ns(true_ns)
        return self._utc.at(true_ns) + offset_ns

    def shown(self, from_ns: int, until_ns: int) -> Iterator[tuple[int, int]]:
        """The stretches [first, last) of host UTC, ns, that true times [from_ns, until_ns) show."""
        starts_ns = [*self._utc.leaps_ns, *(change.true_ns for change in self.history[1:])]
        breaks_ns = sorted(true_ns for true_ns in starts_ns if from_ns < true_ns < until_ns)
        for first_ns, next_ns in pairwise((from_ns, *breaks_ns, until_ns)):
            if first_ns < next_ns:
                yield self._showed(first_ns), self._showed(next_ns - 1) + 1

    def _showed(self, true_ns: int) -> int:
        """The host's Unix time at any time of its life, ns."""
        since = self.history[bisect_right(self.history, true_ns, key=lambda was: was.true_ns) - 1]
        drifted_ns = (true_ns - since.true_ns) * since.drift_ppb // SECOND_NS
        return self._utc.at(true_ns) + since.offset_ns + drifted_ns

    def step(self, true_ns: int, by_ns: int) -> None:
        """The clock jumps; its rate stays."""
        drift_ppb = self.history[-1].drift_ppb
        self.history.append(Offset(true_ns, self.offset_ns(true_ns) + by_ns, drift_ppb))

    def drift(self, true_ns: int, ppb: int) -> None:
        """The clock is on its own and drifts from here on."""
        self.history.append(Offset(true_ns, self.offset_ns(true_ns), ppb))

    def discipline(self, true_ns: int) -> int:
        """GPS is back: the clock steps to true UTC. Returns the step, ns."""
        step_ns = -self.offset_ns(true_ns)
        self.history.append(Offset(true_ns, 0, 0))
        return step_ns


def iso(utc_ns: int) -> str:
    """`2006-01-17T16:24:06.421153Z`: microseconds, cut."""
    seconds, rest_ns = divmod(utc_ns, SECOND_NS)
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest_ns // 1000:06d}Z"
