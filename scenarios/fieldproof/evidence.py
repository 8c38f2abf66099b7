"""A run directory, read: the only way in which claims and ledger look at a run.

Everything is read when it is first asked for. What is large (archives, datagrams) is kept for one
site at a time; what is derived from it (partitions, arrival times, the ledger) is small and stays.
A directory that is half-written or damaged is a ValueError of one sentence.
"""

import json
from collections import Counter
from collections.abc import Iterator
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from fieldproof_simulators.instruments.riometer import PreampDead, RateSegment
from fieldproof_simulators.instruments.riometer import Riometer as RiometerTruth
from msgspec import Struct

from fieldproof.faults import DeadPreamplifier, MoveAddress
from fieldproof.ledger import Ledger, build
from fieldproof.oracle import idx, trees, xrio
from fieldproof.oracle.clock import SECOND_NS, Clock, Integers
from fieldproof.oracle.excuses import (
    DiskLoss,
    LossLine,
    Struck,
    Window,
    excused,
    strike,
    windows,
)
from fieldproof.oracle.locate import Archive
from fieldproof.oracle.partition import Partition, partition
from fieldproof.scenario import Capsule, Riometer, Scenario, Site, from_json

WORLD_SCHEMA = "fieldproof-world/1"
TELEMETRY_PORT = 24985

_KEPT = frozenset(
    ("lost", "corrupted", "duplicated", "disk lost", "rotted", "repaired", "quarantined")
)
"""What of the log is kept line by line; of everything else only the number of lines is."""


class WireCount(Struct, frozen=True):
    """IP bytes that were offered to one direction of a link for one purpose."""

    link: str
    direction: str
    purpose: str
    packets: int
    bytes: int
    lost_packets: int
    lost_bytes: int


class FaultCount(Struct, frozen=True):
    """How often a fault acted, in the scenario's order."""

    kind: str
    fired: int


class HostRecord(Struct, frozen=True):
    """A host's lives, and its UTC against true UTC."""

    lives: tuple[tuple[int, int | None], ...]
    utc_offset: tuple[tuple[int, int, int], ...]  # true ns, offset ns, drift ppb


class WorldRecord(Struct, frozen=True):
    """`world.json`; times are true ns since the world began."""

    schema: str
    begins_utc_ns: int
    judged_ns: tuple[int, int]
    ends_ns: int
    leaps_ns: tuple[int, ...]
    settled: bool
    settled_ns: int | None
    wire: tuple[WireCount, ...]
    faults: tuple[FaultCount, ...]
    generators_end: dict[str, str]
    log_sha256: str
    hosts: dict[str, HostRecord]
    rate_segments: dict[str, tuple[tuple[int, int], ...]]
    seconds: float


class Line(NamedTuple):
    """A line of `log.jsonl`."""

    ns: int
    where: str
    what: str
    detail: dict[str, object]

    def text(self, key: str) -> str:
        """A detail as text; empty where it is missing."""
        return str(self.detail.get(key, ""))

    def number(self, key: str) -> int:
        """A detail that is an integer; -1 where it is missing."""
        value = self.detail.get(key, -1)
        return value if isinstance(value, int) else -1


class Log(NamedTuple):
    """What the judge keeps of `log.jsonl`."""

    sha256: str
    counts: Counter[tuple[str, str]]  # lines by (what, where)
    lines: dict[str, tuple[Line, ...]]  # by what, for what is in `_KEPT`


class Arrivals(NamedTuple):
    """What came from one site to one port, by the index files alone, in order of arrival file."""

    utc_ns: Integers  # by the center's clock
    sizes: Integers
    offsets: Integers
    stems: tuple[str, ...]  # path of the arrival file, without suffix, for each datagram


class Evidence:
    """See the head of this file. Raises ValueError where the directory is not a whole run."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.capsule: Capsule = from_json(_read(run_dir, "scenario.json"), f"{run_dir}/scenario.json")
        self.scenario: Scenario = self.capsule.scenario
        self.world = _world(run_dir)
        self.partition = lru_cache(maxsize=None)(self._partition)
        self.arrivals = lru_cache(maxsize=None)(self._arrivals)
        self.hour_files = lru_cache(maxsize=None)(self._hour_files)
        self.hours = lru_cache(maxsize=1)(self._hours)
        missing = {node.name for node in self.scenario.nodes} - self.world.hosts.keys()
        if missing or len(self.world.faults) != len(self.scenario.faults):
            raise ValueError(
                f"{run_dir}/world.json does not belong to {run_dir}/scenario.json: "
                "its hosts or faults are others."
            )

    # --- places and times ---

    @cached_property
    def true_utc(self) -> Clock:
        """True UTC as a function of true time."""
        return Clock(self.world.begins_utc_ns, self.world.leaps_ns, self.world.ends_ns)

    def clock(self, host: str) -> Clock:
        """The host's UTC as a function of true time."""
        offsets = self.world.hosts[host].utc_offset
        return Clock(
            self.world.begins_utc_ns, self.world.leaps_ns, self.world.ends_ns, offsets or ((0, 0, 0),)
        )

    def site(self, name: str) -> Site:
        """A site by its name. Raises ValueError where the scenario has none."""
        for site in self.scenario.sites:
            if site.name == name:
                return site
        raise ValueError(f"Scenario {self.scenario.name} has no site {name!r}.")

    def disk(self, host: str) -> Path:
        """Where a host's files are."""
        return self.run_dir / "disks" / host

    def addresses(self, site: str) -> tuple[str, ...]:
        """Every address from which a site sent, in order of time."""
        moves = [timed.fault for timed in self.scenario.faults]
        later = [f.to for f in moves if isinstance(f, MoveAddress) and f.host == site]
        return tuple(dict.fromkeys((self.site(site).address, *later)))

    def true_ns(self, when: str) -> int:
        """True time of a fault's time text."""
        since_ns = round(self.scenario.instant_s(when) * SECOND_NS)
        utc_ns = self.scenario.starts_utc_s * SECOND_NS + since_ns
        found = self.true_utc.instants_of(utc_ns)
        return found[0] if found else utc_ns - self.world.begins_utc_ns

    # --- log ---

    @cached_property
    def log(self) -> Log:
        """The log. Raises ValueError for a line that is not one."""
        digest, counts = sha256(), Counter[tuple[str, str]]()
        kept: dict[str, list[Line]] = {what: [] for what in sorted(_KEPT)}
        path = self.run_dir / "log.jsonl"
        decode = msgspec.json.Decoder(dict).decode
        try:
            with path.open("rb") as file:
                for number, raw in enumerate(file, start=1):
                    digest.update(raw)
                    line = decode(raw)
                    where, what = line["where"], line["what"]
                    counts[what, where] += 1
                    if what in _KEPT:
                        kept[what].append(Line(line["ns"], where, what, line))
        except (KeyError, msgspec.DecodeError):
            raise ValueError(f"{path}, line {number} is not a line of a run's log.") from None
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error.strerror}.") from None
        return Log(digest.hexdigest(), counts, {what: tuple(kept[what]) for what in kept})

    # --- faults ---

    @cached_property
    def struck(self) -> tuple[Struck, ...]:
        """The scenario's faults in true time."""
        return strike(self.scenario, self.true_ns)

    def sample_windows(self, site: str) -> tuple[Window, ...]:
        """When a site may have failed to archive samples."""
        return self._windows(site, lambda path: path.startswith("riometer/"))

    def arrival_windows(self, site: str) -> tuple[Window, ...]:
        """When the center may have failed to keep a site's datagrams that reached it."""
        folders = [f"/{address}/" for address in self.addresses(site)]
        return self._windows(
            self.scenario.center.name,
            lambda path: path.endswith(".dat") and any(folder in path for folder in folders),
        )

    @cached_property
    def losses(self) -> dict[str, tuple[tuple[Line, bool], ...]]:
        """By the payload's short hash: what the log says of its loss, and whether it is excused."""
        lines = sorted(self.log.lines["lost"] + self.log.lines["corrupted"], key=lambda line: line.ns)
        asked = [
            LossLine(
                line.where,
                line.ns,
                line.text("cause") if line.what == "lost" else "corrupt",
                line.number("fault"),
                line.text("direction"),
            )
            for line in lines
        ]
        by_hash: dict[str, tuple[tuple[Line, bool], ...]] = {}
        verdicts = excused(asked, self.struck, self.scenario.center.name)
        for line, verdict in zip(lines, verdicts, strict=True):
            by_hash[line.text("sha")] = (*by_hash.get(line.text("sha"), ()), (line, verdict))
        return by_hash
