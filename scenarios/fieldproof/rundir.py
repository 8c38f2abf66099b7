"""The files of a run directory, read as they are: what was run, when and where, and its archives.

Everything is read when it is first asked for. What is large (the records of a site) is kept for one
site at a time. A directory that is half-written or damaged is a ValueError of one sentence. What
lies on a host's disk is its own doing, and never an error here (`oracle/foreign.py`).
"""

from collections.abc import Iterator
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fieldproof.faults import MoveAddress
from fieldproof.oracle import foreign, idx, log, trees, worldfile, xrio
from fieldproof.oracle.clock import SECOND_NS, Clock, Integers
from fieldproof.oracle.locate import Archive
from fieldproof.oracle.log import Log
from fieldproof.oracle.trees import ArrivalFile, HourFile
from fieldproof.scenario import Riometer, Site, StatusMonitor, from_json

HOUR_NS = 3600 * SECOND_NS

BEFORE = "before"
"""Where the run of the story lies that a scenario continues."""


class SiteFiles(NamedTuple):
    """All hour files of a site on its own disk, and their records.

    The records are read as they were before any bit rotted (`sound`): `blobs` are as they are."""

    blobs: tuple[bytes, ...]
    sound: tuple[bytes, ...]
    archive: Archive
    strays: dict[str, tuple[tuple[int, int], ...]]  # by file: (offset, size) of what is no record

    def record(self, row: int) -> bytes:
        """The bytes of a record, as they are on the disk."""
        return self._cut(self.blobs, row)

    def sound_record(self, row: int) -> bytes:
        """The bytes of a record, as they were written."""
        return self._cut(self.sound, row)

    def _cut(self, blobs: tuple[bytes, ...], row: int) -> bytes:
        offset = int(self.archive.offsets[row])
        blob = blobs[int(self.archive.file_of[row])]
        return blob[offset : offset + int(self.archive.sizes[row])]


class Arrivals(NamedTuple):
    """What came from a site to a port, by the index files alone, in their order."""

    utc_ns: Integers  # by the center's clock
    sizes: Integers
    offsets: Integers
    file_of: Integers  # index into `files`, for each datagram
    files: tuple[ArrivalFile, ...]


class RunDirectory:
    """See the head of this file. Raises ValueError where the directory is not a whole run."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        path = run_dir / "scenario.json"
        try:
            self.capsule = from_json(path.read_bytes(), str(path))
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error.strerror}.") from None
        self.scenario = self.capsule.scenario
        self.world = worldfile.read(run_dir / "world.json")
        missing = {node.name for node in self.scenario.nodes} - self.world.hosts.keys()
        struck = len(self.scenario.faults) if self.world.is_live else 0
        if (
            missing
            or len(self.world.faults) != len(self.scenario.faults)
            or len(self.world.struck_ns) != struck
        ):
            raise ValueError(
                f"{run_dir}/world.json does not belong to {path}: its hosts or faults are others."
            )
        # One cache for each, because two sites' records at a time would be too many.
        self.site_files = lru_cache(maxsize=1)(self._site_files)
        self.arrivals = lru_cache(maxsize=None)(self._arrivals)
        self.hour_files = lru_cache(maxsize=None)(self._hour_files)

    def twins(self) -> tuple[tuple[Path, worldfile.WorldRecord], ...]:
        """Other runs beside this one that ran the same capsule on the same system with the same
        code; a run whose world.json cannot be read is none."""
        same = ("scenario.json", "versions.json")
        mine = [_content(self.run_dir / name) for name in same]
        beside = sorted(self.run_dir.resolve().parent.glob(f"{self.scenario.name}-*"))
        return tuple(
            (path, world)
            for path in beside
            if path != self.run_dir.resolve()
            and None not in mine
            and [_content(path / name) for name in same] == mine
            and (world := worldfile.read_sound(path / "world.json")) is not None
            and world.system == self.world.system
        )

    # --- places and times ---

    @cached_property
    def log(self) -> Log:
        """The log."""
        return log.read(self.run_dir / "log.jsonl")

    @cached_property
    def true_utc(self) -> Clock:
        """True UTC as a function of true time."""
        return Clock(self.world.begins_utc_ns, self.world.leaps_ns, self.world.ends_ns)

    def clock(self, host: str) -> Clock:
        """The host's UTC as a function of true time."""
        world = self.world
        offsets = world.hosts[host].utc_offset or ((0, 0, 0),)
        return Clock(world.begins_utc_ns, world.leaps_ns, world.ends_ns, offsets)

    def site(self, name: str) -> Site:
        """A site by its name. Raises ValueError where the scenario has none."""
        for site in self.scenario.sites:
            if site.name == name:
                return site
        raise ValueError(f"Scenario {self.scenario.name} has no site {name!r}.")

    @cached_property
    def riometer_sites(self) -> tuple[str, ...]:
        """The names of the sites that have a riometer."""
        return self._sites_with(Riometer)

    @cached_property
    def archive_sites(self) -> tuple[str, ...]:
        """The names of the sites that have an archive: those with a riometer, and all where it is
        that of the story before."""
        if self.scenario.continues is None:
            return self.riometer_sites
        return tuple(site.name for site in self.scenario.sites)

    @cached_property
    def status_sites(self) -> tuple[str, ...]:
        """The names of the sites that have a status monitor."""
        return self._sites_with(StatusMonitor)

    def _sites_with(self, kind: type) -> tuple[str, ...]:
        return tuple(
            site.name
            for site in self.scenario.sites
            if any(isinstance(instrument, kind) for instrument in site.instruments)
        )

    def disk(self, host: str) -> Path:
        """Where a host's files are."""
        return self.run_dir / "disks" / host

    def disk_before(self, host: str) -> Path:
        """Where a host's files are as they were at the beginning, if a story went before."""
        return self.run_dir / BEFORE / "disks" / host

    @property
    def center_disk(self) -> Path:
        """Where the center's files are."""
        return self.disk(self.scenario.center.name)

    def addresses(self, site: str) -> tuple[str, ...]:
        """Every address under which a site was ever seen, in order of time."""
        if seen := self.world.hosts[site].addresses:
            return seen
        moves = (timed.fault for timed in self.scenario.faults)
        later = (move.to for move in moves if isinstance(move, MoveAddress) and move.host == site)
        return tuple(dict.fromkeys((self.site(site).address, *later)))

    def true_ns(self, when: str) -> int:
        """True time of a fault's time text."""
        since_ns = round(self.scenario.instant_s(when) * SECOND_NS)
        utc_ns = self.scenario.starts_utc_s * SECOND_NS + since_ns
        found = self.true_utc.instants_of(utc_ns)
        return found[0] if found else utc_ns - self.world.begins_utc_ns

    # --- archives ---

    def in_judged_hours(self, site: str, hour_utc_s: int) -> bool:
        """Whether an hour of the site's own UTC shares an instant with the judged span; where the
        scenario continues another, with the span of that one."""
        if inherited := self.scenario.inherited_hours:
            return hour_utc_s // 3600 in inherited
        from_ns = hour_utc_s * SECOND_NS
        ranges = self.clock(site).utc_ranges(*self.world.judged_ns)
        return any(first < from_ns + HOUR_NS and from_ns < last for first, last in ranges)

    def judged_files(self, host: str, site: str) -> tuple[HourFile, ...]:
        """The hour files of a site on a host's disk that belong to the judged span."""
        files = self.hour_files(host, site)
        return tuple(file for file in files if self.in_judged_hours(site, file.utc_s))

    def content(self, host: str, path: str) -> bytes | None:
        """The content of a file on a host's disk; None where there is none to be read."""
        return foreign.content(self.disk(host), path)

    def read(self, host: str, path: str) -> bytes:
        """The same; empty where there is none to be read."""
        return self.content(host, path) or b""

    def _hour_files(self, host: str, site: str) -> tuple[HourFile, ...]:
        return trees.hour_files(self.disk(host), site)

    def _site_files(self, site: str) -> SiteFiles:
        files = [file.path for file in self.hour_files(site, site)]
        blobs = tuple(self.read(site, path) for path in files)
        sound = tuple(
            self._before_rot(site, path, blob) for path, blob in zip(files, blobs, strict=True)
        )
        decoded = [xrio.decode(data, site) for data in sound] or [xrio.decode(b"", site)]
        lengths = [len(records.offsets) for records in decoded]
        archive = Archive(
            tuple(files),
            np.repeat(np.arange(len(decoded)), lengths),
            np.concatenate([records.offsets for records in decoded]),
            np.concatenate([records.sizes for records in decoded]),
            np.concatenate([records.timestamps_s for records in decoded]),
            np.concatenate([records.counts for records in decoded]),
            np.concatenate([records.points for records in decoded]),
        )
        strays = {path: records.strays for path, records in zip(files, decoded, strict=False)}
        return SiteFiles(blobs, sound, archive, strays)

    def _before_rot(self, host: str, path: str, data: bytes) -> bytes:
        """The file with every bit that the log says rotted flipped back."""
        rotted = [
            line
            for line in self.log.lines["rotted"]
            if line.where == host and line.text("path") == path
        ]
        if not rotted:
            return data
        sound = bytearray(data)
        for line in rotted:
            bit = line.number("bit")  # counted from `offset` on
            place = line.number("offset") + bit // 8
            if place < len(sound):  # it may have been cut off since
                sound[place] ^= 1 << bit % 8
        return bytes(sound)

    # --- arrivals ---

    def center_ns(self, utc_ns: Integers, about_ns: Integers) -> Integers:
        """True times at which the center's clock showed `utc_ns`, not long after `about_ns`."""
        clock = self.clock(self.scenario.center.name)
        for _ in range(2):  # the clock may have changed on the way
            about_ns = clock.instants_by(utc_ns, clock.rows_at(about_ns))
        return about_ns

    def center_utc_span(self) -> tuple[int, int]:
        """The judged span by the center's clock."""
        clock = self.clock(self.scenario.center.name)
        from_ns, until_ns = self.world.judged_ns
        return clock.utc_at(from_ns), clock.utc_at(until_ns)

    def datagrams(self, site: str, port: int) -> Iterator[tuple[int, str, bytes]]:
        """What the raw tree holds from a site: arrival (UTC ns by the center's clock), path of the
        .dat file, payload."""
        arrivals = self.arrivals(site, port)
        for number, file in enumerate(arrivals.files):
            rows = np.flatnonzero(arrivals.file_of == number).tolist()
            path = f"{file.path}.dat"
            data = self.read(self.scenario.center.name, path) if rows else b""
            for row in rows:
                offset = int(arrivals.offsets[row])
                payload = data[offset : offset + int(arrivals.sizes[row])]
                yield int(arrivals.utc_ns[row]), path, payload

    def _arrivals(self, site: str, port: int) -> Arrivals:
        files = [
            file
            for address in self.addresses(site)
            for file in trees.arrival_files(self.center_disk, address)
            if file.port == port
        ]
        entries = [self.index(file) for file in files]
        rows = [entry for index in entries for entry in index.entries]
        return Arrivals(
            np.array([row.arrived_utc_ns for row in rows], dtype=np.int64),
            np.array([row.size for row in rows], dtype=np.int64),
            np.array([row.offset for row in rows], dtype=np.int64),
            np.repeat(np.arange(len(files)), [len(index.entries) for index in entries]),
            tuple(files),
        )

    def index(self, file: ArrivalFile) -> idx.Index:
        """The index of an arrival file."""
        return idx.parse(self.read(self.scenario.center.name, f"{file.path}.idx"))


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
