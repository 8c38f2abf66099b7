"""TCP: connections of nodes, by name, and the ports that nodes serve (law 8 of the contract).

    opening --connected--> open --CloseStream, or the other end's end--> ending --all sent--> gone
       |                    |                                              |
       +-- failed ----------+-- failed ------------------------------------+--> gone

1. A node hears `StreamOpened`, then `StreamData` in order, then one `StreamClosed`: at its own
   `CloseStream`, at the other end's end, or when the connection fails. What is ending is heard no
   more; what was written to it is still sent. The name is free again.
2. What a connection does not take at once is kept, `MOST_KEPT_BYTES` at most; more is a failure of
   that write. While `PAUSE_BYTES` are kept nothing is read: who does not listen need not speak.
3. A stream that is ending is shut down when all is sent, and lingers until the other end has closed
   too: closing at once could destroy what it has not yet read.
4. A connection whose other end is silent is asked, and given up by the kernel after `GIVE_UP_S`.
5. The streams of a node that died are reset, so that the other ends know.
"""

import errno
import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from fieldproof_contract import (
    SECOND_NS,
    Address,
    Event,
    StreamClosed,
    StreamData,
    StreamOpened,
)
from fieldproof_reference.live.loop import READ, WRITE, Loop
from fieldproof_reference.live.ports import bound_socket, check_address, family_of

MOST_KEPT_BYTES = 1 << 20
PAUSE_BYTES = MOST_KEPT_BYTES // 16
READ_BYTES = 1 << 16
LINGER_NS = 5 * SECOND_NS
GIVE_UP_S = 120
"""After so long without an answer an end is gone: our assumption, many round trips of any link."""

MOST_WAITING = 16
"""Connections that wait to be accepted."""

MOST_STREAMS = 256
"""Connections at a time, those that linger included; who comes then is turned away."""

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, for no time

Tell = Callable[[Event], None]
"""Gives an event to one node."""

Key = tuple[str, str]
"""A node and its name for a stream."""


@dataclass(eq=False, slots=True)
class _Stream:
    socket: socket.socket
    key: Key
    tell: Tell | None  # None: ending
    is_open: bool = False
    kept: bytearray = field(default_factory=bytearray)
    has_heard_all: bool = False  # the other end has ended
    is_shut: bool = False  # all is sent, and the other end was told so


class Streams:
    """Every stream of the host. `address`: the host's own, empty for any."""

    def __init__(self, loop: Loop, address: str) -> None:
        self._loop = loop
        self._address = address
        self._streams: dict[Key, _Stream] = {}
        self._ending: set[_Stream] = set()
        self._listening: list[tuple[str, socket.socket]] = []  # by node
        self._accepted = 0

    @property
    def sent(self) -> bool:
        """Whether everything that was written is on its way."""
        return not any(one.kept for one in (*self._streams.values(), *self._ending))

    # --- what nodes ask for; all raise OSError ---

    def listen(self, port: int, node: str, tell: Tell) -> None:
        """Serve a port for a node."""
        listening = bound_socket(socket.SOCK_STREAM, self._address, port)
        listening.listen(MOST_WAITING)
        self._listening.append((node, listening))
        self._loop.watch(listening.fileno(), READ, lambda: self._accept(listening, node, tell))

    def open(self, node: str, tell: Tell, name: str, to: Address) -> None:
        """Call a port; the node is told what comes of it."""
        check_address(to)
        if (node, name) in self._streams:
            raise OSError(f"There is a stream {name} already: choose another name.")
        calling = socket.socket(family_of(to.host), socket.SOCK_STREAM)
        _prepare(calling)
        try:
            if self._address:
                calling.bind((self._address, 0))
            calling.connect(to)
        except BlockingIOError:
            pass
        except OSError:
            calling.close()
            raise
        stream = self._streams[node, name] = _Stream(calling, (node, name), tell)
        self._watch(stream)

    def write(self, node: str, name: str, data: bytes) -> None:
        """Send on a stream, after all that was written before."""
        stream = self._streams.get((node, name))
        if stream is None:
            raise OSError(f"There is no stream {name}.")
        if len(stream.kept) + len(data) > MOST_KEPT_BYTES:
            raise OSError(errno.ENOBUFS, f"More than {MOST_KEPT_BYTES} bytes wait on a stream")
        stream.kept += data
        self._watch(stream)

    def close(self, node: str, name: str) -> bool:
        """End a stream of the node; whether there was one."""
        stream = self._streams.get((node, name))
        if stream is not None:
            self._end(stream)
        return stream is not None

    def abandon(self, node: str) -> None:
        """The node died: its streams are reset, and its ports are closed."""
        for owner, listening in self._listening:
            if owner == node:
                self._loop.unwatch(listening.fileno())
                listening.close()
        self._listening = [served for served in self._listening if served[0] != node]
        for stream in [one for key, one in self._streams.items() if key[0] == node]:
            _reset_at_close(stream.socket)
            self._drop(stream)

    def close_all(self) -> None:
        """Give everything back."""
        for node in {node for node, _ in self._listening}:
            self.abandon(node)
        for stream in (*self._streams.values(), *self._ending):
            self._drop(stream)

    # --- what connections bring ---

    def _accept(self, listening: socket.socket, node: str, tell: Tell) -> None:
        try:
            accepted, peer = listening.accept()
        except OSError:
            return  # it went away again, or the process has no descriptors left
        if len(self._streams) + len(self._ending) >= MOST_STREAMS:
            _reset_at_close(accepted)
            accepted.close()
            return
        _prepare(accepted)
        self._accepted += 1
        key = (node, f"accepted-{self._accepted}")
        stream = self._streams[key] = _Stream(accepted, key, tell, is_open=True)
        self._watch(stream)
        tell(StreamOpened(key[1], Address(peer[0], peer[1])))

    def _ready(self, stream: _Stream) -> None:
        """The socket can be read or written, or has failed."""
        try:
            if not stream.is_open:
                self._connected(stream)
            if stream.kept:
                self._send(stream)
            if len(stream.kept) < PAUSE_BYTES and not stream.has_heard_all:
                self._read(stream)
        except OSError as error:
            self._fail(stream, error.strerror or str(error))
        else:
            self._watch(stream)

    def _connected(self, stream: _Stream) -> None:
        failed = stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failed:
            raise OSError(failed, os.strerror(failed))
        peer = stream.socket.getpeername()
        stream.is_open = True
        if stream.tell is not None:
            stream.tell(StreamOpened(stream.key[1], Address(peer[0], peer[1])))

    def _send(self, stream: _Stream) -> None:
        with suppress(BlockingIOError):
            del stream.kept[: stream.socket.send(stream.kept)]

    def _read(self, stream: _Stream) -> None:
        try:
            data = stream.socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        stream.has_heard_all = not data
        if data and stream.tell is not None:
            stream.tell(StreamData(stream.key[1], data))
        elif not data and stream.is_shut:
            self._drop(stream)
        elif not data and stream.tell is not None:
            tell = stream.tell
            self._end(stream)
            tell(StreamClosed(stream.key[1], ""))

    # --- ends ---

    def _end(self, stream: _Stream) -> None:
        """The node is done with it; what is kept is still sent."""
        self._streams.pop(stream.key, None)
        stream.tell = None
        self._ending.add(stream)
        self._watch(stream)

    def _fail(self, stream: _Stream, reason: str) -> None:
        tell = stream.tell
        self._drop(stream)
        if tell is not None:
            tell(StreamClosed(stream.key[1], reason))

    def _drop(self, stream: _Stream) -> None:
        if self._streams.get(stream.key) is stream:
            del self._streams[stream.key]
        self._ending.discard(stream)
        stream.tell = None
        if stream.socket.fileno() >= 0:
            self._loop.unwatch(stream.socket.fileno())
            stream.socket.close()

    def _watch(self, stream: _Stream) -> None:
        """Wait for what the stream can do next."""
        if stream.socket.fileno() < 0:
            return
        if stream in self._ending and not stream.kept and not stream.is_shut:
            self._shut(stream)
            return
        events = WRITE if stream.kept or not stream.is_open else 0
        if stream.is_open and len(stream.kept) < PAUSE_BYTES and not stream.has_heard_all:
            events |= READ
        self._loop.watch(stream.socket.fileno(), events, lambda: self._ready(stream))

    def _shut(self, stream: _Stream) -> None:
        """All is sent: say so, and linger."""
        stream.is_shut = True
        if not stream.is_open or stream.has_heard_all:
            self._drop(stream)
            return
        try:
            stream.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._drop(stream)
            return
        self._loop.call_in(LINGER_NS, lambda: self._drop(stream))
        self._watch(stream)


def _reset_at_close(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


def _prepare(connection: socket.socket) -> None:
    connection.setblocking(False)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, GIVE_UP_S // 2)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GIVE_UP_S * 1000)
