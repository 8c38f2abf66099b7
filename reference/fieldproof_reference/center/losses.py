"""What is missing in a raw tree, and whose fault that was (R1-20, R1-21).

    index files --read, sift--> `Heard` --rhythm--> due moments missed --causes--> `Count` by hour

The laws:

1. Only the raw tree is needed: index files, whoever wrote them, with or without their `.dat`.
2. A stream is a station's port. A station is the site that its records name, under whatever address
   it came (T9); where no record can be read, its address. Who sent fewer than `STRANGER` datagrams
   in all is no station: it is counted, and nothing is expected of it.
3. expected = received - duplicates - quarantined + missing. What is due is told by each stream's
   own rhythm (rhythm.py): 1440 a day of riometer records where the station did not begin anew. At
   other ports the rhythm itself is what the arrivals show.
4. Each moment at which a datagram was due and did not come has a cause: causes.py.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from operator import add
from typing import NamedTuple

from fieldproof_contract import SECOND_NS
from fieldproof_reference import ports
from fieldproof_reference.center import arrivals
from fieldproof_reference.center.arrivals import Fate, Sifter
from fieldproof_reference.center.causes import Missed, Receiver, causes
from fieldproof_reference.center.rhythm import (
    ANY_TIME_NS,
    CADENCE_NS,
    LATE_NS,
    cadence_ns,
    rhythm,
)
from fieldproof_reference.formats.days import HOUR_S

HOUR_NS = HOUR_S * SECOND_NS
STRANGER = 10
"""Datagrams (or hours, where only these are known) that make a station. Our assumption."""


class HourFile(NamedTuple):
    """An index file, and how to get its `.dat` (None where there is none)."""

    path: str  # as it is shown
    address: str
    port: int
    hour: int  # from 1970, of arrival
    lines: bytes
    content: Callable[[], bytes | None]


class Count(NamedTuple):
    """What became of the datagrams of a stream in some time."""

    received: int = 0  # lines that could be read
    duplicates: int = 0
    quarantined: int = 0
    network: int = 0
    server: int = 0
    receiver: int = 0
    untold: int = 0

    @property
    def missing(self) -> int:
        """Datagrams that were due and did not come."""
        return self.network + self.server + self.receiver + self.untold

    @property
    def expected(self) -> int:
        """Datagrams that were due."""
        return self.received - self.duplicates - self.quarantined + self.missing

    @property
    def percent(self) -> float:
        """Missing, of what was expected; 0 where nothing was."""
        return 100 * self.missing / self.expected if self.expected else 0.0


class Listed(NamedTuple):
    """An index file as `wc -l` sees it."""

    path: str
    lines: int
    size: int


class Unreadable(NamedTuple):
    """A line that is not counted, or a file that cannot be read (line 0)."""

    path: str
    line: int
    why: str


@dataclass(slots=True)
class Heard:
    """All that came from an address to a port."""

    address: str
    port: int
    site: str | None = None
    useful_ns: list[int] = field(default_factory=list)  # arrivals, in order
    fates: dict[int, Counter[Fate]] = field(default_factory=dict)  # by hour
    listed: list[Listed] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    is_sifted: bool = True  # whether duplicates were told by content
    came_ns: list[int] = field(default_factory=list)  # useful or not, in order
    hours_before: int = 0  # hours in which it was heard before the time that is asked about


class Stream(NamedTuple):
    """What became of the datagrams of a station's port."""

    name: str  # site, or address where no site is known
    port: int
    addresses: tuple[str, ...]
    hours: Mapping[int, Count]  # by hour from 1970, in order

    def by(self, hours: int) -> dict[int, Count]:
        """Counts by so many hours: 24 for days."""
        sums: dict[int, Count] = {}
        for hour, count in self.hours.items():
            sums[hour // hours] = plus(sums.get(hour // hours, Count()), count)
        return dict(sorted(sums.items()))

    @property
    def total(self) -> Count:
        """Of all hours."""
        return total(self.hours.values())


class Table(NamedTuple):
    """A loss report."""

    streams: tuple[Stream, ...]
    strangers: tuple[Heard, ...]
    is_lone: bool  # whether there is but one station to judge by
    span_ns: tuple[int, int]  # half-open
    known_since_ns: int | None  # from when on the receiver's own notes tell when it was down


def hear(files: Iterable[HourFile], quarantined: AbstractSet[str], seen: set[int]) -> Heard:
    """What came from one address to one port: all its files, in order of their hours. The rest as
    for a `Sifter`."""
    heard = Heard("", 0)
    sifter: Sifter | None = None
    for file in files:
        if sifter is None:
            heard.address, heard.port = file.address, file.port
            sifter = Sifter(file.port, quarantined, seen)
        _hear_hour(heard, sifter, file)
    heard.useful_ns.sort()
    heard.came_ns.sort()
    if sifter is not None:
        heard.site = sifter.site
        heard.is_sifted = heard.is_sifted and (heard.site is not None)
    return heard


def _hear_hour(heard: Heard, sifter: Sifter, file: HourFile) -> None:
    index = arrivals.read(file.lines, file.hour)
    data = file.content()
    fates = heard.fates[file.hour] = Counter()
    for arrival in index.arrivals:
        fate = sifter.fate(arrival, data)
        fates[fate] += 1
        heard.came_ns.append(arrival.utc_ns)
        if fate is Fate.RECORD:
            heard.useful_ns.append(arrival.utc_ns)
    heard.is_sifted = heard.is_sifted and data is not None
    heard.listed.append(Listed(file.path, index.lines, len(file.lines)))
    heard.unreadable += (Unreadable(file.path, line, why) for line, why in index.unread)


def table(
    heard: Sequence[Heard],
    span: tuple[int | None, int | None],
    receiver: Callable[[Sequence[int], int, int], Receiver],
) -> Table:
    """The report on [from, until), UTC nanoseconds. Without a beginning that is each stream's first
    datagram, without an end the last of anybody. `receiver` tells of the receiver when it is given
    all arrivals, in order, and the span."""
    everybody = sorted(when for one in heard for when in one.came_ns)
    stations = _stations(heard)
    known = {id(one) for group in stations.values() for one in group}
    strangers = tuple(one for one in heard if id(one) not in known)
    from_ns, until_ns = span
    from_ns = from_ns if from_ns is not None else min(everybody, default=0)
    until_ns = until_ns if until_ns is not None else max(everybody, default=0) + 1
    missed_ns: dict[tuple[str, int], list[int]] = {}
    spare_ns: dict[tuple[str, int], list[int]] = {}
    others: list[tuple[str, int]] = []
    for key, group in stations.items():
        came_ns = sorted(when for one in group for when in one.useful_ns)
        pace_ns = CADENCE_NS if key[1] == ports.TELEMETRY else cadence_ns(came_ns)
        others += [key] * (pace_ns != CADENCE_NS)
        begins_ns = came_ns[0] if span[0] is None and came_ns else from_ns
        is_sifted = all(one.is_sifted for one in group)
        missed_ns[key], spare = rhythm(
            came_ns,
            begins_ns,
            until_ns,
            late_ns=ANY_TIME_NS if is_sifted else LATE_NS,
            cadence_ns=pace_ns,
        )
        spare_ns[key] = [] if is_sifted else spare
    sites = {name for name, _ in stations}
    known_of = receiver(everybody, from_ns, until_ns)
    told = causes(missed_ns, everybody, known_of, is_lone=len(sites) < 2, others=others)
    streams = tuple(
        Stream(
            *key,
            tuple(dict.fromkeys(one.address for one in group)),
            _hours(group, told[key], spare_ns[key]),
        )
        for key, group in sorted(stations.items())
    )
    return Table(streams, strangers, len(sites) < 2, (from_ns, until_ns), known_of.since_ns)


def _stations(heard: Sequence[Heard]) -> dict[tuple[str, int], list[Heard]]:
    """What was heard, by station and port; strangers left out."""
    sites: dict[str, str] = {one.address: one.site for one in heard if one.site is not None}
    groups: dict[tuple[str, int], list[Heard]] = {}
    for one in heard:
        name = one.site or sites.get(one.address, one.address)
        groups.setdefault((name, one.port), []).append(one)
    return {
        key: group
        for key, group in groups.items()
        if sum(len(one.useful_ns) + one.hours_before for one in group) >= STRANGER
    }


def _hours(
    group: Sequence[Heard], missed: Iterable[Missed], spare_ns: Iterable[int]
) -> dict[int, Count]:
    counts: dict[int, Count] = {}
    for one in group:
        for hour, fates in one.fates.items():
            count = Count(fates.total(), fates[Fate.DUPLICATE], fates[Fate.QUARANTINED])
            counts[hour] = plus(counts.get(hour, Count()), count)
    for (hour, cause), number in Counter((at // HOUR_NS, cause) for at, cause in missed).items():
        counts[hour] = plus(counts.get(hour, Count()), Count()._replace(**{cause: number}))
    for hour, number in Counter(when // HOUR_NS for when in spare_ns).items():
        counts[hour] = plus(counts.get(hour, Count()), Count(duplicates=number))
    return dict(sorted(counts.items()))


def plus(one: Count, other: Count) -> Count:
    """The sum."""
    return Count(*map(add, one, other))


def total(counts: Iterable[Count]) -> Count:
    """The sum of any number."""
    result = Count()
    for count in counts:
        result = plus(result, count)
    return result
