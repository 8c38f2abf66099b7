"""The loss machines on scripted draws: what happens exactly on a threshold."""

import pytest

from fieldproof_simulators.links.losses import loss_source, threshold
from fieldproof_simulators.links.netem import FourState, GilbertElliott, RandomLoss

MAX = 0xFFFFFFFF
HALF, QUARTER = threshold(50), threshold(25)


def fates(model, draws):
    """Whether each next frame is lost, until the scripted draws are used up."""
    script = iter(draws)
    loses = loss_source(model, lambda: next(script))
    lost = []
    while True:
        try:
            lost.append(loses())
        except StopIteration:
            return lost


@pytest.mark.parametrize(
    ("percent", "drawn"),
    [(0, 0), (100, MAX), (50, 2_147_483_648), (25, 1_073_741_824), (0.28, 12_025_908)],
)
def test_thresholds_round_half_to_even(percent, drawn):
    """100 % is the largest draw, and 2147483647.5 becomes the even neighbour."""
    assert drawn == threshold(percent)


def test_random_loss_includes_its_threshold():
    """A draw equal to the threshold loses the frame."""
    assert [True, True, False] == fates(RandomLoss(50), [0, HALF, HALF + 1])


@pytest.mark.parametrize("model", [None, RandomLoss(0)])
def test_no_loss_consults_nothing(model):
    """Where nothing can be lost there is nothing to ask."""
    assert loss_source(model, lambda: 0) is None


def test_gilbert_elliott_judges_by_the_state_before_the_move():
    """Pairs of draws (move, loss), each just on the near and the far side of its threshold."""
    model = GilbertElliott(p=25, r=50, one_minus_h=25, one_minus_k=50)
    script = {
        (QUARTER, HALF): False,  # stays good; good loses below 1-k only
        (QUARTER - 1, HALF - 1): True,  # turns bad, but was good
        (HALF, MAX - QUARTER): False,  # stays bad; bad loses above MAX - T(1-h) only
        (HALF - 1, MAX - QUARTER + 1): True,  # turns good, but was bad
        (QUARTER, HALF - 1): True,  # good again
    }
    assert list(script.values()) == fates(model, [draw for pair in script for draw in pair])


def test_the_four_states_follow_their_table():
    """One draw per frame through every row, each just below or on the bound of its row."""
    model = FourState(p13=25, p31=25, p32=50, p23=50, p14=50)
    script = (
        (HALF + QUARTER, False),  # 1 stays
        (HALF - 1, True),  # 1 to 4
        (0, False),  # 4 to 1, whatever is drawn
        (HALF, True),  # 1 to 3
        (HALF + QUARTER, True),  # 3 stays
        (HALF - 1, False),  # 3 to 2
        (HALF, False),  # 2 stays
        (HALF - 1, True),  # 2 to 3
        (HALF + QUARTER - 1, False),  # 3 to 1
        (HALF + QUARTER - 1, True),  # 1 to 3
    )
    assert [lost for _, lost in script] == fates(model, [draw for draw, _ in script])


@pytest.mark.parametrize(
    ("short", "full"),
    [
        (GilbertElliott(1), GilbertElliott(1, 99, 100, 0)),
        (FourState(1), FourState(1, 99, 0, 100, 0)),
    ],
)
def test_defaults_are_the_kernels(short, full):
    """A model given by its first percentage alone behaves as the one that tc reads back."""
    draws = [0, 0, threshold(99) - 1, 0, MAX, MAX, 0, 0, threshold(99), MAX, 5, MAX]
    assert fates(full, draws) == fates(short, draws)
