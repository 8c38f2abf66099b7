"""Claims on figures: bytes on the wire, delays, compression, and what an index alone can tell."""

import math
import zlib
from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fieldproof.checks.claim import result, undecided
from fieldproof.checks.machine import asked, off_target
from fieldproof.faults import Value
from fieldproof.oracle.trees import PURPOSES, TELEMETRY_PORT
from fieldproof.verdict import ClaimResult

if TYPE_CHECKING:
    from fieldproof.evidence import Evidence

_SECOND_NS = 1_000_000_000
_MINUTE_NS = 60 * _SECOND_NS
_DAY_NS = 86_400 * _SECOND_NS


class WireBytes(Value, frozen=True, tag="wire_bytes"):
    """IP bytes that one purpose offered to a link, both directions."""

    link: str
    purpose: str
    at_most: int
    at_least: int = 1

    def __post_init__(self) -> None:
        if self.purpose not in PURPOSES or not 1 <= self.at_least <= self.at_most:
            raise ValueError(
                f"{self.name} cannot be judged: claim at least 1 byte, no more than at_most, and "
                f"one of {', '.join(PURPOSES)}."
            )

    @property
    def name(self) -> str:
        """As in a report."""
        return f"wire_bytes({self.link}, {self.purpose})"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By the links' own count."""
        size = sum(
            entry.bytes
            for entry in evidence.world.wire
            if (entry.link, entry.purpose) == (self.link, self.purpose)
        )
        holds = self.at_least <= size <= self.at_most
        limit = self.at_least if size < self.at_least else self.at_most
        said = "" if holds else f"That is {size - limit:+d} bytes from the limit of {limit}."
        return result(self, holds, f"{self.at_least} to {self.at_most}", size, "B", said)


class Latency(Value, frozen=True, tag="latency"):
    """From the end of a record's last second to its arrival in the raw tree, where it arrived.

    Percentiles by nearest rank, true time on both sides."""

    site: str
    p50_s: float
    p99_s: float

    def __post_init__(self) -> None:
        if not 0 < self.p50_s <= self.p99_s < math.inf:
            raise ValueError(f"{self.name} needs limits with 0 < p50 <= p99, in seconds.")

    @property
    def name(self) -> str:
        """As in a report."""
        return f"latency({self.site})"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By the ledger's deliveries and the center's clock."""
        ended_ns, arrived_utc_ns = evidence.ledger.deliveries[evidence.site(self.site).name]
        limit = f"p50 <= {self.p50_s:g}, p99 <= {self.p99_s:g}"
        if not len(ended_ns):
            return result(self, False, limit, "none", "s", "No record was delivered.")
        delays_ns = np.sort(evidence.center_ns(arrived_utc_ns, ended_ns) - ended_ns)
        p50_s, p99_s = (_nearest_rank(delays_ns, percent) / _SECOND_NS for percent in (50, 99))
        holds = p50_s <= self.p50_s and p99_s <= self.p99_s
        slowest_s = delays_ns[-1] / _SECOND_NS
        said = "" if holds else f"Of {len(delays_ns)} records the slowest took {slowest_s:.3f} s."
        found = f"p50 {p50_s:.3f}, p99 {p99_s:.3f}"
        if not holds and (why := off_target(evidence)):
            return undecided(self, limit, found, "s", f"{why} {said}")
        return result(self, holds, limit, found, "s", said)


def _nearest_rank(ordered: NDArray[np.int64], percent: int) -> int:
    return int(ordered[-(-percent * len(ordered) // 100) - 1])


class LinkDelay(Value, frozen=True, tag="link_delay"):
    """How late a live link let packets go, beyond what its model asked for, in the worse of its
    directions: what a link emulator is worth on this machine."""

    link: str
    p50_within_ms: float
    p99_within_ms: float

    def __post_init__(self) -> None:
        if not 0 < self.p50_within_ms <= self.p99_within_ms < math.inf:
            raise ValueError(f"{self.name} needs limits with 0 < p50 <= p99, in milliseconds.")

    @property
    def name(self) -> str:
        """As in a report."""
        return f"link_delay({self.link})"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By the pump's figures."""
        limit = f"p50 <= {self.p50_within_ms:g}, p99 <= {self.p99_within_ms:g}"
        used = [
            (each.late_p50_ms, each.late_p99_ms, each)
            for each in evidence.world.links
            if each.link == self.link and each.late_p50_ms is not None
        ]
        if not used:
            return result(self, False, limit, "none", "ms", f"No packet crossed {self.link}.")
        p50_ms = max(p50 for p50, _, _ in used if p50 is not None)
        p99_ms = max((p99 for _, p99, _ in used if p99 is not None), default=math.inf)
        holds = p50_ms <= self.p50_within_ms and p99_ms <= self.p99_within_ms
        figures = used[0][2]
        said = f"{figures.link} by {figures.backend}: {asked(figures)}, {figures.direction}."
        return result(self, holds, limit, f"p50 {p50_ms:.2f}, p99 {p99_ms:.2f}", "ms", said)


class ArchiveBytes(Value, frozen=True, tag="archive_bytes"):
    """The calibration: a site's hour files, each compressed by zlib at level 6, sum to this."""

    site: str
    zlib6_bytes: int
    tolerance_percent: float = 3

    def __post_init__(self) -> None:
        if self.zlib6_bytes < 1 or not 0 <= self.tolerance_percent < 100:
            raise ValueError(
                f"{self.name} needs at least 1 byte to compare with and a tolerance below 100 %."
            )

    @property
    def name(self) -> str:
        """As in a report."""
        return f"archive_bytes({self.site})"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By the files of the judged span on the site's own disk."""
        site = evidence.site(self.site).name
        contents = [evidence.read(site, file.path) for file in evidence.judged_files(site, site)]
        size = sum(len(zlib.compress(content, 6)) for content in contents)
        off_percent = 100 * (size - self.zlib6_bytes) / self.zlib6_bytes
        plain = sum(map(len, contents))
        return result(
            self,
            abs(off_percent) <= self.tolerance_percent,
            f"{self.zlib6_bytes} +-{self.tolerance_percent:g} %",
            size,
            "B",
            f"{len(contents)} files of {plain} bytes compress to {size}, {off_percent:+.2f} %.",
        )


class SplitRecovered(Value, frozen=True, tag="split_recovered"):
    """The index files alone tell, day by day, how many of a site's losses were server downtime and
    how many the network's, as the log knows it (R1-21).

    A missing datagram is the server's where it is one of a run of missing datagrams, of all sites
    in the order in which they were due, that is at least as long as there are sites: then there
    was a minute without a packet from any of them. With a single site nothing can be told apart."""

    site: str

    @property
    def name(self) -> str:
        """As in a report."""
        return f"split_recovered({self.site})"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By the index files; the log is the truth."""
        told, true = _told(evidence, self.site), _true(evidence, self.site)
        server, network = (
            sum(number for (_, is_server), number in told.items() if is_server is kind)
            for kind in (True, False)
        )
        limit = ", ".join(
            f"{label} {sum(number for (_, kind), number in true.items() if kind is is_server)}"
            for label, is_server in (("server", True), ("network", False))
        )
        said = ""
        if told != true:
            day, is_server = min(key for key in told | true if told[key] != true[key])
            kind = "server" if is_server else "network"
            date = datetime.fromtimestamp(day * 86400, UTC)
            said = (
                f"First on {date:%Y-%m-%d}: the index tells {told[day, is_server]} {kind} losses, "
                f"the log has {true[day, is_server]}."
            )
        return result(self, not said, limit, f"server {server}, network {network}", "losses", said)


Split = Counter[tuple[int, bool]]
"""Losses by (day since 1970, whether the server's)."""


def _told(evidence: "Evidence", site: str) -> Split:
    """What the index files tell of a site's losses."""
    from_ns, until_ns = evidence.center_utc_span()
    due: list[tuple[int, str, bool]] = []  # (when, site, whether it came)
    sites = evidence.riometer_sites
    for name in sites:
        came_ns = sorted(
            came_ns
            for came_ns in evidence.arrivals(name, TELEMETRY_PORT).utc_ns.tolist()
            if from_ns - _DAY_NS < came_ns < until_ns + _DAY_NS
        )
        due += ((when, name, came) for when, came in _slots(came_ns, from_ns, until_ns))
    due.sort()
    split: Split = Counter()
    at = 0
    while at < len(due):
        end = at
        while end < len(due) and not due[end][2]:
            end += 1
        for when, name, _ in due[at:end]:
            if name == site:
                split[when // _DAY_NS, end - at >= len(sites)] += 1
        at = end + 1
    return split


def _slots(came_ns: list[int], from_ns: int, until_ns: int) -> list[tuple[int, bool]]:
    """When a datagram was due in [from, to), and whether one came. One is due a minute after the
    last: a restart may move the phase."""
    if not came_ns:
        return []
    early = range(came_ns[0] - _MINUTE_NS, from_ns - 1, -_MINUTE_NS)
    late = range(came_ns[-1] + _MINUTE_NS, until_ns, _MINUTE_NS)
    slots = [(when, True) for when in came_ns] + [(when, False) for when in (*early, *late)]
    for before, after in pairwise(came_ns):
        minutes = (after - before + _MINUTE_NS // 2) // _MINUTE_NS
        step_ns = (after - before) // max(1, minutes)
        slots += [(before + number * step_ns, False) for number in range(1, minutes)]
    return [slot for slot in slots if from_ns <= slot[0] < until_ns]


def _true(evidence: "Evidence", site: str) -> Split:
    """What the log knows of a site's losses."""
    from_ns, until_ns = evidence.world.judged_ns
    own = evidence.ledger.undelivered[evidence.site(site).name]
    split: Split = Counter()
    for line in evidence.log.lines["lost"]:
        if line.text("sha") in own and from_ns <= line.ns < until_ns:
            day = evidence.true_utc.utc_at(line.ns) // _DAY_NS
            split[day, line.text("cause") == "host down"] += 1
    return split
