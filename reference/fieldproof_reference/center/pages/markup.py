"""HTML as values: whatever is put into a tag is text, and escaped, unless it is `Html` itself.

So nothing that a disk or a stranger says can become markup, wherever it is shown (T16). There is no
other way to make `Html` here than `tag` and `joined`.
"""

from collections.abc import Iterable
from html import escape
from typing import TypeAlias

from fieldproof_reference.formats.days import DAY_S, day_text

THIN = "\u202f"
"""A narrow space that does not break: between groups of digits, and before units."""


class Html(str):
    """Markup, as it goes to the browser."""

    __slots__ = ()


Inside: TypeAlias = str | int
"""What can stand in a tag: text, a number, or `Html`."""

MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
"""Not strftime's, which are those of the machine's language."""

_VOID = frozenset({"br", "img", "link", "meta"})


def tag(name: str, /, *inside: Inside, **attributes: str | int | bool) -> Html:
    """An element. `class_` is the attribute class, `aria_label` is aria-label; an attribute that is
    False or "" is left out, one that is True stands alone, but `alt` stands always."""
    texts = [name]
    for key, value in attributes.items():
        key = key.rstrip("_").replace("_", "-")
        if value is True:
            texts.append(key)
        elif key == "alt" or (value is not False and value != ""):
            texts.append(f'{key}="{escape(_plain(value))}"')
    if name in _VOID:
        return Html(f"<{' '.join(texts)}>")
    return Html(f"<{' '.join(texts)}>{joined(inside)}</{name}>")


def joined(parts: Iterable[Inside]) -> Html:
    """One after the other."""
    return Html("".join(one if isinstance(one, Html) else escape(_plain(one)) for one in parts))


def hidden(text: str) -> Html:
    """For those who hear the page, not for those who see it."""
    return tag("span", text, class_="hidden")


def row(*cells: Inside, head: bool = False) -> Html:
    """A row of a table; its first cell heads it, or each heads a column."""
    if head:
        return tag("tr", *(tag("th", cell, scope="col") for cell in cells))
    return tag("tr", tag("th", cells[0], scope="row"), *(tag("td", cell) for cell in cells[1:]))


def number(value: int) -> str:
    """`44 515`."""
    return f"{value:,}".replace(",", THIN)


def day_name(day: int) -> str:
    """`17 Jan`."""
    return f"{day_text(day, '%d').lstrip('0')} {MONTHS[int(day_text(day, '%m')) - 1]}"


def moment(utc_s: int, *, seconds: bool = True, day: bool = True) -> Html:
    """A time as people read it, `17 Jan 16:23:05`, and as machines do; all is UTC."""
    days, second = divmod(utc_s, DAY_S)
    clock = f"{second // 3600:02d}:{second // 60 % 60:02d}"
    exact = f"{clock}:{second % 60:02d}"
    shown = exact if seconds else clock
    return tag(
        "time",
        f"{day_name(days)} {shown}" if day else shown,
        datetime=f"{day_text(days)}T{exact}Z",
    )


def age(span_s: int) -> str:
    """`40 s`, `12 min`, `3 h 20 min`, `2 d 4 h` for a time of 0 s or more; cut, not rounded."""
    minutes, hours, days = span_s // 60, span_s // 3600, span_s // DAY_S
    if days:
        return f"{days}{THIN}d {hours % 24}{THIN}h"
    if hours:
        return f"{hours}{THIN}h {minutes % 60}{THIN}min"
    return f"{minutes}{THIN}min" if minutes else f"{span_s}{THIN}s"


def document(title: str, body: Html, style: str, home: str = "") -> bytes:
    """A page. `style`: the name of its style sheet; `home`: the way to where that is."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("link", rel="stylesheet", href=f"{home}{style}"),
        tag("link", rel="icon", href=f"{home}icon.svg", type="image/svg+xml"),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n".encode()


def _plain(value: Inside) -> str:
    """Text that can be written in UTF-8; what cannot be, and controls, are shown as such."""
    return "".join(
        letter if letter >= " " and not "\ud800" <= letter <= "\udfff" else "\ufffd"
        for letter in str(value)
    )
