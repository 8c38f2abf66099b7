"""Reads what the status page tells, a little at a time, and remembers it.

The laws:

1. A step takes a few milliseconds. A page is made of what was read, so that no request makes the
   center deaf while it reads a month.
2. What was read is not read again (arrivals.py, notes.py). What changed is told by
   topics; the notes of the days that can still grow are looked at with each look.
3. The newest day is read first. Days that are not read yet are said to be so, not guessed.
4. What is told is of the last `DAYS`; all else is forgotten.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from fieldproof_contract import SECOND_NS, DiskView, Now
from fieldproof_reference.center import CenterSettings, SiteDay, SiteHour
from fieldproof_reference.center.pages.arrivals import ENDING, Arrivals
from fieldproof_reference.center.pages.facts import DAYS, Day, Facts, Heard, Restored, Site, Tally
from fieldproof_reference.center.pages.notes import MOST_NAMES, OTHERS, Notes, Told
from fieldproof_reference.formats import trees, xrio
from fieldproof_reference.formats.days import DAY_S, HOUR_S, day_text

LATE_DAYS = 3
"""Of so many days, today included, records can still arrive (`WINDOW_S` of validation)."""

Kind = Literal["index", "settle", "held", "provenance", "flags", "flags again", "quarantine"]


class _Task(NamedTuple):
    """Something to be read or counted."""

    kind: Kind
    what: str  # a path, a site, or nothing
    day: int


class Reading:
    """What was read; see the head of this file."""

    def __init__(self, settings: CenterSettings, disk: DiskView, now: Now) -> None:
        """Everything of the last month is to be read."""
        self._methods = {site: settings.sites[site].reconcile for site in sorted(settings.sites)}
        self._disk = disk
        self._arrivals = Arrivals(disk, tuple(self._methods))
        self._notes = Notes(disk, self._methods)
        self._todo: OrderedDict[_Task, None] = OrderedDict()
        self._news: dict[str, None] = {}
        self._uncounted = set(_days(now))
        self._held: dict[SiteDay, int] = {}
        self._filed: dict[str, Heard] = {}
        for day in reversed(_days(now)):
            for site in self._methods:
                self._ask("held", site, day)
        for day in reversed(_days(now)):
            self._ask_notes(day)
            self._ask_arrivals(day)

    # --- what there is to read ---

    def arrived(self, path: str) -> None:
        """A raw index file has grown."""
        if path.endswith(ENDING):
            self._news[path] = None

    def changed(self, what: SiteDay | SiteHour) -> None:
        """A day or an hour was changed, proven or reopened."""
        of = what.day if isinstance(what, SiteHour) else what
        if of.site in self._methods:
            for kind in ("held", "provenance", "flags again"):
                self._ask(kind, of.site, of.day)

    def promoted(self, paths: Iterable[str]) -> None:
        """Hour files were changed."""
        for file in filter(None, map(trees.parse_hour_path, paths)):
            self.changed(SiteHour(file.site, file.utc_s // HOUR_S))

    def look(self, now: Now) -> None:
        """What came since the last look is to be read; what is too old is forgotten."""
        days = _days(now)
        for day in reversed(days[-LATE_DAYS:]):
            self._ask_notes(day)
        grown = {path: _day_of_path(path) for path in self._news}
        self._news.clear()
        for path, day in grown.items():
            self._ask("index", path, day)
        may_grow = {*grown.values(), *days[-LATE_DAYS:], *self._arrivals.open_days}
        for day in sorted(may_grow.intersection(days)):
            if self._arrivals.reopen(day):
                self._ask_arrivals(day)
            self._ask("settle", "", day)
        self._arrivals.forget(days[0])
        self._notes.forget(days[0])
        for case in [case for case in self._held if case.day < days[0]]:
            del self._held[case]

    def step(self, now: Now) -> bool:
        """Read a little; whether there is more to be read."""
        if self._todo:
            task, _ = self._todo.popitem(last=False)
            if self._do(task, now):
                self._todo[task] = None
                self._todo.move_to_end(task, last=False)
        return bool(self._todo)

    def _ask(self, kind: Kind, what: str, day: int) -> None:
        self._todo[_Task(kind, what, day)] = None

    def _ask_arrivals(self, day: int) -> None:
        for path in self._disk.listing(f"udp/{day_text(day, '%Y/%m/%d')}/"):
            if path.endswith(ENDING):
                self._ask("index", path, day)
        self._ask("settle", "", day)

    def _ask_notes(self, day: int) -> None:
        for site in self._methods:
            for kind in ("held", "provenance", "flags"):
                self._ask(kind, site, day)
        self._ask("quarantine", "", day)

    def _do(self, task: _Task, now: Now) -> bool:
        """Whether the task is not done yet."""
        kind, what, day = task
        case = SiteDay(what, day)
        match kind:
            case "index":
                return self._arrivals.add(what)
            case "provenance":
                return self._notes.add_provenance(case)
            case "quarantine":
                return self._notes.add_quarantine(day)
            case "flags" | "flags again":
                self._notes.read_flags(case, again=kind == "flags again")
            case "held":
                self._count_held(case)
            case "settle":
                self._arrivals.settle(day, self._newcomers(day), now.utc_ns)
                self._uncounted.discard(day)
                if day <= _days(now)[-1] - LATE_DAYS:
                    self._arrivals.close(day)
        return False

    def _count_held(self, of: SiteDay) -> None:
        """Records in a day's canonical files. Their size tells, for a second more or less in a
        record is rare, and the next has one less or more."""
        listed = self._disk.listing(trees.day_folder(of.site, of.day * DAY_S) + "/")
        paths = trees.site_hour_paths(listed, of.site)
        sizes = [self._disk.size(path) or 0 for path in paths]
        self._held[of] = sum(size // xrio.RECORD_BYTES for size in sizes)
        if not paths or sizes[-1] < xrio.RECORD_BYTES:
            return
        newest = self._disk.read(paths[-1], sizes[-1] - xrio.RECORD_BYTES)
        if xrio.invalid(newest) is None:
            first_s = xrio.timestamp_s(newest)
            filed = Heard(first_s + xrio.RECORD_POINTS, first_s)
            self._filed[of.site] = max(filed, self._filed.get(of.site, filed))

    def _newcomers(self, day: int) -> set[str]:
        """The sites of which nothing is known before this day."""
        before = {case.site for case, held in self._held.items() if held and case.day < day}
        return {site for site in self._methods if site not in before and not self._was(site, day)}

    def _was(self, site: str, day: int) -> bool:
        """Whether there are records of the day before this one."""
        return bool(self._disk.listing(trees.day_folder(site, (day - 1) * DAY_S) + "/"))

    # --- telling ---

    def facts(self, now: Now) -> Facts:
        """What is known now."""
        days = _days(now)
        flags = {day: Counter[str]() for day in days}
        for case, flagged in self._notes.flagged.items():
            if case.day in flags:
                flags[case.day].update(flagged.names)
        return Facts(
            days[-1],
            tuple(self._site(site, days) for site in self._methods),
            tuple(self._restored(days)),
            _tallies(self._notes.reasons, days),
            _tallies(flags, days),
            len(self._uncounted.intersection(days)),
        )

    def _site(self, site: str, days: range) -> Site:
        held = [day for day in days if self._held.get(SiteDay(site, day))]
        newest = trees.day_folder(site, held[-1] * DAY_S) + "/" if held else ""
        flagged = (self._notes.flagged.get(SiteDay(site, day)) for day in days)
        return Site(
            site,
            self._methods[site],
            self._arrivals.heard.get(site, self._filed.get(site)),
            tuple(self._days(site, days, held[0] if held else None)),
            sum(one.lines for one in flagged if one is not None),
            self._arrivals.raw.get(site, ""),
            newest,
        )

    def _days(self, site: str, days: range, first_held: int | None) -> Iterator[Day | None]:
        begun = self._was(site, days[0])
        for day in days:
            case = SiteDay(site, day)
            live = self._arrivals.counts.get(case) if day not in self._uncounted else None
            begun = begun or day == first_held or (live is not None and live.received > 0)
            told = self._notes.told.get(case, Told())
            held = self._held.get(case, 0)
            yield Day(day, live, held, told.records, told.proven) if begun else None

    def _restored(self, days: range) -> Iterator[Restored]:
        for day in reversed(days):
            for site in self._methods:
                told = self._notes.told.get(SiteDay(site, day))
                if told is not None and (told.records or told.reopened or told.unconfirmed):
                    yield Restored(
                        day,
                        site,
                        told.records,
                        told.size,
                        tuple(told.methods),
                        told.utc_ns,
                        told.proven,
                        told.reopened,
                        told.unconfirmed,
                    )


def _days(now: Now) -> range:
    today = now.utc_ns // (DAY_S * SECOND_NS)
    return range(today - DAYS + 1, today + 1)


def _day_of_path(path: str) -> int:
    file = trees.parse_arrival_path(path)
    return file.utc_s // DAY_S if file is not None else 0


def _tallies(by_day: dict[int, Counter[str]], days: range) -> tuple[Tally, ...]:
    """The most frequent first, and all that are too many together at the end."""
    today = by_day.get(days[-1], Counter())
    month: Counter[str] = Counter()
    for day in days:
        month.update(by_day.get(day, {}))
    ordered = sorted(month.keys() - {OTHERS}, key=lambda name: (-month[name], name))
    shown = ordered[:MOST_NAMES]
    tallies = [Tally(name, today[name], month[name]) for name in shown]
    others = [*ordered[MOST_NAMES:], OTHERS]
    rest = Tally(OTHERS, sum(today[name] for name in others), sum(month[name] for name in others))
    return (*tallies, rest) if rest.all_days else tuple(tallies)
