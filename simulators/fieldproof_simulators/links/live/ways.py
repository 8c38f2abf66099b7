"""A live link: the rules of `fates` for raw packets, and the two ways that carry them.

The path of a packet that nothing happens to is short, for it is the path of every packet: it is
tallied, captured, and goes by the model's word (`Way.offer`). Only where a fault has to do with it,
or where the model does anything but delay it, does it become a `Flight` and take the long way
through `Fates`, which also writes the facts.

A copy that the model corrupts is tallied and said to be lost at the checksum, as in virtual time,
and is delivered all the same with a flipped bit: the kernel at the far end really drops it.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from fieldproof_contract import SECOND_NS
from fieldproof_simulators.links.fates import PROFILES_OWN, Detail, Fates, Flight, Order, Tally
from fieldproof_simulators.links.live.evidence import Capture
from fieldproof_simulators.links.live.figures import Rate, Timing, asked
from fieldproof_simulators.links.live.ip import OTHER, RawPacket, damaged, purpose_of
from fieldproof_simulators.links.netem import Copy, LinkModel, Passage
from fieldproof_simulators.links.profiles import Profile
from fieldproof_simulators.streams import child_seed

MACHINE = "machine"
"""The cause of a loss that nobody asked for: the machine could not keep up, or refused."""

NOWHERE = "no such address"
"""The cause of a loss at the far end: nobody has the address any more."""


class Fate(NamedTuple):
    """What is special about a copy that is on its way."""

    flight: Flight[RawPacket]
    is_lost: bool  # it is said to be lost already, and dies at the far end's checksum


class Traffic(Protocol):
    """What a link needs of the engine."""

    def now_ns(self) -> int:
        """True time."""

    def depart(
        self, due_ns: int, way: "Way", raw: bytes, entered_ns: int, fate: Fate | None
    ) -> None:
        """Have a copy leave at its due time."""

    def say(self, where: str, what: str, detail: Detail) -> None:
        """Write a fact."""


class Way:
    """One direction of a link, and its account."""

    def __init__(
        self,
        link: "LiveLink",
        direction: str,
        profile: Profile,
        purposes: Mapping[int, str],
        traffic: Traffic,
    ) -> None:
        self.link = link
        self.direction = direction
        self.timing = Timing()
        self.rate = Rate()
        self.delivered = 0
        self.delivered_bytes = 0
        self.held = 0  # copies on their way
        self.duplicated = 0
        self.lost = {"model": 0, "fault": 0, MACHINE: 0}
        self.traffic = traffic
        self.model: LinkModel = link.models[direction]
        self._impairments = profile.up if direction == "up" else profile.down
        self._purposes = purposes
        self._tallies: dict[str, Tally] = {}  # by purpose

    def offer(self, now_ns: int, raw: bytes) -> None:
        """A whole packet enters."""
        self.count(now_ns, raw)
        link = self.link
        if link.is_disturbed:
            link.befall(self.flight(raw))
            return
        passage = self.model.send(now_ns, len(raw))
        copies = passage.copies
        if len(copies) == 1 and not copies[0].corrupted:
            self.held += 1
            self.traffic.depart(copies[0].due_ns, self, raw, now_ns, None)
        else:
            link.carry_out(self.flight(raw), passage, now_ns)

    def count(self, now_ns: int, raw: bytes) -> None:
        """Tally and capture what enters."""
        purpose = purpose_of(raw, self._purposes)
        tally = self._tallies.get(purpose) or self._tally(purpose)
        tally.packets += 1
        tally.bytes += len(raw)
        self.link.offered.packet(now_ns, raw)

    def ask_kernel(self, raw: bytes) -> None:
        """The model has decided about a packet; only netem's way asks somebody else as well."""

    def go(self, due_ns: int, raw: bytes, now_ns: int, fate: Fate) -> None:
        """A copy is on its way."""
        self.held += 1
        self.traffic.depart(due_ns, self, raw, now_ns, fate)

    def leave(
        self, due_ns: int, entered_ns: int, left_ns: int, raw: bytes, fate: Fate | None
    ) -> None:
        """A copy was handed to the host at the far end."""
        self.link.delivered.packet(left_ns, raw)
        self.timing.add(left_ns - due_ns, left_ns - entered_ns)
        self.held -= 1
        if fate is None or not fate.is_lost:
            self.delivered += 1
            self.delivered_bytes += len(raw)

    def fail(self, raw: bytes, cause: str, fate: Fate | None) -> None:
        """A copy could not be handed to a host."""
        self.held -= 1
        if fate is None:
            self.link.lose(self.flight(raw), cause)
        elif not fate.is_lost:
            self.link.lose(fate.flight, cause)

    def carry_bytes(self, port: int, packets: int, size: int) -> None:
        """Count what crosses by no packet of ours; `size` is with headers."""
        tally = self._tally(self._purposes.get(port, OTHER))
        tally.packets += packets
        tally.bytes += size
        self.delivered += packets
        self.delivered_bytes += size

    def stream_due_ns(self, now_ns: int, last_due_ns: int, size: int) -> int:
        """When bytes that are sent now arrive, behind those that arrived or arrive last."""
        link = self._impairments
        due_ns = max(now_ns + link.delay_ns, last_due_ns)
        if link.rate_bit_s:
            due_ns += (size + link.overhead_bytes) * 8 * SECOND_NS // link.rate_bit_s
        return due_ns

    def look(self, now_ns: int) -> None:
        """Note the rate until now."""
        overhead_bytes = self.delivered * self._impairments.overhead_bytes
        self.rate.look(now_ns, 8 * (self.delivered_bytes + overhead_bytes))

    def flight(self, raw: bytes) -> Flight[RawPacket]:
        """A packet, tallied already, to which something happens."""
        packet = RawPacket(raw)
        purpose = purpose_of(raw, self._purposes)
        return Flight(self.direction, purpose, packet, packet, len(raw))

    @property
    def offered(self) -> int:
        """Packets that entered."""
        return sum(tally.packets for tally in self._tallies.values())

    @property
    def offered_bytes(self) -> int:
        """Bytes that entered."""
        return sum(tally.bytes for tally in self._tallies.values())

    def achieved(self) -> dict[str, str | int | float | None]:
        """The row of this direction: offered + duplicated = delivered + held + lost by model,
        fault and machine, but for what the machine lost outside of the pump."""
        return {
            "link": self.link.name,
            "direction": self.direction,
            "backend": self.link.backend,
            "offered": self.offered,
            "duplicated": self.duplicated,
            "delivered": self.delivered,
            **{f"lost_by_{whom}": count for whom, count in self.lost.items()},
            "held": self.held,
            **asked(self._impairments),
            **self.timing.figures(),
            "rate_bit_s": self.rate.busiest_bit_s,
        }

    def _tally(self, purpose: str) -> Tally:
        tally = self.link.tallies.setdefault((self.direction, purpose), Tally())
        self._tallies[purpose] = tally
        return tally


class LiveLink(Fates[RawPacket]):
    """Both directions of a link, its captures and its facts."""

    def __init__(
        self,
        name: str,
        profile: Profile,
        models: dict[str, LinkModel],
        seed: int,
        purposes: Mapping[int, str],
        traffic: Traffic,
        capture: Callable[[str], Capture],
        backend: str,
        way: type[Way],
    ) -> None:
        """`capture` opens the capture of a name."""
        super().__init__(name, models, seed)
        self.backend = backend
        self.offered = capture(f"{name}-offered")
        self.delivered = capture(f"{name}-delivered")
        self.ways = {
            direction: way(self, direction, profile, purposes, traffic)
            for direction in ("up", "down")
        }
        self.ordered: list[Order] = []
        self._traffic = traffic
        self._damages = child_seed(seed, f"link:{name}:damages")
        self._damaged = 0

    @property
    def is_disturbed(self) -> bool:
        """Whether a fault has to do with what enters now."""
        return bool(self._orders or self._dark)

    def order(self, order: Order) -> Order:
        """A fault wants something done to the next telemetry datagrams."""
        self.ordered.append(order)
        return super().order(order)

    def befall(self, flight: Flight[RawPacket]) -> None:
        """A packet, tallied already, enters while a fault lasts."""
        self._befall(flight)

    def carry_out(self, flight: Flight[RawPacket], passage: Passage, now_ns: int) -> None:
        """Do with a packet what the model said."""
        self.ways[flight.direction].ask_kernel(flight.becomes.raw)
        if passage.dropped is not None:
            self._lose(flight, passage.dropped, PROFILES_OWN)
        if len(passage.copies) > 1:
            self._note("duplicated", flight, PROFILES_OWN)
        for copy in passage.copies:
            if copy.corrupted:
                self._lose(flight, "checksum", PROFILES_OWN)
            self._depart(flight, copy, now_ns)

    def lose(self, flight: Flight[RawPacket], cause: str) -> None:
        """A copy died at the far end."""
        self._lose(flight, cause, PROFILES_OWN)

    def flush(self) -> None:
        """Write the captures out."""
        self.offered.flush()
        self.delivered.flush()

    def close(self) -> None:
        """End the captures."""
        self.offered.close()
        self.delivered.close()

    def _through_model(self, flight: Flight[RawPacket]) -> None:
        now_ns = self._traffic.now_ns()
        passage = self.models[flight.direction].send(now_ns, flight.bytes)
        self.carry_out(flight, passage, now_ns)

    def _depart(self, flight: Flight[RawPacket], copy: Copy, now_ns: int) -> None:
        raw = flight.becomes.raw
        if copy.corrupted:
            self._damaged += 1
            raw = damaged(raw, child_seed(self._damages, str(self._damaged)))
        fate = Fate(flight, copy.corrupted)
        self.ways[flight.direction].go(copy.due_ns + flight.late_ns, raw, now_ns, fate)

    def _lose(self, flight: Flight[RawPacket], cause: str, fault: int) -> None:
        super()._lose(flight, cause, fault)
        by_fault = fault != PROFILES_OWN or cause == NOWHERE
        whom = MACHINE if cause == MACHINE else "fault" if by_fault else "model"
        self.ways[flight.direction].lost[whom] += 1

    def _note(self, what: str, flight: Flight[RawPacket], fault: int, **detail: str | int) -> None:
        super()._note(what, flight, fault, **detail)
        if what == "duplicated":
            self.ways[flight.direction].duplicated += 1

    def _say(self, what: str, detail: Detail) -> None:
        self._traffic.say(self.name, what, detail)
