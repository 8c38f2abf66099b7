"""Records go to the hour file of their first sample, and are not news until they are durable.

The laws:

1. A record is appended to the file of the hour in which its first sample lies (R1-11), then synced;
   only when the sync is answered do the other nodes hear of it (`FILED`). So nothing is sent that a
   power cut could take back.
2. Hour files grow and never change otherwise. What a crash left half-written at the end of one is
   moved to `<file>.torn` at the next start: it is kept, and never built upon (T7).
3. When the disk takes no more, records wait in memory, `MOST_WAITING` at most; then the oldest are
   dropped, and the log says so.
"""

from collections import deque

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
    Publish,
    Sync,
    Synced,
    Topic,
    Truncate,
)
from fieldproof_reference.edge import FILED, RECORD, EdgeSettings, Filed
from fieldproof_reference.formats import trees, xrio

RETRY_NS = 10 * SECOND_NS
"""How long to wait for a disk that took no more."""

MOST_WAITING = 1440
"""A day of records: 547 kB of memory."""

RECENT_FILES = 48
"""How many of the newest hour files are looked at for torn tails: two days."""


class Filing:
    """The node that owns the edge's archive. One record is on its way to the disk at a time:

    waiting --append, sync--> in flight --synced--> durable, FILED
       ^                          |
       +-- append failed ---------+ (sync failed: sync again)
    """

    def __init__(self, settings: EdgeSettings) -> None:
        self._site = settings.site
        self._waiting: deque[bytes] = deque()
        self._in_flight: Filed | None = None
        self._retry_at: Monotonic | None = None
        self._disk: DiskView

    def start(self, disk: DiskView, now: Now) -> Effects:
        """Move torn tails aside."""
        self._disk = disk
        effects: Effects = ()
        for path in trees.site_hour_paths(disk.listing("riometer/"), self._site)[-RECENT_FILES:]:
            effects += _without_torn_tail(path, disk.read(path))
        return effects

    def receive(self, event: Event, now: Now) -> Effects:
        """File records; tell of those that became durable; wait when the disk takes no more."""
        match event:
            case Topic(topic, bytes() as record) if topic == RECORD:
                self._waiting.append(record)
                return self._drop_oldest() + self._file_next()
            case Synced() if self._in_flight is not None:
                filed, self._in_flight = self._in_flight, None
                return (Publish(FILED, filed), *self._file_next())
            case Failed(Append(_, record), _):
                self._waiting.appendleft(record)
                self._in_flight = None
                self._retry_at = Monotonic(now.monotonic + RETRY_NS)
            case Failed(Sync(), _):
                self._retry_at = Monotonic(now.monotonic + RETRY_NS)
        return ()

    def advance(self, now: Now) -> Effects:
        """Try the disk again."""
        self._retry_at = None
        return (Sync((self._in_flight.path,)),) if self._in_flight else self._file_next()

    def deadline(self) -> Monotonic | None:
        """When a disk that failed is tried again."""
        return self._retry_at

    def _file_next(self) -> Effects:
        if not self._waiting or self._in_flight is not None or self._retry_at is not None:
            return ()
        record = self._waiting.popleft()
        path = trees.hour_path(self._site, xrio.timestamp_s(record))
        self._in_flight = Filed(path, self._disk.size(path) or 0, len(record))
        return (Append(path, record), Sync((path,)))

    def _drop_oldest(self) -> Effects:
        if len(self._waiting) <= MOST_WAITING:
            return ()
        record = self._waiting.popleft()
        return (Log("record dropped", {"first_s": xrio.timestamp_s(record), "bytes": len(record)}),)


def _without_torn_tail(path: str, data: bytes) -> Effects:
    spans = xrio.walk(data)
    if not spans or spans[-1].valid:
        return ()
    torn = data[spans[-1].offset :]
    return (
        Append(f"{path}.torn", torn),
        Sync((f"{path}.torn",)),
        Truncate(path, spans[-1].offset),
        Log("torn tail moved aside", {"path": path, "bytes": len(torn)}),
    )
