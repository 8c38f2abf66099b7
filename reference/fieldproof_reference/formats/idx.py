"""The index line of a raw arrival file (riometer data flow, 2006): one line per datagram.

    2006-01-17 00:00:06.421153   24985  136.159.51.71:32769      380            0  58 52 49 4f

Arrival time (UTC), local port, source, size, offset in the .dat file, first bytes, each of which is
followed by a space. Writers keep the columns of 2006; readers split on whitespace, since an IPv6
source (in brackets) or a long offset pushes the columns to the right. A datagram of fewer than four
bytes shows what it has.
"""

import re
from typing import NamedTuple

from fieldproof_contract import SECOND_NS, Address
from fieldproof_reference.formats import Malformed
from fieldproof_reference.formats.days import DAY_S, day_number, day_text

_LINE = re.compile(
    r"(\d{4}-\d\d-\d\d)\s+([01]\d|2[0-3]):([0-5]\d):([0-5]\d)\.(\d{6})"
    r"\s+(\d{1,5})\s+(\[[\w.:%-]+\]|[\w.%-]+):(\d{1,5})"
    r"\s+(\d{1,18})\s+(\d{1,18})((?:\s+[0-9a-f]{2}){0,4})\s*",
    re.ASCII,
)


class Entry(NamedTuple):
    """One received datagram."""

    arrived_utc_ns: int  # Unix time, written to the microsecond
    port: int  # the local port it came to
    source: Address
    size: int  # bytes of payload
    offset: int  # of its first byte in the .dat file
    first: bytes  # its first four bytes, fewer if it has fewer


def line(entry: Entry) -> bytes:
    """The line with its LF; the time is cut, not rounded, to microseconds."""
    arrived_utc_ns, port, (host, source_port), size, offset, first = entry
    second, fraction_ns = divmod(arrived_utc_ns, SECOND_NS)
    day, second = divmod(second, DAY_S)
    source = f"[{host}]:{source_port}" if ":" in host else f"{host}:{source_port}"
    clock = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    first_text = first.hex(" ") + " " if first else ""
    text = (
        f"{day_text(day)} {clock}.{fraction_ns // 1000:06d} {port:7d}  {source:21s}"
        f"{size:7d} {offset:12d}  {first_text}\n"
    )
    return text.encode("ascii")


def parse(line: bytes) -> Entry:
    """What a line says, with or without its LF; `Malformed` for anything else."""
    match = _LINE.fullmatch(line.decode("latin-1"))
    if match is None:
        raise Malformed(f"this is no index line: {line[:120]!r}")
    day, hour, minute, second, microsecond, port, host, source_port, size, offset, first = (
        match.groups()
    )
    try:
        day_s = day_number(day) * DAY_S
    except ValueError as error:
        raise Malformed(f"an index line is dated {day}, which is no day") from error
    utc_s = day_s + int(hour) * 3600 + int(minute) * 60 + int(second)
    return Entry(
        utc_s * SECOND_NS + int(microsecond) * 1000,
        int(port),
        Address(host.strip("[]"), int(source_port)),
        int(size),
        int(offset),
        bytes.fromhex(first),
    )
