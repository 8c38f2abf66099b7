"""The ledger: one fate for every record of the judged span, and for every sample in no record.

    delivered   the center's raw tree holds these very bytes from the site
    restored    it does not, but the center's canonical tree holds them
    lost        neither: at which hop, by which cause, by which fault
    invented    the other way round: the canonical tree holds a record that the edge has not, or the
                raw tree does, and neither a stranger sent it nor a link damaged it

What did not arrive, be it lost or restored, must be excused by a declared fault or by the link's
own model (see `oracle.excuses`); otherwise its cause is `unexplained`: a repair makes a loss good
and does not explain it. Nothing is blamed on the nearest fault. What was restored must be named by
the center's provenance.

Samples that are in no record are lost at the site's own host. They count as the bytes that they
would have become, 380 for 60 points, in whole points: a single sample is the partition's business.
The books close where produced = delivered + restored + lost, and where the samples of all that is
entered here, with those of records that the span's ends cut, less those that points claim twice,
are the samples that the instrument made: a record or a run that was forgotten leaves them open.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
from msgspec import Struct

from fieldproof.oracle.clock import SECOND_NS, Integers
from fieldproof.oracle.excuses import IN_FLIGHT_NS, Piece, bytes_of
from fieldproof.oracle.log import short_hash
from fieldproof.oracle.trees import TELEMETRY_PORT
from fieldproof.oracle.xrio import decode
from fieldproof.verdict import LedgerSummary, Lost

if TYPE_CHECKING:
    from fieldproof.evidence import Evidence

UNEXPLAINED = "unexplained"

_ROUNDING_NS = 1_000_000
"""Labels come back as true times with less than this error, whatever the clock's drift."""

_AT_THE_HOST = ("host down", "host frozen", "no listener")
"""Causes of loss that the log notes at the link, though the link had delivered."""


class Hour(Struct, frozen=True, omit_defaults=True):
    """A line of `ledger.jsonl`: the records of an hour file whose first sample is in the span."""

    site: str
    hour: str  # 2006-01-17T16
    records: int = 0
    delivered: int = 0
    restored: int = 0
    lost: int = 0


class Unit(Struct, frozen=True, omit_defaults=True):
    """A line of `ledger.jsonl`: one record, or a run of samples that is in none."""

    site: str
    fate: str  # "restored", "lost" or "invented"
    bytes: int
    first: str  # a record's first second by its label; else true UTC of the first sample
    hop: str = ""
    cause: str = ""
    fault: int = -1
    by: str = ""  # how it was restored
    at: str = ""  # true UTC of that
    path: str = ""  # of the hour file
    offset: int = -1
    sha: str = ""
    from_sample: int = -1
    to_sample: int = -1  # first that is not missing
    until: str = ""  # true UTC of that


class Deliveries(NamedTuple):
    """The delivered records of a site, in the edge's order."""

    ended_ns: Integers  # true time at which the last second of each ended
    arrived_utc_ns: Integers  # by the center's clock


class Ledger(NamedTuple):
    """See the head of this file."""

    summary: LedgerSummary
    hours: tuple[Hour, ...]
    units: tuple[Unit, ...]
    deliveries: dict[str, Deliveries]  # by site
    undelivered: dict[str, frozenset[str]]  # by site: short hashes of restored and lost records
    open_books: tuple[str, ...]  # a sentence for each thing that does not close
    unproven: tuple[str, ...]  # places of restored records of which no provenance speaks

    @property
    def unexplained(self) -> tuple[Unit, ...]:
        """What did not arrive outside every excuse, and what nobody measured."""
        return tuple(unit for unit in self.units if unit.cause == UNEXPLAINED)

    def jsonl(self) -> bytes:
        """The content of `ledger.jsonl`."""
        return b"".join(msgspec.json.encode(line) + b"\n" for line in (*self.hours, *self.units))


def build(evidence: "Evidence") -> Ledger:
    """The ledger of a run."""
    books = [_written(evidence, site) for site in evidence.riometer_sites]
    units = tuple(unit for book in books for unit in book.units)
    summary = LedgerSummary(
        produced_bytes=sum(book.produced_bytes for book in books),
        delivered_bytes=sum(book.delivered_bytes for book in books),
        restored_bytes=sum(unit.bytes for unit in units if unit.fate == "restored"),
        lost_bytes=sum(unit.bytes for unit in units if unit.fate == "lost"),
        lost=_by_place(unit for unit in units if unit.fate == "lost"),
    )
    parts = summary.delivered_bytes + summary.restored_bytes + summary.lost_bytes
    open_books = [sentence for book in books for sentence in book.open_books()]
    if parts != summary.produced_bytes:
        open_books.append(f"of {summary.produced_bytes} bytes, {parts} have a fate")
    return Ledger(
        summary,
        tuple(hour for book in books for hour in book.hours),
        units,
        {book.site: book.deliveries for book in books},
        {book.site: frozenset(book.undelivered) for book in books},
        tuple(open_books),
        tuple(place for book in books for place in book.unproven),
    )


def iso(utc_ns: int) -> str:
    """`2006-01-17T16:23:05Z`, cut to the second."""
    return f"{datetime.fromtimestamp(utc_ns // SECOND_NS, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _written(evidence: "Evidence", site: str) -> "_Book":
    """The book of one site: another site's records are not looked at before it is closed."""
    book = _Book(evidence, site)
    book.write()
    return book


def _by_place(units: Iterable[Unit]) -> tuple[Lost, ...]:
    sums: Counter[tuple[str, str]] = Counter()
    for unit in units:
        sums[unit.hop, unit.cause] += unit.bytes
    return tuple(Lost(hop, cause, size) for (hop, cause), size in sorted(sums.items()) if size)


class _Reason(NamedTuple):
    """Why a record did not arrive, as far as anything says so."""

    hop: str
    cause: str
    fault: int
    excused: bool


@dataclass(frozen=True, slots=True)
class _Row:
    """A record of the edge's archive."""

    path: str
    offset: int
    timestamp_s: int
    ended_ns: int  # true time
    data: bytes


class _Book:
    """The ledger of one site while it is written."""

    def __init__(self, evidence: "Evidence", site: str) -> None:
        self.site = site
        self.units: list[Unit] = []
        self.undelivered: list[str] = []
        self.unproven: list[str] = []
        self.hours: tuple[Hour, ...] = ()
        self.produced_bytes = self.delivered_bytes = 0
        self.deliveries: Deliveries
        self._samples = 0  # entered
        self._evidence = evidence
        self._partition = evidence.partition(site)
        self._rotted = {
            (line.text("path"), line.number("offset")): line.number("fault")
            for line in evidence.log.lines["rotted"]
            if line.where == site
        }
        self._repairs = [
            (line.text("day"), line.ns, line.text("method"))
            for line in evidence.log.said["repaired"]
            if line.text("site") == site
        ]

    def write(self) -> None:
        """Enter everything."""
        canonical = self._canonical()
        raw: dict[bytes, list[int]] = {}  # arrivals of each payload, UTC ns
        for utc_ns, _, payload in self._evidence.datagrams(self.site, TELEMETRY_PORT):
            raw.setdefault(payload, []).append(utc_ns)
        self._enter_records(raw, canonical)
        self._enter_samples()
        self._enter_inventions(raw, canonical)

    def open_books(self) -> list[str]:
        """What does not close at the level of samples."""
        seen = self._partition
        from_ns, until_ns = self._evidence.world.judged_ns
        early = seen.first_ns < from_ns - _ROUNDING_NS
        late = seen.first_ns >= until_ns - _ROUNDING_NS
        cut = int(seen.held[early | late].sum())
        known = self._samples + cut - seen.reused
        if known == seen.produced:
            return []
        return [
            f"{self.site}: {seen.produced} samples were made, {seen.archived - seen.reused} are in "
            f"points and {seen.skipped} in none, but the fate of {known} is known"
        ]

    # --- records ---

    def _enter_records(self, raw: dict[bytes, list[int]], canonical: Counter[bytes]) -> None:
        """Each record whose first sample lies in the span, in the edge's order."""
        files = self._evidence.site_files(self.site)
        tallies: dict[str, Counter[str]] = {}
        ended_ns: list[int] = []
        arrived_utc_ns: list[int] = []
        for number, ended in self._rows():
            data = files.record(number)
            path = files.archive.files[files.archive.file_of[number]]
            self.produced_bytes += len(data)
            self._samples += int(self._partition.held[number])
            if arrivals := raw.get(data):
                fate = "delivered"
                self.delivered_bytes += len(data)
                ended_ns.append(ended)
                arrived_utc_ns.append(arrivals.pop(0))
            else:
                fate = "restored" if data in canonical or self._is_at_center(path, data) else "lost"
                stamp_s = int(files.archive.timestamps_s[number])
                offset = int(files.archive.offsets[number])
                self._enter_undelivered(_Row(path, offset, stamp_s, ended, data), fate)
            tally = tallies.setdefault(path, Counter())
            tally["records"] += 1
            tally[fate] += 1
        self.hours = tuple(Hour(self.site, _hour(path), **tallies[path]) for path in tallies)
        self.deliveries = Deliveries(
            np.array(ended_ns, dtype=np.int64), np.array(arrived_utc_ns, dtype=np.int64)
        )

    def _is_at_center(self, path: str, data: bytes) -> bool:
        """Whether the center's hour file has these bytes, even if they are no record any more."""
        return data in self._evidence.read(self._evidence.scenario.center.name, path)

    def _rows(self) -> Iterable[tuple[int, int]]:
        """Numbers of the records in the span, and the true times at which they ended."""
        first_ns = self._partition.first_ns
        from_ns, until_ns = self._evidence.world.judged_ns
        inside = (first_ns >= from_ns - _ROUNDING_NS) & (first_ns < until_ns - _ROUNDING_NS)
        numbers = np.flatnonzero(inside)
        counts = self._evidence.site_files(self.site).archive.counts
        ended_ns = (first_ns + counts * SECOND_NS)[numbers]
        return zip(numbers.tolist(), ended_ns.tolist(), strict=True)

    def _enter_undelivered(self, row: _Row, fate: str) -> None:
        sha = short_hash(row.data)
        self.undelivered.append(sha)
        reason = self._reason(row, sha)
        cause = reason.cause if reason.excused else UNEXPLAINED
        by, at = self._repair(row) if fate == "restored" else ("", "")
        if fate == "restored" and not self._evidence.is_proven(self.site, row.timestamp_s):
            odd = self._evidence.odd_provenance(self.site, row.timestamp_s)
            self.unproven.append(f"{row.path}, offset {row.offset}" + (f" ({odd})" if odd else ""))
        self.units.append(
            Unit(
                self.site,
                fate,
                len(row.data),
                iso(row.timestamp_s * SECOND_NS),
                hop=reason.hop,
                cause=cause,
                fault=reason.fault,
                by=by,
                at=at,
                path=row.path,
                offset=row.offset,
                sha=sha,
            )
        )

    def _reason(self, row: _Row, sha: str) -> _Reason:
        """What the log, or else a fault of either host, says of a record that did not arrive."""
        evidence = self._evidence
        center = evidence.scenario.center.name
        if lines := evidence.losses.get(sha):
            line, covered = lines[-1]
            cause = "corrupt" if line.what == "corrupted" else line.text("cause")
            hop = center if cause in _AT_THE_HOST else line.where
            return _Reason(hop, cause, line.number("fault"), covered)
        rotted = self._rotted.get((row.path, row.offset))
        if rotted is not None:
            return _Reason(self.site, "rot", rotted, True)
        for hop, declared in (
            (center, evidence.arrival_windows(self.site)),
            (self.site, evidence.sending_windows(self.site)),
        ):
            for window in declared:
                if window.touches(row.ended_ns, row.ended_ns + IN_FLIGHT_NS):
                    return _Reason(hop, window.cause, window.fault, True)
        return _Reason(evidence.site(self.site).via, "", -1, False)

    def _repair(self, row: _Row) -> tuple[str, str]:
        """The method and the true UTC of the first repair of the record's day after it."""
        day = iso(row.timestamp_s * SECOND_NS)[:10]
        for repaired_day, ns, method in self._repairs:
            if repaired_day == day and ns >= row.ended_ns:
                return method, iso(self._evidence.true_utc.utc_at(ns))
        return "", ""

    # --- samples, inventions ---

    def _enter_samples(self) -> None:
        """Samples of the span that are in no point."""
        instrument = self._evidence.instrument(self.site)
        for piece in self._evidence.skipped(self.site):
            times = instrument.instant_ns(piece.first), instrument.instant_ns(piece.last)
            self._enter_piece(piece, *times)

    def _enter_piece(self, piece: Piece, from_ns: int, until_ns: int) -> None:
        size = bytes_of(piece.last - piece.first)
        self.produced_bytes += size
        self._samples += piece.last - piece.first
        self.units.append(
            Unit(
                self.site,
                "lost",
                size,
                iso(self._evidence.true_utc.utc_at(from_ns)),
                hop=self.site,
                cause=piece.window.cause if piece.window else UNEXPLAINED,
                fault=piece.window.fault if piece.window else -1,
                from_sample=piece.first,
                to_sample=piece.last,
                until=iso(self._evidence.true_utc.utc_at(until_ns)),
            )
        )

    def _enter_inventions(self, raw: dict[bytes, list[int]], canonical: Counter[bytes]) -> None:
        """Records of the center that the edge has not, or not as often."""
        files = self._evidence.site_files(self.site)
        rows = range(len(files.archive.offsets))
        held = Counter(files.record(row) for row in rows)
        for data, times in (canonical - held).items():
            hop = self._evidence.scenario.center.name
            self._enter_invention(data, times, hop)
        written = {files.sound_record(row) for row in rows}
        known = {*self._evidence.strangers, *self._evidence.becomes.values()}
        for data in raw:
            if data not in written and data not in canonical and short_hash(data) not in known:
                self._enter_invention(data, 1, self.site)

    def _enter_invention(self, data: bytes, times: int, hop: str) -> None:
        stamp_s = int.from_bytes(data[12:16], "little")
        first, sha = iso(stamp_s * SECOND_NS), short_hash(data)
        self.units.append(
            Unit(self.site, "invented", len(data) * times, first, hop, UNEXPLAINED, sha=sha)
        )

    def _canonical(self) -> Counter[bytes]:
        """The records of the canonical tree, and how often each is there."""
        center = self._evidence.scenario.center.name
        held: Counter[bytes] = Counter()
        for file in self._evidence.judged_files(center, self.site):
            data = self._evidence.read(center, file.path)
            records = decode(data, self.site)
            for offset, size in zip(records.offsets.tolist(), records.sizes.tolist(), strict=True):
                held[data[offset : offset + size]] += 1
        return held


def _hour(path: str) -> str:
    """`2006-01-17T16` from an hour file's path."""
    name = path.rpartition("/")[2]
    return f"{name[:4]}-{name[4:6]}-{name[6:8]}T{name[9:11]}"
