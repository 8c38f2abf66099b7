"""Records go to the hour file of their first sample, and are not news until they are durable.

The laws:

1. A record is appended to the file of the hour in which its first sample lies (R1-11), then synced;
   only when the sync is answered do the other nodes hear of it (`FILED`). So nothing is sent that a
   power cut could take back.
2. Hour files grow and never change otherwise. What a crash left half-written at the end of one is
   moved to `<file>.torn` at the next start, before anything is filed: it is kept, and never built
   upon (T7).
3. When the disk takes no more, records wait in memory, `MOST_WAITING` at most; then the oldest are
   dropped: the log says so, and they are told as lost (`LOST`).
4. Where the host ends in good order, all that waits goes to the disk, in order, or as much of it as
   the disk takes. Nobody hears of these records: reconciliation brings them.
"""

from collections import deque
from collections.abc import Mapping

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
    Remove,
    Replace,
    Stop,
    Sync,
    Synced,
    Topic,
    Truncate,
)
from fieldproof_reference.edge import FILED, LOST, RECORD, EdgeSettings, Filed, Lost
from fieldproof_reference.formats import trees, xrio
from fieldproof_reference.formats.days import DAY_S, day_text

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
        self._filed = 0  # records of this life
        self._label_s: int | None = None  # Unix second of the newest record that was written
        self._disk: DiskView

    def start(self, disk: DiskView, now: Now) -> Effects:
        """Move torn tails aside."""
        self._disk = disk
        return self._mend()

    def receive(self, event: Event, now: Now) -> Effects:
        """File records; tell of those that became durable; wait when the disk takes no more."""
        match event:
            case Topic(topic, bytes() as record) if topic == RECORD:
                self._waiting.append(record)
                return self._drop_oldest() + self._file_next()
            case Synced() if self._in_flight is not None:
                filed, self._in_flight = self._in_flight, None
                self._filed += 1
                return (Publish(FILED, filed), *self._file_next())
            case Failed(effect, _):
                if isinstance(effect, Append):
                    self._waiting.appendleft(effect.data)
                    self._in_flight = None
                self._retry_at = Monotonic(now.monotonic + RETRY_NS)
            case Stop():
                return self._mend() + self._file_all()
        return ()

    def advance(self, now: Now) -> Effects:
        """Try again what the disk did not take: a sync, a torn tail, a record."""
        self._retry_at = None
        if self._in_flight is not None:
            return (Sync((self._in_flight.path,)),)
        mending = self._mend()
        if mending:
            self._retry_at = now.monotonic  # what waits is filed once the tails are cut
        return mending or self._file_next()

    def deadline(self) -> Monotonic | None:
        """When a disk that failed is tried again."""
        return self._retry_at

    def figures(self) -> Mapping[str, int | str]:
        """For people: records filed in this life, the newest of them, and how many wait."""
        waiting = len(self._waiting) + (self._in_flight is not None)
        newest = "none" if self._label_s is None else second_text(self._label_s)
        return {"records filed": self._filed, "newest": newest, "waiting": waiting}

    def _file_next(self) -> Effects:
        if not self._waiting or self._in_flight is not None or self._retry_at is not None:
            return ()
        record = self._waiting.popleft()
        path = self._path_of(record)
        self._label_s = xrio.timestamp_s(record)
        self._in_flight = Filed(path, self._disk.size(path) or 0, len(record))
        return (Append(path, record), Sync((path,)))

    def _file_all(self) -> Effects:
        """All that waits, at once: the last that this node does."""
        appends = [Append(self._path_of(record), record) for record in self._waiting]
        self._waiting.clear()
        paths = dict.fromkeys(append.path for append in appends)
        if self._in_flight is not None:
            paths[self._in_flight.path] = None
        return (*appends, Sync(tuple(paths))) if paths else ()

    def _path_of(self, record: bytes) -> str:
        return trees.hour_path(self._site, xrio.timestamp_s(record))

    def _mend(self) -> Effects:
        paths = trees.site_hour_paths(self._disk.listing("riometer/"), self._site)
        effects: Effects = ()
        for path in paths[-RECENT_FILES:]:
            effects += self._without_torn_tail(path)
        return effects

    def _without_torn_tail(self, path: str) -> Effects:
        data = self._disk.read(path)
        valid = [span for span in xrio.walk(data) if span.valid]
        end = valid[-1].offset + valid[-1].size if valid else 0
        if 0 < end == len(data):
            return ()
        torn, kept = data[end:], f"{path}.torn"
        before = self._disk.read(kept) if self._disk.size(kept) is not None else b""
        return (
            Replace(kept, before.removesuffix(torn) + torn),  # once, however often it is tried
            Truncate(path, end) if end else Remove(path),  # no empty file: the center has none
            Log("torn tail moved aside", {"path": path, "bytes": len(torn)}),
        )

    def _drop_oldest(self) -> Effects:
        if len(self._waiting) <= MOST_WAITING:
            return ()
        record = self._waiting.popleft()
        from_s = xrio.timestamp_s(record)
        lost = Lost(from_s, from_s + xrio.header(record).datapoints, "dropped")
        said = Log("record dropped", {"first_s": from_s, "bytes": len(record)})
        return (said, Publish(LOST, lost))


def second_text(utc_s: int) -> str:
    """`2006-01-17T16:24:05`."""
    day, second = divmod(utc_s, DAY_S)
    minute, second = divmod(second, 60)
    return f"{day_text(day)}T{minute // 60:02d}:{minute % 60:02d}:{second:02d}"
