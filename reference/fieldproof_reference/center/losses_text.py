"""A loss report as text and as JSON; the listings are those of "Riometer data flow" (2006).

    60 2006/01/17/206.172.47.234/ut00_24985.idx          `wc -l`, a day of a source and port
    ...
  1437 total

    2005/12/01/206.172.47.234  1426 total                each day's total, over many days
    2005/12/02/206.172.47.234  1438 total

The numbers are as wide as GNU `wc` makes them: as the number of all bytes of the files listed.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fieldproof_contract import SECOND_NS
from fieldproof_reference.center.losses import Count, Heard, Listed, Stream, Table, Unreadable
from fieldproof_reference.formats.days import day_text

MOST_TOLD = 20
"""Unreadable lines that are told one by one."""

COLUMNS = ("expected", "received", "duplicates", "quarantined", "missing", "percent")
CAUSES = ("network", "server", "receiver")


def day_listing(files: Sequence[Listed]) -> str:
    """The files as `wc -l` lists them: of one alone there is no total."""
    if not files:
        return ""
    width = _width(files)
    lines = [f"{file.lines:{width}d} {file.path}\n" for file in files]
    if len(files) > 1:
        lines.append(f"{sum(file.lines for file in files):{width}d} total\n")
    return "".join(lines)


def total_listing(files: Iterable[Listed]) -> str:
    """The total of each folder, as the loop of 2006 over days prints it."""
    folders: dict[str, list[Listed]] = {}
    for file in files:
        folders.setdefault(file.path.rpartition("/")[0], []).append(file)
    return "".join(
        f"{folder}{sum(file.lines for file in listed):{_width(listed)}d} total\n"
        for folder, listed in folders.items()
    )


def _width(files: Sequence[Listed]) -> int:
    """The width of a number in GNU `wc -l`."""
    return len(str(sum(file.size for file in files))) if len(files) > 1 else 1


def listing(heard: Heard) -> str:
    """The listing of a source and port: by file for one day, by day for more."""
    days = {hour // 24 for hour in heard.fates}
    return day_listing(heard.listed) if len(days) < 2 else total_listing(heard.listed)


def percent_text(missing: int, expected: int, digits: int = 2) -> str:
    """`0.21 %`; nothing is missing where nothing was expected."""
    return f"{100 * missing / expected if expected else 0:.{digits}f} %"


def report(
    table: Table, heard: Sequence[Heard], hours: bool, notes: Iterable[str], site: str | None
) -> str:
    """All of it, for people. `site`: the one station to speak of, None for all."""
    parts: list[str] = []
    for stream in _asked(table, site):
        for one in heard:
            if one.listed and one.port == stream.port and one.address in stream.addresses:
                parts.append(f"{one.address}, port {one.port}:\n\n{listing(one)}")
        parts.append(f"{_title(stream)}\n\n{_rows(stream, hours)}\n{summary(stream)}\n")
    if site is None and table.strangers:
        count = sum(len(one.came_ns) for one in table.strangers)
        senders = len({one.address for one in table.strangers})
        parts.append(f"{_many(count, 'datagram')} of {_many(senders, 'other sender')}.\n")
    parts += (f"{note}\n" for note in notes)
    unreadable = [each for one in heard for each in one.unreadable]
    if unreadable:
        parts.append(_unreadable(unreadable))
    return "\n".join(parts)


def _asked(table: Table, site: str | None) -> list[Stream]:
    return [
        stream
        for stream in table.streams
        if site is None or site == stream.name or site in stream.addresses
    ]


def _title(stream: Stream) -> str:
    addresses = ", ".join(stream.addresses)
    name = stream.name if addresses == stream.name else f"{stream.name} ({addresses})"
    return f"{name}, port {stream.port}"


def _rows(stream: Stream, hours: bool) -> str:
    """The table of a stream, a row for each day or hour, and the sum."""
    untold = ("untold",) if stream.total.untold else ()
    by = stream.by(1 if hours else 24)
    rows = [("hour" if hours else "day", *COLUMNS, *CAUSES, *untold)]
    rows += [(_when(key, hours), *_cells(count, untold)) for key, count in by.items()]
    rows.append(("total", *_cells(stream.total, untold)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    first, *others = widths
    return "".join(
        "  ".join([row[0].ljust(first), *map(str.rjust, row[1:], others)]) + "\n" for row in rows
    )


def _cells(count: Count, untold: Sequence[str]) -> tuple[str, ...]:
    values = [str(getattr(count, column)) for column in COLUMNS[:-1]]
    told = (str(getattr(count, cause)) for cause in (*CAUSES, *untold))
    return (*values, f"{count.percent:.2f}", *told)


def _when(key: int, hours: bool) -> str:
    return f"{day_text(key // 24)} {key % 24:02d}" if hours else day_text(key)


def summary(stream: Stream) -> str:
    """The whole in a sentence or two."""
    count = stream.total
    said = (
        f"Of {_many(count.expected, 'datagram')} that were due {count.missing} are missing, "
        f"{percent_text(count.missing, count.expected, 3)}"
    )
    by = stream.by(24)
    if len(by) > 1 and count.missing:
        day = max(by, key=lambda day: by[day].percent)
        worst = by[day]
        said += f"; the worst day is {day_text(day)} with {worst.missing}, {worst.percent:.2f} %"
    return f"{said}."


def _unreadable(lines: Sequence[Unreadable]) -> str:
    told = [
        f"{each.path}:{each.line}: {each.why}" if each.line else f"{each.path}: {each.why}"
        for each in lines[:MOST_TOLD]
    ]
    more = [f"and {len(lines) - MOST_TOLD} more"] if len(lines) > MOST_TOLD else []
    title = f"{_many(len(lines), 'line')} could not be read and {_is(len(lines))} not counted:"
    return "\n".join((title, *told, *more)) + "\n"


def _many(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _is(number: int) -> str:
    return "is" if number == 1 else "are"


def document(
    table: Table, heard: Sequence[Heard], notes: Iterable[str], site: str | None
) -> dict[str, Any]:
    """The same for machines."""
    return {
        "streams": [
            {
                "name": stream.name,
                "port": stream.port,
                "addresses": list(stream.addresses),
                "total": _figures(stream.total),
                "days": {day_text(day): _figures(count) for day, count in stream.by(24).items()},
                "hours": {
                    _when(hour, True): _figures(count) for hour, count in stream.by(1).items()
                },
            }
            for stream in _asked(table, site)
        ],
        "strangers": [
            {"address": one.address, "port": one.port, "datagrams": len(one.came_ns)}
            for one in table.strangers
        ],
        "from_utc_s": table.span_ns[0] // SECOND_NS,
        "until_utc_s": table.span_ns[1] // SECOND_NS,
        "notes": list(notes),
        "unreadable": [each._asdict() for one in heard for each in one.unreadable],
    }


def _figures(count: Count) -> Mapping[str, int | float]:
    return {
        "expected": count.expected,
        **count._asdict(),
        "missing": count.missing,
        "percent": round(count.percent, 4),
    }
