"""The streams of a host's nodes: names for the node, ends for the stack.

A node names what it opens; what it accepts is named here, `accepted-1` and so on through the life
of the host. A name is free again once the node was told `StreamClosed`.
"""

from collections.abc import Callable

from fieldproof_contract import Address, Event, StreamClosed, StreamData, StreamOpened
from fieldproof_simulators.links.streams import End, Stack

Tell = Callable[[Event], None]
"""Gives an event to one node."""


class Sockets:
    """Every stream of one host, by node and name. Raises OSError for what cannot be done."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._open: dict[tuple[str, str], Socket] = {}
        self._accepted = 0

    def open(self, node: str, tell: Tell, stream: str, to: Address) -> None:
        """Call a port; the node is told what comes of it."""
        if (node, stream) in self._open:
            raise OSError(f"There is a stream {stream} already: choose another name.")
        if not 0 < to.port < 65536:
            raise OSError(f"A stream cannot go to port {to.port}.")
        socket = self._open[node, stream] = Socket(self._open, (node, stream), tell)
        socket.end = self._stack.connect(to, socket)

    def accept(self, node: str, tell: Tell) -> "Socket":
        """Who owns a stream that somebody opens to this node."""
        self._accepted += 1
        return Socket(self._open, (node, f"accepted-{self._accepted}"), tell)

    def write(self, node: str, stream: str, data: bytes) -> None:
        """Send on a stream."""
        self._end(node, stream).write(data)

    def close(self, node: str, stream: str) -> bool:
        """Close a stream of the node; whether there was one."""
        if (node, stream) not in self._open:
            return False
        self._end(node, stream).close()
        del self._open[node, stream]
        return True

    def abandon(self, node: str) -> None:
        """The node died: its streams are reset."""
        for key in [key for key in self._open if key[0] == node]:
            self._end(*key).perish(True)
            self._open.pop(key, None)

    def perish(self, powered: bool) -> None:
        """The host died."""
        self._open.clear()
        self._accepted = 0
        self._stack.perish(powered)

    def _end(self, node: str, stream: str) -> End:
        socket = self._open.get((node, stream))
        if socket is None or socket.end is None:
            raise OSError(f"There is no stream {stream}.")
        return socket.end


class Socket:
    """One stream as its node knows it: the owner of its end."""

    def __init__(
        self, open_: dict[tuple[str, str], "Socket"], key: tuple[str, str], tell: Tell
    ) -> None:
        self.end: End | None = None
        self._open = open_
        self._key = key
        self._tell = tell

    def opened(self, end: End, peer: Address) -> None:
        """The stream stands."""
        self.end = end
        self._open[self._key] = self
        self._tell(StreamOpened(self._key[1], peer))

    def heard(self, data: bytes) -> None:
        """Bytes came."""
        self._tell(StreamData(self._key[1], data))

    def closed(self, reason: str) -> None:
        """The end of a stream; nobody knows of one that came to this host and never stood."""
        if self._open.pop(self._key, None) is not None:
            self._tell(StreamClosed(self._key[1], reason))
