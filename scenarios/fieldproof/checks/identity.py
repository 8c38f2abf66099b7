"""The promise: the center holds what the edge archived, and that is what was measured."""

from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fieldproof.checks.claim import result, undecided
from fieldproof.checks.machine import most_late_ns, off_target
from fieldproof.faults import Value
from fieldproof.oracle import trees, xrio
from fieldproof.oracle.clock import SECOND_NS
from fieldproof.oracle.excuses import EDGE_NS, RECORD_NS, bytes_of
from fieldproof.oracle.locate import NOWHERE
from fieldproof.oracle.log import MACHINE
from fieldproof.oracle.partition import LIVE_LATE_NS, TOLERANCE_NS
from fieldproof.verdict import ClaimResult

if TYPE_CHECKING:
    from fieldproof.evidence import Evidence
    from fieldproof.oracle.partition import Deviation

_WHATS = {
    "value": "wrong values",
    "label": "wrong labels",
    "reused": "samples used again",
    "skipped": "samples skipped within a second",
    "unchecked": "unchecked",
    "empty": "empty points for seconds that were heard",
    "stray": "bytes that are no record",
    "misfiled": "records in the file of another hour",
    "length": "records that have not sixty points",
    "header": "records with a wrong rate or spare",
    "order": "records before an earlier one",
    "rounding": "sites that round differently",
    "unreadable": "files that cannot be read",
}


class Identical(Value, frozen=True, tag="identical"):
    """Two archives are the same, file by file and byte by byte, over the hours of the judged span.

    `identical("center", to="daws")`: the center's hour files of a site are those of the site, and
    its canonical tree has no file, of whatever name, that no edge has.
    `identical("center:*", to="edges")`: of every site.
    `identical("daws", to="oracle")`: the site's records partition the instrument's samples and hold
    their averages, ranges and times (`oracle.partition`), in records of sixty points with sound
    headers, each in its place; `"*"` for every site."""

    left: str
    to: str

    def __post_init__(self) -> None:
        known = self.left in ("center", "center:*") if self.to != "oracle" else True
        if not known or (self.left == "center:*") != (self.to == "edges"):
            raise ValueError(
                f"identical({self.left!r}, to={self.to!r}) means nothing: compare center to a "
                "site, center:* to edges, or a site (or *) to oracle."
            )

    @property
    def name(self) -> str:
        """As in a report."""
        return f"identical({self.left}, {self.to})"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By the files, or by the samples."""
        if self.to == "oracle":
            return self._by_samples(evidence)
        everywhere = self.to == "edges"
        sites = evidence.archive_sites if everywhere else (evidence.site(self.to).name,)
        return self._by_files(evidence, sites)

    # --- center and edge ---

    def _by_files(self, evidence: "Evidence", sites: tuple[str, ...]) -> ClaimResult:
        equal, differences = 0, []
        for site in sites:
            for difference in _differences(evidence, site):
                equal += not difference
                if difference:
                    differences.append(difference)
        differences += _strangers(evidence)
        total = equal + len(differences)
        if total == 0:
            return result(self, False, ">= 1", 0, "files", "There is no hour file to compare.")
        said = f"First of {len(differences)} differences: {differences[0]}." if differences else ""
        return result(self, not differences, total, equal, "files", said)

    # --- edge and instrument ---

    def _by_samples(self, evidence: "Evidence") -> ClaimResult:
        sites = evidence.riometer_sites if self.left == "*" else (evidence.site(self.left).name,)
        findings = [finding for site in sites for finding in _findings(evidence, site)]
        rounding = Counter(evidence.partition(site).rounding for site in sites)
        if len(rounding) > 1:
            findings.append(_Finding("rounding", min(rounding.values()), "averages"))
        points = sum(evidence.partition(site).points for site in sites)
        if points == 0:
            return result(self, False, ">= 1", 0, "points", "There is no record to compare.")
        wrong = sum(finding.points for finding in findings)
        sums: Counter[str] = Counter()
        for finding in findings:
            sums[finding.kind] += finding.points
        parts = ", ".join(f"{number} {_WHATS[kind]}" for kind, number in sorted(sums.items()))
        said = f"{parts}; first: {findings[0].said}." if findings else f"{points} points compared."
        if findings and all(finding.is_doubtful for finding in findings):
            why = off_target(evidence) or "The machine was late, and not now and then alone."
            return undecided(self, 0, wrong, "deviations", f"{why} {said}")
        return result(self, not findings, 0, wrong, "deviations", said)


class _Finding(NamedTuple):
    """Something that is not as the instrument measured it."""

    kind: str
    points: int
    said: str
    is_doubtful: bool = False  # a live run's machine may be to blame


def _differences(evidence: "Evidence", site: str) -> Iterator[str]:
    """For each hour of the judged span that either side has: "" or what differs first."""
    center = evidence.scenario.center.name
    theirs = {file.path for file in evidence.judged_files(center, site)}
    ours = {file.path for file in evidence.judged_files(site, site)}
    for path in sorted(ours | theirs):
        if path not in theirs:
            yield f"{path} is missing at {center}"
        elif path not in ours:
            yield f"{path} is at {center} but not at {site}"
        else:
            left, right = (evidence.content(host, path) for host in (center, site))
            if left is None or right is None:
                yield f"{path} cannot be read at {center if left is None else site}"
            else:
                yield _difference(path, left, right)


def _strangers(evidence: "Evidence") -> list[str]:
    """Files of the center's canonical tree that no edge has; hour files of the judged span are
    compared anyway."""
    center = evidence.scenario.center.name
    known = {
        file.path for site in evidence.archive_sites for file in evidence.judged_files(center, site)
    }
    for site in evidence.archive_sites:
        known |= trees.canonical_paths(evidence.disk(site))
    paths = sorted(trees.canonical_paths(evidence.center_disk) - known)
    return [f"{path} is at {center} but at no edge" for path in paths]


def _difference(path: str, left: bytes, right: bytes) -> str:
    if sha256(left).digest() == sha256(right).digest():
        return ""
    common = min(len(left), len(right))
    pairs = zip(left[:common], right[:common], strict=True)
    offset = next((at for at, (a, b) in enumerate(pairs) if a != b), common)
    return f"{path} differs from offset {offset} on ({len(left)} against {len(right)} bytes)"


def _findings(evidence: "Evidence", site: str) -> Iterator[_Finding]:
    """What is wrong with a site's archive, apart from whole seconds that are missing: those are
    the ledger's. What a frozen host muddled is excused where the fault says so, and times where the
    log says that the machine was late."""
    for deviation in evidence.partition(site).deviations:
        if not _is_muddle(evidence, site, deviation) and not _was_heard_late(
            evidence, site, deviation
        ):
            said = f"{site}, {deviation.where}: {deviation.detail}"
            doubtful = _is_doubtful(evidence, site, deviation)
            yield _Finding(deviation.kind, deviation.points, said, doubtful)
    for piece in evidence.skipped(site):
        samples = piece.last - piece.first
        if piece.window is None and bytes_of(samples) == 0:
            yield _Finding("skipped", samples, f"{site}, samples {piece.first} to {piece.last}")
    for file in evidence.judged_files(site, site):
        if evidence.content(site, file.path) is None:
            yield _Finding("unreadable", 1, f"{site}, {file.path}")
    for place in evidence.strays(site):
        yield _Finding("stray", 1, f"{site}, {place}")
    for kind, place in _misshapen(evidence, site):
        yield _Finding(kind, 1, f"{site}, {place}")


def _misshapen(evidence: "Evidence", site: str) -> Iterator[tuple[str, str]]:
    """What is wrong with the form of records in a site's judged hour files: kind and place.

    A record has sixty points, also after a kill and where a second was not heard; its sample rate
    is 1 and its spares are 0; it is in the file of the hour of its first sample, after the records
    that began before it."""
    files = evidence.site_files(site)
    archive = files.archive
    hours_s = [file.utc_s for file in evidence.hour_files(site, site)]
    off_s = archive.timestamps_s - np.array(hours_s, dtype=np.int64)[archive.file_of]
    odd = [
        xrio.odd_headers(data, archive.offsets[archive.file_of == number])
        for number, data in enumerate(files.sound)
    ]
    first_ns = evidence.partition(site).first_ns
    is_back = (first_ns[1:] < first_ns[:-1]) & (first_ns[1:] != NOWHERE)
    is_back &= archive.file_of[1:] == archive.file_of[:-1]
    wrong = {
        "misfiled": np.flatnonzero((off_s < 0) | (off_s >= 3600)),
        "length": np.flatnonzero(archive.counts != xrio.POINTS),
        "header": np.flatnonzero(np.concatenate([*odd, np.zeros(0, dtype=np.bool_)])),
        "order": np.flatnonzero(is_back) + 1,
    }
    judged = {file.path for file in evidence.judged_files(site, site)}
    for kind, rows in wrong.items():
        for row in rows.tolist():
            path = archive.files[archive.file_of[row]]
            if path in judged:
                yield kind, f"{path}, offset {archive.offsets[row]}"


def _is_muddle(evidence: "Evidence", site: str, deviation: "Deviation") -> bool:
    """A host that was frozen heard old samples late and could not know their time. The record that
    was open then may stay wrong to its end, and no other."""
    ends_ns = deviation.true_ns + deviation.points * SECOND_NS
    return deviation.kind in ("value", "label") and any(
        window.from_ns <= deviation.true_ns < window.until_ns
        and ends_ns <= window.until_ns + RECORD_NS
        for window in evidence.sample_windows(site)
        if window.cause == "host frozen"
    )


def _was_heard_late(evidence: "Evidence", site: str, deviation: "Deviation") -> bool:
    """Whether a live run's log notes that the line or the machine was late by as much, there or
    where the record began: its label may stay wrong to its end. A fact excuses its own milliseconds
    before its moment, and no more than ever were measured at its place."""
    if deviation.kind != "label":
        return False
    from_ns, until_ns = deviation.true_ns - EDGE_NS, deviation.true_ns + EDGE_NS
    for line in evidence.log.lines["late"]:
        if line.where not in (site, MACHINE):
            continue
        late_ns = min(line.number("ms") * 1_000_000, most_late_ns(evidence, line.where))
        if (
            late_ns > 0
            and from_ns <= line.ns
            and line.ns - late_ns <= until_ns
            and deviation.points * SECOND_NS <= RECORD_NS + SECOND_NS + late_ns
            and deviation.off_ns <= late_ns + TOLERANCE_NS + LIVE_LATE_NS
        ):
            return True
    return False


def _is_doubtful(evidence: "Evidence", site: str, deviation: "Deviation") -> bool:
    """Whether a wrong time may come from a machine that was late, though no one knows when."""
    if not evidence.world.is_live or deviation.kind != "label":
        return False
    if off_target(evidence):
        return True
    most_ns = most_late_ns(evidence, site, MACHINE)
    return most_ns > LIVE_LATE_NS and deviation.off_ns <= most_ns + TOLERANCE_NS
