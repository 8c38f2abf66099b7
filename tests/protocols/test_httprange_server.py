"""What is served is a file below the root and nothing else, whatever the request is made of."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fieldproof_reference.protocols.httprange import Server

FOLDER = "riometer/2006/01/17/daws_xrio"
PATH = f"{FOLDER}/20060117_16_daws_xrio.dat"
CONTENT = bytes(range(256)) * 4
TAG = '"785b0751fc2c53dc"'  # the first quarter of its SHA-256
FILES = {
    PATH: CONTENT,
    f"{FOLDER}/20060117_17_daws_xrio.dat": b"x",
    f"{FOLDER}/deeper/file": b"y",
    "riometer.key": b"secret",
    "keys/riometer/secret": b"secret",
}


class Files:
    """A disk of a few files; reading one of them fails."""

    def size(self, path):
        return len(FILES[path]) if path in FILES else 9 if path == "riometer/rotten" else None

    def read(self, path, offset=0, size=-1):
        if path not in FILES:
            raise OSError("Input/output error")
        return FILES[path]

    def listing(self, prefix):
        return tuple(sorted(path for path in FILES if path.startswith(prefix)))


def answered(raw: bytes, cut: int = 0) -> tuple[bytes, bool]:
    """All that a server says to these bytes, and whether it is over then."""
    server = Server(Files(), "riometer/")
    size = cut or len(raw) or 1
    said = b"".join(server.hear(raw[at : at + size]) for at in range(0, len(raw), size))
    return said, server.over


def get(target: str = f"/{PATH}", *lines: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: x", *lines, "", ""]).encode("latin-1")


def split(said: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, fields and body of one response."""
    head, _, body = said.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), body


def asked(*lines: str, method: str = "GET", target: str = f"/{PATH}"):
    return split(answered(get(target, *lines, method=method))[0])


@pytest.mark.parametrize(
    ("field", "content_range", "body"),
    [
        ("bytes=0-0", "bytes 0-0/1024", CONTENT[:1]),
        ("bytes=10-19", "bytes 10-19/1024", CONTENT[10:20]),
        ("bytes=1000-", "bytes 1000-1023/1024", CONTENT[1000:]),
        ("bytes=1000-99999", "bytes 1000-1023/1024", CONTENT[1000:]),
        ("bytes=-24", "bytes 1000-1023/1024", CONTENT[1000:]),
        ("bytes=-99999", "bytes 0-1023/1024", CONTENT),
        ("BYTES= 10-19", "bytes 10-19/1024", CONTENT[10:20]),
        ("bytes=10-19,2000-3000", "bytes 10-19/1024", CONTENT[10:20]),
    ],
)
def test_one_range(field, content_range, body):
    """One range of a file is served as RFC 9110 says, with the length of the whole and its tag."""
    status, fields, served = asked(f"Range: {field}")
    assert (206, content_range, body) == (status, fields["Content-Range"], served)
    assert TAG == fields["ETag"]
    assert "sha-256=:eFsHUfwsU9wUpM49gA5p75zhAJ6zJ8z0WK/gnCQsJsk=:" == fields["Repr-Digest"]


def test_many_ranges():
    """Several ranges are the parts of one answer, in the order asked for."""
    status, fields, body = asked("Range: bytes=1000-1009, 5-6 ,0-0")
    assert (206, "multipart/byteranges; boundary=785b0751") == (status, fields["Content-Type"])
    pieces = [
        ("bytes 1000-1009/1024", CONTENT[1000:1010]),
        ("bytes 5-6/1024", CONTENT[5:7]),
        ("bytes 0-0/1024", CONTENT[:1]),
    ]
    expected = b"".join(
        f"\r\n--785b0751\r\nContent-Range: {field}\r\n\r\n".encode() + data
        for field, data in pieces
    )
    assert (expected + b"\r\n--785b0751--\r\n")[2:] == body


@pytest.mark.parametrize(
    "field",
    [
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=9-5",
        "bytes=1-2-3",
        "items=0-9",
        "0-9",
        "bytes=" + ",".join(f"{n}-{n}" for n in range(65)),
        "bytes=" + ",".join(["0-1023"] * 2),
        "bytes=" + "9" * 40 + "-",
        "bytes=٣-٤".encode().decode("latin-1"),
    ],
)
def test_a_range_field_to_be_ignored(field):
    """A field that is not well formed, or asks for too much, is ignored: the file comes whole."""
    status, fields, body = asked(f"Range: {field}")
    assert (200, CONTENT) == (status, body)
    assert "Content-Range" not in fields


@pytest.mark.parametrize("field", ["bytes=1024-", "bytes=5000-6000", "bytes=-0"])
def test_no_such_range(field):
    """Where the file has none of the ranges the answer is 416, with the length of the file."""
    status, fields, body = asked(f"Range: {field}")
    assert (416, "bytes */1024", b"") == (status, fields["Content-Range"], body)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (f"If-Range: {TAG}", 206),
        ('If-Range: "other"', 200),
        (f"If-Range: W/{TAG}", 200),
        ("If-Range: Tue, 17 Jan 2006 16:00:00 GMT", 200),
        (f"If-Match: {TAG}", 206),
        (f'If-Match: "other", {TAG}', 206),
        ("If-Match: *", 206),
        ('If-Match: "other"', 412),
        (f"If-None-Match: W/{TAG}", 304),
        ("If-None-Match: *", 304),
        ('If-None-Match: "other"', 206),
    ],
)
def test_conditions(line, status):
    """Conditions compare the tag, If-Range only a strong one."""
    assert status == asked(line, "Range: bytes=0-9")[0]


def test_head_is_get_without_the_body():
    """HEAD has the fields of GET and no body, and knows no ranges."""
    status, fields, body = asked()
    assert (200, CONTENT, "1024", "bytes") == (
        status,
        body,
        fields["Content-Length"],
        fields["Accept-Ranges"],
    )
    assert (200, fields, b"") == asked(method="HEAD")
    assert (200, fields, b"") == asked("Range: bytes=0-9", method="HEAD")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "get", "CONNECT"])
def test_nothing_can_be_changed(method):
    """Methods other than GET and HEAD are not allowed, and the answer says which are."""
    status, fields, _ = asked(method=method)
    assert (405, "GET, HEAD") == (status, fields["Allow"])


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/riometer/../keys/riometer/secret", 400),
        ("/riometer/./2006", 400),
        ("/riometer//2006", 400),
        ("//riometer/2006", 400),
        ("/riometer/%2e%2e/riometer.key", 400),
        ("/riometer/..%2friometer.key", 400),
        ("/riometer/\\..\\riometer.key", 400),
        (f"/{PATH}?x=1", 400),
        (f"/{PATH}%00", 400),
        (f"http://x/{PATH}", 400),
        ("*", 400),
        ("riometer/", 400),
        ("/riometer/.hidden", 400),
        ("/riometer.key", 404),
        ("/riometer", 404),
        ("/keys/riometer/secret", 404),
        ("/", 404),
        ("/riometer/none", 404),
        ("/riometer/none/", 404),
        ("/riometer/rotten", 404),
        (f"/{FOLDER}", 404),
        (f"/{PATH}/", 404),
    ],
)
def test_only_files_below_the_root(target, status):
    """No spelling leads out of the root, and what is there is no secret's whereabouts."""
    code, _, body = asked(target=target)
    assert (status, b"") == (code, body)


def test_a_folder_is_lines_of_names_and_sizes():
    """A path with a final slash gives the files that lie in it, one line of JSON each."""
    status, _, body = asked(target=f"/{FOLDER}/")
    names = [("20060117_16_daws_xrio.dat", 1024), ("20060117_17_daws_xrio.dat", 1)]
    lines = [json.loads(line) for line in body.splitlines()]
    assert (200, names) == (status, [(line["name"], line["size"]) for line in lines])


def test_requests_one_after_the_other_and_at_once():
    """A connection serves one request after the other, also where a piece of input holds several;
    the client may end it."""
    said, over = answered(get() + get(method="HEAD") + get())
    assert (3, False) == (said.count(b"HTTP/1.1 200 OK"), over)
    said, over = answered(get("/", "Connection: close") + get())
    assert (1, True) == (said.count(b"HTTP/1.1"), over)
    said, over = answered(b"GET / HTTP/1.0\r\n\r\n")
    assert (1, True) == (said.count(b"HTTP/1.1 404"), over)


def test_a_body_is_skipped_and_bounded():
    """A request's body is skipped; one that never ends ends the connection."""
    posts = get("/", "Content-Length: 5", method="POST") + b"12345" + get()
    said, over = answered(posts)
    assert (b"405", b"200", False) == (said[9:12], said.split(b"HTTP/1.1 ")[2][:3], over)
    chunk = b"4000\r\n" + bytes(0x4000) + b"\r\n"
    endless = get("/", "Transfer-Encoding: chunked", method="POST") + 5 * chunk
    assert answered(endless, 1000)[1]
    assert answered(get("/") * 40)[1]


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 is a TLS hello\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # no host
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 10_000, 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: none\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (get(f"/{PATH}", "Content-Type: a", "Content-Type: b"), 400),
    ],
)
def test_what_is_no_request(raw, status):
    """What is not HTTP as it should be is answered by one status, and nothing more is heard."""
    said, over = answered(raw)
    assert status == int(said.split()[1])
    if b"Content-Type" not in raw:
        assert over
        assert 1 == said.count(b"HTTP/1.1")


def test_an_upgrade_is_not_taken_up():
    """A client that wants to speak something else gets the file."""
    said, _ = answered(get(f"/{PATH}", "Connection: Upgrade", "Upgrade: websocket"))
    assert said.startswith(b"HTTP/1.1 200 ")


WORDS = (
    *(b"GET ", b"HEAD ", b"/riometer/", PATH.encode(), b" HTTP/1.1\r\n", b"Host: x\r\n", b"\r\n"),
    *(b"Range: bytes=", b"0-9", b",", b"If-Range: ", TAG.encode(), b"Content-Length: 3\r\n"),
)


@given(
    st.lists(st.one_of(st.sampled_from(WORDS), st.binary(max_size=8)), max_size=20),
    st.integers(1, 9),
)
@example([get(), b"\r\n" * 3, get()], 1)
def test_any_bytes(parts, cut):
    """Any bytes in any pieces are answered alike, by whole responses, without a secret in them."""
    raw = b"".join(parts)
    whole, cut_up = answered(raw), answered(raw, cut)
    assert whole == cut_up
    assert whole[0] == b"" or whole[0].startswith(b"HTTP/1.1 ")
    assert b"secret" not in whole[0]
