"""An answer is believed when it is exactly what was asked for, however it is cut into pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldproof_contract import Address
from fieldproof_reference.protocols.httprange import (
    Ask,
    Body,
    Client,
    Done,
    Head,
    Malformed,
    Part,
    Span,
)

SERVER = Address("206.172.47.234", 24988)
PATH = "riometer/2006/01/17/daws_xrio/20060117_16_daws_xrio.dat"
CONTENT = bytes(range(256)) * 4
ONE = Ask(PATH, (Span(10, 19),))
TWO = Ask(PATH, (Span(10, 19), Span(1000, 2000)))
WHOLE = Ask(PATH)
RESUMED = Ask(PATH, (Span(10, 19),), if_range='"abc"')
LENGTH = Ask(PATH, method="HEAD")


def told(ask: Ask, answer: bytes, cut: int = 0) -> list:
    """What a client makes of an answer, in pieces of `cut` bytes; bodies are joined."""
    client = Client(SERVER)
    client.ask(ask)
    size = cut or len(answer)
    heard: list = []
    for at in range(0, len(answer), size):
        heard += client.hear(answer[at : at + size])
    if not client.reusable and (not heard or heard[-1] != Done()):
        heard += client.hear_end()
    return joined(heard)


def joined(heard: list) -> list:
    merged: list = []
    for one in heard:
        if isinstance(one, Body) and merged and isinstance(merged[-1], Body):
            one = Body(merged.pop().data + one.data)
        merged.append(one)
    return merged


def http(status: str, *lines: str, body: bytes = b"", length: bool = True) -> bytes:
    fields = [*lines, f"Content-Length: {len(body)}"] if length else list(lines)
    return "\r\n".join([f"HTTP/1.1 {status}", *fields, "", ""]).encode("latin-1") + body


def parts(*pieces: tuple[str, bytes], mark: str = "xyz", ends: bool = True) -> bytes:
    body = b"".join(
        f"--{mark}\r\nContent-Type: text/plain\r\nContent-Range: {field}\r\n\r\n".encode()
        + data
        + b"\r\n"
        for field, data in pieces
    )
    return body + f"--{mark}--\r\n".encode() * ends


def partial(field: str, body: bytes, *lines: str) -> bytes:
    return http("206 Partial Content", f"Content-Range: {field}", *lines, body=body)


def multi(*pieces: tuple[str, bytes], **how) -> bytes:
    kind = "Content-Type: multipart/byteranges; boundary=xyz"
    return http("206 Partial Content", kind, 'ETag: "abc"', body=parts(*pieces, **how))


FIRST = ("bytes 10-19/1024", CONTENT[10:20])
SECOND = ("bytes 1000-1023/1024", CONTENT[1000:])

GOOD = {
    "one range": (
        ONE,
        partial(*FIRST, 'ETag: "abc"'),
        [Head(206, 1024, '"abc"', b""), Part(Span(10, 19), 1024), Body(FIRST[1]), Done()],
    ),
    "one range in one part": (
        ONE,
        multi(FIRST),
        [Head(206, None, '"abc"', b""), Part(Span(10, 19), 1024), Body(FIRST[1]), Done()],
    ),
    "two ranges, cut at the end of the file": (
        TWO,
        multi(FIRST, SECOND),
        [
            Head(206, None, '"abc"', b""),
            Part(Span(10, 19), 1024),
            Body(FIRST[1]),
            Part(Span(1000, 1023), 1024),
            Body(SECOND[1]),
            Done(),
        ],
    ),
    "two ranges of which the file has one": (
        TWO,
        partial("bytes 10-19/1000", FIRST[1]),
        [Head(206, 1000, "", b""), Part(Span(10, 19), 1000), Body(FIRST[1]), Done()],
    ),
    "a whole file with its digest": (
        WHOLE,
        http("200 OK", f"Repr-Digest: sha-512=:AA==:, sha-256=:{'A' * 43}=:", body=CONTENT),
        [Head(200, 1024, "", bytes(32)), Body(CONTENT), Done()],
    ),
    "a whole file with the older digest field, and a weak tag": (
        WHOLE,
        http("200 OK", f"Digest: SHA-256={'A' * 43}=", 'ETag: W/"abc"', body=CONTENT),
        [Head(200, 1024, "", bytes(32)), Body(CONTENT), Done()],
    ),
    "a whole file in chunks": (
        WHOLE,
        http("200 OK", "Transfer-Encoding: chunked", length=False) + b"3\r\nabc\r\n0\r\n\r\n",
        [Head(200, None, "", b""), Body(b"abc"), Done()],
    ),
    "another file after a break": (
        RESUMED,
        http("200 OK", 'ETag: "def"', body=b"short"),
        [Head(200, 5, '"def"', b""), Body(b"short"), Done()],
    ),
    "a length": (
        LENGTH,
        http("200 OK", "Content-Length: 1024", length=False),
        [Head(200, 1024, "", b""), Done()],
    ),
    "no such file, with a page that nobody wants": (
        ONE,
        http("404 Not Found", body=b"<html>" * 100),
        [Head(404, None, "", b""), Done()],
    ),
    "no such range": (
        ONE,
        http("416 Range Not Satisfiable", "Content-Range: bytes */7"),
        [Head(416, 7, "", b""), Done()],
    ),
    "an error without an end": (
        ONE,
        http("500 Oops", length=False) + b"page",
        [Head(500, None, "", b""), Done()],
    ),
    "a hint before the answer": (
        ONE,
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + partial(*FIRST),
        [Head(206, 1024, "", b""), Part(Span(10, 19), 1024), Body(FIRST[1]), Done()],
    ),
}


@pytest.mark.parametrize("cut", [0, 1, 7])
@pytest.mark.parametrize("name", GOOD)
def test_good_answers(name, cut):
    """An answer that follows the rules says the same in whatever pieces it comes."""
    ask, answer, expected = GOOD[name]
    assert expected == told(ask, answer, cut)


GZIP = "Content-Encoding: gzip"
CHUNKED = "Transfer-Encoding: chunked"

BAD = {
    "200 to a range": (ONE, http("200 OK", body=CONTENT)),
    "200 and gzip to a range": (ONE, http("200 OK", GZIP, body=CONTENT)),
    "gzip": (WHOLE, http("200 OK", GZIP, body=CONTENT)),
    "gzip in a part": (ONE, partial(*FIRST, GZIP)),
    "206 to a whole file": (WHOLE, partial("bytes 0-1023/1024", CONTENT)),
    "206 without Content-Range": (ONE, http("206 Partial Content", body=FIRST[1])),
    "a total that is not stated": (ONE, partial("bytes 10-19/*", FIRST[1])),
    "a range that cannot be": (ONE, partial("bytes 19-10/1024", FIRST[1])),
    "a range beyond its total": (ONE, partial("bytes 10-19/15", FIRST[1])),
    "another range": (ONE, partial("bytes 11-20/1024", FIRST[1])),
    "more than was asked for": (ONE, partial("bytes 10-20/1024", CONTENT[10:21])),
    "less than was asked for": (ONE, partial("bytes 10-18/1024", CONTENT[10:19])),
    "a body longer than its range": (ONE, partial("bytes 10-19/1024", CONTENT[10:21])),
    "a body shorter than its range": (ONE, partial("bytes 10-19/1024", CONTENT[10:15])),
    "a truncated body": (ONE, partial(*FIRST)[:-1]),
    "Content-Range twice": (ONE, partial(*FIRST, "Content-Range: bytes 0-9/1024")),
    "another total in the second part": (TWO, multi(FIRST, ("bytes 1000-1023/1025", SECOND[1]))),
    "parts that overlap": (TWO, multi(FIRST, ("bytes 15-24/1024", CONTENT[15:25]))),
    "parts in another order": (TWO, multi(SECOND, FIRST)),
    "a part twice": (TWO, multi(FIRST, FIRST, SECOND)),
    "a part that is missing": (TWO, multi(FIRST)),
    "one range too many": (ONE, multi(FIRST, SECOND)),
    "a part without Content-Range": (ONE, multi(("", FIRST[1]))),
    "a part that is longer than it says": (TWO, multi((FIRST[0], FIRST[1] + b"x"), SECOND)),
    "parts without an end": (TWO, multi(FIRST, SECOND, ends=False)),
    "parts of another boundary": (TWO, multi(FIRST, SECOND, mark="zyx")),
    "no part at all": (TWO, multi()),
    "a file without a length": (WHOLE, http("200 OK", length=False) + CONTENT),
    "a file that is too long": (Ask(PATH, most_bytes=1023), http("200 OK", body=CONTENT)),
    "chunks that are too long": (
        Ask(PATH, most_bytes=3),
        http("200 OK", CHUNKED, length=False) + b"4\r\nabcd\r\n0\r\n\r\n",
    ),
    "an error page without bounds": (ONE, http("404 Not Found", body=bytes(1 << 17))),
    "hints without bounds": (ONE, b"HTTP/1.1 103 Early Hints\r\n\r\n" * 9),
    "a header without bounds": (ONE, http("206 Partial Content", "X: " + "x" * 10_000)),
    "bytes behind the answer": (ONE, partial(*FIRST) + b"HTTP/1.1 200 OK\r\n"),
    "no HTTP": (ONE, b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    "nothing": (ONE, b""),
    "a switch of protocols": (ONE, b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
}


@pytest.mark.parametrize("cut", [0, 1, 7])
@pytest.mark.parametrize("name", BAD)
def test_bad_answers(name, cut):
    """An answer that breaks a rule is refused in one sentence."""
    ask, answer = BAD[name]
    with pytest.raises(Malformed) as caught:
        told(ask, answer, cut or len(answer) or 1)
    assert "\n" not in str(caught.value)


def test_one_connection_takes_one_request_after_the_other():
    """A connection is ready for the next request after a whole answer, and not before."""
    client = Client(SERVER)
    for _ in range(3):
        client.ask(ONE)
        with pytest.raises(ValueError, match="no request"):
            client.ask(ONE)
        answer = partial(*FIRST)
        client.hear(answer[:-1])
        assert not client.reusable
        client.hear(answer[-1:])
        assert client.reusable


@pytest.mark.parametrize(
    "answer", [partial(*FIRST, "Connection: close"), partial(*FIRST).replace(b"1.1", b"1.0")]
)
def test_a_server_may_close_after_its_answer(answer):
    """An answer after which the server closes is whole, and no other request follows it."""
    client = Client(SERVER)
    client.ask(ONE)
    assert Done() == client.hear(answer)[-1]
    assert not client.reusable
    assert [] == client.hear_end()


def test_the_request_says_all_that_matters():
    """A range request names host, ranges, tag and the identity coding, and no more."""
    client = Client(Address("2001:db8::1", 24988))
    assert [
        f"GET /{PATH} HTTP/1.1",
        "Host: [2001:db8::1]:24988",
        "Accept-Encoding: identity",
        "Range: bytes=10-19",
        'If-Range: "abc"',
        "",
        "",
    ] == client.ask(RESUMED).decode().split("\r\n")


@pytest.mark.parametrize("path", ["a b", "a\r\nX: y", "é", "a\0"])
def test_a_path_that_no_request_can_hold(path):
    """A path that would break the request line is refused before anything is sent."""
    with pytest.raises(ValueError, match="no request can be made"):
        Client(SERVER).ask(Ask(path))


# --- anything at all ---


def attempt(ask: Ask, answer: bytes, cut: int):
    try:
        return told(ask, answer, cut)
    except Malformed:
        return None


asks = st.sampled_from([ONE, TWO, WHOLE, RESUMED, LENGTH])


@given(asks, st.binary(max_size=300), st.integers(1, 9))
def test_any_bytes(ask, answer, cut):
    """Any bytes in any pieces are an answer or malformed."""
    attempt(ask, b"HTTP/1.1 206 P\r\n" + answer, cut)
    attempt(ask, answer, cut)


@given(
    st.sampled_from(sorted(GOOD)),
    st.lists(st.tuples(st.integers(0, 2000), st.binary(max_size=3)), min_size=1, max_size=3),
    st.integers(1, 60),
)
def test_any_damage(name, damage, cut):
    """Whatever is changed in a good answer, what is told of it does not depend on the pieces, and
    is never more than was asked for."""
    ask, answer, _ = GOOD[name]
    for at, data in damage:
        at %= len(answer) + 1
        answer = answer[:at] + data + answer[at + len(data) :]
    whole, pieces = attempt(ask, answer, 0), attempt(ask, answer, cut)
    assert whole == pieces
    told_parts = [one.span for one in whole or () if isinstance(one, Part)]
    assert len(told_parts) <= len(ask.spans)
    assert all(a.first == b.first for a, b in zip(told_parts, ask.spans, strict=False))
