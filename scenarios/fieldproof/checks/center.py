"""Claims on what the center keeps: the raw tree, the canonical order, the quarantine."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from fieldproof.checks.claim import Claim
from fieldproof.oracle import idx, trees, xrio
from fieldproof.oracle.trees import TELEMETRY_PORT
from fieldproof.verdict import ClaimResult

if TYPE_CHECKING:
    from fieldproof.evidence import Evidence

_DAY_NS = 86_400_000_000_000


class InOrder(Claim, frozen=True, tag="in_order"):
    """Hour files of the center hold records in the edge's order, and none more often than it."""

    @property
    def name(self) -> str:
        """As in a report."""
        return "in_order"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By the records of both."""
        center = evidence.scenario.center.name
        files = wrong = 0
        said = ""
        for site in evidence.riometer_sites:
            for file in evidence.judged_files(center, site):
                path = evidence.disk(site) / file.path
                edge = path.read_bytes() if path.exists() else b""
                problem = _disorder(evidence.read(center, file.path), edge, site)
                files += 1
                wrong += bool(problem)
                said = said or (problem and f"{file.path}: {problem}.")
        if not files:
            said = "The center has no hour file of the judged span."
        return self.result(not said, 0, wrong, "files out of order", said)


def _disorder(center: bytes, edge: bytes, site: str) -> str:
    """What is out of order in the center's file, against the edge's file; "" for nothing."""
    if center == edge:
        return ""
    ours, theirs = _records(edge, site), _records(center, site)
    more = Counter(theirs) - Counter(ours)
    repeated = [record for record in more if theirs.count(record) > 1]
    if repeated:
        stamp_s = int.from_bytes(repeated[0][12:16], "little")
        return f"the record of {stamp_s} s is there {theirs.count(repeated[0])} times"
    at = 0
    for number, record in enumerate(record for record in theirs if record in ours):
        if record not in ours[at:]:
            return f"record {number} does not follow those before it at the edge"
        at = ours.index(record, at) + 1
    stamps = [int.from_bytes(record[12:16], "little") for record in theirs if record not in ours]
    return "" if stamps == sorted(stamps) else "records that the edge has not go back in time"


def _records(data: bytes, site: str) -> list[bytes]:
    records = xrio.decode(data, site)
    pairs = zip(records.offsets.tolist(), records.sizes.tolist(), strict=True)
    return [data[offset : offset + size] for offset, size in pairs]


class RawUntouched(Claim, frozen=True, tag="raw_untouched"):
    """The raw tree is what the center heard, whole (I1): every .idx line fits its .dat file, the
    lines cover it without a hole, and what the links delivered is there."""

    @property
    def name(self) -> str:
        """As in a report."""
        return "raw_untouched"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By all arrival files, and by the count of what was sent."""
        problems = [
            f"{file.path}: {problem}"
            for file in trees.arrival_files(evidence.center_disk)
            for problem in _misfits(evidence, file.path)
        ]
        expected, present, excused = evidence.raw_balance()
        missing = expected - present
        if missing > excused:
            problems.append(f"{missing} of {expected} delivered datagrams are not there")
        elif missing < 0:
            problems.append(f"{-missing} datagrams are there that no link delivered")
        said = f"{len(problems)} problems; first: {problems[0]}." if problems else ""
        if not present:
            said = "The raw tree is empty."
        return self.result(not said, 0, len(problems) or int(not present), "problems", said)


def _misfits(evidence: "Evidence", stem: str) -> Iterator[str]:
    """What does not fit between an .idx file and its .dat file."""
    data, lines = (
        path.read_bytes() if path.exists() else b""
        for path in (evidence.center_disk / f"{stem}.dat", evidence.center_disk / f"{stem}.idx")
    )
    index = idx.parse(lines)
    for number in index.malformed:
        yield f"line {number} of the index cannot be read"
    end = 0
    for number, entry in enumerate(index.entries, start=1):
        if entry.offset != end:
            yield f"entry {number} is at offset {entry.offset}, not {end}"
        payload = data[entry.offset : entry.offset + entry.size]
        if len(payload) != entry.size or payload[:4] != entry.first:
            yield f"entry {number} is not what the .dat file holds at offset {entry.offset}"
        end = entry.offset + entry.size
    if end != len(data):
        yield f"the index ends at {end}, the .dat file at {len(data)}"


class Quarantined(Claim, frozen=True, tag="quarantined"):
    """So many things were kept out for this reason; `*` counts all reasons together."""

    reason: str
    exactly: int

    @property
    def name(self) -> str:
        """As in a report."""
        return f"quarantined({self.reason}, {self.exactly})"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By the quarantine's provenance, its files, and the log, which must agree."""
        folder = evidence.center_disk / "quarantine"
        noted = Counter(
            str(json.loads(line)["reason"])
            for path in sorted(folder.rglob("*.jsonl"))
            for line in path.read_bytes().splitlines()
        )
        files = Counter(
            path.name.rpartition("-")[0]
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.suffix != ".jsonl"
        )
        logged = Counter(line.text("reason") for line in evidence.log.lines["quarantined"])
        if self.reason == "*":
            counts = noted.total(), files.total(), logged.total()
        else:
            file_reason = self.reason.replace(" ", "-")
            counts = noted[self.reason], files[file_reason], logged[self.reason]
        said = ""
        if counts != (self.exactly,) * 3:
            said = (
                f"The provenance has {counts[0]}, the folder {counts[1]} and the log {counts[2]} "
                f"({', '.join(f'{n} {why}' for why, n in sorted(noted.items())) or 'none at all'})."
            )
        return self.result(not said, self.exactly, counts[0], "items", said)


class ReceivedDaily(Claim, frozen=True, tag="received_daily"):
    """Telemetry datagrams received from a site on each day of arrival, as `wc -l` counts them."""

    site: str
    counts: tuple[int, ...]

    @property
    def name(self) -> str:
        """As in a report."""
        return f"received_daily({self.site}, {len(self.counts)} days)"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By the index files."""
        days = Counter((evidence.arrivals(self.site, TELEMETRY_PORT).utc_ns // _DAY_NS).tolist())
        first = evidence.scenario.starts_utc_s // 86400
        found = tuple(days[first + number] for number in range(len(self.counts)))
        said = ""
        if found != self.counts:
            pairs = enumerate(zip(found, self.counts, strict=True))
            number = next(at for at, (here, wanted) in pairs if here != wanted)
            day = datetime.fromtimestamp(first * 86400, UTC) + timedelta(days=number)
            said = (
                f"First on {day:%Y-%m-%d}: {found[number]} datagrams came, "
                f"where {self.counts[number]} are claimed."
            )
        return self.result(not said, sum(self.counts), sum(found), "datagrams", said)
