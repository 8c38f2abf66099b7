"""A host: one clock, one disk, some nodes, and the ways to hurt them. The virtual driver of nodes.

    up --kill/power cut--> down --boot--> up --freeze--> frozen --thaw--> up

A host that is down hears nothing. A frozen host hears everything later, all at once, as far as its
buffers hold: `RECEIVE_BUFFER_BYTES` of datagrams and `LINE_BUFFER_BYTES` per serial line.
Each boot is a *life*; what was scheduled in one life never reaches the next.
"""

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, assert_never

from fieldproof_contract import (
    Address,
    Append,
    Datagram,
    Effect,
    Effects,
    Event,
    Failed,
    LineData,
    LineSeconds,
    Log,
    Monotonic,
    Node,
    Now,
    Publish,
    Remove,
    Rename,
    Replace,
    SendDatagram,
    Sync,
    Synced,
    Topic,
    Truncate,
)
from fieldproof_simulators.machines.clock import HostClock
from fieldproof_simulators.machines.disk import Disk

RECEIVE_BUFFER_BYTES = 212_992
"""Linux's default socket receive buffer (net.core.rmem_default)."""

LINE_BUFFER_BYTES = 4095
"""What a Linux line discipline holds for a reader that does not read."""

SYNC_NS = 5_000_000
"""How long a sync takes: our assumption, between a solid-state disk and an SD card."""

NodeFactory = Callable[[], Node]


class Surroundings(Protocol):
    """What a host needs from its world."""

    def now_ns(self) -> int:
        """True time."""

    def call_at(self, true_ns: int, action: Callable[[], None]) -> None:
        """Do `action` at a true time that is not past."""

    def transmit(self, host: "Host", port: int, to: Address, data: bytes) -> None:
        """A datagram leaves `host`."""

    def log(self, where: str, what: str, detail: Mapping[str, str | int]) -> None:
        """Write a line to the run's log."""


@dataclass(slots=True)
class _Slot:
    """A node's place on its host; `node` is the present life's object."""

    name: str
    factory: NodeFactory
    node: Node | None = None
    wakes_ns: int | None = None  # when `advance` is scheduled


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
        self.fault = -1  # index of the fault that took it down or froze it
        self.lives: list[list[int | None]] = []
        self._world = world
        self._slots: list[_Slot] = []
        self._hearing: dict[int | str, list[_Slot]] = {}  # by port, line or topic
        self._queue: deque[tuple[_Slot, Event]] = deque()
        self._held: list[tuple[Sequence[_Slot], Event]] = []

    def add(self, name: str, factory: NodeFactory, hears: Collection[int | str]) -> None:
        """A node, and what it hears: UDP ports (int), serial lines and topics (text)."""
        slot = _Slot(name, factory)
        self._slots.append(slot)
        for what in hears:
            self._hearing.setdefault(what, []).append(slot)

    # --- life and death ---

    def boot(self) -> None:
        """Start every node from what the disk holds."""
        self.up, self.frozen, self.fault = True, False, -1
        self.lives.append([self._world.now_ns(), None])
        nodes = [slot.factory() for slot in self._slots]
        for slot, node in zip(self._slots, nodes, strict=True):
            slot.node, slot.wakes_ns = node, None
        for slot, node in zip(self._slots, nodes, strict=True):
            self._call(slot, node.start, self.disk)
        self._drain()

    def die(self, fault: int) -> None:
        """Every process is gone; the disk stays."""
        self.up, self.frozen, self.fault = False, False, fault
        self.lives[-1][1] = self._world.now_ns()
        self._queue.clear()
        self._held.clear()
        for slot in self._slots:
            slot.node = None

    def freeze(self, fault: int) -> None:
        """Every process stops where it is."""
        self.frozen, self.fault = True, fault

    def thaw(self) -> None:
        """Every process goes on; it hears now what its buffers held."""
        self.frozen, self.fault = False, -1
        held, self._held = self._held, []
        for slots, event in held:
            self._tell(slots, event)
        for slot in self._slots:
            self._plan(slot)

    # --- what reaches the host ---

    def hears(self, datagram: Datagram) -> str | None:
        """A datagram arrives. Returns why it is lost, or None when a node gets it."""
        if not self.up:
            return "host down"
        listeners = self._hearing.get(datagram.port)
        if not listeners:
            return "no listener"
        if self.frozen and not self._room(datagram):
            return "host frozen"
        self._tell(listeners, datagram)
        return None

    def reads(self, event: LineData | LineSeconds) -> None:
        """Bytes arrive on a serial line; a host that is down loses them."""
        if self.up and not (self.frozen and not self._room(event)):
            self._tell(self._hearing.get(event.line, ()), event)

    def _room(self, event: Event) -> bool:
        """Whether a frozen host's buffers can keep the event until it thaws."""
        if isinstance(event, Datagram):
            kept = [held for _, held in self._held if isinstance(held, Datagram)]
            return sum(len(held.data) for held in kept) + len(event.data) <= RECEIVE_BUFFER_BYTES
        if isinstance(event, LineData):
            lines = [held for _, held in self._held if isinstance(held, LineData)]
            mine = sum(len(held.data) for held in lines if held.line == event.line)
            return mine + len(event.data) <= LINE_BUFFER_BYTES
        return False

    # --- driving nodes ---

    def _tell(self, slots: Sequence[_Slot], event: Event) -> None:
        if self.frozen:
            self._held.append((slots, event))
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
        try:
            effects = ask(*what, Now(Monotonic(now_ns), self.clock.utc_ns(now_ns)))
        except Exception as error:
            slot.node = None
            self._world.log(f"{self.name}/{slot.name}", "node died", {"error": repr(error)})
            return
        for effect in effects:
            reason = self._perform(slot, effect)
            if reason is not None:
                self._queue.append((slot, Failed(effect, reason)))
                break
        self._plan(slot)

    def _plan(self, slot: _Slot) -> None:
        """See that `advance` comes at the node's deadline."""
        if slot.node is None:
            return
        deadline = slot.node.deadline()
        if deadline is None or (slot.wakes_ns is not None and slot.wakes_ns <= deadline):
            return
        slot.wakes_ns = max(deadline, self._world.now_ns())
        life = len(self.lives)
        self._world.call_at(slot.wakes_ns, lambda: self._wake(slot, life))

    def _wake(self, slot: _Slot, life: int) -> None:
        now_ns = self._world.now_ns()
        if slot.node is None or life != len(self.lives) or slot.wakes_ns != now_ns:
            return  # another life, or an earlier wake-up overtook this one
        slot.wakes_ns = None
        if self.frozen:
            return  # thaw() plans anew
        deadline = slot.node.deadline()
        if deadline is None or deadline > now_ns:
            self._plan(slot)
            return
        self._call(slot, slot.node.advance)
        self._drain()

    def _perform(self, slot: _Slot, effect: Effect) -> str | None:
        """Carry out one effect; the reason where it failed."""
        try:
            match effect:
                case Append(path, data):
                    self.disk.append(path, data)
                case Sync(paths):
                    self._sync(slot, paths)
                case SendDatagram(port, to, data):
                    self._world.transmit(self, port, to, data)
                case Publish(topic, message):
                    told = Topic(topic, message)
                    for other in self._hearing.get(topic, ()):
                        self._queue.append((other, told))
                case Replace(path, data):
                    self.disk.replace(path, data)
                case Rename(path, to_path):
                    self.disk.rename(path, to_path)
                case Truncate(path, size):
                    self.disk.truncate(path, size)
                case Remove(path):
                    self.disk.remove(path)
                case Log(what, detail):
                    self._world.log(f"{self.name}/{slot.name}", what, detail)
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
        sizes = [(path, self.disk.size_of(path)) for path in paths]

        def done() -> None:
            if self.up and life == len(self.lives):
                for path, size in sizes:
                    self.disk.sync(path, size)
                self._tell((slot,), Synced(paths))

        self._world.call_at(self._world.now_ns() + SYNC_NS, done)
