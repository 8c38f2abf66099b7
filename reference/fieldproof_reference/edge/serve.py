"""The edge's archive, read-only by HTTP with ranges: for centers that fetch, and for a browser.

The laws:

1. Everything below `riometer/` can be read, as it is at that moment; nothing can be changed.
2. A client that was silent for `IDLE_NS` is let go; so is the most silent one where `MOST_STREAMS`
   are connected and another comes. What it was sent before still reaches it.
3. What is not HTTP ends its connection, never the node. What is served is not secret: whoever may
   reach the port may read. How it is served is said in protocols/httprange_server.py.

One server for each stream, from its `StreamOpened` to its `StreamClosed`.
"""

from dataclasses import dataclass

from fieldproof_contract import (
    SECOND_NS,
    CloseStream,
    DiskView,
    Effects,
    Event,
    Failed,
    Monotonic,
    Now,
    StreamClosed,
    StreamData,
    StreamOpened,
    WriteStream,
)
from fieldproof_reference.edge import EdgeSettings
from fieldproof_reference.protocols.httprange import Server

ROOT = "riometer/"

IDLE_NS = 75 * SECOND_NS
"""nginx's default keep-alive time, and enough for the slowest link's round trips."""

MOST_STREAMS = 16


@dataclass(slots=True)
class _Client:
    """One connection."""

    server: Server
    silent_at: Monotonic


class Serve:
    """The node that listens on the archive's port. It needs nothing but the disk."""

    def __init__(self, settings: EdgeSettings | None = None) -> None:
        self._disk: DiskView
        self._clients: dict[str, _Client] = {}

    def start(self, disk: DiskView, now: Now) -> Effects:
        """Nobody is connected yet."""
        self._disk = disk
        return ()

    def receive(self, event: Event, now: Now) -> Effects:
        """Answer requests."""
        match event:
            case StreamOpened(stream, _):
                effects = self._make_room()
                silent_at = Monotonic(now.monotonic + IDLE_NS)
                self._clients[stream] = _Client(Server(self._disk, ROOT), silent_at)
                return effects
            case StreamData(stream, data) if stream in self._clients:
                return self._hear(stream, data, now)
            case StreamClosed(stream, _):
                self._clients.pop(stream, None)
            case Failed(WriteStream(stream, _), _):
                self._clients.pop(stream, None)
                return (CloseStream(stream),)
        return ()

    def advance(self, now: Now) -> Effects:
        """Close what was silent for too long."""
        silent = [name for name, one in self._clients.items() if one.silent_at <= now.monotonic]
        for stream in silent:
            del self._clients[stream]
        return tuple(map(CloseStream, silent))

    def deadline(self) -> Monotonic | None:
        """When the next connection has been silent for too long."""
        return min((one.silent_at for one in self._clients.values()), default=None)

    def _make_room(self) -> Effects:
        if len(self._clients) < MOST_STREAMS:
            return ()
        stream = min(self._clients, key=lambda name: self._clients[name].silent_at)
        del self._clients[stream]
        return (CloseStream(stream),)

    def _hear(self, stream: str, data: bytes, now: Now) -> Effects:
        client = self._clients[stream]
        client.silent_at = Monotonic(now.monotonic + IDLE_NS)
        answer = client.server.hear(data)
        effects: Effects = (WriteStream(stream, answer),) if answer else ()
        if client.server.over:
            del self._clients[stream]
            effects += (CloseStream(stream),)
        return effects
