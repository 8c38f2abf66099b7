"""The archive is served to whoever connects, and a client can hurt nobody but itself."""

import pytest

from fieldproof_contract import (
    SECOND_NS,
    Address,
    CloseStream,
    Failed,
    Monotonic,
    Now,
    StreamClosed,
    StreamData,
    StreamOpened,
    WriteStream,
)
from fieldproof_reference.edge.serve import Serve
from fieldproof_reference.guests import IDLE_NS, MOST_STREAMS

PEER = Address("136.159.51.71", 50_000)


def now(s: float = 0) -> Now:
    return Now(Monotonic(round(s * SECOND_NS)), 0)


def get(path: str) -> bytes:
    return f"GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


@pytest.fixture
def serve(kit):
    """The node, started on a disk with one hour file and one file that is not of the archive."""
    node = Serve()
    node.start(kit.Disk({kit.path(16): b"record", "keys": b"secret"}), now())
    return node


def opened(node, *streams: str, at_s: float = 0) -> tuple:
    return tuple(e for s in streams for e in node.receive(StreamOpened(s, PEER), now(at_s)))


def test_a_request_is_answered_on_its_stream(kit, serve):
    """Each stream has its own conversation, whose pieces may come in any order between others."""
    opened(serve, "one", "other")
    request = get(kit.path(16))
    assert () == serve.receive(StreamData("one", request[:20]), now())
    (other,) = serve.receive(StreamData("other", get("keys")), now())
    (one,) = serve.receive(StreamData("one", request[20:]), now())
    assert ("other", b"HTTP/1.1 404 ") == (other.stream, other.data[:13])
    assert ("one", b"record") == (one.stream, one.data[-6:])


def test_what_grew_is_served_as_it_is(kit):
    """A file that grows between two requests is served anew, with another tag."""
    disk = kit.Disk({kit.path(16): b"one"})
    node = Serve()
    node.start(disk, now())
    opened(node, "s")
    (before,) = node.receive(StreamData("s", get(kit.path(16))), now())
    disk.files[kit.path(16)] += b"two"
    (after,) = node.receive(StreamData("s", get(kit.path(16))), now())
    assert (b"one", b"onetwo") == (before.data[-3:], after.data[-6:])
    assert before.data.split(b"ETag")[1][:30] != after.data.split(b"ETag")[1][:30]


def test_who_is_silent_is_let_go(serve):
    """A stream on which nothing was said for long is closed, the others are not."""
    opened(serve, "silent", "talks")
    serve.receive(StreamData("talks", b"GET"), now(30))
    assert IDLE_NS == serve.deadline()
    assert (CloseStream("silent"),) == serve.advance(now(75))
    assert IDLE_NS + 30 * SECOND_NS == serve.deadline()
    serve.receive(StreamClosed("silent", ""), now(75))
    serve.receive(StreamClosed("talks", "connection reset"), now(76))
    assert None is serve.deadline()


def test_there_is_room_for_who_comes(serve):
    """Where all places are taken, the one who was silent for the longest has to go."""
    names = [f"s{number}" for number in range(MOST_STREAMS)]
    for number, name in enumerate(names):
        assert () == opened(serve, name, at_s=number)
    serve.receive(StreamData("s0", b"G"), now(40))
    assert (CloseStream("s1"),) == opened(serve, "new", at_s=41)
    assert [] == list(serve.receive(StreamData("s1", get("keys")), now(42)))


def test_nonsense_ends_its_own_stream(kit, serve):
    """What is no HTTP is answered once and its stream closed; the others go on."""
    opened(serve, "bad", "good")
    said, closed = serve.receive(StreamData("bad", b"\0\1\2\r\n\r\n"), now())
    assert (b"HTTP/1.1 400 ", CloseStream("bad")) == (said.data[:13], closed)
    assert () == serve.receive(StreamData("bad", get("keys")), now())
    (good,) = serve.receive(StreamData("good", get(kit.path(16))), now())
    assert good.data.endswith(b"record")


def test_a_stream_that_is_gone_is_forgotten(serve):
    """A write that failed is no reason to try again, and data of no stream is no request."""
    opened(serve, "s")
    failed = Failed(WriteStream("s", b"x"), "There is no stream s.")
    assert (CloseStream("s"),) == serve.receive(failed, now())
    assert () == serve.receive(StreamData("s", get("keys")), now())
    assert None is serve.deadline()
