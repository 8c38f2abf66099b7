"""Claims on the raw tree: everything that the center heard, byte for byte, in order of arrival."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from fieldproof.checks.claim import result
from fieldproof.faults import Value
from fieldproof.oracle import trees
from fieldproof.oracle.clock import SECOND_NS
from fieldproof.oracle.idx import Index
from fieldproof.oracle.log import short_hash
from fieldproof.oracle.trees import STREAM_PORTS, TELEMETRY_PORT, ArrivalFile
from fieldproof.verdict import ClaimResult

if TYPE_CHECKING:
    from fieldproof.evidence import Evidence

_DAY_NS = 86_400 * SECOND_NS
_MINUTE_NS = 60 * SECOND_NS
_IN_FLIGHT_NS = 5 * SECOND_NS
"""How long after its end a record may still be on the way from the edge to the raw tree."""


class RawUntouched(Value, frozen=True, tag="raw_untouched"):
    """The raw tree is what the center heard, whole (I1): every .idx line fits its .dat file, the
    lines cover it without a hole, and what the links delivered is there."""

    @property
    def name(self) -> str:
        """As in a report."""
        return "raw_untouched"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By all arrival files, and by the count of what was sent."""
        problems: list[str] = []
        present = 0
        addresses = {
            address for site in evidence.scenario.sites for address in evidence.addresses(site.name)
        }
        for file in trees.arrival_files(evidence.center_disk):
            index = evidence.index(file)
            problems += (f"{file.path}: {problem}" for problem in _misfits(evidence, file, index))
            if file.address in addresses and file.port in STREAM_PORTS.values():
                present += len(index.entries)
        expected = _delivered(evidence)
        missing = expected - present
        if missing > 0 and missing > _excused(evidence):
            problems.append(f"{missing} of {expected} delivered datagrams are not there")
        elif missing < 0:
            problems.append(f"{-missing} datagrams are there that no link delivered")
        said = f"{len(problems)} problems; first: {problems[0]}." if problems else ""
        if not present:
            said = "The raw tree is empty."
        return result(self, not said, 0, len(problems) or int(not present), "problems", said)


def _misfits(evidence: "Evidence", file: ArrivalFile, index: Index) -> Iterator[str]:
    """What does not fit between an .idx file and its .dat file."""
    path = evidence.center_disk / f"{file.path}.dat"
    data = path.read_bytes() if path.exists() else b""
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
            late = ended + _IN_FLIGHT_NS >= evidence.world.ends_ns
            if not late and not any(
                each.touches(ended, ended + _IN_FLIGHT_NS) for each in declared
            ):
                continue
            record = files.record(row)
            number += record not in here and short_hash(record) not in evidence.losses
    return number


class ReceivedDaily(Value, frozen=True, tag="received_daily"):
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
        return result(self, not said, sum(self.counts), sum(found), "datagrams", said)
