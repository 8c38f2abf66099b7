"""A TCP segment on its way through a link, with the lengths that Linux gives it.

    IPv4 header                                       20 bytes
    TCP header                                        20
    options: time stamps, on every segment but RST    12
    options of a SYN: largest segment, selective acknowledgement, time stamps, window scale   20

So a bare acknowledgement has 52 bytes, a SYN 60, a reset 40. Time stamps are carried and measured;
selective acknowledgement is offered, as Linux does, and never used (our assumption).

A link charges every packet its data and 28 bytes. A TCP header has 12 bytes more than a UDP header:
the data of a segment are these 12, its options and its payload.
"""

from dataclasses import dataclass
from enum import IntFlag
from struct import Struct

from fieldproof_contract import Address
from fieldproof_simulators.links.virtual import Packet

IP_TCP_BYTES = 40
STAMP_BYTES = 12
WORD = 1 << 32

_BEYOND_UDP = Struct(">IIHH")  # sequence, acknowledgement, offset and flags, window
_SYN_OPTIONS = Struct(">BBHBBBBIIBBBB")
_OPTIONS = Struct(">BBBBII")
_WINDOW = 0xFFFF


class Flag(IntFlag):
    """The flags in use, as in RFC 9293."""

    FIN = 1
    SYN = 2
    RST = 4
    ACK = 16


@dataclass(frozen=True, slots=True)
class Segment(Packet):
    """One TCP segment. `data` is what a link carries; the fields behind it are what it says."""

    listens: int  # the port of the end that listens, whichever end sends
    sequence: int  # of the first byte, counted from 0 for the SYN
    acknowledged: int  # the next byte that the sender waits for; 0 without ACK
    flags: Flag
    stamp_ms: int  # the sender's clock
    echo_ms: int  # the stamp of the other end that is answered
    most_bytes: int  # of a SYN: the largest payload that the sender takes
    content: bytes  # its payload

    @property
    def is_datagram(self) -> bool:
        """No: faults that are ordered for datagrams leave streams alone."""
        return False

    @property
    def service(self) -> int:
        """The port that says what it is for."""
        return self.listens

    @property
    def end(self) -> int:
        """The sequence number behind it: a SYN and a FIN take one each."""
        units = len(self.content) + bool(self.flags & Flag.SYN) + bool(self.flags & Flag.FIN)
        return self.sequence + units


def segment(
    source: Address,
    to: Address,
    listens: int,
    flags: Flag,
    sequence: int = 0,
    acknowledged: int = 0,
    stamps_ms: tuple[int, int] = (0, 0),
    most_bytes: int = 0,
    payload: bytes = b"",
) -> Segment:
    """Build one; `stamps_ms` are its own and the one that it echoes."""
    stamp_ms, echo_ms = stamps_ms
    options = _options(flags, stamp_ms % WORD, echo_ms % WORD, most_bytes)
    words = (IP_TCP_BYTES // 2 + len(options)) // 4  # the offset counts the TCP header alone
    head = _BEYOND_UDP.pack(sequence % WORD, acknowledged % WORD, words << 12 | flags, _WINDOW)
    return Segment(
        source,
        to,
        head + options + payload,
        listens,
        sequence,
        acknowledged,
        flags,
        stamp_ms,
        echo_ms,
        most_bytes,
        payload,
    )


def _options(flags: Flag, stamp_ms: int, echo_ms: int, most_bytes: int) -> bytes:
    """Kinds: 1 nothing, 2 largest segment, 3 window scale, 4 selective, 8 time stamps."""
    if flags & Flag.RST:
        return b""
    if flags & Flag.SYN:
        return _SYN_OPTIONS.pack(2, 4, most_bytes, 4, 2, 8, 10, stamp_ms, echo_ms, 1, 3, 3, 7)
    return _OPTIONS.pack(1, 1, 8, 10, stamp_ms, echo_ms)
