"""Claims on the raw tree: everything that the center heard, byte for byte, in order of arrival."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from fieldproof.checks.claim import result
from fieldproof.faults import Reorder, Value
from fieldproof.oracle import foreign, trees
from fieldproof.oracle.clock import SECOND_NS
from fieldproof.oracle.excuses import IN_FLIGHT_NS
from fieldproof.oracle.idx import Index
from fieldproof.oracle.log import short_hash
from fieldproof.oracle.trees import STREAM_PORTS, TELEMETRY_PORT, ArrivalFile
from fieldproof.verdict import ClaimResult

if TYPE_CHECKING:
    from fieldproof.evidence import Evidence

_DAY_NS = 86_400 * SECOND_NS
_MINUTE_NS = 60 * SECOND_NS
_HOUR_NS = 60 * _MINUTE_NS
_LATE_NS = 2 * _MINUTE_NS
"""How long after its end a record may be noted to have come, if nothing held it back: twice what an
edge takes that looks for records once a minute. How fast it is, `latency` judges."""


class RawUntouched(Value, frozen=True, tag="raw_untouched"):
    """The raw tree is what the center heard, whole (I1): every .idx line fits its .dat file and the
    name of both, the lines cover it without a hole, what the links and strangers brought is there,
    no record more often than it was brought, and each was noted when it can have come. Every run
    with an archive is held to it.

    In a story that continues another, what was there at the beginning has only grown."""

    @property
    def name(self) -> str:
        """As in a report."""
        return "raw_untouched"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By all arrival files, and by what was sent."""
        problems: list[str] = []
        present: Counter[str] = Counter()  # by short hash
        unknown: set[str] = set()  # of other streams, whose content nobody knows
        is_empty = True
        for file in trees.arrival_files(evidence.center_disk):
            index = evidence.index(file)
            data = evidence.read(evidence.scenario.center.name, f"{file.path}.dat")
            problems += (f"{path} cannot be read" for path in _hidden(evidence, file))
            problems += (f"{file.path}: {problem}" for problem in _misfits(data, file, index))
            if file.port in STREAM_PORTS.values():
                is_empty = is_empty and not index.entries
                before = _bytes_before(evidence, file)
                came = [
                    short_hash(data[entry.offset : entry.offset + entry.size])
                    for entry in index.entries
                    if entry.offset >= before
                ]
                present.update(came)
                unknown.update(came if file.port != TELEMETRY_PORT else ())
        problems += _changed(evidence)
        problems += _miscounted(evidence, present, unknown)
        for site in evidence.riometer_sites:
            problems += _untimely(evidence, site)
        said = f"{len(problems)} problems; first: {problems[0]}." if problems else ""
        if is_empty:
            said = "The raw tree is empty."
        return result(self, not said, 0, len(problems) or int(is_empty), "problems", said)


def _bytes_before(evidence: "Evidence", file: ArrivalFile) -> int:
    """How long a .dat file was at the beginning."""
    if evidence.scenario.continues is None:
        return 0
    disk = evidence.disk_before(evidence.scenario.center.name)
    return len(foreign.content(disk, f"{file.path}.dat") or b"")


def _changed(evidence: "Evidence") -> Iterator[str]:
    """What was in the raw tree at the beginning and is not there as it was."""
    if evidence.scenario.continues is None:
        return
    center = evidence.scenario.center.name
    disk = evidence.disk_before(center)
    for file in trees.arrival_files(disk):
        for path in (f"{file.path}.dat", f"{file.path}.idx"):
            was = foreign.content(disk, path) or b""
            if not evidence.read(center, path).startswith(was):
                yield f"{path} has not only grown"


def _hidden(evidence: "Evidence", file: ArrivalFile) -> Iterator[str]:
    """Which of a file's two parts is there and has no content."""
    for path in (f"{file.path}.dat", f"{file.path}.idx"):
        content = evidence.content(evidence.scenario.center.name, path)
        if content is None and foreign.is_there(evidence.center_disk, path):
            yield path


def _misfits(data: bytes, file: ArrivalFile, index: Index) -> Iterator[str]:
    """What does not fit between an .idx file, its .dat file and the name of both."""
    for number in index.malformed:
        yield f"line {number} of the index cannot be read"
    end = 0
    for number, entry in enumerate(index.entries, start=1):
        if entry.offset != end:
            yield f"entry {number} is at offset {entry.offset}, not {end}"
        payload = data[entry.offset : entry.offset + entry.size]
        if len(payload) != entry.size or payload[:4] != entry.first:
            yield f"entry {number} is not what the .dat file holds at offset {entry.offset}"
        in_hour = 0 <= entry.arrived_utc_ns - file.utc_s * SECOND_NS < _HOUR_NS
        if not in_hour or (entry.source.rpartition(":")[0], entry.port) != file[1:3]:
            yield f"entry {number} is of another hour, source or port than its file"
        end = entry.offset + entry.size
    if end != len(data):
        yield f"the index ends at {end}, the .dat file at {len(data)}"


def _miscounted(evidence: "Evidence", present: Counter[str], unknown: set[str]) -> Iterator[str]:
    """What is there too often or not at all, or in the place of another. What was sent is known by
    its number; of that, what an edge archived or a stranger sent is known by name."""
    strangers = evidence.strangers
    unheard = evidence.doubtful_strangers - present
    expected = _delivered(evidence) + strangers.total()
    missing = expected - present.total()
    if missing > 0 and missing > _excused(evidence) + unheard.total():
        yield f"{missing} of {expected} delivered datagrams are not there"
    elif missing < 0:
        yield f"{-missing} datagrams are there that no link delivered"
    lost, twice = (
        Counter(line.text("sha") for line in evidence.log.lines[what])
        for what in ("lost", "duplicated")
    )
    for sha in (strangers - present) if not _is_troubled(evidence) else ():
        yield f"datagram {sha} of a stranger is not there"
    # From here on `present` counts what is left: a month of hashes is too large to have twice.
    present.subtract(strangers)
    surplus = dict.fromkeys(strangers)
    absent = 0
    for sha in _sent(evidence):
        came = evidence.becomes.get(sha, sha)
        if came in present:
            present[came] -= max(0, 1 + twice[sha] - lost[sha])
            if present[came] > 0:
                surplus[came] = None
        else:
            absent += not lost[sha]
    for sha, times in present.items() if absent and evidence.scenario.continues is None else ():
        if times > 0 and sha not in surplus and sha not in unknown:
            yield f"datagram {sha} is there, which no edge archived, and one that was sent is not"
    for sha in surplus:
        if present[sha] > 0:
            yield f"datagram {sha} is there {present[sha]} times more often than it came"


def _is_troubled(evidence: "Evidence") -> bool:
    """Whether a fault may have kept the center from writing down what it heard."""
    return any(evidence.arrival_windows(site.name) for site in evidence.scenario.sites)


def _sent(evidence: "Evidence") -> Iterator[str]:
    """Short hashes of the records that edges archived, each of which is sent once."""
    for site in evidence.riometer_sites:
        files = evidence.site_files(site)
        for row in range(len(files.archive.offsets)):
            yield short_hash(files.sound_record(row))


def _untimely(evidence: "Evidence", site: str) -> Iterator[str]:
    """Records that by their index lines came before they ended, or far too late though no fault
    held them back. Where an archive is not what was measured, its records' ends are not known."""
    if evidence.partition(site).deviations:
        return
    ended_ns, arrived_utc_ns = evidence.ledger.deliveries[site]
    came_ns = evidence.center_ns(arrived_utc_ns, ended_ns)
    held = [*evidence.sending_windows(site), *evidence.arrival_windows(site)]
    orders = [timed.fault for timed in evidence.scenario.faults]
    via = evidence.site(site).via
    by_s = [one.by_s for one in orders if isinstance(one, Reorder) and one.link == via]
    latest_ns = ended_ns + _LATE_NS + round(max(by_s, default=0) * SECOND_NS)
    for row in np.flatnonzero((came_ns < ended_ns - SECOND_NS) | (came_ns > latest_ns)).tolist():
        ended, came = int(ended_ns[row]), int(came_ns[row])
        if came < ended or not any(window.touches(ended, came) for window in held):
            off_s = (came - ended) / SECOND_NS
            yield f"a record of {site} is noted to have come {off_s:+.1f} s after its end"


def _delivered(evidence: "Evidence") -> int:
    """Datagrams of the sites' streams that came out of the links at a center that was up."""
    sent = sum(
        entry.packets
        for entry in evidence.world.wire
        if entry.direction == "up" and entry.purpose in STREAM_PORTS
    )
    lost, twice = (
        sum(line.text("purpose") in STREAM_PORTS for line in evidence.log.lines[what])
        for what in ("lost", "duplicated")
    )
    return sent - lost + twice


def _excused(evidence: "Evidence") -> int:
    """Datagrams that may be missing without a word in the log: on the way when the world ended, or
    heard by a center that a fault kept from writing them down."""
    number = 0
    for site in evidence.scenario.sites:
        declared = evidence.arrival_windows(site.name)
        if site.name in evidence.status_sites:
            # Status datagrams are not archived at the edge: one a minute, at most.
            number += sum(1 + (each.until_ns - each.from_ns) // _MINUTE_NS for each in declared)
        if site.name not in evidence.riometer_sites:
            continue
        files = evidence.site_files(site.name)
        ended_ns = evidence.partition(site.name).first_ns + files.archive.counts * SECOND_NS
        here = {payload for _, _, payload in evidence.datagrams(site.name, TELEMETRY_PORT)}
        for row, ended in enumerate(ended_ns.tolist()):
            late = ended + IN_FLIGHT_NS >= evidence.world.ends_ns
            if not late and not any(each.touches(ended, ended + IN_FLIGHT_NS) for each in declared):
                continue
            record = files.record(row)
            number += record not in here and short_hash(record) not in evidence.losses
    return number


class ReceivedDaily(Value, frozen=True, tag="received_daily"):
    """Telemetry datagrams received from a site on each day of arrival, as `wc -l` counts them."""

    site: str
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.counts or min(self.counts) < 0:
            raise ValueError(f"{self.name} claims nothing: give a count for each day, 0 or more.")

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
        return result(self, not said, sum(self.counts), sum(found), "datagrams", said)
