"""The reference with one thing wrong, or none, as a command: an edge or a center.

    python tests/live/planted_live.py NAME      a patch of this file, or `sound`

A patch is a subclass of a class of the reference, which is put in the place of that class wherever
the reference speaks of it. `defects_live.py` says in which world, and to which claim, it falls.
"""

import os
import signal
import sys
import termios
import time
from functools import partial

from fieldproof_contract import (
    SECOND_NS,
    Append,
    Failed,
    LineData,
    LineDown,
    Monotonic,
    Now,
    Publish,
)
from fieldproof_reference import __main__ as programs
from fieldproof_reference import hosts
from fieldproof_reference.edge import LOST, Lost
from fieldproof_reference.edge.acquire import Acquire
from fieldproof_reference.edge.filing import Filing
from fieldproof_reference.edge.lives import Lives
from fieldproof_reference.edge.transmit import Transmit
from fieldproof_reference.formats import xrio
from fieldproof_reference.live.clock import FileClock
from fieldproof_reference.live.disk import Disk
from fieldproof_reference.live.lines import Line
from fieldproof_reference.live.loop import READ, Loop
from fieldproof_reference.live.ports import Ports
from fieldproof_reference.live.process import _Process

SOUND = "sound"
PROGRAMS = {"edge": programs.edge, "center": programs.center}


class OneWordAPoll(Line):
    """The port is polled fifty times a second, and a poll takes one word: the rest waits."""

    def _read(self):
        self._loop.unwatch(self._fd)
        self._later(SECOND_NS // 50, partial(self._loop.watch, self._fd, READ, self._read))
        self._tell(LineData(self._name, os.read(self._fd, 2)), self._clock.now())


class ReturnsBecomeNewlines(Line):
    """The port is opened as a terminal is: a byte like a carriage return becomes a newline."""

    def _set(self):
        self._asked[0] |= termios.ICRNL
        super()._set()


class LeavesThePortCooked(Line):
    """Nobody looks whether the port is still set as it was when it was opened."""

    def _restore(self):
        return False


class TriesAgainLate(Line):
    """A port that is gone is tried again after half a minute."""

    def _down(self, reason):
        self._wait_ns = 30 * SECOND_NS
        super()._down(reason)


class DiesWithThePort(Line):
    """An error of the serial port ends the process."""

    def _down(self, reason):
        sys.exit(f"{self._path}: {reason}")


class UnplugEndsTheRecord(Acquire):
    """When the line goes down the open record is thrown away, since it would have a hole."""

    def receive(self, event, now):
        if isinstance(event, LineDown):
            self._points.clear()
            self._clear_second()
            self._second_ends_ns, self._silent = None, now
        return super().receive(event, now)


class TimeFromTheLastRecord(Acquire):
    """A start carries the time on from the last record filed, as if there had been no pause."""

    def start(self, disk, now):
        ends_s = [xrio.timestamp_s(disk.read(path)[-380:]) + 60 for path in disk.listing("rio")]
        self._off_s = ends_s[-1] - now.utc_ns // SECOND_NS if ends_s else 0
        return super().start(disk, now)

    def _latch(self, label_s, monotonic_ns, utc_ns):
        super()._latch(label_s, monotonic_ns, utc_ns)
        self._label_s += self._off_s


class DeclaresEverything(Acquire):
    """Each record is declared lost when it is made, to be on the safe side."""

    def _close_second(self, *times):
        made = super()._close_second(*times)
        stamps_s = [xrio.timestamp_s(effect.message) for effect in made]
        return made + tuple(Publish(LOST, Lost(at_s, at_s + 60, "dropped")) for at_s in stamps_s)


class SaysNothingOfLosses(Lives):
    """A start does not say what was lost before it."""

    def _declare_until(self, second, why):
        pass


class DropsWhatTheDiskRefused(Filing):
    """A record that the disk did not take is forgotten."""

    def receive(self, event, now):
        if isinstance(event, Failed) and isinstance(event.effect, Append):
            self._in_flight = None
            return ()
        return super().receive(event, now)


class SendsTwice(Transmit):
    """Each record is sent twice, since a link may lose one."""

    def advance(self, now):
        return super().advance(now) * 2


class ClockOfTheMachine(FileClock):
    """The time is the machine's, moved by what was right when the run began."""

    def now(self):
        offset_ns = round(float(os.environ["FIELDPROOF_UTC_OFFSET_S"]) * SECOND_NS)
        return Now(Monotonic(time.monotonic_ns()), time.time_ns() + offset_ns)


class EndsAsAFailure(_Process):
    """An end in good order has the exit status of a failure."""

    def _end(self):
        super()._end()
        return 1


class DeafToTheEnd(_Process):
    """The process does not hear that it is to end."""

    def _watch_signals(self, stack):
        super()._watch_signals(stack)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


class LooksEveryTenSeconds(Ports):
    """A datagram waits up to ten seconds in its socket, and is taken to come when it is read."""

    def _read(self, port, bound):
        self._loop.unwatch(bound.fileno())
        self._loop.call_in(10 * SECOND_NS, partial(super()._read, port, bound))
        again = partial(self._loop.watch, bound.fileno(), READ, partial(self._read, port, bound))
        self._loop.call_in(10 * SECOND_NS, again)


class OpensForWriting(Disk):
    """A start opens the raw files for writing, which empties them."""

    def __init__(self, tree):
        super().__init__(tree)
        for path in self.listing("udp/"):
            self.truncate(path, 0)


class SleepsUntilSpokenTo(Loop):
    """The process waits for descriptors alone: what is due is done when something comes."""

    def turn(self, until_ns):
        super().turn(None)


def plant(patch: type) -> None:
    """Put a subclass in the place of its class, everywhere in the reference."""
    (place,) = patch.__bases__
    for name, module in list(sys.modules.items()):
        if name.startswith("fieldproof_reference"):
            for key, value in list(vars(module).items()):
                if value is place:
                    setattr(module, key, patch)
    for table in (hosts.EDGE, hosts.STATUS, hosts.CENTER):
        for key, (make, hears) in table.items():
            if make is place:
                table[key] = (patch, hears)


def main() -> int:
    """Plant what the command line names, and be what the environment says."""
    hosts.EDGE.pop("serve")  # the harness serves the archive of an edge that comes by the door
    if sys.argv[1] != SOUND:
        plant(globals()[sys.argv[1]])
    return PROGRAMS[os.environ["FIELDPROOF_ROLE"]]([])


if __name__ == "__main__":
    sys.exit(main())
