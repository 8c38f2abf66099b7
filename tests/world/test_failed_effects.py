"""What an operating system would refuse fails, by a reason that the node is told."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fieldproof_contract import (
    Address,
    Append,
    Datagram,
    Failed,
    Rename,
    Replace,
    SendDatagram,
    Truncate,
)
from fieldproof_simulators.machines.host import Host
from fieldproof_simulators.world import World

PORT = 24985
STRANGER = Address("203.0.113.66", 4242)


class Asks:
    """Notes what it hears, and asks for the same at each datagram."""

    def __init__(self, notes: list, wanted: tuple) -> None:
        self.notes = notes
        self.wanted = wanted

    def start(self, disk, now):
        return ()

    def receive(self, event, now):
        self.notes.append(event)
        return self.wanted if isinstance(event, Datagram) else ()

    def advance(self, now):
        return ()

    def deadline(self):
        return None


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world without links."""
    world = World(1, 0, tmp_path, {})
    yield world
    world.close()


@pytest.fixture
def host(world: World) -> Host:
    """A machine without nodes, down."""
    return world.add_host("daws", "198.51.100.1")


def datagram(data: bytes) -> Datagram:
    """From a stranger, to PORT."""
    return Datagram(PORT, STRANGER, data)


@pytest.mark.parametrize(
    "failing",
    [
        Truncate("before", -1),
        Append("before/below", b"2"),
        Replace("n" * 300, b"2"),
        Rename("before", "../there"),
        SendDatagram(PORT, STRANGER, bytes(65_508)),
        SendDatagram(0, STRANGER, b""),
        SendDatagram(PORT, Address(STRANGER.host, 65_536), b""),
    ],
)
def test_what_an_operating_system_refuses_is_a_failure(host: Host, failing):
    """A request of the right types that cannot be carried out is told to the node, which lives."""
    notes: list = []
    wanted = (Append("before", b"1"), failing, Append("after", b"2"))
    host.add("node", lambda: Asks(notes, wanted), (PORT,))
    host.boot()
    host.hears(datagram(b""))
    failed = notes[1]
    assert isinstance(failed, Failed)
    assert failing == failed.effect
    assert ("before",) == host.disk.listing("")
    host.hears(datagram(b"again"))
    assert datagram(b"again") in notes


def test_the_longest_datagram_is_sent(world: World, host: Host):
    """65 507 bytes are no failure."""
    notes: list = []
    wanted = (SendDatagram(PORT, STRANGER, bytes(65_507)),)
    host.add("node", lambda: Asks(notes, wanted), (PORT,))
    world.boot(host)
    host.hears(datagram(b""))
    assert [datagram(b"")] == notes
