"""The model of a terminal in canonical mode is held against a real one, byte for byte."""

import os
import select
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fieldproof_simulators.lines.adwords import encode
from fieldproof_simulators.lines.discipline import LINE_BYTES, Byte, Cooked

ANSWER_MS = 10_000


@contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    """A new terminal, as Linux makes it: the instrument's side and the reader's."""
    master, slave = os.openpty()
    try:
        for descriptor in (master, slave):
            os.set_blocking(descriptor, False)
        yield master, slave
    finally:
        os.close(master)
        os.close(slave)


def echo_read(master: int) -> None:
    """Take what the terminal echoes, so that it never fills up."""
    try:
        while os.read(master, 65_536):
            pass
    except BlockingIOError:
        return


def lines_of_terminal(data: bytes) -> list[bytes]:
    """What a reader reads, in pieces, that reads as soon as it can; whether it can, the model says:
    where the model is wrong, the pieces differ or the wait is in vain."""
    model, pieces = Cooked(), []
    with terminal() as (master, slave):
        waiting = select.poll()
        waiting.register(slave, select.POLLIN)
        for place, value in enumerate(data):
            os.write(master, bytes((value,)))
            echo_read(master)
            if model.take(Byte(place, value)).heard is not None:
                assert waiting.poll(ANSWER_MS), f"nothing to read after byte {place} of {data!r}"
                pieces.append(os.read(slave, 65_536))
        assert not waiting.poll(0) or pieces, "something to read that the model has not"
    return pieces


def lines_of_model(data: bytes) -> list[bytes]:
    """What the model says that a reader reads, in pieces."""
    model = Cooked()
    taken = [model.take(Byte(place, value)) for place, value in enumerate(data)]
    return [bytes(byte.value for byte in one.heard) for one in taken if one.heard is not None]


EDITORS = st.sampled_from(b"\x03\x04\x08\x0a\x0d\x11\x12\x13\x15\x16\x17\x1a\x1c\x7f\xff")
BYTES = st.lists(st.one_of(EDITORS, st.integers(0, 255)), max_size=80).map(bytes)


@settings(max_examples=60)
@given(BYTES)
@example(b"two words_\x17more \x17\n")
@example(b"caf\xe9 au\x17\x17\n")
@example(b"\x04\x16\x04\x04a\x16\n\n")
def test_any_bytes(data: bytes):
    """A real terminal gives the pieces that the model gives."""
    assert lines_of_model(data + b"\n\n") == lines_of_terminal(data + b"\n\n")


def test_words_of_the_converter():
    """What is left of a second's words is the same in the model and in a real terminal."""
    data = encode(range(2048, 2048 + 600, 7)) + b"\n"
    assert lines_of_model(data) == lines_of_terminal(data)
    assert len(data) > sum(map(len, lines_of_model(data)))


def test_one_word_in_six_is_hurt():
    """Of all codes, eleven in sixty-four have a second byte that is eaten or changed."""
    hurt = 0
    for code in range(4096):
        model = Cooked()
        first, second = encode([code])
        model.take(Byte(0, first))
        taken = model.take(Byte(1, second))
        hurt += bool(taken.lost or taken.changed)
    assert 4096 * 11 // 64 == hurt


def test_a_signal_throws_the_open_line_away():
    """The places of what a signal threw away are told, its own included."""
    model = Cooked()
    for place, value in enumerate(b"abc"):
        model.take(Byte(place, value))
    assert (0, 1, 2, 3) == model.take(Byte(3, 0x03)).lost
    assert () == model.release()


def test_a_carriage_return_is_changed():
    """It ends the line as a line feed, and is told as changed."""
    taken = Cooked().take(Byte(7, 0x0D))
    assert ((Byte(7, 0x0A),), (), (7,)) == taken


@pytest.mark.parametrize("more", [0, 1, 500])
def test_a_line_without_end_keeps_its_beginning(more: int):
    """Of a line that is too long the last byte makes room for each that comes after."""
    model = Cooked()
    lost = [model.take(Byte(place, 0x80)).lost for place in range(LINE_BYTES + more)]
    assert [(place,) for place in range(LINE_BYTES - 1, LINE_BYTES - 1 + more)] == lost[LINE_BYTES:]
    assert LINE_BYTES == len(model.release())
