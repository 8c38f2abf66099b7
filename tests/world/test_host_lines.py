"""What happens on a serial line reaches the nodes of the host in its order, late if need be."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fieldproof_contract import LineData, LineDown, LineUp
from fieldproof_simulators.machines.buffers import LINE_BUFFER_BYTES
from fieldproof_simulators.machines.host import Host
from fieldproof_simulators.world import World

UP, DOWN = LineUp("line"), LineDown("line", "unplugged")


class Notes:
    """A node that notes what it is told."""

    def __init__(self, told: list) -> None:
        self.told = told

    def start(self, disk, now):
        return ()

    def receive(self, event, now):
        self.told.append(event)
        return ()

    def advance(self, now):
        return ()

    def deadline(self):
        return None


@pytest.fixture
def told() -> list:
    """What the node that hears the line was told."""
    return []


@pytest.fixture
def host(tmp_path: Path, told: list) -> Iterator[Host]:
    """A machine with that node, down, in a world without links."""
    world = World(1, 0, tmp_path, {})
    host = world.add_host("daws", "198.51.100.1")
    host.add("hears", lambda: Notes(told), ("line",))
    host.add("deaf", lambda: Notes(told), ("other",))
    yield host
    world.close()


def data(text: bytes) -> LineData:
    return LineData("line", text)


def test_a_line_goes_down_and_comes_back(host: Host, told: list):
    """Who hears a line hears of its ends too, and nobody else does."""
    host.boot()
    for event in (UP, data(b"a"), DOWN, UP):
        host.reads(event)
    assert [UP, data(b"a"), DOWN, UP] == told


def test_a_host_that_is_down_does_not_notice(host: Host, told: list):
    """What happens on a line while the host is down reaches no life of it."""
    for event in (UP, data(b"a"), DOWN):
        host.reads(event)
    host.boot()
    assert [] == told


def test_a_frozen_host_hears_of_a_line_in_order(host: Host, told: list):
    """At the thaw the bytes before, the ends, and the bytes after come in their order; pieces
    without an end between them come as one."""
    host.boot()
    host.freeze(0)
    for event in (data(b"a"), data(b"b"), DOWN, UP, data(b"c"), data(b"d"), DOWN):
        host.reads(event)
    assert [] == told
    host.thaw()
    assert [data(b"ab"), DOWN, UP, data(b"cd"), DOWN] == told


def test_a_frozen_host_hears_of_every_end(host: Host, told: list):
    """A full buffer loses bytes and no news of the line."""
    host.boot()
    host.freeze(0)
    full = data(bytes(LINE_BUFFER_BYTES))
    for event in (full, data(b"lost"), DOWN, UP, data(b"lost too")):
        host.reads(event)
    host.thaw()
    assert [full, DOWN, UP] == told
