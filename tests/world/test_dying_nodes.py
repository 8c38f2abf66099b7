"""A node that raises dies alone: law 7 of the contract, for every place where it can raise."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fieldproof_contract import Address, Datagram, Effects, Monotonic
from fieldproof_simulators.machines.host import Host
from fieldproof_simulators.world import World

PORT = 24985


class Node:
    """Notes what it hears, wants to be woken at 2 ns, and raises in one of its calls."""

    def __init__(self, heard: list[bytes], raises_in: str = "") -> None:
        self.heard = heard
        self.raises_in = raises_in
        self._may_raise("make")

    def _may_raise(self, where: str) -> Effects:
        if where == self.raises_in:
            raise RuntimeError(where)
        return ()

    def start(self, disk, now):
        return self._may_raise("start")

    def receive(self, event, now):
        self.heard.append(event.data)
        return self._may_raise("receive")

    def advance(self, now):
        self.raises_in = {"advance": "advance", "then deadline": "deadline"}.get(self.raises_in, "")
        return self._may_raise("advance")

    def deadline(self):
        self._may_raise("deadline")
        return Monotonic(2) if self.raises_in.startswith(("advance", "then")) else None


class Mute(Node):
    """Returns what are no effects."""

    def receive(self, event, now):
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
    return Datagram(PORT, Address("203.0.113.66", 4242), data)


def deaths(world: World, tmp_path: Path) -> list[tuple[str, str]]:
    """Who died of what, by the log."""
    world.close()
    lines = map(json.loads, (tmp_path / "log.jsonl").read_text().splitlines())
    return [(line["where"], line["error"]) for line in lines if line["what"] == "node died"]


@pytest.mark.parametrize(
    "raises_in", ["make", "start", "receive", "deadline", "advance", "then deadline"]
)
def test_an_exception_ends_one_node_not_its_neighbours(
    world: World, host: Host, tmp_path: Path, raises_in: str
):
    """A node that raises is dead for this life and logged once; the others hear everything."""
    heard: list[bytes] = []
    host.add("bad", lambda: Node([], raises_in), (PORT,))
    host.add("good", lambda: Node(heard), (PORT,))
    world.boot(host)
    for at_ns, data in ((1, b"one"), (3, b"two")):
        world.call_at(at_ns, lambda data=data: host.hears(datagram(data)))
    world.run_until(10)
    assert [b"one", b"two"] == heard
    where = raises_in.removeprefix("then ")
    assert [("daws/bad", f"RuntimeError('{where}')")] == deaths(world, tmp_path)


def test_a_node_that_returns_no_effects_dies_like_one_that_raises(
    world: World, host: Host, tmp_path: Path
):
    """What cannot be taken for effects ends the node, not the world."""
    heard: list[bytes] = []
    host.add("bad", lambda: Mute([]), (PORT,))
    host.add("good", lambda: Node(heard), (PORT,))
    world.boot(host)
    host.hears(datagram(b"one"))
    assert [b"one"] == heard
    ((who, error),) = deaths(world, tmp_path)
    assert "daws/bad" == who
    assert error.startswith("TypeError")


def test_a_dead_node_hears_nothing_until_the_next_boot(host: Host):
    """Only the life in which a node raised goes on without it."""
    heard: list[bytes] = []
    raises_in = iter(("receive", ""))
    host.add("node", lambda: Node(heard, next(raises_in)), (PORT,))
    host.boot()
    host.hears(datagram(b"deadly"))
    host.hears(datagram(b"unheard"))
    host.die(0)
    host.boot()
    host.hears(datagram(b"heard"))
    assert [b"deadly", b"heard"] == heard
