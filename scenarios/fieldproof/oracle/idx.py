"""Index lines of raw arrival files ("Riometer data flow", 2006), split on whitespace.

    2006-01-17 00:00:06.421153   24985  136.159.51.71:32769      380            0  58 52 49 4f

Date and time of arrival (UTC, by the center's clock), port, source, size, offset in the .dat file,
the first up to four bytes. A datagram of no bytes has a line without bytes.
"""

import datetime
import re
from typing import NamedTuple

from fieldproof.oracle.clock import SECOND_NS

MOST_SIZE = 65_535
"""Of a datagram, and the highest port."""

MOST_OFFSET = 1 << 62
_EPOCH = datetime.date(1970, 1, 1).toordinal()
_TIME = re.compile(rb"(\d\d):(\d\d):(\d\d)\.(\d{6})")


class Entry(NamedTuple):
    """One datagram as its line describes it."""

    arrived_utc_ns: int
    port: int
    source: str  # "ip:port"
    size: int
    offset: int
    first: bytes


class Index(NamedTuple):
    """The lines of one file, and what of it could not be read."""

    entries: tuple[Entry, ...]
    malformed: tuple[int, ...]  # numbers of the lines, from 1


def parse(data: bytes) -> Index:
    """Every line of an .idx file. A last line without its newline is malformed: it was torn."""
    lines = data.split(b"\n")
    torn = lines.pop()
    entries, malformed = [], []
    days: dict[bytes, int] = {}
    for number, line in enumerate(lines, start=1):
        try:
            entries.append(_parse(line, days))
        except ValueError:
            malformed.append(number)
    if torn:
        malformed.append(len(lines) + 1)
    return Index(tuple(entries), tuple(malformed))


def _parse(line: bytes, days: dict[bytes, int]) -> Entry:
    """One line; ValueError for anything else. `days` remembers the Unix seconds of dates."""
    date, time, port, source, size, offset, *first = line.split()
    clock = _TIME.fullmatch(time)
    if clock is None or len(first) != min(4, int(size)):
        raise ValueError("not an index line")
    if max(int(size), int(port)) > MOST_SIZE or not 0 <= int(offset) <= MOST_OFFSET:
        raise ValueError("not a datagram, or not in a file")
    if date not in days:
        ordinal = datetime.date.fromisoformat(date.decode("ascii")).toordinal()
        days[date] = (ordinal - _EPOCH) * 86400
    first_text = b" ".join(first).decode("ascii")
    first_bytes = bytes.fromhex(first_text)
    if first_bytes.hex(" ") != first_text:
        raise ValueError("not lower-case hexadecimal, two digits for a byte")
    hour, minute, second, micro = clock.groups()
    utc_s = days[date] + int(hour) * 3600 + int(minute) * 60 + int(second)
    if not 0 <= utc_s < 2**32:
        raise ValueError("not a time that a record could have")
    return Entry(
        utc_s * SECOND_NS + int(micro) * 1000,
        int(port),
        source.decode("ascii"),
        int(size),
        int(offset),
        first_bytes,
    )
