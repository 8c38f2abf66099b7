"""The model of a serial line loses nothing without saying so, and nothing faster than the line."""

import heapq
from itertools import count, pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldproof_simulators.lines.adwords import word_time_ns
from fieldproof_simulators.lines.hurts import KINDS, SENDER_BYTES, Hurt
from fieldproof_simulators.lines.serial import RECEIVER_BYTES, Framing, SerialLine

WORD_NS = word_time_ns()
MS = 1_000_000
SAMPLE_NS = 16_666_667
BYTE_NS = Framing().time_ns(1)


class Played(NamedTuple):
    """What came of a played line."""

    sent: bytes
    heard: list[tuple[int, bytes]]  # when, and what
    facts: list[tuple[str, dict]]
    line: SerialLine

    @property
    def data(self) -> bytes:
        return b"".join(data for _, data in self.heard)

    def facts_of(self, what: str) -> list[dict]:
        return [detail for said, detail in self.facts if said == what]

    def lost(self) -> int:
        """Bytes that facts say are lost."""
        return sum(
            detail["bytes"]
            for what, detail in self.facts
            if what in ("line dropped", "line overrun")
        )


def play(hurts=(), samples: int = 120, unread: int = 0, seed: int = 1, value=None) -> Played:
    """Words of `samples` on a line with faults (at_ns, until_ns or None, Hurt), driven by events as
    a feed drives it. Byte n of the stream has the value `value(n)`, else n modulo 251."""
    value = value or (lambda place: place % 251)
    line = SerialLine("daws", seed)
    line.unread = unread
    order = count()  # what happens at one instant happens in the order in which it was asked for
    events = []
    for at_ns, until_ns, hurt in hurts:
        events.append((at_ns, next(order), "hurt", hurt))
        if until_ns is not None:
            events.append((until_ns, next(order), "heal", hurt))
    events += [(k * SAMPLE_NS + WORD_NS, next(order), "word", k) for k in range(samples)]
    heapq.heapify(events)
    heard, facts, sent = [], [], b""
    while events:
        now_ns, _, what, which = heapq.heappop(events)
        if what == "word":
            word = bytes(map(value, (2 * which, 2 * which + 1)))
            sent += word
            line.send(now_ns - WORD_NS, 2 * which, word)
        elif what == "hurt":
            line.hurt(now_ns, which)
        elif what == "heal":
            line.heal(now_ns, which.fault)
        if what in ("word", "wake") and (data := line.advance(now_ns)):
            heard.append((now_ns, data))
        facts += line.take_facts()
        if (due_ns := line.due_ns()) is not None:
            heapq.heappush(events, (max(due_ns, now_ns), next(order), "wake", 0))
    facts += line.finish()
    return Played(sent, heard, facts, line)


def test_a_line_that_is_well_passes_each_word_when_it_has_crossed():
    """Without a fault every word is heard whole, one word's time after it was sent."""
    played = play(samples=100)
    assert [k * SAMPLE_NS + WORD_NS for k in range(100)] == [ns for ns, _ in played.heard]
    assert (played.sent, [], True) == (played.data, played.facts, played.line.clean)


@pytest.mark.parametrize(
    ("framing", "ms"),
    [(Framing(), 1041.6), (Framing(2400), 4166.6), (Framing(9600, 7, "E", 2), 1145.8)],
)
def test_a_byte_takes_its_bits(framing: Framing, ms: float):
    """A thousand bytes take a thousand times start, data, parity and stop bits."""
    assert ms == framing.time_ns(1000) // 100_000 / 10


def test_bytes_cross_one_after_the_other():
    """What is sent at one instant is heard at line rate."""
    line = SerialLine("daws", 1)
    line.send(0, 0, bytes(range(10)))
    times = []
    while (due_ns := line.due_ns()) is not None:
        times.append(due_ns)
        assert bytes((len(times) - 1,)) == line.advance(due_ns)
    assert [Framing().time_ns(n) for n in range(1, 11)] == times


@pytest.mark.parametrize("size", [1, 2, 3, 64])
def test_a_burst_is_so_many_bytes_in_one_piece(size: int):
    """A burst takes its count of neighbouring bytes, from where it struck, and is over."""
    played = play([(500 * MS, None, Hurt("burst", 0, count=size))])
    (fact,) = played.facts_of("line dropped")
    first = fact["from_byte"]
    assert {"fault": 0, "cause": "burst", "bytes": size, "from_byte": first} | {
        "until_byte": first + size
    } == fact
    assert played.sent[:first] + played.sent[first + size :] == played.data
    assert first in (60, 61)  # word 30 is the first to cross after half a second
    assert (size, True) == (played.line.fired(0), played.line.clean)


def test_bursts_begin_in_the_middle_of_words_too():
    """Of many faults, some strike between the halves of a word."""
    first = {
        play([(500 * MS, None, Hurt("burst", n, count=2))], 40).facts[0][1]["from_byte"]
        for n in range(20)
    }
    assert {60, 61} == first


def test_dropped_bytes_are_single():
    """Each dropped byte has whole neighbours, and as many are dropped as were asked for."""
    played = play([(500 * MS, None, Hurt("drop", 4, count=25))], samples=400)
    lost = sorted(set(range(len(played.sent))) - set(_places(played)))
    assert 25 == len(lost) == played.line.fired(4) == played.lost()
    assert all(2 <= b - a <= 17 for a, b in pairwise(lost))


def _places(played: Played) -> list[int]:
    """The places of the heard bytes, where losses are shorter than 251 bytes."""
    places, at = [], -1
    for byte in played.data:
        at += 1
        while at % 251 != byte:
            at += 1
        places.append(at)
    return places


def test_noise_flips_one_bit_of_some_bytes():
    """A garbled byte differs in one bit, and every one of them is in a fact."""
    played = play([(0, 60_000 * MS, Hurt("garble", 2, percent=10.0))], samples=3000)
    assert len(played.sent) == len(played.data)
    changed = [a ^ b for a, b in zip(played.sent, played.data, strict=True) if a != b]
    assert {1 << bit for bit in range(8)} == set(changed)
    assert 500 < len(changed) < 700
    assert len(changed) == sum(fact["bytes"] for fact in played.facts_of("line garbled"))
    assert len(changed) == played.line.fired(2)


def test_what_is_garbled_depends_on_the_place_alone():
    """A window that begins later garbles the same bytes from there on."""
    early = play([(0, 3000 * MS, Hurt("garble", 0, percent=20.0))])
    late = play([(1000 * MS, 3000 * MS, Hurt("garble", 0, percent=20.0))])
    assert early.data[130:] == late.data[130:]
    assert late.sent[:120] == late.data[:120]


def test_an_unplugged_line_loses_everything():
    """From unplug to replug no byte is heard, and one fact says which."""
    played = play([(500 * MS, 1000 * MS, Hurt("unplug", 3))])
    (fact,) = played.facts_of("line dropped")
    assert (60, 120) == (fact["from_byte"], fact["until_byte"])
    assert played.sent[:60] + played.sent[120:] == played.data
    assert [{"fault": 3}] == played.facts_of("line unplugged") == played.facts_of("line replugged")


def test_a_fault_can_split_a_word():
    """A byte that crossed before the cable was pulled is heard; its neighbour is not."""
    between_ns = 30 * SAMPLE_NS + BYTE_NS + BYTE_NS // 2
    played = play([(between_ns, 1000 * MS, Hurt("unplug", 0))])
    assert 61 == played.facts_of("line dropped")[0]["from_byte"]


def test_a_stall_keeps_what_the_sender_can_hold():
    """A stall loses what the sender's buffer cannot hold; the rest comes at line rate after it."""
    played = play([(500 * MS, 1500 * MS, Hurt("stall", 0))])
    (fact,) = played.facts_of("line dropped")
    assert ("stall", 120 - SENDER_BYTES) == (fact["cause"], fact["bytes"])
    assert played.sent[: 60 + SENDER_BYTES] + played.sent[fact["until_byte"] :] == played.data
    backlog = [ns for ns, _ in played.heard if 1500 * MS < ns <= 1500 * MS + SENDER_BYTES * BYTE_NS]
    assert 1500 * MS + BYTE_NS == backlog[0]
    assert not [ns for ns, _ in played.heard if 500 * MS + 2 * BYTE_NS < ns <= 1500 * MS]


def test_a_reader_that_does_not_read_loses_what_comes_then():
    """The receiver has room for its FIFO and the line discipline, and not a byte more."""
    played = play(samples=100, unread=RECEIVER_BYTES - 1)
    assert [bytes((place % 251,)) for place in range(0, 200, 2)] == [d for _, d in played.heard]
    assert 100 == played.line.overrun_bytes == played.lost()


def test_flow_control_eats_two_values():
    """XON and XOFF do not come through, and everything else does."""
    played = play([(0, 9000 * MS, Hurt("xonxoff", 0))], value=lambda place: place % 32)
    assert bytes(byte for byte in played.sent if byte not in (0x11, 0x13)) == played.data
    assert len(played.sent) - len(played.data) == played.lost()


def test_a_terminal_that_is_raw_again_gives_its_open_line():
    """Bytes that waited for the end of a line come when there are no lines any more."""
    played = play(
        [(0, 1000 * MS, Hurt("cooked", 0))], samples=90, value=lambda place: 0x80 + place % 64
    )
    assert played.sent == played.data
    assert played.heard[0][0] > 1000 * MS


def test_a_new_life_of_the_reader_begins_with_nothing():
    """What was on its way to a reader that died is not for the next, and the fault goes on."""
    line = SerialLine("daws", 1)
    line.hurt(0, Hurt("stall", 0))
    line.send(0, 0, b"\x80\x01")
    line.begin_anew()
    line.heal(100 * MS, 0)
    line.send(100 * MS, 12, b"\x80\x02")
    assert b"\x80\x02" == line.advance(100 * MS + WORD_NS)


def test_an_unknown_kind_is_refused():
    """A kind that there is not is a ValueError that names those that there are."""
    with pytest.raises(ValueError, match=r"'gnaw'.*garble"):
        Hurt("gnaw", 0)


WINDOWS = st.lists(
    st.tuples(
        st.sampled_from(sorted(KINDS)),
        st.integers(0, 1900),
        st.integers(1, 1000),
        st.integers(0, 40),
        st.sampled_from([0.5, 5.0, 50.0, 100.0]),
        st.integers(0, 2_100_000),
    ),
    max_size=4,
)


@given(WINDOWS, st.integers(0, 2**32), st.sampled_from([0, RECEIVER_BYTES - 5]))
def test_whatever_happens_every_byte_is_heard_or_said_to_be_lost(windows, seed, unread):
    """Sent is heard and lost, in order, never early, and the line is well again in the end."""
    hurts = [
        (
            from_ms * MS + off_ns,
            None if kind in ("drop", "burst") else (from_ms + for_ms) * MS + off_ns,
            Hurt(kind, fault, size, percent),
        )
        for fault, (kind, from_ms, for_ms, size, percent, off_ns) in enumerate(windows)
    ]
    played = play(hurts, 400, unread, seed)
    assert len(played.sent) == len(played.data) + played.lost()
    assert played.line.clean or unread
    if not {"garble", "cooked"} & {hurt.kind for _, _, hurt in hurts}:
        rest = iter(played.sent)
        assert all(byte in rest for byte in played.data), "bytes are out of order"
    crossed = 0
    for ns, data in played.heard:
        crossed += len(data)
        assert crossed <= 2 * (ns // SAMPLE_NS + 1)
