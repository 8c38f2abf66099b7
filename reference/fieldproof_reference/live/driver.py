"""Calls the nodes of one host, and carries out what they ask for: the laws of the contract.

    outside event --> queue --> node --> effects --> files, sockets, more events in the queue

1. The queue is empty before the next outside event is looked at: one thread, and no node waits for
   anything. What takes long (a sync) is answered later.
2. Effects stop at the first that fails. A sync fails later than the others, if it fails: what
   followed it has happened then.
3. A node ends, alone, by an exception of its own, by asking for what is no effect, and by letting
   no time pass: `CALLS_AT_ONCE` calls for one outside event, or as many deadlines in a row that had
   passed when they were named. The other nodes go on.
4. `Stop` is told node by node: what one publishes then, those after it hear before their own. Who
   was stopped hears nothing more.
"""

import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, runtime_checkable

from fieldproof_contract import (
    SECOND_NS,
    Address,
    Datagram,
    Effect,
    Effects,
    Event,
    Failed,
    Listen,
    Log,
    Node,
    Now,
    Publish,
    Stop,
    Topic,
)
from fieldproof_reference.hosts import Part
from fieldproof_reference.live.clock import Clock
from fieldproof_reference.live.events import EventLog
from fieldproof_reference.live.hands import Hands
from fieldproof_reference.live.humanlog import HumanLog, pairs_text
from fieldproof_reference.live.sound import check

CALLS_AT_ONCE = 10_000

COMPLAIN_NS = 60 * SECOND_NS
"""How long a person is not told again of the same failure."""

MOST_COMPLAINTS = 100
"""Different failures that are remembered for that."""


@runtime_checkable
class HasFigures(Protocol):
    """A node that tells people how it is doing."""

    def figures(self) -> Mapping[str, int | str]:
        """A few words and numbers."""


@dataclass(eq=False, slots=True)
class _Slot:
    """A node's place on the host."""

    part: Part
    by: str  # host and node, for the event log
    node: Node | None = None
    wakes_ns: int | None = None  # its deadline
    turn: int = 0  # in which it was called last
    calls: int = 0  # in that turn
    hurries: int = 0  # deadlines in a row that were over when they were named


class Driver:
    """The nodes of a host. What is heard before the boot is told after it."""

    def __init__(
        self, host: str, parts: Sequence[Part], clock: Clock, events: EventLog, log: HumanLog
    ) -> None:
        self._clock = clock
        self._events = events
        self._log = log
        self._hands: Hands
        self._slots = [_Slot(part, f"{host}/{part.name}") for part in parts]
        self._hearing: dict[int | str | Listen, list[_Slot]] = {}
        for slot in self._slots:
            for what in slot.part.hears:
                self._hearing.setdefault(what, []).append(slot)
        self._queue: deque[tuple[_Slot, Event, Now | None]] = deque()
        self._is_busy = True  # until the boot
        self._turn = 0
        self._complaints: dict[tuple[str, str, str], int] = {}

    def equip(self, hands: Hands) -> None:
        """Give it the machine, and bind the ports that nodes hear. Raises OSError."""
        self._hands = hands
        for what, slots in self._hearing.items():
            match what:
                case Listen(port):
                    for slot in slots:
                        hands.streams.listen(port, slot.part.name, self._teller(slot))
                case int() as port:
                    hands.ports.bind(port, hears=True)

    # --- life ---

    def boot(self) -> None:
        """Make and start every node; then tell what was heard before."""
        for slot in self._slots:
            try:
                slot.node = slot.part.make()
            except Exception as error:
                self._lay_to_rest(slot, error)
        for slot in self._slots:
            if slot.node is not None:
                self._call(slot, partial(slot.node.start, self._hands.disk))
        self._is_busy = False
        self._drain()

    def stop(self) -> None:
        """Tell every node that the host ends; carry out what they then want."""
        for slot in self._slots:
            self._queue.append((slot, Stop(), None))
            self._drain()
            slot.node = slot.wakes_ns = None

    @property
    def is_alive(self) -> bool:
        """Whether any node is."""
        return any(slot.node is not None for slot in self._slots)

    def figures(self) -> Iterator[tuple[str, Mapping[str, int | str]]]:
        """What nodes tell people, by node."""
        for slot in self._slots:
            if isinstance(slot.node, HasFigures):
                try:
                    yield slot.part.name, slot.node.figures()
                except Exception as error:
                    self._lay_to_rest(slot, error)
            elif slot.node is None:
                yield slot.part.name, {"node": "died"}

    # --- what comes from outside ---

    def hears_line(self, line: str, event: Event, now: Now | None) -> None:
        """Something happened on a serial line, then or just now."""
        self._tell(self._hearing.get(line, ()), event, now)

    def hears_datagram(self, port: int, source: Address, data: bytes) -> None:
        """A datagram came."""
        self._tell(self._hearing.get(port, ()), Datagram(port, source, data))

    def due_ns(self) -> int | None:
        """When the next deadline is over."""
        return min((one.wakes_ns for one in self._slots if one.wakes_ns is not None), default=None)

    def advance(self) -> None:
        """Call the nodes whose deadline is over, each once."""
        now = self._clock.now()
        for slot in self._slots:
            if slot.wakes_ns is None or slot.wakes_ns > now.monotonic or slot.node is None:
                continue
            self._is_busy = True
            self._turn += 1
            self._call(slot, slot.node.advance)
            self._drain()
            in_haste = slot.wakes_ns is not None and slot.wakes_ns <= now.monotonic
            slot.hurries = slot.hurries + 1 if in_haste else 0
            if slot.hurries >= CALLS_AT_ONCE:
                self._lay_to_rest(slot, _no_time_passed())

    # --- driving nodes ---

    def _teller(self, slot: _Slot) -> Callable[[Event], None]:
        """Gives events to one node; what failed later is noted here."""

        def tell(event: Event) -> None:
            if isinstance(event, Failed):
                self._note(slot, event)
            self._tell((slot,), event)

        return tell

    def _tell(self, slots: Sequence[_Slot], event: Event, now: Now | None = None) -> None:
        for slot in slots:
            self._queue.append((slot, event, now))
        if not self._is_busy:
            self._drain()

    def _drain(self) -> None:
        self._is_busy = True
        self._turn += 1
        while self._queue:
            slot, event, now = self._queue.popleft()
            if slot.node is not None:
                self._call(slot, partial(slot.node.receive, event), now)
        self._is_busy = False

    def _call(self, slot: _Slot, ask: Callable[[Now], Effects], now: Now | None = None) -> None:
        """Ask a node something now, carry out what it wants, and note its deadline."""
        node = slot.node
        slot.calls = slot.calls + 1 if slot.turn == self._turn else 1
        slot.turn = self._turn
        try:
            if slot.calls > CALLS_AT_ONCE:
                raise _no_time_passed()
            for effect in tuple(ask(now or self._clock.now())):
                check(effect)
                failed = self._perform(slot, effect)
                if failed is not None:
                    self._note(slot, failed)
                    self._queue.append((slot, failed, None))
                    break
            if node is not None and slot.node is node:
                slot.wakes_ns = _deadline(node)
        except Exception as error:
            self._lay_to_rest(slot, error)

    def _lay_to_rest(self, slot: _Slot, error: Exception) -> None:
        """A node raised: it is gone for this life."""
        slot.node = slot.wakes_ns = None
        self._hands.streams.abandon(slot.part.name)
        self._hands.engines.abandon(slot.part.name)
        try:
            said = repr(error)
            story = "".join(traceback.format_exception(error)).rstrip()
        except Exception:
            said = story = type(error).__name__  # an exception of the node's own making
        self._events.fact(slot.by, "node died", {"error": said})
        self._log.say(f"{slot.part.name}: the node died, the others go on: {said}\n{story}")

    def _perform(self, slot: _Slot, effect: Effect) -> Failed | None:
        """Carry out one effect."""
        match effect:
            case Publish(topic, message):
                told = Topic(topic, message)
                hearing = self._hearing.get(topic, ())
                self._queue.extend((other, told, None) for other in hearing)
            case Log(what, detail):
                self._events.said(slot.by, what, detail)
                self._log.say(f"{slot.part.name}: {what}: {pairs_text(detail)}")
            case _:
                try:
                    self._hands.perform(slot.part.name, effect, self._teller(slot))
                except (OSError, OverflowError) as error:
                    strerror = error.strerror if isinstance(error, OSError) else None
                    return Failed(effect, strerror or str(error))
        return None

    def _note(self, slot: _Slot, failed: Failed) -> None:
        """Write down that an effect failed; a person need not hear it all the time."""
        kind = type(failed.effect).__name__.lower()
        detail = {"effect": kind, "reason": failed.reason}
        self._events.fact(slot.by, "effect failed", detail)
        key, now_ns = (slot.by, kind, failed.reason), self._clock.now().monotonic
        if now_ns - self._complaints.get(key, -COMPLAIN_NS) >= COMPLAIN_NS:
            if len(self._complaints) >= MOST_COMPLAINTS:
                self._complaints.clear()
            self._complaints[key] = now_ns
            self._log.say(f"{slot.part.name}: {kind} failed: {failed.reason}.")


def _no_time_passed() -> RuntimeError:
    return RuntimeError(f"It let no time pass in {CALLS_AT_ONCE} calls.")


def _deadline(node: Node) -> int | None:
    deadline = node.deadline()
    if deadline is None or isinstance(deadline, int):
        return deadline
    raise TypeError(f"A deadline is an integer or None, not {deadline!r}.")
