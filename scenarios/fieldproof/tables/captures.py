"""What an exchange cost, summed from the captures of a run: IP bytes, packets, seconds.

Counted is the total length of every IP packet that a host gave to the link, handshakes and
acknowledgements included, from the run directory's `links/*-offered.pcap`; the last moment is that
of the last packet that came out, from `*-delivered.pcap`. Nothing is taken from what a system says
of itself.
"""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from fieldproof.oracle.pcap import packets_of

_TCP, _UDP = 6, 17


class Cost(NamedTuple):
    """Of what went over a link for one purpose."""

    up_bytes: int  # from the site to the center; IP total lengths
    down_bytes: int
    up_packets: int
    down_packets: int
    seconds: float  # from the first packet that was given to the link to the last that came out

    @property
    def all_bytes(self) -> int:
        """Both ways."""
        return self.up_bytes + self.down_bytes

    @property
    def all_packets(self) -> int:
        """Both ways."""
        return self.up_packets + self.down_packets

    def round_trips(self, delay_ms: float) -> float:
        """How many times the link was crossed there and back, if nothing but the link takes time;
        `delay_ms` is that of one way."""
        return 1000 * self.seconds / (2 * delay_ms)


class Packet(NamedTuple):
    """What is read of an IPv4 packet."""

    utc_ns: int
    size: int  # its total length
    is_up: bool
    purpose: str


def costs(links: Path, site: str, purposes: Mapping[int, str]) -> dict[str, Cost]:
    """By purpose: what went from and to a site, on all links of a run whose captures lie in a
    folder. `site` is the address of the site, `purposes` says by port what a packet is for.

    Raises OSError and ValueError where a capture is missing or is none."""
    offered = [p for path in links.glob("*-offered.pcap") for p in _read(path, site, purposes)]
    ended_ns: dict[str, int] = {}
    for path in links.glob("*-delivered.pcap"):
        for packet in _read(path, site, purposes):
            ended_ns[packet.purpose] = max(packet.utc_ns, ended_ns.get(packet.purpose, 0))
    return {
        purpose: _cost([p for p in offered if p.purpose == purpose], ended_ns.get(purpose, 0))
        for purpose in sorted({packet.purpose for packet in offered})
    }


def _cost(packets: list[Packet], ended_ns: int) -> Cost:
    up, down = ([p.size for p in packets if p.is_up is way] for way in (True, False))
    began_ns = min(packet.utc_ns for packet in packets)
    seconds = max(ended_ns - began_ns, 0) / 1e9
    return Cost(sum(up), sum(down), len(up), len(down), seconds)


def _read(path: Path, site: str, purposes: Mapping[int, str]) -> Iterator[Packet]:
    address = bytes(map(int, site.split(".")))
    for utc_ns, data in packets_of(path.read_bytes()):
        source, destination = data[12:16], data[16:20]
        if data[:1] and data[0] >> 4 == 4 and address in (source, destination):
            (size,) = struct.unpack_from(">H", data, 2)
            yield Packet(utc_ns, size, source == address, _purpose(data, purposes))


def _purpose(data: bytes, purposes: Mapping[int, str]) -> str:
    """By the port that it goes to, or the one that it comes from."""
    begins = 4 * (data[0] & 15)
    if data[9] not in (_TCP, _UDP) or len(data) < begins + 4:
        return "other"
    source, destination = struct.unpack_from(">HH", data, begins)
    return purposes.get(destination) or purposes.get(source) or "other"
