"""Attach hosts without namespaces: everybody is on 127.0.0.0/8, and the pump stands in between.

Every host really lives at a loopback address (its seat) and knows the others by faces: addresses
that the pump has, one for each pair of hosts, so that a datagram to a face says who sent it and to
whom. The pump makes an IPv4 packet of it, with the addresses of the scenario, so that links,
captures and facts are as ever; what comes out of a link, the pump sends from the sender's face.

    site's seat --> center's face for this site ==> links ==> site's face for the center --> center

What this cannot do, and a live run must say so: a host sees faces, not the scenario's addresses;
what is no UDP does not pass (TCP goes by `relay`); a datagram is one packet however long it is; a
damaged one and a fragment are dropped here, where no kernel does it; and every program of the
machine can join in.

A seat is where a host's first datagram from a port came from, so a host that binds no address of
its own is served as well.
"""

import json
import select
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from fieldproof_simulators.links.live.ip import RawPacket, is_sound, udp, whole
from fieldproof_simulators.links.live.messages import PumpBegin
from fieldproof_simulators.links.live.ports import Attachment, Drops, LinkError
from fieldproof_simulators.links.live.relay import Door, Relay
from fieldproof_simulators.links.live.ways import Way

LONGEST_BYTES = 65_507
SO_MEMINFO, MEMINFO = 55, struct.Struct("9I")  # the last one counts drops (linux/sock_diag.h)


class Plan(NamedTuple):
    """Who is where on the loopback network `127.network.0.0/16`."""

    network: int
    seats: Mapping[str, str]
    """By host: the address that it binds."""
    center_faces: Mapping[str, str]
    """By site: the address by which it reaches the center."""
    site_faces: Mapping[str, str]
    """By the scenario's address of a site: the address by which the center sees it."""
    attachments: tuple[Attachment, ...]


def plan(
    center: tuple[str, str],
    sites: Sequence[tuple[str, tuple[str, ...]]],
    ports: Sequence[int],
    network: int,
) -> Plan:
    """Seats and faces for the center (name, address) and sites (name, all addresses that it ever
    has, the first one first). `ports` are those that anybody may serve. Two runs side by side need
    two networks, from 1 to 254."""
    seats = {center[0]: f"127.{network}.0.1"}
    center_faces: dict[str, str] = {}
    site_faces: dict[str, str] = {}
    ends: list[tuple[str, tuple[str, ...], dict[str, str]]] = []
    for number, (site, addresses) in enumerate(sites, 1):
        seats[site] = f"127.{network}.1.{number}"
        center_faces[site] = f"127.{network}.2.{number}"
        for address in addresses:
            site_faces[address] = f"127.{network}.3.{len(site_faces) + 1}"
        ends.append((site, addresses, {center[1]: center_faces[site]}))
    ends.append((center[0], center[1:], site_faces))
    return Plan(
        network,
        seats,
        center_faces,
        site_faces,
        tuple(
            Attachment(
                "proxy",
                host,
                {
                    "seat": seats[host],
                    "addresses": json.dumps(addresses),
                    "faces": json.dumps(faces),
                    "stranger": f"127.{network}.4.1",
                    "ports": json.dumps(list(ports)),
                },
            )
            for host, addresses, faces in ends
        ),
    )


def relay(
    begin: PumpBegin,
    ends: Mapping[str, Attachment],
    ways: Callable[[str], tuple[Way, Way]],
    clock: Callable[[], int],
) -> Relay:
    """What carries the TCP of a plan's hosts; `ways` says the up and the down of a link. Raises
    LinkError."""
    center, center_address = begin.center
    seats = {name: end.settings["seat"] for name, end in ends.items()}
    faces = {name: json.loads(end.settings["faces"]) for name, end in ends.items()}
    doors = []
    for site, _, link in begin.sites:
        up, down = ways(link)
        own, others = faces[site][center_address], faces[center]
        for port in json.loads(ends[site].settings["ports"]):
            doors.append(Door(site, own, port, seats[center], None, up, down))
            for address in json.loads(ends[site].settings["addresses"]):
                doors.append(Door(site, others[address], port, seats[site], own, down, up))
    addresses = {site: address for site, address, _ in begin.sites}
    return Relay(doors, faces[center], addresses, clock, begin.began_ns)


class ProxyPort:
    """The pump's side of a host."""

    def __init__(self, attachment: Attachment) -> None:
        """Raises LinkError where an address is taken."""
        settings = attachment.settings
        self.host = attachment.name
        self._address: str = json.loads(settings["addresses"])[0]
        self._seat = settings["seat"]
        self._seats: dict[int, tuple[str, int]] = {}  # by the host's port
        self._faces: dict[str, str] = json.loads(settings["faces"])
        self._peers = {face: address for address, face in self._faces.items()}
        self._stranger = settings["stranger"]
        self._sockets: dict[tuple[str, int], socket.socket] = {}
        self._by_fd: dict[int, socket.socket] = {}
        self._ready: list[int] = []
        self._epoll = select.epoll()
        for face in self._peers:
            for port in json.loads(settings["ports"]):
                try:
                    self._socket(face, port)
                except OSError as error:
                    self.close()
                    raise LinkError(
                        f"{face}:{port} cannot be had for a proxy: {error.strerror}."
                    ) from None

    def fileno(self) -> int:
        """Readable when a datagram waits at any face."""
        return self._epoll.fileno()

    def receive(self) -> bytes:
        """The next datagram of the host, as a packet; BlockingIOError where none waits."""
        self._ready = self._ready or [fd for fd, _ in self._epoll.poll(0)]
        if not self._ready:
            raise BlockingIOError
        at_face = self._by_fd[self._ready.pop()]
        try:
            payload, source = at_face.recvfrom(LONGEST_BYTES)
        except BlockingIOError:
            return b""
        self._seats[source[1]] = source
        face, port = at_face.getsockname()
        return udp((self._address, source[1]), (self._peers[face], port), payload)

    def deliver(self, packet: bytes) -> None:
        """The host receives a datagram from the sender's face; OSError where it cannot."""
        arrived = RawPacket(packet)
        if whole(packet) != packet or not arrived.is_datagram or not is_sound(packet):
            return  # as a kernel does with a bad checksum; ICMP has no counterpart here
        if arrived.is_fragment:
            return  # whose rest may never come
        from_port, to_port = arrived.ports
        face = self._faces.get(arrived.from_host, self._stranger)
        seat = self._seats.get(to_port, (self._seat, to_port))
        self._socket(face, from_port).sendto(arrived.payload, seat)

    def moved(self, old: str, new: str) -> None:
        """The host may be the one with another address; all faces are known beforehand."""
        if self._address == old:
            self._address = new

    def drops(self) -> Drops:
        """What did not fit into our sockets; those of the host are its own matter."""
        told = (
            each.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, MEMINFO.size)
            for each in self._sockets.values()
        )
        return Drops(sum(MEMINFO.unpack(memory)[-1] for memory in told), 0)

    def close(self) -> None:
        """Its sockets go."""
        for each in self._sockets.values():
            each.close()
        self._epoll.close()

    def _socket(self, face: str, port: int) -> socket.socket:
        """The socket at a face, raises OSError; what arrives at the stranger's is for nobody."""
        known = self._sockets.get((face, port))
        if known is not None:
            return known
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            made.bind((face, port))
        except OSError:
            made.close()
            raise
        self._sockets[face, port] = made
        if face in self._peers:
            self._by_fd[made.fileno()] = made
            self._epoll.register(made, select.EPOLLIN)
        return made
