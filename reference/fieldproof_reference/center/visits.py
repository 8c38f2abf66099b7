"""A site's archive, visited over one connection at a time, hour by hour.

The laws:

1. At most one connection to a site, one request on it. It is kept while hours are due and closed
   when none is.
2. An hour is asked for when it is over at the edge as well as here: the center holds a record of a
   later hour of this site, or the hour's file reaches its end, or `LATE_NS` have passed. For the
   edge's clock may be behind, and a file that still grows proves nothing.
3. A server that is silent, refuses, or breaks off is tried again with doubling back-off. What came
   stays in staging and the rest is asked for later, unless that is what is not answered.
4. An hour whose file is of no use waits for long, the others do not.
5. An hour that the edge does not have keeps the records that the center has: they are reported as
   unconfirmed, never dropped (T11). Where the center has none either, the edge is believed when it
   said so twice, `MOST_PATIENCE_NS` apart: a disk may not have been mounted.

The connection:

    none -- an hour is due --> calling -- opened --> asked -- answer complete --> asked, or none
    calling, asked -- silence, break, nonsense ----> none
"""

from fieldproof_contract import (
    SECOND_NS,
    Address,
    CloseStream,
    DiskView,
    Effects,
    Event,
    Log,
    Monotonic,
    Now,
    OpenStream,
    StreamClosed,
    StreamData,
    StreamOpened,
    Sync,
    WriteStream,
)
from fieldproof_reference.center import SiteHour, provenance
from fieldproof_reference.center.errand import Changed, Errand, Found, Level, Unserved, held
from fieldproof_reference.center.pieces import reaches_its_end
from fieldproof_reference.center.promote import (
    closed,
    day_noted,
    hour_text,
    noted,
    promotion,
    reopened,
)
from fieldproof_reference.formats import trees
from fieldproof_reference.formats.days import HOUR_S
from fieldproof_reference.protocols.httprange import Client, Malformed

SILENCE_NS = 60 * SECOND_NS
"""How long a request waits for the next byte: some of the slowest link's round trips."""

PATIENCE_NS = 5 * SECOND_NS
MOST_PATIENCE_NS = 3600 * SECOND_NS
"""Waits for a server that does not answer, doubling until an hour is proven."""

USELESS_NS = 6 * MOST_PATIENCE_NS
"""How long an hour waits whose file cannot be used, or is not there."""

LOOK_NS = 30 * SECOND_NS
LATE_NS = 2 * 3600 * SECOND_NS
LATER_HOURS = 26
"""When an hour that seems not to be over is looked at again; when it is taken to be; how many later
hours are looked at for a record."""

DOUBT_NS = 600 * SECOND_NS
"""How long a proof stays in doubt before the edge is asked: strangers can raise doubts."""

SYNC_PATIENCE_NS = 60 * SECOND_NS
ABSENCES = 2


class Visits:
    """Everything that is to be fetched from one site."""

    def __init__(self, site: str, server: Address, disk: DiskView) -> None:
        self._site, self._server, self._disk = site, server, disk
        self._errands: dict[int, Errand] = {}  # by hour since 1970, not yet proven
        self._syncing: dict[int, Effects] = {}  # by hour: what is noted once the file is durable
        self._noting: dict[int, str] = {}  # by hour: where it was noted, not yet durable
        self._errand: Errand | None = None  # the one that the connection is used for
        self._client: Client | None = None
        self._stream = ""  # the connection, "" for none
        self._streams = 0
        self._request = b""  # what waits for the connection to stand; then nothing
        self._silent_at = self._free_at = Monotonic(0)
        self._patience_ns = PATIENCE_NS
        self.proven: set[int] = set()

    def open(self, hour: int, due: Monotonic) -> None:
        """An hour that has ended."""
        if hour not in self.proven and hour not in self._errands:
            self._errands[hour] = Errand(SiteHour(self._site, hour), due)

    def forget_from(self, hour: int) -> None:
        """This hour, and those after it, have not ended after all."""
        for later in [known for known in self._errands if known >= hour]:
            if self._errands[later] is not self._errand:
                self._not_yet(later)
                del self._errands[later]

    def deadline(self) -> Monotonic | None:
        """When `advance` is wanted."""
        if self._errand is not None:
            return Monotonic(0) if self._errand.complete else self._silent_at
        return min((max(one.due, self._free_at) for one in self._errands.values()), default=None)

    def advance(self, now: Now) -> Effects:
        """Look at an answer that is complete; give up on one that does not come; ask."""
        if self._errand is not None and self._errand.complete:
            return self._conclude(self._errand, now)
        if self._errand is not None:
            return self._break_off("silence", now) if now.monotonic >= self._silent_at else ()
        return self._next(now) if now.monotonic >= self._free_at else ()

    def receive(self, event: Event, now: Now) -> Effects:
        """Something happened on a connection."""
        match event:
            case StreamOpened(stream, _) if stream == self._stream:
                self._silent_at = Monotonic(now.monotonic + SILENCE_NS)
                request, self._request = self._request, b""
                return (WriteStream(stream, request),)
            case StreamData(stream, data) if stream == self._stream and self._client is not None:
                return self._hear(self._client, data, now)
            case StreamClosed(stream, reason) if stream == self._stream:
                return self._hear_end(reason or "closed by the server", now)
        return ()

    def synced(self, path: str, now: Now) -> Effects:
        """A file is durable: that of an hour, or the notes of a day."""
        effects: Effects = ()
        for hour in [hour for hour, notes in self._noting.items() if notes == path]:
            effects += self._confirm(hour, now)
        file = trees.parse_hour_path(path)
        note = self._syncing.pop(file.utc_s // HOUR_S, ()) if file else ()
        if note and file:
            self._noting[file.utc_s // HOUR_S] = self._notes_path(file.utc_s // HOUR_S)
        return effects + note

    def doubt(self, hour: int, now: Now) -> Effects:
        """A proven hour may be another at the edge by now."""
        if hour not in self.proven:
            return ()
        self.proven.discard(hour)
        self.open(hour, Monotonic(now.monotonic + DOUBT_NS))
        return reopened(self._disk, SiteHour(self._site, hour), now)

    def put_off(self, now: Now) -> Effects:
        """Something that was asked for was not done: whatever is under way begins anew later."""
        unproven = [*self._syncing, *self._noting]
        for hour in unproven:
            self._errands[hour].due = Monotonic(now.monotonic + self._patience_ns)
            self._not_yet(hour)
        if self._errand is not None:
            self._errand.restart()
        return self._break_off("something failed here", now) if unproven or self._errand else ()

    def _not_yet(self, hour: int) -> None:
        """What was to prove the hour does so no more."""
        self._syncing.pop(hour, None)
        self._noting.pop(hour, None)

    # --- the connection ---

    def _next(self, now: Now) -> Effects:
        """Ask for the first hour that is due, or end the visit."""
        for errand in sorted(self._errands.values(), key=lambda one: one.of.hour):
            if errand.due > now.monotonic:
                continue
            if self._is_over(errand, now):
                return self._ask(errand, now)
            errand.due = Monotonic(now.monotonic + LOOK_NS)
        return self._hang_up()

    def _ask(self, errand: Errand, now: Now) -> Effects:
        self._errand = errand
        self._not_yet(errand.of.hour)
        self._silent_at = Monotonic(now.monotonic + SILENCE_NS)
        prepared = errand.prepare(self._disk)
        ask = errand.ask(self._disk)
        if self._client is not None and self._client.reusable:
            return (*prepared, WriteStream(self._stream, self._client.ask(ask)))
        left = self._hang_up()
        self._streams += 1
        self._stream = f"{self._site}-{self._streams}"
        self._client = Client(self._server)
        self._request = self._client.ask(ask)
        return (*prepared, *left, OpenStream(self._stream, self._server))

    def _hang_up(self) -> Effects:
        left = (CloseStream(self._stream),) if self._stream else ()
        self._stream, self._client = "", None
        return left

    def _hear(self, client: Client, data: bytes, now: Now) -> Effects:
        errand = self._errand
        if errand is None:
            return self._hang_up()  # nobody asked
        self._silent_at = Monotonic(now.monotonic + SILENCE_NS)
        effects: Effects = ()
        try:
            for heard in client.hear(data):
                effects += errand.hear(heard, self._disk)
        except Changed:
            errand.restart()
            self._errand = None
            return self._hang_up()
        except Unserved as error:
            return self._break_off(str(error), now)
        except Malformed as error:
            return self._give_up(errand, str(error), now)
        return effects

    def _hear_end(self, reason: str, now: Now) -> Effects:
        errand, client = self._errand, self._client
        self._stream, self._client = "", None
        if errand is None or client is None or errand.complete:
            return ()
        try:
            for heard in client.hear_end():
                errand.hear(heard, self._disk)
        except Malformed:
            errand.cut_short()
        return () if errand.complete else self._break_off(reason, now)

    def _break_off(self, why: str, now: Now) -> Effects:
        """Try again later; others first, where others are due."""
        errand, self._errand = self._errand, None
        self._free_at = Monotonic(now.monotonic + self._patience_ns)
        if errand is not None:
            errand.due = Monotonic(now.monotonic + 2 * self._patience_ns)
            if errand.unanswered and not self._request:
                errand.restart()
        wait_s = self._patience_ns // SECOND_NS
        self._patience_ns = min(2 * self._patience_ns, MOST_PATIENCE_NS)
        said = Log("no answer", {"site": self._site, "why": why, "wait_s": wait_s})
        return (*self._hang_up(), said)

    def _give_up(self, errand: Errand, why: str, now: Now) -> Effects:
        """What came is of no use: ask for the whole file, and if that was it, wait for long."""
        spent = errand.level is Level.WHOLE
        errand.restart(None if spent else Level.WHOLE)
        errand.due = Monotonic(now.monotonic + USELESS_NS) if spent else now.monotonic
        self._errand = None
        detail = {"site": self._site, "hour": hour_text(errand.of), "why": why}
        said = Log("answer not usable", {**detail, "next": "later" if spent else "whole"})
        return (said, *self._hang_up())

    # --- what an answer comes to ---

    def _conclude(self, errand: Errand, now: Now) -> Effects:
        try:
            found, after = errand.conclude(self._disk)
        except Unserved as error:
            errand.restart()
            return self._break_off(str(error), now)
        except Malformed as error:
            return self._give_up(errand, str(error), now)
        self._errand = None
        if found is Found.MORE:
            errand.restart(errand.next)
            return self._ask(errand, now)
        if found is Found.ABSENT or (errand.absent and errand.absences + 1 < ABSENCES):
            return (*self._wait_for(errand, now), *self._next(now))
        changed = promotion(self._disk, errand, after, now)
        proven = self._prove(errand, after, now)
        errand.restart()
        return (*changed, *errand.tidy(self._disk), *proven, *self._next(now))

    def _wait_for(self, errand: Errand, now: Now) -> Effects:
        """The edge has no such file."""
        errand.absences += 1
        errand.due = Monotonic(now.monotonic + USELESS_NS)
        errand.restart()
        if self._disk.size(errand.path) is None:
            return ()
        facts: dict[str, str | int] = {"site": self._site, "hour": hour_text(errand.of)}
        said = Log("unconfirmed", {**facts, "bytes": len(held(self._disk, errand.path))})
        if errand.absences > 1:
            return (said,)
        line = {"hour": errand.of.hour, "utc_ns": now.utc_ns}
        return (said, provenance.line(errand.of.day, "unconfirmed", line))

    def _prove(self, errand: Errand, after: bytes, now: Now) -> Effects:
        """From now on nobody adds to the hour; it is made durable, then noted, then proven."""
        hour, note = errand.of.hour, noted(errand, after, now)
        errand.due = Monotonic(now.monotonic + SYNC_PATIENCE_NS)
        if errand.absent:
            self._noting[hour] = self._notes_path(hour)
            return (*closed(errand.of), *note)
        self._syncing[hour] = note
        return (*closed(errand.of), Sync((errand.path,)))

    def _confirm(self, hour: int, now: Now) -> Effects:
        """The hour is proven, and a restart will know it; so may be its day."""
        del self._noting[hour], self._errands[hour]
        self.proven.add(hour)
        self._patience_ns = PATIENCE_NS
        of = SiteHour(self._site, hour).day
        whole = all(24 * of.day + one in self.proven for one in range(24))
        return day_noted(self._disk, of, now) if whole else ()

    def _notes_path(self, hour: int) -> str:
        return provenance.path_of(SiteHour(self._site, hour).day)

    def _is_over(self, errand: Errand, now: Now) -> bool:
        hour = errand.of.hour
        if now.utc_ns - (hour + 1) * HOUR_S * SECOND_NS >= LATE_NS:
            return True
        later = range(hour + 1, hour + 1 + LATER_HOURS)
        paths = (trees.hour_path(self._site, one * HOUR_S) for one in later)
        return any(self._disk.size(path) is not None for path in paths) or reaches_its_end(
            held(self._disk, errand.path), hour
        )
