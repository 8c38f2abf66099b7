"""Runs a scenario in virtual time and leaves a run directory, which the judge then reads.

A run has three phases, on the world's true time:

    lead     the scenario's, before the span that is judged: hosts boot, first records fill
    span     what the scenario tells
    settle   faults are over and nodes are up; the world goes on for the tail at least, then until
             the center's hour files of the span equal the edges' and it has no file that an edge
             has not, or `settles_within` is over

The hours of the span are those that a site's own clock showed in it.

A story that continues another is played after it: the run of that one lies in the folder `BEFORE`
of the run directory, with the disks that this one begins with.

Nothing is judged here; `world.json` says what the world knows of itself.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import msgspec

from fieldproof.faults import DeadPreamplifier
from fieldproof.inflict import Inflicted, Inflictor
from fieldproof.oracle import trees, worldfile
from fieldproof.plan import check, plan
from fieldproof.rundir import BEFORE
from fieldproof.scenario import BOOTED_S, Center, Riometer, Scenario, Site, duration_s, to_json
from fieldproof.store import write_document
from fieldproof.systems import Part, System
from fieldproof.systems.reference import Reference
from fieldproof_contract import SECOND_NS
from fieldproof_simulators.engines.jobs import File
from fieldproof_simulators.instruments.riometer import PreampDead, RateSegment
from fieldproof_simulators.instruments.riometer import Riometer as Instrument
from fieldproof_simulators.links.profiles import profile
from fieldproof_simulators.machines.clock import TrueUtc
from fieldproof_simulators.machines.disk import Disk
from fieldproof_simulators.machines.host import Host
from fieldproof_simulators.world import World

HOUR_S = 3600
HOUR_NS = HOUR_S * SECOND_NS

PROGRESS_STEPS = 200

OnProgress = Callable[[float, int], None]
"""Told the fraction done and the true time, ns."""

Disks: TypeAlias = Mapping[str, Mapping[str, File]]
"""By host and path: what is on the disks."""

NOTHING: Disks = {}


def run(
    scenario: Scenario,
    seed: int,
    run_dir: Path,
    on_progress: OnProgress = lambda fraction, true_ns: None,
    system: System | None = None,
) -> None:
    """Let the scenario happen. Raises MalformedScenario, before there is any file, where it cannot
    be run as it is written."""
    began = time.perf_counter()
    check(scenario)
    (run_dir / "scenario.json").write_bytes(to_json(scenario, seed))
    system = system or Reference()
    staged = Stage(scenario, seed, run_dir, system, before(scenario, seed, run_dir, system))
    staged.play(on_progress)
    _conclude(staged, run_dir, began)


def before(scenario: Scenario, seed: int, run_dir: Path, system: System | None = None) -> Disks:
    """Let the story happen that the scenario continues, if it does, in a folder of the run
    directory that it makes; what the disks then hold."""
    story = scenario.continues
    if story is None:
        return {}
    began = time.perf_counter()
    asks = Center(story.center.name, story.center.address, reconciles=False)
    story = msgspec.structs.replace(story, nodes=(*story.sites, asks))
    folder = run_dir / BEFORE
    folder.mkdir()
    (folder / "scenario.json").write_bytes(to_json(story, seed))
    staged = Stage(story, seed, folder, system or Reference())
    staged.play(lambda fraction, true_ns: None)
    disks = {name: host.files.all() for name, host in staged.world.hosts.items()}
    _conclude(staged, folder, began)
    return disks


def _conclude(staged: "Stage", run_dir: Path, began: float) -> None:
    """Store what a world was."""
    facts = staged.close()
    facts["seconds"] = round(time.perf_counter() - began, 3)
    write_document(run_dir / "world.json", msgspec.json.format(msgspec.json.encode(facts)))


class Stage:
    """A world built from a scenario, and its calendar. `begins` is on its disks already."""

    def __init__(
        self, scenario: Scenario, seed: int, run_dir: Path, system: System, begins: Disks = NOTHING
    ) -> None:
        self.scenario = scenario
        self._seed = seed
        self._system = system
        begins_utc_ns = (scenario.starts_utc_s - scenario.lead_s) * SECOND_NS
        utc = TrueUtc(begins_utc_ns)
        self.from_ns = scenario.lead_s * SECOND_NS
        self.to_ns = utc.when((scenario.starts_utc_s + scenario.lasts_s) * SECOND_NS)
        self._tail_ns = scenario.tail_s * SECOND_NS
        settles_ns = duration_s(scenario.settles_within) * SECOND_NS
        self._ends_ns = self.to_ns + self._tail_ns + settles_ns
        self._settled_ns: int | None = None
        faults = plan(scenario, utc)
        profiles = {link.name: profile(link.profile) for link in scenario.links}
        instruments = {site.name: self._instruments(site, faults) for site in scenario.sites}
        # All that can be refused was: from here on there are files and a thread to be closed.
        self.world = World(seed, begins_utc_ns, run_dir, system.purposes, system.draw)
        for name, asked in profiles.items():
            self.world.add_link(name, asked, self.to_ns)
        self._raise_center()
        for site in scenario.sites:
            self._raise_site(site, instruments[site.name])
        for name, files in begins.items():
            for path, file in files.items():
                self.world.hosts[name].files.store(path, file)
        self._faults = Inflictor(self.world, scenario.center.name, faults)

    def play(self, on_progress: OnProgress) -> None:
        """Lead, span and settle. A settling world is looked at whenever its tail has passed."""
        lead_out_ns = self.to_ns + self._tail_ns
        for step in range(1, PROGRESS_STEPS + 1):
            true_ns = lead_out_ns * step // PROGRESS_STEPS
            self.world.run_until(true_ns)
            on_progress(step / PROGRESS_STEPS, true_ns)
        while self.world.now_ns() < self._ends_ns:
            if self._converged():
                self._settled_ns = self.world.now_ns()
                return
            self.world.run_until(min(self.world.now_ns() + self._tail_ns, self._ends_ns))

    def close(self) -> dict[str, object]:
        """Store the disks; the content of `world.json`, but for the wall time."""
        world = self.world
        return {
            "schema": worldfile.SCHEMA,
            "system": self._system.name,
            "begins_utc_ns": world.utc.begins_utc_ns,
            "judged_ns": [self.from_ns, self.to_ns],
            "ends_ns": world.now_ns(),
            "leaps_ns": list(world.utc.leaps_ns),
            "settled": self._settled_ns is not None,
            "settled_ns": self._settled_ns,
            "wire": self._wire(),
            "faults": [
                {
                    "at": item.timed.when,
                    "until": item.timed.until,
                    "kind": type(item.timed.fault).__struct_config__.tag,
                    "fired": item.fired,
                }
                for item in self._faults.plan
            ],
            "generators_end": dict(world.generators_end()),
            "hosts": {
                name: {"lives": host.lives, "utc_offset": list(host.clock.history)}
                for name, host in world.hosts.items()
            },
            "rate_segments": {
                site.name: [_segment(part) for part in _riometers(site)]
                for site in self.scenario.sites
            },
            "log_sha256": world.close(),
        }

    # --- building ---

    def _raise_center(self) -> None:
        center = self.scenario.center
        host = self.world.add_host(center.name, center.address)
        _furnish(host, self._system.center(center, self.scenario.sites, self._seed))
        self.world.call_at(0, lambda: self.world.boot(host))

    def _raise_site(self, site: Site, instruments: Sequence[Instrument]) -> None:
        host = self.world.add_host(site.name, site.address)
        self.world.connect(host, self.world.links[site.via])
        _furnish(host, self._system.edge(site, self.scenario.center, self._seed))
        for instrument in instruments:
            self.world.add_riometer(host, instrument, self.scenario.fidelity)
        begins_s = self.scenario.starts_utc_s - self.scenario.lead_s
        at_phase = self.scenario.lead_s >= BOOTED_S
        wait_ns = (site.phase_s - begins_s) % 60 * SECOND_NS if at_phase else 0
        self.world.call_at(wait_ns, lambda: self.world.boot(host))

    def _instruments(self, site: Site, faults: Sequence[Inflicted]) -> list[Instrument]:
        """The site's riometer, if it has one."""
        dead = tuple(
            PreampDead(item.at_ns, item.until_ns)
            for item in faults
            if item.timed.fault == DeadPreamplifier(site.name) and item.until_ns is not None
        )
        begins_utc_ns = (self.scenario.starts_utc_s - self.scenario.lead_s) * SECOND_NS
        return [
            Instrument(
                site.name,
                self._seed,
                begins_utc_ns,
                noise=part.noise,
                rate_segments=(_segment(part),),
                faults=dead,
            )
            for part in _riometers(site)
        ]

    # --- settling ---

    def _converged(self) -> bool:
        """Whether the center holds what the edges hold, in the hours of the span."""
        if not self.scenario.center.reconciles:
            return True
        center = self.world.hosts[self.scenario.center.name].disk
        filed = center.listing("riometer/")
        edges = [
            self.world.hosts[site.name] for site in self.scenario.sites if site.reconcile != "none"
        ]
        return all(self._equal(edge, center, filed) for edge in edges)

    def _equal(self, edge: Host, center: Disk, filed: Sequence[str]) -> bool:
        folder = f"/{edge.name}_xrio/"
        return all(
            _held(center, path) == _held(edge.disk, path) for path in self._judged_paths(edge)
        ) and all(edge.disk.size(path) is not None for path in filed if folder in path)

    def _judged_paths(self, edge: Host) -> list[str]:
        """The hour files of every hour that the site's clock showed in the span, or of the span of
        the story before."""
        shown = edge.clock.shown(self.from_ns, self.to_ns)
        hours = set(self.scenario.inherited_hours) or {
            hour for first, last in shown for hour in range(first // HOUR_NS, -(-last // HOUR_NS))
        }
        return [trees.hour_path(edge.name, hour * HOUR_S) for hour in sorted(hours)]

    def _wire(self) -> list[dict[str, object]]:
        return [
            {
                "link": link.name,
                "direction": direction,
                "purpose": purpose,
                "packets": tally.packets,
                "bytes": tally.bytes,
                "lost_packets": tally.lost_packets,
                "lost_bytes": tally.lost_bytes,
            }
            for link in self.world.links.values()
            for (direction, purpose), tally in sorted(link.tallies.items())
        ]


def _riometers(site: Site) -> list[Riometer]:
    return [part for part in site.instruments if isinstance(part, Riometer)]


def _segment(part: Riometer) -> RateSegment:
    """The sampling clock's rate, which is the same for the whole run."""
    return RateSegment(0, part.drift_ppb)


def _furnish(host: Host, parts: tuple[Part, ...]) -> None:
    for part in parts:
        host.add(part.name, part.make, part.hears)


def _held(disk: Disk, path: str) -> bytes | None:
    """The file, or None where there is none."""
    return None if disk.size(path) is None else disk.read(path)
