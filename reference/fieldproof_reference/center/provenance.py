"""Which canonical bytes did not come live, and which days are proven (I4).

    provenance/2006/01/17/daws.jsonl

One JSON line for each stretch that a repair brought (`restored`), one when the day's digest was the
edge's (`confirmed`), and one when the edge signed another digest after that (`reopened`). Where
hours are proven one by one, `hour proven` and `hour reopened` say so. A record of which no line
speaks came live: the raw index has it.
"""

import json
from collections.abc import Iterable, Mapping
from itertools import dropwhile

from fieldproof_contract import SECOND_NS, Append, DiskView, Now
from fieldproof_reference.center import SiteDay, SiteHour
from fieldproof_reference.center.notes import MEMORY_DAYS, note
from fieldproof_reference.formats import trees
from fieldproof_reference.formats.days import DAY_S, HOUR_S, day_text

HOUR_PROVEN, HOUR_REOPENED = "hour proven", "hour reopened"


def path_of(case: SiteDay) -> str:
    """The provenance file of a site's day."""
    return f"provenance/{day_text(case.day, '%Y/%m/%d')}/{case.site}.jsonl"


def line(case: SiteDay, what: str, detail: Mapping[str, str | int]) -> Append:
    """Note something about a site's day."""
    return note(path_of(case), {"what": what, **detail})


def confirmed_days(disk: DiskView, sites: Iterable[str], now: Now) -> tuple[SiteDay, ...]:
    """The site days of the last month, today included, that were proven before a restart."""
    today = now.utc_ns // (DAY_S * SECOND_NS)
    cases = (
        SiteDay(site, day)
        for day in range(today - MEMORY_DAYS, today + 1)
        for site in sorted(sites)
    )
    return tuple(case for case in cases if _is_confirmed(disk, path_of(case)))


def days_since_first(disk: DiskView, sites: Iterable[str], now: Now) -> tuple[SiteDay, ...]:
    """The site days of the last month, today not included, from the first on in which anything
    arrived: a day without arrivals is one in which the center was down."""
    today = now.utc_ns // (DAY_S * SECOND_NS)
    days = dropwhile(
        lambda day: not disk.listing(f"udp/{day_text(day, '%Y/%m/%d')}/"),
        range(today - MEMORY_DAYS, today),
    )
    return tuple(SiteDay(site, day) for day in days for site in sorted(sites))


def first_hour(disk: DiskView, now: Now) -> int | None:
    """The hour before the first of the last month in which anything arrived: the first record of
    an arrival lies in it. None where nothing arrived."""
    today = now.utc_ns // (DAY_S * SECOND_NS)
    for day in range(today - MEMORY_DAYS, today + 1):
        paths = disk.listing(f"udp/{day_text(day, '%Y/%m/%d')}/")
        files = filter(None, map(trees.parse_arrival_path, paths))
        hours = [file.utc_s // HOUR_S for file in files]
        if hours:
            return min(hours) - 1
    return None


def proven_hours(disk: DiskView, sites: Iterable[str], now: Now) -> frozenset[SiteHour]:
    """The hours of the last month, today included, that were proven one by one before a restart."""
    today = now.utc_ns // (DAY_S * SECOND_NS)
    proven: set[SiteHour] = set()
    for site in sorted(sites):
        for day in range(today - MEMORY_DAYS, today + 1):
            for raw in _lines(disk, path_of(SiteDay(site, day))):
                note = json.loads(raw)
                of = SiteHour(site, note.get("hour", -1))
                if note["what"] == HOUR_PROVEN:
                    proven.add(of)
                elif note["what"] == HOUR_REOPENED:
                    proven.discard(of)
    return frozenset(proven)


def is_confirmed(disk: DiskView, case: SiteDay) -> bool:
    """Whether the day was proven, and not reopened after that."""
    return _is_confirmed(disk, path_of(case))


def _lines(disk: DiskView, path: str) -> list[bytes]:
    """The whole lines of a file; a half line will be cut off."""
    notes = disk.read(path) if disk.size(path) is not None else b""
    return notes[: notes.rfind(b"\n") + 1].splitlines()


def _is_confirmed(disk: DiskView, path: str) -> bool:
    notes = disk.read(path) if disk.size(path) is not None else b""
    notes = notes[: notes.rfind(b"\n") + 1]  # a half line will be cut off
    return notes.rfind(b'"what": "confirmed"') > notes.rfind(b'"what": "reopened"')
