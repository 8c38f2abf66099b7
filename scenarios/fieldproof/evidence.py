"""A run directory, read: the only way in which claims and the ledger look at a run.

The files are read in `rundir.py`. Here is what follows from them: what each fault excuses, in which
samples each point belongs, what the ledger holds. It is small and stays.
"""

import multiprocessing
from collections import Counter
from concurrent.futures import Future, ProcessPoolExecutor
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from pathlib import Path

from fieldproof import filed
from fieldproof.faults import UNHEARD_SPOOFS, DeadPreamplifier, Outage
from fieldproof.ledger import Ledger, build
from fieldproof.oracle import foreign, trees
from fieldproof.oracle.clock import SECOND_NS
from fieldproof.oracle.declared import length_ns, united, without
from fieldproof.oracle.excuses import (
    EDGE_NS,
    LIVE_SLACK_NS,
    MUDDLES,
    RECORD_NS,
    SLACK_NS,
    STARTUP_NS,
    DiskLoss,
    LossLine,
    Piece,
    Struck,
    Window,
    apportion,
    excused,
    line_windows,
    strike,
    windows,
)
from fieldproof.oracle.log import Line
from fieldproof.oracle.partition import LIVE_LATE_NS, Allowance, Partition, partition
from fieldproof.rundir import HOUR_NS, RunDirectory
from fieldproof.scenario import Riometer
from fieldproof_simulators.instruments.riometer import PreampDead, RateSegment
from fieldproof_simulators.instruments.riometer import Riometer as Instrument

MANY_RECORDS = 40_000
"""A month of one site. A run of more is worth the start of other processes (a quarter second)."""


_NO_TELEMETRY = ("repair", "manifest", *UNHEARD_SPOOFS)
"""Kinds of `Spoof` that never come to the port of telemetry."""


class Evidence(RunDirectory):
    """See the head of this file. Raises ValueError where the directory is not a whole run."""

    def __init__(self, run_dir: Path) -> None:
        super().__init__(run_dir)
        self._walks: dict[str, Future[Partition]] = {}
        self.partition = lru_cache(maxsize=None)(self._partition)
        self._stretches = lru_cache(maxsize=None)(self._repaired)

    # --- what faults excuse ---

    @cached_property
    def struck(self) -> tuple[Struck, ...]:
        """The scenario's faults in true time."""
        felled_ns = {line.number("fault"): line.ns for line in self.log.lines["host down"]}
        return strike(self.scenario.faults, self.true_ns, felled_ns, self.world.struck_ns)

    @property
    def _startup_ns(self) -> int:
        """How long systems may take to start."""
        return STARTUP_NS if self.world.is_live else 0

    def sample_windows(self, site: str) -> tuple[Window, ...]:
        """When a site may have failed to archive samples."""
        on_the_line = line_windows(self.struck, site, self._startup_ns)
        windows = (*self._first_start(site), *self.filing_windows(site), *on_the_line)
        return tuple(sorted(windows))

    def _first_start(self, site: str) -> tuple[Window, ...]:
        """Until a system has come up for the first time; the stage says when it was begun."""
        if not self.world.is_live:
            return ()
        begun_ns = next((from_ns for from_ns, _ in self.world.hosts[site].lives), 0)
        return (Window(0, begun_ns + STARTUP_NS + EDGE_NS, "first start", -1),)

    def filing_windows(self, site: str) -> tuple[Window, ...]:
        """When a site's host may have failed to archive what it heard, or did not run."""
        lost = [loss for loss in self._disk_losses if loss.path.startswith("riometer/")]
        return windows(self.struck, site, lost, RECORD_NS, self._startup_ns)

    def sending_windows(self, site: str) -> tuple[Window, ...]:
        """When a site may have failed to send what it archived."""
        return windows(self.struck, site, (), startup_ns=self._startup_ns)

    def arrival_windows(self, site: str) -> tuple[Window, ...]:
        """When the center may have failed to keep what reached it from a site, without a word in
        the log. In virtual time what met a center that was down has a line of its own there; a real
        kernel drops it, and what a killed process had not read, in silence."""
        folders = [f"/{address}/" for address in self.addresses(site)]
        lost = [
            loss
            for loss in self._disk_losses
            if loss.path.endswith(".dat") and any(folder in loss.path for folder in folders)
        ]
        center = self.scenario.center.name
        declared = windows(self.struck, center, lost, startup_ns=self._startup_ns)
        noted = () if self.world.is_live else ("kill", "center down")
        return tuple(each for each in declared if each.cause not in noted)

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
        slack_ns = LIVE_SLACK_NS if self.world.is_live else SLACK_NS
        covered = excused(asked, self.struck, self.scenario.center.name, slack_ns)
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

    @cached_property
    def unexcused_ns(self) -> int:
        """How much of the judged span no excuse touches: no site's host or line and no link was in
        a fault, nor in the time that a fault or a start is given beyond its end. What a fault on a
        number of datagrams excuses is counted, not timed."""
        names = [site.name for site in self.scenario.sites]
        excuses = [
            (window.from_ns, window.until_ns)
            for name in names
            for of in (self.sample_windows, self.sending_windows, self.arrival_windows)
            for window in of(name)
        ]
        slack_ns = LIVE_SLACK_NS if self.world.is_live else SLACK_NS
        excuses += [
            (item.from_ns - slack_ns, (item.until_ns or self.world.ends_ns) + slack_ns)
            for item in self.struck
            if isinstance(item.fault, Outage)
        ]
        return length_ns(without((self.world.judged_ns,), united(excuses)))

    # --- samples ---

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
            for window in self.filing_windows(site)
        ]
        return tuple(
            f"{file.path}, offset {offset}"
            for file in self.judged_files(site, site)
            for offset, size in self.site_files(site).strays.get(file.path, ())
            if offset + size < len(self.read(site, file.path))
            or not any(
                from_ns < file.utc_s * SECOND_NS + HOUR_NS and file.utc_s * SECOND_NS < until_ns
                for from_ns, until_ns in torn
            )
        )

    # --- what the center made of what it received ---

    @cached_property
    def keeps(self) -> filed.Keeps:
        """Which of our notes the center keeps."""
        return filed.keeps(self)

    @cached_property
    def kept_out(self) -> frozenset[str]:
        """SHA-256 of what is in quarantine, with its bytes and a note."""
        return filed.kept_out(self)

    @cached_property
    def looked_until_ns(self) -> int:
        """By the center's clock: what came later it need not have looked at when the run ended."""
        clock = self.clock(self.scenario.center.name)
        return clock.utc_at(self.world.ends_ns) - filed.LOOK_NS

    @cached_property
    def elsewhere(self) -> filed.Elsewhere:
        """Datagrams that are not of the site from whose address they came."""
        return filed.elsewhere(self)

    @cached_property
    def accounts(self) -> dict[str, filed.Account]:
        """What became of everything that was received, by site."""
        return {site: filed.account(self, site) for site in self.archive_sites}

    # --- datagrams and records ---

    @cached_property
    def strangers(self) -> Counter[str]:
        """Short hashes of what strangers sent to the center's telemetry port while it was up. It
        came by no link, and a center that was down has no line on it."""
        return Counter(line.text("sha") for line in self._strange)

    @cached_property
    def doubtful_strangers(self) -> Counter[str]:
        """Those of them that met a center which may not have kept them, and that in silence."""
        silent = [
            window
            for site in self.scenario.sites
            for window in self.arrival_windows(site.name)
            if self.world.is_live
        ]
        return Counter(
            line.text("sha")
            for line in self._strange
            if any(window.touches(line.ns, line.ns + 1) for window in silent)
        )

    @cached_property
    def _strange(self) -> tuple[Line, ...]:
        center = self.scenario.center.name
        lives = self.world.hosts[center].lives
        return tuple(
            line
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
        stretches, _ = self._stretches(site, day)
        return any(after <= second <= before for after, before in stretches)

    def odd_provenance(self, site: str, utc_s: int) -> str:
        """What of the provenance of a second's day cannot be read, in words; "" for nothing."""
        return self._stretches(site, utc_s // 86_400)[1]

    def _repaired(self, site: str, day: int) -> tuple[tuple[tuple[float, float], ...], str]:
        """The stretches that a day's provenance names, and what of it is odd."""
        date = datetime.fromtimestamp(day * 86_400, UTC)
        path = f"provenance/{date:%Y/%m/%d}/{site}.jsonl"
        data = self.content(self.scenario.center.name, path)
        if data is None:
            is_odd = foreign.is_there(self.center_disk, path)
            return (), f"{path} cannot be read" if is_odd else ""
        lines, malformed = foreign.notes(data)
        restored = [line for line in lines if line.get("what") == "restored"]
        sound = tuple(
            (after, before)
            for line in restored
            if (after := foreign.number(line.get("after_s"))) is not None
            and (before := foreign.number(line.get("before_s"))) is not None
        )
        odd = f"line {malformed[0]} of {path} cannot be read" if malformed else ""
        if len(sound) < len(restored):
            odd = odd or f"a stretch that {path} notes has no seconds"
        return sound, odd

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
        muddled_ns = tuple(
            (each.from_ns, each.until_ns)
            for each in self.sample_windows(site)
            if each.cause in MUDDLES
        )
        late_ns = LIVE_LATE_NS if self.world.is_live else 0
        return partition(
            self.site_files(site).archive,
            self.instrument(site),
            self.clock(site),
            self.world.judged_ns,
            Allowance(late_ns, muddled_ns),
        )


def _walk(run_dir: Path, site: str) -> Partition:
    return Evidence(run_dir).partition(site)
