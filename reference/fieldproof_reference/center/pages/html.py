"""The status page, of facts: how each site does, day by day, and what was done about losses.

One document without scripts. What is shown by colour or place is said in words, too; all times are
UTC. Figures of losses are of what arrived live: what reconciliation brought stands beside them.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from fieldproof_contract import SECOND_NS, Now
from fieldproof_reference.center.losses import Count, total
from fieldproof_reference.center.losses_text import percent_text
from fieldproof_reference.center.pages.facts import DAYS, LIVE_S, Facts, Restored, Site, Tally
from fieldproof_reference.center.pages.markup import (
    THIN,
    Html,
    Inside,
    day_name,
    document,
    joined,
    moment,
    number,
    row,
    tag,
)
from fieldproof_reference.center.pages.site import card, lost_text, state_of
from fieldproof_reference.center.pages.strip import strip
from fieldproof_reference.formats.days import DAY_S, day_text

MOST_ROWS = 60
"""Of the history of reconciliation that are shown; the notes have all of it."""

TREES: Mapping[str, str] = {
    "riometer": "the archive: hour files by first sample",
    "udp": "everything received, by arrival",
    "products": "plots and their values",
    "provenance": "what was restored and proven",
    "quarantine": "what was kept out, and why",
    "flags": "what is odd about records",
    "receiver": "when the receiver ran",
}
"""The folders that are shown, and what is in them."""


class Plot(NamedTuple):
    """The plot of a day."""

    path: str
    width: int  # 0 where it is not known
    height: int


def page(facts: Facts, plots: Mapping[str, Plot], now: Now, style: str) -> bytes:
    """The page. `plots`: today's, by site; `style`: the name of its style sheet."""
    now_s = now.utc_ns // SECOND_NS
    body = tag(
        "body",
        tag("a", "Skip to the sites", href="#sites", class_="skip"),
        tag(
            "header",
            tag("h1", "Riometer telemetry"),
            tag("p", "As of ", _as_of(now_s), ". Reload for news.", class_="asof"),
            _figures(facts, now_s),
            tag("p", _counting(facts), class_="counting") if facts.days_to_count else "",
        ),
        tag("main", _overview(facts, now_s), _cards(facts, plots, now_s), _history(facts)),
        _footer(),
    )
    return document(f"Riometer telemetry, {day_text(facts.today)}", body, style)


def _as_of(now_s: int) -> Html:
    day, second = divmod(now_s, DAY_S)
    clock = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    shown = f"{day_name(day)} {day_text(day, '%Y')} {clock} UTC"
    return tag("time", shown, datetime=f"{day_text(day)}T{clock}Z")


def _counting(facts: Facts) -> str:
    return f"Not all days are counted yet: {facts.days_to_count} to go."


def _figures(facts: Facts, now_s: int) -> Html:
    """What a glance should tell."""
    live = sum(state_of(site, now_s) == "live" for site in facts.sites)
    today = total(filter(None, (site.live_today for site in facts.sites)))
    month = total(site.live for site in facts.sites)
    proven = sum(day is not None and day.proven for site in facts.sites for day in site.days[:-1])
    closed = sum(day is not None for site in facts.sites for day in site.days[:-1])
    restored = sum(one.records for one in facts.restored)
    figures = (
        (
            "Sites live",
            f"{live} of {len(facts.sites)}",
            f"heard in the last {LIVE_S // 60} minutes",
        ),
        ("Lost today", percent_text(today.missing, today.expected), _of(today)),
        (f"Lost in {DAYS} days", percent_text(month.missing, month.expected), _of(month)),
        ("Restored", number(restored), "records, by reconciliation"),
        ("Days proven", f"{number(proven)} of {number(closed)}", "identical to the edge’s"),
    )
    return tag("dl", *(_figure(*each) for each in figures), class_="figures")


def _figure(name: str, value: str, more: str) -> Html:
    return tag(
        "div",
        tag("dt", name),
        tag("dd", tag("strong", value), tag("span", more) if more else ""),
    )


def _of(count: Count) -> str:
    return f"{number(count.missing)} of {number(count.expected)} records"


# --- the sites ------------------------------------------------------------------------------------


def _overview(facts: Facts, now_s: int) -> Html:
    titles = (
        "Site",
        "Last record",
        "Lost today",
        f"Lost in {DAYS} days",
        f"Each of {DAYS} days",
    )
    rows = (_site_row(site, facts.today, now_s) for site in facts.sites)
    caption = "Newest record of each site, and the part of its records that did not arrive live"
    return tag(
        "section",
        tag("h2", "Sites", id="sites"),
        tag(
            "table",
            tag("caption", caption),
            tag("thead", row(*titles, head=True)),
            tag("tbody", *rows),
            class_="sites",
        ),
        aria_labelledby="sites",
    )


def _site_row(site: Site, today: int, now_s: int) -> Html:
    live = site.live_today or Count()
    state = state_of(site, now_s)
    name = tag("a", site.name.upper(), href=f"#{site.name}")
    return row(
        joined((tag("span", class_=f"dot {state}", aria_hidden="true"), name)),
        joined((tag("span", state, class_=f"state {state}"), " ", _heard(site, now_s))),
        lost_text(live),
        lost_text(site.live),
        strip(site, today),
    )


def _heard(site: Site, now_s: int) -> Html:
    if site.heard is None:
        return Html("")
    of_today = site.heard.arrived_s // DAY_S == now_s // DAY_S
    return tag("span", moment(site.heard.arrived_s, day=not of_today), class_="when")


def _cards(facts: Facts, plots: Mapping[str, Plot], now_s: int) -> Html:
    key = (
        "A calendar shows how many records of each day did not arrive live: the stronger the "
        "shade, the larger their part. "
    )
    proven = joined((tag("b", "✓"), " marks a day that is proven identical to the edge’s."))
    return tag(
        "section",
        tag("h2", "Day by day", id="days"),
        tag("p", key, proven, class_="key"),
        _legend(),
        tag(
            "div",
            *(card(site, plots.get(site.name), facts.today, now_s) for site in facts.sites),
            class_="cards",
        ),
        aria_labelledby="days",
    )


def _legend() -> Html:
    parts = (
        ("l0", "none"),
        ("l1", f"< 0.5{THIN}%"),
        ("l2", f"< 2{THIN}%"),
        ("l3", f"< 10{THIN}%"),
        ("l4", "more"),
    )
    return tag("p", *(tag("span", text, class_=name) for name, text in parts), class_="legend")


# --- what was done --------------------------------------------------------------------------------


def _history(facts: Facts) -> Html:
    return joined(
        (
            tag(
                "section",
                tag("h2", "Reconciliation", id="history"),
                _restored(facts.restored),
                aria_labelledby="history",
            ),
            tag(
                "section",
                tag("h2", "Kept out, and flagged", id="oddities"),
                tag(
                    "div",
                    _tallies("Datagrams and records kept out", "Reason", facts.quarantined),
                    _tallies("Flags of records in the archive", "Flag", facts.flagged),
                    class_="pair",
                ),
                aria_labelledby="oddities",
            ),
        )
    )


def _restored(restored: tuple[Restored, ...]) -> Html:
    if not restored:
        return tag("p", f"Nothing had to be restored in {DAYS} days.")
    caption = f"What was restored in {DAYS} days, newest day first"
    more = len(restored) - MOST_ROWS
    return joined(
        (
            tag(
                "table",
                tag("caption", caption),
                tag("thead", row("Day", "Site", "Records", "How, and when", "Day is", head=True)),
                tag("tbody", *map(_restored_row, restored[:MOST_ROWS])),
                class_="history",
            ),
            tag("p", f"{number(more)} more in provenance/.") if more > 0 else "",
        )
    )


def _restored_row(one: Restored) -> Html:
    notes = f"provenance/{day_text(one.day, '%Y/%m/%d')}/{one.site}.jsonl"
    how = ", ".join(one.methods) or "nothing brought"
    when: Inside = "not noted"
    if one.utc_ns is not None:
        when = moment(one.utc_ns // SECOND_NS, seconds=False)
    return row(
        tag("a", day_name(one.day), href=notes, aria_label=f"{day_name(one.day)}, notes"),
        one.site.upper(),
        number(one.records),
        joined((how, " ", tag("span", when, class_="when"))),
        joined(_standing(one)),
    )


def _standing(one: Restored) -> Iterable[Inside]:
    yield tag("span", "✓ ", aria_hidden="true") if one.proven else ""
    yield "proven" if one.proven else "not proven"
    if one.reopened:
        yield f", changed {one.reopened}{THIN}× at the edge"
    if one.unconfirmed:
        yield f", {one.unconfirmed} h not at the edge"


def _tallies(caption: str, name: str, tallies: tuple[Tally, ...]) -> Html:
    if not tallies:
        return tag("p", f"{caption}: none in {DAYS} days.")
    rows = (row(each.name, number(each.today), number(each.all_days)) for each in tallies)
    return tag(
        "table",
        tag("caption", caption),
        tag("thead", row(name, "Today", f"{DAYS} days", head=True)),
        tag("tbody", *rows),
        class_="tallies",
    )


def _footer() -> Html:
    items = (
        tag("li", tag("a", f"{name}/", href=f"{name}/"), " ", what) for name, what in TREES.items()
    )
    return tag(
        "footer",
        tag("nav", tag("h2", "Files", id="files"), tag("ul", *items), aria_labelledby="files"),
        tag(
            "p",
            "All times are UTC. This page can be read by whoever reaches it; nothing here "
            "can be changed.",
        ),
    )
