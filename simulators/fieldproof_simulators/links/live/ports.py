"""How a host is attached to the pump: what the stage opens, and what the pump makes of it.

The stage, which has the namespaces, makes an `Attachment` and hands it over; its descriptors go
along. In the pump's process it becomes a `Port`, by which a host's packets come and go.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol


class LinkError(Exception):
    """A host cannot be attached, or the pump does not do what it should: one sentence."""


@dataclass(frozen=True)
class Attachment:
    """One end of the pump, as the stage hands it over."""

    kind: str  # "tun", "packet", "proxy"; "netem" is of a link, not of a host
    name: str  # of the host; with "netem", of the link
    settings: Mapping[str, str] = field(default_factory=dict)
    descriptors: tuple[int, ...] = ()

    def close(self) -> None:
        """Close what was opened for it in this process."""
        for descriptor in self.descriptors:
            os.close(descriptor)


class Drops(NamedTuple):
    """Packets that the machine lost, by the kernel's counters, since the port was opened."""

    from_host: int
    to_host: int


class Port(Protocol):
    """A host, seen from the pump. `receive` and `deliver` are on the path of every packet."""

    @property
    def host(self) -> str:
        """Its name."""

    def fileno(self) -> int:
        """Readable when a packet waits."""

    def receive(self) -> bytes:
        """The next packet of the host, or what else it sent; BlockingIOError where none waits,
        another OSError where none will ever come again."""

    def deliver(self, packet: bytes) -> None:
        """Hand a whole IPv4 packet to the host. OSError where the machine refuses it."""

    def moved(self, old: str, new: str) -> None:
        """A host, this one or another, has a new address."""

    def drops(self) -> Drops:
        """What the machine lost so far."""

    def close(self) -> None:
        """End it."""


class Counters:
    """A network namespace's drop counters: an open `/proc/net/dev`, which stays that of the
    namespace in which it was opened."""

    RECEIVED, SENT = 3, 11
    """The columns of packets dropped."""

    def __init__(self, descriptor: int) -> None:
        self._fd = descriptor

    @staticmethod
    def open() -> int:
        """A descriptor for the namespace that the calling thread is in."""
        return os.open("/proc/thread-self/net/dev", os.O_RDONLY | os.O_CLOEXEC)

    def dropped(self, device: str, column: int) -> int:
        """What a device dropped since it exists; 0 where it is gone."""
        for line in os.pread(self._fd, 1 << 16, 0).decode(errors="replace").splitlines():
            name, _, numbers = line.partition(":")
            if name.strip() == device:
                return int(numbers.split()[column])
        return 0

    def close(self) -> None:
        """End it."""
        os.close(self._fd)
