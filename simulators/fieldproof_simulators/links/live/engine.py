"""The engine of the pump: packets come from hosts, go through links, and are handed to hosts.

    port of a host --> way of a link (fates) --> heap of (due, sequence) --> port of a host

A site's packet goes up its link, whatever its address; the center's goes down the link of the site
that has the address, and is lost without a link where no site has it, as on the Internet. Where a
packet comes out, it is handed to the host that has its address at that moment.

Packets leave by due time, and those due together in the order in which they were sent. What is due
at once is handed over at once, but never ahead of what is due already.

The engine never waits. Each batch of one host's packets is followed by a batch of what is due, so
that neither side can starve the other, however many hosts send at once. Batches are small: what is
due waits until one is read, and at 60 000 packets a second, in bursts, that waiting is most of how
late packets leave.

What is no whole IPv4 packet is dropped and counted.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from socket import inet_aton

from fieldproof_simulators.links.fates import Detail
from fieldproof_simulators.links.live.evidence import Capture, Facts
from fieldproof_simulators.links.live.ip import RawPacket, whole
from fieldproof_simulators.links.live.ports import Drops, Port
from fieldproof_simulators.links.live.ways import MACHINE, NOWHERE, Fate, LiveLink, Way
from fieldproof_simulators.links.netem import LinkModel
from fieldproof_simulators.links.profiles import Profile

BATCH = 16


class Engine:
    """All links of a run. `clock` is true time in nanoseconds, which never goes back."""

    def __init__(
        self,
        clock: Callable[[], int],
        begins_utc_ns: int,
        folder: Path,
        seed: int,
        purposes: Mapping[int, str],
    ) -> None:
        """Captures and facts go to `folder`; `purposes` is by port."""
        self.now_ns = clock
        self.links: dict[str, LiveLink] = {}
        self.facts = Facts(folder / "facts.jsonl")
        self.strange: Counter[str] = Counter()
        """By host: what it sent that is no IPv4."""
        self._begins_utc_ns = begins_utc_ns
        self._folder = folder
        self._seed = seed
        self._purposes = purposes
        self._sequence = count()
        self._heap: list[tuple[int, int, Way, bytes, int, Fate | None]] = []
        self._ports: dict[str, Port] = {}
        self._addresses: dict[str, str] = {}  # by host
        self._up: dict[str, Way] = {}  # by site
        self._port_at: dict[bytes, Port] = {}  # by address, as it is in a packet
        self._down_to: dict[bytes, Way] = {}  # likewise
        self._drops: dict[str, Drops] = {}  # by host, as far as charged
        self._charged: dict[Way, int] = {}  # packets delivered at the last look

    # --- building ---

    def add_link(
        self,
        name: str,
        profile: Profile,
        models: dict[str, LinkModel],
        backend: str,
        way: type[Way] = Way,
    ) -> LiveLink:
        """A link, the models of its two directions, and the name of what carries it."""

        def capture(stem: str) -> Capture:
            return Capture(self._folder / f"{stem}.pcap", self._begins_utc_ns)

        link = LiveLink(
            name, profile, models, self._seed, self._purposes, self, capture, backend, way
        )
        self.links[name] = link
        return link

    def add_host(self, port: Port, address: str, link: str | None) -> None:
        """A host; a site with the name of its link, the center without."""
        self._ports[port.host] = port
        self._addresses[port.host] = address
        if link is not None:
            self._up[port.host] = self.links[link].ways["up"]
        self._find_routes()

    def move(self, site: str, address: str) -> None:
        """A host has another address from now on."""
        old, self._addresses[site] = self._addresses[site], address
        self._find_routes()
        for port in self._ports.values():
            port.moved(old, address)

    def _find_routes(self) -> None:
        self._port_at = {
            inet_aton(address): self._ports[host] for host, address in self._addresses.items()
        }
        self._down_to = {
            inet_aton(self._addresses[site]): way.link.ways["down"]
            for site, way in self._up.items()
        }

    # --- packets ---

    def take(self, port: Port) -> None:
        """Let a batch of a host's packets enter, then hand over a batch of what is due. Raises
        OSError where the port is broken."""
        self._admit(port)
        self.leave()

    def _admit(self, port: Port) -> None:
        receive, now_ns = port.receive, self.now_ns
        up, down_to = self._up.get(port.host), self._down_to
        for _ in range(BATCH):
            try:
                raw = whole(receive())
            except BlockingIOError:
                return
            if raw is None:
                self.strange[port.host] += 1
                continue
            way = up or down_to.get(raw[16:20])
            if way is None:
                self._no_route(port.host, raw)
            else:
                way.offer(now_ns(), raw)

    def depart(self, due_ns: int, way: Way, raw: bytes, entered_ns: int, fate: Fate | None) -> None:
        """Have a copy leave at its due time, which may be now."""
        heap = self._heap
        if due_ns <= entered_ns and (not heap or heap[0][0] > due_ns):
            self._hand_over(due_ns, way, raw, entered_ns, fate)
        else:
            heappush(heap, (due_ns, next(self._sequence), way, raw, entered_ns, fate))

    def leave(self) -> None:
        """Hand over a batch of what is due."""
        heap, now_ns = self._heap, self.now_ns()
        for _ in range(BATCH):
            if not heap or heap[0][0] > now_ns:
                return
            due_ns, _, way, raw, entered_ns, fate = heappop(heap)
            self._hand_over(due_ns, way, raw, entered_ns, fate)

    def next_due_ns(self) -> int | None:
        """When something leaves next."""
        return self._heap[0][0] if self._heap else None

    def inject(self, host: str, packet: bytes) -> None:
        """A stranger's packet reaches a host by no link; a fact says where the machine refused."""
        try:
            self._ports[host].deliver(packet)
        except OSError as error:
            self.say(host, "not injected", {"reason": error.strerror or "", "bytes": len(packet)})

    def _hand_over(
        self, due_ns: int, way: Way, raw: bytes, entered_ns: int, fate: Fate | None
    ) -> None:
        port = self._port_at.get(raw[16:20])
        if port is None:
            way.fail(raw, NOWHERE, fate)
            return
        try:
            port.deliver(raw)
        except OSError:
            way.fail(raw, MACHINE, fate)
        else:
            way.leave(due_ns, entered_ns, self.now_ns(), raw, fate)

    def _no_route(self, host: str, raw: bytes) -> None:
        packet = RawPacket(raw)
        self.say(host, "no route", {"to": packet.to_host, "bytes": len(packet.payload)})

    # --- evidence ---

    def say(self, where: str, what: str, detail: Detail) -> None:
        """Write a fact."""
        self.facts.say(self.now_ns(), where, what, detail)

    def look(self) -> None:
        """Note rates and what the machine has lost; now and then."""
        now_ns = self.now_ns()
        for port in self._ports.values():
            self._charge(port)
        for way in self.ways():
            way.look(now_ns)
            self._charged[way] = way.offered + way.delivered

    def ways(self) -> Sequence[Way]:
        """All directions of all links."""
        return [way for link in self.links.values() for way in link.ways.values()]

    def fired(self) -> dict[int, int]:
        """How many datagrams each fault's orders have met."""
        met: Counter[int] = Counter()
        for link in self.links.values():
            for order in link.ordered:
                met[order.fault] += order.fired
        return dict(met)

    def flush(self) -> None:
        """Write captures and facts out."""
        self.facts.flush()
        for link in self.links.values():
            link.flush()

    def close(self) -> None:
        """End: what has not left yet never does."""
        for host, packets in sorted(self.strange.items()):
            self.say(host, "not IPv4", {"packets": packets})
        for port in self._ports.values():
            port.close()
        for link in self.links.values():
            link.close()
        self.facts.close()

    def _charge(self, port: Port) -> None:
        """What the kernel dropped at a host's port is charged to its link. At the center it is that
        of the busiest way of this moment: the kernel does not say whose packets they were."""
        drops = port.drops()
        known = self._drops.get(port.host, Drops(0, 0))
        self._drops[port.host] = drops
        own = self._up.get(port.host)
        for lost, way in (
            (drops.from_host - known.from_host, own or self._busiest("down")),
            (drops.to_host - known.to_host, own.link.ways["down"] if own else self._busiest("up")),
        ):
            if way is not None:
                way.lost[MACHINE] += lost

    def _busiest(self, direction: str) -> Way | None:
        """The way with the most traffic since the last look."""
        ways = [way for way in self.ways() if way.direction == direction]
        return max(
            ways,
            key=lambda way: way.offered + way.delivered - self._charged.get(way, 0),
            default=None,
        )
