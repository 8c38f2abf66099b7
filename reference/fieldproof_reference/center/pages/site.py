"""A site's part of the status page: its last record, its plot, its calendar of losses."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from fieldproof_reference.center.losses import Count
from fieldproof_reference.center.losses_text import percent_text
from fieldproof_reference.center.pages.facts import DAYS, LATE_S, LIVE_S, Day, Site
from fieldproof_reference.center.pages.markup import (
    THIN,
    Html,
    Inside,
    age,
    day_name,
    hidden,
    joined,
    moment,
    number,
    tag,
)
from fieldproof_reference.formats.days import day_text

if TYPE_CHECKING:
    from fieldproof_reference.center.pages.html import Plot

WEEKDAYS = (
    ("Mon", "Monday"),
    ("Tue", "Tuesday"),
    ("Wed", "Wednesday"),
    ("Thu", "Thursday"),
    ("Fri", "Friday"),
    ("Sat", "Saturday"),
    ("Sun", "Sunday"),
)
EPOCH_WEEKDAY = 3
"""1970-01-01 was a Thursday."""

LEVELS = (0.005, 0.02, 0.1)
"""Parts lost from which on a day is shown darker."""


def state_of(site: Site, now_s: int) -> str:
    """How a site does, in a word."""
    if site.heard is None:
        return "unheard"
    span_s = now_s - site.heard.arrived_s
    return "live" if span_s <= LIVE_S else "late" if span_s <= LATE_S else "silent"


def lost_text(count: Count) -> Html:
    """`3 0.21 %`."""
    if not count.expected:
        return tag("span", "–", class_="none")
    part = percent_text(count.missing, count.expected).replace(" ", THIN)
    return joined((tag("span", number(count.missing), class_="count"), " ", tag("small", part)))


def card(site: Site, plot: "Plot | None", today: int, now_s: int) -> Html:
    """All about a site."""
    state = state_of(site, now_s)
    heading = tag("h3", site.name.upper(), id=site.name)
    dot = tag("span", class_=f"dot {state}", aria_hidden="true")
    return tag(
        "article",
        tag("header", heading, tag("p", dot, state, class_=f"state {state}")),
        _plot(site, plot, today),
        _calendar(site, today),
        tag("dl", *_details(site, now_s)),
        tag("p", *_links(site, plot), class_="links"),
        aria_labelledby=site.name,
        class_="card",
    )


def _plot(site: Site, plot: "Plot | None", today: int) -> Html:
    if plot is None:
        return tag("p", "No plot of today yet.", class_="noplot")
    name = site.name.upper()
    image = tag(
        "img",
        src=plot.path,
        alt=f"Plot of {name} on {day_name(today)}: volts, quiet day and absorption against UT",
        width=plot.width or False,
        height=plot.height or False,
        loading="lazy",
    )
    return tag("figure", tag("a", image, href=plot.path))


def _details(site: Site, now_s: int) -> Iterator[Html]:
    if site.heard is None:
        yield _detail("Last record", f"none in {DAYS} days")
    else:
        span_s = now_s - site.heard.arrived_s
        ago = f", came {age(span_s)} ago" if span_s >= 0 else ", ahead of the clock here"
        yield _detail("Last record", joined((moment(site.heard.first_s), ago)))
    yield _detail("Lost today", _loss(site.live_today or Count()))
    yield _detail(f"Lost in {DAYS} days", _loss(site.live))
    restored = sum(day.restored for day in site.days if day is not None)
    yield _detail("Restored", f"{number(restored)} records" if restored else "nothing")
    yield _detail("Reconciled by", site.method)
    closed = [day for day in site.days[:-1] if day is not None]
    proven = sum(day.proven for day in closed)
    yield _detail("Days proven", f"{proven} of {len(closed)}")
    yield _detail("Flagged", number(site.flagged) if site.flagged else "nothing")


def _detail(name: str, value: Inside) -> Html:
    return tag("div", tag("dt", name), tag("dd", value))


def _loss(count: Count) -> str:
    if not count.expected:
        return "not counted yet"
    part = percent_text(count.missing, count.expected).replace(" ", THIN)
    server = f", {number(count.server)} with the server down" if count.server else ""
    return f"{number(count.missing)} of {number(count.expected)}, {part}{server}"


def _links(site: Site, plot: "Plot | None") -> Iterator[Inside]:
    found = (
        ("archive", site.canonical),
        ("as received", site.raw),
        ("plots", plot.path.rpartition("/")[0] + "/" if plot is not None else ""),
        ("notes", _notes(site)),
    )
    for name, path in found:
        if path:
            yield tag("a", name, hidden(f" of {site.name.upper()}"), href=path)
            yield " "


def _notes(site: Site) -> str:
    """The newest notes of what was done; "" for none."""
    days = [day.day for day in site.days if day is not None and (day.proven or day.restored)]
    return f"provenance/{day_text(days[-1], '%Y/%m/%d')}/{site.name}.jsonl" if days else ""


# --- the calendar ---------------------------------------------------------------------------------


def _calendar(site: Site, today: int) -> Html:
    first = today - len(site.days) + 1
    lead = (first + EPOCH_WEEKDAY) % 7
    cells = [tag("td")] * lead
    cells += [_cell(day, first + at) for at, day in enumerate(site.days)]
    cells += [tag("td")] * (-len(cells) % 7)
    weeks = (tag("tr", *cells[at : at + 7]) for at in range(0, len(cells), 7))
    caption = f"Records lost on the way, {day_name(first)} to {day_name(today)}"
    heads = (tag("th", tag("abbr", short, title=name), scope="col") for short, name in WEEKDAYS)
    return tag(
        "table",
        tag("caption", caption, hidden(f", {site.name.upper()}")),
        tag("thead", tag("tr", *heads)),
        tag("tbody", *weeks),
        class_="calendar",
    )


def _cell(day: Day | None, number_of_day: int) -> Html:
    in_month, month = day_name(number_of_day).split()
    shown = joined((hidden("1 "), month)) if in_month == "1" else in_month
    date = tag("time", shown, datetime=day_text(number_of_day))
    if day is None or day.live is None:
        said = "before its first record" if day is None else "not counted yet"
        mark = tag("span", "·" if day is None else "…", aria_hidden="true", class_="lost")
        return tag("td", date, mark, hidden(f" {said}"), class_="no")
    proven = joined((tag("b", "✓", aria_hidden="true"), hidden(" proven"))) if day.proven else ""
    lost = tag("span", number(day.live.missing), hidden(" lost"), class_="lost")
    return tag("td", date, lost, proven, class_=_level(day.live))


def _level(count: Count) -> str:
    """`l0` for nothing lost, `l4` for much."""
    if not count.missing:
        return "l0"
    part = count.missing / count.expected
    return f"l{1 + sum(part >= level for level in LEVELS)}"
