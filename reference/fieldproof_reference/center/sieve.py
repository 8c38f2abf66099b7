"""One line of a raw index after the other: what it speaks of is filed, a duplicate, or quarantined.

This is what validation does to a datagram, without saying when. The node `validate` puts it to what
has just come, a rebuild to the whole of the raw tree: so both make the same archive (I7).

The laws:

1. The five checks V1 to V5 reject, and so do a site that has no folder here and a first sample that
   is more than `WINDOW_S` from its arrival: both would make paths that nobody asked for (T4, T16).
   So does a record that has the magic in it once more, which no 12-bit converter can make: in a
   file it would be torn apart by everybody who looks for headers.
2. Passing is provisional: the day's digest, not this, says what is true.
3. conservation: received = filed + duplicate + quarantined (I5).
4. A record that its proven hour does not hold is quarantined, and puts the proof in doubt: the edge
   may have filed it late. Who proved the hour hears of it (T3).
5. Bytes that an index line promises and that are not there are named, and judged by nobody.
"""

from collections.abc import Iterable, Iterator

from fieldproof_contract import SECOND_NS, DiskView, Effects, Log, Publish, Replace
from fieldproof_reference.center import DOUBTED, SiteHour
from fieldproof_reference.center.quarantine import quarantine
from fieldproof_reference.center.receive import data_path
from fieldproof_reference.center.shelf import Refused, Shelf
from fieldproof_reference.formats import Malformed, idx, trees, xrio
from fieldproof_reference.formats.days import HOUR_S

WINDOW_S = 26 * 3600
MOST_READ_BYTES = 1 << 20
MOST_DATAGRAM_BYTES = 65_535
"""Raw data that is read at once: so much, and one datagram. A line that speaks of more is wrong."""


class Sieve:
    """Judges datagrams one by one. `raw` holds what was received, `disk` the archive: the same to
    a center, two to a rebuild. Each tuple of effects must be asked for in order."""

    def __init__(self, sites: Iterable[str]) -> None:
        self._sites = frozenset(sites)
        self._refused: set[tuple[str, bytes]] = set()  # in this look: not yet seen on the disk
        self._touched: dict[str, bool] = {}  # hour files: whether more than appended to
        self._raw: DiskView
        self._disk: DiskView
        self._shelf: Shelf

    def begin(self, raw: DiskView, disk: DiskView) -> None:
        """Begin (again) from what is there."""
        self._raw, self._disk = raw, disk
        self._shelf = Shelf(disk)
        self._touched.clear()

    def lines(self, path: str, lines: bytes) -> Iterator[Effects]:
        """Whole lines of a raw index file, judged."""
        entries: list[idx.Entry] = []
        end = waiting_bytes = 0
        for line in lines.splitlines():
            try:
                entry = idx.parse(line)
            except Malformed as error:
                yield (Log("index line not readable", {"path": path, "why": str(error)}),)
                continue
            if entry.offset != end or waiting_bytes > MOST_READ_BYTES:
                yield from self._read(data_path(path), entries)
                entries, waiting_bytes = [], 0
            entries.append(entry)
            waiting_bytes += entry.size
            end = entry.offset + entry.size
        yield from self._read(data_path(path), entries)

    def settle(self) -> None:
        """All effects were carried out, and the disk shows them."""
        self._shelf.trim()
        self._refused.clear()

    def _read(self, path: str, entries: list[idx.Entry]) -> Iterator[Effects]:
        """Judge entries whose bytes follow each other, and are read at once."""
        if not entries:
            return
        first, (*_, last) = entries[0].offset, entries
        there = min(last.offset + last.size, self._raw.size(path) or 0) - first
        most = min(there, MOST_READ_BYTES + MOST_DATAGRAM_BYTES)
        data = self._raw.read(path, first, most) if most > 0 else b""
        for entry in entries:
            at, end = entry.offset - first, entry.offset - first + entry.size
            if end <= len(data):
                yield self._judge(entry, data[at:end])
            else:
                detail: dict[str, str | int] = {"path": path, "offset": entry.offset}
                yield (Log("raw bytes missing", detail | {"bytes": entry.size}),)

    def _judge(self, entry: idx.Entry, data: bytes) -> Effects:
        arrived_s = entry.arrived_utc_ns // SECOND_NS
        reason = self._reason(data, arrived_s)
        effects: Effects = ()
        if reason is None:
            site, first_s = xrio.site(data), xrio.timestamp_s(data)
            effects, refused = self._shelf.put(site, data)
            self._touch(trees.hour_path(site, first_s), effects)
            if refused is None or refused is Refused.DUPLICATE:
                return effects
            reason = refused.value
            effects += (Publish(DOUBTED, SiteHour(site, first_s // HOUR_S)),)
        if (reason, data) in self._refused:
            return effects
        self._refused.add((reason, data))
        origin = {"source": f"{entry.source.host}:{entry.source.port}"}
        return effects + quarantine(self._disk, reason, data, arrived_s, origin, is_raw=True)

    def _touch(self, path: str, effects: Effects) -> None:
        """The flags of an hour file may be others now."""
        more = any(type(effect) is Replace for effect in effects)
        self._touched[path] = more or self._touched.get(path, False)

    def _reason(self, data: bytes, arrived_s: int) -> str | None:
        """Why a datagram may not be filed."""
        check = xrio.invalid(data)
        if check is not None:
            return check.value
        if xrio.site(data) not in self._sites:
            return "unknown site"
        if abs(xrio.timestamp_s(data) - arrived_s) > WINDOW_S:
            return "time"
        if data.find(xrio.STREAM_ID, len(xrio.STREAM_ID)) > 0:
            return "magic inside"
        return None
