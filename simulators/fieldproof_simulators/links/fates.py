"""What becomes of a datagram on a link, whatever carries it: in virtual time or on a live wire.

The path of a datagram, and every way in which it can die on it:

    offered --> ordered to die (fault Lose) --> outage --> model (loss, limit) --> far end
                                                                  |
                                                  bit flips by the model die at the checksum

Two copies of a datagram, made by a fault or by the model, go their ways and die one by one: the log
says "duplicated", and "lost" for each copy. Orders of faults are carried out one after the other.
The link is dark as long as any cause of darkness lasts; the one that began first takes the blame.

Up is from a site to the center, down the other way; each direction has its own model and its own
random stream, so that one direction's traffic never changes the other's losses.

These are the rules alone. A tier says how a datagram gets through the model, which is where time
comes in, and where its log is.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Generic, Protocol, Self, TypeVar

from fieldproof_simulators.links.netem import LinkModel
from fieldproof_simulators.links.profiles import Profile
from fieldproof_simulators.streams import child_seed

IP_UDP_BYTES = 28
"""IPv4 and UDP headers."""

TELEMETRY = "telemetry"

PROFILES_OWN = -1
"""In the place of a fault's index: the link's profile did it."""

Detail = Mapping[str, str | int]


class Carried(Protocol):
    """A datagram, or another packet, as a tier has it in hand."""

    @property
    def is_datagram(self) -> bool:
        """Whether it is a UDP datagram: orders of faults are for no other packet."""

    @property
    def to_host(self) -> str:
        """The address that it goes to."""

    @property
    def payload(self) -> bytes:
        """What it carries, without headers: the log's hash is of this."""

    @property
    def ip_bytes(self) -> int:
        """Its length on the wire, IP header included."""

    def bearing(self, payload: bytes) -> Self:
        """The same datagram with another payload of this length, and checksums that fit."""


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


C = TypeVar("C", bound=Carried)


@dataclass(slots=True)
class Flight(Generic[C]):
    """A datagram on its way through the link."""

    direction: str
    purpose: str
    sent: C
    becomes: C  # what arrives
    bytes: int  # on the wire, IP
    copies: int = 1
    late_ns: int = 0  # held back, beyond what the model does


def netem_seed(name: str, direction: str, seed: int) -> int:
    """The seed of one direction of the link `name` in a run with the seed `seed`."""
    return child_seed(seed, f"link:{name}:{direction}")


def models(name: str, profile: Profile, seed: int) -> dict[str, LinkModel]:
    """The two directions of the link `name` in a run with this seed."""
    return {
        "up": LinkModel(profile.up, netem_seed(name, "up", seed)),
        "down": LinkModel(profile.down, netem_seed(name, "down", seed)),
    }


class Fates(ABC, Generic[C]):
    """One link, both directions: its darkness, the orders for it, and the account of its losses."""

    def __init__(self, name: str, models: dict[str, LinkModel], seed: int) -> None:
        self.name = name
        self.models = models
        self.tallies: dict[tuple[str, str], Tally] = {}
        self._dark: list[int] = []  # the causes that last, by their beginning
        self._orders: list[Order] = []
        self._flips = child_seed(seed, f"link:{name}:flips")

    # --- what a tier adds ---

    @abstractmethod
    def _through_model(self, flight: Flight[C]) -> None:
        """Have the model decide about one copy, and deliver what it lets through."""

    @abstractmethod
    def _say(self, what: str, detail: Detail) -> None:
        """Write a line to the run's log."""

    # --- faults ---

    @property
    def is_dark(self) -> bool:
        """Whether an outage lasts."""
        return bool(self._dark)

    def go_dark(self, fault: int) -> None:
        """An outage begins; `fault` is its cause."""
        self._dark.append(fault)
        self._say("outage begins", {"fault": fault})

    def recover(self, fault: int) -> None:
        """The outage of this cause ends."""
        self._dark.remove(fault)
        self._say("outage ends", {"fault": fault})

    def order(self, order: Order) -> Order:
        """A fault wants something done to the next telemetry datagrams."""
        self._orders.append(order)
        return order

    # --- fates ---

    def enter(self, direction: str, purpose: str, sent: C) -> None:
        """A datagram enters the link."""
        flight = Flight(direction, purpose, sent, sent, sent.ip_bytes)
        tally = self.tallies.setdefault((direction, purpose), Tally())
        tally.packets += 1
        tally.bytes += flight.bytes
        self._befall(flight)

    def _befall(self, flight: Flight[C]) -> None:
        """Orders, darkness, and then the model, for a flight that is counted already."""
        if self._orders and flight.purpose == TELEMETRY and flight.sent.is_datagram:
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

    def _lose(self, flight: Flight[C], cause: str, fault: int) -> None:
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

    def _obey(self, order: Order, flight: Flight[C]) -> None:
        """Do what a fault ordered, and say so."""
        match order.kind:
            case "corrupt":
                flight.becomes = self._flip(flight.sent, order.fired)
                becomes = short_hash(flight.becomes.payload)
                self._note("corrupted", flight, order.fault, becomes=becomes)
            case "delay":
                flight.late_ns = order.by_ns
                self._note("delayed", flight, order.fault)
            case "duplicate":
                flight.copies = 2
                self._note("duplicated", flight, order.fault)

    def _flip(self, sent: C, nth: int) -> C:
        """One bit flips; which one is the link's own random stream's choice."""
        data = bytearray(sent.payload)
        if not data:
            return sent  # no bit to flip
        at = child_seed(self._flips, str(nth)) % (len(data) * 8)
        data[at // 8] ^= 1 << at % 8
        return sent.bearing(bytes(data))

    def _note(self, what: str, flight: Flight[C], fault: int, **detail: str | int) -> None:
        facts: dict[str, str | int] = {
            "direction": flight.direction,
            "fault": fault,
            "purpose": flight.purpose,
            "to": flight.sent.to_host,
            "bytes": flight.bytes,
            "sha": short_hash(flight.sent.payload),
        }
        self._say(what, facts | detail)

    # --- the account ---

    def wire(self) -> Iterator[dict[str, str | int]]:
        """The tallies as rows of `world.json`, by direction and purpose."""
        for (direction, purpose), tally in sorted(self.tallies.items()):
            yield {
                "link": self.name,
                "direction": direction,
                "purpose": purpose,
                "packets": tally.packets,
                "bytes": tally.bytes,
                "lost_packets": tally.lost_packets,
                "lost_bytes": tally.lost_bytes,
            }

    def generators_end(self) -> Iterator[tuple[str, str]]:
        """The end state of both generators: a re-run with the same traffic must reproduce it."""
        for direction, model in self.models.items():
            state = " ".join(f"{word:08x}" for word in model.state)
            yield f"link:{self.name}:{direction}", f"{state} after {model.draws}"


def short_hash(data: bytes) -> str:
    """How the log names a payload: the first 16 hexadecimal digits of its SHA-256."""
    return sha256(data).hexdigest()[:16]
