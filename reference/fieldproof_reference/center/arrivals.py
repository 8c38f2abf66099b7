"""Index files as anybody's receiver wrote them: which lines can be read, what each datagram was.

The lines are split on whitespace, never on columns, and read more leniently than our own
(formats/idx.py): only the first six fields count, a time may have any fraction of a second or none,
and what follows the offset may be missing. A line that cannot be read is told by its number, and
why. So is a last line without its LF, which a crash tore and `wc -l` does not count, and a line
that is dated outside of the hour of its file.

What a datagram was (`Fate`) is told by its bytes where the `.dat` is there, else by its line alone,
which shows the stream id (V1) and the length (V5); then nobody can tell a repeated datagram by what
it holds.
"""

from collections.abc import Set as AbstractSet
from enum import Enum
from hashlib import sha256
from typing import NamedTuple

from fieldproof_contract import SECOND_NS
from fieldproof_reference import ports
from fieldproof_reference.formats import Malformed, xrio
from fieldproof_reference.formats.days import DAY_S, HOUR_S, day_number

SLACK_S = 60
"""How far outside of its file's hour a line may be dated: receivers look at the clock twice."""

_UPPER = frozenset(range(ord("A"), ord("Z") + 1))


class Fate(Enum):
    """What a received datagram was."""

    RECORD = "record"  # or what else a stream holds that is not of riometers
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"


class Arrival(NamedTuple):
    """A datagram by its line."""

    utc_ns: int
    size: int
    offset: int
    first: bytes  # up to four bytes


class Unread(NamedTuple):
    """A line that is not counted."""

    line: int  # from 1
    why: str


class Index(NamedTuple):
    """An index file."""

    arrivals: tuple[Arrival, ...]  # in the order of the lines
    unread: tuple[Unread, ...]
    lines: int  # as `wc -l` counts them


def read(data: bytes, hour: int | None = None) -> Index:
    """What an index file says; `hour` (counted from 1970) is the file's, None where no matter."""
    lines = data.split(b"\n")
    torn = lines.pop()
    found: list[Arrival] = []
    unread: list[Unread] = []
    hours: dict[bytes, int] = {}
    for number, line in enumerate(lines, 1):
        try:
            arrival = _parse(line, hours)
            if hour is not None:
                _check_hour(arrival, hour)
        except ValueError as error:
            unread.append(Unread(number, str(error)))
        else:
            found.append(arrival)
    if torn:
        unread.append(Unread(len(lines) + 1, "the last line has no end"))
    return Index(tuple(found), tuple(unread), len(lines))


def parse(line: bytes) -> Arrival:
    """One line, with or without its LF; `Malformed` where it cannot be read."""
    return _parse(line, {})


def _parse(line: bytes, hours: dict[bytes, int]) -> Arrival:
    """One line. `hours` remembers when hours begin: all lines of a file share one."""
    fields = line.split()
    if len(fields) < 6:
        raise Malformed(f"it has {len(fields)} of six fields")
    date, time, port, source, size, offset = fields[:6]
    key = date + time[:3]
    hour_ns = hours.get(key)
    if hour_ns is None:
        hour_ns = hours[key] = _hour_ns(date, time[:3])
    minute, second, fraction = time[3:5], time[6:8], time[9:]
    if (
        len(second) != 2
        or time[5:6] + time[8:9] not in (b":.", b":")
        or not (minute + second + fraction).isdigit()
        or minute > b"59"
        or second > b"60"
    ):
        raise Malformed(f"{_shown(time)} is no time")
    for field in (port, source.rpartition(b":")[2], size, offset):
        if not field.isdigit() or len(field) > 18:
            raise Malformed(f"{_shown(field)} is no number")
    if b":" not in source:
        raise Malformed(f"{_shown(source)} is no source")
    since_s = int(minute) * 60 + int(second)
    utc_ns = hour_ns + since_s * SECOND_NS + int(fraction[:9].ljust(9, b"0"))
    return Arrival(utc_ns, int(size), int(offset), _first(fields[6:10]))


def _hour_ns(date: bytes, hour: bytes) -> int:
    """The beginning of an hour, UTC; `hour` is `HH:`."""
    if len(hour) != 3 or not hour[:2].isdigit() or hour[:2] > b"23" or hour[2:] != b":":
        raise Malformed(f"{_shown(hour)} begins no time")
    try:
        day = day_number(date.decode("ascii"))
    except ValueError:
        raise Malformed(f"{_shown(date)} is no date") from None
    return (day * DAY_S + int(hour[:2]) * HOUR_S) * SECOND_NS


def _first(fields: list[bytes]) -> bytes:
    """The first bytes, as far as they are bytes."""
    try:
        return bytes.fromhex(b" ".join(fields).decode("ascii"))[:4]
    except ValueError:
        return b""


def _check_hour(arrival: Arrival, hour: int) -> None:
    second = arrival.utc_ns // SECOND_NS - hour * HOUR_S
    if not -SLACK_S <= second < HOUR_S + SLACK_S:
        raise Malformed("it is dated outside of the hour of its file")


def _shown(field: bytes) -> str:
    return ascii(field[:24].decode("latin-1"))


class Sifter:
    """Tells the fates of a stream's datagrams, hour by hour. `quarantined`: SHA-256 (hexadecimal)
    of what the center has kept out, which may be more than the five checks keep out. `seen`: hashes
    of what came before, which sifters of several addresses may share."""

    def __init__(
        self,
        port: int,
        quarantined: AbstractSet[str] = frozenset(),
        seen: set[int] | None = None,
    ) -> None:
        self._port = port
        self._quarantined = quarantined
        self._seen: set[int] = set() if seen is None else seen
        self.sites: dict[str, int] = {}  # by site: records that name it

    def fate(self, arrival: Arrival, data: bytes | None) -> Fate:
        """Of one datagram; `data` is the `.dat` of its hour, None where there is none."""
        if self._port != ports.TELEMETRY and arrival.first != xrio.STREAM_ID:
            return Fate.RECORD  # of a stream that repeats itself, maybe
        content = b"" if data is None else data[arrival.offset : arrival.offset + arrival.size]
        if data is None or len(content) < arrival.size:
            return Fate.RECORD if _looks_well(arrival) else Fate.QUARANTINED
        is_valid = xrio.invalid(content) is None
        if is_valid:
            site = xrio.site(content)
            self.sites[site] = self.sites.get(site, 0) + 1
        key = hash(content)
        if key in self._seen:
            return Fate.DUPLICATE
        self._seen.add(key)
        is_out = self._quarantined and sha256(content).hexdigest() in self._quarantined
        return Fate.RECORD if is_valid and not is_out else Fate.QUARANTINED

    @property
    def site(self) -> str | None:
        """The site that most records name; None where none was read."""
        return max(sorted(self.sites), key=lambda site: self.sites[site], default=None)


def _looks_well(arrival: Arrival) -> bool:
    """Whether it may be a record, by its line alone."""
    points, rest = divmod(arrival.size - xrio.HEADER_BYTES, xrio.POINT_BYTES)
    return points > 0 and rest == 0 and set(arrival.first) <= _UPPER
