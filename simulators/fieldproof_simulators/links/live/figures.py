"""What a direction of a link achieved, beside what was asked of it.

Late is leaving minus due, delay is leaving minus entering, both by the pump's clock: what the
machine adds before a packet is read and after it is written is not in them. The rate is that of the
busiest second, in bits at the layer of the rate that was asked for, so that it compares with it.

Percentiles are of at most `KEPT` packets: of all, or where there are more, of every second, fourth,
eighth one. The largest is the largest of all.
"""

from collections import deque

from fieldproof_contract import SECOND_NS
from fieldproof_simulators.links.impairments import Impairments
from fieldproof_simulators.links.losses import FourState, GilbertElliott, LossModel, RandomLoss

KEPT = 1 << 14
MS_NS = 1_000_000


class Timing:
    """How late packets left, and how long they were under way."""

    def __init__(self) -> None:
        self.late_max_ns = 0
        self._seen = 0
        self._mask = 0
        self._kept: list[tuple[int, int]] = []

    def add(self, late_ns: int, delay_ns: int) -> None:
        """A packet left."""
        if late_ns > self.late_max_ns:
            self.late_max_ns = late_ns
        if not self._seen & self._mask:
            self._kept.append((late_ns, delay_ns))
            if len(self._kept) == KEPT:
                self._kept = self._kept[::2]
                self._mask = 2 * self._mask + 1
        self._seen += 1

    def figures(self) -> dict[str, int | float | None]:
        """In milliseconds; None where nothing left."""
        late = sorted(late_ns for late_ns, _ in self._kept)
        delay = sorted(delay_ns for _, delay_ns in self._kept)
        return {
            "delay_p50_ms": percentile_ms(delay, 50),
            "delay_p99_ms": percentile_ms(delay, 99),
            "late_p50_ms": percentile_ms(late, 50),
            "late_p99_ms": percentile_ms(late, 99),
            "late_max_ms": self.late_max_ns / MS_NS if late else None,
        }


def percentile_ms(ascending_ns: list[int], percent: int) -> float | None:
    """The least value that so many percent do not exceed; None of nothing."""
    if not ascending_ns:
        return None
    return ascending_ns[max(0, -(-len(ascending_ns) * percent // 100) - 1)] / MS_NS


class Rate:
    """Bits in the last second and in the busiest one, from a count that is looked at now and then.

    A second is at least that long: it ends with the look that completes it."""

    def __init__(self) -> None:
        self.bit_s = 0
        self.busiest_bit_s = 0
        self._looks: deque[tuple[int, int]] = deque([(0, 0)])

    def look(self, now_ns: int, bits: int) -> None:
        """So many bits in all until now."""
        looks = self._looks
        looks.append((now_ns, bits))
        while len(looks) > 2 and looks[1][0] <= now_ns - SECOND_NS:
            looks.popleft()
        from_ns, before = looks[0]
        self.bit_s = (bits - before) * SECOND_NS // max(SECOND_NS, now_ns - from_ns)
        self.busiest_bit_s = max(self.busiest_bit_s, self.bit_s)


def asked(impairments: Impairments) -> dict[str, int | float | None]:
    """What a profile asks of one direction."""
    return {
        "asked_delay_ms": impairments.delay_ns / MS_NS,
        "asked_jitter_ms": impairments.jitter_ns / MS_NS,
        "asked_loss_percent": mean_loss_percent(impairments.loss),
        "asked_rate_bit_s": impairments.rate_bit_s,
    }


def mean_loss_percent(loss: LossModel | None) -> float | None:
    """The share of packets that a loss model loses in the long run; None for the four states,
    which no profile asks for."""
    match loss:
        case None:
            return 0.0
        case RandomLoss():
            return loss.percent
        case GilbertElliott():
            r = 100 - loss.p if loss.r is None else loss.r
            if not loss.p + r:
                return loss.one_minus_k
            return (loss.one_minus_k * r + loss.one_minus_h * loss.p) / (loss.p + r)
        case FourState():
            return None
