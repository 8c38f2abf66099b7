"""IPv4 packets as bytes: what the pump reads of them, and the little that it changes in them.

Raw bytes are the currency of the live links; `RawPacket` is for the packets that something happens
to. Nothing here trusts a length that a packet states: `whole` says what is a packet at all.

A fragment that is not the first has no ports, so it belongs to no purpose but "other".
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from socket import inet_aton, inet_ntoa
from struct import pack, unpack_from

ICMP, TCP, UDP = 1, 6, 17
OTHER = "other"

IP_HEADER_BYTES = 20
_MORE_FRAGMENTS, _OFFSET = 0x2000, 0x1FFF
_CHECKSUM_AT = {ICMP: 2, TCP: 16, UDP: 6}
"""Where the checksum stands in the transport header."""


def whole(raw: bytes) -> bytes | None:
    """The IPv4 packet at the beginning of these bytes; None where there is none."""
    if len(raw) < IP_HEADER_BYTES or raw[0] >> 4 != 4:
        return None
    total, header = raw[2] << 8 | raw[3], (raw[0] & 15) << 2
    if header < IP_HEADER_BYTES or not header <= total <= len(raw):
        return None
    return raw if total == len(raw) else raw[:total]


def purpose_of(raw: bytes, purposes: Mapping[int, str]) -> str:
    """What a whole packet is for: by the port that a UDP datagram goes to, and by the one of a TCP
    segment's two ports that has a purpose, the one it goes to first."""
    transport = (raw[0] & 15) << 2
    if len(raw) < transport + 4 or raw[7] or raw[6] & 0x1F:  # no ports, or not the first fragment
        return OTHER
    purpose = purposes.get(raw[transport + 2] << 8 | raw[transport + 3])
    if raw[9] == UDP:
        return purpose or OTHER
    if raw[9] != TCP:
        return OTHER
    return purpose or purposes.get(raw[transport] << 8 | raw[transport + 1], OTHER)


@dataclass(frozen=True, slots=True)
class RawPacket:
    """A whole IPv4 packet."""

    raw: bytes

    @property
    def protocol(self) -> int:
        """The number of what is in it."""
        return self.raw[9]

    @property
    def is_datagram(self) -> bool:
        """Whether it is UDP."""
        return self.raw[9] == UDP

    @property
    def is_fragment(self) -> bool:
        """Whether it is a part of a packet."""
        return bool(self.raw[7] or self.raw[6] & 0x3F)

    @property
    def from_host(self) -> str:
        """The address that it says it comes from."""
        return inet_ntoa(self.raw[12:16])

    @property
    def to_host(self) -> str:
        """The address that it goes to."""
        return inet_ntoa(self.raw[16:20])

    @property
    def ports(self) -> tuple[int, int]:
        """From and to; zeros where the packet is too short to have any."""
        at = self._transport
        source, to = unpack_from(">HH", self.raw, at) if len(self.raw) >= at + 4 else (0, 0)
        return source, to

    @property
    def ip_bytes(self) -> int:
        """Its length."""
        return len(self.raw)

    @property
    def payload(self) -> bytes:
        """The data of UDP and TCP; of anything else all that follows the IP header."""
        return self.raw[self._payload :]

    def bearing(self, payload: bytes) -> "RawPacket":
        """The same with another payload of this length, and a right checksum where it has one."""
        return RawPacket(_mended(self.raw[: self._payload] + payload))

    @property
    def _transport(self) -> int:
        return (self.raw[0] & 15) << 2

    @property
    def _payload(self) -> int:
        """Where the payload begins; the packet's end at most."""
        at, length = self._transport, len(self.raw)
        if self.protocol == UDP and length >= at + 8:
            return at + 8
        if self.protocol == TCP and length >= at + 20:
            return min(length, at + max(20, self.raw[at + 12] >> 4 << 2))
        return at


def damaged(raw: bytes, number: int) -> bytes:
    """The packet with one bit flipped, chosen by any number, so that its receiver drops it.

    The bit is one of the payload where a checksum covers that, else one of the IP header's own
    checksum. Not in the transport header: a UDP checksum of 0 would let everything pass."""
    packet = RawPacket(raw)
    first = len(raw) - len(packet.payload)
    if first == len(raw) or not _is_covered(raw):
        first, last = 10, 12
    else:
        last = len(raw)
    bit = number % ((last - first) * 8)
    flipped = bytearray(raw)
    flipped[first + bit // 8] ^= 1 << bit % 8
    return bytes(flipped)


def is_sound(raw: bytes) -> bool:
    """Whether the checksums of IP and of what it carries fit; a UDP checksum of 0 always does."""
    header = (raw[0] & 15) << 2
    if int.from_bytes(raw[:header]) % 0xFFFF:
        return False
    return not _is_covered(raw) or not _transport_sum(raw) % 0xFFFF


def udp(source: tuple[str, int], to: tuple[str, int], payload: bytes) -> bytes:
    """A UDP datagram as one IPv4 packet. Raises ValueError where it is too long for one."""
    length = IP_HEADER_BYTES + 8 + len(payload)
    if length > 0xFFFF:
        raise ValueError(f"A datagram of {len(payload)} bytes does not fit into an IPv4 packet.")
    header = pack(">BBHHHBBH", 0x45, 0, length, 0, 0, 64, UDP, 0)
    addresses = inet_aton(source[0]) + inet_aton(to[0])
    ports = pack(">HHHH", source[1], to[1], 8 + len(payload), 1)  # 1: to be mended; 0 would stay
    return _mended(_with_ip_checksum(header + addresses + ports + payload))


def fragments(raw: bytes, mtu_bytes: int) -> Iterator[bytes]:
    """The packet in pieces that fit a link; options of its header go into each of them."""
    if len(raw) <= mtu_bytes:
        yield raw
        return
    header = (raw[0] & 15) << 2
    room = (mtu_bytes - header) // 8 * 8
    (flags,) = unpack_from(">H", raw, 6)
    body = raw[header:]
    for at in range(0, len(body), room):
        part = body[at : at + room]
        more = _MORE_FRAGMENTS if at + room < len(body) else flags & _MORE_FRAGMENTS
        offset = (flags & _OFFSET) + at // 8
        front = raw[:2] + pack(">H", header + len(part)) + raw[4:6] + pack(">H", more | offset)
        yield _with_ip_checksum(front + raw[8:header] + part)


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of data in which its own field is zero; never 0."""
    return 0xFFFF - int.from_bytes(data + b"\0" * (len(data) % 2)) % 0xFFFF


def _is_covered(raw: bytes) -> bool:
    """Whether the transport's checksum is there and guards the payload of this packet alone."""
    at = (raw[0] & 15) << 2
    field = _CHECKSUM_AT.get(raw[9])
    if field is None or RawPacket(raw).is_fragment or len(raw) < at + field + 2:
        return False
    return raw[9] != UDP or raw[at + field : at + field + 2] != b"\0\0"


def _transport_sum(raw: bytes) -> int:
    """What the transport's checksum makes zero, modulo 65535."""
    at = (raw[0] & 15) << 2
    covered = raw[at:]
    if raw[9] != ICMP:  # the pseudo header of UDP and TCP
        covered = raw[12:20] + pack(">HH", raw[9], len(covered)) + covered
    return int.from_bytes(covered + b"\0" * (len(covered) % 2))


def _mended(raw: bytes) -> bytes:
    """The packet with a right transport checksum, if it has one."""
    if not _is_covered(raw):
        return raw
    at = ((raw[0] & 15) << 2) + _CHECKSUM_AT[raw[9]]
    blank = raw[:at] + b"\0\0" + raw[at + 2 :]
    return raw[:at] + pack(">H", 0xFFFF - _transport_sum(blank) % 0xFFFF) + raw[at + 2 :]


def _with_ip_checksum(raw: bytes) -> bytes:
    header = (raw[0] & 15) << 2
    blank = raw[:10] + b"\0\0" + raw[12:header]
    return raw[:10] + pack(">H", checksum(blank)) + raw[12:]
