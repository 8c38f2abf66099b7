"""Counts what arrived live, and what did not, by site and UTC day of arrival.

    index lines --add--> moments of records --settle--> a `Count` for each site's day

The laws:

1. Counted are the distinct valid records of the settings' sites, under whatever address they came
   (T1, T9). What was due and did not come, and whose fault that was, is told by rhythm.py and
   losses.py, which the loss report asks, too; but here each day stands by itself.
2. The first day of a site begins with its first record. Of a day that is not over what is due is
   what could be here: records have `IN_FLIGHT_NS` for the way.
3. The moments of a day are kept until no more can come (`close`); then its counts are all that is
   left of it. If more comes all the same, by a clock that stepped, all of it is read again.
4. One call reads `BLOCK_BYTES` of data and `STEP_BYTES` of lines at most.
"""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field

from fieldproof_contract import SECOND_NS, DiskView
from fieldproof_reference import ports
from fieldproof_reference.center import SiteDay, arrivals, beats
from fieldproof_reference.center.arrivals import Arrival
from fieldproof_reference.center.causes import Receiver, causes
from fieldproof_reference.center.losses import Count
from fieldproof_reference.center.pages.facts import Heard
from fieldproof_reference.center.receive import data_path
from fieldproof_reference.center.rhythm import ANY_TIME_NS, CADENCE_NS, rhythm
from fieldproof_reference.formats import trees, xrio
from fieldproof_reference.formats.days import DAY_S, HOUR_S, day_text

STEP_BYTES = 1 << 14
BLOCK_BYTES = 1 << 17
LONGEST_RECORD = 2 * xrio.RECORD_BYTES
"""A datagram that is longer is none: our assumption, records have 60 points or nearly so many."""

IN_FLIGHT_NS = 30 * SECOND_NS

DAY_NS = DAY_S * SECOND_NS
ENDING = f"_{ports.TELEMETRY}.idx"


@dataclass(slots=True)
class _Open:
    """A day that is being counted."""

    seen: set[int] = field(default_factory=set)  # hashes of records
    useful_ns: dict[str, list[int]] = field(default_factory=dict)  # by site
    came_ns: list[int] = field(default_factory=list)  # of everybody


class Arrivals:
    """The counts; see the head of this file."""

    def __init__(self, disk: DiskView, sites: Sequence[str]) -> None:
        self._disk = disk
        self._sites = sites
        self._ends: dict[str, int] = {}  # by path: bytes that were read
        self._open: dict[int, _Open] = {}
        self._closed: set[int] = set()
        self.counts: dict[SiteDay, Count] = {}
        self.heard: dict[str, Heard] = {}
        self.raw: dict[str, str] = {}
        """By site: the folder of its newest record, with a final `/`."""

    def add(self, path: str) -> bool:
        """Read on in an index file; whether there is more of it."""
        file, end = trees.parse_arrival_path(path), self._ends.get(path, 0)
        size = self._disk.size(path) or 0
        if file is None or size <= end:
            return False
        lines = self._disk.read(path, end, STEP_BYTES)
        whole = lines.rfind(b"\n") + 1
        if not whole and len(lines) < STEP_BYTES:
            return False
        self._ends[path] = end + (whole or len(lines))
        found = arrivals.read(lines[:whole], file.utc_s // HOUR_S).arrivals
        for group in _groups(found):
            self._sift(path, file.utc_s // DAY_S, group)
        return self._ends[path] < size

    def settle(self, day: int, newcomers: Container[str], now_ns: int) -> None:
        """Count a day that is not closed. `newcomers`: the sites of which nothing is known before
        that day."""
        if day in self._closed:
            return
        begins_ns, until_ns = day * DAY_NS, min((day + 1) * DAY_NS, now_ns - IN_FLIGHT_NS)
        opened = self._open.setdefault(day, _Open())
        opened.came_ns.sort()
        missed: dict[tuple[str, int], list[int]] = {}
        for site in self._sites:
            came_ns = sorted(opened.useful_ns.get(site, ()))
            from_ns = begins_ns
            if site in newcomers:
                from_ns = max(begins_ns, came_ns[0] - CADENCE_NS // 2) if came_ns else until_ns
            due = rhythm(came_ns, from_ns, until_ns, late_ns=ANY_TIME_NS)
            missed[site, ports.TELEMETRY] = due.missed_ns
        receiver = _receiver(self._disk, day, opened.came_ns, max(begins_ns, until_ns))
        told = causes(missed, opened.came_ns, receiver, is_lone=len(self._sites) < 2)
        for (site, _), moments in told.items():
            whose = [moment.cause for moment in moments]
            self.counts[SiteDay(site, day)] = Count(
                len(opened.useful_ns.get(site, ())),
                network=whose.count("network"),
                server=whose.count("server"),
                untold=whose.count("untold"),
            )

    @property
    def open_days(self) -> tuple[int, ...]:
        """The days whose moments are kept."""
        return tuple(self._open)

    def close(self, day: int) -> None:
        """Nothing can come any more."""
        self._open.pop(day, None)
        self._closed.add(day)

    def reopen(self, day: int) -> bool:
        """Something came all the same: whether the day was closed, and is to be read again."""
        if day not in self._closed:
            return False
        self._closed.remove(day)
        folder = f"udp/{day_text(day, '%Y/%m/%d')}/"
        self._ends = {path: end for path, end in self._ends.items() if not path.startswith(folder)}
        return True

    def forget(self, before: int) -> None:
        """Days before this one are no matter any more."""
        for day in [day for day in self._open if day < before]:
            del self._open[day]
        self._closed = {day for day in self._closed if day >= before}
        self.counts = {case: count for case, count in self.counts.items() if case.day >= before}
        oldest = f"udp/{day_text(max(0, before), '%Y/%m/%d')}"
        self._ends = {path: end for path, end in self._ends.items() if path >= oldest}

    def _sift(self, path: str, day: int, group: Sequence[Arrival]) -> None:
        first, last = group[0].offset, group[-1]
        try:
            data = self._disk.read(data_path(path), first, last.offset + last.size - first)
        except OSError:
            data = b""
        opened = self._open.setdefault(day, _Open())
        for arrival in group:
            record = data[arrival.offset - first : arrival.offset - first + arrival.size]
            opened.came_ns.append(arrival.utc_ns)
            if xrio.invalid(record) is not None or hash(record) in opened.seen:
                continue
            opened.seen.add(hash(record))
            site = xrio.site(record)
            if site in self._sites:
                opened.useful_ns.setdefault(site, []).append(arrival.utc_ns)
                self._hear(site, arrival.utc_ns // SECOND_NS, record, path)

    def _hear(self, site: str, arrived_s: int, record: bytes, path: str) -> None:
        heard = self.heard.get(site)
        if heard is None or arrived_s >= heard.arrived_s:
            self.heard[site] = Heard(arrived_s, xrio.timestamp_s(record))
            self.raw[site] = path.rpartition("/")[0] + "/"


def _groups(found: Sequence[Arrival]) -> Iterator[list[Arrival]]:
    """Arrivals whose data lies together and can be read at once; those that are too long to be
    records are left out."""
    group: list[Arrival] = []
    for arrival in found:
        if arrival.size > LONGEST_RECORD:
            continue
        span = arrival.offset + arrival.size - group[0].offset if group else 0
        if group and not 0 < span <= BLOCK_BYTES:
            yield group
            group = []
        group.append(arrival)
    if group:
        yield group


def _receiver(disk: DiskView, day: int, came_ns: Sequence[int], until_ns: int) -> Receiver:
    """When the receiver was down on a day, by its own word."""
    path = f"{beats.FOLDER}{day_text(day, '%Y/%m/%d')}.jsonl"
    if disk.size(path) is None:
        return Receiver()
    marks = beats.marks(disk.read(path))
    known = disk.listing(beats.FOLDER)[0] < path
    return Receiver(*beats.downtimes(marks, came_ns, day * DAY_NS, until_ns, known))
