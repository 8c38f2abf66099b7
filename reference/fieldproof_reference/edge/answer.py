"""Answers repair requests from the files of the day, in one round trip, and keeps no state.

The laws:

1. A request that is not signed with the site's key, or is for another site or an open day, gets no
   answer at all (T17).
2. The same request gets the same answer as long as the files stay the same, so that retries are
   free of consequences (T23). Files of closed days hardly ever change.
3. What lies in a gap is said in `lacking`.
4. Answers leave at `PACE_BIT_S`, so that live telemetry is never kept waiting for long. What is
   asked for again while its answer still waits to leave, or is being made, is not queued twice.
5. Deltas are xdelta3's work, one hour after the other, for `MOST_MADE` requests at most; for more
   than these, or where xdelta3 does not do it, the answer is made of records, and says so.

    request -- of records -----------------------------------------> queued
    request -- of deltas --> making -- all are made ---------------> queued
                             making -- the engine fails, is silent -> queued, of records
"""

from collections import deque
from dataclasses import dataclass, field

from fieldproof_contract import (
    SECOND_NS,
    Address,
    Datagram,
    DiskView,
    Effects,
    EngineEnded,
    Event,
    Failed,
    Log,
    MakeDelta,
    Monotonic,
    Now,
    RunEngine,
    SendDatagram,
    StopEngine,
)
from fieldproof_reference import ports
from fieldproof_reference.edge import EdgeSettings
from fieldproof_reference.edge.declare import CLOSING_NS, day_files
from fieldproof_reference.edge.lacking import Files, Versions, lacking, pick
from fieldproof_reference.formats.days import DAY_S, day_text
from fieldproof_reference.protocols.deltas import pack_deltas
from fieldproof_reference.protocols.repair import (
    Codec,
    Malformed,
    Request,
    codec_for,
    day_digest,
    pack_body,
    read_request,
    reply_fragments,
)
from fieldproof_reference.protocols.reply import FRAGMENT_BODY_BYTES, MOST_FRAGMENTS

PACE_BIT_S = 64_000
"""Half of the slow side of a 128 kbit/s link (our assumption)."""

IP_UDP_BYTES = 28
MOST_BODY_BYTES = MOST_FRAGMENTS * FRAGMENT_BODY_BYTES
MOST_QUEUED = 2 * MOST_FRAGMENTS
"""Fragments that may wait to leave: two of the longest answers."""

MOST_MADE = 4
"""Requests whose deltas are being made, or wait for that: each holds two versions of a day."""

MAKING_NS = 60 * SECOND_NS
"""How long an engine may work on one hour: our assumption, many times what a Pi needs."""


@dataclass(slots=True)
class _Making:
    """An answer of which not all deltas are made."""

    source: Address
    data: bytes  # the request
    request: Request
    files: Files
    todo: list[Versions]  # the one under way first
    made: list[tuple[int, bytes]] = field(default_factory=list)


class Answer:
    """The node that listens on the repair port."""

    def __init__(self, settings: EdgeSettings) -> None:
        self._settings = settings
        self._disk: DiskView
        self._queue: deque[tuple[Address, bytes]] = deque()
        self._free_at = Monotonic(0)  # when the fragment before has left
        self._making: deque[_Making] = deque()
        self._runs = 0  # engines so far
        self._engine_due: Monotonic | None = None  # when the one that runs has had its time

    def start(self, disk: DiskView, now: Now) -> Effects:
        """Nothing is owed from an earlier life."""
        self._disk = disk
        self._free_at = now.monotonic
        return ()

    def receive(self, event: Event, now: Now) -> Effects:
        """Queue the answer to a request."""
        effects: Effects = ()
        match event:
            case Datagram(_, source, data):
                effects = self._answer(source, data, now)
            case EngineEnded(run, delta, reason) if self._is_running(run):
                effects = self._made(delta, reason, now)
            case Failed(RunEngine(run), reason) if self._is_running(run):
                effects = self._made(b"", reason, now)
            case _:
                return ()
        return effects + self.advance(now)

    def advance(self, now: Now) -> Effects:
        """Let one fragment go, if it may; end an engine that hangs."""
        effects: Effects = ()
        if self._engine_due is not None and now.monotonic >= self._engine_due:
            hung = StopEngine(self._run)
            effects = (hung, *self._made(b"", "it does not end", now))
        if not self._queue or now.monotonic < self._free_at:
            return effects
        to, fragment = self._queue.popleft()
        took_ns = (len(fragment) + IP_UDP_BYTES) * 8 * SECOND_NS // PACE_BIT_S
        self._free_at = Monotonic(now.monotonic + took_ns)
        return (*effects, SendDatagram(ports.REPAIR, to, fragment))

    def deadline(self) -> Monotonic | None:
        """When the next fragment may go, or an engine has had its time."""
        dues = [self._free_at] if self._queue else []
        return min(dues + ([] if self._engine_due is None else [self._engine_due]), default=None)

    def _answer(self, source: Address, data: bytes, now: Now) -> Effects:
        """Answer, or begin to, if there is to be an answer."""
        today = (now.utc_ns - CLOSING_NS) // (DAY_S * SECOND_NS)
        try:
            request = read_request(data, self._settings.key, today)
        except Malformed:
            return ()
        if request.site != self._settings.site or request.day >= today:
            return ()
        if any((one.source, one.data) == (source, data) for one in self._making):
            return ()
        files = day_files(self._disk, request.site, request.day)
        making = _Making(source, data, request, files, [])
        if request.codec is not Codec.XDELTA or len(self._making) >= MOST_MADE:
            return self._with_records(making)
        making.todo = lacking(files, request)
        if not making.todo:
            return self._reply(making, Codec.XDELTA, pack_deltas(()))
        self._making.append(making)
        return self._make(now) if len(self._making) == 1 else ()

    # --- deltas ---

    @property
    def _run(self) -> str:
        return f"delta-{self._runs}"

    def _is_running(self, run: str) -> bool:
        return self._engine_due is not None and run == self._run

    def _make(self, now: Now) -> Effects:
        """Let the engine make the next delta, if there is one to make."""
        if not self._making:
            return ()
        self._runs += 1
        self._engine_due = Monotonic(now.monotonic + MAKING_NS)
        hour = self._making[0].todo[0]
        return (RunEngine(self._run, MakeDelta(hour.without, hour.whole)),)

    def _made(self, delta: bytes, reason: str, now: Now) -> Effects:
        """An engine is done, or will not be."""
        self._engine_due = None
        making = self._making[0]
        if not reason:
            making.made.append((making.todo.pop(0).hour, delta))
            if making.todo:
                return self._make(now)
        self._making.popleft()
        if reason:
            said = Log("no delta", {"day": day_text(making.request.day), "why": reason})
            return (said, *self._with_records(making), *self._make(now))
        replied = self._reply(making, Codec.XDELTA, pack_deltas(making.made))
        return replied + self._make(now)

    # --- answers ---

    def _with_records(self, making: _Making) -> Effects:
        """The answer in a codec of records, the one that was wanted if it is of these."""
        request = making.request
        of_deltas = request.codec is Codec.XDELTA
        wanted = codec_for(request.gaps) if of_deltas else request.codec
        groups = pick(making.files, request)
        return self._reply(making, *pack_body(groups, wanted, request.day, request.gaps))

    def _reply(self, making: _Making, used: Codec, body: bytes) -> Effects:
        """Queue the fragments."""
        if len(body) > MOST_BODY_BYTES:
            day = day_text(making.request.day)
            return (Log("answer too long", {"day": day, "bytes": len(body)}),)
        digest = day_digest(making.files)
        fragments = reply_fragments(making.data, used, digest, body, self._settings.key)
        waiting = {fragment for _, fragment in self._queue}  # whoever asked: it may be a replay
        fresh = [(making.source, one) for one in fragments if one not in waiting]
        if len(self._queue) + len(fresh) <= MOST_QUEUED:
            self._queue.extend(fresh)
        return ()
