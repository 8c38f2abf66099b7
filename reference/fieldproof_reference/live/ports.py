"""UDP: the host's ports, bound once for the life of the process.

1. A port belongs to this host alone: who binds it twice is told so at the start.
2. Datagrams are handled in turns of `MOST_AT_ONCE`, so that a flood keeps nobody else waiting.
3. What the kernel does not take (no route, no buffers, a firewall) is a failure of that datagram.
   That somebody refused an earlier one is none: the datagram is sent again, and the log says it.
4. What comes and the kernel drops, for want of room in the socket's buffer or since its checksum is
   wrong, is counted and told: as a fact and as a sentence, once a second at most. The kernel keeps
   the count for each socket. It is asked a second after something was read, and at the end: a full
   buffer is always read, so no drop stays unseen, and a datagram costs nothing more.
"""

import ipaddress
import socket
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from fieldproof_contract import SECOND_NS, Address
from fieldproof_reference.live.loop import READ, Loop

RECEIVE_BUFFER_BYTES = 4 << 20
"""Asked for; the kernel gives what net.core.rmem_max allows. At 400 bytes a datagram the usual
212992 hold a few hundred, which a disk that pauses for a second could cost a busy center."""

MOST_AT_ONCE = 64
LARGEST_DATAGRAM = 65_535
PORTS = 65_536

OnDatagram = Callable[[int, Address, bytes], None]
"""Port, source, data."""

OnFact = Callable[[str, Mapping[str, str | int]], None]
"""What, detail."""

SO_MEMINFO = 55  # asm-generic/socket.h; Linux 4.12
_MEMINFO = struct.Struct("@9I")  # linux/sock_diag.h, SK_MEMINFO_...: the last one counts drops


class Ports:
    """The UDP sockets of a host."""

    def __init__(
        self,
        loop: Loop,
        address: str,
        on_datagram: OnDatagram,
        say: Callable[[str], None],
        on_fact: OnFact,
    ) -> None:
        """`address`: the host's own; empty for all IPv4 addresses of the machine. `say` takes
        sentences for people, `on_fact` what is to be in the event log."""
        self._loop = loop
        self._address = address
        self._on_datagram = on_datagram
        self._say = say
        self._on_fact = on_fact
        self._sockets: dict[int, socket.socket] = {}
        self._dropped: dict[int, int] = {}  # by port that is heard: datagrams, as far as told
        self._to_be_asked: set[int] = set()  # ports that were read since

    def bind(self, port: int, *, hears: bool) -> None:
        """Take a port; what comes to it is read if somebody `hears` it. Raises OSError."""
        if port in self._sockets:
            return
        bound = self._sockets[port] = bound_socket(socket.SOCK_DGRAM, self._address, port)
        if hears:
            with suppress(OSError):
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            self._dropped[port] = 0
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
        for port, bound in self._sockets.items():
            self._ask_for_drops(port)
            self._loop.unwatch(bound.fileno())
            bound.close()
        self._sockets.clear()
        self._dropped.clear()

    def _read(self, port: int, bound: socket.socket) -> None:
        if port not in self._to_be_asked:
            self._to_be_asked.add(port)
            self._loop.call_in(SECOND_NS, partial(self._ask_for_drops, port))
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

    def _ask_for_drops(self, port: int) -> None:
        """Tell what the kernel dropped since it was last asked."""
        self._to_be_asked.discard(port)
        if port not in self._dropped:
            return  # nobody hears it, or it was closed
        try:
            given = self._sockets[port].getsockopt(socket.SOL_SOCKET, SO_MEMINFO, _MEMINFO.size)
        except OSError:
            return  # a kernel that does not say
        *_, dropped = _MEMINFO.unpack(given)
        number = (dropped - self._dropped[port]) % 2**32
        self._dropped[port] = dropped
        if number:
            self._on_fact("datagrams dropped", {"port": port, "datagrams": number})
            self._say(
                f"port {port}: the kernel dropped {number} of the datagrams that came, which were "
                "damaged or had no room in the socket's buffer: see net.core.rmem_max."
            )


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
