"""A node that raises dies alone: law 7 of the contract, for every place where it can raise."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fieldproof_contract import (
    Address,
    Append,
    Datagram,
    Effects,
    Log,
    Monotonic,
    Publish,
    Remove,
    Rename,
    Replace,
    SendDatagram,
    Sync,
    Truncate,
)
from fieldproof_simulators.machines.host import CALLS_AT_ONCE, Host
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
    return [(line["where"], line["error"]) for line in lines if line.get("what") == "node died"]


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


class Broken(Exception):
    """Cannot even say what it is."""

    def __repr__(self):
        raise RuntimeError


class Wants(Node):
    """Asks for something whenever it hears a datagram."""

    def __init__(self, heard, *wanted):
        super().__init__(heard)
        self.wanted = wanted

    def receive(self, event, now):
        self.heard.append(event)
        return self.wanted


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        "Append",
        Append,
        Append("a", "text"),
        Append("a", bytearray(b"1")),
        Append(7, b"1"),
        Append(["a"], b"1"),
        Replace("a", 5),
        Rename("before", None),
        Truncate("before", 0.5),
        Remove(b"before"),
        Sync("before"),
        Sync((b"before",)),
        SendDatagram("24985", Address("192.0.2.1", 1), b""),
        SendDatagram(PORT, ("192.0.2.1", 1), b""),
        SendDatagram(PORT, Address(3221225985, 1), b""),
        SendDatagram(PORT, Address("192.0.2.1", None), b""),
        SendDatagram(PORT, Address("192.0.2.1", 1), None),
        Publish([], 1),
        Log(b"what"),
        Log("what", {"sha": b"bytes"}),
        Log("what", {"ratio": float("nan")}),
        Log("what", {7: "seven"}),
        Log("what", "detail"),
        Log("what", None),
    ],
    ids=repr,
)
def test_what_is_no_effect_ends_the_node_that_asked(
    world: World, host: Host, tmp_path: Path, wrong: object
):
    """A wrong type is a programming error: nothing of it leaves the node, which dies of it."""
    heard: list = []
    neighbour: list[bytes] = []
    wanted = (Append("before", b"1"), wrong, Append("after", b"2"))
    host.add("bad", lambda: Wants(heard, *wanted), (PORT,))
    host.add("good", lambda: Node(neighbour), (PORT,))
    world.boot(host)
    for data in (b"one", b"two"):
        host.hears(datagram(data))
    assert [datagram(b"one")] == heard
    assert [b"one", b"two"] == neighbour
    assert ("before",) == host.disk.listing("")
    ((who, error),) = deaths(world, tmp_path)
    assert "daws/bad" == who
    assert error.startswith("TypeError(")
    assert " is no effect: see the types in the contract." in error


@pytest.mark.parametrize(
    "said", [Log("\ud800", {"\ud800": "\ud800"}), Append("\ud800", b""), Remove("\ud800")]
)
def test_a_text_that_utf_8_cannot_hold_leaves_the_log_readable(
    world: World, host: Host, tmp_path: Path, said
):
    """Half a character in what a node says or asks for is no reason to lose the log."""
    host.add("node", lambda: Wants([], said), (PORT,))
    world.boot(host)
    world.call_at(1, lambda: host.hears(datagram(b"")))
    world.run_until(10)
    world.close()
    for line in (tmp_path / "log.jsonl").read_bytes().splitlines():
        json.loads(line.decode("utf-8"))


def test_an_exception_that_cannot_be_shown_is_named(world: World, host: Host, tmp_path: Path):
    """Where the exception's own text fails, the log has its class."""

    class Raises(Node):
        def receive(self, event, now):
            raise Broken

    host.add("bad", lambda: Raises([]), (PORT,))
    world.boot(host)
    host.hears(datagram(b""))
    assert [("daws/bad", "Broken")] == deaths(world, tmp_path)


class Hurried(Node):
    """Has a deadline that is always over."""

    def deadline(self):
        return Monotonic(0)

    def advance(self, now):
        self.heard.append(now.monotonic)
        return ()


class Chatty(Node):
    """Answers every word with another."""

    def receive(self, event, now):
        self.heard.append(event)
        return (Publish("news", 1),)


class Stubborn(Wants):
    """Tries at once again what failed."""


@pytest.mark.parametrize(
    "made",
    [
        lambda heard: Hurried(heard),
        lambda heard: Chatty(heard),
        lambda heard: Stubborn(heard, Remove("none")),
    ],
    ids=["deadline", "topics", "failures"],
)
def test_a_node_that_lets_no_time_pass_ends(world: World, host: Host, tmp_path: Path, made):
    """After 10 000 calls at one instant the node dies of it, and time goes on for the others."""
    heard: list = []
    neighbour: list[bytes] = []
    host.add("bad", lambda: made(heard), (PORT, "news"))
    host.add("good", lambda: Node(neighbour), (PORT,))
    world.call_at(3, lambda: world.boot(host))
    world.call_at(4, lambda: host.hears(datagram(b"one")))
    world.run_until(10)
    assert [b"one"] == neighbour
    assert CALLS_AT_ONCE - 1 <= len(heard) <= CALLS_AT_ONCE
    reason = f"RuntimeError('It let no time pass in {CALLS_AT_ONCE} calls.')"
    assert [("daws/bad", reason)] == deaths(world, tmp_path)


@pytest.mark.parametrize("deadline", ["soon", 2.5])
def test_a_deadline_that_is_no_time_ends_the_node(
    world: World, host: Host, tmp_path: Path, deadline: object
):
    """A deadline of the wrong type never reaches the world's calendar."""

    class Vague(Node):
        def deadline(self):
            return deadline

    host.add("bad", lambda: Vague([]), ())
    world.boot(host)
    world.run_until(10)
    reason = f"A deadline is an integer or None, not {deadline!r}."
    assert [("daws/bad", repr(TypeError(reason)))] == deaths(world, tmp_path)


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
