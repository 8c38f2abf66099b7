"""What a line did to bytes, said in facts: neighbours that met with the same are one fact.

A fact names the fault (-1 for none), the cause, how many bytes, and between which places of the
instrument's stream: `from_byte` to `until_byte`, half-open. Within that range nothing lies between
hurt bytes but single whole ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

_NEAR = 2  # bytes


class Fact(NamedTuple):
    """Something that happened, for the log."""

    what: str
    detail: Mapping[str, str | int]


class _Key(NamedTuple):
    what: str
    cause: str
    fault: int


@dataclass(slots=True)
class _Stretch:
    """Bytes [first, last), of which `bytes` met with the same."""

    first: int
    last: int
    bytes: int


class Tally:
    """Collects what happens to bytes until it is over and can be said."""

    def __init__(self) -> None:
        self._facts: list[Fact] = []
        self._stretches: dict[_Key, _Stretch] = {}

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to be said, now or later."""
        return not (self._facts or self._stretches)

    def say(self, what: str, detail: Mapping[str, str | int]) -> None:
        """A fact of its own."""
        self._facts.append(Fact(what, detail))

    def note(self, what: str, cause: str, fault: int, place: int) -> None:
        """The byte at `place` of the stream met with this."""
        key = _Key(what, cause, fault)
        stretch = self._stretches.get(key)
        if stretch is not None and stretch.first <= place < stretch.last + _NEAR:
            stretch.last = max(stretch.last, place + 1)
            stretch.bytes += 1
            return
        if stretch is not None:
            self._end(key)
        self._stretches[key] = _Stretch(place, place + 1, 1)

    def settle(self, passed: int, sent: int) -> None:
        """Say what cannot go on: the line is at byte `passed` by now, its sender at `sent`."""
        for key in list(self._stretches):
            reached = sent if key.cause == "stall" else passed
            if reached > self._stretches[key].last + _NEAR:
                self._end(key)

    def finish(self) -> None:
        """Say all of it."""
        for key in list(self._stretches):
            self._end(key)

    def take(self) -> list[Fact]:
        """The facts since this was asked last."""
        facts, self._facts = self._facts, []
        return facts

    def _end(self, key: _Key) -> None:
        stretch = self._stretches.pop(key)
        self.say(
            key.what,
            {
                "fault": key.fault,
                "cause": key.cause,
                "bytes": stretch.bytes,
                "from_byte": stretch.first,
                "until_byte": stretch.last,
            },
        )
