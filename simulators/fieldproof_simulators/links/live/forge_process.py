"""The process in which scapy lives; `forge.py` starts it and speaks with it.

No other file imports scapy, and this one does it late: without scapy the process says so in one
sentence and ends. `scapy.all` is never imported, nor anything that sends or looks at interfaces.
An order that makes no sense, and a capture that is none, gets one sentence and harms no other.
"""

import hashlib
import importlib.metadata
import ipaddress
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

import msgspec

from fieldproof_simulators.links.live.forge_orders import (
    Answer,
    Dissect,
    Dissected,
    Done,
    Flip,
    Made,
    Order,
    Ready,
    Replay,
    Spoof,
    Trouble,
)

if TYPE_CHECKING:
    from scapy.layers.inet import IP, TCP, UDP

MISSING = (
    "Forged packets and dissected captures need scapy, which this environment has not: install "
    "fieldproof with its extra `forge`."
)
LONGEST_PAYLOAD_BYTES = 65_535 - 28
SMALLEST_MTU = 68  # RFC 791
UDP_NUMBER, TCP_NUMBER = 17, 6
IP_BYTES, UDP_BYTES, TCP_BYTES = 20, 8, 20  # headers, without options
RAW_IP = (12, 14, 101, 228)
"""Link types of captures whose packets begin with the IP header."""

MAGICS = (b"\xa1\xb2\xc3\xd4", b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x4d\x3c\xb2\xa1")


class Refused(ValueError):
    """An order cannot be carried out; one sentence."""


def main() -> None:
    """Carry out orders from standard input until it ends."""
    try:
        import scapy.layers.inet
        import scapy.utils  # noqa: F401 - both are slow, and no order is to wait for them
    except ModuleNotFoundError:
        say(Trouble(MISSING, is_final=True))
        return
    say(Ready(importlib.metadata.version("scapy")))
    decoder = msgspec.json.Decoder(Order)
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            for answer in answers(decoder.decode(line), number):
                say(answer)
        except msgspec.MsgspecError as error:
            say(Trouble(f"Order {number} is none: {error}."))
        except (Refused, OSError) as error:
            say(Trouble(str(error)))


def say(answer: Answer) -> None:
    """One line to standard output."""
    sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
    sys.stdout.buffer.flush()


def answers(order: Order, number: int) -> Iterator[Answer]:
    """What an order brings; `number` tells datagrams of one sender apart. Raises Refused."""
    match order:
        case Spoof():
            yield Made(tuple(spoofed(order, number)))
        case Flip():
            yield Made((flipped(order),))
        case Replay():
            yield Made((replayed(order),))
        case Dissect(capture):
            for ns, data in captured(capture):
                yield dissected(ns, data)
            yield Done()
        case _:
            assert_never(order)


# --- forging --------------------------------------------------------------------------------------


def spoofed(order: Spoof, number: int) -> Iterator[bytes]:
    """The packets of a spoofed datagram."""
    from scapy.layers.inet import IP, UDP
    from scapy.packet import Raw

    check(order)
    addresses = IP(src=order.source, dst=order.to, id=number % 0xFFFF + 1, proto=UDP_NUMBER)
    ports = UDP(sport=order.source_port, dport=order.to_port)
    data = bytes(addresses / ports / Raw(order.payload))
    match order.kind:
        case "udp":
            yield data
        case "bad-checksum":
            ports.chksum = UDP(data[IP_BYTES : IP_BYTES + UDP_BYTES]).chksum % 0xFFFF + 1
            yield bytes(addresses / ports / Raw(order.payload))
        case "truncated-ip":
            yield data[: -order.cut]
        case "truncated-udp":
            yield bytes(addresses / Raw(data[IP_BYTES : -order.cut]))
        case "oversized":
            piece_bytes = (order.mtu - IP_BYTES) // 8 * 8
            for at in range(IP_BYTES, len(data), piece_bytes):
                addresses.frag = (at - IP_BYTES) // 8
                addresses.flags = "MF" if at + piece_bytes < len(data) else 0
                yield bytes(addresses / Raw(data[at : at + piece_bytes]))
        case _:
            assert_never(order.kind)


def check(order: Spoof) -> None:
    """Refuse what cannot be put into a header, or leaves no header to speak of."""
    for name in ("source", "to"):
        address(getattr(order, name), name)
    for name in ("source_port", "to_port"):
        port(getattr(order, name), name)
    size = len(order.payload)
    if size > LONGEST_PAYLOAD_BYTES:
        raise Refused(
            f"A spoof carries {size} bytes, and a datagram {LONGEST_PAYLOAD_BYTES} at most."
        )
    if order.kind.startswith("truncated") and not 1 <= order.cut <= size:
        raise Refused(f"A spoof is cut by {order.cut} bytes: its payload allows 1 to {size}.")
    if order.kind == "oversized" and not SMALLEST_MTU <= order.mtu < size + 28:
        raise Refused(
            f"A spoof of {size + 28} bytes does not come in fragments of {order.mtu}: give an `mtu`"
            f" of {SMALLEST_MTU} to {size + 27}."
        )


def address(text: str, name: str) -> str:
    """An IPv4 address, or Refused."""
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError as error:
        raise Refused(f"The address `{name}` of an order is none: {error}.") from None


def port(number: int, name: str) -> int:
    """A UDP port, or Refused."""
    if not 0 <= number <= 0xFFFF:
        raise Refused(f"The port `{name}` of an order is {number}: give 0 to 65535.")
    return number


def flipped(order: Flip) -> bytes:
    """A packet with flipped bits, whose checksums are right all the same."""
    addresses, ports, payload = whole_udp(order.packet)
    data = bytearray(payload)
    for bit in order.bits:
        if not 0 <= bit < 8 * len(data):
            raise Refused(f"There is no bit {bit} to flip in a payload of {len(data)} bytes.")
        data[bit // 8] ^= 1 << bit % 8
    return repaired(addresses, ports, bytes(data))


def replayed(order: Replay) -> bytes:
    """A packet of a capture once more."""
    packets = islice(captured(order.capture), max(0, order.index), None)
    _, data = next(packets, (0, b""))
    if not data or order.index < 0:
        raise Refused(f"The capture {order.capture} has no packet number {order.index}.")
    if order.source is None and order.source_port is None:
        return data
    addresses, ports, payload = whole_udp(data)
    if order.source is not None:
        addresses.src = address(order.source, "source")
    if order.source_port is not None:
        ports.sport = port(order.source_port, "source_port")
    return repaired(addresses, ports, payload)


def whole_udp(data: bytes) -> "tuple[IP, UDP, bytes]":
    """The headers and the payload of a packet that holds one whole UDP datagram and no options;
    Refused for any other."""
    from scapy.layers.inet import IP, UDP

    is_udp = dissected(0, data).protocol == UDP_NUMBER and len(data) >= IP_BYTES + UDP_BYTES
    addresses = IP(data[:IP_BYTES]) if is_udp else None
    if addresses is None or addresses.ihl != 5 or addresses.frag or addresses.flags.MF:
        raise Refused(f"A packet of {len(data)} bytes is not one whole UDP datagram.")
    ports = UDP(data[IP_BYTES : IP_BYTES + UDP_BYTES])
    if not addresses.len == len(data) == IP_BYTES + ports.len:
        raise Refused(f"The lengths in a packet of {len(data)} bytes disagree.")
    return addresses, ports, data[IP_BYTES + UDP_BYTES :]


def repaired(addresses: "IP", ports: "UDP", payload: bytes) -> bytes:
    """The packet with right checksums; where UDP had none, it has none."""
    from scapy.packet import Raw

    del addresses.chksum
    if ports.chksum:
        del ports.chksum
    return bytes(addresses / ports / Raw(payload))


# --- dissecting -----------------------------------------------------------------------------------


def captured(capture: str) -> Iterator[tuple[int, bytes]]:
    """Time, UTC ns, and bytes of each packet of a capture; a torn last one is left out."""
    from scapy.error import Scapy_Exception
    from scapy.utils import RawPcapReader

    with Path(capture).open("rb") as file:
        magic = file.read(4)
    if magic not in MAGICS:
        raise Refused(f"The file {capture} is no capture in pcap form: it begins {magic!r}.")
    try:
        reader = RawPcapReader(capture)
    except Scapy_Exception as error:
        raise Refused(f"The capture {capture} cannot be read: {error}.") from None
    with reader:
        if reader.linktype not in RAW_IP:
            raise Refused(
                f"The capture {capture} has packets of link type {reader.linktype}, not raw IP."
            )
        unit_ns = 1 if reader.nano else 1000
        for data, stamp in reader:
            if len(data) == stamp.caplen:
                yield stamp.sec * 10**9 + stamp.usec * unit_ns, data


def dissected(ns: int, data: bytes) -> Dissected:
    """What one packet is. Headers are read one by one and only as far as they are there."""
    from scapy.layers.inet import IP, TCP, UDP

    if len(data) < IP_BYTES or data[0] >> 4 != 4 or data[0] & 15 < 5:
        return Dissected(ns, "", None, "", None, -1, len(data), short_hash(data), False)
    addresses = IP(data[:IP_BYTES])
    head = 4 * addresses.ihl
    carried = data[head:]
    ports: UDP | TCP | None = None
    if addresses.frag == 0 and addresses.proto == UDP_NUMBER and len(carried) >= UDP_BYTES:
        ports = UDP(carried[:UDP_BYTES])
        carried = carried[UDP_BYTES : max(UDP_BYTES, ports.len)]
    elif addresses.frag == 0 and addresses.proto == TCP_NUMBER and len(carried) >= TCP_BYTES:
        ports = TCP(carried[:TCP_BYTES])
        carried = carried[4 * ports.dataofs :]
    return Dissected(
        ns,
        addresses.src,
        None if ports is None else ports.sport,
        addresses.dst,
        None if ports is None else ports.dport,
        addresses.proto,
        len(data),
        short_hash(carried),
        is_intact(data, addresses, ports),
    )


def is_intact(data: bytes, addresses: "IP", ports: "UDP | TCP | None") -> bool:
    """Whether lengths and checksums are right; of a fragment only those of IP can be."""
    from scapy.layers.inet import UDP, in4_chksum
    from scapy.utils import checksum

    head = 4 * addresses.ihl
    if addresses.len != len(data) or len(data) < head or checksum(data[:head]):
        return False
    if addresses.frag or addresses.flags.MF:
        return True
    if ports is None:
        is_too_short = addresses.proto in (UDP_NUMBER, TCP_NUMBER)
        return not is_too_short
    if isinstance(ports, UDP) and ports.len != len(data) - head:
        return False
    has_none = isinstance(ports, UDP) and ports.chksum == 0
    return has_none or in4_chksum(addresses.proto, addresses, data[head:]) == 0


def short_hash(data: bytes) -> str:
    """The first 16 hexadecimal digits of the SHA-256."""
    return hashlib.sha256(data).hexdigest()[:16]


if __name__ == "__main__":
    main()
