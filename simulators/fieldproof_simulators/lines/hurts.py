"""What can hurt a serial line: the kinds, and what each makes of a byte on the wire.

    fault     where        what it does
    stall     sender       nothing moves; the buffer keeps `SENDER_BYTES`, what comes then is lost
    unplug    wire         every byte is lost
    burst     wire         `count` bytes in a row are lost, from the first or second that crosses
    drop      wire         `count` single bytes are lost, with 1 to 16 whole ones between them
    garble    wire         one bit of a byte flips, in `percent` of all bytes
    cooked    discipline   the port is a terminal for people: see discipline.py
    xonxoff   discipline   XON and XOFF are taken out of the stream

Chance is a function of (seed, name of the line, kind, fault, place), and no draw depends on another
fault: what is garbled depends on the byte's place alone, so that both tiers garble the same bytes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fieldproof_simulators.lines.discipline import Byte, Cooked
from fieldproof_simulators.streams import child_seed, splitmix64

SENDER_BYTES = 64
"""What a small converter keeps for a line that does not move: our assumption."""

KINDS: Mapping[str, tuple[str, str]] = {
    "stall": ("line stalled", "line resumed"),
    "unplug": ("line unplugged", "line replugged"),
    "burst": ("", ""),
    "drop": ("", ""),
    "garble": ("line noisy", "line calm"),
    "cooked": ("line cooked", "line raw"),
    "xonxoff": ("line with flow control", "line without flow control"),
}
"""Every kind of fault, and the facts that say that it began and ended."""

COUNTED = frozenset({"burst", "drop"})
"""Kinds that strike a number of bytes and are over by themselves."""

OF_BYTES = COUNTED | {"garble"}
"""Kinds whose strikes are counted in bytes; the others strike once."""

MOST_BETWEEN = 16
"""Bytes between two that `drop` loses, at most; so many may pass before the first, too."""

NEVER_NS = 2**63


@dataclass(frozen=True, slots=True)
class Hurt:
    """A fault of a line. Raises ValueError for a kind that there is not."""

    kind: str  # of KINDS
    fault: int  # index in the scenario
    count: int = 0  # bytes, of `drop` and `burst`
    percent: float = 0.0  # of all bytes, of `garble`

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"A line cannot be hurt by {self.kind!r}: choose from {list(KINDS)}.")


@dataclass(slots=True)
class Window:
    """A fault and when it acts: on bytes that cross in [from_ns, until_ns)."""

    hurt: Hurt
    from_ns: int
    seed: int
    left: int  # bytes still to be lost
    skip: int  # bytes to pass before the next is lost
    until_ns: int = NEVER_NS
    cooked: Cooked = field(default_factory=Cooked)

    @property
    def lasts(self) -> bool:
        """Whether nobody said when it ends."""
        return self.until_ns == NEVER_NS

    @property
    def exhausted(self) -> bool:
        """Whether it has struck all that it was to strike."""
        return self.hurt.kind in COUNTED and self.left <= 0

    def on_the_wire(self, byte: Byte) -> int | None:
        """What a byte that crosses in the window comes out as; None where it is lost."""
        return _ON_THE_WIRE[self.hurt.kind](self, byte)

    def draw(self, place: int) -> int:
        """The 64 bit word of this fault at a place of its stream."""
        return splitmix64(self.seed + place)


def begin(hurt: Hurt, line: str, seed: int, at_ns: int) -> Window:
    """The fault strikes the line of this name at `at_ns`."""
    stream = child_seed(seed, f"line:{line}:{hurt.kind}:{hurt.fault}")
    begun = Window(hurt, at_ns, stream, left=hurt.count, skip=0)
    if hurt.kind in COUNTED:
        begun.skip = begun.draw(hurt.count) % (2 if hurt.kind == "burst" else MOST_BETWEEN)
    return begun


def _pass(_: Window, byte: Byte) -> int | None:
    return byte.value


def _lose(_: Window, byte: Byte) -> int | None:
    return None


def _lose_some(window: Window, byte: Byte) -> int | None:
    if window.skip:
        window.skip -= 1
        return byte.value
    window.left -= 1
    window.skip = 1 + window.draw(window.left) % MOST_BETWEEN if window.hurt.kind == "drop" else 0
    return None


def _garble(window: Window, byte: Byte) -> int | None:
    word = window.draw(byte.place)
    is_hit = (word >> 32) * 100 < window.hurt.percent * 2**32
    return byte.value ^ 1 << (word & 7) if is_hit else byte.value


_ON_THE_WIRE: Mapping[str, Callable[[Window, Byte], int | None]] = {
    **dict.fromkeys(KINDS, _pass),
    "unplug": _lose,
    "burst": _lose_some,
    "drop": _lose_some,
    "garble": _garble,
}
