"""The driver in real time, for tests: a host in this process, an edge as a process, a cable.

Test files do not import each other: they get all of this as fixtures. Nothing sleeps; what must
happen is waited for, `WITHIN_S` at most.
"""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from fieldproof_contract import Address, Monotonic
from fieldproof_reference.config import Common
from fieldproof_reference.hosts import Part
from fieldproof_reference.live.clock import CLOCK_FILE, SystemClock
from fieldproof_reference.live.disk import Disk
from fieldproof_reference.live.driver import Driver
from fieldproof_reference.live.engines import Engines
from fieldproof_reference.live.events import EventLog
from fieldproof_reference.live.hands import Hands
from fieldproof_reference.live.humanlog import HumanLog
from fieldproof_reference.live.loop import READ, Loop
from fieldproof_reference.live.ports import Ports
from fieldproof_reference.live.streams import Streams
from fieldproof_reference.live.syncer import Syncer
from fieldproof_reference.live.tree import Tree

WITHIN_S = 15
KEY = "00" * 32
PORT = 24985
READABLE = 4095
"""What the line discipline of a port holds; more waits behind it."""
STRANGER = Address("203.0.113.66", 4242)


@pytest.fixture(scope="session")
def own_address() -> str:
    """An address of this machine that no other process of these tests binds."""
    pid = os.getpid()
    return f"127.{64 + (pid >> 16) % 64}.{(pid >> 8) % 256}.{1 + pid % 250}"


def waited_for(
    happened: Callable[[], object],
    what: str,
    step: Callable[[], object] = lambda: select.select((), (), (), 0.005),
) -> None:
    """Takes steps until it has happened."""
    ends_s = time.monotonic() + WITHIN_S
    while not happened():
        assert time.monotonic() < ends_s, f"waited for {WITHIN_S} s in vain: {what}"
        step()


# --- a host in this process -----------------------------------------------------------------------


class Probe:
    """A node that notes what it is told, and does what its test says."""

    def __init__(self, notes, reaction=lambda event, now: (), first=()):
        self.notes, self.reaction, self.first = notes, reaction, first
        self.wakes: list[int] = []  # deadlines to come, in the order in which it has them

    def start(self, disk, now):
        self.notes.append(("start", now.monotonic))
        return self.first

    def receive(self, event, now):
        self.notes.append((event, now.monotonic))
        return self.reaction(event, now)

    def advance(self, now):
        self.notes.append(("advance", now.monotonic))
        self.wakes.pop(0)
        return ()

    def deadline(self):
        return Monotonic(self.wakes[0]) if self.wakes else None


class Host:
    """A driver with a real disk and real sockets; nodes are added before the boot."""

    def __init__(self, root: Path, address: str, stack: ExitStack) -> None:
        self.root, self.address = root / "disk", address
        self.events_path, self.log_path = root / "events.jsonl", root / "log"
        self.parts: list[Part] = []
        self.stack = stack
        clock = SystemClock()
        self.events = EventLog(self.events_path)
        self.log = HumanLog(clock, self.log_path)
        self.loop, self.syncer, self.tree = Loop(), Syncer(), Tree(self.root)
        for part in (self.events, self.log, self.tree, self.loop, self.syncer):
            stack.callback(part.close)
        self.loop.watch(self.syncer.fd, READ, self.syncer.answer)
        self.disk = Disk(self.tree)
        self.clock = clock

    def add(self, name, factory, hears=()):
        self.parts.append(Part(name, factory, tuple(hears)))

    def equip(self):
        """Everything but the start of the nodes."""
        self.driver = Driver("daws", self.parts, self.clock, self.events, self.log)
        fact = partial(self.events.fact, "daws")
        hears = self.driver.hears_datagram
        self.ports = Ports(self.loop, self.address, hears, self.log.say, fact)
        self.streams = Streams(self.loop, self.address)
        self.stack.callback(self.ports.close)
        self.stack.callback(self.streams.close_all)
        self.engines = Engines(self.loop, self.disk, self.address)
        self.stack.callback(self.engines.close)
        hands = Hands(self.disk, self.syncer, self.ports, self.streams, self.engines)
        self.driver.equip(hands)

    def boot(self):
        self.equip()
        self.driver.boot()

    def hears(self, data: bytes) -> None:
        self.driver.hears_datagram(PORT, STRANGER, data)

    def turn(self) -> None:
        due_ns = self.driver.due_ns()
        soon_ns = time.monotonic_ns() + 10_000_000
        self.loop.turn(soon_ns if due_ns is None else min(due_ns, soon_ns))
        self.driver.advance()

    def until(self, happened, what="a turn of events"):
        waited_for(happened, what, self.turn)

    @property
    def facts(self):
        return [line for line in self.lines if "fact" in line]

    @property
    def lines(self):
        return [json.loads(line) for line in self.events_path.read_bytes().splitlines()]


@pytest.fixture
def make_host(tmp_path: Path, own_address: str) -> Iterator[Callable[..., Host]]:
    """Makes hosts, each with a folder and a disk of its own; down."""
    with ExitStack() as stack:

        def make(name: str = "daws", address: str = own_address) -> Host:
            (tmp_path / name).mkdir()
            return Host(tmp_path / name, address, stack)

        yield make


@pytest.fixture
def host(make_host) -> Host:
    """A machine without nodes, down."""
    return make_host()


# --- a cable --------------------------------------------------------------------------------------


class Cable:
    """A PTY behind a link that stays the same when the cable is pulled and plugged again."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self.master = self.port = -1

    def plug(self) -> None:
        self.master, self.port = pty.openpty()
        tty.setraw(self.port)
        os.set_blocking(self.master, False)
        fresh = self.link.with_suffix(".new")
        fresh.symlink_to(os.ttyname(self.port))
        fresh.replace(self.link)

    def pull(self) -> None:
        """The name goes first: its number may be another's PTY as soon as ours is closed."""
        if self.master >= 0:
            self.link.unlink()
            os.close(self.master)
            os.close(self.port)
            self.master = self.port = -1

    def send(self, data: bytes, step: Callable[[], None] | None = None) -> None:
        """All of it, as fast as the port takes it; in small pieces, of which it holds most."""
        rest = memoryview(data)

        def push() -> None:
            nonlocal rest
            try:
                rest = rest[os.write(self.master, rest[:64]) :]
            except BlockingIOError:
                (step or self._wait)()

        waited_for(lambda: not rest, "the port to take all bytes", push)

    @property
    def waiting(self) -> int:
        """Bytes that could be read now, `READABLE` at most."""
        return int.from_bytes(fcntl.ioctl(self.port, termios.FIONREAD, bytes(4)), sys.byteorder)

    def _wait(self) -> None:
        select.select((), (self.master,), (), 0.01)


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[Cable]:
    """A plugged cable."""
    cable = Cable(tmp_path / "port")
    cable.plug()
    yield cable
    cable.pull()


def words(seconds: float, code: int = 2700) -> bytes:
    """As many A/D words as so many seconds bring."""
    return bytes((0x80 | code >> 6, code & 0x3F)) * round(60 * seconds)


# --- a clock --------------------------------------------------------------------------------------


class ClockFile:
    """Writes a clock file as a harness does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sequence = 0
        path.write_bytes(bytes(CLOCK_FILE.size))

    def set(self, utc_ns: int, rate_ppb: int = 0, monotonic_ns: int | None = None) -> None:
        at_ns = time.monotonic_ns() if monotonic_ns is None else monotonic_ns
        with self.path.open("r+b") as file:
            file.write(struct.pack("<Q", self.sequence + 1))
            file.flush()
            file.write(struct.pack("<qqq", at_ns, utc_ns, rate_ppb))
            file.flush()
            self.sequence += 2
            file.seek(0)
            file.write(struct.pack("<Q", self.sequence))


# --- processes ------------------------------------------------------------------------------------


class Process:
    """A process of the reference, and what it leaves behind; `kill` is SIGKILL."""

    def __init__(self, role: str, folder: Path, environment: dict[str, str]) -> None:
        self.disk, self.said_path = folder / "disk", folder / f"{role}.log"
        self.events_path = folder / "events.jsonl"
        told = {
            "FIELDPROOF_ARCHIVE": str(self.disk),
            "FIELDPROOF_EVENTS": str(self.events_path),
        }
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        self.command = [sys.executable, "-m", "fieldproof_reference", role]
        self.environment = kept | told | environment
        self.running: subprocess.Popen[bytes] | None = None
        self.began_at = 0  # in the log

    def start(self, *arguments: str) -> None:
        self.began_at = len(self.said)
        with self.said_path.open("ab") as log:
            self.running = subprocess.Popen(
                [*self.command, *arguments], env=self.environment, stdout=log, stderr=log
            )

    def kill(self) -> None:
        self.running.kill()
        self.running.wait(WITHIN_S)

    def stop(self) -> float:
        """SIGTERM; the seconds that the end took."""
        asked_s = time.monotonic()
        self.signal(signal.SIGTERM)
        assert 0 == self.running.wait(WITHIN_S), self.said
        return time.monotonic() - asked_s

    def signal(self, number: int) -> None:
        os.kill(self.running.pid, number)

    def ended(self) -> int:
        return self.running.wait(WITHIN_S)

    def until(self, happened, what="a turn of events"):
        def step() -> None:
            assert self.running.poll() is None, self.said
            select.select((), (), (), 0.005)

        waited_for(happened, what, step)

    def until_said(self, text: str) -> None:
        """Waits for a word in the log of this start."""
        self.until(lambda: text in self.said[self.began_at :], f"{text!r} in {self.said}")

    @property
    def said(self) -> str:
        return self.said_path.read_text() if self.said_path.exists() else ""

    @property
    def events(self):
        return [json.loads(line) for line in self.events_path.read_bytes().splitlines()]

    @property
    def hour_files(self) -> dict[str, bytes]:
        paths = sorted(self.disk.glob("riometer/**/*.dat"))
        return {path.relative_to(self.disk).as_posix(): path.read_bytes() for path in paths}

    def json_lines(self, path: str):
        return [json.loads(line) for line in (self.disk / path).read_bytes().splitlines()]


@pytest.fixture
def make_process(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Makes processes that are not started; those that run at the end are killed, by their id."""
    made: list[Process] = []

    def make(role: str, environment: dict[str, str], name: str = "") -> Process:
        folder = tmp_path / (name or role)
        folder.mkdir(exist_ok=True)
        made.append(Process(role, folder, environment))
        return made[-1]

    yield make
    for process in made:
        if process.running is not None and process.running.poll() is None:
            process.kill()


@pytest.fixture
def edge(make_process, cable, own_address) -> Process:
    """An edge at the end of the cable, not started."""
    return make_process("edge", edge_environment(str(cable.link), own_address))


def edge_environment(serial: str, address: str) -> dict[str, str]:
    return {
        "FIELDPROOF_ROLE": "edge",
        "FIELDPROOF_SITE": "daws",
        "FIELDPROOF_SERIAL": serial,
        "FIELDPROOF_CENTER": f"{address}:{PORT}",
        "FIELDPROOF_ADDRESS": address,
        "FIELDPROOF_KEY": KEY,
    }


@pytest.fixture(scope="session")
def bench() -> SimpleNamespace:
    """Everything of this file that tests use; it holds no state."""
    return SimpleNamespace(
        Cable=Cable,
        ClockFile=ClockFile,
        Common=Common,
        KEY=KEY,
        PORT=PORT,
        READABLE=READABLE,
        Probe=Probe,
        STRANGER=STRANGER,
        edge_environment=edge_environment,
        until=waited_for,
        words=words,
    )
