"""Captures as the links of a live run write them, read back.

The format is libpcap's (24-byte header, then 16 bytes before each packet), little-endian, stamps in
nanoseconds of true UTC, raw IP. A packet that is cut at the end of a file is none: the capture may
still be growing.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

MAGIC, RAW_IP = 0xA1B23C4D, 101
_FILE = struct.Struct("<IHHiIII")
_PACKET = struct.Struct("<IIII")


class Captured(NamedTuple):
    """One packet."""

    utc_ns: int
    data: bytes  # from the IP header on


def packets_of(data: bytes) -> Iterator[Captured]:
    """The packets of a capture, in its order. Raises ValueError where it is of another kind."""
    if len(data) < _FILE.size:
        return
    magic, *_, kind = _FILE.unpack_from(data)
    if (magic, kind) != (MAGIC, RAW_IP):
        raise ValueError(f"A capture of kind {kind} with magic {magic:08x} is none of a link's.")
    at = _FILE.size
    while at + _PACKET.size <= len(data):
        seconds, nanoseconds, size, _ = _PACKET.unpack_from(data, at)
        at += _PACKET.size
        if at + size > len(data):
            return
        yield Captured(seconds * 1_000_000_000 + nanoseconds, data[at : at + size])
        at += size
