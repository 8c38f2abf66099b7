"""The virtual world: simpy's clock, and hosts, links and lines that live by it.

True time is simpy's: integer nanoseconds since the world began. Everything that happens is a call
at a true time; calls of one instant happen in the order in which they were asked for. Nothing here
reads a real clock, draws an unseeded number, or depends on the order of a set, so one seed gives
one world, on every machine.

The world carries faults out (`kill`, `cut_power`, `outage`, ...); which and when, the harness says.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path

import simpy

from fieldproof_contract import Address, Datagram
from fieldproof_simulators.engines.desk import Draw, Shown
from fieldproof_simulators.engines.jobs import Tools
from fieldproof_simulators.engines.live.tools import RealTools
from fieldproof_simulators.instruments.riometer import Riometer
from fieldproof_simulators.lines.feed import Feed, SecondsFeed, WordsFeed
from fieldproof_simulators.links.outages import intervals
from fieldproof_simulators.links.profiles import Profile
from fieldproof_simulators.links.segments import Segment
from fieldproof_simulators.links.virtual import PROFILES_OWN, Packet, VirtualLink
from fieldproof_simulators.machines.clock import HostClock, TrueUtc, iso
from fieldproof_simulators.machines.disk import Disk
from fieldproof_simulators.machines.host import Host
from fieldproof_simulators.machines.spool import Spool
from fieldproof_simulators.streams import child_seed

Detail = Mapping[str, str | int]

HOUSEKEEPING_NS = 3_600_000_000_000
"""How often files that are left alone go from memory to the run directory."""


MTU_BYTES = 1500
"""The largest packet where no link of ours is on the way."""

UDP_BYTES = 65_507
"""The most data that one UDP datagram carries over IPv4 (RFC 768, RFC 791)."""


class EventLog:
    """`log.jsonl`, written as it happens, with the SHA-256 of all of it.

    A fact of the world has its place under "where", its name under "what", and its details beside
    them. What a node says is marked by "by", and is all below "said" and "detail": no system can
    state a fact, or the time of anything."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._hash = sha256()

    def fact(self, ns: int, utc: str, where: str, what: str, detail: Detail) -> None:
        """Something happened in the world."""
        self._write({"ns": ns, "utc": utc, "where": where, "what": what, **detail})

    def said(self, ns: int, utc: str, by: str, what: str, detail: Detail) -> None:
        """The node `host/node` says something."""
        self._write({"ns": ns, "utc": utc, "by": by, "said": what, "detail": dict(detail)})

    def _write(self, line: Mapping[str, object]) -> None:
        # A text of a node may hold what UTF-8 cannot: a question mark stands for it.
        text = json.dumps(line, ensure_ascii=False).encode(errors="replace") + b"\n"
        self._hash.update(text)
        self._file.write(text)

    def close(self) -> str:
        """End the log; its SHA-256 in hexadecimal."""
        self._file.close()
        return self._hash.hexdigest()


class World:
    """See the head of this file. `run_dir` receives the log and, at the end, every disk."""

    def __init__(
        self,
        seed: int,
        begins_utc_ns: int,
        run_dir: Path,
        purposes: Mapping[int, str],
        draw: Draw | None = None,
    ) -> None:
        """`purposes`: what a packet is for, by port. `draw` makes a plot of a document."""
        self.seed = seed
        self.tools: Tools = RealTools()
        self.draw = draw
        self.utc = TrueUtc(begins_utc_ns)
        self.hosts: dict[str, Host] = {}
        self.links: dict[str, VirtualLink] = {}
        self.lines: dict[str, WordsFeed] = {}  # by host; those that every word crosses
        self.event_log = EventLog(run_dir / "log.jsonl")
        self._spool = Spool(run_dir / "disks")
        self._purposes = purposes
        self._env = simpy.Environment(initial_time=0)
        self._now_ns = 0  # what the environment says, without asking: it is asked for all the time
        self._feeds: dict[str, list[Feed]] = {}
        self._link_of: dict[str, VirtualLink] = {}  # by the name of the site's host
        self._mtu_bytes: dict[str, int] = {}  # by link
        self._draws: dict[str, int] = {}
        self.call_at(HOUSEKEEPING_NS, self._housekeep)

    # --- what hosts, links and lines need ---

    def now_ns(self) -> int:
        """True time."""
        return self._now_ns

    def call_at(self, true_ns: int, action: Callable[[], None]) -> None:
        """Do `action` at a true time that is not past. Raises ValueError for one that is."""

        def happen(_: simpy.Event) -> None:
            self._now_ns = true_ns
            action()

        event = simpy.Timeout(self._env, true_ns - self._now_ns)
        event.callbacks.append(happen)

    def log(self, where: str, what: str, detail: Detail) -> None:
        """Write a fact to the run's log."""
        now_ns = self.now_ns()
        self.event_log.fact(now_ns, iso(self.utc.at(now_ns)), where, what, detail)

    def said(self, by: str, what: str, detail: Detail) -> None:
        """Write to the run's log what the node `host/node` says."""
        now_ns = self.now_ns()
        self.event_log.said(now_ns, iso(self.utc.at(now_ns)), by, what, detail)

    def transmit(self, host: Host, port: int, to: Address, data: bytes) -> None:
        """A datagram leaves a host: a site's by its link up, the center's by the site's link down.

        A datagram to nobody's address is lost without a link, as on the Internet. Raises OSError
        for what is no datagram: too long, or with a port that is none."""
        if len(data) > UDP_BYTES:
            raise OSError(f"A datagram of {len(data)} bytes is too long: {UDP_BYTES} is the most.")
        if not (0 < port < 65536 and 0 < to.port < 65536):
            raise OSError(f"A datagram cannot go from port {port} to port {to.port}.")
        self._send(host, Packet(Address(host.address, port), to, data))

    def carry(self, host: Host, segment: Segment) -> None:
        """A segment of a stream leaves a host, on the same way as a datagram."""
        self._send(host, segment)

    def mtu_bytes(self, host: Host, to: str) -> int:
        """The largest packet on the way from a host to an address."""
        _, link = self._way(host, to)
        return MTU_BYTES if link is None else self._mtu_bytes.get(link.name, MTU_BYTES)

    def shown(self, at: Address) -> Shown | None:
        """What the rsync daemon at an address shows; None where there is none."""
        for host in self.hosts.values():
            if host.address == at.host:
                return host.engines.shown(at.port)
        return None

    def _send(self, host: Host, packet: Packet) -> None:
        direction, link = self._way(host, packet.to.host)
        if link is None:
            self.log(host.name, "no route", {"to": packet.to.host, "bytes": len(packet.data)})
        else:
            link.send(direction, packet)

    def _way(self, host: Host, to: str) -> tuple[str, VirtualLink | None]:
        """The link on the way from a host to an address, and the direction; None for no way."""
        if host.name in self._link_of:
            return "up", self._link_of[host.name]
        for name, link in self._link_of.items():
            if self.hosts[name].address == to:
                return "down", link
        return "", None

    def arrive(self, packet: Packet) -> tuple[str | None, int]:
        """A packet comes out of a link: why it is lost at the far end, and by which fault."""
        for host in self.hosts.values():
            if host.address == packet.to.host:
                if isinstance(packet, Segment):
                    cause = host.reached(packet)
                else:
                    cause = host.hears(Datagram(packet.to.port, packet.source, packet.data))
                return cause, -1 if cause is None else host.fault
        return "no such address", -1

    # --- building ---

    def add_host(self, name: str, address: str) -> Host:
        """A machine with a clock disciplined by GPS and an empty disk; down until `boot`."""
        disk = Disk(self._spool.platter(name))
        host = Host(name, address, HostClock(self.utc), disk, self)
        self.hosts[name] = host
        self._feeds[name] = []
        return host

    def add_link(self, name: str, profile: Profile, until_ns: int) -> None:
        """A link; `connect` puts sites on it. The profile's own outages strike until `until_ns`."""
        link = VirtualLink(name, profile, self.seed, self._purposes, self)
        self.links[name] = link
        self._mtu_bytes[name] = profile.mtu_bytes
        if profile.outages is not None:
            seed = child_seed(self.seed, f"link:{name}")
            for from_ns, to_ns in intervals(profile.outages, seed, self.now_ns(), until_ns):
                self.call_at(from_ns, partial(link.go_dark, PROFILES_OWN))
                self.call_at(to_ns, partial(link.recover, PROFILES_OWN))

    def connect(self, site: Host, link: VirtualLink) -> None:
        """The site reaches the center, and the center the site, over this link."""
        self._link_of[site.name] = link

    def add_riometer(self, host: Host, riometer: Riometer, fidelity: str) -> None:
        """The instrument's serial line goes to this host. Fidelity: `words` or `seconds`."""
        if fidelity == "words":
            line = self.lines[host.name] = WordsFeed(riometer, host, self)
            self._feeds[host.name].append(line)
        else:
            self._feeds[host.name].append(SecondsFeed(riometer, host, self))

    # --- running ---

    def boot(self, host: Host) -> None:
        """The host comes up; its lines begin."""
        self.log(host.name, "host up", {})
        host.boot()
        for feed in self._feeds[host.name]:
            feed.begin()

    def run_until(self, true_ns: int) -> None:
        """Let everything happen that happens before `true_ns`."""
        self._env.run(until=true_ns)
        self._now_ns = true_ns

    def close(self) -> str:
        """Store every disk below the run directory; the log's SHA-256."""
        for host in self.hosts.values():
            host.disk.store_all()
        self._spool.finish()
        return self.event_log.close()

    def generators_end(self) -> Iterator[tuple[str, str]]:
        """The end state of every random generator: a re-run must reproduce it."""
        for name, link in self.links.items():
            for direction, model in link.models.items():
                state = " ".join(f"{word:08x}" for word in model.state)
                yield f"link:{name}:{direction}", f"{state} after {model.draws}"
        for name, drawn in self._draws.items():
            yield name, str(drawn)

    # --- hurting ---

    def kill(self, host: Host, cause: str, fault: int, powered: bool = True) -> None:
        """Processes die; the disk keeps everything that was written."""
        self.log(host.name, "host down", {"cause": cause, "fault": fault})
        host.die(fault, powered)

    def cut_power(self, host: Host, fault: int) -> None:
        """Processes die and unsynced tails are cut at random bytes."""
        self.kill(host, "power cut", fault, powered=False)
        for path, size in host.disk.power_cut(lambda most: self._draw(f"disk:{host.name}", most)):
            self.log(host.name, "disk lost", {"path": path, "bytes": size})

    def _draw(self, name: str, most: int) -> int:
        """A number from 0 to `most` of the named stream."""
        self._draws[name] = self._draws.get(name, 0) + 1
        return child_seed(self.seed, f"{name}:{self._draws[name]}") % (most + 1)

    def _housekeep(self) -> None:
        for host in self.hosts.values():
            host.disk.settle_cold()
        self._spool.announce()
        self.call_at(self.now_ns() + HOUSEKEEPING_NS, self._housekeep)
