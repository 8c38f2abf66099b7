"""The driver in real time keeps the laws of the contract, whatever its nodes do."""

import time

import pytest

from fieldproof_contract import (
    Address,
    Append,
    CloseStream,
    Datagram,
    Failed,
    LineUp,
    Listen,
    Log,
    OpenStream,
    Publish,
    Remove,
    Rename,
    Replace,
    SendDatagram,
    Stop,
    Sync,
    Synced,
    Topic,
    Truncate,
    WriteStream,
)
from fieldproof_reference.live.driver import CALLS_AT_ONCE

PORT = 24985
STRANGER = Address("203.0.113.66", 4242)


def datagram(data):
    return Datagram(PORT, STRANGER, data)


def reacting(*effects):
    """What a node wants whenever a datagram comes."""
    return lambda event, now: effects if isinstance(event, Datagram) else ()


def told(notes):
    return [what for what, _ in notes if not isinstance(what, str)]


def deaths(host):
    return [(one["by"], one["detail"]["error"]) for one in host.facts if "died" in one["fact"]]


# --- effects --------------------------------------------------------------------------------------


def test_effects_are_carried_out_in_their_order(host, bench):
    """The disk is what the effects leave when they are done one after the other."""
    wanted = (
        Append("a", b"123"),
        Truncate("a", 2),
        Append("a", b"4"),
        Rename("a", "b"),
        Replace("a", b"new"),
        Append("c", b""),
        Remove("c"),
    )
    host.add("node", lambda: bench.Probe([], reacting(*wanted)), (PORT,))
    host.boot()
    host.hears(b"")
    assert {"a": b"new", "b": b"124"} == {path: host.disk.read(path) for path in "ab"}
    assert ("a", "b") == host.disk.listing("")


@pytest.mark.parametrize(
    "failing",
    [
        Remove("none"),
        Rename("none", "a"),
        Truncate("none", 0),
        Truncate("before", -1),
        Truncate("before", -(1 << 80)),
        Sync(("before", "none")),
        Append("before/below", b"2"),
        Append("../out", b"2"),
        Append("half\0way", b"2"),
        Replace("n" * 300, b"2"),
        Replace("\ud800", b"2"),
        Rename("before", "../there"),
        SendDatagram(PORT, STRANGER, bytes(65_508)),
        SendDatagram(0, STRANGER, b""),
        SendDatagram(PORT, Address(STRANGER.host, 65_536), b""),
        SendDatagram(PORT, Address("center.example", 1), b""),
        OpenStream("s", Address("center.example", 1)),
        OpenStream("s", Address("127.0.0.1", 0)),
        WriteStream("none", b"2"),
    ],
    ids=repr,
)
def test_effects_stop_at_the_first_that_fails(host, bench, failing):
    """The node hears of the failed effect, with a reason, and lives; what followed never happened;
    the event log has it."""
    notes = []
    wanted = (Append("before", b"1"), failing, Append("after", b"2"))
    host.add("node", lambda: bench.Probe(notes, reacting(*wanted)), (PORT,))
    host.boot()
    host.hears(b"")
    _, failed = told(notes)
    assert isinstance(failed, Failed)
    assert failing == failed.effect
    assert failed.reason
    assert ("before",) == host.disk.listing("")
    detail = {"effect": type(failing).__name__.lower(), "reason": failed.reason}
    expected = [("daws/node", "effect failed", detail)]
    assert expected == [(one["by"], one["fact"], one["detail"]) for one in host.facts]
    host.hears(b"again")
    assert datagram(b"again") in told(notes)


def test_a_failure_is_told_to_people_once_a_minute(host, bench):
    """A disk that fails again and again does not fill the log that people read."""
    host.add("node", lambda: bench.Probe([], reacting(Remove("none"))), (PORT,))
    host.boot()
    for _ in range(5):
        host.hears(b"")
    assert 1 == host.log_path.read_text().count("node: remove failed: No such file or directory.")
    assert 5 == len(host.facts)


@pytest.mark.parametrize("effect", [CloseStream("gone"), Log("word", {"number": 1}), Sync(())])
def test_what_has_nothing_to_do_is_no_failure(host, bench, effect):
    """A stream that is gone already, a word, and a sync of nothing are carried out."""
    notes = []
    wanted = reacting(effect, Append("after", b""))
    host.add("node", lambda: bench.Probe(notes, wanted), (PORT,))
    host.boot()
    host.hears(b"")
    host.until(lambda: not host.syncer.waiting)
    assert ("after",) == host.disk.listing("")
    assert [] == [event for event in told(notes) if isinstance(event, Failed)]


# --- syncs ----------------------------------------------------------------------------------------


def test_a_sync_is_answered_once_with_its_paths(host, bench):
    """`Synced` comes later, once, to the node that asked."""
    notes, others = [], []
    wanted = (Append("a", b"1"), Append("b", b"2"), Sync(("b", "a")))
    host.add("node", lambda: bench.Probe(notes, reacting(*wanted)), (PORT,))
    host.add("other", lambda: bench.Probe(others))
    host.boot()
    host.hears(b"")
    assert [datagram(b"")] == told(notes)
    host.until(lambda: len(told(notes)) > 1)
    host.turn()
    assert [datagram(b""), Synced(("b", "a"))] == told(notes)
    assert [] == told(others)


def test_syncs_are_answered_in_their_order(host, bench):
    """Two nodes and many syncs: each hears of its own, in the order in which they were asked."""
    all_notes = [], []

    def reaction(number):
        return reacting(*(each for n in range(9) for each in _append_and_sync(f"{number}/{n}")))

    for number, notes in enumerate(all_notes):
        made = bench.Probe(notes, reaction(number))
        host.add(f"node{number}", lambda made=made: made, (PORT,))
    host.boot()
    host.hears(b"")
    host.until(lambda: not host.syncer.waiting)
    for number, notes in enumerate(all_notes):
        assert [Synced((f"{number}/{n}",)) for n in range(9)] == told(notes)[1:]


def _append_and_sync(path):
    return Append(path, b"1"), Sync((path,))


# --- nodes ----------------------------------------------------------------------------------------


def test_all_nodes_are_there_when_the_first_starts(host, bench):
    """What a node publishes at its start reaches nodes that start after it, once they did."""
    notes = []
    host.add("first", lambda: bench.Probe([], first=(Publish("news", 1),)))
    host.add("second", lambda: bench.Probe(notes), ("news",))
    host.boot()
    assert ["start", Topic("news", 1)] == [what for what, _ in notes]


def test_what_is_heard_before_the_boot_is_told_after_it(host, bench):
    """A line that is opened first loses nothing."""
    notes = []
    host.add("node", lambda: bench.Probe(notes), ("riometer",))
    host.equip()
    host.driver.hears_line("riometer", LineUp("riometer"), None)
    assert [] == notes
    host.driver.boot()
    assert ["start", LineUp("riometer")] == [what for what, _ in notes]


def test_topics_reach_subscribers_in_order_before_the_next_outside_event(host, bench):
    """Nodes hear a topic in the order in which they were added, and news of news after it."""
    notes = []
    names = ("a", "b", "c")

    def made(name):
        def react(event, now):
            notes.append((name, event if isinstance(event, Datagram) else event.message))
            if name == "a" and isinstance(event, Datagram):
                return (Publish("news", 1), Publish("news", 2))
            return (Publish("news", 3),) if (name, event) == ("b", Topic("news", 1)) else ()

        return lambda: bench.Probe([], react)

    for name in names:
        host.add(name, made(name), (PORT, "news") if name == "a" else ("news",))
    host.boot()
    host.hears(b"x")
    host.hears(b"y")
    news = [(name, number) for number in (1, 2, 3) for name in names]
    assert [("a", datagram(b"x")), *news, ("a", datagram(b"y")), *news] == notes


class Raises:
    """Notes what it hears, wants to be woken soon, and raises in one of its calls."""

    def __init__(self, heard, raises_in=""):
        self.heard, self.raises_in = heard, raises_in
        self._may_raise("make")

    def _may_raise(self, where):
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
        return time.monotonic_ns() if self.raises_in.startswith(("advance", "then")) else None


@pytest.mark.parametrize(
    "raises_in", ["make", "start", "receive", "deadline", "advance", "then deadline"]
)
def test_an_exception_ends_one_node_not_its_neighbours(host, raises_in):
    """A node that raises is dead for this life, in the event log once and for people with the place
    where it raised; the others hear everything."""
    heard = []
    host.add("bad", lambda: Raises([], raises_in), (PORT,))
    host.add("good", lambda: Raises(heard), (PORT,))
    host.boot()
    host.hears(b"one")
    host.until(lambda: deaths(host))
    host.hears(b"two")
    assert [b"one", b"two"] == heard
    where = raises_in.removeprefix("then ")
    assert [("daws/bad", f"RuntimeError('{where}')")] == deaths(host)
    assert "Traceback" in host.log_path.read_text()
    assert host.driver.is_alive


def test_without_a_node_there_is_no_life(host):
    """The driver knows when the last node is gone."""
    host.add("bad", lambda: Raises([], "receive"), (PORT,))
    host.boot()
    assert host.driver.is_alive
    host.hears(b"one")
    assert not host.driver.is_alive


class Broken(Exception):
    """Cannot even say what it is."""

    def __repr__(self):
        raise RuntimeError

    __str__ = __repr__


def test_an_exception_that_cannot_be_shown_is_named(host, bench):
    """Where the exception's own text fails, the log has its class."""

    def react(event, now):
        raise Broken

    host.add("bad", lambda: bench.Probe([], react), (PORT,))
    host.boot()
    host.hears(b"")
    assert [("daws/bad", "Broken")] == deaths(host)


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
        OpenStream(1, Address("192.0.2.1", 1)),
        OpenStream("a", "192.0.2.1:1"),
        WriteStream("a", "text"),
        CloseStream(None),
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
def test_what_is_no_effect_ends_the_node_that_asked(host, bench, wrong):
    """A wrong type is a programming error: nothing of it leaves the node, which dies of it."""
    notes, neighbour = [], []
    wanted = (Append("before", b"1"), wrong, Append("after", b"2"))
    host.add("bad", lambda: bench.Probe(notes, reacting(*wanted)), (PORT,))
    host.add("good", lambda: bench.Probe(neighbour), (PORT,))
    host.boot()
    for data in (b"one", b"two"):
        host.hears(data)
    assert [datagram(b"one")] == told(notes)
    assert [datagram(b"one"), datagram(b"two")] == told(neighbour)
    assert ("before",) == host.disk.listing("")
    ((who, error),) = deaths(host)
    assert "daws/bad" == who
    assert " is no effect: see the types in the contract." in error


def test_what_cannot_be_taken_for_effects_ends_the_node(host, bench):
    """A node that returns nothing dies like one that raises."""
    host.add("bad", lambda: bench.Probe([], lambda event, now: None), (PORT,))
    host.boot()
    host.hears(b"")
    assert deaths(host)[0][1].startswith("TypeError")


@pytest.mark.parametrize(
    "react",
    [
        lambda event, now: (Publish("news", 1),),
        lambda event, now: (Remove("none"),),
    ],
    ids=["topics", "failures"],
)
def test_a_node_that_lets_no_time_pass_ends(host, bench, react):
    """After so many calls for one event the node dies of it, and the others go on."""
    notes, neighbour = [], []
    host.add("bad", lambda: bench.Probe(notes, react), (PORT, "news"))
    host.add("good", lambda: bench.Probe(neighbour), (PORT,))
    host.boot()
    host.hears(b"")
    assert [datagram(b"")] == told(neighbour)
    assert CALLS_AT_ONCE == len(told(notes))
    reason = f"RuntimeError('It let no time pass in {CALLS_AT_ONCE} calls.')"
    assert [("daws/bad", reason)] == deaths(host)


# --- deadlines ------------------------------------------------------------------------------------


def test_advance_comes_at_each_deadline_or_later(host, bench):
    """The deadline is asked for after every call, so that a chain of them is kept; one that has
    passed is due at once."""
    notes = []
    probe = bench.Probe(notes)
    now_ns = time.monotonic_ns()
    probe.wakes = [now_ns - 5, now_ns + 3_000_000, now_ns + 3_000_001, now_ns + 40_000_000]
    planned = list(probe.wakes)
    host.add("node", lambda: probe)
    host.boot()
    host.until(lambda: not probe.wakes)
    called = [at_ns for what, at_ns in notes if what == "advance"]
    assert all(due_ns <= at_ns for due_ns, at_ns in zip(planned, called, strict=True))
    assert None is host.driver.due_ns()


@pytest.mark.parametrize("moved_to", [[], [1], [10**18]])
def test_the_newest_deadline_counts(host, bench, moved_to):
    """A deadline that comes nearer, moves away or vanishes is followed."""
    probe = bench.Probe([], lambda event, now: setattr(probe, "wakes", list(moved_to)) or ())
    probe.wakes = [10**17]
    host.add("node", lambda: probe, (PORT,))
    host.boot()
    assert 10**17 == host.driver.due_ns()
    host.hears(b"")
    assert (moved_to[0] if moved_to else None) == host.driver.due_ns()


def test_a_deadline_that_is_always_over_ends_the_node(host):
    """Such a node would keep the process busy for ever."""

    class Hurried(Raises):
        def deadline(self):
            return 0

        def advance(self, now):
            return ()

    host.add("bad", lambda: Hurried([]))
    host.boot()
    for _ in range(CALLS_AT_ONCE):
        host.driver.advance()
    assert [("daws/bad", f"RuntimeError('It let no time pass in {CALLS_AT_ONCE} calls.')")] == (
        deaths(host)
    )


@pytest.mark.parametrize("deadline", ["soon", 2.5])
def test_a_deadline_that_is_no_time_ends_the_node(host, bench, deadline):
    """A deadline of the wrong type never reaches the agenda."""
    probe = bench.Probe([])
    probe.deadline = lambda: deadline
    host.add("bad", lambda: probe)
    host.boot()
    reason = f"A deadline is an integer or None, not {deadline!r}."
    assert [("daws/bad", repr(TypeError(reason)))] == deaths(host)


# --- the end --------------------------------------------------------------------------------------


def test_stop_comes_once_and_last_and_what_is_asked_then_is_done(host, bench):
    """Each node hears `Stop` in its turn; news of one reach those that are not stopped yet; its
    files are there and synced; after that nobody hears anything."""
    notes = [], []
    effects = (Append("last", b"1"), Publish("news", 1), Sync(("last",)), Remove("none"))

    def react(event, now):
        return effects if isinstance(event, Stop) else ()

    host.add("first", lambda: bench.Probe(notes[0], react), (PORT, "news"))
    host.add("second", lambda: bench.Probe(notes[1]), (PORT, "news"))
    host.boot()
    host.driver.stop()
    host.hears(b"late")
    host.until(lambda: not host.syncer.waiting)
    assert [Stop()] == told(notes[0])[:1]
    assert [Topic("news", 1), Stop()] == told(notes[1])
    assert b"1" == host.disk.read("last")
    assert not [event for event in told(notes[0]) if isinstance(event, Synced | Datagram)]


def test_figures_are_of_nodes_that_have_some(host, bench):
    """A node may tell people how it is; one that raises there dies like anywhere else, and the dead
    are named."""
    good, bad = bench.Probe([]), bench.Probe([])
    good.figures = lambda: {"records filed": 3}
    bad.figures = lambda: 1 // 0
    for name, probe in (("good", good), ("bad", bad), ("mute", bench.Probe([]))):
        host.add(name, lambda probe=probe: probe)
    host.boot()
    assert [("good", {"records filed": 3})] == list(host.driver.figures())
    assert {"bad": {"node": "died"}} == dict(list(host.driver.figures())[1:])


def test_a_node_that_serves_a_port_names_it(host, bench):
    """A TCP port stands among what a node hears."""
    host.add("node", lambda: bench.Probe([]), (Listen(PORT),))
    host.boot()
    assert f"TCP port {PORT}" in _refusal(host, bench)


def _refusal(host, bench):
    with pytest.raises(OSError) as refused:
        host.streams.listen(PORT, "other", print)
    return str(refused.value)
