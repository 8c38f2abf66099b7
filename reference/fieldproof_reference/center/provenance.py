"""Which canonical bytes did not come live, and which days are proven (I4).

    provenance/2006/01/17/daws.jsonl

One JSON line for each stretch that a repair brought (`restored`), and one when the day's digest
equalled the edge's (`confirmed`). A record of which no line speaks came live: the raw index has it.
"""

import json
from collections.abc import Iterable, Mapping

from fieldproof_contract import SECOND_NS, Append, DiskView, Now
from fieldproof_reference.center import SiteDay
from fieldproof_reference.formats.days import DAY_S, day_text

MEMORY_DAYS = 31
"""How far back a center looks for days that are not proven: our assumption, a month."""


def path_of(case: SiteDay) -> str:
    """The provenance file of a site's day."""
    return f"provenance/{day_text(case.day, '%Y/%m/%d')}/{case.site}.jsonl"


def line(case: SiteDay, what: str, detail: Mapping[str, str | int]) -> Append:
    """Note something about a site's day."""
    return Append(path_of(case), json.dumps({"what": what, **detail}).encode() + b"\n")


def confirmed_days(disk: DiskView, sites: Iterable[str], now: Now) -> tuple[SiteDay, ...]:
    """The site days of the last month, today included, that were proven before a restart."""
    today = now.utc_ns // (DAY_S * SECOND_NS)
    cases = (
        SiteDay(site, day)
        for day in range(today - MEMORY_DAYS, today + 1)
        for site in sorted(sites)
    )
    return tuple(case for case in cases if _is_confirmed(disk, path_of(case)))


def days_on_disk(disk: DiskView, sites: Iterable[str], now: Now) -> tuple[SiteDay, ...]:
    """The site days of the last month, today not included, in which anything arrived."""
    today = now.utc_ns // (DAY_S * SECOND_NS)
    days = [
        day
        for day in range(today - MEMORY_DAYS, today)
        if disk.listing(f"udp/{day_text(day, '%Y/%m/%d')}/")
    ]
    return tuple(SiteDay(site, day) for day in days for site in sorted(sites))


def _is_confirmed(disk: DiskView, path: str) -> bool:
    return disk.size(path) is not None and b'"what": "confirmed"' in disk.read(path)
