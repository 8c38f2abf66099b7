"""The three ways in which netem loses frames, and the state machines behind two of them.

A percentage becomes a 32-bit threshold once; after that every decision is one comparison with a
draw. Each machine is a table, and each starts in its first row. Percentages count per frame,
never per time: a burst of 17 frames is 17 minutes of telemetry and a fifth of a second of rsync,
so fades and downtime belong in `outages`.

There is no correlated random loss (`loss P CORR`). netem averages draws for it, the average is
not uniform, and a small P then almost never fires: 5 % with 25 % correlation loses 0.18 %.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, assert_never

MAX_DRAW = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class RandomLoss:
    """`loss random`: each frame by itself. One draw per frame, none at 0 %."""

    percent: float

    def __post_init__(self) -> None:
        require_percentages(self, "percent")


@dataclass(frozen=True, slots=True)
class GilbertElliott:
    """`loss gemodel`: a good and a bad state, percentages. Two draws per frame.

    `p` leads from good to bad and `r` back (None: 100 - p); a frame is lost with `one_minus_h` in
    the bad state and `one_minus_k` in the good one. The mean loss is
    (one_minus_k * r + one_minus_h * p) / (p + r), the mean stay in the bad state 100 / r frames.
    """

    p: float
    r: float | None = None
    one_minus_h: float = 100
    one_minus_k: float = 0

    def __post_init__(self) -> None:
        require_percentages(self, "p", "r", "one_minus_h", "one_minus_k")


@dataclass(frozen=True, slots=True)
class FourState:
    """`loss state`: good gap (1), good inside a burst (2), lost in a burst (3), lost alone (4).

    `p13` is the percentage of frames that lead from state 1 to state 3, and so on, in the order of
    tc's arguments; `p31` None means 100 - p13. One draw per frame.
    """

    p13: float
    p31: float | None = None
    p32: float = 0
    p23: float = 100
    p14: float = 0

    def __post_init__(self) -> None:
        require_percentages(self, "p13", "p31", "p32", "p23", "p14")
        if self.p13 + self.p14 > 100:
            raise ValueError(f"Lower p13 or p14: together they exceed 100 % in {self}.")
        if self.p32 + _or_rest(self.p31, self.p13) > 100:
            raise ValueError(f"Lower p31 or p32: together they exceed 100 % in {self}.")


LossModel: TypeAlias = RandomLoss | GilbertElliott | FourState


def threshold(percent: float) -> int:
    """The draw at or below which a percentage comes true, rounded half to even as tc does."""
    return round(percent / 100 * MAX_DRAW)


def loss_source(loss: LossModel | None, draw: Callable[[], int]) -> Callable[[], bool] | None:
    """Tells for each next frame whether it is lost; None where nothing can be and nothing draws."""
    match loss:
        case None:
            return None
        case RandomLoss():
            highest = threshold(loss.percent)
            return (lambda: highest >= draw()) if highest else None
        case GilbertElliott():
            return _gilbert_elliott(loss, draw)
        case FourState():
            return _four_state(loss, draw)
        case _:
            assert_never(loss)


def _gilbert_elliott(loss: GilbertElliott, draw: Callable[[], int]) -> Callable[[], bool]:
    """The first draw may move the state; the second judges by the state held before the move."""
    # state: leaves it below, to, a frame is lost from this draw, to below this one
    rows = {
        "good": (threshold(loss.p), "bad", 0, threshold(loss.one_minus_k)),
        "bad": (
            threshold(_or_rest(loss.r, loss.p)),
            "good",
            MAX_DRAW - threshold(loss.one_minus_h) + 1,
            MAX_DRAW + 1,
        ),
    }
    state = "good"

    def loses() -> bool:
        nonlocal state
        leaves_below, other, lost_from, lost_below = rows[state]
        if draw() < leaves_below:
            state = other
        return lost_from <= draw() < lost_below

    return loses


def _four_state(loss: FourState, draw: Callable[[], int]) -> Callable[[], bool]:
    """The first row of the state whose bound lies above the draw names the next state."""
    p13, p23 = threshold(loss.p13), threshold(loss.p23)
    p31, p32 = threshold(_or_rest(loss.p31, loss.p13)), threshold(loss.p32)
    p14, always = threshold(loss.p14), MAX_DRAW + 1
    # state: (draw below, next state, lost)...
    rows = {
        1: ((p14, 4, True), (p14 + p13, 3, True), (always, 1, False)),
        2: ((p23, 3, True), (always, 2, False)),
        3: ((p32, 2, False), (p32 + p31, 1, False), (always, 3, True)),
        4: ((always, 1, False),),
    }
    state = 1

    def loses() -> bool:
        nonlocal state
        drawn = draw()
        state, lost = next((to, lost) for below, to, lost in rows[state] if drawn < below)
        return lost

    return loses


def _or_rest(percent: float | None, complement: float) -> float:
    return 100 - complement if percent is None else percent


def require_percentages(value: object, *names: str) -> None:
    """Raises ValueError for a field outside 0 to 100; None stands for a default."""
    for name in names:
        percent = getattr(value, name)
        if percent is not None and not 0 <= percent <= 100:
            raise ValueError(
                f"{type(value).__name__}.{name} is {percent}: give a percentage from 0 to 100."
            )
