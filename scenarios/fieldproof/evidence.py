"""A run directory, read: the only way in which claims and the ledger look at a run.

Everything is read when it is first asked for. What is large (the records of a site) is kept for one
site at a time; what is derived from it (partitions, arrival times, the ledger) is small and stays.
A directory that is half-written or damaged is a ValueError of one sentence.
"""

import json
import multiprocessing
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fieldproof.faults import DeadPreamplifier, MoveAddress
from fieldproof.ledger import Ledger, build
from fieldproof.oracle import idx, log, trees, worldfile, xrio
from fieldproof.oracle.clock import SECOND_NS, Clock, Integers
from fieldproof.oracle.excuses import (
    RECORD_NS,
    DiskLoss,
    LossLine,
    Piece,
    Struck,
    Window,
    apportion,
    excused,
    strike,
    windows,
)
from fieldproof.oracle.locate import Archive
from fieldproof.oracle.log import Line, Log
from fieldproof.oracle.partition import Partition, partition
from fieldproof.oracle.trees import ArrivalFile, HourFile
from fieldproof.scenario import Riometer, Site, StatusMonitor, from_json
from fieldproof_simulators.instruments.riometer import PreampDead, RateSegment
from fieldproof_simulators.instruments.riometer import Riometer as Instrument

HOUR_NS = 3600 * SECOND_NS

MANY_RECORDS = 40_000
"""A month of one site. A run of more is worth the start of other processes (a quarter second)."""


_NO_TELEMETRY = ("repair", "manifest")
"""Kinds of `Spoof` that go to another port than that of telemetry."""


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


class Evidence:
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
        if missing or len(self.world.faults) != len(self.scenario.faults):
            raise ValueError(
                f"{run_dir}/world.json does not belong to {path}: its hosts or faults are others."
            )
        self._walks: dict[str, Future[Partition]] = {}
        # One cache for each, because two sites' records at a time would be too many.
        self.site_files = lru_cache(maxsize=1)(self._site_files)
        self.partition = lru_cache(maxsize=None)(self._partition)
        self.arrivals = lru_cache(maxsize=None)(self._arrivals)
        self.hour_files = lru_cache(maxsize=None)(self._hour_files)
        self._stretches = lru_cache(maxsize=None)(self._repaired)

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

    @property
    def center_disk(self) -> Path:
        """Where the center's files are."""
        return self.disk(self.scenario.center.name)

    def addresses(self, site: str) -> tuple[str, ...]:
        """Every address that a site ever had, in order of time."""
        moves = (timed.fault for timed in self.scenario.faults)
        later = (move.to for move in moves if isinstance(move, MoveAddress) and move.host == site)
        return tuple(dict.fromkeys((self.site(site).address, *later)))

    def true_ns(self, when: str) -> int:
        """True time of a fault's time text."""
        since_ns = round(self.scenario.instant_s(when) * SECOND_NS)
        utc_ns = self.scenario.starts_utc_s * SECOND_NS + since_ns
        found = self.true_utc.instants_of(utc_ns)
        return found[0] if found else utc_ns - self.world.begins_utc_ns

    # --- what faults excuse ---

    @cached_property
    def struck(self) -> tuple[Struck, ...]:
        """The scenario's faults in true time."""
        felled_ns = {line.number("fault"): line.ns for line in self.log.lines["host down"]}
        return strike(self.scenario.faults, self.true_ns, felled_ns)

    def sample_windows(self, site: str) -> tuple[Window, ...]:
        """When a site may have failed to archive samples."""
        lost = [loss for loss in self._disk_losses if loss.path.startswith("riometer/")]
        return windows(self.struck, site, lost, RECORD_NS)

    def sending_windows(self, site: str) -> tuple[Window, ...]:
        """When a site may have failed to send what it archived."""
        return windows(self.struck, site, ())

    def arrival_windows(self, site: str) -> tuple[Window, ...]:
        """When the center may have failed to keep what reached it from a site, without a word in
        the log. What met a center that was down has a line of its own there."""
        folders = [f"/{address}/" for address in self.addresses(site)]
        lost = [
            loss
            for loss in self._disk_losses
            if loss.path.endswith(".dat") and any(folder in loss.path for folder in folders)
        ]
        declared = windows(self.struck, self.scenario.center.name, lost)
        return tuple(each for each in declared if each.cause not in ("kill", "center down"))

    @cached_property
    def losses(self) -> dict[str, tuple[tuple[Line, bool], ...]]:
        """By short hash of the payload: the log's lines on its loss, and whether a fault that was
        declared, or the link's own model, excuses each."""
        lines = self.log.lines["lost"] + self.log.lines["corrupted"]
        lines = tuple(sorted(lines, key=lambda line: line.ns))
        asked = [
            LossLine(
                line.where,
                line.ns,
                "corrupt" if line.what == "corrupted" else line.text("cause"),
                line.number("fault"),
                line.text("direction"),
            )
            for line in lines
        ]
        covered = excused(asked, self.struck, self.scenario.center.name)
        found: dict[str, tuple[tuple[Line, bool], ...]] = {}
        for line, is_covered in zip(lines, covered, strict=True):
            sha = line.text("sha")
            found[sha] = (*found.get(sha, ()), (line, is_covered))
        return found

    @cached_property
    def _disk_losses(self) -> list[DiskLoss]:
        return [
            DiskLoss(line.where, line.ns, line.text("path"), line.number("bytes"))
            for line in self.log.lines["disk lost"]
        ]

    # --- archives ---

    def in_judged_hours(self, site: str, hour_utc_s: int) -> bool:
        """Whether an hour of the site's own UTC shares an instant with the judged span."""
        from_ns = hour_utc_s * SECOND_NS
        ranges = self.clock(site).utc_ranges(*self.world.judged_ns)
        return any(first < from_ns + HOUR_NS and from_ns < last for first, last in ranges)

    def judged_files(self, host: str, site: str) -> tuple[HourFile, ...]:
        """The hour files of a site on a host's disk that belong to the judged span."""
        files = self.hour_files(host, site)
        return tuple(file for file in files if self.in_judged_hours(site, file.utc_s))

    def read(self, host: str, path: str) -> bytes:
        """The content of a file on a host's disk."""
        return (self.disk(host) / path).read_bytes()

    def instrument(self, site: str) -> Instrument:
        """The truth of a site's riometer."""
        riometer = next(i for i in self.site(site).instruments if isinstance(i, Riometer))
        segments = self.world.rate_segments[site]
        dead = tuple(
            PreampDead(item.from_ns, item.until_ns)
            for item in self.struck
            if isinstance(item.fault, DeadPreamplifier)
            and item.fault.host == site
            and item.until_ns is not None
        )
        return Instrument(
            site,
            self.capsule.seed,
            self.world.begins_utc_ns,
            noise=riometer.noise,
            rate_segments=tuple(RateSegment(*segment) for segment in segments),
            faults=dead,
        )

    @cached_property
    def ledger(self) -> Ledger:
        """The fate of every record and sample."""
        return build(self)

    def skipped(self, site: str) -> tuple[Piece, ...]:
        """Samples of the judged span in no point, and the windows that excuse them."""
        first_at = self.instrument(site).first_at
        declared = self.sample_windows(site)
        return tuple(
            piece
            for gap in self.partition(site).gaps
            for piece in apportion((gap.first, gap.last), declared, first_at)
        )

    def strays(self, site: str) -> tuple[str, ...]:
        """Where a site's judged hour files have bytes that are no record. A torn record is excused
        at the end of a file, if a fault could have torn it in that hour: nothing may follow it."""
        clock = self.clock(site)
        torn = [
            (clock.utc_at(max(0, window.from_ns)), clock.utc_at(window.until_ns))
            for window in self.sample_windows(site)
        ]
        return tuple(
            f"{file.path}, offset {offset}"
            for file in self.judged_files(site, site)
            for offset, size in self.site_files(site).strays.get(file.path, ())
            if offset + size < (self.disk(site) / file.path).stat().st_size
            or not any(
                from_ns < file.utc_s * SECOND_NS + HOUR_NS and file.utc_s * SECOND_NS < until_ns
                for from_ns, until_ns in torn
            )
        )

    @cached_property
    def strangers(self) -> Counter[str]:
        """Short hashes of what strangers sent to the center's telemetry port while it was up. It
        came by no link, and a center that was down has no line on it."""
        center = self.scenario.center.name
        lives = self.world.hosts[center].lives
        return Counter(
            line.text("sha")
            for line in self.log.lines["spoofed"]
            if line.where == center
            and line.text("kind") not in _NO_TELEMETRY
            and any(up <= line.ns and (down is None or line.ns < down) for up, down in lives)
        )

    @cached_property
    def becomes(self) -> dict[str, str]:
        """What a damaged datagram arrived as, by short hashes."""
        lines = self.log.lines["corrupted"]
        return {line.text("sha"): line.text("becomes") for line in lines}

    def is_proven(self, site: str, utc_s: int) -> bool:
        """Whether the center's provenance says that a repair brought the second (I4)."""
        day, second = divmod(utc_s, 86_400)
        return any(after <= second <= before for after, before in self._stretches(site, day))

    def _repaired(self, site: str, day: int) -> tuple[tuple[int, int], ...]:
        date = datetime.fromtimestamp(day * 86_400, UTC)
        path = self.center_disk / f"provenance/{date:%Y/%m/%d}/{site}.jsonl"
        notes = path.read_bytes().splitlines() if path.exists() else []
        lines = [json.loads(note) for note in notes]
        return tuple(
            (int(line["after_s"]), int(line["before_s"]))
            for line in lines
            if line["what"] == "restored"
        )

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
            data = (self.center_disk / path).read_bytes() if rows else b""
            for row in rows:
                offset = int(arrivals.offsets[row])
                payload = data[offset : offset + int(arrivals.sizes[row])]
                yield int(arrivals.utc_ns[row]), path, payload

    def _hour_files(self, host: str, site: str) -> tuple[HourFile, ...]:
        return trees.hour_files(self.disk(host), site)

    def walk_ahead(self) -> None:
        """Let other processes walk the sites' archives already, where there is much to walk."""
        sites = self.riometer_sites
        if len(sites) * self.scenario.lasts_s // 60 <= MANY_RECORDS:
            return
        pool = ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn"))
        self._walks = {site: pool.submit(_walk, self.run_dir, site) for site in sites}
        pool.shutdown(wait=False)
        for site in sites:  # meanwhile
            self.arrivals(site, trees.TELEMETRY_PORT)

    def _partition(self, site: str) -> Partition:
        if site in self._walks:
            return self._walks[site].result()
        archive = self.site_files(site).archive
        return partition(archive, self.instrument(site), self.clock(site), self.world.judged_ns)

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
            sound[line.number("offset") + bit // 8] ^= 1 << bit % 8
        return bytes(sound)

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
        path = self.center_disk / f"{file.path}.idx"
        return idx.parse(path.read_bytes() if path.exists() else b"")


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _walk(run_dir: Path, site: str) -> Partition:
    return Evidence(run_dir).partition(site)
