"""A host: one clock, one disk, some nodes, and the ways to hurt them. The virtual driver of nodes.

    up --kill/power cut--> down --boot--> up --freeze--> frozen --thaw--> up

A host that is down hears nothing. A frozen host hears everything later, all at once, as far as its
buffers hold: `RECEIVE_BUFFER_BYTES` of datagrams and `LINE_BUFFER_BYTES` per serial line.
Each boot is a *life*; what was scheduled in one life never reaches the next.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
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
    ports: tuple[int, ...]
    node: Node | None = None
    wakes_ns: int | None = None  # when `advance` is scheduled


def _receive(event: Event, node: Node, now: Now) -> Effects:
    return node.receive(event, now)


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
        self._queue: deque[tuple[_Slot, Event]] = deque()
        self._held: list[tuple[tuple[_Slot, ...], Event]] = []

    def add(self, name: str, factory: NodeFactory, ports: tuple[int, ...] = ()) -> None:
        """A node that listens to these UDP ports (and to every line and topic of the host)."""
        self._slots.append(_Slot(name, factory, ports))

    # --- life and death ---

    def boot(self) -> None:
        """Start every node from what the disk holds."""
        self.up, self.frozen, self.fault = True, False, -1
        self.lives.append([self._world.now_ns(), None])
        for slot in self._slots:
            slot.node = slot.factory()
            slot.wakes_ns = None
        for slot in self._slots:
            self._call(slot, lambda node, now: node.start(self.disk, now))
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
        for slot in self._slots:
            if datagram.port in slot.ports:
                if self.frozen and not self._room(datagram):
                    return "host frozen"
                self._tell((slot,), datagram)
                return None
        return "no listener"

    def reads(self, event: LineData | LineSeconds) -> None:
        """Bytes arrive on a serial line; a host that is down loses them."""
        if self.up and not (self.frozen and not self._room(event)):
            self._tell(tuple(self._slots), event)

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

    def _tell(self, slots: tuple[_Slot, ...], event: Event) -> None:
        if self.frozen:
            self._held.append((slots, event))
            return
        self._queue.extend((slot, event) for slot in slots)
        self._drain()

    def _drain(self) -> None:
        while self._queue:
            slot, event = self._queue.popleft()
            self._call(slot, partial(_receive, event))

    def _call(self, slot: _Slot, ask: Callable[[Node, Now], Effects]) -> None:
        node = slot.node
        if node is None:
            return
        now_ns = self._world.now_ns()
        try:
            effects = ask(node, Now(Monotonic(now_ns), self.clock.utc_ns(now_ns)))
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
        self._call(slot, lambda node, now: node.advance(now))
        self._drain()

    def _perform(self, slot: _Slot, effect: Effect) -> str | None:
        """Carry out one effect; the reason where it failed."""
        try:
            match effect:
                case Append(path, data):
                    self.disk.append(path, data)
                case Sync(path):
                    self._sync(slot, path)
                case SendDatagram(port, to, data):
                    self._world.transmit(self, port, to, data)
                case Publish(topic, message):
                    told = Topic(topic, message)
                    self._queue.extend((other, told) for other in self._slots if other is not slot)
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

    def _sync(self, slot: _Slot, path: str) -> None:
        """What the file holds now will be durable, unless the host dies first."""
        life, size = len(self.lives), self.disk.size(path)
        if size is None:
            raise FileNotFoundError(f"There is no file {path} to sync.")

        def done() -> None:
            if self.up and life == len(self.lives) and self.disk.size(path) is not None:
                self.disk.sync(path, size)
                self._tell((slot,), Synced(path))

        self._world.call_at(self._world.now_ns() + SYNC_NS, done)
