"""What is asked of one direction of a link: the parameters of netem as one frozen value.

There is no field for any correlation. Its starting value in the kernel has no seed, so no run with
one can be repeated, and for loss its percentage would not come true (see `losses`).
"""

from dataclasses import dataclass

from fieldproof_simulators.links.delays import Distribution
from fieldproof_simulators.links.losses import LossModel, require_percentages

MAX_JITTER_NS = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Impairments:
    """What netem does to one direction; the defaults change nothing.

    A frame of L bytes occupies the line for L + `overhead_bytes`, rounded up to whole cells of
    `cell_bytes`, each `cell_overhead_bytes` longer. With `reorder_percent`, `reorder_gap` - 1
    frames go in order before one may overtake. Raises ValueError for a value that tc refuses, or
    that netem would ignore or quietly change.
    """

    delay_ns: int = 0
    jitter_ns: int = 0
    distribution: Distribution = "uniform"
    loss: LossModel | None = None
    duplicate_percent: float = 0
    corrupt_percent: float = 0
    reorder_percent: float = 0
    reorder_gap: int = 1
    rate_bit_s: int = 0
    overhead_bytes: int = 0
    cell_bytes: int = 0
    cell_overhead_bytes: int = 0
    limit_frames: int = 1000

    def __post_init__(self) -> None:
        require_percentages(self, "duplicate_percent", "corrupt_percent", "reorder_percent")
        for name, least in _LEAST:
            if getattr(self, name) < least:
                raise ValueError(
                    f"Impairments.{name} is {getattr(self, name)}: give {least} or more."
                )
        for contradicts, advice in self._contradictions():
            if contradicts:
                raise ValueError(f"Impairments contradict themselves: {advice}.")

    def _contradictions(self) -> tuple[tuple[bool, str], ...]:
        """What each single field allows but netem cannot do with all of them."""
        reorders, has_rate = bool(self.reorder_percent), bool(self.rate_bit_s)
        return (
            (
                self.jitter_ns > MAX_JITTER_NS,
                f"netem holds no jitter_ns over {MAX_JITTER_NS}, so lower {self.jitter_ns}",
            ),
            (
                self.distribution != "uniform" and not self.jitter_ns,
                f"the {self.distribution} distribution needs a jitter_ns to spread",
            ),
            (
                self.reorder_gap > 1 and not reorders,
                f"reorder_gap {self.reorder_gap} needs a reorder_percent",
            ),
            (
                reorders and not self.delay_ns,
                "reorder_percent needs a delay_ns, for nothing overtakes a frame that is not held",
            ),
            (
                self.rate_bit_s % 8 != 0,
                f"netem counts whole bytes, so make rate_bit_s {self.rate_bit_s} a multiple of 8",
            ),
            (
                not has_rate and bool(self.overhead_bytes or self.cell_bytes),
                "overhead_bytes and cell_bytes act on the rate only, so give a rate_bit_s",
            ),
            (
                not self.cell_bytes and bool(self.cell_overhead_bytes),
                "cell_overhead_bytes is added per cell, so give cell_bytes",
            ),
        )


_LEAST = (
    ("delay_ns", 0),
    ("jitter_ns", 0),
    ("reorder_gap", 1),
    ("rate_bit_s", 0),
    ("overhead_bytes", 0),
    ("cell_bytes", 0),
    ("cell_overhead_bytes", 0),
    ("limit_frames", 1),
)
