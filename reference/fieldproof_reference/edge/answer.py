"""Answers repair requests from the files of the day, in one round trip, and keeps no state.

The laws:

1. A request that is not signed with the site's key, or is for another site or an open day, gets no
   answer at all (T17).
2. The same request gets the same answer as long as the files stay the same, so that retries are
   free of consequences (T23). Files of closed days hardly ever change.
3. Position in the edge's own files decides what lies in a gap, not time stamps alone: the items
   between the last good record and the next good one, whatever they are. Where such a record does
   not exist here, the first record that is later takes its place; a bound on a full hour means the
   beginning of that hour's file, and a gap of full hours is those files, whatever they hold.
4. Answers leave at `PACE_BIT_S`, so that live telemetry is never kept waiting for long. What is
   asked for again while its answer still waits to leave is not queued twice.
"""

from bisect import bisect_left
from collections import deque
from typing import NamedTuple

from fieldproof_contract import (
    SECOND_NS,
    Address,
    Datagram,
    DiskView,
    Effects,
    Event,
    Log,
    Monotonic,
    Now,
    SendDatagram,
)
from fieldproof_reference import ports
from fieldproof_reference.edge import EdgeSettings
from fieldproof_reference.edge.declare import CLOSING_NS, day_files
from fieldproof_reference.formats import trees, xrio
from fieldproof_reference.formats.days import DAY_S, HOUR_S, day_text
from fieldproof_reference.protocols.repair import (
    Gap,
    Malformed,
    Request,
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


class Item(NamedTuple):
    """A record or a stretch of junk of a day's files, in file order."""

    hour: int  # of the file
    second: int | None  # of the day, of a record's first sample; None for junk
    data: bytes


class Answer:
    """The node that listens on the repair port."""

    def __init__(self, settings: EdgeSettings) -> None:
        self._settings = settings
        self._disk: DiskView
        self._queue: deque[tuple[Address, bytes]] = deque()
        self._free_at = Monotonic(0)  # when the fragment before has left

    def start(self, disk: DiskView, now: Now) -> Effects:
        """Nothing is owed from an earlier life."""
        self._disk = disk
        self._free_at = now.monotonic
        return ()

    def receive(self, event: Event, now: Now) -> Effects:
        """Queue the answer to a request."""
        match event:
            case Datagram(_, source, data):
                effects = self._answer(source, data, now)
                return effects + self.advance(now)
        return ()

    def advance(self, now: Now) -> Effects:
        """Let one fragment go, if it may."""
        if not self._queue or now.monotonic < self._free_at:
            return ()
        to, fragment = self._queue.popleft()
        took_ns = (len(fragment) + IP_UDP_BYTES) * 8 * SECOND_NS // PACE_BIT_S
        self._free_at = Monotonic(now.monotonic + took_ns)
        return (SendDatagram(ports.REPAIR, to, fragment),)

    def deadline(self) -> Monotonic | None:
        """When the next fragment may go."""
        return self._free_at if self._queue else None

    def _answer(self, source: Address, data: bytes, now: Now) -> Effects:
        """Queue the fragments of the answer, if there is to be one."""
        today = (now.utc_ns - CLOSING_NS) // (DAY_S * SECOND_NS)
        try:
            request = read_request(data, self._settings.key, today)
        except Malformed:
            return ()
        if request.site != self._settings.site or request.day >= today:
            return ()
        files = day_files(self._disk, request.site, request.day)
        used, body = pack_body(pick(files, request), request.codec, request.day, request.gaps)
        if len(body) > MOST_BODY_BYTES:
            detail: dict[str, str | int] = {"day": day_text(request.day), "bytes": len(body)}
            return (Log("answer too long", detail),)
        fragments = reply_fragments(data, used, day_digest(files), body, self._settings.key)
        fresh = [(source, one) for one in fragments if (source, one) not in self._queue]
        if len(self._queue) + len(fresh) <= MOST_QUEUED:
            self._queue.extend(fresh)
        return ()


def pick(files: tuple[tuple[str, bytes], ...], request: Request) -> list[list[bytes]]:
    """What the day's files hold in each gap of the request."""
    items = [item for name, data in files for item in _items(trees.hour_of(name), data, request)]
    return [
        [item.data for item in items[_after(items, gap) : _before(items, gap.before_s)]]
        for gap in request.gaps
    ]


def _items(hour: int, data: bytes, request: Request) -> list[Item]:
    items = []
    for offset, size, valid in xrio.walk(data):
        piece = data[offset : offset + size]
        second = xrio.timestamp_s(piece) - request.day * DAY_S if valid else None
        items.append(Item(hour, second, piece))
    return items


def _after(items: list[Item], gap: Gap) -> int:
    """Index of the first item of the gap."""
    if gap.after_s is None:
        return 0
    if (gap.after_s + 1) % HOUR_S == 0 == gap.before_s % HOUR_S:  # a good record may be there, too
        return _before(items, gap.after_s + 1)
    for index, item in enumerate(items):
        if item.second == gap.after_s:
            return index + 1
    return _before(items, gap.after_s + 1)


def _before(items: list[Item], second: int) -> int:
    """Index of the first item that is not before `second` of the day."""
    if second % HOUR_S == 0:
        return bisect_left(items, second // HOUR_S, key=lambda item: item.hour)
    times = [(index, item.second) for index, item in enumerate(items) if item.second is not None]
    exact = (index for index, found in times if found == second)
    later = (index for index, found in times if found > second)
    return next(exact, next(later, len(items)))
