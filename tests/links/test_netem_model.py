"""Properties of the link model that hold for every seed, and the arithmetic of rate and limit."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldproof_simulators.links.netem import (
    Copy,
    GilbertElliott,
    Impairments,
    LinkModel,
    Passage,
    RandomLoss,
)
from fieldproof_simulators.links.tausworthe import Tausworthe

MS = 1_000_000
SEEDS = st.integers(0, 2**64 - 1)
TRAFFIC = st.lists(
    st.tuples(st.integers(0, 50 * MS), st.integers(20, 1_500)), min_size=1, max_size=60
)
MESSY = Impairments(
    delay_ns=50 * MS,
    jitter_ns=60 * MS,
    distribution="normal",
    loss=RandomLoss(20),
    duplicate_percent=30,
    corrupt_percent=20,
    reorder_percent=20,
    reorder_gap=2,
    limit_frames=7,
)


def passages(impairments, seed, traffic):
    """Sends frames of (pause before it, length): the times of sending and what became of them."""
    model, now_ns, sent = LinkModel(impairments, seed), 0, []
    for pause_ns, length in traffic:
        now_ns += pause_ns
        sent.append((now_ns, model.send(now_ns, length)))
    return sent


@given(SEEDS, TRAFFIC)
def test_a_perfect_link_changes_nothing(seed, traffic):
    """Without impairments every frame passes once, at once and clean, and nothing is drawn."""
    model, now_ns = LinkModel(Impairments(), seed), 0
    for pause_ns, length in traffic:
        now_ns += pause_ns
        assert Passage((Copy(now_ns),)) == model.send(now_ns, length)
    assert 0 == model.draws


@given(SEEDS, TRAFFIC)
def test_a_frame_passes_or_has_a_cause(seed, traffic):
    """Copies or a cause, never both; none due in the past; a clone comes before its original."""
    for now_ns, passage in passages(MESSY, seed, traffic):
        assert (passage.dropped is None) == bool(passage.copies)
        assert passage.dropped in (None, "loss", "limit")
        assert all(copy.due_ns >= now_ns for copy in passage.copies)
        assert [copy.clone for copy in passage.copies] in ([], [False], [True, False])


@given(SEEDS, TRAFFIC)
def test_the_limit_bounds_the_frames_that_are_held(seed, traffic):
    """At most `limit_frames` are under way, one more with a clone whose original follows."""
    dues_ns = []
    for now_ns, passage in passages(MESSY, seed, traffic):
        held = sum(due_ns > now_ns for due_ns in dues_ns)
        if passage.dropped != "loss":
            assert (held >= MESSY.limit_frames) == (passage.dropped == "limit")
        dues_ns += [copy.due_ns for copy in passage.copies]
        assert sum(due_ns > now_ns for due_ns in dues_ns) <= MESSY.limit_frames + 1


@given(SEEDS, TRAFFIC)
def test_a_rate_never_reorders(seed, traffic):
    """With a rate each frame leaves its serialisation after the one before, whatever the jitter."""
    link = Impairments(delay_ns=50 * MS, jitter_ns=50 * MS, rate_bit_s=64_000)
    dues_ns = [passage.copies[0].due_ns for _, passage in passages(link, seed, traffic)]
    for (_, length), (before_ns, due_ns) in zip(traffic[1:], pairwise(dues_ns), strict=True):
        assert due_ns >= before_ns + length * 125_000


@given(SEEDS, TRAFFIC)
def test_a_clone_queues_before_its_original(seed, traffic):
    """With a rate and more jitter than delay, a clone that is due in the past has not left yet when
    its original is scheduled, as in netem's own arithmetic on the queue."""
    link = Impairments(jitter_ns=50 * MS, duplicate_percent=100, rate_bit_s=64_000)
    draw, queue_ns = Tausworthe(seed).draw, []
    for (_, length), (now_ns, passage) in zip(traffic, passages(link, seed, traffic), strict=True):
        queue_ns = [due_ns for due_ns in queue_ns if due_ns > now_ns]
        draw()  # for the duplication, which always happens
        for copy in passage.copies:
            free_ns = [now_ns + draw() % (100 * MS) - 50 * MS, *queue_ns[-1:]]
            queue_ns.append(max(free_ns) + length * 125_000)
            assert max(now_ns, queue_ns[-1]) == copy.due_ns


@given(SEEDS, TRAFFIC)
def test_the_same_seed_gives_the_same_run(seed, traffic):
    """Passages and the generator's end state repeat."""
    models = LinkModel(MESSY, seed), LinkModel(MESSY, seed)
    runs = [[model.send(0, length) for _, length in traffic] for model in models]
    assert runs[0] == runs[1]
    assert (models[0].draws, models[0].state) == (models[1].draws, models[1].state)


@pytest.mark.parametrize(
    ("line", "length", "serialisation_ns"),
    [
        ({"rate_bit_s": 64_000}, 422, 52_750_000),
        ({"rate_bit_s": 64_000, "overhead_bytes": 14}, 408, 52_750_000),
        ({"rate_bit_s": 1_000_000}, 400, 3_200_000),
        ({"rate_bit_s": 128_000}, 422, 26_375_000),
        (
            {
                "rate_bit_s": 100_000,
                "overhead_bytes": 26,
                "cell_bytes": 53,
                "cell_overhead_bytes": 5,
            },
            400,
            41_760_000,
        ),
    ],
)
def test_serialisation_times_are_the_recorded_ones(line, length, serialisation_ns):
    """A frame takes its length, overhead and cells over the rate, whatever layer counts them."""
    model = LinkModel(Impairments(**line), 0)
    assert (Copy(serialisation_ns),) == model.send(0, length).copies


def test_a_busy_link_adds_only_serialisation():
    """The delay of a frame that queues has passed by the time the line is free."""
    model = LinkModel(Impairments(delay_ns=20 * MS, rate_bit_s=128_000), 0)
    assert [46_375_000, 72_750_000] == [model.send(0, 422).copies[0].due_ns for _ in range(2)]
    assert 1_046_375_000 == model.send(1_000 * MS, 422).copies[0].due_ns


def test_a_place_is_free_when_a_frame_is_due():
    """With a limit of 1, the next frame passes at the due time of the first, not before."""
    model = LinkModel(Impairments(delay_ns=10, limit_frames=1), 0)
    assert [None, "limit", None] == [model.send(now_ns, 100).dropped for now_ns in (0, 9, 10)]


def test_duplicate_and_loss_together_leave_one_clean_original():
    """A frame both duplicated and lost passes once, and is no clone."""
    link = Impairments(loss=RandomLoss(100), duplicate_percent=100)
    assert Passage((Copy(5),)) == LinkModel(link, 1).send(5, 100)


def test_time_never_runs_backward_on_a_link():
    """A frame earlier than the one before is the driver's error, and is named."""
    model = LinkModel(Impairments(), 0)
    model.send(10, 100)
    with pytest.raises(ValueError, match="at 9 ns after one at 10 ns"):
        model.send(9, 100)


@pytest.mark.parametrize("seed", [7, 2**63])
def test_gilbert_elliott_loses_its_mean(seed):
    """Loss is ((1-k) r + (1-h) p) / (p + r) = 4.38 %, within 4 deviations over 400,000 frames."""
    model = LinkModel(Impairments(loss=GilbertElliott(1, 20, 90, 0.1)), seed)
    lost = sum(model.send(0, 100).dropped is not None for _ in range(400_000))
    assert (0.1 * 20 + 90 * 1) / (1 + 20) == pytest.approx(lost / 4_000, abs=0.36)
    assert 800_000 == model.draws
