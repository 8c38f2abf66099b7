"""What an edge itself says that it lost: `declared/<site>.jsonl` on its disk, read strictly.

    {"from_s": 1137455938, "until_s": 1137455945, "why": "killed"}

UTC seconds of the host's own clock, half-open: samples of these seconds are, wholly or in part, in
no record. A line that cannot be read is named. The last one may be torn, if the reader says so:
whoever appends after a death has to cut it off first.
"""

from typing import NamedTuple

import msgspec
from msgspec import Struct

from fieldproof.oracle.clock import SECOND_NS

WHYS = ("killed", "stopped", "line down", "dropped")


class Line(Struct, frozen=True):
    """One loss that the edge knows of."""

    from_s: int
    until_s: int
    why: str


class Declaration(NamedTuple):
    """The lines of one file, and what of it could not be read."""

    lines: tuple[Line, ...]
    malformed: tuple[int, ...]  # numbers of the lines, from 1


def parse(data: bytes, may_be_torn: bool) -> Declaration:
    """Every line of a declaration."""
    rows = data.split(b"\n")
    torn = rows.pop()
    decode = msgspec.json.Decoder(Line).decode
    lines, malformed = [], []
    for number, row in enumerate(rows, start=1):
        try:
            line = decode(row)
            if not 0 <= line.from_s < line.until_s < 2**32 or line.why not in WHYS:
                raise ValueError("not a loss")
        except (ValueError, msgspec.DecodeError, RecursionError):
            malformed.append(number)
        else:
            lines.append(line)
    if torn and not may_be_torn:
        malformed.append(len(rows) + 1)
    return Declaration(tuple(lines), tuple(malformed))


# --- spans of time --------------------------------------------------------------------------------

Spans = tuple[tuple[int, int], ...]
"""Half-open [from, until) in nanoseconds, in order, no two of which touch."""


def united(spans: "Spans | list[tuple[int, int]]") -> Spans:
    """All that lies in at least one of several spans."""
    found: list[tuple[int, int]] = []
    for from_ns, until_ns in sorted(spans):
        if from_ns >= until_ns:
            continue
        if found and from_ns <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], until_ns))
        else:
            found.append((from_ns, until_ns))
    return tuple(found)


def without(spans: Spans, others: Spans) -> Spans:
    """What lies in `spans` and in none of `others`."""
    left: list[tuple[int, int]] = []
    for from_ns, until_ns in spans:
        for other_from_ns, other_until_ns in others:
            if from_ns < other_from_ns < until_ns:
                left.append((from_ns, other_from_ns))
            if other_from_ns < until_ns and from_ns < other_until_ns:
                from_ns = max(from_ns, other_until_ns)
        if from_ns < until_ns:
            left.append((from_ns, until_ns))
    return tuple(left)


def touches(span: tuple[int, int], others: Spans) -> bool:
    """Whether a span shares an instant with any of several."""
    return any(from_ns < span[1] and span[0] < until_ns for from_ns, until_ns in others)


def widened(spans: Spans, by_s: int) -> Spans:
    """Each span, longer by `by_s` seconds on both sides."""
    by_ns = by_s * SECOND_NS
    return united([(from_ns - by_ns, until_ns + by_ns) for from_ns, until_ns in spans])


def length_ns(spans: Spans) -> int:
    """How long they are together."""
    return sum(until_ns - from_ns for from_ns, until_ns in spans)
