"""How long netem holds one frame: latency plus jitter, in integer nanoseconds.

netem draws a 32-bit value per frame and either spreads it evenly over `latency +- jitter` or looks
it up in a table of 4096 deviates, in units of jitter / 8192. iproute2 ships the tables as data
files; here they are computed by the programs that made those files. Every entry equals iproute2
6.15's on any processor: no value lies near enough to a rounding edge for the last bit of `erfc`
or of a power to matter.
"""

from collections.abc import Callable
from functools import lru_cache
from math import erfc, sqrt
from typing import Literal, TypeAlias

Distribution: TypeAlias = Literal["uniform", "normal", "pareto", "paretonormal"]

TABLE_SIZE = 4096
SCALE = 8192
_INT16 = 32767


def delay_source(
    delay_ns: int, jitter_ns: int, distribution: Distribution, draw: Callable[[], int]
) -> Callable[[], int]:
    """The delay of each next frame, nanoseconds; negative means due at once.

    One draw per frame, none where `jitter_ns` is 0.
    """
    if not jitter_ns:
        return lambda: delay_ns
    if distribution == "uniform":
        spread_ns, least_ns = 2 * jitter_ns, delay_ns - jitter_ns
        return lambda: draw() % spread_ns + least_ns
    delays_ns = tabled_delays_ns(delay_ns, jitter_ns, distribution)
    return lambda: delays_ns[draw() % TABLE_SIZE]


@lru_cache(maxsize=64)
def tabled_delays_ns(delay_ns: int, jitter_ns: int, distribution: Distribution) -> tuple[int, ...]:
    """The delay for each table entry, nanoseconds (netem's `tabledist`)."""
    whole, part = divmod(jitter_ns, SCALE)
    return tuple(
        _divided_to_zero(part * deviate + (SCALE // 2 if deviate >= 0 else -SCALE // 2), SCALE)
        + whole * deviate
        + delay_ns
        for deviate in deviates(distribution)
    )


@lru_cache(maxsize=3)
def deviates(distribution: Distribution) -> tuple[int, ...]:
    """The 4096 table entries of a distribution, in units of jitter / 8192.

    Raises ValueError for "uniform", which netem computes without a table.
    """
    if distribution == "normal":
        return tuple(max(-_INT16 - 1, min(_INT16, deviate)) for deviate in _normal())
    if distribution == "pareto":
        return _pareto()
    if distribution == "paretonormal":
        mixed = zip(_normal(), _pareto(), strict=True)
        return tuple(_divided_to_zero(normal + 3 * pareto, 4) for normal, pareto in mixed)
    raise ValueError(f"The {distribution} delay distribution has no table: netem computes it.")


def _normal() -> tuple[int, ...]:
    """Inverts the normal integral by walking along x and noting where each slot is reached."""
    slots = 4 * TABLE_SIZE
    inverse = [0.0] * (slots + 1)
    x = -10.0
    while x < 10.05:  # the accumulated rounding of these steps is part of the table
        inverse[round(slots * erfc(-x / sqrt(2)) / 2)] = x
        x += 0.00005
    return tuple(round(x * SCALE) for x in inverse[:slots:4])


def _pareto() -> tuple[int, ...]:
    """A Pareto law of index 3, shifted to mean 0, scaled to deviation 1, shortest delay first."""
    return tuple(
        min(_INT16, round(((i / 65536) ** (-1 / 3) - 1.5) * (4 / 3) * SCALE))
        for i in range(65536, 0, -16)
    )


def _divided_to_zero(value: int, divisor: int) -> int:
    """Integer division as C does it; `//` would round a negative value down."""
    return value // divisor if value >= 0 else -(-value // divisor)
