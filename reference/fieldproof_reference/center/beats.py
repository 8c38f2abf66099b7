"""What the receiver says of itself, and what a reader makes of it: when it was down.

    receiver/2006/01/17.jsonl      one JSON object a line: a mark, and its UTC second

The lines are receive.py's (law 5). Signs of life are these marks and, since a busy receiver writes
no beats, the arrivals in the index files. The laws of the reader (`downtimes`):

1. Between the last sign of a life and the `began_s` of the next, the receiver was down. That is
   exact where the life ended in good order, and too early by `BEAT_NS` at most where it was killed.
2. Signs that are more than `SILENCE_NS` apart have a stop between them, too: a process that was
   frozen, a machine that slept.
3. Before the first mark nothing is known: other receivers, and ours before it said anything, leave
   no marks. A file of an earlier day is a mark of then.
4. Lines that are none are passed over; a crash may leave half a line.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import NamedTuple

from fieldproof_contract import SECOND_NS, DiskView, Effects, Now, Truncate
from fieldproof_reference.formats.days import DAY_S, day_text

BEGAN, BEAT, ENDED = "began_s", "beat_s", "ended_s"

FOLDER = "receiver/"
BEAT_NS = 70 * SECOND_NS
"""A minute, and what the arrivals of a lone site may differ from one."""

SILENCE_NS = 100 * SECOND_NS
"""More than this between two signs of life is a stop. Our assumption: a beat may come late on a
machine that is busy."""

LARGEST_LINE = 64
MOST_FILES = 31
"""A month: the clock of a center may have been that far ahead in its last life."""


class Mark(NamedTuple):
    """A line: what the receiver said, and when."""

    utc_ns: int
    what: str


class Downtime(NamedTuple):
    """The receiver was down then: half-open, UTC nanoseconds."""

    from_ns: int
    until_ns: int


def path_of(now: Now) -> str:
    """The file of a day."""
    return f"{FOLDER}{day_text(now.utc_ns // (DAY_S * SECOND_NS), '%Y/%m/%d')}.jsonl"


def is_beats(path: str) -> bool:
    """Whether a file is one of these."""
    return path.startswith(FOLDER)


def line(what: str, now: Now) -> bytes:
    """A line with its LF. The second is cut, not rounded, and a start is not said to be later than
    it was."""
    return json.dumps({what: now.utc_ns // SECOND_NS}).encode() + b"\n"


def mended(disk: DiskView) -> Effects:
    """Cut off the half lines that a crash left, so that nothing is written behind one."""
    effects: Effects = ()
    for path in disk.listing(FOLDER)[-MOST_FILES:]:
        size = disk.size(path) or 0
        tail = disk.read(path, max(0, size - LARGEST_LINE))
        half = len(tail) - (tail.rfind(b"\n") + 1)
        effects += (Truncate(path, size - half),) if half else ()
    return effects


def marks(data: bytes) -> Iterator[Mark]:
    """What the whole lines of a file say."""
    for text in data.split(b"\n")[:-1]:
        with suppress(ValueError, RecursionError):
            match json.loads(text):
                case dict() as said:
                    for what in (BEGAN, BEAT, ENDED):
                        second = said.get(what)
                        if type(second) is int and 0 <= second < 1 << 33:
                            yield Mark(second * SECOND_NS, what)


def downtimes(
    said: Iterable[Mark], came_ns: Sequence[int], from_ns: int, until_ns: int, known: bool
) -> tuple[tuple[Downtime, ...], int | None]:
    """When the receiver was down in [from, until), and since when that is known at all: None for
    never, from the start where it is `known`. `came_ns`: all arrivals of that time, in order."""
    before = sorted(mark for mark in said if mark.utc_ns < until_ns)
    inside = [mark for mark in before if from_ns <= mark.utc_ns]
    known = known or len(inside) < len(before)
    if not inside and not known:
        return (), None
    since_ns = from_ns if known else inside[0].utc_ns
    began = {mark.utc_ns for mark in inside if mark.what == BEGAN}
    ended = {mark.utc_ns for mark in inside if mark.what == ENDED}
    signs = sorted({since_ns, until_ns, *came_ns, *(mark.utc_ns for mark in inside)})
    down = tuple(
        Downtime(before, after)
        for before, after in pairwise([sign for sign in signs if sign >= since_ns])
        if after in began or before in ended or after - before > SILENCE_NS
    )
    return down, since_ns
