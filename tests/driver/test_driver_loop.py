"""What the driver waits for and what it writes down: in order, in turns, one line at a time."""

import json
import os
import time
from contextlib import closing

import pytest

from fieldproof_reference.live.events import EventLog
from fieldproof_reference.live.loop import READ, Loop


@pytest.fixture
def loop():
    with closing(Loop()) as loop:
        yield loop


@pytest.fixture
def pipes():
    """Two pipes that can be read."""
    ends = [os.pipe() for _ in range(2)]
    for _, tail in ends:
        os.write(tail, b"x")
    yield [head for head, _ in ends]
    for fd in (fd for pair in ends for fd in pair):
        os.close(fd)


def test_what_an_earlier_action_forgot_is_not_called(loop, pipes):
    """Of two descriptors that are ready, the one that the first action forgets is left alone, also
    when its number is watched anew in the same turn."""
    called = []

    def forget_other(mine, other, again):
        called.append(mine)
        loop.unwatch(other)
        if again:
            loop.watch(other, READ, lambda: called.append("new"))

    one, two = pipes
    for again in (False, True):
        called.clear()
        loop.watch(one, READ, lambda again=again: forget_other(one, two, again))
        loop.watch(two, READ, lambda again=again: forget_other(two, one, again))
        loop.turn(time.monotonic_ns())
        assert 1 == len(called)


def test_times_are_kept_in_order(loop):
    """What is due is done by its time, and in the order of asking where times are equal; what is
    not due waits; nothing makes the loop wait longer than it should."""
    done = []
    now_ns = time.monotonic_ns()
    for due_ns, name in ((3, "c"), (1, "a"), (3, "d"), (2, "b"), (10**18, "never")):
        loop.call_at(now_ns - 100 + due_ns, lambda name=name: done.append(name))
    loop.turn(None)
    assert ["a", "b", "c", "d"] == done
    until_ns = time.monotonic_ns() + 3_000_000
    loop.turn(until_ns)
    assert until_ns <= time.monotonic_ns() + 1_000_000
    assert "never" not in done


def test_a_descriptor_that_is_not_watched_can_be_forgotten(loop, pipes):
    """Once or twice."""
    loop.watch(pipes[0], READ, lambda: None)
    loop.unwatch(pipes[0])
    loop.unwatch(pipes[0])


# --- the event log --------------------------------------------------------------------------------


def test_events_are_one_line_and_one_write_each(tmp_path, monkeypatch):
    """A line has its time, who it is of, and what was said or is a fact; half characters are no
    reason to lose it."""
    writes = []
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: writes.append(data) or real(fd, data))
    before_ns = time.monotonic_ns()
    with closing(EventLog(tmp_path / "events.jsonl")) as events:
        events.said("daws/filing", "torn tail moved aside", {"path": "\ud800", "bytes": 3})
        events.fact("daws/filing", "node died", {"error": "RuntimeError('line\nbreak')"})
    first, second = map(json.loads, (tmp_path / "events.jsonl").read_bytes().splitlines())
    assert before_ns <= first.pop("ns") <= second.pop("ns") <= time.monotonic_ns()
    detail = {"path": "\ud800", "bytes": 3}
    assert {"by": "daws/filing", "said": "torn tail moved aside", "detail": detail} == first
    detail = {"error": "RuntimeError('line\nbreak')"}
    assert {"by": "daws/filing", "fact": "node died", "detail": detail} == second
    assert 2 == len(writes)


def test_events_are_appended_and_the_file_can_be_moved(tmp_path):
    """A log of an earlier life stays; after `reopen` lines go to a new file of the old name."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"before\n")
    with closing(EventLog(path)) as events:
        events.said("a", "one", {})
        path.rename(tmp_path / "moved")
        events.said("a", "two", {})
        events.reopen()
        events.said("a", "three", {})
    assert 3 == len((tmp_path / "moved").read_bytes().splitlines())
    assert 1 == len(path.read_bytes().splitlines())


def test_events_that_nobody_wants_or_takes_are_no_trouble(tmp_path):
    """Without a file nothing is written; on a full disk lines are lost, and counted."""
    with closing(EventLog(None)) as silent:
        silent.said("a", "word", {})
        silent.reopen()
        assert 0 == silent.lost
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    with closing(EventLog(full)) as events:
        events.said("a", "word", {})
        assert 1 == events.lost
