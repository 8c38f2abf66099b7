"""New raw records pass the five checks of 2006 and go to the canonical hour files.

The laws:

1. Pointers into the raw index files say what is new (R1-23); the node looks `LOOK_NS` after news.
2. What becomes of each datagram is said in `sieve`; what is odd about what was filed in `flags`,
   which are brought up to date once the effects of a look were carried out, a file at a time.
3. A start reads the two newest days again from their beginnings: what is filed already is a
   duplicate, so a replay of the raw tree gives the same canonical tree (I7).
   It does so, too, when the disk refuses something: what should have followed was not done.
4. Hour files that reconciliation changed are validated again, from their beginnings (R1-41, T25):
   before the proof of their day is durable, for a proof that is made twice flags twice.
"""

from fieldproof_contract import (
    SECOND_NS,
    DiskView,
    Effect,
    Effects,
    Event,
    Failed,
    Log,
    Monotonic,
    Now,
    Topic,
)
from fieldproof_reference import ports
from fieldproof_reference.center import (
    ARRIVED,
    CONFIRMED,
    PROMOTED,
    REOPENED,
    CenterSettings,
    Promoted,
    SiteDay,
    SiteHour,
)
from fieldproof_reference.center.flags import Flags
from fieldproof_reference.center.notes import mended
from fieldproof_reference.center.provenance import confirmed_days, proven_hours
from fieldproof_reference.center.receive import recent_index_paths
from fieldproof_reference.center.sieve import Sieve
from fieldproof_reference.formats import trees, xrio
from fieldproof_reference.formats.days import DAY_S, HOUR_S

LOOK_NS = 10 * SECOND_NS

MOST_LINES, STEP_NS = 128, 10_000_000
"""How many lines are looked at in one go, so that a flood takes bounded memory (each may cost the
whole of an hour file), and how long others come first then."""


class Validate(Sieve):
    """The node that judges records one by one."""

    def __init__(self, settings: CenterSettings) -> None:
        super().__init__(settings.sites)
        self._by_hours = [s for s, known in settings.sites.items() if known.reconcile != "repair"]
        self._news: dict[str, None] = {}  # index paths, in order of arrival
        self._pointers: dict[str, int] = {}  # index path: bytes of it that were read
        self._look_at: Monotonic | None = None
        self._flag_at: Monotonic | None = None  # at once, where anything was touched
        self._flags: Flags

    def start(self, disk: DiskView, now: Now) -> Effects:
        """Everything that came lately is news."""
        self.begin(disk, disk)
        self._flags = Flags(disk)
        for confirmed in confirmed_days(disk, self._sites, now):
            self._shelf.close(confirmed)
        for proven in proven_hours(disk, self._by_hours, now):
            self._shelf.close(proven)
        self._read_again(now)
        return mended(disk, "quarantine", now)

    def receive(self, event: Event, now: Now) -> Effects:
        """Note what is new; validate again what reconciliation changed."""
        match event:
            case Topic(topic, str() as path) if topic == ARRIVED:
                self._note(path, now)
            case Topic(topic, (SiteDay() | SiteHour()) as confirmed) if topic == CONFIRMED:
                self._shelf.close(confirmed)
                return self._flags.seen(_hour_paths(confirmed))
            case Topic(topic, (SiteDay() | SiteHour()) as reopened) if topic == REOPENED:
                self._shelf.reopen(reopened)
            case Topic(topic, Promoted(paths)) if topic == PROMOTED:
                said = tuple(effect for path in paths for effect in self._again(path, now))
                return said + self._flags.changed(paths)
            case Failed():
                self._shelf.forget_all()
                self._flags.forget_all()
                self._read_again(now)
        return ()

    def advance(self, now: Now) -> Effects:
        """Flag what was touched, or look at everything that is new."""
        if self._touched:
            path = next(iter(self._touched))
            changed = self._touched.pop(path)
            self._flag_at = now.monotonic if self._touched else None
            return self._flags.changed((path,)) if changed else self._flags.grown(path)
        news, self._news, self._look_at = self._news, {}, None
        self.settle()
        judged: list[Effect] = []
        room = MOST_LINES
        for path in news:
            lines = self._new_lines(path, room)
            room -= lines.count(b"\n")
            judged += (effect for effects in self.lines(path, lines) for effect in effects)
            if room <= 0:
                self._news[path] = None  # there may be more
        if self._news:
            self._look_at = Monotonic(now.monotonic + STEP_NS)
        self._flag_at = now.monotonic if self._touched else None
        return tuple(judged)

    def deadline(self) -> Monotonic | None:
        """The next look."""
        asked = (at for at in (self._look_at, self._flag_at) if at is not None)
        return min(asked, default=None)

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

    def _new_lines(self, path: str, most: int) -> bytes:
        """The next whole lines of an index file, so many at most."""
        pointer = self._pointers.get(path, 0)
        lines = b"".join(self._disk.read(path, pointer).splitlines(keepends=True)[:most])
        lines = lines[: lines.rfind(b"\n") + 1]
        self._pointers[path] = pointer + len(lines)
        return lines

    def _again(self, path: str, now: Now) -> Effects:
        """Revalidation of a file as a whole: what it holds is true, but it may be bad (R1-42)."""
        self._shelf.forget(path)
        if trees.parse_hour_path(path) is None or self._disk.size(path) is None:
            return ()
        data = self._disk.read(path)
        bad = [span for span in xrio.walk(data) if not span.valid]
        effects: Effects = tuple(
            Log("corrupt at the edge", {"path": path, "offset": span.offset, "bytes": span.size})
            for span in bad
        )
        return (*effects, Log("revalidated", {"path": path, "corrupt spans": len(bad)}))


def _hour_paths(of: SiteDay | SiteHour) -> tuple[str, ...]:
    """The hour files that are proven."""
    if isinstance(of, SiteHour):
        return (trees.hour_path(of.site, of.hour * HOUR_S),)
    return tuple(trees.hour_path(of.site, of.day * DAY_S + hour * HOUR_S) for hour in range(24))
