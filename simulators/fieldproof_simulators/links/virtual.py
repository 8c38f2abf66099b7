"""A link in virtual time: the seeded model of netem, plus what only a clock can say (outages).

The path of a datagram, and every way in which it can die on it:

    offered --> ordered to die (fault Lose) --> outage --> model (loss, limit) --> far end
                                                                  |
                                                  bit flips by the model die at the checksum

Two copies of a datagram, made by a fault or by the model, go their ways and die one by one: the log
says "duplicated", and "lost" for each copy. Orders of faults are carried out one after the other.
The link is dark as long as any cause of darkness lasts; the one that began first takes the blame.

Up is from a site to the center, down the other way; each direction has its own model and its own
random stream, so that one direction's traffic never changes the other's losses.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Protocol

from fieldproof_contract import Address
from fieldproof_simulators.links.netem import LinkModel
from fieldproof_simulators.links.profiles import Profile
from fieldproof_simulators.streams import child_seed

IP_UDP_BYTES = 28
"""IPv4 and UDP headers."""

TELEMETRY = "telemetry"

PROFILES_OWN = -1
"""In the place of a fault's index: the link's profile did it."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One UDP datagram on its way."""

    source: Address
    to: Address
    data: bytes


class Surroundings(Protocol):
    """What a link needs from its world."""

    def now_ns(self) -> int:
        """True time."""

    def call_at(self, true_ns: int, action: Callable[[], None]) -> None:
        """Do `action` at a true time that is not past."""

    def arrive(self, packet: Packet) -> tuple[str | None, int]:
        """Hand the packet to the host that has its address; why it is lost there, which fault."""

    def log(self, where: str, what: str, detail: Mapping[str, str | int]) -> None:
        """Write a line to the run's log."""


@dataclass(slots=True)
class Tally:
    """What one purpose offered to one direction, and how many copies of it never reached a node."""

    packets: int = 0
    bytes: int = 0  # IP bytes
    lost_packets: int = 0
    lost_bytes: int = 0


@dataclass(slots=True)
class Order:
    """A fault's order for the next `left` telemetry datagrams."""

    kind: str  # "lose", "duplicate", "delay", "corrupt"
    left: int
    fault: int
    by_ns: int = 0
    fired: int = 0


@dataclass(slots=True)
class _Flight:
    """A datagram on its way through the link."""

    direction: str
    purpose: str
    sent: Packet
    becomes: Packet  # what arrives
    copies: int = 1
    late_ns: int = 0  # held back, beyond what the model does

    @property
    def bytes(self) -> int:
        """On the wire, IP."""
        return len(self.sent.data) + IP_UDP_BYTES


class VirtualLink:
    """One link of the world; both directions."""

    def __init__(
        self,
        name: str,
        profile: Profile,
        seed: int,
        purposes: Mapping[int, str],
        world: Surroundings,
    ) -> None:
        """`purposes`: by destination port, what a datagram is for."""
        self.name = name
        self.models = {
            "up": LinkModel(profile.up, child_seed(seed, f"link:{name}:up")),
            "down": LinkModel(profile.down, child_seed(seed, f"link:{name}:down")),
        }
        self.tallies: dict[tuple[str, str], Tally] = {}
        self._dark: list[int] = []  # the causes that last, by their beginning
        self._purposes = purposes
        self._orders: list[Order] = []
        self._world = world
        self._flips = child_seed(seed, f"link:{name}:flips")

    def go_dark(self, fault: int) -> None:
        """An outage begins; `fault` is its cause."""
        self._dark.append(fault)
        self._world.log(self.name, "outage begins", {"fault": fault})

    def recover(self, fault: int) -> None:
        """The outage of this cause ends."""
        self._dark.remove(fault)
        self._world.log(self.name, "outage ends", {"fault": fault})

    def order(self, order: Order) -> Order:
        """A fault wants something done to the next telemetry datagrams."""
        self._orders.append(order)
        return order

    def send(self, direction: str, packet: Packet) -> None:
        """A datagram enters the link."""
        purpose = self._purposes.get(packet.to.port, "other")
        flight = _Flight(direction, purpose, packet, packet)
        tally = self.tallies.setdefault((direction, purpose), Tally())
        tally.packets += 1
        tally.bytes += flight.bytes
        if self._orders and purpose == TELEMETRY:
            order = self._next_order()
            if order.kind == "lose":
                self._lose(flight, "lose", order.fault)
                return
            self._obey(order, flight)
        for _ in range(flight.copies):
            if self._dark:
                self._lose(flight, "outage", self._dark[0])
            else:
                self._through_model(flight)

    def _through_model(self, flight: _Flight) -> None:
        passage = self.models[flight.direction].send(self._world.now_ns(), flight.bytes)
        if passage.dropped is not None:
            self._lose(flight, passage.dropped, PROFILES_OWN)
        if len(passage.copies) > 1:
            self._note("duplicated", flight, PROFILES_OWN)
        for copy in passage.copies:
            if copy.corrupted:
                self._lose(flight, "checksum", PROFILES_OWN)
            else:
                self._world.call_at(copy.due_ns + flight.late_ns, partial(self._arrive, flight))

    def _arrive(self, flight: _Flight) -> None:
        cause, fault = self._world.arrive(flight.becomes)
        if cause is not None:
            self._lose(flight, cause, fault)

    def _lose(self, flight: _Flight, cause: str, fault: int) -> None:
        """A copy is lost."""
        tally = self.tallies[flight.direction, flight.purpose]
        tally.lost_packets += 1
        tally.lost_bytes += flight.bytes
        self._note("lost", flight, fault, cause=cause)

    def _next_order(self) -> Order:
        order = self._orders[0]
        order.left -= 1
        order.fired += 1
        if order.left == 0:
            self._orders.pop(0)
        return order

    def _obey(self, order: Order, flight: _Flight) -> None:
        """Do what a fault ordered, and say so."""
        match order.kind:
            case "corrupt":
                flight.becomes = self._flip(flight.sent, order.fired)
                becomes = short_hash(flight.becomes.data)
                self._note("corrupted", flight, order.fault, becomes=becomes)
            case "delay":
                flight.late_ns = order.by_ns
                self._note("delayed", flight, order.fault)
            case "duplicate":
                flight.copies = 2
                self._note("duplicated", flight, order.fault)

    def _flip(self, packet: Packet, nth: int) -> Packet:
        """One bit flips; which one is the link's own random stream's choice."""
        at = child_seed(self._flips, str(nth)) % (len(packet.data) * 8)
        data = bytearray(packet.data)
        data[at // 8] ^= 1 << at % 8
        return Packet(packet.source, packet.to, bytes(data))

    def _note(self, what: str, flight: _Flight, fault: int, **detail: str | int) -> None:
        facts: dict[str, str | int] = {
            "direction": flight.direction,
            "fault": fault,
            "purpose": flight.purpose,
            "to": flight.sent.to.host,
            "bytes": flight.bytes,
            "sha": short_hash(flight.sent.data),
        }
        self._world.log(self.name, what, facts | detail)


def short_hash(data: bytes) -> str:
    """How the log names a payload: the first 16 hexadecimal digits of its SHA-256."""
    return sha256(data).hexdigest()[:16]
