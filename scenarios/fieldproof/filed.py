"""What became of everything that a center received, hour file by hour file: the books of I2 to I7.

For each site the raw tree is filed again by the judge's own rules (`oracle/refile.py`), and held
against the canonical tree and the edge's. Most hours are what a replay gives, to the byte, and are
done with. Of every other hour each record has its account:

    vanished    was received, is to be filed, and is neither in the canonical tree nor in quarantine
    unkept      is to be kept out, and is not in quarantine; or was filed all the same
    strange     is in the canonical tree, was never received, and no note says how it came
    repeated    is there more often than at the edge, or at all if the edge has it not
    misplaced   is in another hour or order than a replay gives, with no note of a reconciliation

What came in the last `LOOK_NS` may not have been looked at. A raw tree that contradicts itself
tells nothing: it is the business of `raw_untouched`, and nothing is held against it.

A center of somebody else's need not keep our notes. One that says in `receiver/` that it runs keeps
all of them; of any other only those trees are judged that it has itself begun (`Keeps`).
"""

from collections import Counter
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fieldproof.oracle import foreign, notes, odd, refile, trees, xrio
from fieldproof.oracle.clock import SECOND_NS
from fieldproof.oracle.notes import DAY_S, HOUR_S, Notes
from fieldproof.oracle.refile import Owed
from fieldproof.oracle.trees import TELEMETRY_PORT

if TYPE_CHECKING:
    from fieldproof.evidence import Evidence

LOOK_NS = 60 * SECOND_NS
"""How long a center may let lie what it received: our assumption, a minute."""

_YOUNG_S = 120
"""Of what began so long before that at most it need not have said anything, either."""

_LEAST_BYTES = 20
"""What is shorter may be in any file by chance."""


class Keeps(NamedTuple):
    """Which of our notes a center keeps."""

    provenance: bool
    quarantine: bool
    flags: bool


class Account(NamedTuple):
    """Of one site; each finding is a few words with its place."""

    received: int  # datagrams that can be of this site
    filed: int  # of these, different ones that are in the canonical tree
    duplicates: int
    quarantined: int
    records: int  # of the canonical tree
    hours: int
    vanished: tuple[str, ...]
    unkept: tuple[str, ...]
    strange: tuple[str, ...]
    repeated: tuple[str, ...]
    misplaced: tuple[str, ...]
    flags: tuple[str, ...]  # where what is said is not what the files give
    flagged: int  # records and stretches that are odd


class Elsewhere(NamedTuple):
    """Datagrams that are not of the site from whose address they came."""

    by_site: dict[str, list[tuple[int, bytes]]]  # arrival (UTC ns) and payload, by its letters
    nobodys: tuple[tuple[int, str, bytes], ...]  # of no site: the same, with its file
    at_odds: str  # a pair of raw files that contradicts itself; "" for none


def keeps(evidence: "Evidence") -> Keeps:
    """Which notes the center keeps, by what is on its disk and was not there at the beginning."""
    is_ours = _has_begun(evidence, "receiver")
    of = (is_ours or _has_begun(evidence, tree) for tree in Keeps._fields)
    return Keeps(*of)


def _has_begun(evidence: "Evidence", tree: str) -> bool:
    center = evidence.scenario.center.name
    disk = evidence.center_disk
    if evidence.scenario.continues is None:
        return any(True for _ in trees.below(disk / tree))
    before = evidence.disk_before(center)
    paths = (path.relative_to(disk).as_posix() for path in trees.below(disk / tree))
    return any(foreign.content(disk, path) != foreign.content(before, path) for path in paths)


def kept_out(evidence: "Evidence") -> frozenset[str]:
    """SHA-256 of what is in quarantine, with a note that has a reason."""
    center = evidence.scenario.center.name
    noted: set[str] = set()
    found: set[str] = set()
    for whole in trees.below(evidence.center_disk / "quarantine"):
        data = evidence.read(center, whole.relative_to(evidence.center_disk).as_posix())
        if whole.suffix != ".jsonl":
            found.add(sha256(data).hexdigest())
            continue
        for note in foreign.notes(data).lines:
            match note:
                case {"reason": str(), "sha256": str(sha)}:
                    noted.add(sha)
    return frozenset(noted & found)


def elsewhere(evidence: "Evidence") -> Elsewhere:
    """What came to the port of telemetry and is not of the site whose address it came from."""
    center = evidence.scenario.center.name
    known = refile.site_ids(evidence.archive_sites)
    odd_ones: list[tuple[int, str, bytes]] = []
    at_odds = ""
    own: set[str] = set()
    for site in evidence.archive_sites:
        arrivals = evidence.arrivals(site, TELEMETRY_PORT)
        own.update(file.path for file in arrivals.files)
        for number, file in enumerate(arrivals.files):
            rows = np.flatnonzero(arrivals.file_of == number)
            data = evidence.read(center, f"{file.path}.dat")
            ends = np.cumsum(arrivals.sizes[rows])
            if (arrivals.offsets[rows] != ends - arrivals.sizes[rows]).any() or (
                len(data) != (ends[-1] if len(rows) else 0)
            ):
                at_odds = at_odds or file.path
                continue
            for row in rows[_is_not_of(site, data, arrivals.offsets[rows])].tolist():
                at, size = int(arrivals.offsets[row]), int(arrivals.sizes[row])
                came_ns = int(arrivals.utc_ns[row])
                odd_ones.append((came_ns, file.path, data[at : at + size]))
    for file in trees.arrival_files(evidence.center_disk):
        if file.path in own or file.port != TELEMETRY_PORT:
            continue
        data = evidence.read(center, f"{file.path}.dat")
        for entry in evidence.index(file).entries:
            payload = data[entry.offset : entry.offset + entry.size]
            if len(payload) != entry.size or payload[:4] != entry.first:
                at_odds = at_odds or file.path
            odd_ones.append((entry.arrived_utc_ns, file.path, payload))
    by_site: dict[str, list[tuple[int, bytes]]] = {}
    nobodys: list[tuple[int, str, bytes]] = []
    for came_ns, path, payload in odd_ones:
        if named := known.get(payload[4:8].lower()):
            by_site.setdefault(named, []).append((came_ns, payload))
        else:
            nobodys.append((came_ns, path, payload))
    return Elsewhere(by_site, tuple(nobodys), at_odds)


def _is_not_of(site: str, data: bytes, offsets: "np.ndarray") -> "np.ndarray":
    """Which of the datagrams that begin at `offsets` have not the letters of the site in their
    place."""
    octets = np.frombuffer(data + bytes(8), dtype=np.uint8)
    letters = np.frombuffer(site.encode(), dtype=np.uint8)
    found = octets[offsets[:, None] + np.arange(4, 8)] | 0x20
    wrong: np.ndarray = (found != letters).any(axis=1)
    return wrong


def account(evidence: "Evidence", site: str) -> Account:
    """The account of one site: another site's records are not looked at before it is closed."""
    book = _Book(evidence, site)
    book.receive()
    book.compare()
    book.judge_flags()
    return book.closed()


class _Hour(NamedTuple):
    """An hour file that is not what a replay gives."""

    utc_s: int
    path: str
    items: list[bytes]  # of the canonical file, in its order
    held: Counter[bytes]
    missing: list[bytes]  # received, of this hour, and not in it


class _Book:
    """The account of a site while it is written."""

    def __init__(self, evidence: "Evidence", site: str) -> None:
        self.site = site
        self._evidence = evidence
        self._center = evidence.scenario.center.name
        self._looked_until_ns = evidence.looked_until_ns
        self._by_hour: dict[int, dict[bytes, int]] = {}  # content: arrival, UTC ns
        self._refused: dict[bytes, int] = {}
        self._received = self._filed = self._records = self._hours = self._flagged = 0
        self._unlike: list[_Hour] = []
        self._wrong: dict[str, list[str]] = {name: [] for name in Account._fields[6:12]}
        self._notes = lru_cache(maxsize=2)(self._read_notes)
        self._said = lru_cache(maxsize=2)(self._read_flags)
        self._flagged_hours: set[int] = set()  # of which there is a canonical file

    # --- what came ---

    def receive(self) -> None:
        """Sort what came by what it is owed."""
        known = refile.site_ids((self.site,))
        letters = self.site.encode()
        came = (
            (ns, data)
            for ns, _, data in self._evidence.datagrams(self.site, TELEMETRY_PORT)
            if data[4:8].lower() == letters
        )
        others = self._evidence.elsewhere.by_site.get(self.site, ())
        for pile in (came, others):
            for came_ns, data in pile:
                self._received += 1
                of, _ = refile.owed(data, known, came_ns // SECOND_NS)
                if of is Owed.KEPT_OUT:
                    self._refused.setdefault(data, came_ns)
                else:
                    self._by_hour.setdefault(refile.hour_of(data), {}).setdefault(data, came_ns)

    # --- what is there ---

    def compare(self) -> None:
        """Every hour file that is there or should be."""
        files = self._evidence.hour_files(self._center, self.site)
        there = {file.utc_s for file in files}
        for utc_s in sorted(there | self._by_hour.keys()):
            path = trees.hour_path(self.site, utc_s)
            data = self._evidence.read(self._center, path)
            wanted = self._by_hour.get(utc_s, {})
            records = xrio.decode(data, self.site)
            self._hours += utc_s in there
            self._records += len(records.offsets)
            if utc_s in there:
                self._judge_flags(utc_s, path, data, records)
            if data == refile.replayed(list(wanted)):
                self._filed += len(wanted)
            else:
                self._look_closer(utc_s, path, data, records)
        self._judge_unlike()

    def _look_closer(self, utc_s: int, path: str, data: bytes, records: xrio.Records) -> None:
        """An hour that is not what a replay gives."""
        items = _items(data, records)
        held = Counter(items)
        wanted = self._by_hour.get(utc_s, {})
        missing = [record for record in wanted if record not in held]
        self._filed += len(wanted) - len(missing)
        self._unlike.append(_Hour(utc_s, path, items, held, missing))
        edge = self._evidence.read(self.site, path)
        for refused in self._refused:
            if len(refused) >= _LEAST_BYTES and refused in data and refused not in edge:
                self._find("unkept", f"{path} has {_name(refused)}, which is to be kept out")
        if any(times > 1 for times in held.values()):
            made = Counter(_items(edge, xrio.decode(edge, self.site)))
            for record, times in held.items():
                if times > max(1, made[record]):
                    self._find("repeated", f"{path} has {_name(record)} {times} times")
        brought = self._notes(utc_s // DAY_S)
        for offset, size in records.strays:
            piece = data[offset : offset + size]
            is_known = any(refused in piece or piece in refused for refused in self._refused)
            if not is_known and not brought.touch(utc_s):
                self._find("strange", f"{path}, offset {offset}: {size} bytes that are no record")

    def _judge_unlike(self) -> None:
        """What those hours have too much of, lack, or hold in another order."""
        received = {data for of_hour in self._by_hour.values() for data in of_hour}
        filed = {record for hour in self._unlike for record in hour.items}
        for hour in self._unlike:
            brought = self._notes(hour.utc_s // DAY_S)
            wanted = self._by_hour.get(hour.utc_s, {})
            for record in hour.held:
                if record in wanted or record in self._refused:
                    continue
                if record in received:
                    if not brought.touch(hour.utc_s):
                        self._find("misplaced", f"{hour.path} has {_name(record)}")
                elif not self._is_brought(record, hour):
                    self._find("strange", f"{hour.path} has {_name(record)}")
            for record in hour.missing:
                self._judge_missing(hour, record, filed, brought)
            self._judge_order(hour, brought)

    def _judge_missing(self, hour: _Hour, record: bytes, filed: set[bytes], of: Notes) -> None:
        came_ns = self._by_hour[hour.utc_s][record]
        if record in filed or came_ns > self._looked_until_ns:
            return  # in another hour, which has said so; or not looked at yet
        if sha256(record).hexdigest() not in self._evidence.kept_out:
            self._find("vanished", f"{_name(record)} is not in {hour.path}")
        elif not of.touch(hour.utc_s):
            known = refile.site_ids((self.site,))
            if refile.owed(record, known, came_ns // SECOND_NS)[0] is Owed.FILED:
                self._find("misplaced", f"{_name(record)} is in quarantine, not in {hour.path}")

    def _judge_order(self, hour: _Hour, of: Notes) -> None:
        if not of.touch(hour.utc_s):
            times = [refile.first_s(record) for record in hour.items]
            if times != sorted(times):
                self._find("misplaced", f"{hour.path} is not in the order of first samples")

    def _is_brought(self, record: bytes, hour: _Hour) -> bool:
        """Whether a note says that a repair brought a record, by its own second; where that is not
        of its hour, that anything came in the hour."""
        of, second = self._notes(hour.utc_s // DAY_S), refile.first_s(record)
        if refile.hour_of(record) == hour.utc_s:
            return of.covers(second % DAY_S)
        return of.touch(hour.utc_s)

    # --- flags ---

    def _judge_flags(self, utc_s: int, path: str, data: bytes, records: xrio.Records) -> None:
        told, _ = self._said(utc_s // DAY_S)
        raised = odd.odd(data, records, utc_s)
        said = told.get(utc_s % DAY_S // HOUR_S, odd.NOTHING_SAID)
        self._flagged_hours.add(utc_s)
        self._flagged += len(raised) + len(records.strays)
        until_s = self._looked_until_ns // SECOND_NS - _YOUNG_S
        for offset, problem in odd.differences(raised, records, said, until_s):
            self._find("flags", f"{path}, offset {offset}: {problem}")

    def judge_flags(self) -> None:
        """Lines that nobody can read, or of hours that are not there."""
        disk = self._evidence.center_disk
        for whole in trees.below(disk / "flags"):
            path = whole.relative_to(disk).as_posix()
            day = trees.day_of(path, "flags", self.site)
            if day is None:
                continue
            told, senseless = self._said(day)
            if senseless:
                self._find("flags", f"{senseless} lines of {path} cannot be read")
            for hour in told:
                if day * DAY_S + hour * HOUR_S not in self._flagged_hours:
                    self._find("flags", f"{path} speaks of hour {hour}, of which there is no file")

    def _read_flags(self, day: int) -> tuple[dict[int, odd.Said], int]:
        path = f"flags/{_date(day)}/{self.site}.jsonl"
        content = self._evidence.content(self._center, path)
        if content is None:
            is_odd = foreign.is_there(self._evidence.center_disk, path)
            return {}, int(is_odd)
        lines, malformed = foreign.notes(content)
        told, senseless = odd.said(lines)
        return told, senseless + len(malformed)

    def _read_notes(self, day: int) -> Notes:
        path = f"provenance/{_date(day)}/{self.site}.jsonl"
        return notes.read(self._evidence.content(self._center, path))

    # --- the end ---

    def _find(self, what: str, said: str) -> None:
        self._wrong[what].append(said)

    def closed(self) -> Account:
        """The account; what is to be kept out is in quarantine, or found wanting."""
        kept = self._evidence.kept_out
        for data, came_ns in self._refused.items():
            if came_ns <= self._looked_until_ns and sha256(data).hexdigest() not in kept:
                self._find("unkept", f"{_name(data)} is to be kept out, and is not in quarantine")
        different = sum(map(len, self._by_hour.values())) + len(self._refused)
        return Account(
            received=self._received,
            filed=self._filed,
            duplicates=self._received - different,
            quarantined=different - self._filed,
            records=self._records,
            hours=self._hours,
            **{name: tuple(found) for name, found in self._wrong.items()},
            flagged=self._flagged,
        )


def _items(data: bytes, records: xrio.Records) -> list[bytes]:
    pairs = zip(records.offsets.tolist(), records.sizes.tolist(), strict=True)
    return [data[at : at + size] for at, size in pairs]


def _name(data: bytes) -> str:
    """A datagram or record, in a few words."""
    if len(data) < _LEAST_BYTES:
        return f"a datagram of {len(data)} bytes"
    return f"the record of {refile.first_s(data)} s ({sha256(data).hexdigest()[:16]})"


def _date(day: int) -> str:
    return f"{datetime.fromtimestamp(day * DAY_S, UTC):%Y/%m/%d}"
