"""Engines keep the contract: one answer, later, unless their node or their host is gone first."""

import pytest
from pulling import PORT, PULL, SERVE, Asks, Scripted, ended

from fieldproof_contract import (
    ApplyDelta,
    DrawDay,
    EngineEnded,
    Failed,
    Listen,
    MakeDelta,
    PullTree,
    RunEngine,
    ServeTree,
    StopEngine,
)
from fieldproof_simulators.engines.desk import DELTA_NS, DRAW_NS, NO_PLOTS

MAKE = MakeDelta(b"one", b"two")
APPLY = ApplyDelta(b"one", b"two", 10)
DRAW = DrawDay(b"{}")
TIMES_NS = {MAKE: DELTA_NS, APPLY: DELTA_NS, DRAW: DRAW_NS}


@pytest.mark.parametrize(
    ("job", "output"), [(MAKE, b"onetwo"), (APPLY, b"onetwo"), (DRAW, b"plot of {}")]
)
def test_an_engine_is_answered_once_and_later(play, job, output):
    """A delta or a plot is there when its time is over, and nothing more is heard of it."""
    node = Asks(RunEngine("p", job))
    play.up(node).run(1000)
    assert [EngineEnded("p", output, "")] == node.told
    assert [TIMES_NS[job]] == node.times_ns


@pytest.mark.parametrize("job", [MAKE, PULL])
def test_a_name_is_one_engine_at_a_time(play, job):
    """A second run of a name that is at work fails, and the name is free once it is over."""
    again = RunEngine("p", MAKE)
    node = Asks(again, RunEngine("p", job), then=lambda e: (again,) if len(node.told) == 2 else ())
    play.up(node).run(1000)
    failed, first, second = node.told
    assert Failed(RunEngine("p", job), failed.reason) == failed
    assert "There is an engine p at work already" in failed.reason
    assert first == second == EngineEnded("p", b"onetwo", "")


def test_each_node_has_its_own_names(play):
    """Two nodes of one host may use one name."""
    play.center.add("other", lambda: other, ())
    other, node = Asks(RunEngine("p", APPLY)), Asks(RunEngine("p", MAKE))
    play.up(node).run(10)
    assert [1, 1] == [len(node.told), len(other.told)]


@pytest.mark.parametrize("job", [MAKE, APPLY, DRAW, PULL, SERVE])
def test_a_stopped_engine_is_answered_as_any_other(play, job):
    """A stop ends it at once and without output, which is the good end of a served tree; a second
    stop is no error."""
    stops = (StopEngine("p"), StopEngine("p"), StopEngine("no such"))
    node = Asks(RunEngine("p", job), *stops)
    play.up(node).run(1000)
    assert [EngineEnded("p", b"", "" if job is SERVE else "stopped")] == node.told
    assert [0] == node.times_ns


@pytest.mark.parametrize("job", [MAKE, PULL, SERVE])
def test_a_host_that_dies_takes_its_engines_along(play, job):
    """Nobody is told, neither then nor in the next life, in which the same names are free."""
    node = Asks(RunEngine("p", job), then=lambda event: ())
    play.up(node)
    play.run(0.05).world.kill(play.center, "kill", -1)
    play.run(300)
    play.world.boot(play.center)
    play.run(0.02)
    assert [] == node.told
    play.run(300)
    assert (0 if job is SERVE else 1) == len(ended(node))


def test_a_node_that_dies_takes_its_engines_along(play):
    """A node's own exception ends its daemon: its port is free for another node."""

    def breaks(event):
        raise ValueError("broken")

    node = Asks(RunEngine("s", SERVE), RunEngine("p", MAKE), then=breaks)
    other = Asks(RunEngine("d", DRAW), then=lambda e: (RunEngine("s", SERVE),))
    play.center.add("other", lambda: other, ())
    play.up(node).run(1)
    assert play.center.engines.shown(PORT) is None
    play.run(10)
    assert play.center.engines.shown(PORT) is not None
    assert ["d"] == [event.run for event in ended(other)]


def test_a_frozen_host_is_answered_when_it_thaws(play):
    """The end of an engine is heard after the thaw, and once."""
    node = Asks(RunEngine("p", MAKE))
    play.up(node)
    play.center.freeze(-1)
    play.run(10)
    assert [] == node.told
    play.center.thaw()
    assert [EngineEnded("p", b"onetwo", "")] == node.told
    assert [10 * 10**9] == node.times_ns


@pytest.mark.parametrize(
    "wrong",
    [
        RunEngine("p", "job"),
        RunEngine(1, MAKE),
        StopEngine(b"p"),
        RunEngine("p", MakeDelta("text", b"")),
        RunEngine("p", ApplyDelta(b"", b"", None)),
        RunEngine("p", ServeTree("80", "riometer/")),
        RunEngine("p", ServeTree(PORT, "riometer")),
        RunEngine("p", PullTree(("host", 1), "a/", "b/", "c/", 1)),
        RunEngine("p", PullTree(PULL.peer, "a/", "b", "c/", 1)),
        RunEngine("p", DrawDay("{}")),
    ],
)
def test_what_is_no_job_ends_the_node(play, wrong):
    """A job of wrong types, or a folder without its final slash, is a node's own mistake."""
    node = Asks(wrong)
    play.up(node).run(10)
    assert [] == node.told
    assert ["center/client"] == [line["where"] for line in play.end() if "error" in line]


def test_a_missing_program_is_an_answer(stage):
    """rsync that is not on the machine is told, with what to do about it, at both ends."""
    play = stage(tools=Scripted(missing="rsync is missing; as root: apt-get install it."))
    client, server = Asks(RunEngine("p", PULL)), Asks(RunEngine("s", SERVE))
    play.up(client, server).run(1)
    reason = "rsync is missing; as root: apt-get install it."
    assert [EngineEnded("p", b"", reason)] == client.told
    assert [EngineEnded("s", b"", reason)] == server.told


def test_nothing_draws_where_nothing_was_given(stage):
    """Without a harness that draws there are no plots, which is an answer, as is a plot that
    fails."""

    def fails(document):
        raise OSError("no ink")

    for draw, reason in ((None, NO_PLOTS), (fails, "no ink")):
        play = stage(tools=Scripted(), draw=draw)
        node = Asks(RunEngine("p", DRAW))
        play.up(node).run(10)
        assert [EngineEnded("p", b"", reason)] == node.told


def test_a_port_has_one_daemon(play):
    """A second daemon of a port ends with a reason; one that is stopped makes room."""
    node = Asks(
        RunEngine("a", SERVE),
        RunEngine("b", SERVE),
        RunEngine("c", ServeTree(0, "riometer/")),
        then=lambda e: (StopEngine("a"), RunEngine("b", SERVE)) if len(node.told) == 3 else (),
    )
    play.center.add("other", lambda: Asks(), (Listen(1),))
    play.up(node).run(1)
    taken = f"rsync: port {PORT} is taken by another daemon."
    assert [("b", taken), ("c", "rsync: there is no port 0.")] == [
        (event.run, event.reason) for event in node.told
    ]
