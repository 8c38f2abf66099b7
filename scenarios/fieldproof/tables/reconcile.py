"""The ways to make days whole, side by side, on the same days of data (R1-33 to R1-40).

Each case is the end of a story of the catalog, played in virtual time with a center that asks for
nothing; each method then runs on its disks with real programs, over an emulated link of 600 ms.
What a method cost is summed from the captures of its run. The runs stay: they are the evidence.

Counted are Dawson's IP bytes, both ways, but for the manifests. The manifests, one datagram a day
that proves to the center what the edge has, are the same for every method and stand apart.
"""

import concurrent.futures
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fieldproof import catalog
from fieldproof.checks import identical, in_order
from fieldproof.judge import judge
from fieldproof.live.run import run as run_live
from fieldproof.norstar import DAWSON
from fieldproof.options import LIVE, Asked, LiveOptions
from fieldproof.oracle import trees, xrio
from fieldproof.rundir import BEFORE
from fieldproof.scenario import HOUR_S, Center, Link, Reconcile, Scenario
from fieldproof.store import RunStore
from fieldproof.systems.process import PURPOSES
from fieldproof.tables.captures import Cost, costs
from fieldproof.tables.entropy import least_bytes
from fieldproof.verdict import Report

SITE = "daws"
METHODS: tuple[Reconcile, ...] = ("repair", "xdelta", "http-range", "rsync")
PROOF = "manifest"
ONE_WAY_MS = 300.0
"""Of the link's profile."""

AT_ONCE = 4
"""Runs that are on at the same time: each takes a few per cent of a core."""

PROFILE = "dawson-2005"


class Case(NamedTuple):
    """Days that are to be made whole."""

    name: str
    story: Scenario  # how they came to lack something
    starts: str  # when they are made whole
    of_2006: tuple[tuple[str, int], ...]  # what the 2006 text says that it takes, bytes


CASES = (
    Case(
        "three gaps",
        msgspec.structs.replace(  # with its lead on the same day, so that it is one day alone
            catalog.load("dawson-three-lost-packets"), starts="2006-01-17T00:10Z", lasts="1430m"
        ),
        "2006-01-18T00:15Z",
        (
            ("the records", 1140),
            ("xdelta, three files", 1241),
            ("rsync, sent", 5235),
            ("rsync, received", 2264),
        ),
    ),
    Case(
        "whole day",
        catalog.load("dish-misaligned-whole-day"),
        "2006-01-18T00:15Z",
        (("the records", 547_200), ("rsync -z", 110_908)),
    ),
    Case("December 2005", catalog.load("dawson-december-2005"), "2006-01-01T00:15Z", ()),
)
"""The figures of 2006 are counters of programs, not bytes on a wire."""


class Row(Struct, frozen=True):
    """What one method cost for one case."""

    case: str
    method: str
    up_bytes: int
    down_bytes: int
    packets: int
    seconds: float
    round_trips: float
    verdict: str
    run_dir: str

    @property
    def all_bytes(self) -> int:
        """Both ways."""
        return self.up_bytes + self.down_bytes


class Lacking(Struct, frozen=True):
    """What a case lacks, and the least that it would take."""

    case: str
    records: int
    record_bytes: int
    least_bytes: int  # by the entropy of what is new
    proof_bytes: int  # of the manifests that came, one for each newest closed day
    of_2006: tuple[tuple[str, int], ...]


class Table(Struct, frozen=True):
    """All of it."""

    seed: int
    profile: str
    one_way_ms: float
    cases: tuple[Lacking, ...]
    rows: tuple[Row, ...]


def scenario(case: Case, method: Reconcile) -> Scenario:
    """The story of one cell of the table."""
    slug, story = case.name.lower().replace(" ", "-"), case.story
    sites = [
        msgspec.structs.replace(site, instruments=(), reconcile=method) for site in story.sites
    ]
    return Scenario(
        name=f"{slug}-by-{method}",
        story=f"{case.name.capitalize()}: what is lacking comes by {method}.",
        starts=case.starts,
        lasts="10s",
        lead="5s",
        links=tuple(Link(link.name, PROFILE) for link in story.links),
        nodes=(*sites, Center()),
        checks=(identical("center", to=SITE), in_order()),
        tiers=(LIVE,),
        settles_within="30m",
        continues=story,
    )


def measured(store: RunStore, seed: int, done: Callable[[Row], None]) -> Table:
    """Run it all; `done` hears of each row as it comes. Raises NotHere where the machine cannot."""
    cells = [(case, method) for case in reversed(CASES) for method in METHODS]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        futures = {pool.submit(_play, store, seed, *cell): cell for cell in cells}
        reports = {}
        for future in concurrent.futures.as_completed(futures):
            case, method = futures[future]
            report = reports[case.name, method] = future.result()
            done(_row(case, method, report))
    rows = [_row(case, way, reports[case.name, way]) for case in CASES for way in METHODS]
    cases = [_lacking(case, Path(reports[case.name, METHODS[0]].run_dir)) for case in CASES]
    return Table(seed, PROFILE, ONE_WAY_MS, tuple(cases), tuple(rows))


def _play(store: RunStore, seed: int, case: Case, method: Reconcile) -> Report:
    story = scenario(case, method)
    run_dir = store.new(story, seed, Asked(LIVE))
    with store.holding(run_dir):
        run_live(story, seed, run_dir, LiveOptions())
        report = judge(run_dir)
    store.complete(run_dir)
    return report


def _row(case: Case, method: str, report: Report) -> Row:
    """Everything that was not the proof was the method's: what it asked before it could begin, and
    what the kernel said to a closed port, too."""
    found = costs(Path(report.run_dir) / "links", DAWSON, PURPOSES)
    own = [cost for purpose, cost in found.items() if purpose != PROOF]
    whole = Cost(
        sum(cost.up_bytes for cost in own),
        sum(cost.down_bytes for cost in own),
        sum(cost.up_packets for cost in own),
        sum(cost.down_packets for cost in own),
        max((cost.seconds for cost in own), default=0.0),
    )
    return Row(
        case.name,
        method,
        whole.up_bytes,
        whole.down_bytes,
        whole.all_packets,
        round(whole.seconds, 2),
        round(whole.round_trips(ONE_WAY_MS), 1),
        report.verdict.value,
        report.run_dir,
    )


def _lacking(case: Case, run_dir: Path) -> Lacking:
    """By what lay on the disks before the run: the edge's days, less what the center had of them;
    the hours are those of the story's span."""
    hours = scenario(case, METHODS[0]).inherited_hours
    disks = run_dir / BEFORE / "disks"
    records = record_bytes = 0
    least = 0.0
    for day in _days(disks / SITE, hours):
        points, lacking, missing = _day(disks, day)
        records += len(missing)
        record_bytes += sum(missing)
        least += least_bytes(points, lacking)
    proof = costs(run_dir / "links", DAWSON, PURPOSES).get(PROOF)
    proof_bytes = 0 if proof is None else proof.all_bytes
    return Lacking(case.name, records, record_bytes, round(least), proof_bytes, case.of_2006)


def _days(disk: Path, hours: range) -> Iterator[list[str]]:
    """Those of the hour files that are of these hours since 1970, by day, in order."""
    by_day: dict[str, list[str]] = {}
    wanted = {trees.hour_path(SITE, hour * HOUR_S) for hour in hours}
    for file in trees.hour_files(disk, SITE):
        if file.path in wanted:
            by_day.setdefault(file.path.rpartition("/")[0], []).append(file.path)
    yield from by_day.values()


def _day(disks: Path, paths: list[str]) -> tuple[NDArray[np.void], NDArray[np.bool_], list[int]]:
    """All points of an edge's day, which of them the center lacked, and the sizes of the records
    that these are of."""
    points, lacking, missing = [], [], []
    for path in paths:
        data = (disks / SITE / path).read_bytes()
        own = disks / "center" / path
        records = xrio.decode(data, SITE)
        there = xrio.decode(own.read_bytes() if own.exists() else b"", SITE)
        lacks = ~np.isin(records.timestamps_s, there.timestamps_s)
        points.append(records.points)
        lacking.append(np.repeat(lacks, records.counts))
        missing += records.sizes[lacks].tolist()
    return np.concatenate(points), np.concatenate(lacking), missing
