"""A host as a process: everything put together, until somebody says that it is enough.

    SIGTERM, SIGINT   the end in good order: `Stop` for every node, what they then want is done and
                      synced, exit 0, within `ENDING_NS` even if the disk does not answer
    SIGHUP            log files and serial lines are opened anew, the folder is looked at again

Once a minute a person is told how things stand. Where no node is left there is nothing to go on
for: exit 1. Serial lines are opened before the nodes start, so that all that they bring after a
start is heard.
"""

import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType

from fieldproof_contract import SECOND_NS
from fieldproof_reference.config import Common
from fieldproof_reference.hosts import Part
from fieldproof_reference.live.clock import Clock, FileClock, SystemClock
from fieldproof_reference.live.disk import Disk
from fieldproof_reference.live.driver import Driver
from fieldproof_reference.live.engines import Engines
from fieldproof_reference.live.events import EventLog
from fieldproof_reference.live.hands import Hands
from fieldproof_reference.live.humanlog import HumanLog, pairs_text
from fieldproof_reference.live.lines import Line
from fieldproof_reference.live.loop import READ, Loop
from fieldproof_reference.live.ports import Ports
from fieldproof_reference.live.streams import Streams
from fieldproof_reference.live.syncer import Syncer
from fieldproof_reference.live.tree import Tree
from fieldproof_reference.live.view import View

ENDED, ALL_DIED = 0, 1
"""Exit codes."""

ENDING_NS = 3 * SECOND_NS // 2
STATUS_NS = 60 * SECOND_NS


class Unavailable(Exception):
    """Something of the machine is missing: one sentence."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a process is to be."""

    name: str  # of the host, in the event log
    parts: tuple[Part, ...]
    common: Common  # the root of the host's disk, its clock and its logs
    address: str = ""  # its own; empty for all IPv4 addresses of the machine
    lines: Mapping[str, Path] = field(default_factory=dict)  # serial ports, by line
    sources: tuple[int, ...] = ()  # UDP ports from which nodes send, taken at the start
    only_looks: bool = False  # another program writes the archive


def run(plan: Plan) -> int:
    """Be that process, until it ends; the exit code. Raises Unavailable."""
    with ExitStack() as stack:
        return _Process(plan, stack).run()


class _Process:
    """Owns all that is opened; `stack` closes it."""

    def __init__(self, plan: Plan, stack: ExitStack) -> None:
        self._plan = plan
        self._loop = Loop()
        stack.callback(self._loop.close)
        self._asked: list[int] = []  # signals that came
        self._watch_signals(stack)  # before anything is there to be ended
        common = plan.common
        self._clock = _clock(common, stack)
        with _missing(f"the log {common.log}"):
            self._log = HumanLog(self._clock, common.log)
        stack.callback(self._log.close)
        with _missing(f"the event log {common.events}"):
            self._events = EventLog(common.events)
        stack.callback(self._events.close)
        disk = _disk(common.archive, plan.only_looks, stack)
        self._syncer = Syncer()
        stack.callback(self._syncer.close)
        self._loop.watch(self._syncer.fd, READ, self._syncer.answer)
        self._driver = Driver(plan.name, plan.parts, self._clock, self._events, self._log)
        self._hands = self._equip(disk, stack)
        self._lines = {name: self._line(name, path) for name, path in plan.lines.items()}
        for line in self._lines.values():
            stack.callback(line.close)

    def run(self) -> int:
        """The life of the process; the exit code."""
        archive = self._plan.common.archive
        self._log.say(f"{self._plan.name} begins: process {os.getpid()}, folder {archive}.")
        for line in self._lines.values():
            line.open()
        self._driver.boot()
        self._loop.call_in(STATUS_NS, self._tell_status)
        while self._driver.is_alive:
            self._loop.turn(self._driver.due_ns())
            self._driver.advance()
            if signal.SIGHUP in self._asked:
                self._reopen()
            if self._asked:
                return self._end()
        self._log.say(f"{self._plan.name} ends: no node is left.")
        return ALL_DIED

    # --- putting it together ---

    def _equip(self, disk: Disk | View, stack: ExitStack) -> Hands:
        address = self._plan.address
        heard = self._driver.hears_datagram
        ports = Ports(self._loop, address, heard, self._log.say, self._note_of_ports)
        stack.callback(ports.close)
        streams = Streams(self._loop, address)
        stack.callback(streams.close_all)
        engines = Engines(self._loop, disk, address)
        stack.callback(engines.close)
        hands = Hands(disk, self._syncer, ports, streams, engines)
        with _missing("its ports"):
            self._driver.equip(hands)
            for port in self._plan.sources:
                ports.bind(port, hears=False)
        return hands

    def _note_of_ports(self, what: str, detail: Mapping[str, str | int]) -> None:
        """A fact of the event log, with the time by which a loss report puts it down."""
        utc_s = self._clock.now().utc_ns // SECOND_NS
        self._events.fact(self._plan.name, what, {**detail, "utc_s": utc_s})

    def _line(self, name: str, path: Path) -> Line:
        tell = partial(self._driver.hears_line, name)
        return Line(self._loop, self._clock, name, path, tell, self._log.say)

    def _watch_signals(self, stack: ExitStack) -> None:
        woken = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        stack.callback(os.close, woken)

        def note(number: int, frame: FrameType | None) -> None:
            self._asked.append(number)
            os.eventfd_write(woken, 1)

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            stack.callback(signal.signal, number, signal.signal(number, note))
        stack.callback(signal.signal, signal.SIGPIPE, signal.signal(signal.SIGPIPE, signal.SIG_IGN))

        def wake() -> None:
            os.eventfd_read(woken)

        self._loop.watch(woken, READ, wake)

    # --- what people ask for ---

    def _reopen(self) -> None:
        self._asked = [number for number in self._asked if number != signal.SIGHUP]
        for what, reopen in (("log", self._log.reopen), ("event log", self._events.reopen)):
            try:
                reopen()
            except OSError as error:
                self._log.say(f"the {what} could not be opened again: {error.strerror}.")
        if isinstance(self._hands.disk, Disk):
            self._hands.disk.rescan()
        for line in self._lines.values():
            line.reopen()
        self._log.say("log files and serial lines were opened again.")

    def _tell_status(self) -> None:
        self._loop.call_in(STATUS_NS, self._tell_status)
        said = [
            f"line {name} {line.state}, {line.bytes_heard} bytes"
            for name, line in self._lines.items()
        ]
        said += [f"{name}: {pairs_text(figures)}" for name, figures in self._driver.figures()]
        said += [f"{self._events.lost} events lost"] if self._events.lost else []
        self._log.say(f"status: {'; '.join(said)}.")

    def _end(self) -> int:
        for line in self._lines.values():
            line.close()
        self._driver.stop()
        until_ns = time.monotonic_ns() + ENDING_NS
        while not self._hands.idle and time.monotonic_ns() < until_ns:
            self._loop.turn(until_ns)
        left = "" if self._hands.idle else ", and the disk or a connection did not take all"
        self._log.say(f"{self._plan.name} ends in good order{left}.")
        return ENDED


def _clock(common: Common, stack: ExitStack) -> Clock:
    if common.clock is None:
        return SystemClock(common.utc_offset_ns)
    with _missing(f"the clock file {common.clock}"):
        try:
            clock = FileClock(common.clock)
        except ValueError as error:
            raise Unavailable(str(error)) from error
    stack.callback(clock.close)
    return clock


def _disk(archive: Path, only_looks: bool, stack: ExitStack) -> Disk | View:
    """The archive, which nobody else writes while this process lives."""
    with _missing(f"the folder {archive}"):
        tree = Tree(archive)
        stack.callback(tree.close)
        if only_looks:
            return View(tree)
        try:
            tree.lock()
        except BlockingIOError:
            raise Unavailable(
                f"The folder {archive} is in use by another process: stop that one first."
            ) from None
        return Disk(tree)


@contextmanager
def _missing(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"This needs {what}: {error.strerror or error}.") from error
