"""Attach a host by a pair of virtual Ethernet devices and a packet socket: no device node needed.

One end is in the host's namespace, the other in that of the stage, where a packet socket reads and
writes whole frames. Both ends are NOARP, so that nobody ever asks who has an address: a frame from
the host goes to whatever station the kernel writes down, and the pump writes the host's. IPv6 is
off before a device is up, and every offload is off: one frame is one packet, with its checksum
finished, and never longer than the unit of the link.

A frame that is too long for the device is no use to a packet socket, so the pump cuts such a packet
into fragments, as a router would.
"""

import array
import fcntl
import os
import socket
import struct
from itertools import count

from fieldproof_simulators.links.live.ip import fragments
from fieldproof_simulators.links.live.iproute import furnish, ip
from fieldproof_simulators.links.live.ports import Attachment, Counters, Drops, LinkError
from fieldproof_simulators.machines.live.namespaces import inside

DEVICE = "eth0"
"""The host's end."""

HOST_STATION, PUMP_STATION = bytes.fromhex("020000000002"), bytes.fromhex("020000000001")
"""Locally administered addresses; every pair is alone on its wire, so they may all be alike."""

ETH_P_ALL, ETH_P_IP = 0x0003, 0x0800
HEADER = HOST_STATION + PUMP_STATION + ETH_P_IP.to_bytes(2, "big")
SOL_PACKET, PACKET_STATISTICS, PACKET_IGNORE_OUTGOING = 263, 6, 23  # linux/if_packet.h
SIOCETHTOOL = 0x8946
OFFLOADS_OFF = (0x15, 0x17, 0x19, 0x1F, 0x24, 0x2C)
"""ETHTOOL_SRXCSUM, STXCSUM, SSG, STSO, SGSO, SGRO (linux/ethtool.h)."""

BUFFER_BYTES = 4 << 20
"""Asked for; an ordinary user gets as much as `net.core.rmem_max`."""

_numbers = count()


def attach(host: str, address: str, mtu_bytes: int, netns_fd: int) -> Attachment:
    """A pair between the caller's namespace and the host's, and a packet socket at our end.

    Raises LinkError, with one sentence, or OSError where the namespace cannot be entered."""
    ours = f"pump{next(_numbers)}"
    ip(
        f"link add {ours} address {PUMP_STATION.hex(':')} type veth peer name {DEVICE}"
        f" address {HOST_STATION.hex(':')} netns /proc/self/fd/{netns_fd}",
        pass_fds=[netns_fd],
    )
    with inside(netns_fd):
        quieten(DEVICE)
        furnish(DEVICE, address, mtu_bytes)
        theirs = Counters.open()
    try:
        quieten(ours)
        ip(f"link set dev {ours} mtu {mtu_bytes} up")
        opened = listen(ours)
        counters = Counters.open()
    except BaseException:
        os.close(theirs)
        raise
    settings = {"device": ours, "host_device": DEVICE, "mtu_bytes": str(mtu_bytes)}
    return Attachment("packet", host, settings, (opened, counters, theirs))


def quieten(device: str) -> None:
    """No ARP, no offloads, for a device that is not up yet. Raises LinkError."""
    ip(f"link set dev {device} arp off")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for command in OFFLOADS_OFF:
            value = array.array("I", (command, 0))
            request = struct.pack("16sP16x", device.encode(), value.buffer_info()[0])
            try:
                fcntl.ioctl(any_socket, SIOCETHTOOL, request)
            except OSError as error:
                raise LinkError(
                    f"Offload {command:#x} of {device} cannot be switched off: {error.strerror}."
                ) from None


def listen(device: str) -> int:
    """The descriptor of a packet socket on a device of the caller's namespace. Raises LinkError."""
    try:
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    except OSError as error:
        raise LinkError(f"A packet socket cannot be opened: {error.strerror}.") from None
    try:
        opened.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            opened.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
        opened.bind((device, ETH_P_ALL))
    except OSError as error:
        opened.close()
        raise LinkError(f"No packet socket can be had on {device}: {error.strerror}.") from None
    return opened.detach()


class Frames:
    """A packet socket, packet by packet."""

    def __init__(self, descriptor: int, mtu_bytes: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._frame_bytes = len(HEADER) + mtu_bytes
        self._dropped = 0

    def fileno(self) -> int:
        """Readable when a frame waits."""
        return self._socket.fileno()

    def receive(self) -> bytes:
        """What is in the next frame; BlockingIOError where none waits."""
        frame = self._socket.recv(self._frame_bytes)
        return frame[14:] if frame[12:14] == b"\x08\x00" else b""

    def send(self, packet: bytes) -> None:
        """A frame with this packet. OSError where the machine refuses it."""
        self._socket.send(HEADER + packet)

    def dropped(self) -> int:
        """Frames that did not fit into the socket's buffer so far."""
        said = self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)
        self._dropped += struct.unpack("II", said)[1]  # since it was last asked
        return self._dropped

    def close(self) -> None:
        """End it."""
        self._socket.close()


class PacketPort:
    """The pump's side of a host."""

    def __init__(self, attachment: Attachment) -> None:
        descriptor, ours, theirs = attachment.descriptors
        settings = attachment.settings
        self.host = attachment.name
        self._mtu_bytes = int(settings["mtu_bytes"])
        self._frames = Frames(descriptor, self._mtu_bytes)
        self._devices = settings["device"], settings["host_device"]
        self._counters = Counters(ours), Counters(theirs)
        self.receive = self._frames.receive
        self.fileno = self._frames.fileno

    def deliver(self, packet: bytes) -> None:
        """The host receives a packet, in fragments where it is too long."""
        if len(packet) <= self._mtu_bytes:
            self._frames.send(packet)
            return
        for fragment in fragments(packet, self._mtu_bytes):
            self._frames.send(fragment)

    def moved(self, old: str, new: str) -> None:
        """Addresses are the namespace's matter."""

    def drops(self) -> Drops:
        """What a device did not pass on to its peer, and what the socket had no room for."""
        ours, theirs = (
            counters.dropped(device, Counters.SENT)
            for counters, device in zip(self._counters, self._devices, strict=True)
        )
        return Drops(theirs + self._frames.dropped(), ours)

    def close(self) -> None:
        """The socket goes; the pair goes with the namespaces."""
        self._frames.close()
        for counters in self._counters:
            counters.close()
