"""TCP for hosts that are attached by a proxy: connections that can be late, stall, and break.

Nothing is lost, doubled or reordered here, and no model draws: a byte stream has no packets to do
that to. What there is: each direction delays by the latency of its link, sends no faster than its
rate, and stands still while the link is dark; the connections of a host that moves are reset.

    caller's seat --> face of the called --[pump]--> connects from the caller's face --> called

A caller's connection stands at once, and breaks later where the called does not answer. The tallies
count segments of `SEGMENT_BYTES` with `HEADER_BYTES` each, as TCP would send the bytes if nothing
went wrong, without what it says to itself. Captures have none of it. UDP and TCP do not share the
rate.
"""

import select
import socket
import struct
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from fieldproof_contract import SECOND_NS
from fieldproof_simulators.links.live.ports import LinkError
from fieldproof_simulators.links.live.timer import Timer
from fieldproof_simulators.links.live.ways import Way

SEGMENT_BYTES, HEADER_BYTES = 1448, 52
HELD_BYTES = 1 << 18
"""How much of one direction waits before no more is read: a sender's window."""
LOOK_NS = SECOND_NS // 20
"""How often a stream that stands still looks whether it may go on."""

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, for no time: closing resets


class Door(NamedTuple):
    """Where connections to a host are taken in its place."""

    site: str  # the one of the two hosts that is no center
    face: str  # of the called: the caller connects to it
    port: int
    seat: str  # of the called
    caller_face: str | None  # the called sees the center come from it; None: the site's present one
    there: Way  # from the caller to the called
    back: Way


class Leg:
    """One direction of a connection: bytes on their way."""

    def __init__(self, source: socket.socket, sink: socket.socket, way: Way, port: int) -> None:
        self.source = source
        self.sink = sink
        self._way = way
        self._port = port
        self._held: deque[tuple[int, bytes]] = deque()  # due, and b"" for the end
        self._held_bytes = 0
        self._last_due_ns = 0
        self._is_read = False
        self.is_over = False

    def read(self, now_ns: int) -> None:
        """Take what the source has, within the window. Raises OSError where it broke."""
        while not self._is_read and self._held_bytes < HELD_BYTES:
            try:
                data = self.source.recv(SEGMENT_BYTES)
            except BlockingIOError:
                return
            self._is_read = not data
            if data:
                self._way.carry_bytes(self._port, 1, len(data) + HEADER_BYTES)
            self._held_bytes += len(data)
            self._last_due_ns = self._way.stream_due_ns(
                now_ns, self._last_due_ns, len(data) + HEADER_BYTES
            )
            self._held.append((self._last_due_ns, data))

    def write(self, now_ns: int) -> None:
        """Pass on what is due. Raises OSError where the sink broke."""
        while self._held and self._held[0][0] <= now_ns and not self._way.link.is_dark:
            _, data = self._held.popleft()
            if not data:
                self.sink.shutdown(socket.SHUT_WR)
                self.is_over = True
                return
            try:
                sent = self.sink.send(data)
            except BlockingIOError:
                sent = 0
            self._held_bytes -= sent
            if sent < len(data):
                self._held.appendleft((now_ns + LOOK_NS, data[sent:]))
                return

    def next_due_ns(self, now_ns: int) -> int | None:
        """When there is something to do, other than to read."""
        if not self._held:
            return None
        return max(self._held[0][0], now_ns + LOOK_NS if self._way.link.is_dark else 0)

    @property
    def has_room(self) -> bool:
        """Whether it would read."""
        return not self._is_read and self._held_bytes < HELD_BYTES


class Connection:
    """Two sockets and two legs."""

    def __init__(self, door: Door, caller: socket.socket, caller_face: str) -> None:
        """Raises OSError where the called cannot be called."""
        self.site = door.site
        self._caller = caller
        self._called = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._is_up = False
        self._there = Leg(caller, self._called, door.there, door.port)
        self._back = Leg(self._called, caller, door.back, door.port)
        try:
            self._called.bind((caller_face, 0))
            with suppress(BlockingIOError):
                self._called.connect((door.seat, door.port))
        except OSError:
            self.reset()
            raise

    @property
    def is_over(self) -> bool:
        """Whether both sides have ended it in good order."""
        return self._there.is_over and self._back.is_over

    def go_on(self, now_ns: int) -> None:
        """Do what can be done. Raises OSError where a side broke."""
        for side in (self._caller, self._called):
            if broken := side.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(broken, "a side broke")
        if not self._is_up:
            if not select.select((), (self._called,), (), 0)[1]:
                return
            self._is_up = True
        for leg in (self._there, self._back):
            leg.read(now_ns)
            leg.write(now_ns)

    def wanted(self) -> dict[int, int]:
        """The events that matter now, by descriptor."""
        called = select.EPOLLIN if self._back.has_room else 0
        return {
            self._caller.fileno(): select.EPOLLIN if self._there.has_room and self._is_up else 0,
            self._called.fileno(): called if self._is_up else select.EPOLLOUT,
        }

    def next_due_ns(self, now_ns: int) -> int | None:
        """When there is something to do without an event."""
        dues = [leg.next_due_ns(now_ns) for leg in (self._there, self._back)]
        return min((due for due in dues if due is not None), default=None)

    def reset(self) -> None:
        """Break it, for both sides to see; what is over already just ends."""
        for side in (self._caller, self._called):
            if not self.is_over:
                with suppress(OSError):
                    side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            side.close()


class Relay:
    """All connections of a run."""

    def __init__(
        self,
        doors: Sequence[Door],
        faces: Mapping[str, str],
        addresses: Mapping[str, str],
        clock: Callable[[], int],
        began_ns: int,
    ) -> None:
        """`faces` of sites are by address, the first `addresses` by site; `clock` is true time,
        whose zero is `began_ns` on CLOCK_MONOTONIC. Raises LinkError where a face is taken."""
        self._faces = faces
        self._addresses = dict(addresses)
        self._now_ns = clock
        self._began_ns = began_ns
        self._epoll = select.epoll()
        self._timer = Timer()
        self._epoll.register(self._timer.fileno(), select.EPOLLIN)
        self._doors: dict[int, tuple[socket.socket, Door]] = {}
        self._connections: list[Connection] = []
        self._wanted: dict[int, int] = {}
        for door in doors:
            self._open(door)

    def fileno(self) -> int:
        """Readable when `serve` has something to do."""
        return self._epoll.fileno()

    def serve(self) -> None:
        """Take calls, pass on what is due."""
        for descriptor, _ in self._epoll.poll(0):
            if descriptor in self._doors:
                self._answer(*self._doors[descriptor])
        now_ns = self._now_ns()
        for connection in tuple(self._connections):
            try:
                connection.go_on(now_ns)
            except OSError:
                self._end(connection)
            else:
                if connection.is_over:
                    self._end(connection)
        self._rest(now_ns)

    def moved(self, site: str, address: str) -> None:
        """A site has another address, and so another face: its connections break."""
        self._addresses[site] = address
        for connection in tuple(self._connections):
            if connection.site == site:
                self._end(connection)

    def close(self) -> None:
        """End everything."""
        for connection in tuple(self._connections):
            self._end(connection)
        for listener, _ in self._doors.values():
            listener.close()
        self._epoll.close()
        self._timer.close()

    def _open(self, door: Door) -> None:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((door.face, door.port))
            listener.listen()
        except OSError as error:
            listener.close()
            self.close()
            raise LinkError(
                f"{door.face}:{door.port} cannot be had for a relay: {error.strerror}."
            ) from None
        self._doors[listener.fileno()] = listener, door
        self._epoll.register(listener, select.EPOLLIN)

    def _answer(self, listener: socket.socket, door: Door) -> None:
        try:
            caller, _ = listener.accept()
        except OSError:
            return  # it has hung up already
        caller.setblocking(False)
        present = self._faces[self._addresses[door.site]]
        if door.caller_face is not None and door.face != present:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            caller.close()  # nobody has this address now
            return
        with suppress(OSError):
            self._connections.append(Connection(door, caller, door.caller_face or present))

    def _end(self, connection: Connection) -> None:
        for descriptor in connection.wanted():
            if self._wanted.pop(descriptor, None) is not None:
                self._epoll.unregister(descriptor)
        connection.reset()
        self._connections.remove(connection)

    def _rest(self, now_ns: int) -> None:
        """Ask for the events that matter, and for the time when something is due."""
        dues = []
        for connection in self._connections:
            for descriptor, events in connection.wanted().items():
                if descriptor not in self._wanted:
                    self._epoll.register(descriptor, events)
                elif self._wanted[descriptor] != events:
                    self._epoll.modify(descriptor, events)
                self._wanted[descriptor] = events
            dues.append(connection.next_due_ns(now_ns))
        due_ns = min((due for due in dues if due is not None), default=None)
        if due_ns is not None:
            self._timer.set(self._began_ns + due_ns)
        else:
            self._timer.stop()
