"""By our repair protocol: one datagram asks, one or some answer (protocols/repair.py).

1. The same bytes are asked for until they are answered, however long that takes: a lost datagram
   costs a retry. Fragments that came are kept.
2. The answer carries the edge's digest of the day, so no manifest is needed.
3. What it unpacks to is bounded by what was asked for (T24).
"""

from collections.abc import Sequence
from typing import ClassVar

from fieldproof_contract import SECOND_NS, Datagram, Effects, Event, Now, SendDatagram
from fieldproof_reference import ports
from fieldproof_reference.center import Method
from fieldproof_reference.center.assemble import assembled
from fieldproof_reference.center.canonical import read_day
from fieldproof_reference.center.gaps import CADENCE_S
from fieldproof_reference.center.methods import (
    NOTHING,
    Copy,
    Heard,
    Level,
    Outcome,
    Progress,
    Task,
    Told,
    Unusable,
)
from fieldproof_reference.protocols.repair import (
    Assembly,
    Codec,
    Gap,
    Malformed,
    Reply,
    Request,
    codec_for,
    pack_request,
    seconds_of,
    unpack_body,
)

PATIENCE_NS = 2 * SECOND_NS
"""Two round trips of 600 ms and some."""

RECORD_LIMIT_BYTES = 384
SLACK_RECORDS = 8
MOST_DAY_BYTES = 1 << 22
"""Bounds on what an answer may unpack to: expected records and some (T24); for a whole day what
memory bears, for a clock that stepped back at the edge may have filled hours several times."""


class Repair:
    """One exchange."""

    name: ClassVar[Method] = "repair"
    top: ClassVar[Level] = Level.DAY
    silence: ClassVar[str] = ""
    alone: ClassVar[bool] = False
    trusts_manifest: ClassVar[bool] = False

    def __init__(self, task: Task) -> None:
        self.task = task
        wanted = Request(task.of.site, task.of.day, self.codec(task.gaps), task.gaps)
        self._request = pack_request(wanted, task.key)
        self._assembly = Assembly(self._request, task.key)

    @property
    def patience_ns(self) -> int:
        """How long a silence may be."""
        return PATIENCE_NS

    def codec(self, gaps: tuple[Gap, ...]) -> Codec:
        """How the answer should be written."""
        return codec_for(gaps)

    def ask(self, now: Now) -> Effects:
        """Send the request."""
        return (SendDatagram(ports.REPAIR, self.task.edge, self._request),)

    def hear(self, event: Event, now: Now) -> Heard:
        """Take a fragment of the answer."""
        if not isinstance(event, Datagram) or not self._assembly.add(event.data):
            return NOTHING
        if not self._assembly.complete:
            return (), Progress()
        return self.conclude(self._assembly.result(), now)

    def drop(self) -> Effects:
        """An answer that still comes is nobody's."""
        return ()

    def conclude(self, reply: Reply, now: Now) -> Heard:
        """What the whole answer comes to."""
        return (), self.unpacked(reply)

    def unpacked(self, reply: Reply) -> Outcome:
        """The copy that an answer with records makes."""
        of, gaps = self.task.of, self.task.gaps
        limit_bytes = MOST_DAY_BYTES if self.task.level is Level.DAY else most_bytes(gaps)
        try:
            groups = unpack_body(reply.codec, reply.body, gaps, of.day, limit_bytes)
        except Malformed as error:
            return Unusable(str(error))
        return Copy(
            assembled(read_day(self.task.disk, of), of.day, gaps, groups),
            gaps,
            groups,
            reply.digest,
        )


class Digest(Repair):
    """Asks for the digest of the day alone: for ways that bring none, where no manifest came."""

    def __init__(self, task: Task) -> None:
        super().__init__(task._replace(gaps=()))

    def conclude(self, reply: Reply, now: Now) -> Heard:
        """All that was asked for stands at the head of the answer."""
        return (), Told(reply.digest)


def most_bytes(gaps: Sequence[Gap]) -> int:
    """How many bytes may lie in these gaps."""
    return (seconds_of(gaps) // CADENCE_S + len(gaps) + SLACK_RECORDS) * RECORD_LIMIT_BYTES
