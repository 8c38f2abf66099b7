"""TCP in virtual time: streams between hosts, over the same links as datagrams.

What is modelled is what costs bytes and time on a satellite link, as Linux does it (RFC 9293, 5681,
6298, 6582) with the segments of segments.py:

* a handshake of three segments, a FIN each way; nothing but what is said here is sent,
* slow start from ten segments, then congestion avoidance, at most 64 KiB under way,
* an acknowledgement for every second segment, or `DELAYED_ACK_NS` after the first, or with data
  that go the other way anyhow; at once for what is out of order and for a FIN,
* fast retransmission at the third equal acknowledgement; else after the retransmission time-out,
  which follows the measured round trip, is 1 s at least and at first, and doubles each time.

The life of an end:

    calling    -- SYN and ACK come -----------------> open        (told: opened)
    answering  -- anything that acknowledges comes -> open        (told: opened)
    open       -- the other end's FIN, in order ----> open        (told: closed; sends what is left)
    open       -- all sent, FINs both ways done ----> lingering -- LINGER_NS --> gone
    calling, answering, open
               -- RST comes ------------------------> gone        (told: closed, with a reason)
               -- too many time-outs ---------------> gone        (told: closed, with a reason)
    any        -- its process dies -----------------> gone        (sends RST)

A frozen host loses what comes and its timers wait. A host that lost its power sends nothing; when
it is back, it answers what belongs to no stream with RST, as any host does.

Small writes are gathered (Nagle's algorithm) where the owner says so; a node's are not.

Not modelled: receive windows (a node reads at once), selective acknowledgement.
"""

from collections.abc import Callable
from enum import Enum
from typing import Protocol

from fieldproof_contract import SECOND_NS, Address
from fieldproof_simulators.links.segments import (
    IP_TCP_BYTES,
    STAMP_BYTES,
    Flag,
    Segment,
    segment,
)
from fieldproof_simulators.links.sending import Sending

DELAYED_ACK_NS = 40_000_000
"""Linux's least delay of an acknowledgement."""

SYN_TRIES = 7
TRIES = 16
"""First try included: Linux's tcp_syn_retries 6 (two minutes) and tcp_retries2 15."""

LINGER_NS = 60 * SECOND_NS
"""How long a closed end still acknowledges a FIN: Linux's TIME_WAIT."""

FROZEN_NS = SECOND_NS
"""How often the timers of a frozen host look whether it thawed."""

FIRST_PORT = 49_152
PORTS = 16_384
"""Where outgoing streams begin (RFC 6335)."""

_MS = 1_000_000

Key = tuple[int, Address]
"""A stream at one host: its own port, and the other end."""


class Owner(Protocol):
    """Who reads and writes at an end. `closed` comes once, last."""

    def opened(self, end: "End", peer: Address) -> None:
        """The stream stands."""

    def heard(self, data: bytes) -> None:
        """Bytes, in order."""

    def closed(self, reason: str) -> None:
        """No more will come; `reason` is empty after a FIN."""


class Machine(Protocol):
    """What a stack needs of its host."""

    @property
    def address(self) -> str:
        """Its present address."""

    @property
    def frozen(self) -> bool:
        """Whether its processes, and with them its streams, stand still."""

    def accepts(self, port: int) -> Owner | None:
        """A new owner for a stream to this port, None where nobody listens."""


class Surroundings(Protocol):
    """What a stack needs of its world."""

    def now_ns(self) -> int:
        """True time."""

    def call_at(self, true_ns: int, action: Callable[[], None]) -> None:
        """Do `action` at a true time that is not past."""


class Stack:
    """The streams of one host. `carry` takes a segment to the link; `mtu` says the largest packet
    on the way to an address."""

    def __init__(
        self,
        machine: Machine,
        world: Surroundings,
        carry: Callable[[Segment], None],
        mtu: Callable[[str], int],
    ) -> None:
        self.machine = machine
        self.world = world
        self.carry = carry
        self.mtu = mtu
        self._ends: dict[Key, End] = {}
        self._called = 0

    def connect(self, to: Address, owner: Owner) -> "End":
        """Call a port of another host; the owner is told what comes of it."""
        local = Address(self.machine.address, FIRST_PORT + self._called % PORTS)
        self._called += 1
        end = self._ends[local.port, to] = End(self, local, to, to.port, owner)
        end.call()
        return end

    def arrive(self, came: Segment) -> str | None:
        """A segment reaches the host. Returns why it is lost, None where it is not."""
        if self.machine.frozen:
            return "host frozen"
        end = self._ends.get((came.to.port, came.source))
        if end is None and came.flags == Flag.SYN:
            owner = self.machine.accepts(came.to.port)
            if owner is not None:
                end = End(self, came.to, came.source, came.to.port, owner)
                self._ends[came.to.port, came.source] = end
        if end is not None:
            end.hear(came)
        elif not came.flags & Flag.RST:
            self.carry(segment(came.to, came.source, came.listens, Flag.RST | Flag.ACK))
        return None

    def drop(self, key: Key) -> None:
        """An end is gone."""
        self._ends.pop(key, None)

    def perish(self, powered: bool) -> None:
        """Every process has died: with power, the other ends hear of it at once."""
        for end in list(self._ends.values()):
            end.perish(powered)


class State(Enum):
    """See the head of this file."""

    CALLING = "calling"
    ANSWERING = "answering"
    OPEN = "open"
    LINGERING = "lingering"
    GONE = "gone"


class End:
    """One end of a stream. Positions count bytes from the SYN, which is number 0."""

    def __init__(
        self, stack: Stack, local: Address, peer: Address, listens: int, owner: Owner
    ) -> None:
        self.state = State.ANSWERING
        self.local = local
        self._stack = stack
        self._peer, self._listens = peer, listens
        self._owner: Owner | None = owner  # None once it was told of the end, or does not care
        self._payload_bytes = stack.mtu(peer.host) - IP_TCP_BYTES - STAMP_BYTES
        self._sending = Sending(self._payload_bytes)
        self._awaits = 0  # the next byte of the other end
        self._early: dict[int, bytes] = {}  # what came out of order, by position
        self._fin_at = -1  # where the other end's bytes end
        self._owed = 0  # segments that are not acknowledged yet
        self._acknowledged = 0  # the last position that was
        self._echo_ms = 0
        self._rto = _Timer(stack, self._timed_out)
        self._delayed = _Timer(stack, self._acknowledge)
        self._linger = _Timer(stack, self._vanish)

    # --- what the owner asks for ---

    @property
    def moved(self) -> int:
        """Grows while bytes come, or go and are acknowledged."""
        return self._sending.done + self._awaits

    def gather(self) -> None:
        """From now on small writes wait for each other (Nagle's algorithm)."""
        self._sending.gathers = True

    def call(self) -> None:
        """Open the stream."""
        self.state = State.CALLING
        self._push()

    def write(self, data: bytes) -> None:
        """Send, after all that was written before."""
        self._sending.data += data
        self._push()

    def close(self) -> None:
        """Send what is left, then a FIN; the owner hears no more."""
        self._owner = None
        if self.state is State.CALLING:
            self._vanish()
            return
        self._sending.closes = True
        self._push()

    def perish(self, speaks: bool) -> None:
        """The owner died."""
        self._owner = None
        if speaks and self.state in (State.ANSWERING, State.OPEN):
            self._send(Flag.RST | Flag.ACK, self._sending.next)
        self._vanish()

    # --- what the other end says ---

    def hear(self, came: Segment) -> None:
        """A segment of this stream."""
        if came.flags & Flag.RST:
            refused = self.state is State.CALLING
            self._end("connection refused" if refused else "connection reset")
            return
        if came.flags & Flag.SYN:
            self._hear_syn(came)
            return
        if self.state is State.CALLING:
            return  # of an earlier stream between these ports
        if came.sequence <= self._acknowledged:
            self._echo_ms = came.stamp_ms
        if self.state is State.ANSWERING and came.acknowledged > 0:
            self._open()
        self._hear_acknowledgement(came)
        self._hear_bytes(came)
        self._settle()

    def _hear_syn(self, came: Segment) -> None:
        most_bytes = came.most_bytes - STAMP_BYTES
        self._sending.limit(min(self._payload_bytes, most_bytes))
        if self._awaits:  # the answer was lost
            self._acknowledge()
            return
        self._awaits, self._echo_ms = 1, came.stamp_ms
        if self.state is State.CALLING:
            self._hear_acknowledgement(came)
            self._acknowledge()
            self._open()
        self._push()

    def _open(self) -> None:
        self.state = State.OPEN
        if self._owner is not None:
            self._owner.opened(self, self._peer)

    def _hear_acknowledgement(self, came: Segment) -> None:
        sending = self._sending
        bare = came.end == came.sequence
        if came.acknowledged > sending.done:
            sending.measure(self._now_ms() - came.echo_ms)
            again = sending.advance(came.acknowledged)
            self._rto.set(None if sending.idle else self._now_ns() + sending.rto_ns)
        else:
            again = bare and came.acknowledged == sending.done and sending.repeated()
        if again:
            self._send_from(sending.done)
        self._push()

    def _hear_bytes(self, came: Segment) -> None:
        """Keep the payload, hand on what is in order, acknowledge as the rules want it."""
        if came.end == came.sequence:
            return
        if came.flags & Flag.FIN:
            self._fin_at = came.end - 1
        if came.content and came.sequence + len(came.content) > self._awaits:
            self._early[came.sequence] = came.content
        ready = self._in_order()
        self._owed += 1
        at_once = not ready or bool(self._early) or self._fin_at == self._awaits
        if ready and self._owner is not None:
            self._owner.heard(ready)
        if self._fin_at == self._awaits:
            self._awaits += 1
            self._hear_end()
        if self._owed and (at_once or self._owed > 1):
            self._acknowledge()
        elif self._owed and self.state is State.OPEN:
            self._delayed.set(self._now_ns() + DELAYED_ACK_NS)

    def _in_order(self) -> bytes:
        ready = b""
        for position in sorted(self._early):
            if position > self._awaits:
                break
            fresh = self._early.pop(position)[self._awaits - position :]
            ready += fresh
            self._awaits += len(fresh)
        return ready

    def _hear_end(self) -> None:
        """The other end has sent its last byte: this one ends too, once its own are sent."""
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.closed("")
        self._sending.closes = True
        self._push()

    # --- sending ---

    def _push(self) -> None:
        """Send what the window lets go."""
        sending = self._sending
        if self.state is State.GONE or (self.state is State.ANSWERING and not self._awaits):
            return
        while sending.may_send(self.state in (State.CALLING, State.ANSWERING)):
            self._send_from(sending.next)
        if not sending.idle and self._rto.due_ns is None:
            self._rto.set(self._now_ns() + sending.rto_ns)

    def _send_from(self, position: int) -> None:
        flags, payload = self._sending.piece(position)
        self._send(flags, position, payload)

    def _send(self, flags: Flag, position: int, payload: bytes = b"") -> None:
        if self.state is State.GONE:
            return
        if self._awaits:
            flags |= Flag.ACK
        self._owed, self._acknowledged = 0, self._awaits
        self._delayed.set(None)
        most_bytes = self._payload_bytes + STAMP_BYTES if flags & Flag.SYN else 0
        self._stack.carry(
            segment(
                self.local,
                self._peer,
                self._listens,
                flags,
                position,
                self._awaits,
                (self._now_ms(), self._echo_ms),
                most_bytes,
                payload,
            )
        )

    def _acknowledge(self) -> None:
        """A segment that says how far the other end's bytes have come."""
        if self.state is State.ANSWERING:
            self._send_from(0)
        else:
            self._send(Flag.ACK, self._sending.next)

    def _timed_out(self) -> None:
        sending = self._sending
        sending.tries += 1
        if sending.tries >= (TRIES if self.state is State.OPEN else SYN_TRIES):
            self._end("no answer")
            return
        sending.back_off()
        self._push()

    # --- ending ---

    def _settle(self) -> None:
        """Linger where both ways are done; who heard the FIN first has nothing to wait for."""
        done = self._sending.finished and self._awaits == self._fin_at + 1 > 0
        if done and self.state is State.OPEN:
            self.state = State.LINGERING
            self._rto.set(None)
            self._linger.set(self._now_ns() + LINGER_NS)

    def _end(self, reason: str) -> None:
        owner, self._owner = self._owner, None
        self._vanish()
        if owner is not None:
            owner.closed(reason)

    def _vanish(self) -> None:
        self.state = State.GONE
        for timer in (self._rto, self._delayed, self._linger):
            timer.set(None)
        self._stack.drop((self.local.port, self._peer))

    def _now_ns(self) -> int:
        return self._stack.world.now_ns()

    def _now_ms(self) -> int:
        return self._now_ns() // _MS


class _Timer:
    """Calls once when it is due; `set` moves it, None stops it; a frozen host's waits."""

    def __init__(self, stack: Stack, action: Callable[[], None]) -> None:
        self.due_ns: int | None = None
        self._stack = stack
        self._action = action
        self._wakes_ns: int | None = None

    def set(self, due_ns: int | None) -> None:
        """The newest word counts."""
        self.due_ns = due_ns
        if due_ns is not None and (self._wakes_ns is None or due_ns < self._wakes_ns):
            self._wakes_ns = due_ns
            self._stack.world.call_at(due_ns, lambda: self._wake(due_ns))

    def _wake(self, wakes_ns: int) -> None:
        if self._wakes_ns != wakes_ns:
            return  # an earlier wake-up overtook this one
        self._wakes_ns = None
        if self.due_ns is None:
            return
        if self.due_ns <= wakes_ns and self._stack.machine.frozen:
            self.due_ns = wakes_ns + FROZEN_NS
        if self.due_ns > wakes_ns:
            self.set(self.due_ns)
            return
        self.due_ns = None
        self._action()
