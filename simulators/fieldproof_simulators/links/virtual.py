"""A link in virtual time: the seeded model of netem, plus what only a clock can say (outages).

The path of a datagram, and every way in which it can die on it:

    offered --> ordered to die (fault Lose) --> outage --> model (loss, limit) --> far end
                                                                  |
                                                  bit flips by the model die at the checksum

Up is from a site to the center, down the other way; each direction has its own model and its own
random stream, so that one direction's traffic never changes the other's losses.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
    """What one purpose offered to one direction, and what of it never reached a node."""

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
        self._outage: int | None = None  # index of the fault, while one lasts
        self._purposes = purposes
        self._orders: list[Order] = []
        self._world = world
        self._flips = child_seed(seed, f"link:{name}:flips")

    def go_dark(self, fault: int) -> None:
        """An outage begins; `fault` is its cause."""
        self._outage = fault
        self._world.log(self.name, "outage begins", {"fault": fault})

    def recover(self) -> None:
        """The outage ends."""
        self._outage = None
        self._world.log(self.name, "outage ends", {})

    def order(self, order: Order) -> Order:
        """A fault wants something done to the next telemetry datagrams."""
        self._orders.append(order)
        return order

    def send(self, direction: str, packet: Packet) -> None:
        """A datagram enters the link."""
        purpose = self._purposes.get(packet.to.port, "other")
        size = len(packet.data) + IP_UDP_BYTES
        tally = self.tallies.get((direction, purpose))
        if tally is None:
            tally = self.tallies[(direction, purpose)] = Tally()
        tally.packets += 1
        tally.bytes += size
        delay_ns, twice = 0, False
        if self._orders and purpose == TELEMETRY:
            order = self._next_order()
            if order.kind == "lose":
                self._lose(direction, purpose, packet, "lose", order.fault)
                return
            packet, delay_ns, twice = self._obey(order, direction, purpose, packet)
        if self._outage is not None:
            self._lose(direction, purpose, packet, "outage", self._outage)
            return
        self._through_model(direction, purpose, packet, delay_ns)
        if twice:
            self._through_model(direction, purpose, packet, delay_ns)

    def _through_model(self, direction: str, purpose: str, packet: Packet, delay_ns: int) -> None:
        now_ns = self._world.now_ns()
        passage = self.models[direction].send(now_ns, len(packet.data) + IP_UDP_BYTES)
        if passage.dropped is not None:
            self._lose(direction, purpose, packet, passage.dropped, PROFILES_OWN)
        for copy in passage.copies:
            if copy.corrupted:
                self._lose(direction, purpose, packet, "checksum", PROFILES_OWN)
                continue
            due_ns = copy.due_ns + delay_ns
            self._world.call_at(due_ns, lambda: self._arrive(direction, purpose, packet))

    def _arrive(self, direction: str, purpose: str, packet: Packet) -> None:
        cause, fault = self._world.arrive(packet)
        if cause is not None:
            self._lose(direction, purpose, packet, cause, fault)

    def _lose(self, direction: str, purpose: str, packet: Packet, cause: str, fault: int) -> None:
        tally = self.tallies[(direction, purpose)]
        tally.lost_packets += 1
        tally.lost_bytes += len(packet.data) + IP_UDP_BYTES
        self._note("lost", direction, purpose, packet, fault, cause=cause)

    def _next_order(self) -> Order:
        order = self._orders[0]
        order.left -= 1
        order.fired += 1
        if order.left == 0:
            self._orders.pop(0)
        return order

    def _obey(
        self, order: Order, direction: str, purpose: str, packet: Packet
    ) -> tuple[Packet, int, bool]:
        """Do what a fault ordered: the packet as it goes on, its extra delay, whether twice."""
        if order.kind == "corrupt":
            flipped = self._flip(packet, order.fired)
            becomes = short_hash(flipped.data)
            self._note("corrupted", direction, purpose, packet, order.fault, becomes=becomes)
            return flipped, 0, False
        what = {"delay": "delayed", "duplicate": "duplicated"}[order.kind]
        self._note(what, direction, purpose, packet, order.fault)
        return packet, order.by_ns, order.kind == "duplicate"

    def _flip(self, packet: Packet, nth: int) -> Packet:
        """One bit flips; which one is the link's own random stream's choice."""
        at = child_seed(self._flips, str(nth)) % (len(packet.data) * 8)
        data = bytearray(packet.data)
        data[at // 8] ^= 1 << at % 8
        return Packet(packet.source, packet.to, bytes(data))

    def _note(
        self,
        what: str,
        direction: str,
        purpose: str,
        packet: Packet,
        fault: int,
        **detail: str | int,
    ) -> None:
        size = len(packet.data) + IP_UDP_BYTES
        facts: dict[str, str | int] = {"direction": direction, "fault": fault, "purpose": purpose}
        facts |= {"bytes": size, "sha": short_hash(packet.data), **detail}
        self._world.log(self.name, what, facts)


def short_hash(data: bytes) -> str:
    """How the log names a payload: the first 16 hexadecimal digits of its SHA-256."""
    return sha256(data).hexdigest()[:16]
