"""By HTTP: the missing bytes of all hours of the day, asked for at once on one connection.

    gaps    by cadence, the ranges of the hours that are not as the manifest says; hours whose
            gaps do not explain that, whole
    hours   all of those hours whole
    day     every hour whole

1. A range is put in where it fits between the records around it (`pieces`), and nowhere else.
2. After a break what came is kept, and the rest asked for with `If-Range`. A server that gave no
   strong tag, or has another file by now (T10), is asked for everything of that hour again.
3. An hour that the manifest says the edge has not is left out, and is not asked for.
4. A file is bounded by `MOST_BYTES`. What the answers must be is said in `httprange_client`.

For edges that sign no manifests `fetch` does this hour by hour.
"""

from collections.abc import Sequence
from typing import ClassVar

from fieldproof_contract import (
    SECOND_NS,
    Address,
    CloseStream,
    Effects,
    Event,
    Failed,
    Now,
    OpenStream,
    StreamClosed,
    StreamData,
    StreamOpened,
    WriteStream,
)
from fieldproof_reference import ports
from fieldproof_reference.center import Method
from fieldproof_reference.center.assemble import Day, items_of
from fieldproof_reference.center.canonical import path_of, read_day
from fieldproof_reference.center.gaps import ALL_HOURS, suspect_hours, whole_hour
from fieldproof_reference.center.methods import (
    NOTHING,
    Copy,
    Heard,
    Level,
    Outcome,
    Progress,
    Task,
    Unavailable,
    Unusable,
)
from fieldproof_reference.center.pieces import Piece, filled, pieces
from fieldproof_reference.protocols import httprange
from fieldproof_reference.protocols.httprange import Ask, Client, Malformed, Span
from fieldproof_reference.protocols.repair import NO_FILE, Gap

SILENCE_NS = 60 * SECOND_NS
"""How long a connection waits for the next byte: some of the slowest link's round trips."""

MOST_BYTES = 1 << 20
"""The largest hour file: 46 times a full one, for a clock that stepped back at the edge may have
filled the hour several times."""

GONE = (404, 410)


class Ranges:
    """The day's requests, and their answers."""

    name: ClassVar[Method] = "http-range"
    top: ClassVar[Level] = Level.DAY
    silence: ClassVar[str] = "silence"
    alone: ClassVar[bool] = True
    trusts_manifest: ClassVar[bool] = True

    def __init__(self, task: Task) -> None:
        self.task = task
        self._server = Address(task.edge.host, ports.ARCHIVE)
        self._hours = [
            _Hour(path_of(task.of, hour), hour, wanted) for hour, wanted in _plan(task).items()
        ]
        self._client: Client | None = None
        self._stream = ""
        self._streams = 0

    @property
    def patience_ns(self) -> int:
        """How long a silence may be."""
        return SILENCE_NS

    def ask(self, now: Now) -> Effects:
        """Connect; what is asked for is sent once the connection stands."""
        left = self.drop()
        self._streams += 1
        self._stream = f"{self.task.run}-http-{self._streams}"
        self._client = Client(self._server, len(ALL_HOURS))
        return (*left, OpenStream(self._stream, self._server))

    def drop(self) -> Effects:
        """Hang up."""
        left = (CloseStream(self._stream),) if self._stream else ()
        self._stream, self._client = "", None
        return left

    def hear(self, event: Event, now: Now) -> Heard:
        """What the connection brings."""
        client = self._client
        if client is None:
            return NOTHING
        match event:
            case StreamOpened(stream, _) if stream == self._stream:
                asks = [client.ask(one.ask()) for one in self._hours if not one.complete]
                if not asks:
                    return self.drop(), self._outcome()
                return (WriteStream(stream, b"".join(asks)),), Progress()
            case StreamData(stream, data) if stream == self._stream:
                return self._hear(client, data)
            case StreamClosed(stream, reason) if stream == self._stream:
                return self._hear_end(client, reason or "closed by the server")
            case Failed(OpenStream(stream) | WriteStream(stream), reason):
                return (self.drop(), Unavailable(reason)) if stream == self._stream else NOTHING
        return NOTHING

    def _hear(self, client: Client, data: bytes) -> Heard:
        try:
            self._take(client.hear(data))
        except _Unserved as error:
            return self.drop(), Unavailable(str(error))
        except Malformed as error:
            return self.drop(), Unusable(str(error))
        if any(not one.complete for one in self._hours):
            return (), Progress()
        return self.drop(), self._outcome()

    def _hear_end(self, client: Client, reason: str) -> Heard:
        self._stream, self._client = "", None
        try:
            self._take(client.hear_end())
        except Malformed:
            for one in self._hours:
                one.cut_short()
        whole = all(one.complete for one in self._hours)
        return (), self._outcome() if whole else Unavailable(reason)

    def _take(self, heard: Sequence[httprange.Heard]) -> None:
        """Answers come in the order of the requests."""
        for one in heard:
            next(hour for hour in self._hours if not hour.complete).hear(one)

    def _outcome(self) -> Outcome:
        """The copy that all answers make."""
        before = read_day(self.task.disk, self.task.of)
        day, gaps, groups = dict(before), list[Gap](), list[list[bytes]]()
        for one in self._hours:
            content = one.content(before, self.task)
            if content is None:
                return Unusable(f"what came of hour {one.hour} does not fit")
            day[one.hour] = content
            for gap, data in one.stretches():
                gaps.append(gap)
                groups.append(items_of(data))
        manifest = self.task.manifest
        kept = {
            hour: data
            for hour, data in day.items()
            if data and not (manifest and manifest.hour_digests[hour] == NO_FILE)
        }
        return Copy(kept, tuple(gaps), groups)


class _Unserved(Malformed):
    """The server answers, and not what was asked for: it may do so later."""


class _Hour:
    """What is asked for of one hour file: pieces, or where there are none, all of it."""

    def __init__(self, path: str, hour: int, wanted: tuple[Piece, ...]) -> None:
        self.hour = hour
        self.complete = False
        self._path = path
        self._wanted = wanted
        self._forget()

    def _forget(self) -> None:
        self._got = b""
        self._tag = ""
        self._total: int | None = None

    def ask(self) -> Ask:
        """The request for what is missing."""
        if self._got and not self._tag:
            self._forget()
        spans = [piece.span for piece in self._wanted]
        if self._got and not spans:
            spans = [Span(0, (self._total or MOST_BYTES) - 1)]
        left, skip = list[Span](), len(self._got)
        for span in spans:
            if skip < span.size:
                left.append(Span(span.first + skip, span.last))
            skip = max(0, skip - span.size)
        if_range = self._tag if self._got else ""
        return Ask(self._path, tuple(left), if_range, most_bytes=MOST_BYTES)

    def cut_short(self) -> None:
        """The connection broke, perhaps behind the last byte that was wanted."""
        size = sum(piece.span.size for piece in self._wanted) or self._total
        self.complete = self.complete or 0 < len(self._got) == size

    def hear(self, heard: httprange.Heard) -> None:
        """Some of the answer; `Malformed` where it is of no use."""
        match heard:
            case httprange.Head():
                self._hear_head(heard)
            case httprange.Part(_, total):
                if self._total not in (None, total):
                    raise Malformed(f"the file had {self._total} bytes and now has {total}")
                self._total = total
            case httprange.Body(data):
                self._got += data
            case httprange.Done():
                self.complete = True

    def _hear_head(self, head: httprange.Head) -> None:
        resumes = bool(self._got)
        if head.status not in (200, 206, 416, *GONE):
            raise _Unserved(f"the status is {head.status}")
        if head.status == 416 or (self._wanted and head.status in GONE):
            raise Malformed(f"the status of {self._path} is {head.status}")
        if resumes and (head.status != 206 or head.tag != self._tag):
            self._forget()
            raise _Unserved(f"the file {self._path} has changed since the connection broke")
        self._tag = head.tag
        self._total = head.total if head.status == 200 else self._total

    def content(self, before: Day, task: Task) -> bytes | None:
        """The hour file with what came; None where that does not fit."""
        if not self._wanted:
            return self._got
        hour = 24 * task.of.day + self.hour
        local = before.get(self.hour, b"")
        if pieces(local, hour) != self._wanted:
            return None
        return filled(
            local, hour, list(zip(self._wanted, self._split(), strict=True)), task.of.site
        )

    def stretches(self) -> list[tuple[Gap, bytes]]:
        """What came, and between which seconds of the day it lies."""
        if not self._wanted:
            return [(whole_hour(self.hour), self._got)]
        gaps = [
            Gap(None if piece.after_s < 0 else piece.after_s, piece.before_s)
            for piece in self._wanted
        ]
        return list(zip(gaps, self._split(), strict=True))

    def _split(self) -> list[bytes]:
        """What came, by piece."""
        contents, rest = [], self._got
        for piece in self._wanted:
            contents.append(rest[: piece.span.size])
            rest = rest[piece.span.size :]
        return contents


def _plan(task: Task) -> dict[int, tuple[Piece, ...]]:
    """What to ask for, by hour of the day; no pieces: the whole file."""
    manifest, day = task.manifest, read_day(task.disk, task.of)
    suspects = suspect_hours(day, manifest) if task.level is not Level.DAY else ALL_HOURS
    plan: dict[int, tuple[Piece, ...]] = {}
    for hour in suspects:
        if manifest and manifest.hour_digests[hour] == NO_FILE:
            continue
        found = pieces(day.get(hour, b""), 24 * task.of.day + hour)
        if task.level is Level.GAPS and found == () and manifest is None:
            continue  # the digest of the day will tell
        plan[hour] = found or () if task.level is Level.GAPS else ()
    return plan
