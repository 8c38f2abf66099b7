"""Loopback addresses for runs on the plain machine, where all share one network.

An address is leased by holding an abstract Unix socket of its name: such names belong to a network
namespace, as the addresses do, so no two runs of whatever user get the same one; and the kernel
frees the name with its holder. With an address of its own, a host may use the port numbers of the
scenario, whatever other runs do.
"""

import socket

FIRST, LAST = 2, 254
"""127.0.0.1 is everybody's."""

PURPOSE = "fieldproof"
"""The first part of the names."""


class Lease:
    """An address, ours until closed."""

    def __init__(self, address: str, held: socket.socket) -> None:
        self.address = address
        self._held = held

    def __enter__(self) -> "Lease":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Gives it back. May be called again."""
        self._held.close()


def lease_loopback(purpose: str = PURPOSE) -> Lease:
    """An address 127.0.0.N that nobody else has for this purpose. Raises OSError where all are
    taken."""
    for last in range(FIRST, LAST + 1):
        address = f"127.0.0.{last}"
        held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            held.bind(f"\0{purpose}-{address}")
        except OSError:
            held.close()
            continue
        return Lease(address, held)
    raise OSError(f"All addresses 127.0.0.{FIRST} to {LAST} are taken by other runs; end some.")
