"""UDP: the host's ports, bound once for the life of the process.

1. A port belongs to this host alone: who binds it twice is told so at the start.
2. Datagrams are handled in turns of `MOST_AT_ONCE`, so that a flood keeps nobody else waiting.
3. What the kernel does not take (no route, no buffers, a firewall) is a failure of that datagram.
   That somebody refused an earlier one is none: the datagram is sent again, and the log says it.
"""

import ipaddress
import socket
from collections.abc import Callable
from contextlib import suppress

from fieldproof_contract import Address
from fieldproof_reference.live.loop import READ, Loop

RECEIVE_BUFFER_BYTES = 4 << 20
"""Asked for; the kernel gives what net.core.rmem_max allows. At 400 bytes a datagram the usual
212992 hold a few hundred, which a disk that pauses for a second could cost a busy center."""

MOST_AT_ONCE = 64
LARGEST_DATAGRAM = 65_535
PORTS = 65_536

OnDatagram = Callable[[int, Address, bytes], None]
"""Port, source, data."""


class Ports:
    """The UDP sockets of a host."""

    def __init__(
        self, loop: Loop, address: str, on_datagram: OnDatagram, say: Callable[[str], None]
    ) -> None:
        """`address`: the host's own; empty for all IPv4 addresses of the machine."""
        self._loop = loop
        self._address = address
        self._on_datagram = on_datagram
        self._say = say
        self._sockets: dict[int, socket.socket] = {}

    def bind(self, port: int, *, hears: bool) -> None:
        """Take a port; what comes to it is read if somebody `hears` it. Raises OSError."""
        if port in self._sockets:
            return
        bound = self._sockets[port] = bound_socket(socket.SOCK_DGRAM, self._address, port)
        if hears:
            with suppress(OSError):
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            self._loop.watch(bound.fileno(), READ, lambda: self._read(port, bound))

    def send(self, port: int, to: Address, data: bytes) -> None:
        """Send one datagram. Raises OSError."""
        check_address(to)
        if not 0 < port < PORTS:
            raise OSError(f"A datagram cannot go from port {port}.")
        self.bind(port, hears=False)
        try:
            self._sockets[port].sendto(data, to)
        except ConnectionRefusedError:
            self._say(f"port {port}: a datagram to {to.host} was refused there.")
            self._sockets[port].sendto(data, to)

    def close(self) -> None:
        """Give all ports back."""
        for bound in self._sockets.values():
            self._loop.unwatch(bound.fileno())
            bound.close()
        self._sockets.clear()

    def _read(self, port: int, bound: socket.socket) -> None:
        for _ in range(MOST_AT_ONCE):
            try:
                data, source = bound.recvfrom(LARGEST_DATAGRAM)
            except BlockingIOError:
                return
            except OSError as error:  # what became of an earlier datagram of ours
                self._say(f"port {port}: {error.strerror or error}.")
                continue
            self._on_datagram(port, Address(source[0], source[1]), data)
            if bound.fileno() < 0:
                return


def bound_socket(kind: socket.SocketKind, address: str, port: int) -> socket.socket:
    """A socket that has a port and never waits. Raises OSError, which names the port."""
    bound = socket.socket(family_of(address), kind)
    try:
        bound.setblocking(False)
        if kind is socket.SOCK_STREAM:  # connections of the last life may still fade away
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((address, port))
    except OSError as error:
        bound.close()
        name = "TCP" if kind is socket.SOCK_STREAM else "UDP"
        said = f"{name} port {port} of {address or 'this machine'}: {error.strerror or error}"
        raise OSError(error.errno, said) from error
    return bound


def family_of(address: str) -> socket.AddressFamily:
    """Of an address in text form."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def check_address(to: Address) -> None:
    """Raise OSError for what is no address: a name would make the driver wait for its lookup."""
    try:
        ipaddress.ip_address(to.host)
    except ValueError:
        raise OSError(f"{to.host!r} is no IP address.") from None
    if not 0 < to.port < PORTS:
        raise OSError(f"There is no port {to.port} at {to.host}.")
