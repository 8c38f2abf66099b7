"""A host keeps the laws of the contract, whatever its nodes do and whatever is done to it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fieldproof_contract import (
    SECOND_NS,
    Address,
    Append,
    Datagram,
    Effects,
    Event,
    Failed,
    LineData,
    Log,
    Monotonic,
    Now,
    Publish,
    Remove,
    Rename,
    Replace,
    Sync,
    Synced,
    Topic,
    Truncate,
)
from fieldproof_simulators.machines.buffers import LINE_BUFFER_BYTES, RECEIVE_BUFFER_BYTES
from fieldproof_simulators.machines.host import SYNC_NS, Host
from fieldproof_simulators.world import World

BEGINS_NS = 1_137_456_000 * SECOND_NS  # 2006-01-17
PORT = 24985
STRANGER = Address("203.0.113.66", 4242)
Reaction = Callable[[Event, Now], Effects]


class Probe:
    """A node that notes what it is told, and when, and does what its test says."""

    def __init__(
        self, notes: list, reaction: Reaction = lambda event, now: (), first: Effects = ()
    ) -> None:
        self.notes = notes
        self.reaction = reaction
        self.first = first  # what it wants at its start
        self.wakes: list[int] = []  # deadlines to come, in the order in which it has them

    def start(self, disk, now):
        self.notes.append(("start", now.monotonic))
        return self.first

    def receive(self, event, now):
        self.notes.append((event, now.monotonic))
        return self.reaction(event, now)

    def advance(self, now):
        self.notes.append(("advance", now.monotonic))
        self.wakes.pop(0)
        return ()

    def deadline(self):
        return Monotonic(self.wakes[0]) if self.wakes else None


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world without links."""
    world = World(1, BEGINS_NS, tmp_path, {})
    yield world
    world.close()


@pytest.fixture
def host(world: World) -> Host:
    """A machine without nodes, down."""
    return world.add_host("daws", "198.51.100.1")


def datagram(data: bytes) -> Datagram:
    """From a stranger, to PORT."""
    return Datagram(PORT, STRANGER, data)


def reacting(*effects) -> Reaction:
    """What a node wants whenever a datagram comes."""
    return lambda event, now: effects if isinstance(event, Datagram) else ()


def told(notes: list) -> list:
    """The events of a probe's notes, without times and starts."""
    return [what for what, _ in notes if not isinstance(what, str)]


# --- effects --------------------------------------------------------------------------------------


def test_effects_are_carried_out_in_their_order(host: Host):
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
    host.add("node", lambda: Probe([], reacting(*wanted)), (PORT,))
    host.boot()
    host.hears(datagram(b""))
    assert {"a": b"new", "b": b"124"} == {path: host.disk.read(path) for path in "ab"}
    assert ("a", "b") == host.disk.listing("")


@pytest.mark.parametrize(
    "failing",
    [Remove("none"), Rename("none", "a"), Truncate("none", 0), Sync(("before", "none"))],
)
def test_effects_stop_at_the_first_that_fails(host: Host, failing):
    """The node hears of the failed effect, with a reason; what followed never happened."""
    notes: list = []
    wanted = (Append("before", b"1"), failing, Append("after", b"2"))
    host.add("node", lambda: Probe(notes, reacting(*wanted)), (PORT,))
    host.boot()
    host.hears(datagram(b""))
    (_, failed) = told(notes)
    assert isinstance(failed, Failed)
    assert failing == failed.effect
    assert "There is no file none on this disk." == failed.reason
    assert ("before",) == host.disk.listing("")


def test_a_full_disk_fails_writes_and_nothing_else(host: Host):
    """Appending and replacing fail on a full disk; what frees room or moves files does not."""
    notes: list = []
    wanted = iter(
        (
            (Append("a", b"1"),),
            (Replace("a", b"1"),),
            (Truncate("held", 1), Rename("held", "b"), Sync(("b",)), Remove("b")),
        )
    )

    def react(event: Event, now: Now) -> Effects:
        return next(wanted) if isinstance(event, Datagram) else ()

    host.add("node", lambda: Probe(notes, react), (PORT,))
    host.boot()
    host.disk.append("held", b"123")
    host.disk.full = True
    for _ in range(3):
        host.hears(datagram(b""))
    reasons = [event.reason for event in told(notes) if isinstance(event, Failed)]
    assert ["No space left on device."] * 2 == reasons
    assert () == host.disk.listing("")


def test_a_failure_is_in_the_log(world: World, host: Host, tmp_path: Path):
    """The log says which node's effect failed and why."""
    host.add("node", lambda: Probe([], reacting(Remove("none"))), (PORT,))
    world.boot(host)
    host.hears(datagram(b""))
    world.close()
    line = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    said = {key: line[key] for key in ("where", "what", "effect")}
    assert {"where": "daws/node", "what": "effect failed", "effect": "remove"} == said


# --- syncs ----------------------------------------------------------------------------------------


def test_a_sync_is_answered_once_with_its_paths(world: World, host: Host):
    """`Synced` comes later, once, to the node that asked; the bytes are durable from then on."""
    notes: list = []
    others: list = []
    wanted = (Append("a", b"1"), Append("b", b"2"), Sync(("b", "a")))
    host.add("node", lambda: Probe(notes, reacting(*wanted)), (PORT,))
    host.add("other", lambda: Probe(others), ())
    host.boot()
    host.hears(datagram(b""))
    assert 1 == len(told(notes))
    world.run_until(10 * SECOND_NS)
    assert (Synced(("b", "a")), SYNC_NS) == notes[-1]
    assert 2 == len(told(notes))
    assert [] == told(others)
    assert [] == host.disk.power_cut(lambda most: 0)


def test_what_is_appended_after_a_sync_was_asked_for_is_not_durable(world: World, host: Host):
    """The answer to a sync promises nothing of later bytes."""
    wanted = (Append("a", b"old"), Sync(("a",)), Append("a", b"new"))
    host.add("node", lambda: Probe([], reacting(*wanted)), (PORT,))
    host.boot()
    host.hears(datagram(b""))
    world.run_until(10 * SECOND_NS)
    assert [("a", 3)] == host.disk.power_cut(lambda most: 0)


def test_a_host_that_dies_gets_no_answer_to_its_sync(world: World, host: Host):
    """Neither this life nor the next hears of a sync that the death cut short."""
    notes: list = []
    host.add("node", lambda: Probe(notes, reacting(Append("a", b"1"), Sync(("a",)))), (PORT,))
    world.boot(host)
    host.hears(datagram(b""))
    world.run_until(SYNC_NS - 1)
    world.cut_power(host, 0)
    world.boot(host)
    world.run_until(10 * SECOND_NS)
    assert [("start", 0), (datagram(b""), 0), ("start", SYNC_NS - 1)] == notes


# --- lives ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("next_life", "called"), [([], []), ([9], [9]), ([3], [3])])
def test_no_deadline_reaches_the_next_life(world: World, host: Host, next_life, called):
    """What a node planned before the death is not done after it, nor in the way of new plans."""
    notes: list = []
    wakes = [[5], next_life]

    def made() -> Probe:
        probe = Probe(notes)
        probe.wakes = wakes.pop(0)
        return probe

    host.add("node", made, ())
    host.boot()
    world.run_until(1)
    host.die(0)
    host.boot()
    world.run_until(10 * SECOND_NS)
    planned = [("advance", at_ns) for at_ns in called]
    assert [("start", 0), ("start", 1), *planned] == notes


def test_each_life_begins_with_new_nodes_and_the_old_disk(host: Host):
    """A boot makes every node anew, starts each once, and shows it what the disk holds."""
    seen: list = []

    class Looks(Probe):
        def start(self, disk, now):
            seen.append((id(self), disk.listing("")))
            return (Append(f"life{len(seen)}", b""),)

    made: list[Probe] = []

    def make() -> Probe:
        made.append(Looks([]))
        return made[-1]

    host.add("node", make, ())
    for _ in range(3):
        host.boot()
        host.die(0)
    files = [(), ("life1",), ("life1", "life2")]
    assert [(id(node), held) for node, held in zip(made, files, strict=True)] == seen
    assert [[0, 0]] * 3 == host.lives


def test_all_nodes_are_there_when_the_first_starts(host: Host):
    """What a node publishes at its start reaches nodes that start after it, once they did."""
    notes: list = []
    host.add("first", lambda: Probe([], first=(Publish("news", 1),)), ())
    host.add("second", lambda: Probe(notes), ("news",))
    host.boot()
    assert [("start", 0), (Topic("news", 1), 0)] == notes


@pytest.mark.parametrize(
    ("before", "forbidden"),
    [
        ("", "die"),
        ("", "freeze"),
        ("", "thaw"),
        ("boot", "boot"),
        ("boot", "thaw"),
        ("boot freeze", "freeze"),
        ("boot freeze", "boot"),
        ("boot die", "die"),
        ("boot die", "freeze"),
        ("boot freeze die", "thaw"),
    ],
)
def test_a_host_cannot_skip_a_state(host: Host, before: str, forbidden: str):
    """What cannot happen to a host in its state is refused in one sentence, and changes nothing."""
    actions = {
        "boot": host.boot,
        "die": lambda: host.die(0),
        "freeze": lambda: host.freeze(0),
        "thaw": host.thaw,
    }
    for what in before.split():
        actions[what]()
    state = (host.up, host.frozen, list(host.lives))
    with pytest.raises(ValueError, match=rf"^Host daws is \w+: it cannot {forbidden}\.$"):
        actions[forbidden]()
    assert state == (host.up, host.frozen, host.lives)


def test_a_frozen_host_can_be_killed_and_boots_unfrozen(host: Host):
    """Death ends a freeze; what was held is gone with the processes."""
    notes: list = []
    host.add("node", lambda: Probe(notes), (PORT, "line"))
    host.boot()
    host.freeze(3)
    host.hears(datagram(b"held"))
    host.reads(LineData("line", b"held"))
    host.die(4)
    host.boot()
    host.hears(datagram(b"heard"))
    host.freeze(5)
    host.thaw()
    assert [datagram(b"heard")] == told(notes)


def test_a_host_that_is_down_hears_nothing_and_says_why(host: Host):
    """A datagram to a host that is down, or to a port without a listener, is lost by that name."""
    host.add("node", lambda: Probe([]), (PORT,))
    assert "host down" == host.hears(datagram(b""))
    host.boot()
    assert "no listener" == host.hears(Datagram(PORT + 1, STRANGER, b""))
    assert None is host.hears(datagram(b""))


# --- deadlines ------------------------------------------------------------------------------------


def test_advance_comes_at_each_deadline(world: World, host: Host):
    """The deadline is asked for after every call, so that a chain of them is kept to the ns."""
    notes: list = []

    def made() -> Probe:
        probe = Probe(notes)
        probe.wakes = [7, 7, 8, 3_000_000_000]
        return probe

    host.add("node", made, ())
    host.boot()
    world.run_until(10 * SECOND_NS)
    assert [7, 7, 8, 3_000_000_000] == [at_ns for what, at_ns in notes if what == "advance"]


def test_a_deadline_that_has_passed_is_due_now(world: World, host: Host):
    """A node that names a time before now is called at once, never in the past."""
    notes: list = []

    def made() -> Probe:
        probe = Probe(notes)
        probe.reaction = lambda event, now: probe.wakes.append(5) or ()
        return probe

    host.add("node", made, (PORT,))
    host.boot()
    world.call_at(SECOND_NS, lambda: host.hears(datagram(b"")))
    world.run_until(2 * SECOND_NS)
    assert ("advance", SECOND_NS) == notes[-1]


@pytest.mark.parametrize(
    ("moved_to", "called_at"), [([4], [4]), ([20], [20]), ([], []), ([4, 9], [4, 9])]
)
def test_the_newest_deadline_counts(world: World, host: Host, moved_to, called_at):
    """A deadline that comes nearer, moves away or vanishes is followed: one call for each."""
    notes: list = []

    def made() -> Probe:
        probe = Probe(notes)
        probe.wakes = [9]
        probe.reaction = lambda event, now: setattr(probe, "wakes", list(moved_to)) or ()
        return probe

    host.add("node", made, (PORT,))
    host.boot()
    world.call_at(2, lambda: host.hears(datagram(b"")))
    world.run_until(SECOND_NS)
    assert called_at == [at_ns for what, at_ns in notes if what == "advance"]


def test_topics_reach_subscribers_in_order_before_the_next_outside_event(host: Host):
    """Nodes hear a topic in the order in which they were added, and news of news after it."""
    notes: list = []
    names = ("a", "b", "c")

    def made(name: str) -> Callable[[], Probe]:
        def react(event: Event, now: Now) -> Effects:
            notes.append((name, event if isinstance(event, Datagram) else event.message))
            if name == "a" and isinstance(event, Datagram):
                return (Publish("news", 1), Publish("news", 2))
            if name == "b" and event == Topic("news", 1):
                return (Publish("news", 3),)
            return ()

        return lambda: Probe([], react)

    for name in names:
        host.add(name, made(name), (PORT, "news") if name == "a" else ("news",))
    host.boot()
    host.hears(datagram(b"x"))
    host.hears(datagram(b"y"))
    news = [(name, number) for number in (1, 2, 3) for name in names]
    assert [("a", datagram(b"x")), *news, ("a", datagram(b"y")), *news] == notes


# --- freezing -------------------------------------------------------------------------------------


def test_a_frozen_host_hears_everything_at_the_thaw(world: World, host: Host):
    """Datagrams, words, syncs and overdue deadlines wait, and come in order when the host thaws."""
    notes: list = []

    def made() -> Probe:
        probe = Probe(notes, reacting(Append("a", b"1"), Sync(("a",))))
        probe.wakes = [2 * SECOND_NS]
        return probe

    host.add("node", made, (PORT, "line"))
    host.boot()
    host.hears(datagram(b"before"))
    host.freeze(0)
    host.reads(LineData("line", b"word"))
    world.call_at(SECOND_NS, lambda: host.hears(datagram(b"late")))
    world.call_at(5 * SECOND_NS, host.thaw)
    world.run_until(5 * SECOND_NS)
    assert [datagram(b"before")] == told(notes)
    world.run_until(6 * SECOND_NS)
    thawed = 5 * SECOND_NS
    assert [
        (LineData("line", b"word"), thawed),
        (Synced(("a",)), thawed),
        (datagram(b"late"), thawed),
        ("advance", thawed),
        (Synced(("a",)), thawed + SYNC_NS),
    ] == notes[2:]


def test_an_overdue_deadline_is_due_at_the_thaw(world: World, host: Host):
    """A deadline of the frozen time is kept at the thaw, one after it at its own time."""
    notes: list = []

    def made() -> Probe:
        probe = Probe(notes)
        probe.wakes = [20, 50]
        return probe

    host.add("node", made, ())
    host.boot()
    world.call_at(10, lambda: host.freeze(0))
    world.call_at(30, host.thaw)
    world.run_until(SECOND_NS)
    assert [("start", 0), ("advance", 30), ("advance", 50)] == notes


def test_a_frozen_host_keeps_what_its_buffers_hold(host: Host):
    """The receive buffer is shared by all ports; each line has its own, and is read in one piece;
    what does not fit is lost."""
    notes: list = []
    host.add("node", lambda: Probe(notes), (PORT, "one", "other"))
    host.boot()
    host.freeze(0)
    half = datagram(bytes(RECEIVE_BUFFER_BYTES // 2))
    assert [None, None, "host frozen"] == [
        host.hears(each) for each in (half, half, datagram(b"x"))
    ]
    full, word = bytes(LINE_BUFFER_BYTES - 1), b"12"
    for line in ("one", "other"):
        for data in (full, word, b"3"):
            host.reads(LineData(line, data))
    host.thaw()
    kept = [LineData(line, full + b"3") for line in ("one", "other")]
    assert [*kept, half, half] == told(notes)
    assert None is host.hears(datagram(b"x"))


def test_nodes_see_monotonic_time_and_their_hosts_utc(world: World, host: Host):
    """A clock that steps changes a node's UTC; its monotonic time goes on as if nothing was."""
    seen: list[Now] = []

    def react(event: Event, now: Now) -> Effects:
        seen.append(now)
        return (Log("seen"),)

    host.add("node", lambda: Probe([], react), (PORT,))
    host.boot()
    world.call_at(SECOND_NS, lambda: host.hears(datagram(b"")))
    world.call_at(SECOND_NS + 1, lambda: host.clock.step(SECOND_NS + 1, -3 * SECOND_NS))
    world.call_at(2 * SECOND_NS, lambda: host.hears(datagram(b"")))
    world.run_until(3 * SECOND_NS)
    assert [
        (SECOND_NS, BEGINS_NS + SECOND_NS),
        (2 * SECOND_NS, BEGINS_NS - SECOND_NS),
    ] == seen
