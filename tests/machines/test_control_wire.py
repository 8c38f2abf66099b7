"""The wire between the stage and its processes: whole messages, in order, and a lifeline."""

import os
import socket

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldproof_simulators.machines.live.control import (
    DESCRIPTORS,
    MESSAGE_BYTES,
    Control,
    ControlClosed,
    pair,
)

TEXTS = st.binary(max_size=20).map(lambda name: b'{"' + name + b'":1}')

understand = msgspec.json.Decoder(dict[str, int]).decode


@pytest.fixture
def wire():
    """Both ends."""
    ends = [Control(end, understand) for end in pair()]
    yield ends
    for end in ends:
        end.close()


def test_messages_come_whole_and_in_order(wire):
    """What was sent before the other end looked is all there, each message for itself."""
    ours, theirs = wire
    assert [] == theirs.receive_all()
    for n in range(20):
        ours.send({"n": n})
    assert [{"n": n} for n in range(20)] == theirs.receive_all()
    assert [] == theirs.receive_all()


def test_descriptors_travel_along(wire):
    """A descriptor that came with a message is the same file, and is not inherited by children."""
    ours, theirs = wire
    read_end, write_end = os.pipe()
    ours.send({"n": 1}, [write_end])
    assert [{"n": 1}] == theirs.await_some(10)
    (taken,) = theirs.take_descriptors()
    assert ([], False) == (theirs.take_descriptors(), os.get_inheritable(taken))
    os.write(taken, b"through")
    assert b"through" == os.read(read_end, 10)
    for descriptor in (read_end, write_end, taken):
        os.close(descriptor)


def test_the_end_comes_after_the_last_message(wire):
    """An end that goes is noticed, and not before all that it had said was received."""
    ours, theirs = wire
    ours.send({"n": 1})
    ours.close()
    assert [{"n": 1}] == theirs.receive_all()
    with pytest.raises(ControlClosed, match="is gone"):
        theirs.receive_all()
    with pytest.raises(ControlClosed, match="is gone"):
        theirs.send({"n": 2})


def test_an_end_that_went_without_reading(wire):
    """What nobody will read any more is no reason to miss the end."""
    ours, theirs = wire
    theirs.send({"n": 1})
    ours.close()
    with pytest.raises(ControlClosed, match="is gone"):
        theirs.receive_all()


def test_nobody_waits_for_an_end_that_does_not_read(wire, monkeypatch):
    """When the wire is full `offer` says so at once, and `send` gives up after its time."""
    ours, theirs = wire
    monkeypatch.setattr("fieldproof_simulators.machines.live.control.SEND_S", 0.01)
    sent = 0
    while ours.offer({"n": sent}):
        sent += 1
    with pytest.raises(ControlClosed, match=r"read nothing for 0\.01 s"):
        ours.send({"n": sent})
    assert [{"n": n} for n in range(sent)] == theirs.receive_all()
    assert ours.offer({"n": sent})


def test_an_adopted_end(wire):
    """A child that was given a descriptor makes its end of it."""
    ours, _ = wire
    mine, given_away = pair()
    parent = Control(mine, understand)
    child = Control.adopt(given_away.detach(), understand)
    parent.send({"n": 3})
    assert [{"n": 3}] == child.await_some(10)
    for end in (parent, child):
        end.close()
    assert ours.fileno() >= 0


@pytest.mark.parametrize(
    ("message", "descriptors"),
    [({"x" * MESSAGE_BYTES: 1}, []), ({"n": 1}, [0] * (DESCRIPTORS + 1))],
)
def test_what_is_too_long(wire, message, descriptors):
    """A message that the other end could not receive is refused where it is sent."""
    with pytest.raises(ValueError, match="is too long"):
        wire[0].offer(message, descriptors)


@given(st.one_of(st.binary(min_size=1, max_size=200), TEXTS))
def test_nonsense(data: bytes):
    """Any packet is either understood or ends the wire; nothing else is raised."""
    raw, theirs = pair()
    end = Control(theirs, understand)
    with raw:
        raw.send(data)
        try:
            (message,) = end.receive_all()
            assert message == msgspec.json.decode(data)
        except ControlClosed as error:
            assert "makes no sense" in str(error)
    end.close()


def test_the_other_kind_of_socket_is_not_needed():
    """Both ends keep packets apart."""
    ours, theirs = pair()
    assert socket.SOCK_SEQPACKET == ours.type == theirs.type
    ours.close()
    theirs.close()
