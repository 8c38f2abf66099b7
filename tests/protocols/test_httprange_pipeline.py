"""Several requests at once on one connection: each answer is that of its request, in order."""

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
    Server,
    Span,
)


class Files:
    """Three files, as a node's disk shows them."""

    held = {f"riometer/{name}.dat": name.encode() * 500 for name in ("a", "bc", "d")}  # noqa: RUF012

    def size(self, path):
        return len(self.held[path]) if path in self.held else None

    def read(self, path, offset=0, size=-1):
        return self.held[path]

    def listing(self, prefix):
        return tuple(self.held)


ASKS = (
    Ask("riometer/a.dat", (Span(3, 9),)),
    Ask("riometer/bc.dat", (Span(0, 1), Span(7, 9))),
    Ask("riometer/none.dat"),
    Ask("riometer/d.dat"),
    Ask("riometer/a.dat", method="HEAD"),
)
CONTENTS = [b"a" * 7, b"bc" + b"cbc", b"", b"d" * 500, b""]


def answered(heard):
    """Status and bytes of each answer that is whole."""
    answers, status, data = [], 0, b""
    for one in heard:
        match one:
            case Head():
                status, data = one.status, b""
            case Body():
                data += one.data
            case Done():
                answers.append((status, data))
    return answers


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 61, 1 << 20])
def test_each_answer_is_that_of_its_request(cut):
    """Five requests leave in one piece; what comes back, cut anywhere, is their five answers."""
    client, server = Client(Address("10.0.0.1", 80), 5), Server(Files(), "riometer/")
    sent = b"".join(map(client.ask, ASKS))
    assert not client.reusable
    answer = server.hear(sent)
    heard = []
    for at in range(0, len(answer), cut):
        heard += client.hear(answer[at : at + cut])
    assert list(zip((206, 206, 404, 200, 200), CONTENTS, strict=True)) == answered(heard)
    assert client.reusable


def test_no_more_requests_than_a_client_was_made_for():
    """The bound holds, and is free again with each answer."""
    client, server = Client(Address("10.0.0.1", 80), 2), Server(Files(), "riometer/")
    sent = [client.ask(ASKS[0]), client.ask(ASKS[1])]
    with pytest.raises(ValueError, match="no request"):
        client.ask(ASKS[2])
    client.hear(server.hear(sent[0]))
    client.ask(ASKS[2])


def test_a_server_that_closes_after_the_first():
    """The answer that came is whole; that the others do not is said at the end."""
    client = Client(Address("10.0.0.1", 80), 5)
    for ask in (ASKS[3], ASKS[0]):
        client.ask(ask)
    body = b"d" * 500
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 500\r\n\r\n"
    assert [(200, body)] == answered(client.hear(head + body))
    assert not client.reusable
    with pytest.raises(Malformed):
        client.hear_end()


def test_more_answers_than_requests():
    """What follows the last answer was not asked for."""
    client, server = Client(Address("10.0.0.1", 80), 5), Server(Files(), "riometer/")
    answer = server.hear(client.ask(ASKS[0]))
    with pytest.raises(Malformed, match="nobody asked for"):
        client.hear(answer + answer)


@given(st.data())
def test_any_damage(data):
    """Whatever changes on the way, what is heard is bounded by what was asked for."""
    client, server = Client(Address("10.0.0.1", 80), 5), Server(Files(), "riometer/")
    answer = bytearray(server.hear(b"".join(map(client.ask, ASKS))))
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(answer) - 1))
        answer[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    heard = []
    try:
        for at in range(0, len(answer), 97):
            heard += client.hear(bytes(answer[at : at + 97]))
        heard += client.hear_end()
    except Malformed:
        pass
    assert len(answered(heard)) <= len(ASKS)
    assert sum(len(one.data) for one in heard if isinstance(one, Body)) <= 12 + (1 << 20)
