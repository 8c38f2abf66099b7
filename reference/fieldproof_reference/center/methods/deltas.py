"""By xdelta3: the repair protocol's request, answered with deltas of whole hours (xdelta).

1. Both sides leave out what lies in the gaps: the edge of its own files, the center of its copies.
   These are the sources of the deltas. Where they are not the same files the result is another than
   the edge's, and the digest says so.
2. The edge says in its reply how it wrote it: one without xdelta3 answers with records, which are
   taken as they are. One that is silent `Unavailable` tells of, for it may know no such codec.
3. The deltas are applied one after the other; none may make more than lies in the gaps (T24).
"""

from typing import ClassVar

from fieldproof_contract import (
    SECOND_NS,
    ApplyDelta,
    Effects,
    EngineEnded,
    Event,
    Failed,
    Now,
    RunEngine,
    StopEngine,
)
from fieldproof_reference.center import Method
from fieldproof_reference.center.assemble import Day, assembled, within
from fieldproof_reference.center.canonical import read_day
from fieldproof_reference.center.methods import (
    NOTHING,
    Copy,
    Heard,
    Level,
    Progress,
    Task,
    Unavailable,
    Unusable,
)
from fieldproof_reference.center.methods.repair import Repair, most_bytes
from fieldproof_reference.protocols.deltas import unpack_deltas
from fieldproof_reference.protocols.repair import Codec, Gap, Malformed, Reply

ENGINE_PATIENCE_NS = 60 * SECOND_NS
"""How long an engine may work on one hour: our assumption, many times what a Pi needs."""


class Deltas(Repair):
    """One exchange, and an engine's work on its answer."""

    name: ClassVar[Method] = "xdelta"
    top: ClassVar[Level] = Level.GAPS
    silence: ClassVar[str] = "no answer"
    alone: ClassVar[bool] = True

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._digest = b""
        self._sources: Day = {}
        self._todo: list[tuple[int, bytes]] = []  # hour and delta, the one under way first
        self._made: dict[int, bytes] = {}
        self._running = False

    @property
    def patience_ns(self) -> int:
        """How long a silence may be: the edge's, then the engine's."""
        return ENGINE_PATIENCE_NS if self._todo else super().patience_ns

    def codec(self, gaps: tuple[Gap, ...]) -> Codec:
        """How the answer should be written."""
        return Codec.XDELTA

    def ask(self, now: Now) -> Effects:
        """Send the request; where the answer is here, let the engine try once more."""
        return self._apply() if self._todo else super().ask(now)

    def drop(self) -> Effects:
        """No engine works for nobody."""
        running, self._running = self._running, False
        return (StopEngine(self._run),) if running else ()

    def hear(self, event: Event, now: Now) -> Heard:
        """A fragment, or the end of an engine."""
        match event:
            case EngineEnded(run, output, reason) if self._running and run == self._run:
                self._running = False
                return self._applied(output) if not reason else ((), Unavailable(reason))
            case Failed(RunEngine(run), reason) if self._running and run == self._run:
                self._running = False
                return (), Unavailable(reason)
        return NOTHING if self._todo else super().hear(event, now)

    def conclude(self, reply: Reply, now: Now) -> Heard:
        """Records are taken at once; deltas are applied."""
        if reply.codec is not Codec.XDELTA:
            return super().conclude(reply, now)
        of, gaps = self.task.of, self.task.gaps
        try:
            self._todo = unpack_deltas(reply.body)
        except Malformed as error:
            return (), Unusable(str(error))
        self._digest = reply.digest
        self._sources = assembled(read_day(self.task.disk, of), of.day, gaps, [() for _ in gaps])
        self._made = dict(self._sources)
        return (self._apply(), Progress()) if self._todo else ((), self._copy())

    @property
    def _run(self) -> str:
        return f"{self.task.run}-{self._todo[0][0]:02d}"

    def _apply(self) -> Effects:
        hour, delta = self._todo[0]
        source = self._sources.get(hour, b"")
        self._running = True
        job = ApplyDelta(source, delta, len(source) + most_bytes(self.task.gaps))
        return (RunEngine(self._run, job),)

    def _applied(self, output: bytes) -> Heard:
        hour, _ = self._todo.pop(0)
        self._made[hour] = output
        return (self._apply(), Progress()) if self._todo else ((), self._copy())

    def _copy(self) -> Copy:
        day = {hour: data for hour, data in self._made.items() if data}
        groups = within(day, self.task.of.day, self.task.gaps)
        return Copy(day, self.task.gaps, groups, self._digest)
