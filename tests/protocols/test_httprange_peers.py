"""Our two sides of HTTP talk to two that are not ours: those of Python's library."""

import http.client
import http.server
import io
from functools import partial

import pytest

from fieldproof_contract import Address
from fieldproof_reference.protocols.httprange import (
    Ask,
    Body,
    Client,
    Done,
    Head,
    Malformed,
    Server,
    Span,
)

PATH = "riometer/2006/01/17/daws_xrio/20060117_16_daws_xrio.dat"
CONTENT = bytes(range(256)) * 89


class Files:
    """A disk with one file."""

    def size(self, path):
        return len(CONTENT) if path == PATH else None

    def read(self, path, offset=0, size=-1):
        return CONTENT

    def listing(self, prefix):
        return (PATH,) if PATH.startswith(prefix) else ()


class Line:
    """A socket, as far as `http.client` uses one: what is sent goes to our server."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.said = io.BytesIO()

    def sendall(self, data: bytes) -> None:
        at = self.said.tell()
        self.said.seek(0, io.SEEK_END)
        self.said.write(self.server.hear(bytes(data)))
        self.said.seek(at)

    def makefile(self, *how):
        return io.BufferedReader(io.BytesIO(self.said.read()))

    def close(self) -> None:
        pass


@pytest.fixture
def connection() -> http.client.HTTPConnection:
    """A connection of Python's client to our server."""
    connection = http.client.HTTPConnection("x")
    connection.sock = Line(Server(Files(), "riometer/"))
    return connection


@pytest.mark.parametrize(
    ("method", "headers", "status", "body"),
    [
        ("GET", {}, 200, CONTENT),
        ("HEAD", {}, 200, b""),
        ("GET", {"Range": "bytes=380-759"}, 206, CONTENT[380:760]),
        ("GET", {"Range": "bytes=99999-"}, 416, b""),
        ("PUT", {}, 405, b""),
    ],
)
def test_a_client_that_is_not_ours(connection, method, headers, status, body):
    """Python's client gets files and ranges from our server, on one connection."""
    for _ in range(2):
        connection.request(method, f"/{PATH}", headers=headers)
        response = connection.getresponse()
        assert (status, body) == (response.status, response.read())


class Request:
    """A socket, as far as `http.server` uses one."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.said = b""

    def makefile(self, *how):
        return io.BytesIO(self.request)

    def sendall(self, data: bytes) -> None:
        self.said += bytes(data)


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Python's server of files, which knows no ranges; it writes no log."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *what):
        pass


def served(folder, ask: Ask, cut: int) -> list:
    """What our client hears of Python's server, in pieces."""
    client = Client(Address("127.0.0.1", 80))
    request = Request(client.ask(ask))
    serve = partial(Quiet, directory=str(folder))
    serve(request, ("127.0.0.1", 1), None)
    said = request.said
    pieces = (said[at : at + cut] for at in range(0, len(said), cut))
    return [heard for piece in pieces for heard in client.hear(piece)]


@pytest.mark.parametrize("cut", [1, 1000, 1 << 20])
def test_a_server_that_is_not_ours(tmp_path, cut):
    """Our client gets lengths and whole files from Python's server, and learns that it has no
    ranges."""
    path = tmp_path / PATH
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    length = [Head(200, len(CONTENT), "", b""), Done()]
    assert length == served(tmp_path, Ask(PATH, method="HEAD"), cut)
    first, *bodies, last = served(tmp_path, Ask(PATH), cut)
    assert (length[0], Done()) == (first, last)
    assert b"".join(body.data for body in bodies if isinstance(body, Body)) == CONTENT
    missing = served(tmp_path, Ask("riometer/none"), cut)
    assert [Head(404, None, "", b""), Done()] == missing
    with pytest.raises(Malformed, match="ignores them"):
        served(tmp_path, Ask(PATH, (Span(0, 9),)), cut)
