"""A host: one clock, one disk, some nodes, and the ways to hurt them. The virtual driver of nodes.

    up --kill/power cut--> down --boot--> up --freeze--> frozen --thaw--> up
                                                         frozen --kill/power cut--> down

Any other transition is a ValueError. A host that is down hears nothing. A frozen host hears
everything later, as far as its buffers hold (buffers.py). Each boot is a *life*; what was
scheduled in one life never reaches the next.

Streams are carried by the host's stack (links/streams.py): a frozen host's peers get no answer and
try again; a host that dies resets its streams at once, or, without power, when it is asked.

Engines run at the host's desk (engines/desk.py), and end with it.

A node ends, alone, by an exception of its own, by asking for what is no effect, and by letting no
time pass: the log then says "node died". An effect that cannot be carried out is `Failed`.
"""

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, assert_never

from fieldproof_contract import (
    Address,
    Append,
    CloseStream,
    Datagram,
    Effect,
    Effects,
    Event,
    Failed,
    LineSeconds,
    Listen,
    Log,
    Monotonic,
    Node,
    Now,
    OpenStream,
    Publish,
    Remove,
    Rename,
    Replace,
    RunEngine,
    SendDatagram,
    StopEngine,
    StreamClosed,
    Sync,
    Synced,
    Topic,
    Truncate,
    WriteStream,
)
from fieldproof_simulators.engines.desk import Engines, Workshop
from fieldproof_simulators.links.segments import Segment
from fieldproof_simulators.links.streams import Owner, Stack
from fieldproof_simulators.machines.buffers import Buffers, LineEvent
from fieldproof_simulators.machines.clock import HostClock
from fieldproof_simulators.machines.demands import check
from fieldproof_simulators.machines.disk import Disk
from fieldproof_simulators.machines.files import Files
from fieldproof_simulators.machines.sockets import Sockets

SYNC_NS = 5_000_000
"""How long a sync takes: our assumption, between a solid-state disk and an SD card."""

CALLS_AT_ONCE = 10_000
"""How often a node may be called at one instant: a node that would be called more often waits for
nothing, and the world with it for ever. A busy one of ours is called some dozen times."""

NodeFactory = Callable[[], Node]


class Surroundings(Workshop, Protocol):
    """What a host needs from its world."""

    def now_ns(self) -> int:
        """True time."""

    def call_at(self, true_ns: int, action: Callable[[], None]) -> None:
        """Do `action` at a true time that is not past."""

    def transmit(self, host: "Host", port: int, to: Address, data: bytes) -> None:
        """A datagram leaves `host`."""

    def carry(self, host: "Host", segment: Segment) -> None:
        """A segment of a stream leaves `host`."""

    def mtu_bytes(self, host: "Host", to: str) -> int:
        """The largest packet that goes from `host` to an address."""

    def log(self, where: str, what: str, detail: Mapping[str, str | int]) -> None:
        """Write a fact to the run's log."""

    def said(self, by: str, what: str, detail: Mapping[str, str | int]) -> None:
        """Write to the run's log what the node `host/node` says."""


@dataclass(slots=True)
class _Slot:
    """A node's place on its host; `node` is the present life's object."""

    name: str
    factory: NodeFactory
    node: Node | None = None
    wakes_ns: int | None = None  # when `advance` is scheduled
    called_ns: int = -1  # when it was called last
    calls: int = 0  # at that instant


class Host:
    """See the head of this file. Times are true time, nanoseconds."""

    def __init__(
        self, name: str, address: str, clock: HostClock, disk: Disk, world: Surroundings
    ) -> None:
        self.name = name
        self.address = address
        self.clock = clock
        self.disk = disk
        self.up = False
        self.frozen = False
        self.powered = True
        self.fault = -1  # index of the fault that took it down or froze it
        self.lives: list[list[int | None]] = []
        self._world = world
        self._slots: list[_Slot] = []
        self._hearing: dict[int | str | Listen, list[_Slot]] = {}  # by port, line or topic
        self._queue: deque[tuple[_Slot, Event]] = deque()
        self._buffers: Buffers[Sequence[_Slot]] = Buffers()  # while frozen
        self._stack = Stack(
            self, world, lambda segment: world.carry(self, segment), partial(world.mtu_bytes, self)
        )
        self._sockets = Sockets(self._stack)
        self.files = Files(disk)
        self.engines = Engines(self._stack, self.files, world)

    def add(self, name: str, factory: NodeFactory, hears: Collection[int | str | Listen]) -> None:
        """A node, and what it hears: UDP ports (int), serial lines and topics (text), TCP ports."""
        slot = _Slot(name, factory)
        self._slots.append(slot)
        for what in hears:
            self._hearing.setdefault(what, []).append(slot)

    # --- life and death ---

    def boot(self) -> None:
        """Start every node from what the disk holds."""
        self._require(not self.up, "boot")
        self.up, self.powered, self.fault = True, True, -1
        self.lives.append([self._world.now_ns(), None])
        for slot in self._slots:
            slot.wakes_ns = None
            try:
                slot.node = slot.factory()
            except Exception as error:
                self._lay_to_rest(slot, error)
        for slot in self._slots:
            if slot.node is not None:
                self._call(slot, slot.node.start, self.disk)
        self._drain()

    def die(self, fault: int, powered: bool = True) -> None:
        """Every process is gone; the disk stays. A machine without power says nothing more."""
        self._require(self.up, "die")
        self.up, self.frozen, self.powered, self.fault = False, False, powered, fault
        self.lives[-1][1] = self._world.now_ns()
        self._queue.clear()
        self._buffers.clear()
        self.engines.perish()
        self._sockets.perish(powered)
        for slot in self._slots:
            slot.node = None

    def freeze(self, fault: int) -> None:
        """Every process stops where it is."""
        self._require(self.up and not self.frozen, "freeze")
        self.frozen, self.fault = True, fault

    def thaw(self) -> None:
        """Every process goes on; it hears now what its buffers held."""
        self._require(self.frozen, "thaw")
        self.frozen, self.fault = False, -1
        unread, held = self._buffers.take()
        for line_event in unread:
            self.reads(line_event)
        for slots, event in held:
            self._tell(slots, event)
        for slot in self._slots:
            self._plan(slot)

    def _require(self, can: bool, what: str) -> None:
        if not can:
            state = "frozen" if self.frozen else "up" if self.up else "down"
            raise ValueError(f"Host {self.name} is {state}: it cannot {what}.")

    # --- what reaches the host ---

    def hears(self, datagram: Datagram) -> str | None:
        """A datagram arrives. Returns why it is lost, or None when a node gets it."""
        if not self.up:
            return "host down"
        listeners = self._hearing.get(datagram.port)
        if not listeners:
            return "no listener"
        if self.frozen and not self._buffers.room(datagram):
            return "host frozen"
        self._tell(listeners, datagram)
        return None

    def reads(self, event: LineEvent) -> None:
        """Something happens on a serial line; a host that is down does not notice."""
        if self.frozen and not isinstance(event, LineSeconds):
            self._buffers.hold_line(event)
        elif self.up and not self.frozen:
            self._tell(self._hearing.get(event.line, ()), event)

    def reached(self, segment: Segment) -> str | None:
        """A segment of a stream arrives. Returns why it is lost, or None when it is not."""
        return self._stack.arrive(segment) if self.powered else "host down"

    def accepts(self, port: int) -> Owner | None:
        """Who owns a new stream to this port; None where nobody listens."""
        for slot in self._hearing.get(Listen(port), ()):
            if slot.node is not None:
                return self._sockets.accept(slot.name, self._teller(slot))
        return self.engines.accept(port)

    # --- driving nodes ---

    def _teller(self, slot: _Slot) -> Callable[[Event], None]:
        return lambda event: self._tell((slot,), event)

    def _tell(self, slots: Sequence[_Slot], event: Event) -> None:
        if self.frozen:
            self._buffers.hold(slots, event)
            return
        for slot in slots:
            self._queue.append((slot, event))
        self._drain()

    def _drain(self) -> None:
        while self._queue:
            slot, event = self._queue.popleft()
            if slot.node is not None:
                self._call(slot, slot.node.receive, event)

    def _call(self, slot: _Slot, ask: Callable[..., Effects], *what: object) -> None:
        """Ask a node something now, and carry out what it wants."""
        now_ns = self._world.now_ns()
        if slot.called_ns != now_ns:
            slot.called_ns, slot.calls = now_ns, 0
        slot.calls += 1
        try:
            if slot.calls > CALLS_AT_ONCE:
                raise RuntimeError(f"It let no time pass in {CALLS_AT_ONCE} calls.")
            now = Now(Monotonic(now_ns), self.clock.utc_ns(now_ns))
            effects = tuple(ask(*what, now))
        except Exception as error:
            self._lay_to_rest(slot, error)
            return
        for effect in effects:
            try:
                check(effect)
            except Exception as error:
                self._lay_to_rest(slot, error)
                return
            reason = self._perform(slot, effect, now)
            if reason is not None:
                self._queue.append((slot, Failed(effect, reason)))
                break
        self._plan(slot)

    def _plan(self, slot: _Slot) -> None:
        """See that `advance` comes at the node's deadline."""
        deadline = self._deadline(slot)
        if deadline is None or (slot.wakes_ns is not None and slot.wakes_ns <= deadline):
            return
        slot.wakes_ns = max(deadline, self._world.now_ns())
        life = len(self.lives)
        self._world.call_at(slot.wakes_ns, lambda: self._wake(slot, life))

    def _deadline(self, slot: _Slot) -> int | None:
        """The deadline of a node that lives."""
        if slot.node is None:
            return None
        try:
            deadline = slot.node.deadline()
            if deadline is None or isinstance(deadline, int):
                return deadline
            raise TypeError(f"A deadline is an integer or None, not {deadline!r}.")
        except Exception as error:
            self._lay_to_rest(slot, error)
            return None

    def _lay_to_rest(self, slot: _Slot, error: Exception) -> None:
        """A node raised: it is gone until the host boots again."""
        slot.node = None
        self._sockets.abandon(slot.name)
        self.engines.abandon(slot.name)
        try:
            said = repr(error)
        except Exception:
            said = type(error).__name__  # an exception of the node's own making
        self._world.log(f"{self.name}/{slot.name}", "node died", {"error": said})

    def _wake(self, slot: _Slot, life: int) -> None:
        now_ns = self._world.now_ns()
        if slot.node is None or life != len(self.lives) or slot.wakes_ns != now_ns:
            return  # another life, or an earlier wake-up overtook this one
        slot.wakes_ns = None
        if self.frozen:
            return  # thaw() plans anew
        deadline = self._deadline(slot)
        if deadline is None or deadline > now_ns:
            self._plan(slot)
            return
        self._call(slot, slot.node.advance)
        self._drain()

    def _perform(self, slot: _Slot, effect: Effect, now: Now) -> str | None:
        """Carry out one effect; the reason where it failed."""
        try:
            match effect:
                case Append() | Replace() | Rename() | Truncate() | Remove():
                    self.files.change(effect, now.utc_ns)
                case Sync(paths):
                    self._sync(slot, paths)
                case SendDatagram(port, to, data):
                    self._world.transmit(self, port, to, data)
                case Publish(topic, message):
                    told = Topic(topic, message)
                    for other in self._hearing.get(topic, ()):
                        self._queue.append((other, told))
                case OpenStream(stream, to):
                    self._sockets.open(slot.name, self._teller(slot), stream, to)
                case WriteStream(stream, data):
                    self._sockets.write(slot.name, stream, data)
                case CloseStream(stream):
                    if self._sockets.close(slot.name, stream):
                        self._queue.append((slot, StreamClosed(stream, "")))
                case RunEngine(run, job):
                    self.engines.run(slot.name, self._teller(slot), run, job)
                case StopEngine(run):
                    self.engines.stop(slot.name, run)
                case Log(what, detail):
                    self._world.said(f"{self.name}/{slot.name}", what, detail)
                case _:
                    assert_never(effect)
        except OSError as error:
            detail = {"effect": type(effect).__name__.lower(), "reason": str(error)}
            self._world.log(f"{self.name}/{slot.name}", "effect failed", detail)
            return str(error)
        return None

    def _sync(self, slot: _Slot, paths: tuple[str, ...]) -> None:
        """What the files hold now will be durable, unless the host dies first."""
        life = len(self.lives)
        asked = [self.disk.ask_sync(path) for path in paths]

        def done() -> None:
            if self.up and life == len(self.lives):
                for each in asked:
                    self.disk.sync(each)
                self._tell((slot,), Synced(paths))

        self._world.call_at(self._world.now_ns() + SYNC_NS, done)
