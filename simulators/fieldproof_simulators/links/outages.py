"""Outages: a link, a center, an edge or its power is gone for a while, whatever flows meanwhile.

An outage is an interval on the scenario's clock, so it hits one record of telemetry per minute and
a thousand segments of rsync per second alike. Per-frame loss (`losses`) acts only between outages:
a driver drops what is sent during one without asking the link model, which then draws nothing.

Up-times and down-times are exponential. They come from a stream of their own, named by seed and
cause, through correctly rounded decimal logarithms: the same intervals on every processor.
"""

from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Literal, TypeAlias

from fieldproof_contract import SECOND_NS
from fieldproof_simulators.links.losses import MAX_DRAW
from fieldproof_simulators.links.tausworthe import Tausworthe
from fieldproof_simulators.streams import child_seed

Cause: TypeAlias = Literal["link", "center", "edge", "power"]
"""What was down: a loss report is judged against it (R1-21)."""

_DECIMAL = Context(prec=28)


@dataclass(frozen=True, slots=True)
class Outages:
    """Mean seconds up and down, and what is down. Raises ValueError where a mean is not above 0."""

    up_mean_s: float
    down_mean_s: float
    cause: Cause = "link"

    def __post_init__(self) -> None:
        for name in ("up_mean_s", "down_mean_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"Outages.{name} is {getattr(self, name)}: give seconds above 0.")


DECEMBER_2005 = Outages(up_mean_s=6 * 86_400, down_mean_s=17 * 60)
"""About five outages a month. With 0.11 % random loss this is the loss record of Dawson's riometer
in December 2005: 125 of 44,640 minutes missing, two thirds of them on five days (our fit)."""


def intervals(outages: Outages, seed: int, from_ns: int, to_ns: int) -> tuple[tuple[int, int], ...]:
    """The outages from `from_ns`, when all is up, to `to_ns`, where the last is cut off.

    Half-open pairs of nanoseconds, in order and apart. A later `to_ns` only adds to them.
    """
    stream = Tausworthe(child_seed(seed, f"outages:{outages.cause}"))
    found = []
    begin_ns = from_ns + _exponential_ns(outages.up_mean_s, stream)
    while begin_ns < to_ns:
        end_ns = begin_ns + _exponential_ns(outages.down_mean_s, stream)
        found.append((begin_ns, min(end_ns, to_ns)))
        begin_ns = end_ns + _exponential_ns(outages.up_mean_s, stream)
    return tuple(found)


def _exponential_ns(mean_s: float, stream: Tausworthe) -> int:
    """At least 1 ns, at most 23 means: -ln of an odd 33-bit fraction, which is never 0 or 1."""
    fraction = _DECIMAL.divide(Decimal(2 * stream.draw() + 1), Decimal(2 * (MAX_DRAW + 1)))
    means = _DECIMAL.minus(_DECIMAL.ln(fraction))
    return int(_DECIMAL.multiply(means, Decimal(mean_s) * SECOND_NS)) + 1
