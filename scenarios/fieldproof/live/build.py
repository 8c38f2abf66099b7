"""Raises everything that a live run needs, in the order in which it hangs together.

Whatever was raised is taken down again in reverse, also when something fails on the way.
"""

import shlex
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fieldproof.faults import DeadPreamplifier, DiskFull, Fault, PowerCut, Spoof
from fieldproof.live.calendar import Calendar
from fieldproof.live.facts import Facts
from fieldproof.live.ground import Ground
from fieldproof.live.hosts import LiveHost, Place
from fieldproof.live.inflict import Inflicted, Inflictor
from fieldproof.live.messages import Request
from fieldproof.live.strangers import Strangers
from fieldproof.live.wiring import Wiring, wire
from fieldproof.options import LIVE
from fieldproof.plan import over_ns, plan
from fieldproof.run import Disks, before
from fieldproof.scenario import Riometer, Scenario, Site, duration_s
from fieldproof.systems.process import (
    REFERENCE,
    SERVE,
    Whereabouts,
    center_environment,
    edge_environment,
    sites_document,
)
from fieldproof_contract import SECOND_NS
from fieldproof_simulators.engines.live import folders
from fieldproof_simulators.lines.live.process import LineBegin, LivePlayer, PlayerBegin
from fieldproof_simulators.lines.live.socat import Cable
from fieldproof_simulators.machines.clock import HostClock, TrueUtc
from fieldproof_simulators.machines.live.cage import Cage
from fieldproof_simulators.machines.live.clock import ClockFile, Watch, machine_clock_ns
from fieldproof_simulators.machines.live.disks import PowerCutDisk, SmallDisk
from fieldproof_simulators.machines.live.ledger import Ledger
from fieldproof_simulators.machines.live.terminals import TERMINALS, Port

READY_NS = SECOND_NS
"""How long after everything was raised true time 0 is: pump and player are then at their posts."""

SMALL_DISK_BYTES = 1 << 20
"""A disk that is to be full is of this size: our assumption."""


@dataclass(slots=True)
class Built:
    """A run that is ready to begin; times are true ns."""

    request: Request
    scenario: Scenario
    ground: Ground
    wiring: Wiring
    inflictor: Inflictor
    facts: Facts
    lead_ns: int
    from_ns: int
    to_ns: int
    over_ns: int  # all faults are over
    settles_ns: int  # how long edge and center have to converge
    watch: Watch  # how late this process is woken
    machine_clock_ns: int  # the machine's UTC against its monotonic clock, at the start

    @property
    def center(self) -> LiveHost:
        """The center's host."""
        return self.ground.hosts[self.scenario.center.name]

    @property
    def edges(self) -> tuple[LiveHost, ...]:
        """The sites' hosts, in order."""
        return tuple(self.ground.hosts[site.name] for site in self.scenario.sites)

    def own_pids(self) -> set[int]:
        """The processes that somebody here waits for."""
        pids = [pid for host in self.ground.hosts.values() for pid in host.pids()]
        cables = [cable.pid for cable in self.ground.cables.values() if cable.pid is not None]
        helpers = (self.ground.pump.pid, self.ground.player.pid, self.ground.strangers.pid)
        return {*pids, *cables, *(pid for pid in helpers if pid is not None)}

    def abandon(self) -> None:
        """Nobody listens any more: end what runs, and wait for nothing."""
        for host in self.ground.hosts.values():
            if host.state != "down":
                host.kill()


@contextmanager
def build(request: Request) -> Iterator[Built]:
    """Raise it all. Raises NotHere where this machine cannot."""
    with ExitStack() as stack:
        yield _Builder(request, stack).build()


class _Builder:
    """See the head of this file."""

    def __init__(self, request: Request, stack: ExitStack) -> None:
        self.request = request
        self.scenario = scenario = request.scenario
        self.run_dir = Path(request.run_dir)
        self.runtime = Path(request.runtime_dir)
        self.ledger = Ledger(self.runtime)
        self._stack = stack
        self._begins: Disks = {}
        self._silent: dict[str, Cable] = {}  # nothing is at the other end
        self.lead_ns = duration_s(scenario.lead) * SECOND_NS
        self.begins_utc_ns = scenario.starts_utc_s * SECOND_NS - self.lead_ns
        self.utc = TrueUtc(self.begins_utc_ns)
        planned = plan(scenario, self.utc, LIVE)
        self.over_ns = max(map(over_ns, planned), default=0)
        self.faults = [
            Inflicted(item.index, item.timed, item.at_ns, item.until_ns) for item in planned
        ]

    def build(self) -> Built:
        self._begins = before(self.scenario, self.request.seed, self.run_dir)
        cables = {site.name: self._cable(site) for site in self.scenario.sites if _riometer(site)}
        if self._begins:
            self._silent = {site.name: self._cable(site) for site in self.scenario.sites}
        strangers = Strangers(self._log("forge"), any(self._spoofs()))
        self._stack.callback(strangers.close)
        strangers.await_ready()
        wiring = self._stack.enter_context(wire(self.request))
        began_ns = time.monotonic_ns() + READY_NS
        calendar = Calendar(began_ns)
        self._stack.callback(calendar.close)
        to_ns = self.utc.when((self.scenario.starts_utc_s + self.scenario.lasts_s) * SECOND_NS)
        pump = wiring.start_pump(began_ns, self.begins_utc_ns, to_ns, self._log("pump"))
        self._stack.callback(pump.close)
        player = self._player(cables, began_ns)
        facts = Facts(calendar)
        ground = Ground(
            self.scenario,
            self.utc,
            calendar,
            pump,
            player,
            strangers,
            self.run_dir / "links",
            facts.note,
            cables=cables,
        )
        against_ns = machine_clock_ns()
        offset_s = (self.begins_utc_ns - began_ns - against_ns) / SECOND_NS
        self._raise_hosts(ground, wiring, offset_s)
        return Built(
            self.request,
            self.scenario,
            ground,
            wiring,
            Inflictor(ground, self.faults),
            facts,
            self.lead_ns,
            self.lead_ns,
            to_ns,
            self.over_ns,
            duration_s(self.scenario.settles_within) * SECOND_NS,
            Watch(time.monotonic_ns()),
            against_ns,
        )

    # --- lines ---

    def _cable(self, site: Site) -> Cable:
        """The site's serial cable: a pair of pseudo-terminals, or what the user named."""
        named = self.request.options.serial.get(site.name)
        folder = self.runtime / "lines" / site.name
        folder.mkdir(parents=True)
        log = self._log(f"socat-{site.name}")
        cable = Cable.between(*named) if named else Cable(folder, log)
        self._stack.callback(cable.close)
        return cable

    def _player(self, cables: dict[str, Cable], began_ns: int) -> LivePlayer:
        lines = [
            LineBegin(
                site.name,
                str(cables[site.name].instrument_end),
                str(cables[site.name].system_end),
                part.noise,
                part.drift_ppb,
                self._dead(site),
            )
            for site in self.scenario.sites
            if (part := _riometer(site)) is not None
        ]
        begin = PlayerBegin(began_ns, self.begins_utc_ns, self.request.seed, tuple(lines))
        player = LivePlayer(begin, self.run_dir, self._log("player"))
        self._stack.callback(player.close)
        return player

    def _dead(self, site: Site) -> tuple[tuple[int, int], ...]:
        """When the site's preamplifier is dead."""
        return tuple(
            (item.at_ns, item.until_ns)
            for item in self.faults
            if item.timed.fault == DeadPreamplifier(site.name) and item.until_ns is not None
        )

    # --- hosts ---

    def _raise_hosts(self, ground: Ground, wiring: Wiring, offset_s: float) -> None:
        scenario, request = self.scenario, self.request
        foreign = bool(request.options.edge)
        sites = self.runtime / "sites.json"
        seen = {site.name: wiring.seen_as(site.name) for site in scenario.sites}
        sites.write_bytes(sites_document(scenario, request.seed, seen, foreign))
        center = scenario.center
        at = self._whereabouts(center.name, wiring, offset_s)
        told = center_environment(scenario, center, at, sites)
        commands = [request.options.center or REFERENCE["center"]]
        self._raise_host(ground, wiring, at, told, commands, self._cage(at, sites))
        for site in scenario.sites:
            at = self._whereabouts(site.name, wiring, offset_s)
            serial = self._serial(ground, site.name)
            told = edge_environment(
                scenario, site, request.seed, at, serial, wiring.center_for(site.name)
            )
            commands = [request.options.edge or REFERENCE["edge"]] + [SERVE] * foreign
            port = ground.ports.get(site.name)
            cage = self._cage(at, *([] if port is None else [port.folder]))
            self._raise_host(ground, wiring, at, told, commands, cage, site.name)

    def _raise_host(
        self,
        ground: Ground,
        wiring: Wiring,
        at: Whereabouts,
        told: dict[str, str],
        commands: Sequence[str],
        cage: Cage | None,
        name: str | None = None,
    ) -> None:
        name = name or self.scenario.center.name
        if any(item.timed.fault == DiskFull(name) for item in self.faults):
            small = ground.small_disks[name] = SmallDisk(at.disk, SMALL_DISK_BYTES)
            self._stack.callback(_keep, small, at.disk)
        if any(_cuts_power_of(name, item.timed.fault) for item in self.faults):
            image = self.runtime / f"disk-{name}"
            frail = ground.frail_disks[name] = PowerCutDisk(image, at.disk)
            self._stack.callback(_keep, frail, at.disk)
        files = self._begins.get(name, {})
        folders.write(at.disk, files, sorted(files))
        place = Place(
            name,
            at.address,
            at.disk,
            wiring.netns(name),
            self.run_dir / "processes" / f"{name}.log",
            [shlex.split(command) for command in commands],
            told,
            cage,
        )
        clock, file = HostClock(self.utc), ClockFile(at.clock)
        host = LiveHost(place, clock, file, ground.calendar, self.ledger, ground.fact)
        self._stack.callback(host.kill)
        ground.hosts[name] = host

    def _whereabouts(self, name: str, wiring: Wiring, offset_s: float) -> Whereabouts:
        disk = self.run_dir / "disks" / name
        disk.mkdir(parents=True)
        events = self.run_dir / "processes" / f"{name}.events.jsonl"
        clock = self.runtime / f"clock-{name}"
        return Whereabouts(disk, events, clock, offset_s, wiring.address(name))

    def _serial(self, ground: Ground, site: str) -> str:
        """The serial port of a site as its host knows it; "" where there is none. Pseudo-terminals
        of a cage come by a mount; a real port is the machine's."""
        cable = ground.cables.get(site) or self._silent.get(site)
        if cable is None:
            return ""
        is_pseudo = TERMINALS in cable.system_end.resolve().parents
        if not self.request.isolation or not is_pseudo:
            return str(cable.system_end)
        port = ground.ports[site] = Port(self.runtime / "ports" / site)
        self._stack.callback(port.close)
        port.plug(cable.system_end)
        return str(port.path)

    def _cage(self, at: Whereabouts, *read: Path) -> Cage | None:
        """What a host sees of the run: its disk, its event log, its clock, and what else is its own
        to read. The runtime folders of other runs lie beside ours."""
        if not self.request.isolation:
            return None
        at.events.touch()
        return Cage((self.run_dir, self.runtime.parent), (at.disk, at.events), (at.clock, *read))

    # --- small things ---

    def _log(self, name: str) -> Path:
        return self.run_dir / "processes" / f"{name}.log"

    def _spoofs(self) -> Iterator[Spoof]:
        for item in self.faults:
            if isinstance(item.timed.fault, Spoof):
                yield item.timed.fault


def _not_files(folder: str, names: list[str]) -> set[str]:
    """What cannot be copied, or is the file system's own."""
    paths = {name: Path(folder, name) for name in names}
    return {
        name
        for name, path in paths.items()
        if name == "lost+found" or not (path.is_symlink() or path.is_dir() or path.is_file())
    }


def _cuts_power_of(host: str, fault: Fault) -> bool:
    return isinstance(fault, PowerCut) and fault.host == host


def _keep(disk: SmallDisk | PowerCutDisk, folder: Path) -> None:
    """End a disk of its own, and leave what was on it in the folder that it was mounted on."""
    kept = folder.with_name(f"{folder.name}.kept")
    shutil.copytree(folder, kept, symlinks=True, ignore=_not_files)
    disk.close()
    for path in kept.iterdir():
        path.rename(folder / path.name)
    kept.rmdir()


def _riometer(site: Site) -> Riometer | None:
    return next((part for part in site.instruments if isinstance(part, Riometer)), None)
