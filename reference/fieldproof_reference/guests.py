"""Connections that strangers make to a node that serves HTTP: how many there are, and for how long.

The laws:

1. A client that was silent for `IDLE_NS` is let go; so is the most silent one where `MOST_STREAMS`
   are connected and another comes. What it was sent before still reaches it.
2. What is not HTTP ends its connection, never the node.

One conversation for each stream, from its `StreamOpened` to its `StreamClosed`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from fieldproof_contract import (
    SECOND_NS,
    CloseStream,
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
from fieldproof_reference.protocols.httprange_server import Conversation

IDLE_NS = 75 * SECOND_NS
"""nginx's default keep-alive time, and enough for the slowest link's round trips."""

MOST_STREAMS = 16


@dataclass(slots=True)
class _Guest:
    """One connection."""

    conversation: Conversation
    silent_at: Monotonic


class Guests:
    """The connections of one node, which hands on its events."""

    def __init__(self, greet: Callable[[], Conversation]) -> None:
        """`greet` makes the conversation of who comes."""
        self._greet = greet
        self._guests: dict[str, _Guest] = {}

    def receive(self, event: Event, now: Now) -> Effects:
        """Answer requests; what is none of a stream is nothing here."""
        match event:
            case StreamOpened(stream, _):
                effects = self._make_room()
                silent_at = Monotonic(now.monotonic + IDLE_NS)
                self._guests[stream] = _Guest(self._greet(), silent_at)
                return effects
            case StreamData(stream, data) if stream in self._guests:
                return self._hear(stream, data, now)
            case StreamClosed(stream, _):
                self._guests.pop(stream, None)
            case Failed(WriteStream(stream, _), _):
                self._guests.pop(stream, None)
                return (CloseStream(stream),)
        return ()

    def advance(self, now: Now) -> Effects:
        """Close what was silent for too long."""
        silent = [name for name, one in self._guests.items() if one.silent_at <= now.monotonic]
        for stream in silent:
            del self._guests[stream]
        return tuple(map(CloseStream, silent))

    def deadline(self) -> Monotonic | None:
        """When the next connection has been silent for too long."""
        return min((one.silent_at for one in self._guests.values()), default=None)

    def _make_room(self) -> Effects:
        if len(self._guests) < MOST_STREAMS:
            return ()
        stream = min(self._guests, key=lambda name: self._guests[name].silent_at)
        del self._guests[stream]
        return (CloseStream(stream),)

    def _hear(self, stream: str, data: bytes, now: Now) -> Effects:
        guest = self._guests[stream]
        guest.silent_at = Monotonic(now.monotonic + IDLE_NS)
        answer = guest.conversation.hear(data)
        effects: Effects = (WriteStream(stream, answer),) if answer else ()
        if guest.conversation.over:
            del self._guests[stream]
            effects += (CloseStream(stream),)
        return effects
