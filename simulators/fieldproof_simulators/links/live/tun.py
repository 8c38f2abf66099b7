"""Attach a host by a TUN device: raw IP, no Ethernet, no ARP, no offloads.

The device is in the host's namespace and lives as long as a descriptor of it is open: when the pump
ends, however it ends, the device is gone. It needs `/dev/net/tun`, and in a namespace of one's own
no rights beyond opening it.

What a host sends waits in the device's queue until the pump reads it, and what finds the queue full
is dropped: the sender's socket is not held up, as it would be by a real card. Those drops would be
the machine's and not the model's, so the queue is long enough for a pump that gets no processor for
a while. It is the host's own send queue, ahead of the link, and takes nothing from what the model
loses, delays or limits.
"""

import fcntl
import os
import struct
from functools import partial

from fieldproof_simulators.links.live.iproute import furnish, ip
from fieldproof_simulators.links.live.ports import Attachment, Counters, Drops, LinkError
from fieldproof_simulators.machines.live.namespaces import inside

DEVICE = "tun0"

QUEUE_PACKETS = 10_000
"""A sixth of a second of 60 000 packets a second; at most some 10 MB where they are of 400 bytes.
The usual 500 last for 8 ms."""

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000  # linux/if_tun.h


def attach(host: str, address: str, mtu_bytes: int, netns_fd: int) -> Attachment:
    """A device with this address in the host's namespace (a fresh one of `new_netns`).

    Raises LinkError, with one sentence, or OSError where the namespace cannot be entered."""
    with inside(netns_fd):
        descriptor = _open()
        try:
            furnish(DEVICE, address, mtu_bytes)
            ip(f"link set dev {DEVICE} txqueuelen {QUEUE_PACKETS}")
            counters = Counters.open()
        except BaseException:
            os.close(descriptor)
            raise
    settings = {"device": DEVICE, "mtu_bytes": str(mtu_bytes)}
    return Attachment("tun", host, settings, (descriptor, counters))


def _open() -> int:
    try:
        descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise LinkError(f"/dev/net/tun cannot be opened: {error.strerror}.") from None
    try:
        fcntl.ioctl(
            descriptor, TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), IFF_TUN | IFF_NO_PI)
        )
    except OSError as error:
        os.close(descriptor)
        raise LinkError(f"The device {DEVICE} cannot be made: {error.strerror}.") from None
    return descriptor


class TunPort:
    """The pump's side."""

    def __init__(self, attachment: Attachment) -> None:
        self._fd, counters = attachment.descriptors
        self.host = attachment.name
        self.receive = partial(os.read, self._fd, int(attachment.settings["mtu_bytes"]) + 1)
        self._device = attachment.settings["device"]
        self._counters = Counters(counters)

    def fileno(self) -> int:
        """Readable when the host has sent a packet."""
        return self._fd

    def deliver(self, packet: bytes) -> None:
        """The host receives a packet."""
        os.write(self._fd, packet)

    def moved(self, old: str, new: str) -> None:
        """Addresses are the namespace's matter."""

    def drops(self) -> Drops:
        """What did not fit into the device's queue, and what the host's kernel did not take."""
        dropped = self._counters.dropped
        return Drops(dropped(self._device, Counters.SENT), dropped(self._device, Counters.RECEIVED))

    def close(self) -> None:
        """The device goes."""
        os.close(self._fd)
        self._counters.close()
