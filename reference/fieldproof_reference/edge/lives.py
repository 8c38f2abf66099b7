"""Says, in a file that outlives every life, which samples are in no record.

    declared/daws.jsonl    {"from_s": 1137515046, "until_s": 1137515075, "why": "killed"}
    lives/daws.jsonl       {"began_s": 1137515074}        {"ended_s": 1137520000}

A line of `declared/` is a loss: samples of these UTC seconds of the host's own clock, half-open,
are wholly or in part in no record. A line of `lives/` is the start of a life, or its end in good
order.

The laws:

1. A start declares what was lost since the life before: from the end of the newest record or of the
   newest declaration, whichever is later, to the second of the start. It was "stopped" where that
   life ended in good order, else "killed". Before any record and declaration all is lost from the
   start of the life before; where there was none, nothing is known to be lost.
2. An end in good order declares what the open record held, as "stopped". How long nothing was
   measured after it is for the next start to say.
3. A silent line without a record, and a record that was dropped, are declared when they are told
   (`LOST`). Seconds without samples inside of a record declare themselves: the record has them.
4. Clocks step. What bears a later time than a start says nothing of the time before it, and is
   passed over. Where nothing else is known, the second of the start alone is declared.
5. Each line is appended and synced before the next. What a crash left of a line is cut off at the
   next start, before anything is written behind it. A disk that takes no more is tried again, and
   losses that follow each other with one cause become one line meanwhile.
6. What a death kept from the disk of a start's declaration is made good by the next start, which
   looks for records and not for what this node meant to write. Of a loss that was told (law 3) that
   holds as long as no later record was filed.
"""

import json
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

from fieldproof_contract import (
    SECOND_NS,
    Append,
    DiskView,
    Effects,
    Event,
    Failed,
    Log,
    Monotonic,
    Now,
    Stop,
    Sync,
    Synced,
    Topic,
    Truncate,
)
from fieldproof_reference.edge import LOST, EdgeSettings, Lost, Why
from fieldproof_reference.formats import trees, xrio

RETRY_NS = 10 * SECOND_NS
"""How long to wait for a disk that took no more."""


BEGAN, ENDED = "began_s", "ended_s"


class Mark(NamedTuple):
    """A line of `lives/`: what happened (`BEGAN` or `ENDED`), and when."""

    what: str
    second: int


class Lives:
    """The node that knows of lives and losses. One line is on its way to the disk at a time:

    waiting --append, sync--> in flight --synced--> durable
       ^                          |
       +-- append failed ---------+ (sync failed: sync again)
    """

    def __init__(self, settings: EdgeSettings) -> None:
        self._site = settings.site
        self._files = (f"declared/{settings.site}.jsonl", f"lives/{settings.site}.jsonl")
        self._waiting: deque[Lost | Mark] = deque()
        self._in_flight: Lost | Mark | None = None
        self._retry_at: Monotonic | None = None
        self._count = 0  # of losses declared in this life
        self._disk: DiskView

    def start(self, disk: DiskView, now: Now) -> Effects:
        """Declare what lies before this life."""
        self._disk = disk
        second = now.utc_ns // SECOND_NS
        marks = list(self._marks())
        was_stopped = marks[-1:] and marks[-1].what == ENDED
        self._declare_until(second, "stopped" if was_stopped else "killed")
        self._waiting.append(Mark(BEGAN, second))
        return self.advance(now)

    def receive(self, event: Event, now: Now) -> Effects:
        """Declare what is told as lost; end in good order."""
        match event:
            case Topic(topic, Lost() as lost) if topic == LOST:
                self._declare(lost)
                return self._write_next()
            case Synced() if self._in_flight is not None:
                self._count += isinstance(self._in_flight, Lost)
                self._in_flight = None
                return self._write_next()
            case Failed(effect, _):
                if isinstance(effect, Append) and self._in_flight is not None:
                    self._waiting.appendleft(self._in_flight)
                    self._in_flight = None
                self._retry_at = Monotonic(now.monotonic + RETRY_NS)
            case Stop():
                return self._end(now.utc_ns // SECOND_NS)
        return ()

    def advance(self, now: Now) -> Effects:
        """Try again what the disk did not take: a sync, a half line, a line."""
        self._retry_at = None
        if self._in_flight is not None:
            return (Sync((self._path_of(self._in_flight),)),)
        mending = self._mend()
        if mending:
            self._retry_at = now.monotonic  # what waits is written once the half lines are cut
        return mending or self._write_next()

    def deadline(self) -> Monotonic | None:
        """When a disk that failed is tried again."""
        return self._retry_at

    def figures(self) -> Mapping[str, int | str]:
        """For people: how many losses this life has declared."""
        return {"losses declared": self._count}

    # --- lives ---

    def _end(self, second: int) -> Effects:
        """The host ends in good order: all that waits is written at once."""
        self._declare_until(second, "stopped")
        self._waiting.append(Mark(ENDED, second))
        lines = [effect for line in self._waiting for effect in self._written(line)]
        self._waiting.clear()
        written = {effect.path for effect in lines if isinstance(effect, Append)}
        paths = [path for path in self._files if path in written or self._disk.size(path)]
        return (*self._mend(), *lines, Sync(tuple(paths)))

    def _declare_until(self, second: int, why: Why) -> None:
        """Declare what was lost up to and with `second`, of which a part is lost."""
        from_s = self._lost_since(second)
        if from_s is not None and from_s <= second:
            self._declare(Lost(from_s, second + 1, why))

    def _lost_since(self, second: int) -> int | None:
        """From which second on nothing before `second` is known to be kept or declared; None where
        nothing was ever measured. A record may seem to end half a second too late."""
        ends = [*self._declared_ends(), *self._record_ends(second)]
        known = [end for end in ends if end <= second + 1]
        begins = [mark.second for mark in self._marks() if mark.what == BEGAN]
        known = known or [begin for begin in begins if begin <= second]
        if known:
            return max(known)
        return second if ends or begins or self._hour_paths() else None

    def _record_ends(self, second: int) -> list[int]:
        """When records end, of the newest hour file that has one which ends by `second`."""
        for path in reversed(self._hour_paths()):
            hour = trees.parse_hour_path(path)
            if hour is None or hour.utc_s > second:
                continue
            data = self._disk.read(path)
            spans = [span for span in xrio.walk(data) if span.valid]
            heads = [xrio.header(data[span.offset : span.offset + span.size]) for span in spans]
            ends = [head.timestamp_s + head.datapoints for head in heads]
            if min(ends, default=second + 2) <= second + 1:
                return ends
        return []

    def _hour_paths(self) -> list[str]:
        return trees.site_hour_paths(self._disk.listing("riometer/"), self._site)

    # --- the two files ---

    def _declare(self, lost: Lost) -> None:
        last = self._waiting[-1] if self._waiting else None
        if isinstance(last, Lost) and (last.until_s, last.why) == (lost.from_s, lost.why):
            self._waiting[-1] = last._replace(until_s=lost.until_s)
        else:
            self._waiting.append(lost)

    def _write_next(self) -> Effects:
        if not self._waiting or self._in_flight is not None or self._retry_at is not None:
            return ()
        self._in_flight = self._waiting.popleft()
        return (*self._written(self._in_flight), Sync((self._path_of(self._in_flight),)))

    def _written(self, line: Lost | Mark) -> Effects:
        """One line more in its file; a loss is also said in the log."""
        path = self._path_of(line)
        if isinstance(line, Mark):
            return (Append(path, _text({line.what: line.second})),)
        return (Append(path, _text(line._asdict())), Log("loss declared", line._asdict()))

    def _path_of(self, line: Lost | Mark) -> str:
        return self._files[isinstance(line, Mark)]

    def _mend(self) -> Effects:
        effects: Effects = ()
        for path in self._files:
            data = self._disk.read(path) if self._disk.size(path) else b""
            end = data.rfind(b"\n") + 1
            effects += (Truncate(path, end),) if end < len(data) else ()
        return effects

    def _declared_ends(self) -> Iterator[int]:
        for found in self._objects(self._files[0]):
            match found:
                case {"until_s": int() as until_s}:
                    yield until_s

    def _marks(self) -> Iterator[Mark]:
        for found in self._objects(self._files[1]):
            match found:
                case {"began_s": int() as second}:
                    yield Mark(BEGAN, second)
                case {"ended_s": int() as second}:
                    yield Mark(ENDED, second)

    def _objects(self, path: str) -> Iterator[object]:
        """What the whole lines of a file say; what is no JSON is passed over."""
        data = self._disk.read(path) if self._disk.size(path) else b""
        for line in data.split(b"\n")[:-1]:
            with suppress(ValueError, RecursionError):
                yield json.loads(line)


def _text(line: Mapping[str, str | int]) -> bytes:
    return json.dumps(line).encode() + b"\n"
