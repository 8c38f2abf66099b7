"""The link model against recordings of a real kernel's netem: see `vectors/README.md`."""

from itertools import accumulate

import pytest
from recordings import VECTORS, impairments_of

from fieldproof_simulators.links.netem import LinkModel, Passage

REPRODUCIBLE = [name for name, vector in VECTORS.items() if vector["reproducible"]]


def having(key):
    """The names of the reproducible vectors with this key."""
    return [name for name in REPRODUCIBLE if key in VECTORS[name]]


def replay(name) -> tuple[LinkModel, list[Passage]]:
    """The vector's traffic through the model."""
    vector = VECTORS[name]
    model = LinkModel(impairments_of(vector["tc_args"]), vector["seed"] or 0)
    interval_ns = vector["interval_us"] * 1_000
    return model, [
        model.send(index * interval_ns, vector["frame_len"]) for index in range(vector["frames"])
    ]


def model_delays_us(name):
    """For each frame the delays of its copies in microseconds, ascending."""
    interval_ns = VECTORS[name]["interval_us"] * 1_000
    return [
        sorted((copy.due_ns - index * interval_ns) / 1_000 for copy in passage.copies)
        for index, passage in enumerate(replay(name)[1])
    ]


def excess_us(name):
    """Measured minus modelled delay of every arrival, whole microseconds, ascending."""
    measured = [[] for _ in range(VECTORS[name]["frames"])]
    for index, delay_us in VECTORS[name]["arrivals"]:
        measured[index].append(delay_us)
    return sorted(
        round(kernel - model)
        for kernels, models in zip(measured, model_delays_us(name), strict=True)
        for kernel, model in zip(sorted(kernels), models, strict=True)
    )


@pytest.mark.parametrize("name", REPRODUCIBLE)
def test_the_model_treats_the_same_frames_as_the_kernel(name):
    """Every frame that the kernel lost, duplicated or corrupted meets the same fate here."""
    vector, (_, passages) = VECTORS[name], replay(name)
    fates = {
        "lost": [not passage.copies for passage in passages],
        "duplicated": [len(passage.copies) == 2 for passage in passages],
        "corrupted": [any(copy.corrupted for copy in passage.copies) for passage in passages],
    }
    for fate, happened in fates.items():
        assert vector[fate] == [index for index, met in enumerate(happened) if met]


@pytest.mark.parametrize("name", having("early"))
def test_the_same_frames_overtake(name):
    """The frames that skipped the delay in the kernel skip it here."""
    early = [any(copy.early for copy in passage.copies) for passage in replay(name)[1]]
    assert VECTORS[name]["early"] == [index for index, skipped in enumerate(early) if skipped]


@pytest.mark.parametrize("name", having("derived"))
def test_the_model_draws_as_often_as_recorded(name):
    """The generator is consulted exactly as often as the recorded lists imply."""
    assert VECTORS[name]["derived"]["prng_draws"] == replay(name)[0].draws


@pytest.mark.parametrize(
    "name", [name for name in having("derived") if "delay_ns" in VECTORS[name]["derived"]]
)
def test_delays_equal_the_recorded_nanoseconds(name):
    """Each distribution gives the derived delay of each frame to the nanosecond."""
    interval_ns = VECTORS[name]["interval_us"] * 1_000
    passages = replay(name)[1]
    assert VECTORS[name]["derived"]["delay_ns"] == [
        passage.copies[0].due_ns - index * interval_ns for index, passage in enumerate(passages)
    ]


@pytest.mark.parametrize("name", [name for name in having("arrivals") if "rate" not in name])
def test_measured_delays_exceed_the_model_by_system_calls_only(name):
    """The kernel's arrivals come 11 us to 3.3 ms after the model's, nine in ten within 107 us."""
    excess = excess_us(name)
    assert excess[0] >= 11
    assert excess[len(excess) * 9 // 10] <= 107
    assert excess[-1] <= 3_300


@pytest.mark.parametrize("name", [name for name in having("arrivals") if "rate" in name])
def test_measured_delays_with_a_rate_agree_with_the_model(name):
    """With a rate the kernel's arrivals come 49 us before to 3.1 ms after the model's."""
    excess = excess_us(name)
    assert excess[0] >= -49
    assert 125 <= excess[len(excess) // 2] <= 315
    assert excess[-1] <= 3_100


@pytest.mark.parametrize("name", having("arrivals"))
def test_frames_arrive_in_the_kernels_order(name):
    """Frames whose model times are over 5 ms apart arrived in that order."""
    vector, delays_us = VECTORS[name], model_delays_us(name)
    due_us = [
        index * vector["interval_us"] + delays_us[index][0]
        for index, _ in vector["arrivals"]
        if len(delays_us[index]) == 1
    ]
    assert 5_000 >= max(
        latest - due for latest, due in zip(accumulate(due_us, max), due_us, strict=True)
    )


def test_a_full_queue_drops_as_the_kernel_does():
    """At 64 kbit/s with a limit of 20, every loss is a tail drop and 38 of 100 frames pass."""
    passages = replay("rate64k_limit20")[1]
    assert {None, "limit"} == {passage.dropped for passage in passages}
    assert 38 == sum(passage.dropped is None for passage in passages)


def test_correlated_loss_is_refused():
    """The recordings that nobody can repeat ask for correlated loss, which no value can express."""
    correlated = [name for name, vector in VECTORS.items() if not vector["reproducible"]]
    assert ["corrloss5_25_seed3", "corrloss5_50_seed3"] == correlated
    for name in correlated:
        with pytest.raises(TypeError):
            impairments_of(VECTORS[name]["tc_args"])
