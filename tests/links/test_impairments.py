"""What an `Impairments` or a loss model refuses, and how it says so."""

import pytest

from fieldproof_simulators.links.netem import FourState, GilbertElliott, Impairments, RandomLoss

MS = 1_000_000


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"delay_ns": -1}, "Impairments.delay_ns is -1: give 0 or more."),
        ({"limit_frames": 0}, "Impairments.limit_frames is 0: give 1 or more."),
        ({"reorder_gap": 0}, "Impairments.reorder_gap is 0: give 1 or more."),
        ({"corrupt_percent": 101}, "Impairments.corrupt_percent is 101: give a percentage"),
        ({"duplicate_percent": float("nan")}, "Impairments.duplicate_percent is nan: give a perc"),
        ({"reorder_gap": 5, "delay_ns": MS}, "reorder_gap 5 needs a reorder_percent"),
        ({"reorder_percent": 5}, "reorder_percent needs a delay_ns"),
        ({"distribution": "pareto", "delay_ns": MS}, "the pareto distribution needs a jitter_ns"),
        ({"jitter_ns": 2**31}, "netem holds no jitter_ns over 2147483647"),
        ({"rate_bit_s": 9_601}, "make rate_bit_s 9601 a multiple of 8"),
        ({"overhead_bytes": 14}, "overhead_bytes and cell_bytes act on the rate only"),
        ({"cell_bytes": 53}, "overhead_bytes and cell_bytes act on the rate only"),
        ({"rate_bit_s": 8, "cell_overhead_bytes": 5}, "cell_overhead_bytes is added per cell"),
    ],
)
def test_impossible_impairments_are_refused_in_one_sentence(fields, sentence):
    """A value that tc refuses, or netem would ignore or change, names itself and the remedy."""
    with pytest.raises(ValueError) as refusal:
        Impairments(**fields)
    assert sentence in str(refusal.value)
    assert str(refusal.value).endswith(".")


@pytest.mark.parametrize(
    ("model", "percentages", "sentence"),
    [
        (RandomLoss, [-1], "RandomLoss.percent is -1: give a percentage from 0 to 100."),
        (GilbertElliott, [1, 101], "GilbertElliott.r is 101: give a percentage from 0 to 100."),
        (FourState, [60, 20, 5, 70, 41], "Lower p13 or p14: together they exceed 100 %"),
        (FourState, [1, None, 5], "Lower p31 or p32: together they exceed 100 %"),
    ],
)
def test_impossible_losses_are_refused(model, percentages, sentence):
    """Percentages stay within 0 and 100, alone and where a state divides them."""
    with pytest.raises(ValueError) as refusal:
        model(*percentages)
    assert sentence in str(refusal.value)
