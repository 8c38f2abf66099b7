"""Every datagram is kept as it came, with one index line, before anything judges it.

The laws:

1. Raw files only grow (I1). The datagram goes to the `.dat` first, then its line to the `.idx`, so
   a line never speaks of bytes that are not there (T14).
2. Files are named by arrival hour, source address and destination port (R1-16).
3. After a crash, whatever does not fit together at the end of a pair of files, half a line, bytes
   without a line, a line whose bytes did not survive, is moved to `<file>.torn`, and the pair goes
   on from there.
"""

from fieldproof_contract import (
    SECOND_NS,
    Append,
    Datagram,
    DiskView,
    Effects,
    Event,
    Log,
    Monotonic,
    Now,
    Publish,
    Sync,
    Truncate,
)
from fieldproof_reference.center import ARRIVED, CenterSettings
from fieldproof_reference.formats import Malformed, idx, trees
from fieldproof_reference.formats.days import DAY_S, day_text


class Receive:
    """The node that listens. It keeps what anybody sends: the settings' sites are no filter."""

    def __init__(self, settings: CenterSettings) -> None:
        self._disk: DiskView

    def start(self, disk: DiskView, now: Now) -> Effects:
        """Make the files of today and yesterday whole."""
        self._disk = disk
        effects: Effects = ()
        for path in recent_index_paths(disk, now):
            effects += _mended(disk, path)
        return effects

    def receive(self, event: Event, now: Now) -> Effects:
        """Keep a datagram."""
        match event:
            case Datagram(port, source, data):
                arrived_s = now.utc_ns // SECOND_NS
                dat = trees.arrival_path(arrived_s, source.host, port, "dat")
                index = trees.arrival_path(arrived_s, source.host, port, "idx")
                offset = self._disk.size(dat) or 0
                entry = idx.Entry(now.utc_ns, port, source, len(data), offset, data[:4])
                return (
                    Append(dat, data),
                    Append(index, idx.line(entry)),
                    Sync((dat, index)),
                    Publish(ARRIVED, index),
                )
        return ()

    def advance(self, now: Now) -> Effects:
        """Never asked for."""
        return ()

    def deadline(self) -> Monotonic | None:
        """None."""
        return None


def recent_index_paths(disk: DiskView, now: Now) -> tuple[str, ...]:
    """The index files of yesterday and today, oldest first."""
    today = now.utc_ns // (DAY_S * SECOND_NS)
    return tuple(
        path
        for day in (today - 1, today)
        for path in disk.listing(f"udp/{day_text(day, '%Y/%m/%d')}/")
        if path.endswith(".idx")
    )


def data_path(index_path: str) -> str:
    """The `.dat` beside an `.idx`."""
    return index_path.removesuffix("idx") + "dat"


def _mended(disk: DiskView, index_path: str) -> Effects:
    """Cut a pair of files back to where index and data agree."""
    lines = disk.read(index_path)
    dat = data_path(index_path)
    data_bytes = disk.size(dat) or 0
    index_end = data_end = 0
    while True:
        line_end = lines.find(b"\n", index_end) + 1
        try:
            entry = idx.parse(lines[index_end:line_end])
        except Malformed:
            break
        if entry.offset != data_end or data_end + entry.size > data_bytes:
            break
        index_end, data_end = line_end, data_end + entry.size
    effects: Effects = ()
    for path, end, size in ((dat, data_end, data_bytes), (index_path, index_end, len(lines))):
        if size > end:
            effects += (
                Append(f"{path}.torn", disk.read(path, end)),
                Sync((f"{path}.torn",)),
                Truncate(path, end),
                Log("torn tail moved aside", {"path": path, "bytes": size - end}),
            )
    return effects
