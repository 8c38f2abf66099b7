"""Every datagram is kept as it came, with one index line, before anything judges it.

The laws:

1. Raw files only grow (I1). The datagram goes to the `.dat` first, then its line to the `.idx`, so
   a line never speaks of bytes that are not there (T14).
2. Files are named by arrival hour, source address and destination port (R1-16).
3. After a crash, whatever does not fit together at the end of a pair of files, half a line, bytes
   without a line, a line whose bytes did not survive, is moved to `<file>.torn`, and the pair goes
   on from there. What stands before a good line stays where it is, good or not.
4. A datagram that the disk did not take is lost, and the log says so.
5. That it runs, the receiver says in `receiver/YYYY/MM/DD.jsonl`, so that a loss report can tell a
   receiver that was down from a network that brought nothing (R1-21; read by beats.py):

       {"began_s": 1137513600}       a life began
       {"beat_s": 1137517264}        it was there, and had heard nothing for a minute
       {"ended_s": 1137520000}       it ended in good order

   The index lines are signs of life, too, and cost nothing more: a busy receiver writes no beats. A
   line is synced with the next datagram, and is tried again where the disk did not take it.
6. Nobody fills the disk (T17): of one source `MOST_BYTES` are kept in an hour and port, and of
   strangers, whose addresses the settings do not name, `MOST_STRANGERS` in an hour. The log says
   when that is first reached, and with the next hour how many datagrams were refused.
"""

from itertools import islice

from fieldproof_contract import (
    SECOND_NS,
    Append,
    Datagram,
    DiskView,
    Effects,
    Event,
    Failed,
    Log,
    Monotonic,
    Now,
    Publish,
    Replace,
    Stop,
    Sync,
    Truncate,
)
from fieldproof_reference.center import ARRIVED, CenterSettings, beats
from fieldproof_reference.center.notes import MEMORY_DAYS
from fieldproof_reference.formats import Malformed, idx, trees
from fieldproof_reference.formats.days import DAY_S, HOUR_S, day_text

MOST_BYTES = 1 << 20
"""Forty-six times what a site sends in an hour: our assumption."""

MOST_STRANGERS = 64
"""Our assumption."""


class Receive:
    """The node that listens. It keeps what anybody sends: the settings' sites are no filter."""

    def __init__(self, settings: CenterSettings) -> None:
        self._beat_at = Monotonic(0)
        self._began = self._owed = b""  # `_owed`: a line that the disk has not taken
        self._unsynced: tuple[str, ...] = ()  # files of beats
        self._known = {site.repair.host for site in settings.sites.values()}
        self._hour = 0
        self._strangers: set[str] = set()  # of this hour
        self._refused = 0  # datagrams of this hour
        self._disk: DiskView

    def start(self, disk: DiskView, now: Now) -> Effects:
        """Make the files whole to which the last life could have written."""
        self._disk = disk
        effects = beats.mended(disk)
        for path in _recent_paths(disk, now):
            if path.endswith(".dat"):
                effects += _mended(disk, path)
        self._began = beats.line(beats.BEGAN, now)
        return effects + self._say(self._began, now)

    def receive(self, event: Event, now: Now) -> Effects:
        """Keep a datagram."""
        match event:
            case Datagram(port, source, data):
                arrived_s = now.utc_ns // SECOND_NS
                dat = trees.arrival_path(arrived_s, source.host, port, "dat")
                index = trees.arrival_path(arrived_s, source.host, port, "idx")
                offset = self._disk.size(dat) or 0
                told = self._turn(arrived_s // HOUR_S)
                if (is_full := self._is_full(source.host, offset + len(data))) is not None:
                    return told + is_full
                entry = idx.Entry(now.utc_ns, port, source, len(data), offset, data[:4])
                paths, self._unsynced = (dat, index, *self._unsynced), ()
                self._beat_at = Monotonic(now.monotonic + beats.BEAT_NS)
                return (
                    *told,
                    Append(dat, data),
                    Append(index, idx.line(entry)),
                    Publish(ARRIVED, index),
                    Sync(paths),
                )
            case Failed(Append(path, data)) if beats.is_beats(path):
                self._owe(data)
            case Failed(Replace() | Truncate()):  # of the start, which then said nothing
                self._owe(self._began)
            case Failed(Append(path, _), reason):
                return (Log("datagram not kept", {"path": path, "reason": reason}),)
            case Stop():
                end = self._say(self._owed + beats.line(beats.ENDED, now), now)
                return (*end, Sync(self._unsynced))
        return ()

    def advance(self, now: Now) -> Effects:
        """A minute went by in which nothing came."""
        return self._say(self._owed + beats.line(beats.BEAT, now), now)

    def deadline(self) -> Monotonic | None:
        """The next beat, unless something comes before it."""
        return self._beat_at

    def _turn(self, hour: int) -> Effects:
        """With another hour the quotas begin anew."""
        if hour == self._hour:
            return ()
        refused, self._refused = self._refused, 0
        self._hour, self._strangers = hour, set()
        return (Log("datagrams refused", {"number": refused}),) if refused else ()

    def _is_full(self, host: str, size: int) -> Effects | None:
        """What is said of a datagram that is one too many; None where it may be kept. `size`: what
        its file would hold."""
        is_new = host not in self._known and host not in self._strangers
        if size <= MOST_BYTES and not (is_new and len(self._strangers) >= MOST_STRANGERS):
            self._strangers |= {host} if is_new else set()
            return None
        self._refused += 1
        return (Log("quota reached", {"source": host}),) if self._refused == 1 else ()

    def _owe(self, lines: bytes) -> None:
        """The disk has not taken these lines: the first is said with the next beat. The file may
        not even be there, and a sync of what is not there fails."""
        self._owed = lines[: lines.find(b"\n") + 1]
        self._unsynced = ()

    def _say(self, lines: bytes, now: Now) -> Effects:
        path = beats.path_of(now)
        self._owed = b""
        self._beat_at = Monotonic(now.monotonic + beats.BEAT_NS)
        self._unsynced = tuple(dict.fromkeys((*self._unsynced, path)))
        return (Append(path, lines),)


def recent_index_paths(disk: DiskView, now: Now) -> tuple[str, ...]:
    """The index files of the two newest days of the last month in which anything arrived, oldest
    first."""
    return tuple(path for path in _recent_paths(disk, now) if path.endswith(".idx"))


def data_path(index_path: str) -> str:
    """The `.dat` beside an `.idx`."""
    return index_path.removesuffix("idx") + "dat"


def _recent_paths(disk: DiskView, now: Now) -> list[str]:
    today = now.utc_ns // (DAY_S * SECOND_NS)
    folders = (
        disk.listing(f"udp/{day_text(day, '%Y/%m/%d')}/")
        for day in range(today, today - MEMORY_DAYS, -1)
    )
    newest = list(islice(filter(None, folders), 2))
    return [path for paths in reversed(newest) for path in paths]


def _mended(disk: DiskView, dat: str) -> Effects:
    """Cut a pair of files back to the last place where index and data agree."""
    index = dat.removesuffix("dat") + "idx"
    data = disk.read(dat)
    lines = disk.read(index) if disk.size(index) is not None else b""
    index_end, data_end = _agreed(lines, len(data))
    return _cut(disk, dat, data, data_end) + _cut(disk, index, lines, index_end)


def _agreed(lines: bytes, data_bytes: int) -> tuple[int, int]:
    """The ends, in the index and in the data, of the last line whose bytes are there."""
    index_end = data_end = line_end = 0
    for line in lines.splitlines(keepends=True):
        line_end += len(line)
        try:
            entry = idx.parse(line)
        except Malformed:
            continue
        whole = line.endswith(b"\n") and entry.offset + entry.size <= data_bytes
        if whole and entry.offset >= data_end:
            index_end, data_end = line_end, entry.offset + entry.size
    return index_end, data_end


def _cut(disk: DiskView, path: str, content: bytes, end: int) -> Effects:
    """Keep the first `end` bytes of a file; what follows goes to its `.torn`."""
    if len(content) == end:
        return ()
    torn, kept = content[end:], f"{path}.torn"
    before = disk.read(kept) if disk.size(kept) is not None else b""
    return (
        Replace(kept, before.removesuffix(torn) + torn),  # once, however often it is tried
        Truncate(path, end),
        Log("torn tail moved aside", {"path": path, "bytes": len(torn)}),
    )
