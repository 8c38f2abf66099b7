"""The ways to get an edge's bytes, behind one interface; `reconcile` does what is common to all.

repair   our own protocol: what lies in the gaps, or in whole hours, over UDP
deltas   the same request, answered with what xdelta3 makes of the two versions of each hour
pull     rsync, into staging
ranges   byte ranges of the hour files over HTTP, all on one connection

The laws of a way:

1. It is for one case, and knows nothing of the others. It asks for what its `Task` names; it may
   ask for more, never for less.
2. Whatever it brings is a `Copy` of the day, made beside the canonical files. It promotes nothing
   and proves nothing: who holds the copy against the edge's digest is `reconcile`.
3. `ask` is called to begin, and again after a silence or an `Unavailable`: then it goes on with
   what it has. `drop` ends what is under way; only `ask` may follow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, NamedTuple, Protocol, TypeAlias

from fieldproof_contract import Address, DiskView, Effects, Event, Now
from fieldproof_reference.center import Method, SiteDay
from fieldproof_reference.center.assemble import Day
from fieldproof_reference.protocols.repair import Gap, Manifest


class Level(IntEnum):
    """What is asked for; each is tried when the one before did not lead to the edge's digest."""

    GAPS = 0
    HOURS = 1
    DAY = 2


class Task(NamedTuple):
    """What a way is to bring."""

    of: SiteDay
    level: Level
    gaps: tuple[Gap, ...]
    manifest: Manifest | None
    key: bytes  # shared with the edge
    edge: Address  # where its newest authentic manifest came from, or where it was to begin with
    disk: DiskView  # of the center
    run: str  # unique: the names of streams and engines begin with it


@dataclass(frozen=True, slots=True)
class Copy:
    """The day as it would be. Where a way says no digest it has to be the manifest's."""

    day: Day
    gaps: tuple[Gap, ...]  # where it may differ from the center's, in order
    groups: Sequence[Sequence[bytes]]  # the items in each of them
    digest: bytes = b""  # of the edge's day, as the edge signed it with these bytes


@dataclass(frozen=True, slots=True)
class Told:
    """The edge's digest of the day, and nothing else."""

    digest: bytes


@dataclass(frozen=True, slots=True)
class Progress:
    """Some of the answer: the wait begins anew."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """The answer is whole and leads nowhere: one sentence."""

    why: str


@dataclass(frozen=True, slots=True)
class Unavailable:
    """There is no answer to be had by this way now: one sentence."""

    why: str


Outcome: TypeAlias = Copy | Told | Progress | Unusable | Unavailable
Heard: TypeAlias = tuple[Effects, Outcome | None]

NOTHING: Heard = ((), None)
"""What is heard of an event that concerns somebody else."""


class Way(Protocol):
    """One way, for one case. See the laws at the head of this file."""

    name: ClassVar[Method]
    top: ClassVar[Level]  # the most that it can ask for
    alone: ClassVar[bool]  # one of a site at a time: it takes a connection, or an engine
    silence: ClassVar[str]  # what one of `patience_ns` is called; empty: one more time to ask
    trusts_manifest: ClassVar[bool]  # brings no digest, and needs one beforehand

    def __init__(self, task: Task) -> None:
        """Nothing is asked yet."""

    @property
    def patience_ns(self) -> int:
        """How long a silence may be."""

    def ask(self, now: Now) -> Effects:
        """Begin, or go on after a pause."""

    def hear(self, event: Event, now: Now) -> Heard:
        """Something happened; an event of another's makes `NOTHING`."""

    def drop(self) -> Effects:
        """End what is under way."""
