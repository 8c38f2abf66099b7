"""Carries the faults of a scenario out on a live run, and counts how often each really acted.

Every fault has one function here that does it; lasting faults return what ends them. When each
began and ended is noted in true time, since real things take their time. What acts on bytes, the
pump and the player say; the facts that are written here say what was done to hosts.
"""

import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fieldproof import faults
from fieldproof.inflict import HURTS
from fieldproof.live.ground import Ground
from fieldproof.live.hosts import LiveHost
from fieldproof.oracle import trees
from fieldproof.oracle.log import short_hash
from fieldproof.oracle.xrio import RECORD_BYTES
from fieldproof_contract import SECOND_NS, Address
from fieldproof_simulators.links.live.process import OrderKind

End = Callable[[], None]
"""What undoes a lasting fault."""

ORDERS: dict[type[faults.Value], OrderKind] = {
    faults.Lose: "lose",
    faults.Duplicate: "duplicate",
    faults.Corrupt: "corrupt",
    faults.Reorder: "delay",
}
"""Faults of datagrams, and what the pump calls them."""

_PORTS = {"repair": 24990, "manifest": 24991}
"""Where spoofs go that are not telemetry."""

STRANGERS_PORT = 4242


@dataclass(slots=True)
class Inflicted:
    """One fault of the scenario in this run."""

    index: int  # in scenario.faults
    timed: faults.Timed
    at_ns: int  # true time, as planned
    until_ns: int | None
    struck: int = 0
    from_ns: int = -1  # true time, as it was
    ended_ns: int | None = None


class Inflictor:
    """All faults of a run."""

    def __init__(self, ground: Ground, plan: list[Inflicted]) -> None:
        self.plan = plan
        self.dark: list[str] = []  # links in an outage, once for each
        self._ground = ground
        for item in plan:
            ground.calendar.call_at(item.at_ns, partial(self._strike, item))

    def struck_ns(self, item: Inflicted) -> tuple[int, int | None]:
        """From when to when a fault lasted; as planned, where it never struck."""
        if item.from_ns < 0:
            return item.at_ns, item.until_ns
        return item.from_ns, item.ended_ns

    def _strike(self, item: Inflicted) -> None:
        item.from_ns = self._ground.calendar.now_ns()
        end = self._do(item)
        if end is not None and item.until_ns is not None:
            self._ground.calendar.call_at(item.until_ns, partial(self._end, item, end))

    def _end(self, item: Inflicted, end: End) -> None:
        end()
        item.ended_ns = self._ground.calendar.now_ns()

    def _do(self, item: Inflicted) -> End | None:
        """Carry one fault out; what ends it, where it lasts."""
        fault = item.timed.fault
        match fault:
            case faults.Lose() | faults.Duplicate() | faults.Corrupt() | faults.Reorder():
                self._order(item, fault)
            case faults.Outage(link):
                return self._outage(item, link)
            case faults.Kill(host, restart_after_s):
                self._fell(item, host, "kill")
                up_ns = item.from_ns + round(restart_after_s * SECOND_NS)
                raised = partial(self._ground.boot, self._ground.hosts[host])
                self._ground.calendar.call_at(up_ns, partial(self._end, item, raised))
            case faults.PowerCut(host, restart_after_s):
                self._cut_power(item, host)
                up_ns = item.from_ns + round(restart_after_s * SECOND_NS)
                raised = partial(self._ground.boot, self._ground.hosts[host])
                self._ground.calendar.call_at(up_ns, partial(self._end, item, raised))
            case faults.CenterDown(host):
                self._fell(item, host, "center down")
                return partial(self._ground.boot, self._ground.hosts[host])
            case faults.Freeze(host):
                return self._freeze(item, self._ground.hosts[host])
            case faults.ClockStep(host, by_s):
                self._step(item, self._ground.hosts[host], round(by_s * SECOND_NS))
            case faults.ClockDrift(host, ppm):
                return self._drift(item, self._ground.hosts[host], round(ppm * 1000))
            case faults.DiskFull(host):
                return self._fill(item, host)
            case faults.RotRecord(host, bit):
                self._rot(item, self._ground.hosts[host], bit)
            case faults.Spoof():
                self._spoof(item, fault)
            case faults.DeadPreamplifier():
                item.struck += 1  # the instrument was built with it
            case faults.Unplug(host):
                return self._unplug(item, host)
            case _:
                return self._hurt(item, fault)
        return None

    def _log(self, item: Inflicted, where: str, what: str, **detail: str | int) -> None:
        facts: Mapping[str, str | int] = {"fault": item.index, **detail}
        self._ground.fact(where, what, **facts)

    # --- links ---

    def _order(
        self,
        item: Inflicted,
        fault: faults.Lose | faults.Duplicate | faults.Corrupt | faults.Reorder,
    ) -> None:
        by_ns = round(fault.by_s * SECOND_NS) if isinstance(fault, faults.Reorder) else 0
        kind = ORDERS[type(fault)]
        self._ground.pump.order(fault.link, kind, fault.count, item.index, by_ns)

    def _outage(self, item: Inflicted, link: str) -> End:
        self._ground.pump.go_dark(link, item.index)
        self.dark.append(link)
        item.struck += 1

        def end() -> None:
            self._ground.pump.recover(link, item.index)
            self.dark.remove(link)

        return end

    def _spoof(self, item: Inflicted, spoof: faults.Spoof) -> None:
        """A stranger's packets reach their host by no link of ours."""
        ground = self._ground
        name = spoof.site if spoof.kind == "repair" else ground.scenario.center.name
        to = Address(ground.hosts[name].place.address, _PORTS.get(spoof.kind, trees.TELEMETRY_PORT))
        utc_s = ground.utc.at(ground.calendar.now_ns()) // SECOND_NS
        via = next(site.via for site in ground.scenario.sites if site.name == spoof.site)
        capture = ground.captures / f"{via}-offered.pcap"
        made = ground.strangers.forge(spoof, utc_s, to, STRANGERS_PORT, capture)
        sha, size = short_hash(made.payload), len(made.payload)
        self._log(item, name, "spoofed", kind=spoof.kind, sha=sha, bytes=size)
        for packet in made.packets:
            ground.pump.inject(name, packet)
        item.struck += 1

    # --- hosts ---

    def _fell(self, item: Inflicted, name: str, cause: str) -> None:
        host = self._ground.hosts[name]
        host.kill()
        self._ground.quiet(host)
        self._log(item, name, "host down", cause=cause)
        item.struck += 1

    def _cut_power(self, item: Inflicted, name: str) -> None:
        """The power goes while the processes still run; what the journal did not keep is gone."""
        disk = self._ground.frail_disks[name]
        held = _sizes(disk.folder)
        disk.cut()
        self._fell(item, name, "power cut")
        disk.remount()
        kept = _sizes(disk.folder)
        for path, size in sorted(held.items()):
            if size > kept.get(path, 0):
                lost = size - kept.get(path, 0)
                self._ground.fact(name, "disk lost", path=path, bytes=lost)

    def _freeze(self, item: Inflicted, host: LiveHost) -> End:
        host.freeze()
        item.struck += 1
        self._log(item, host.name, "host frozen")

        def end() -> None:
            self._log(item, host.name, "host thawed")
            host.thaw()

        return end

    def _step(self, item: Inflicted, host: LiveHost, by_ns: int) -> None:
        host.clock.step(self._ground.calendar.now_ns(), by_ns)
        host.set_clock()
        item.struck += 1
        self._log(item, host.name, "clock stepped", by_ns=by_ns)

    def _drift(self, item: Inflicted, host: LiveHost, ppb: int) -> End:
        host.clock.drift(self._ground.calendar.now_ns(), ppb)
        host.set_clock()
        item.struck += 1
        self._log(item, host.name, "clock drifting", ppb=ppb)

        def end() -> None:
            step_ns = host.clock.discipline(self._ground.calendar.now_ns())
            host.set_clock()
            self._log(item, host.name, "clock disciplined", by_ns=step_ns)

        return end

    def _fill(self, item: Inflicted, name: str) -> End:
        disk = self._ground.small_disks[name]

        def measure() -> None:
            free_bytes = disk.free_bytes()
            if free_bytes < RECORD_BYTES:
                self._log(item, name, "no room", bytes=free_bytes)

        disk.fill()
        item.struck += 1
        self._log(item, name, "disk full")
        measure()

        def end() -> None:
            measure()
            disk.relieve()
            self._log(item, name, "disk relieved")

        return end

    def _rot(self, item: Inflicted, host: LiveHost, bit: int) -> None:
        disk = host.place.disk
        files = trees.hour_files(disk, host.name)
        path = disk / files[-1].path if files else disk
        offset = path.stat().st_size // RECORD_BYTES * RECORD_BYTES - RECORD_BYTES
        if not files or offset < 0:
            return  # it did not fire, and says so
        with path.open("r+b") as file:
            file.seek(offset + bit // 8)
            (byte,) = file.read(1)
            file.seek(offset + bit // 8)
            file.write(bytes((byte ^ 1 << bit % 8,)))
        item.struck += 1
        self._log(item, host.name, "rotted", path=files[-1].path, offset=offset, bit=bit)

    # --- serial lines ---

    def _unplug(self, item: Inflicted, name: str) -> End:
        ground = self._ground
        ground.unplug(name, item.index)
        item.struck += 1
        return partial(ground.replug, name, item.index)

    def _hurt(self, item: Inflicted, fault: faults.Fault) -> End | None:
        kind = HURTS.get(type(fault))
        if kind is None:
            raise ValueError(f"{type(fault).__name__} cannot be done in the live tier.")
        numbers = {
            name: getattr(fault, name) for name in ("count", "percent") if hasattr(fault, name)
        }
        name = getattr(fault, "host", "")
        self._ground.player.hurt(name, kind, item.index, **numbers)
        item.struck += 1
        if item.until_ns is None:
            return None
        return partial(self._ground.player.heal, name, kind, item.index)


def _sizes(folder: Path) -> dict[str, int]:
    """The bytes of every file below a folder. Its system may still run, and change it meanwhile."""
    sizes = {}
    for path in trees.below(folder):
        with suppress(OSError):
            about = path.lstat()
            if stat.S_ISREG(about.st_mode):
                sizes[path.relative_to(folder).as_posix()] = about.st_size
    return sizes
