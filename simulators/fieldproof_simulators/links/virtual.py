"""A link in virtual time: what becomes of a datagram is said in `fates`, when it arrives here.

The world's clock carries it: a copy that the model lets through arrives by a call at its due time.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, Self

from fieldproof_contract import Address
from fieldproof_simulators.links.fates import (
    IP_UDP_BYTES,
    PROFILES_OWN,
    TELEMETRY,
    Detail,
    Fates,
    Flight,
    Order,
    Tally,
    models,
    short_hash,
)
from fieldproof_simulators.links.profiles import Profile

__all__ = [
    "IP_UDP_BYTES",
    "PROFILES_OWN",
    "TELEMETRY",
    "Order",
    "Packet",
    "Surroundings",
    "Tally",
    "VirtualLink",
    "short_hash",
]


@dataclass(frozen=True, slots=True)
class Packet:
    """One UDP datagram on its way."""

    source: Address
    to: Address
    data: bytes

    @property
    def is_datagram(self) -> bool:
        """Whether orders of faults are for it."""
        return True

    @property
    def service(self) -> int:
        """The port that says what it is for; a TCP segment's is the listener's, both ways."""
        return self.to.port

    @property
    def to_host(self) -> str:
        """The address that it goes to."""
        return self.to.host

    @property
    def payload(self) -> bytes:
        """What it carries."""
        return self.data

    @property
    def ip_bytes(self) -> int:
        """Its length on the wire, headers included."""
        return len(self.data) + IP_UDP_BYTES

    def bearing(self, payload: bytes) -> Self:
        """The same with another payload."""
        return replace(self, data=payload)


class Surroundings(Protocol):
    """What a link needs from its world."""

    def now_ns(self) -> int:
        """True time."""

    def call_at(self, true_ns: int, action: Callable[[], None]) -> None:
        """Do `action` at a true time that is not past."""

    def arrive(self, packet: Packet) -> tuple[str | None, int]:
        """Hand the packet to the host that has its address; why it is lost there, which fault."""

    def log(self, where: str, what: str, detail: Detail) -> None:
        """Write a line to the run's log."""


class VirtualLink(Fates[Packet]):
    """One link of the world; both directions."""

    def __init__(
        self,
        name: str,
        profile: Profile,
        seed: int,
        purposes: Mapping[int, str],
        world: Surroundings,
    ) -> None:
        """`purposes`: by the port that says it, what a datagram is for."""
        super().__init__(name, models(name, profile, seed), seed)
        self._purposes = purposes
        self._world = world

    def send(self, direction: str, packet: Packet) -> None:
        """A datagram enters the link."""
        self.enter(direction, self._purposes.get(packet.service, "other"), packet)

    def _through_model(self, flight: Flight[Packet]) -> None:
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

    def _arrive(self, flight: Flight[Packet]) -> None:
        cause, fault = self._world.arrive(flight.becomes)
        if cause is not None:
            self._lose(flight, cause, fault)

    def _say(self, what: str, detail: Detail) -> None:
        self._world.log(self.name, what, detail)
