"""Carries the faults of a scenario out on a world, and counts how often each really acted.

Every fault has one function here that does it; lasting faults return what ends them. The world logs
what happened to bytes; the lines that are written here say what was done to hosts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import assert_never

from fieldproof.faults import (
    MID_WRITE_WITHIN_S,
    BurstLoss,
    CenterDown,
    ClockDrift,
    ClockStep,
    Cooked,
    Corrupt,
    DeadPreamplifier,
    DiskFull,
    DropBytes,
    Duplicate,
    Freeze,
    Garble,
    Kill,
    Lose,
    MoveAddress,
    Outage,
    PowerCut,
    Reorder,
    RotRecord,
    Spoof,
    Stall,
    Timed,
    Unplug,
    XonXoff,
)
from fieldproof.forge import forged
from fieldproof_contract import SECOND_NS, Address
from fieldproof_simulators.lines.feed import WordsFeed
from fieldproof_simulators.lines.hurts import Hurt
from fieldproof_simulators.links.virtual import Order, Packet, short_hash
from fieldproof_simulators.machines.host import Host
from fieldproof_simulators.world import World

TELEMETRY_PORT = 24985
_PORTS = {"repair": 24990, "manifest": 24991}
"""Where spoofs go that are not telemetry."""

HURTS = {
    Unplug: "unplug",
    DropBytes: "drop",
    BurstLoss: "burst",
    Garble: "garble",
    Stall: "stall",
    Cooked: "cooked",
    XonXoff: "xonxoff",
}
"""Faults of serial lines, and what the line model calls them."""

RECORD_BYTES = 380
STRANGERS_PORT = 4242

End = Callable[[], None]
"""What undoes a lasting fault."""


@dataclass(slots=True)
class Inflicted:
    """One fault of the scenario in this world."""

    index: int  # in scenario.faults
    timed: Timed
    at_ns: int  # true time
    until_ns: int | None
    struck: int = 0
    order: Order | None = None  # of faults that act on datagrams to come
    line: WordsFeed | None = None  # of faults that act on a serial line

    @property
    def fired(self) -> int:
        """How often it acted: datagrams for faults of links' traffic, bytes for those of a serial
        line, else strikes."""
        if self.line is not None:
            return self.line.fired(self.index)
        return self.order.fired if self.order is not None else self.struck


class Inflictor:
    """All faults of a run."""

    def __init__(self, world: World, center: str, plan: list[Inflicted]) -> None:
        self.plan = plan
        self._world = world
        self._center = center
        for item in plan:
            world.call_at(item.at_ns, partial(self._strike, item))

    def _strike(self, item: Inflicted) -> None:
        end = self._do(item)
        if end is not None and item.until_ns is not None:
            self._world.call_at(item.until_ns, end)

    def _do(self, item: Inflicted) -> End | None:
        """Carry one fault out; what ends it, where it lasts."""
        fault = item.timed.fault
        match fault:
            case Lose(link, count):
                self._order(item, link, Order("lose", count, item.index))
            case Duplicate(link, count):
                self._order(item, link, Order("duplicate", count, item.index))
            case Corrupt(link, count):
                self._order(item, link, Order("corrupt", count, item.index))
            case Reorder(link, count, by_s):
                by_ns = round(by_s * SECOND_NS)
                self._order(item, link, Order("delay", count, item.index, by_ns))
            case Outage(link):
                return self._outage(item, link)
            case Kill(host, restart_after_s):
                self._world.kill(self._host(host), "kill", item.index)
                self._restart(item, host, restart_after_s)
            case PowerCut(host, restart_after_s, mid_write):
                self._cut_power(item, host, restart_after_s, mid_write)
            case CenterDown(host):
                item.struck += 1
                self._world.kill(self._host(host), "center down", item.index)
                return partial(self._world.boot, self._host(host))
            case Freeze(host):
                return self._freeze(item, host)
            case ClockStep(host, by_s):
                self._step(item, host, round(by_s * SECOND_NS))
            case ClockDrift(host, ppm):
                return self._drift(item, host, round(ppm * 1000))
            case DiskFull(host):
                return self._fill(item, host)
            case RotRecord(host, bit):
                self._rot(item, host, bit)
            case MoveAddress(host, to):
                item.struck += 1
                self._host(host).address = to
                self._log(item, host, "moved", to=to)
            case Spoof():
                self._spoof(item, fault)
            case DeadPreamplifier():
                item.struck += 1  # the instrument was built with it
            case Unplug() | DropBytes() | BurstLoss() | Garble() | Stall() | Cooked() | XonXoff():
                return self._hurt(item, fault)
            case _:
                assert_never(fault)
        return None

    def _host(self, name: str) -> Host:
        return self._world.hosts[name]

    def _log(self, item: Inflicted, where: str, what: str, **detail: str | int) -> None:
        facts: Mapping[str, str | int] = {"fault": item.index, **detail}
        self._world.log(where, what, facts)

    def _order(self, item: Inflicted, link: str, order: Order) -> None:
        item.order = self._world.links[link].order(order)

    def _hurt(
        self,
        item: Inflicted,
        fault: Unplug | DropBytes | BurstLoss | Garble | Stall | Cooked | XonXoff,
    ) -> End:
        """Something happens to a serial line."""
        line = item.line = self._world.lines[fault.host]
        count, percent = getattr(fault, "count", 0), getattr(fault, "percent", 0.0)
        line.hurt(Hurt(HURTS[type(fault)], item.index, count, percent))
        return partial(line.heal, item.index)

    def _outage(self, item: Inflicted, name: str) -> End:
        link = self._world.links[name]
        link.go_dark(item.index)
        item.struck += 1
        return partial(link.recover, item.index)

    def _restart(self, item: Inflicted, name: str, after_s: float) -> None:
        item.struck += 1
        up_ns = self._world.now_ns() + round(after_s * SECOND_NS)
        self._world.call_at(up_ns, partial(self._world.boot, self._host(name)))

    def _cut_power(self, item: Inflicted, name: str, after_s: float, mid_write: bool) -> None:
        host = self._host(name)

        def cut() -> None:
            self._world.cut_power(host, item.index)
            self._restart(item, name, after_s)

        def wrote() -> None:
            # Not within the write itself: the node's other effects of this instant come first.
            host.disk.on_append = None
            self._world.call_at(self._world.now_ns(), cut)

        def give_up() -> None:
            host.disk.on_append = None

        if mid_write:
            host.disk.on_append = wrote
            self._world.call_at(item.at_ns + MID_WRITE_WITHIN_S * SECOND_NS, give_up)
        else:
            cut()

    def _freeze(self, item: Inflicted, name: str) -> End:
        host = self._host(name)
        host.freeze(item.index)
        item.struck += 1
        self._log(item, name, "host frozen")

        def end() -> None:
            self._log(item, name, "host thawed")
            host.thaw()

        return end

    def _step(self, item: Inflicted, name: str, by_ns: int) -> None:
        self._host(name).clock.step(self._world.now_ns(), by_ns)
        item.struck += 1
        self._log(item, name, "clock stepped", by_ns=by_ns)

    def _drift(self, item: Inflicted, name: str, ppb: int) -> End:
        clock = self._host(name).clock
        clock.drift(self._world.now_ns(), ppb)
        item.struck += 1
        self._log(item, name, "clock drifting", ppb=ppb)

        def end() -> None:
            step_ns = clock.discipline(self._world.now_ns())
            self._log(item, name, "clock disciplined", by_ns=step_ns)

        return end

    def _fill(self, item: Inflicted, name: str) -> End:
        disk = self._host(name).disk

        def measure() -> None:
            if disk.full:
                self._log(item, name, "no room", bytes=0)

        disk.full = True
        item.struck += 1
        self._log(item, name, "disk full")
        measure()

        def end() -> None:
            measure()
            disk.full = False
            self._log(item, name, "disk relieved")

        return end

    def _rot(self, item: Inflicted, name: str, bit: int) -> None:
        disk = self._host(name).disk
        archived = [path for path in disk.listing("riometer/") if path.endswith(".dat")]
        records = disk.size_of(archived[-1]) // RECORD_BYTES if archived else 0
        if not records:
            return  # it did not fire, and says so
        path, offset = archived[-1], (records - 1) * RECORD_BYTES
        disk.flip(path, offset + bit // 8, bit % 8)
        item.struck += 1
        self._log(item, name, "rotted", path=path, offset=offset, bit=bit)

    def _spoof(self, item: Inflicted, spoof: Spoof) -> None:
        """A stranger's datagram reaches its host by no link of ours."""
        data = forged(spoof, self._world.utc.at(self._world.now_ns()) // SECOND_NS)
        target = self._host(spoof.site if spoof.kind == "repair" else self._center)
        to = Address(target.address, _PORTS.get(spoof.kind, TELEMETRY_PORT))
        self._log(
            item, target.name, "spoofed", kind=spoof.kind, sha=short_hash(data), bytes=len(data)
        )
        self._world.arrive(Packet(Address(spoof.source, STRANGERS_PORT), to, data))
        item.struck += 1
