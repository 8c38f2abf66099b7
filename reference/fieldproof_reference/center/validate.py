"""New raw records pass the five checks of 2006 and go to the canonical hour files.

The laws:

1. Pointers into the raw index files say what is new (R1-23); the node looks `LOOK_NS` after news.
2. The five checks V1 to V5 reject, and so do a site that has no folder here and a first sample that
   is more than `WINDOW_S` from its arrival: both would make paths that nobody asked for (T4, T16).
   All other checks only flag (R1-29): `flags/YYYY/MM/DD/<site>.jsonl`.
3. Passing is provisional: the day's digest, not this node, says what is true.
4. conservation: received = filed + duplicate + quarantined (I5).
5. A start reads the two newest days again from their beginnings: what is filed already is a
   duplicate, so a replay of the raw tree gives the same canonical tree (I7).
   It does so, too, when the disk refuses something: what should have followed was not done.
6. Hour files that reconciliation changed are validated again (R1-41).
7. A record that its proven hour does not hold is quarantined, and puts the proof in doubt: the edge
   may have filed it late. Who proved the hour hears of it (T3).
"""

from collections.abc import Iterable

from fieldproof_contract import (
    SECOND_NS,
    DiskView,
    Effects,
    Event,
    Failed,
    Log,
    Monotonic,
    Now,
    Publish,
    Topic,
)
from fieldproof_reference import ports
from fieldproof_reference.center import (
    ARRIVED,
    CONFIRMED,
    DOUBTED,
    PROMOTED,
    REOPENED,
    CenterSettings,
    Promoted,
    SiteDay,
    SiteHour,
)
from fieldproof_reference.center.notes import mended, note
from fieldproof_reference.center.provenance import confirmed_days, proven_hours
from fieldproof_reference.center.quarantine import quarantine
from fieldproof_reference.center.receive import data_path, recent_index_paths
from fieldproof_reference.center.shelf import Refused, Shelf
from fieldproof_reference.formats import Malformed, idx, trees, xrio
from fieldproof_reference.formats.days import DAY_S, HOUR_S, day_text

LOOK_NS = 10 * SECOND_NS
WINDOW_S = 26 * 3600


class Validate:
    """The node that judges records one by one."""

    def __init__(self, settings: CenterSettings) -> None:
        self._sites = frozenset(settings.sites)
        self._by_hours = [s for s, known in settings.sites.items() if known.reconcile != "repair"]
        self._news: dict[str, None] = {}  # index paths, in order of arrival
        self._pointers: dict[str, int] = {}  # index path: bytes of it that were read
        self._refused: set[tuple[str, bytes]] = set()  # in this look: not yet seen on the disk
        self._look_at: Monotonic | None = None
        self._disk: DiskView
        self._shelf: Shelf

    def start(self, disk: DiskView, now: Now) -> Effects:
        """Everything that came lately is news."""
        self._disk = disk
        self._shelf = Shelf(disk)
        for confirmed in confirmed_days(disk, self._sites, now):
            self._shelf.close(confirmed)
        for proven in proven_hours(disk, self._by_hours, now):
            self._shelf.close(proven)
        self._read_again(now)
        return mended(disk, "flags", now) + mended(disk, "quarantine", now)

    def receive(self, event: Event, now: Now) -> Effects:
        """Note what is new; validate again what reconciliation changed."""
        match event:
            case Topic(topic, str() as path) if topic == ARRIVED:
                self._note(path, now)
            case Topic(topic, (SiteDay() | SiteHour()) as confirmed) if topic == CONFIRMED:
                self._shelf.close(confirmed)
            case Topic(topic, (SiteDay() | SiteHour()) as reopened) if topic == REOPENED:
                self._shelf.reopen(reopened)
            case Topic(topic, Promoted(paths)) if topic == PROMOTED:
                return tuple(effect for path in paths for effect in self._again(path, now))
            case Failed():
                self._shelf.forget_all()
                self._read_again(now)
        return ()

    def advance(self, now: Now) -> Effects:
        """Look at everything that is new."""
        news, self._news, self._look_at = self._news, {}, None
        self._shelf.trim()
        self._refused.clear()
        return tuple(effect for path in news for effects in self._look(path) for effect in effects)

    def deadline(self) -> Monotonic | None:
        """The next look."""
        return self._look_at

    def _read_again(self, now: Now) -> None:
        self._pointers.clear()
        for path in recent_index_paths(self._disk, now):
            self._note(path, now)

    def _note(self, path: str, now: Now) -> None:
        if not path.endswith(f"_{ports.TELEMETRY}.idx"):
            return
        self._news[path] = None
        if self._look_at is None:
            self._look_at = Monotonic(now.monotonic + LOOK_NS)

    def _look(self, path: str) -> Iterable[Effects]:
        pointer = self._pointers.get(path, 0)
        lines = self._disk.read(path, pointer)
        lines = lines[: lines.rfind(b"\n") + 1]
        self._pointers[path] = pointer + len(lines)
        for line in lines.splitlines():
            try:
                entry = idx.parse(line)
            except Malformed as error:
                yield (Log("index line not readable", {"path": path, "why": str(error)}),)
                continue
            yield self._judge(entry, self._disk.read(data_path(path), entry.offset, entry.size))

    def _judge(self, entry: idx.Entry, data: bytes) -> Effects:
        arrived_s = entry.arrived_utc_ns // SECOND_NS
        reason = self._reason(data, arrived_s)
        effects: Effects = ()
        if reason is None:
            site = xrio.site(data)
            effects, refused = self._shelf.put(site, data)
            if refused is None:
                return effects + self._flag(site, data, arrived_s)
            if refused is Refused.DUPLICATE:
                return effects
            reason = refused.value
            effects += (Publish(DOUBTED, SiteHour(site, xrio.timestamp_s(data) // HOUR_S)),)
        if (reason, data) in self._refused:
            return effects
        self._refused.add((reason, data))
        origin = {"source": f"{entry.source.host}:{entry.source.port}"}
        return effects + quarantine(self._disk, reason, data, arrived_s, origin)

    def _reason(self, data: bytes, arrived_s: int) -> str | None:
        """Why a datagram may not be filed."""
        check = xrio.invalid(data)
        if check is not None:
            return check.value
        if xrio.site(data) not in self._sites:
            return "unknown site"
        if abs(xrio.timestamp_s(data) - arrived_s) > WINDOW_S:
            return "time"
        return None

    def _flag(self, site: str, data: bytes, arrived_s: int | None) -> Effects:
        flags = xrio.flags(data, known_sites=self._sites, arrived_s=arrived_s)
        if not flags:
            return ()
        first_s = xrio.timestamp_s(data)
        line: dict[str, int | list[str]] = {"first_s": first_s, "flags": list(map(str, flags))}
        path = f"flags/{day_text(first_s // DAY_S, '%Y/%m/%d')}/{site}.jsonl"
        return (note(path, line),)

    def _again(self, path: str, now: Now) -> Effects:
        """Revalidation of a file as a whole: what it holds is true, but it may be bad (R1-42)."""
        self._shelf.forget(path)
        hour = trees.parse_hour_path(path)
        if hour is None or self._disk.size(path) is None:
            return ()
        data = self._disk.read(path)
        bad = [span for span in xrio.walk(data) if not span.valid]
        effects: Effects = tuple(
            Log("corrupt at the edge", {"path": path, "offset": span.offset, "bytes": span.size})
            for span in bad
        )
        return (*effects, Log("revalidated", {"path": path, "corrupt spans": len(bad)}))
