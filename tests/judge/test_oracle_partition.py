"""The partition of samples, on archives built by hand under well and badly behaved clocks."""

from collections import Counter

import numpy as np
import pytest

from fieldproof.oracle import xrio
from fieldproof.oracle.clock import Clock
from fieldproof.oracle.locate import Archive
from fieldproof.oracle.partition import partition
from fieldproof_simulators.instruments.riometer import PreampDead, Riometer

S = 1_000_000_000
BEGINS_S = 1137512400
JUDGED = (600 * S, 1800 * S)
ENDS = 3600 * S


def archive_of(records):
    """Records in the order of an archive: by the hour of their label, then as they were made."""
    records = sorted(records, key=lambda data: int.from_bytes(data[12:16], "little") // 3600)
    decoded = xrio.decode(b"".join(records), "daws")
    fields = (decoded.offsets, decoded.sizes, decoded.timestamps_s, decoded.counts, decoded.points)
    return Archive(("hour.dat",), np.zeros(len(records), dtype=np.int64), *fields)


def judged(records, riometer, offsets=((0, 0, 0),), leaps=()):
    """The partition of an archive."""
    clock = Clock(BEGINS_S * S, leaps, ENDS, offsets)
    return partition(archive_of(records), riometer, clock, JUDGED)


@pytest.fixture
def riometer():
    """The instrument of a quiet hour."""
    return Riometer("daws", 1, BEGINS_S * S)


@pytest.fixture
def made(kit):
    """A record from true second `at_s` on, under a label that is `off_s` away."""

    def make(riometer, at_s, off_s=0, shift=0, floor=False):
        seconds_ns = np.array([round((at_s + n) * S) for n in range(61)])
        bounds = (riometer.firsts_at(seconds_ns) + shift).tolist()
        label_s = BEGINS_S + round(at_s + off_s)
        return kit.record(riometer, "daws", label_s, bounds, floor)

    return make


def closes(seen):
    """Whether every sample of the span is in a point or skipped."""
    return seen.archived - seen.reused + seen.skipped == seen.produced


@pytest.mark.parametrize("floor", [False, True])
def test_whole_archives_by_either_rounding_are_clean(riometer, made, floor):
    """No gap, no deviation, and every sample of the span counted once."""
    seen = judged([made(riometer, at, floor=floor) for at in range(545, 1900, 60)], riometer)
    assert ("floor" if floor else "nearest", (), ()) == (seen.rounding, seen.gaps, seen.deviations)
    assert (seen.produced, 0) == (seen.archived, seen.reused)
    assert 1200 * 60 - 5 <= seen.produced <= 1200 * 60 + 5


def test_the_other_rounding_within_an_archive_is_found(riometer, made):
    """An archive may round or cut off, but not both."""
    records = [made(riometer, at, floor=at == 1205) for at in range(545, 1900, 60)]
    seen = judged(records, riometer)
    assert {"value"} == {deviation.kind for deviation in seen.deviations}
    assert 15 < sum(deviation.points for deviation in seen.deviations) < 45


@pytest.mark.parametrize("samples", [-3, -2, 2, 3])
def test_boundaries_may_be_50_ms_off(riometer, made, samples):
    """Two or three samples of 60 Hz early or late are within tolerance."""
    shift = samples + (1 if samples == -3 else -1 if samples == 3 else 0)
    seen = judged([made(riometer, at, shift=shift) for at in range(545, 1900, 60)], riometer)
    assert () == seen.deviations


@pytest.mark.parametrize("samples", [-5, 5])
def test_boundaries_further_off_are_wrong_labels(riometer, made, samples):
    """Five samples are 83 ms; the first record of an archive may begin late in its second."""
    seen = judged([made(riometer, at, shift=samples) for at in range(545, 1900, 60)], riometer)
    assert {"label"} == {deviation.kind for deviation in seen.deviations}
    assert closes(seen)


@pytest.mark.parametrize("off_s", [1, -1, 65])
def test_labels_that_are_off_after_a_gap_are_wrong_labels(riometer, made, off_s):
    """A clock rebuilt from a count after a restart: the content is right, the time is not."""
    before = [made(riometer, at) for at in range(545, 1200, 60)]
    after = [made(riometer, at, off_s=-off_s) for at in range(1300, 1900, 60)]
    seen = judged(before + after, riometer)
    assert {"label"} == {deviation.kind for deviation in seen.deviations}
    if abs(off_s) == 1:
        assert closes(seen)
        assert [(1205, 1300)] == [
            (round(gap.from_ns / S), round(gap.until_ns / S)) for gap in seen.gaps
        ]


def test_gaps_are_named_by_their_samples(riometer, made):
    """Three records are missing: one gap of exactly their samples."""
    times = [at for at in range(545, 1900, 60) if at not in (1205, 1265, 1505)]
    seen = judged([made(riometer, at) for at in times], riometer)
    spans = [
        (riometer.first_at(a * S), riometer.first_at(b * S))
        for a, b in ((1205, 1325), (1505, 1565))
    ]
    assert (spans, ()) == ([(gap.first, gap.last) for gap in seen.gaps], seen.deviations)
    assert closes(seen)


def test_many_restarts_are_found_to_the_sample(riometer, made):
    """An archive that restarts every two minutes, in the middle of seconds."""
    records, expected = [], []
    for at in range(545, 1900, 125):
        records += [made(riometer, at), made(riometer, at + 60)]
        expected.append((riometer.first_at((at + 120) * S), riometer.first_at((at + 125) * S)))
    seen = judged(records, riometer)
    inside = [pair for pair in expected if 600 * 60 < pair[0] < 1799 * 60]
    assert (inside, ()) == ([(gap.first, gap.last) for gap in seen.gaps], seen.deviations)


def test_a_restart_may_begin_within_a_second(riometer, made, kit):
    """The first point after a gap holds what was heard of its second."""
    bounds = [riometer.first_at((1300 + n) * S) for n in range(61)]
    bounds[0] += 25
    late = kit.record(riometer, "daws", BEGINS_S + 1300, bounds)
    before = [made(riometer, at) for at in range(545, 1200, 60)]
    after = [made(riometer, at) for at in range(1360, 1900, 60)]
    seen = judged([*before, late, *after], riometer)
    assert ((), bounds[0]) == (seen.deviations, seen.gaps[0].last)


def test_seconds_of_no_sample_are_skipped_samples(riometer, made, kit):
    """A point with npoints 0 says that its second was not heard."""
    bounds = [riometer.first_at((1205 + n) * S) for n in range(61)]
    codes = riometer.codes
    points = [
        (0, 0, 0) if 20 <= n < 30 else kit.measure(codes(bounds[n], bounds[n + 1]))
        for n in range(60)
    ]
    records = [made(riometer, at) for at in range(545, 1900, 60)]
    records[11] = kit.pack("daws", BEGINS_S + 1205, points)
    seen = judged(records, riometer)
    assert ((), [(bounds[20], bounds[30])]) == (
        seen.deviations,
        [(gap.first, gap.last) for gap in seen.gaps],
    )


def test_a_second_copy_of_a_record_is_samples_used_again(riometer, made):
    """And the books still close: what is counted twice is known."""
    records = [made(riometer, at) for at in range(545, 1900, 60)]
    records.insert(12, records[11])
    seen = judged(records, riometer)
    assert {"reused"} == {deviation.kind for deviation in seen.deviations}
    assert seen.reused == sum(
        int.from_bytes(records[11][at : at + 2], "little") for at in range(24, 380, 6)
    )
    assert closes(seen)


@pytest.mark.parametrize("step_s", [3.3, -0.4, -0.7, 90.0, -1800.0, 1800.0])
def test_a_clock_that_steps_changes_labels_and_no_sample(riometer, made, kit, step_s):
    """Records follow on each other; from the step on they carry the stepped clock's seconds."""
    offsets = ((0, 0, 0), (1220 * S, round(step_s * S), 0))
    records = [made(riometer, at) for at in range(545, 1206, 60)]
    label_s = BEGINS_S + round(1265 + step_s)
    start = 1265.0
    for label in range(label_s, label_s + 600, 60):
        seconds = [start, *(label + n - BEGINS_S - step_s for n in range(1, 61))]
        bounds = riometer.firsts_at(np.array([round(second * S) for second in seconds])).tolist()
        records.append(kit.record(riometer, "daws", label, bounds))
        start = seconds[-1]
    seen = judged(records, riometer, offsets)
    assert ((), ()) == (seen.deviations, seen.gaps)


def test_a_label_by_the_unstepped_clock_is_wrong(riometer, made):
    """Time stamps are judged against the host's clock, right or wrong."""
    offsets = ((0, 0, 0), (1220 * S, 5 * S, 0))
    seen = judged([made(riometer, at) for at in range(545, 1900, 60)], riometer, offsets)
    assert {"label"} == {deviation.kind for deviation in seen.deviations}
    assert closes(seen)


def test_a_leap_second_repeats_a_label(riometer, made):
    """UTC goes through one second twice; records go on, a second earlier by their labels."""
    records = [made(riometer, at, off_s=-1 if at > 1220 else 0) for at in range(545, 1900, 60)]
    seen = judged(records, riometer, leaps=(1220 * S,))
    assert ((), ()) == (seen.deviations, seen.gaps)


def test_a_leap_second_that_the_edge_missed_is_a_wrong_label(riometer, made):
    """All labels after it are one second late."""
    records = [made(riometer, at) for at in range(545, 1900, 60)]
    seen = judged(records, riometer, leaps=(1220 * S,))
    assert {"label"} == {deviation.kind for deviation in seen.deviations}


def test_a_drifting_clock_is_followed(riometer, made, kit):
    """Labels of a clock that runs 100 ppm fast are judged by that clock."""
    offsets = ((0, 0, 0), (700 * S, 0, 100_000), (1500 * S, 0, 0))
    clock = Clock(BEGINS_S * S, (), ENDS, offsets)
    records, start = [], 545.0
    for at in range(545, 1900, 60):
        row = clock.rows_at(np.array([round(start * S)]))[0]
        utc_ns = (BEGINS_S + at + np.arange(61)) * S
        seconds_ns = clock.instants_by(utc_ns, np.full(61, row))
        seconds_ns[0] = round(start * S)
        bounds = riometer.firsts_at(seconds_ns).tolist()
        records.append(kit.record(riometer, "daws", BEGINS_S + at, bounds))
        start = seconds_ns[-1] / S
    seen = judged(records, riometer, offsets)
    assert ((), ()) == (seen.deviations, seen.gaps)


def test_a_dead_preamplifier_is_data_like_any_other(made):
    """Noise about zero hides neither a gap nor a wrong value."""
    dead = Riometer("daws", 1, BEGINS_S * S, faults=(PreampDead(0, ENDS),))
    records = [made(dead, at) for at in range(545, 1900, 60) if at != 1265]
    seen = judged(records, dead)
    assert ((), [(dead.first_at(1265 * S), dead.first_at(1325 * S))]) == (
        seen.deviations,
        [(gap.first, gap.last) for gap in seen.gaps],
    )


def test_another_instruments_archive_is_all_wrong(riometer, made):
    """Content of another seed: nothing fits anywhere, and the walk comes to an end."""
    other = Riometer("daws", 2, BEGINS_S * S)
    seen = judged([made(other, at) for at in range(545, 1900, 60)], riometer)
    assert sum(deviation.points for deviation in seen.deviations) > 600


def test_a_label_that_no_clock_showed_is_wrong(riometer, made):
    """A record from 2038 is named, and its samples are missing."""
    records = [made(riometer, at) for at in range(545, 1900, 60)]
    records[11] = records[11][:12] + (2**31 - 1).to_bytes(4, "little") + records[11][16:]
    seen = judged(records, riometer)
    assert ["label"] == [deviation.kind for deviation in seen.deviations]
    assert (1, True) == (len(seen.gaps), closes(seen))


def test_an_empty_archive_is_one_gap(riometer):
    """All of the span is skipped."""
    seen = judged([], riometer)
    assert (seen.produced, 0) == (seen.skipped, seen.points)


def test_deviations_beyond_those_kept_are_counted_by_kind(riometer, made, monkeypatch):
    """Where only one is kept of many, the sums for each kind are what they were."""
    records = [made(riometer, at, off_s=1 if at == 1325 else 0) for at in range(545, 1900, 60)]
    for number in (6, 9, 16):
        records[number] = records[number][:60] + b"\xff\xff" + records[number][62:]
    sums = []
    for most in (200, 1):
        monkeypatch.setattr("fieldproof.oracle.partition._MOST_KEPT", most)
        kinds = Counter()
        for deviation in judged(records, riometer).deviations:
            kinds[deviation.kind] += deviation.points
        sums.append(kinds)
    assert {"value", "label"} <= sums[0].keys()
    assert sums[0] == sums[1]
