"""What people look at: a document and a plot for each site and day, drawn again as data arrive.

    products/2006/01/17/daws.json   volts by the minute, quiet day, absorption, what was flagged
    products/2006/01/17/daws.png    the same as a plot

The laws:

1. A document is a function of canonical files and flags: of the day, and of the fourteen days
   before it, which make its quiet-day curve. Flagged values do not count (I6), but for those whose
   flags say nothing about the values (`HARMLESS`). Where the edge's own copy is bad and a good one
   was received, that one is drawn, and marked (T13).
2. A day is drawn again when its files or flags have changed, and when those of a day before it
   have that its quiet day rests on. Today is drawn `PAUSE_NS` after something came.
3. One plot is drawn at a time, by an engine: this node waits for none. The document comes to the
   disk after its plot; what could not be drawn or kept is tried again after `PAUSE_NS`.
4. What is here at a start is compared with what it was made of: nothing is drawn twice.
"""

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import TYPE_CHECKING, TypeAlias

from fieldproof_contract import (
    SECOND_NS,
    DiskView,
    DrawDay,
    Effects,
    EngineEnded,
    Event,
    Failed,
    Log,
    Monotonic,
    Now,
    Replace,
    RunEngine,
    Topic,
)
from fieldproof_reference.center import ARRIVED, PROMOTED, CenterSettings, Promoted, SiteDay
from fieldproof_reference.center.flags import CORRUPT, flags_path
from fieldproof_reference.center.notes import MEMORY_DAYS
from fieldproof_reference.center.offers import offered
from fieldproof_reference.formats import trees, xrio
from fieldproof_reference.formats.days import DAY_S, day_text
from fieldproof_reference.formats.xrio import Flag

if TYPE_CHECKING:
    from fieldproof_reference.center.curves import Curve

PAUSE_NS = 300 * SECOND_NS
SOON_NS = 20 * SECOND_NS
"""How long after news a day is drawn: today's, and one that was repaired or was not drawn yet."""

QUIET_DAYS = 14
HARMLESS = frozenset(
    {Flag.NPOINTS, Flag.TEXT_SAMPLE_RATE, Flag.SPARES, Flag.DATAPOINTS, Flag.CADENCE, Flag.HOUR}
)
"""Flags of records whose values are taken all the same."""

RUN = "draw"

Values: TypeAlias = list[float | None]
Known: TypeAlias = "dict[SiteDay, tuple[str, Curve]]"
"""By day: what it was made of, and its volts by the minute."""


class Products:
    """The node that keeps documents and plots up to date."""

    def __init__(self, settings: CenterSettings) -> None:
        self._sites = sorted(settings.sites)
        self._dirty: dict[SiteDay, None] = {}
        self._known: Known = {}
        self._drawing: SiteDay | None = None
        self._written: SiteDay | None = None  # the last one, and its document
        self._document = b""
        self._look_at: Monotonic | None = None
        self._disk: DiskView

    def start(self, disk: DiskView, now: Now) -> Effects:
        """Every day of the last month may have changed while nobody looked."""
        self._disk = disk
        self._look_at = Monotonic(now.monotonic + SOON_NS)
        today = _today(now)
        for day in range(today - MEMORY_DAYS, today):
            self._note_changed(day)
        return ()

    def receive(self, event: Event, now: Now) -> Effects:
        """Note what has changed; put a plot in its place."""
        match event:
            case Topic(topic, _) if topic == ARRIVED:
                self._look_by(now, PAUSE_NS)
            case Topic(topic, Promoted(paths)) if topic == PROMOTED:
                for path in paths:
                    if (hour := trees.parse_hour_path(path)) is not None:
                        self._mark(SiteDay(hour.site, hour.utc_s // DAY_S), _today(now))
                self._look_by(now, SOON_NS)
            case EngineEnded(_, output, reason) if self._drawing is not None:
                drawn, self._drawing = self._drawing, None
                if reason:
                    return self._try_later(drawn, reason, now)
                self._look_at = now.monotonic if self._dirty else self._look_at
                # The document last: it says what the plot was made of.
                plot, document = plot_path(drawn), document_path(drawn)
                return (Replace(plot, output), Replace(document, self._document))
            case Failed(RunEngine() | Replace(), reason):
                of, self._drawing = self._drawing or self._written, None
                return self._try_later(of, reason, now) if of is not None else ()
        return ()

    def advance(self, now: Now) -> Effects:
        """Look what has changed, and have one day drawn."""
        self._look_at = None
        oldest = _today(now) - MEMORY_DAYS - QUIET_DAYS
        self._known = {of: seen for of, seen in self._known.items() if of.day >= oldest}
        if not self._dirty:
            for day in (_today(now) - 1, _today(now)):
                self._note_changed(day)
        if self._drawing is not None or not self._dirty:
            return ()
        of = self._drawing = next(iter(self._dirty))
        del self._dirty[of]
        self._written, self._document = of, document_of(self._disk, of, self._known)
        return (RunEngine(RUN, DrawDay(self._document)),)

    def deadline(self) -> Monotonic | None:
        """The next look."""
        return self._look_at

    def _try_later(self, of: SiteDay, why: str, now: Now) -> Effects:
        """A day could not be drawn, or not be kept."""
        self._dirty[of] = None
        self._look_at = Monotonic(now.monotonic + PAUSE_NS)
        return (Log("not drawn", {"site": of.site, "day": day_text(of.day), "why": why}),)

    def _look_by(self, now: Now, within_ns: int) -> None:
        at = Monotonic(now.monotonic + within_ns)
        self._look_at = at if self._look_at is None else min(at, self._look_at)

    def _note_changed(self, day: int) -> None:
        for site in self._sites:
            of = SiteDay(site, day)
            if (digest := source_digest(self._disk, of)) and digest != _drawn_from(self._disk, of):
                self._dirty[of] = None

    def _mark(self, of: SiteDay, today: int) -> None:
        """A day has changed, and with it the quiet day of those that follow."""
        self._known.pop(of, None)
        for day in range(of.day, min(of.day + QUIET_DAYS, today) + 1):
            other = SiteDay(of.site, day)
            if day == of.day or self._disk.size(document_path(other)) is not None:
                self._dirty[other] = None


# --- a day's document -----------------------------------------------------------------------------


def document_path(of: SiteDay) -> str:
    """Of the document of a site's day."""
    return f"products/{day_text(of.day, '%Y/%m/%d')}/{of.site}.json"


def plot_path(of: SiteDay) -> str:
    """Of the plot of a site's day."""
    return f"products/{day_text(of.day, '%Y/%m/%d')}/{of.site}.png"


def source_digest(disk: DiskView, of: SiteDay) -> str:
    """What the canonical files and flags of a day are, as far as their sizes tell; empty where
    there is none. Contents change without their sizes by promotion alone, which is heard of."""
    sizes = [(path, disk.size(path)) for path in (*_hour_paths(disk, of), flags_path(of))]
    return sha256(repr(sizes).encode()).hexdigest()[:16] if len(sizes) > 1 else ""


def document_of(disk: DiskView, of: SiteDay, known: Known) -> bytes:
    """The document of a site's day, as JSON in one line: `minutes` has 1440 values or nulls for
    each of `volts`, `low`, `high`; `quiet` (volts) and `absorption` (dB) are like them, or null
    where too few days are known; `flagged` has [first second, last second + 1, names], `as
    received` the seconds of copies that stand for what is bad at the edge. `known` keeps what days
    before it were found to be, for the next document."""
    from fieldproof_reference.center import curves  # numpy: a center that draws nothing needs none

    volts, low, high = curves.minutes(_records(disk, of), of.day)
    before = [SiteDay(of.site, of.day - back) for back in range(QUIET_DAYS, 0, -1)]
    quiet = curves.quiet_day([(day.day, _mean(disk, day, known)) for day in before], of.day)
    depth = None if quiet is None else curves.absorption(volts, quiet)
    document = {
        "site": of.site,
        "day": day_text(of.day),
        "from": source_digest(disk, of),
        "minutes": {"volts": _values(volts), "low": _values(low), "high": _values(high)},
        "quiet": None if quiet is None else _values(quiet),
        "absorption": None if depth is None else _values(depth),
        "flagged": list(_flagged(disk, of)),
        "as received": _marked(disk, of),
    }
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def _mean(disk: DiskView, of: SiteDay, known: Known) -> "Curve":
    """Volts by the minute, from `known` where nothing has changed since."""
    from fieldproof_reference.center import curves

    digest = source_digest(disk, of)
    if of not in known or known[of][0] != digest:
        known[of] = digest, curves.minutes(_records(disk, of), of.day)[0]
    return known[of][1]


def _hour_paths(disk: DiskView, of: SiteDay) -> list[str]:
    folder = trees.day_folder(of.site, of.day * DAY_S)
    return trees.site_hour_paths(disk.listing(f"{folder}/"), of.site)


def _records(disk: DiskView, of: SiteDay) -> Iterator[bytes]:
    """The records of a day whose values count."""
    lines = list(_flagged(disk, of))
    bad = {from_s for from_s, _, names in lines if not {*HARMLESS, CORRUPT}.issuperset(names)}
    for path in _hour_paths(disk, of):
        data = disk.read(path)
        for span in xrio.walk(data):
            record = data[span.offset : span.offset + span.size]
            if span.valid and xrio.timestamp_s(record) - of.day * DAY_S not in bad:
                yield record
    yield from (offer.record for offer in offered(disk, of))


def _flagged(disk: DiskView, of: SiteDay) -> Iterator[tuple[int, int, list[str]]]:
    """Seconds of the day, half-open, and the names of the flags; of bytes that are no record those
    between its neighbours."""
    path = flags_path(of)
    for text in disk.read(path).splitlines() if disk.size(path) else ():
        try:
            line = json.loads(text)
            names = list(map(str, line["flags"]))
            if "first_s" in line:
                from_s, until_s = line["first_s"], line["first_s"] + xrio.RECORD_POINTS
            else:
                from_s, until_s = line["after_s"] + 1, line["before_s"]
            yield from_s - of.day * DAY_S, until_s - of.day * DAY_S, names
        except (ValueError, KeyError, TypeError):
            continue  # torn by a crash: the next start cuts it off


def _marked(disk: DiskView, of: SiteDay) -> list[list[int]]:
    """Seconds of the day in which a received copy stands for what is bad at the edge."""
    firsts = [xrio.timestamp_s(offer.record) - of.day * DAY_S for offer in offered(disk, of)]
    return [[first_s, first_s + xrio.RECORD_POINTS] for first_s in firsts]


def _drawn_from(disk: DiskView, of: SiteDay) -> str:
    """What the document that is here was made of; empty where there is none, or no plot."""
    path = document_path(of)
    if disk.size(path) is None or disk.size(plot_path(of)) is None:
        return ""
    try:
        return str(json.loads(disk.read(path))["from"])
    except (ValueError, KeyError, TypeError):
        return ""


def _values(curve: "Curve") -> Values:
    """To a tenth of a millivolt or of a millidecibel; null for what is not there."""
    rounded: list[float] = curve.round(4).tolist()
    return [None if value != value else value for value in rounded]


def _today(now: Now) -> int:
    return now.utc_ns // (DAY_S * SECOND_NS)
