"""Claims on what the center makes of what it received: the canonical order, the quarantine."""

import json
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fieldproof.checks.claim import result
from fieldproof.faults import Value
from fieldproof.oracle import xrio
from fieldproof.verdict import ClaimResult

if TYPE_CHECKING:
    from fieldproof.evidence import Evidence


class InOrder(Value, frozen=True, tag="in_order"):
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
        return result(self, not said, 0, wrong, "files out of order", said)


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


class Quarantined(Value, frozen=True, tag="quarantined"):
    """So many things were kept out for this reason; `*` counts all reasons together. The bytes of
    each are kept: a file whose SHA-256 its provenance names (I3)."""

    reason: str
    exactly: int

    @property
    def name(self) -> str:
        """As in a report."""
        return f"quarantined({self.reason}, {self.exactly})"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By the quarantine's provenance, its files, and the log, which must agree."""
        folder = evidence.center_disk / "quarantine"
        notes = [
            json.loads(line)
            for path in sorted(folder.rglob("*.jsonl"))
            for line in path.read_bytes().splitlines()
        ]
        kept = [
            path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".jsonl"
        ]
        noted = Counter(str(note["reason"]) for note in notes)
        files = Counter(path.name.rpartition("-")[0] for path in kept)
        logged = Counter(line.text("reason") for line in evidence.log.said["quarantined"])
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
        else:
            said = _not_kept(notes, kept)
        return result(self, not said, self.exactly, counts[0], "items", said)


def _not_kept(notes: list[dict[str, Any]], kept: list[Path]) -> str:
    """Whether the files are what the provenance speaks of; "" if so."""
    noted = Counter(str(note["sha256"]) for note in notes)
    found = Counter(sha256(path.read_bytes()).hexdigest() for path in kept)
    missing = (noted - found).total()
    return f"Of {missing} items the bytes are not kept as they came." if missing else ""
