"""A site's losses of a month as a small drawing, one bar for each day."""

from math import log

from fieldproof_reference.center.losses_text import percent_text
from fieldproof_reference.center.pages.facts import DAYS, Day, Site
from fieldproof_reference.center.pages.markup import Html, day_name, tag

STEP, WIDTH, HEIGHT = 6, 5, 24
LEAST = 0.0002
"""The part lost that has no height; all is full height, and between them heights are logarithmic:
one record of a day and a dark dish are both to be seen."""


def strip(site: Site, today: int) -> Html:
    """The drawing, and what it shows in words."""
    bars = [_bar(day, number * STEP) for number, day in enumerate(site.days)]
    return tag(
        "svg",
        tag("title", _words(site, today)),
        *bars,
        role="img",
        width=DAYS * STEP,
        height=HEIGHT,
        viewBox=f"0 0 {DAYS * STEP} {HEIGHT}",
        class_="strip",
    )


def _bar(day: Day | None, left: int) -> Html:
    live = day.live if day is not None else None
    if live is None:
        return tag("rect", x=left, y=HEIGHT - 1, width=WIDTH, height=1, class_="unknown")
    part = live.missing / live.expected if live.expected else 0.0
    height = 1
    if part > LEAST:
        height = max(3, round(HEIGHT * (1 - log(part) / log(LEAST))))
    name = "lost" if live.missing else "whole"
    return tag("rect", x=left, y=HEIGHT - height, width=WIDTH, height=height, class_=name)


def _words(site: Site, today: int) -> str:
    worst: tuple[float, str] = (0.0, "")
    days = 0
    for number, day in enumerate(site.days):
        live = day.live if day is not None else None
        if live is not None and live.missing:
            days += 1
            text = percent_text(live.missing, live.expected)
            name = day_name(today - len(site.days) + 1 + number)
            worst = max(worst, (live.missing / live.expected, f"{text} on {name}"))
    if not days:
        return "No day with a loss"
    return f"{days} {'day' if days == 1 else 'days'} with a loss, at most {worst[1]}"
