"""Datagrams of the live driver: what comes is told whole, what cannot leave is a failure."""

import errno
import socket
import time

import pytest

from fieldproof_contract import SECOND_NS, Address, Datagram, Failed, SendDatagram
from fieldproof_reference.live.ports import MOST_AT_ONCE, RECEIVE_BUFFER_BYTES, Ports

PORT, OTHER = 24985, 32769


@pytest.fixture
def ear(own_address):
    """A socket of somebody else, at the same address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind((own_address, 0))
        ear.settimeout(10)
        yield ear


def sending(to, data=b"data"):
    return lambda event, now: (SendDatagram(OTHER, to, data),) if event == _GO else ()


_GO = Datagram(PORT, Address("203.0.113.66", 4242), b"go")


def test_datagrams_come_whole_with_their_source(host, bench, ear):
    """Empty ones, long ones and many: each is told once, in order, with the sender's address."""
    notes = []
    host.add("node", lambda: bench.Probe(notes), (PORT,))
    host.boot()
    sent = [b"", bytes(65_000), *(b"%d" % n for n in range(3 * MOST_AT_ONCE))]
    for data in sent:
        ear.sendto(data, (host.address, PORT))
    host.until(lambda: len(notes) > len(sent))
    source = Address(*ear.getsockname())
    assert [Datagram(PORT, source, data) for data in sent] == [event for event, _ in notes[1:]]


def test_datagrams_leave_from_the_port_that_the_node_names(host, bench, ear):
    """The driver binds it at the first use, on the host's own address."""
    host.add("node", lambda: bench.Probe([], sending(Address(*ear.getsockname()))), (PORT,))
    host.boot()
    host.hears(b"go")
    assert (b"data", (host.address, OTHER)) == ear.recvfrom(100)


def test_the_receive_buffer_is_asked_to_be_large(host, bench, ear):
    """The kernel is asked for megabytes, and gives what it allows anybody."""
    host.add("node", lambda: bench.Probe([]), (PORT,))
    host.boot()
    given = host.ports._sockets[PORT].getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    assert RECEIVE_BUFFER_BYTES > 1_000_000
    assert ear.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == given


@pytest.fixture
def small(host, ear):
    """A port that is heard, with a buffer for a few datagrams, and all that it told."""
    told = []
    ports = Ports(
        host.loop,
        host.address,
        lambda port, source, data: told.append(data),
        told.append,
        lambda what, detail: told.append((what, *detail.values())),
    )
    ports.bind(PORT, hears=True)
    ports._sockets[PORT].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)

    def flood(datagrams):
        for _ in range(datagrams):
            ear.sendto(bytes(400), (host.address, PORT))

    yield flood, told, ports
    ports.close()


def shares(told):
    """How many datagrams came, and how many each fact and each sentence says were dropped."""
    facts = [each[2] for each in told if isinstance(each, tuple)]
    sentences = [int(each.split()[5]) for each in told if isinstance(each, str)]
    return told.count(bytes(400)), facts, sentences


def test_what_the_buffer_has_no_room_for_is_told_once(host, bench, small):
    """Every datagram came or was dropped; one fact and one sentence a second say how many were."""
    flood, told, _ = small
    for rounds in (1, 2):
        flood(100)
        begin_ns = time.monotonic_ns()
        bench.until(
            lambda rounds=rounds: rounds == len(shares(told)[1]),
            "drops were told",
            lambda: host.loop.turn(time.monotonic_ns() + 10_000_000),
        )
        assert time.monotonic_ns() - begin_ns >= SECOND_NS
    came, facts, sentences = shares(told)
    assert 0 < came < 200
    assert 200 == came + sum(facts)
    assert facts == sentences
    assert ("datagrams dropped", PORT, facts[0]) in told


def test_drops_of_the_last_second_are_told_at_the_end(host, small):
    """Also when nothing was read any more: whoever reads the log knows that more had come."""
    flood, told, ports = small
    flood(100)
    ports.close()
    ports.close()
    _, (fact,), (sentence,) = shares(told)
    assert 0 < fact == sentence <= 100


def test_where_nothing_is_dropped_nothing_is_told(host, bench, small):
    """Datagrams that are read in time leave no fact and no sentence."""
    flood, told, ports = small
    flood(1)
    bench.until(lambda: told, "a datagram came", lambda: host.loop.turn(0))
    ports.close()
    assert [bytes(400)] == told


def test_a_port_of_somebody_else_is_a_sentence(host, bench, own_address):
    """Where a port is in use, the error says which."""
    host.add("node", lambda: bench.Probe([]), (PORT,))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((own_address, PORT))
        with pytest.raises(OSError, match=f"UDP port {PORT} of {own_address}: Address already in"):
            host.boot()


class Sulking:
    """A socket that raises for the first datagrams, then takes them."""

    def __init__(self, errors):
        self.errors, self.sent = list(errors), []

    def sendto(self, data, to):
        if self.errors:
            number = self.errors.pop(0)
            raise OSError(number, "reason")
        self.sent.append(data)

    def fileno(self):
        return 999_999  # nobody watches it

    def close(self):
        pass


@pytest.mark.parametrize("number", [errno.ENOBUFS, errno.ENETUNREACH, errno.EPERM, errno.EAGAIN])
def test_what_the_kernel_does_not_take_is_a_failure(host, bench, number):
    """No buffers, no route, a firewall: the node is told, with the reason, and nothing was sent."""
    notes = []
    to = Address("192.0.2.1", 1)
    host.add("node", lambda: bench.Probe(notes, sending(to)), (PORT,))
    host.boot()
    sulking = host.ports._sockets[OTHER] = Sulking([number])
    host.hears(b"go")
    assert Failed(SendDatagram(OTHER, to, b"data"), "reason") == notes[-1][0]
    assert [] == sulking.sent


def test_that_an_earlier_datagram_was_refused_stops_no_other(host, bench):
    """The datagram is sent after all; the log for people says that somebody refuses."""
    notes = []
    host.add("node", lambda: bench.Probe(notes, sending(Address("192.0.2.1", 1))), (PORT,))
    host.boot()
    sulking = host.ports._sockets[OTHER] = Sulking([errno.ECONNREFUSED])
    host.hears(b"go")
    assert ([b"data"], 2) == (sulking.sent, len(notes))
    assert "a datagram to 192.0.2.1 was refused" in host.log_path.read_text()
