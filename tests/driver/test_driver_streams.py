"""Streams of the live driver: bytes in order, once, one end for each, and bounds for everybody."""

import random
import socket
import struct

import pytest

from fieldproof_contract import (
    Address,
    CloseStream,
    Datagram,
    Failed,
    Listen,
    OpenStream,
    StreamClosed,
    StreamData,
    StreamOpened,
    WriteStream,
)
from fieldproof_reference.live import streams
from fieldproof_reference.live.streams import MOST_KEPT_BYTES, MOST_STREAMS

PORT, SERVED = 24985, 24988


@pytest.fixture
def hub(host, bench):
    """A host with two nodes: one serves a port, the other does what a test says."""

    class Hub:
        def __init__(self):
            self.served, self.notes = [], []
            self.answer = lambda event: ()
            self.react = lambda event: ()
            self.wanted = ()
            serving = bench.Probe(self.served, lambda event, now: self.answer(event))
            asking = bench.Probe(self.notes, lambda event, now: self._ask(event))
            host.add("server", lambda: serving, (Listen(SERVED),))
            host.add("client", lambda: asking, (PORT,))
            host.boot()
            self.host = host
            self.at = Address(host.address, SERVED)

        def _ask(self, event):
            return self.wanted if isinstance(event, Datagram) else self.react(event)

        def does(self, *effects):
            self.wanted = effects
            host.hears(b"")

        def until(self, happened):
            host.until(happened)

        @staticmethod
        def told(notes, kind):
            return [event for event, _ in notes if isinstance(event, kind)]

        def bytes_of(self, notes):
            return b"".join(event.data for event in self.told(notes, StreamData))

    return Hub()


@pytest.fixture
def stranger(hub):
    """Somebody else's connection to the served port."""
    with socket.create_connection(hub.at, 10) as stranger:
        stranger.setblocking(False)
        yield stranger


def streams_of(events):
    return [event for event, _ in events if isinstance(event, StreamOpened | StreamClosed)]


def test_a_stream_opens_carries_and_ends(hub):
    """Both ends hear one opening, all bytes in order, and one end without a reason, last."""
    hub.answer = lambda event: (
        (WriteStream(event.stream, event.data.upper()),) if isinstance(event, StreamData) else ()
    )
    hub.does(OpenStream("s", hub.at), WriteStream("s", b"hello"))
    hub.until(lambda: hub.bytes_of(hub.notes) == b"HELLO")
    hub.does(CloseStream("s"))
    hub.until(lambda: hub.told(hub.served, StreamClosed))
    assert [StreamOpened("s", hub.at), StreamClosed("s", "")] == streams_of(hub.notes)
    opened, closed = streams_of(hub.served)
    assert ("accepted-1", hub.host.address) == (opened.stream, opened.peer.host)
    assert StreamClosed("accepted-1", "") == closed


def test_much_comes_whole_and_in_order(hub):
    """Megabytes in pieces of all sizes arrive as they were written, though the connection takes
    them slowly; what was written before the close is still sent."""
    source = random.Random(3)
    whole = source.randbytes(3_000_000)
    at = 0

    def answer(event):
        nonlocal at
        if not isinstance(event, StreamData):
            return ()
        size = source.choice((1, 1_000, 90_000, 400_000))
        piece, at = whole[at : at + size], at + size
        end = (CloseStream(event.stream),) if at >= len(whole) else ()
        return (WriteStream(event.stream, piece), *end)

    hub.answer = answer
    hub.react = lambda event: (
        (WriteStream("s", b"more"),) if isinstance(event, StreamOpened | StreamData) else ()
    )
    hub.does(OpenStream("s", hub.at))
    hub.until(lambda: hub.told(hub.notes, StreamClosed))
    assert whole == hub.bytes_of(hub.notes)
    assert StreamClosed("s", "") == streams_of(hub.notes)[-1]


def test_nobody_listens(hub):
    """A call that is refused ends with a reason and without an opening."""
    hub.does(OpenStream("s", Address(hub.host.address, SERVED + 1)))
    hub.until(lambda: streams_of(hub.notes))
    assert [StreamClosed("s", "Connection refused")] == streams_of(hub.notes)


def test_names_are_unique_and_free_again(hub):
    """A second stream of one name is a failure; after the end the name can be used again; another
    node's names are its own."""
    hub.does(OpenStream("s", hub.at))
    hub.until(lambda: hub.told(hub.notes, StreamOpened))
    hub.does(OpenStream("s", hub.at))
    (failed,) = hub.told(hub.notes, Failed)
    assert "There is a stream s already: choose another name." == failed.reason
    hub.does(CloseStream("s"), OpenStream("s", hub.at), OpenStream("accepted-1", hub.at))
    hub.until(lambda: 3 == len(hub.told(hub.served, StreamOpened)))
    names = [event.stream for event in hub.told(hub.served, StreamOpened)]
    assert ["accepted-1", "accepted-2", "accepted-3"] == names


@pytest.mark.parametrize("before", [(), (OpenStream, CloseStream)])
def test_writing_to_a_stream_that_is_gone_is_a_failure(hub, before):
    """Nothing is written to nobody; closing it once more is nothing."""
    effects = [OpenStream("s", hub.at), CloseStream("s")] if before else []
    hub.does(*effects, CloseStream("s"), WriteStream("s", b"late"))
    (failed,) = hub.told(hub.notes, Failed)
    assert "There is no stream s." == failed.reason


def test_the_other_end_ends_in_good_order(hub, stranger):
    """All bytes come before the end, which has no reason; what the node had written is sent."""
    hub.answer = lambda event: (
        (WriteStream(event.stream, b"x" * 500_000),) if isinstance(event, StreamData) else ()
    )
    stranger.sendall(b"last words")
    stranger.shutdown(socket.SHUT_WR)
    hub.until(lambda: hub.told(hub.served, StreamClosed))
    assert b"last words" == hub.bytes_of(hub.served)
    assert StreamClosed("accepted-1", "") == hub.served[-1][0]
    got = bytearray()

    def has_all():
        try:
            data = stranger.recv(65_536)
        except BlockingIOError:
            return False
        got.extend(data)
        return not data

    hub.until(has_all)
    assert b"x" * 500_000 == got


def test_a_reset_is_an_end_with_a_reason(hub, stranger):
    """What the kernel says of a broken connection reaches the node."""
    hub.until(lambda: hub.told(hub.served, StreamOpened))
    stranger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stranger.close()
    hub.until(lambda: hub.told(hub.served, StreamClosed))
    assert "Connection reset by peer" == hub.served[-1][0].reason


def test_what_is_kept_for_a_slow_reader_is_bounded(hub, stranger):
    """A peer that does not read gets a bounded queue; more is a failure of that write, and nothing
    of it is sent."""
    piece = b"x" * 300_000
    hub.answer = lambda event: (
        (WriteStream(event.stream, piece),) * 20 if isinstance(event, StreamData) else ()
    )
    stranger.sendall(b"go")
    hub.until(lambda: hub.told(hub.served, Failed))
    (failed,) = hub.told(hub.served, Failed)
    assert f"More than {MOST_KEPT_BYTES} bytes wait on a stream" == failed.reason
    (kept,) = (one.kept for one in hub.host.streams._streams.values())
    assert 3 * len(piece) == len(kept)


def test_who_does_not_read_is_not_heard(hub, stranger):
    """While much is kept for a peer, what it says waits in the network."""
    hub.answer = lambda event: (
        (WriteStream(event.stream, b"x" * 900_000),)
        if isinstance(event, StreamData) and len(hub.told(hub.served, StreamData)) < 12
        else ()
    )
    asked = 0

    def push():
        nonlocal asked
        try:
            asked += stranger.send(b"?" * 100_000)
        except BlockingIOError:
            hub.host.turn()
            return True
        return False

    hub.until(lambda: push() and push() and push())
    assert len(hub.bytes_of(hub.served)) < asked
    assert not hub.told(hub.served, Failed)


def test_a_dead_nodes_streams_are_reset_and_its_port_is_closed(hub, stranger):
    """The other end hears that nobody is there, and who calls then is refused."""

    def answer(event):
        if isinstance(event, StreamData):
            raise RuntimeError("dies of it")
        return ()

    hub.answer = answer
    stranger.sendall(b"deadly")
    hub.until(lambda: hub.host.facts)

    def is_reset():
        try:
            return not stranger.recv(1)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True

    hub.until(is_reset)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(hub.at, 10)


def test_there_are_no_more_streams_than_the_host_can_have(hub, monkeypatch):
    """Who comes when all places are taken is turned away; the others stay."""
    assert 0 < MOST_STREAMS
    monkeypatch.setattr(streams, "MOST_STREAMS", 2)
    connections = [socket.create_connection(hub.at, 10) for _ in range(3)]
    for connection in connections:
        connection.setblocking(False)

    def turned_away(connection):
        try:
            return not connection.recv(1)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True

    hub.until(lambda: any(turned_away(connection) for connection in connections))
    assert 2 == len(hub.told(hub.served, StreamOpened))
    for connection in connections:
        connection.close()


def test_a_close_lets_the_other_end_read_everything(hub, stranger):
    """A peer that still sends when we close loses nothing of what we sent before."""
    hub.answer = lambda event: (
        (WriteStream(event.stream, b"farewell" * 9_000), CloseStream(event.stream))
        if isinstance(event, StreamData)
        else ()
    )
    stranger.sendall(b"go")
    hub.until(lambda: hub.told(hub.served, StreamClosed))
    stranger.send(b"too late" * 100)
    got = bytearray()

    def has_all():
        try:
            data = stranger.recv(65_536)
        except BlockingIOError:
            return False
        got.extend(data)
        return not data

    hub.until(has_all)
    assert b"farewell" * 9_000 == got
    assert [b"go"] == [event.data for event in hub.told(hub.served, StreamData)]
