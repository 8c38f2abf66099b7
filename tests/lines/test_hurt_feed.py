"""What a host hears of a riometer whose line is hurt, in virtual time."""

import heapq
from functools import partial
from itertools import count

import numpy as np
import pytest

from fieldproof_contract import SECOND_NS, LineData, LineDown, LineUp
from fieldproof_simulators.instruments.riometer import Riometer
from fieldproof_simulators.lines.adwords import encode
from fieldproof_simulators.lines.feed import WORD_NS, SecondsFeed, WordsFeed
from fieldproof_simulators.lines.hurts import KINDS, SENDER_BYTES, Hurt

NOON_NS = 1_137_499_200 * SECOND_NS  # 2006-01-17
MS = 1_000_000


class Sweep(Riometer):
    """A riometer whose codes go through all values, so that no byte is missing."""

    def codes(self, first: int, last: int):
        return (np.arange(first, last) * 7 % 4096).astype(np.uint16)


class Clock:
    """A host clock that is right."""

    def utc_ns(self, true_ns: int) -> int:
        return NOON_NS + true_ns


class Host:
    """As much of a host as a feed needs."""

    name = "daws"

    def __init__(self, world: "World") -> None:
        self.clock = Clock()
        self.up = False
        self.lives: list[int] = []
        self.heard: list[tuple[int, object]] = []  # when, and the event
        self._world = world

    def boot(self) -> None:
        self.up = True
        self.lives.append(self._world.ns)

    def reads(self, event: object) -> None:
        if self.up:
            self.heard.append((self._world.ns, event))


class World:
    """A calendar and a log."""

    seed = 1

    def __init__(self) -> None:
        self.ns = 0
        self.facts: list[tuple[int, str, dict]] = []
        self._heap: list = []
        self._order = count()

    def now_ns(self) -> int:
        return self.ns

    def call_at(self, true_ns: int, action) -> None:
        assert true_ns >= self.ns, "asked for what is past"
        heapq.heappush(self._heap, (true_ns, next(self._order), action))

    def log(self, where: str, what: str, detail) -> None:
        assert "daws" == where
        self.facts.append((self.ns, what, dict(detail)))

    def run_until(self, true_ns: int) -> None:
        while self._heap and self._heap[0][0] < true_ns:
            self.ns, _, action = heapq.heappop(self._heap)
            action()
        self.ns = true_ns


class Stage:
    """A riometer on the line of a host that boots at once."""

    def __init__(self, feed=WordsFeed) -> None:
        self.world = World()
        self.host = Host(self.world)
        self.riometer = Sweep("daws", 1, NOON_NS)
        self.feed = feed(self.riometer, self.host, self.world)
        self.boot()

    def boot(self) -> None:
        self.host.boot()
        self.feed.begin()

    def die(self) -> None:
        self.host.up = False

    def strike(self, at_ns: int, hurt: Hurt, until_ns: int | None = None) -> None:
        self.world.call_at(at_ns, partial(self.feed.hurt, hurt))
        if until_ns is not None:
            self.world.call_at(until_ns, partial(self.feed.heal, hurt.fault))

    @property
    def bytes(self) -> bytes:
        return b"".join(event.data for _, event in self.host.heard if isinstance(event, LineData))

    def states(self) -> list[tuple[int, type]]:
        """When the line came up and went down."""
        return [
            (ns, type(event))
            for ns, event in self.host.heard
            if isinstance(event, LineUp | LineDown)
        ]

    def words(self, until_ns: int) -> bytes:
        """All that crossed a line that was well, before a time."""
        return encode(self.riometer.codes(0, self.riometer.first_at(until_ns - WORD_NS)))


def test_a_line_that_is_well():
    """The line is up, every word comes, and nothing is logged."""
    stage = Stage()
    stage.world.run_until(5 * SECOND_NS)
    assert [(0, LineUp)] == stage.states()
    assert stage.words(5 * SECOND_NS) == stage.bytes
    assert [] == stage.world.facts


def test_both_fidelities_say_that_the_line_is_up():
    """A life begins with the same event, however the samples come."""
    assert Stage(SecondsFeed).host.heard == Stage(WordsFeed).host.heard == [(0, LineUp("riometer"))]


def test_unplug_and_replug():
    """The host learns both at once, hears nothing between, and one fact names the samples."""
    stage = Stage()
    stage.strike(2 * SECOND_NS, Hurt("unplug", 3), 4 * SECOND_NS)
    stage.world.run_until(6 * SECOND_NS)
    assert [(0, LineUp), (2 * SECOND_NS, LineDown), (4 * SECOND_NS, LineUp)] == stage.states()
    (lost,) = [detail for _, what, detail in stage.world.facts if what == "line dropped"]
    first, last = (stage.riometer.first_at(s * SECOND_NS - WORD_NS) for s in (2, 4))
    assert (first, last) == (lost["from_sample"], lost["until_sample"])
    whole = stage.words(6 * SECOND_NS)
    assert whole[: lost["from_byte"]] + whole[lost["until_byte"] :] == stage.bytes


def test_a_life_that_begins_unplugged():
    """A host that boots while the cable is out is told so, and hears the replug."""
    stage = Stage()
    stage.strike(1 * SECOND_NS, Hurt("unplug", 0), 4 * SECOND_NS)
    stage.world.call_at(2 * SECOND_NS, stage.die)
    stage.world.call_at(3 * SECOND_NS, stage.boot)
    stage.world.run_until(5 * SECOND_NS)
    ups_and_downs = [(0, LineUp), (1, LineDown), (3, LineDown), (4, LineUp)]
    assert [(s * SECOND_NS, kind) for s, kind in ups_and_downs] == stage.states()


def test_a_stall_and_its_backlog():
    """After a stall the sender's buffer comes byte by byte, then what was sent meanwhile."""
    stage = Stage()
    stage.strike(2 * SECOND_NS, Hurt("stall", 0), 4 * SECOND_NS)
    stage.world.run_until(6 * SECOND_NS)
    (lost,) = [detail for _, what, detail in stage.world.facts if what == "line dropped"]
    whole = stage.words(6 * SECOND_NS)
    assert whole[: lost["from_byte"]] + whole[lost["until_byte"] :] == stage.bytes
    assert 240 - SENDER_BYTES == pytest.approx(lost["bytes"], abs=3)
    soon = [ns for ns, event in stage.host.heard if 4_000 * MS < ns < 4_067 * MS]
    assert SENDER_BYTES <= len(soon)


def test_a_backlog_dies_with_its_reader():
    """What a stall held back is not for the next life."""
    stage = Stage()
    stage.strike(1 * SECOND_NS, Hurt("stall", 0), 2 * SECOND_NS)
    stage.world.call_at(2 * SECOND_NS + 10 * MS, stage.die)
    stage.world.call_at(2 * SECOND_NS + 20 * MS, stage.boot)
    stage.world.run_until(3 * SECOND_NS)
    later = [event for ns, event in stage.host.heard if ns >= 2 * SECOND_NS + 20 * MS]
    assert LineUp("riometer") == later[0]
    first = stage.riometer.first_at(2 * SECOND_NS + 20 * MS - WORD_NS)
    last = stage.riometer.first_at(3 * SECOND_NS - WORD_NS)
    assert encode(stage.riometer.codes(first, last)) == b"".join(e.data for e in later[1:])


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_fires_and_is_over(kind: str):
    """Each kind of fault says that it acted, and leaves a line that is well."""
    stage = Stage()
    counted = kind in ("drop", "burst")
    hurt = Hurt(kind, 0, count=5, percent=50.0)
    stage.strike(SECOND_NS, hurt, None if counted else 3 * SECOND_NS)
    stage.world.run_until(6 * SECOND_NS)
    assert 0 < stage.feed.fired(0)
    assert stage.words(6 * SECOND_NS).endswith(stage.bytes[-200:])
    assert stage.words(6 * SECOND_NS) != stage.bytes
    facts = len(stage.world.facts)
    stage.world.run_until(7 * SECOND_NS)
    assert facts == len(stage.world.facts)


def test_the_same_seed_hurts_alike():
    """Two worlds of one seed hear the same at the same times, and log the same."""

    def played() -> Stage:
        stage = Stage()
        stage.strike(SECOND_NS, Hurt("drop", 0, count=9))
        stage.strike(2 * SECOND_NS, Hurt("garble", 1, percent=30.0), 5 * SECOND_NS)
        stage.strike(3 * SECOND_NS + 1, Hurt("burst", 2, count=17))
        stage.world.run_until(6 * SECOND_NS)
        return stage

    one, other = played(), played()
    assert one.host.heard == other.host.heard
    assert one.world.facts == other.world.facts
