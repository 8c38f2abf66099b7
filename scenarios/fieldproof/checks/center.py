"""Claims on what the center makes of what it received: the canonical order, the quarantine."""

from collections import Counter
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from fieldproof.checks.claim import result
from fieldproof.faults import Value
from fieldproof.oracle import foreign, trees, xrio
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
        for site in evidence.archive_sites:
            for file in evidence.judged_files(center, site):
                edge = evidence.read(site, file.path)
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
    held, known = Counter(theirs), Counter(ours)
    repeated = [record for record in held - known if held[record] > 1]
    if repeated:
        stamp_s = int.from_bytes(repeated[0][12:16], "little")
        return f"the record of {stamp_s} s is there {held[repeated[0]]} times"
    at = 0
    for number, record in enumerate(record for record in theirs if record in known):
        if record not in ours[at:]:
            return f"record {number} does not follow those before it at the edge"
        at = ours.index(record, at) + 1
    stamps = [int.from_bytes(record[12:16], "little") for record in theirs if record not in known]
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
        kept = _kept(evidence)
        noted = Counter(kept.reasons)
        files = Counter(path.rpartition("/")[2].rpartition("-")[0] for path in kept.files)
        logged = Counter(line.text("reason") for line in evidence.log.said["quarantined"])
        if self.reason == "*":
            counts = noted.total(), files.total(), logged.total()
        else:
            file_reason = self.reason.replace(" ", "-")
            counts = noted[self.reason], files[file_reason], logged[self.reason]
        said = ""
        if kept.odd:
            said = f"{kept.odd[0]} cannot be read, {len(kept.odd)} such things in all."
        elif counts != (self.exactly,) * 3:
            said = (
                f"The provenance has {counts[0]}, the folder {counts[1]} and the log {counts[2]} "
                f"({', '.join(f'{n} {why}' for why, n in sorted(noted.items())) or 'none at all'})."
            )
        else:
            said = _not_kept(kept)
        return result(self, not said, self.exactly, counts[0], "items", said)


class _Kept(NamedTuple):
    """What is in a quarantine; the notes' reasons and hashes are of the same order."""

    reasons: tuple[str, ...]
    hashes: tuple[str, ...]
    files: dict[str, bytes]  # by path on the disk
    odd: tuple[str, ...]  # what cannot be read, in words


def _kept(evidence: "Evidence") -> _Kept:
    center = evidence.scenario.center.name
    reasons: list[str] = []
    hashes: list[str] = []
    odd: list[str] = []
    files: dict[str, bytes] = {}
    for whole in trees.below(evidence.center_disk / "quarantine"):
        path = whole.relative_to(evidence.center_disk).as_posix()
        data = evidence.content(center, path)
        if data is None:
            odd.append(path)
        elif whole.suffix != ".jsonl":
            files[path] = data
        else:
            lines, malformed = foreign.notes(data)
            odd += (f"line {number} of {path}" for number in malformed)
            for note in lines:
                reason, sha = note.get("reason"), note.get("sha256")
                if isinstance(reason, str) and isinstance(sha, str):
                    reasons.append(reason)
                    hashes.append(sha)
                else:
                    odd.append(f"a note of {path}")
    return _Kept(tuple(reasons), tuple(hashes), files, tuple(odd))


def _not_kept(kept: _Kept) -> str:
    """Whether the files are what the provenance speaks of; "" if so."""
    found = Counter(sha256(data).hexdigest() for data in kept.files.values())
    missing = (Counter(kept.hashes) - found).total()
    return f"Of {missing} items the bytes are not kept as they came." if missing else ""
