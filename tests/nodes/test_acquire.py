"""Serial words become records: nothing is lost, doubled or moved, however the bytes come in."""

import random
import struct
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldproof_contract import (
    SECOND_NS,
    LineData,
    LineDown,
    LineSeconds,
    LineUp,
    Monotonic,
    Now,
    Publish,
)
from fieldproof_reference.edge import LOST, RECORD, EdgeSettings, Lost
from fieldproof_reference.edge.acquire import Acquire
from fieldproof_reference.formats import xrio

SAMPLE_NS = SECOND_NS / 60
BEGINS_UTC_NS = 1_137_456_000 * SECOND_NS + 250_000_000  # 2006-01-17 00:00:00.25
SETTINGS = EdgeSettings("daws", "136.159.51.71", b"")


def words(codes):
    return b"".join(bytes((0x80 | code >> 6, code & 0x3F)) for code in codes)


def at(index, offset_ns=0):
    """When sample `index` arrives, on a host whose UTC is `offset_ns` off."""
    ns = round(index * SAMPLE_NS)
    return Now(Monotonic(ns), BEGINS_UTC_NS + ns + offset_ns)


def published(effects, topic):
    assert all(isinstance(effect, Publish) for effect in effects)
    return [effect.message for effect in effects if effect.topic == topic]


def records_of(effects):
    return published(effects, RECORD)


def points(record):
    values = struct.unpack(f"<{(len(record) - 20) // 2}H", record[20:])
    return list(zip(values[0::3], values[1::3], values[2::3], strict=True))


def started():
    node = Acquire(SETTINGS)
    assert () == node.start(None, at(0))
    return node


def heard(codes, offset_ns=lambda index: 0, silent=lambda index: False):
    """All that the node wants of an instrument whose samples come one by one."""
    node = started()
    effects = ()
    for index, code in enumerate(codes):
        if not silent(index):
            word = LineData("riometer", words([code]))
            effects += node.receive(word, at(index, offset_ns(index)))
    return effects


def acquired(codes, offset_ns=lambda index: 0, silent=lambda index: False):
    """The records of that."""
    return records_of(heard(codes, offset_ns, silent))


def codes_of(count, seed=1):
    source = random.Random(seed)
    return [source.randrange(4096) for _ in range(count)]


def recomputed(codes, counts):
    """The points of these samples in this order, by the definition."""
    for count in counts:
        mine, codes = codes[:count], codes[count:]
        yield ((2 * sum(mine) + count) // (2 * count), max(mine) - min(mine), count)


def test_a_record_is_sixty_seconds_of_the_clock():
    """The first second ends with the clock's, the others have 60 samples, and the label is the
    second of the first sample."""
    (record,) = acquired(codes_of(3600))
    assert ("XRIO", b"DAWS") == (record[:4].decode(), record[4:8])
    assert BEGINS_UTC_NS // SECOND_NS == xrio.timestamp_s(record)
    assert [45] + 59 * [60] == [count for _, _, count in points(record)]


@settings(max_examples=25)
@given(st.integers(0, 400), st.integers(0, 2**32))
def test_points_partition_the_samples(cuts, seed):
    """However the stream of bytes is cut, every sample is used once and in order."""
    codes = codes_of(9_000, seed)
    stream, source = words(codes), random.Random(seed)
    bounds = sorted([0, len(stream), *(source.randrange(len(stream)) for _ in range(cuts))])
    node, effects = started(), ()
    for start, end in pairwise(bounds):
        effects += node.receive(LineData("riometer", stream[start:end]), at(end // 2))
    found = [point for record in records_of(effects) for point in points(record)]
    assert 120 == len(found)
    assert list(recomputed(codes, [count for _, _, count in found])) == found


@given(
    st.lists(st.integers(0, 90), min_size=60, max_size=240).filter(lambda counts: any(counts)),
    st.integers(0, 99),
)
def test_whole_seconds_give_the_points_of_their_samples(counts, seed):
    """A front-end that groups samples itself gets the same arithmetic, empty seconds included."""
    codes = codes_of(sum(counts), seed)
    seconds = LineSeconds(
        "riometer",
        1_137_456_000,
        struct.pack(f"<{len(counts)}H", *counts),
        struct.pack(f"<{len(codes)}H", *codes),
    )
    found = records_of(started().receive(seconds, at(0)))
    filled = iter(list(recomputed(codes, [count for count in counts if count])))
    expected = [next(filled) if count else (0, 0, 0) for count in counts]
    whole = len(counts) // 60
    assert expected[: 60 * whole] == [point for record in found for point in points(record)]
    assert [1_137_456_000 + 60 * n for n in range(whole)] == [xrio.timestamp_s(r) for r in found]


def test_words_and_whole_seconds_give_the_same_record():
    """What the line brings sample by sample and what a front-end brings at once is one record."""
    codes = codes_of(3_600)
    lengths = np.array([45] + 59 * [60], dtype="<u2")
    used = codes[: int(lengths.sum())]
    seconds = LineSeconds(
        "riometer",
        BEGINS_UTC_NS // SECOND_NS,
        lengths.tobytes(),
        np.array(used, dtype="<u2").tobytes(),
    )
    assert acquired(codes) == records_of(started().receive(seconds, at(3_600)))


@pytest.mark.parametrize("step_s", [-86_400, -61, -1, 1, 3_600])
def test_a_clock_that_steps_by_seconds_changes_labels_alone(step_s):
    """After a step the next record has another label, and no point of any record changes."""
    codes = codes_of(11_000)
    stepped = acquired(codes, lambda index: step_s * SECOND_NS if index > 1_000 else 0)
    steady = acquired(codes)
    assert [record[20:] for record in steady] == [record[20:] for record in stepped]
    expected = [0, step_s, step_s]
    labels = zip(stepped, steady, strict=True)
    assert expected == [xrio.timestamp_s(a) - xrio.timestamp_s(b) for a, b in labels]


def test_a_step_of_a_part_of_a_second_is_taken_up_by_one_second():
    """The clock's new seconds begin with the next record, whose first second is longer or shorter
    by the step; all samples stay in order."""
    codes = codes_of(11_000)
    stepped = acquired(codes, lambda index: 400_000_000 if index > 1_000 else 0)
    counts = [[count for _, _, count in points(record)] for record in stepped]
    assert [[45] + 59 * [60], [36] + 59 * [60], 60 * [60]] == counts
    found = [point for record in stepped for point in points(record)]
    assert list(recomputed(codes, [count for _, _, count in found])) == found


def test_a_leap_second_repeats_a_label():
    """Unix time goes back by one at the leap second: the record after it begins 59 labels later,
    and both have 60 seconds."""
    stepped = acquired(codes_of(7_300), lambda index: -SECOND_NS if index >= 2_000 else 0)
    first, second = stepped
    assert 59 == xrio.timestamp_s(second) - xrio.timestamp_s(first)
    assert [60, 60] == [len(points(record)) for record in stepped]


def test_a_clock_from_before_1970_does_not_end_the_measurement():
    """A time that the record's 32 bits do not hold wraps, and all samples are kept."""
    (record,) = acquired(codes_of(3_700), lambda index: -BEGINS_UTC_NS - 100 * SECOND_NS)
    assert 2**32 - 100 == xrio.timestamp_s(record)


def test_short_silence_is_seconds_without_samples():
    """A line that is silent for 20 s leaves 20 points of no samples, and the record goes on."""
    codes = codes_of(3_600)
    (record,) = acquired(codes, silent=lambda index: 645 <= index < 1_845)
    counts = [count for _, _, count in points(record)]
    assert [45] + 10 * [60] + 20 * [0] + 29 * [60] == counts
    used = codes[:645] + codes[1_845:]
    assert list(recomputed(used, filter(None, counts))) == [p for p in points(record) if p[2]]


def test_long_silence_ends_the_record():
    """After two minutes of silence the open record is completed by empty seconds, and a new one
    begins with the next sample, in that sample's second."""
    codes = codes_of(11_000)
    first, second = acquired(codes, silent=lambda index: 645 <= index < 7_300)
    assert [45] + 10 * [60] + 49 * [0] == [count for _, _, count in points(first)]
    began_s = at(7_300).utc_ns // SECOND_NS
    assert began_s == xrio.timestamp_s(second)
    assert [5] + 59 * [60] == [count for _, _, count in points(second)]


@pytest.mark.parametrize("lost", [1, 2, 3, 120])
def test_lost_bytes_cost_their_own_words_alone(lost):
    """Bytes that are lost on the line cost the words that they belong to; the samples on both sides
    are used once each."""
    codes = codes_of(7_300)
    stream = words(codes)
    torn = stream[:1_000] + stream[1_000 + lost :]
    node, effects = started(), ()
    for start in range(0, len(torn), 2):
        effects += node.receive(LineData("riometer", torn[start : start + 2]), at(start // 2))
    found = [point for record in records_of(effects) for point in points(record)]
    used = codes[:500] + codes[500 + (lost + 1) // 2 :]
    assert list(recomputed(used, [count for _, _, count in found])) == found


def test_a_stretch_without_a_record_is_told_as_lost():
    """After a silence in which no record came to be, the seconds from the last record's end up to
    and with that of the next sample are lost; what a record has as empty seconds is not."""
    told = heard(codes_of(11_000), silent=lambda index: 645 <= index < 7_300)
    first, second = map(xrio.timestamp_s, records_of(told))
    assert [Lost(first + 60, second + 1, "line down")] == published(told, LOST)
    assert [] == published(heard(codes_of(9_000), silent=lambda i: 645 <= i < 1_845), LOST)


@pytest.mark.parametrize(("first", "seconds"), [(59, []), (60, [2]), (7_260, [122])])
def test_a_line_that_is_silent_from_the_start_is_told_as_lost(first, seconds):
    """A first sample a second or more after the start tells of the stretch between; one that comes
    sooner tells of nothing, for no line speaks at once."""
    told = heard(codes_of(first + 1), silent=lambda index: index < first)
    (began_s, found) = at(0).utc_ns // SECOND_NS, published(told, LOST)
    assert [Lost(began_s, began_s + each, "line down") for each in seconds] == found


@pytest.mark.parametrize("step_s", [-86_400, -3_600, 3_600])
def test_a_clock_that_steps_in_a_silence_leaves_a_stretch_that_makes_sense(step_s):
    """Forward, the stretch reaches to the new time; back, it is as long as the silence was."""
    told = heard(
        codes_of(11_000),
        lambda index: step_s * SECOND_NS if index >= 7_300 else 0,
        lambda index: 645 <= index < 7_300,
    )
    (lost,) = published(told, LOST)
    began_s = at(7_300).utc_ns // SECOND_NS + step_s
    ended_s = BEGINS_UTC_NS // SECOND_NS + 60
    assert began_s + 1 == lost.until_s
    assert (ended_s if step_s > 0 else began_s - 61) == lost.from_s


@pytest.mark.parametrize("event", [LineUp("riometer"), LineDown("riometer", "unplugged")])
def test_a_line_that_comes_or_goes_costs_the_half_word_alone(event):
    """What comes after the line was down continues no word from before; the open record goes on."""
    codes = codes_of(7_300)
    stream = words(codes)
    node, effects = started(), ()
    for index in range(len(codes)):
        data = stream[2 * index : 2 * index + 2]
        if index == 1_000:
            effects += node.receive(LineData("riometer", data[:1]), at(index))
            effects += node.receive(event, at(index))
            data = data[1:]
        effects += node.receive(LineData("riometer", data), at(index))
    found = [point for record in records_of(effects) for point in points(record)]
    used = codes[:1_000] + codes[1_001:]
    assert 120 == len(found)
    assert list(recomputed(used, [count for _, _, count in found])) == found


def test_bytes_that_are_no_sample_are_counted_over_all_decoders():
    """The figure for people goes on when the line comes up again."""
    node = started()
    for data in (b"\xff\xff", b"\x01"):
        node.receive(LineData("riometer", data), at(0))
        node.receive(LineUp("riometer"), at(0))
    assert {"bytes discarded": 3} == node.figures()


def test_other_events_and_the_clock_change_nothing():
    """The line is the only thing that this node hears."""
    node = started()
    assert ((), None) == (node.advance(at(0)), node.deadline())
