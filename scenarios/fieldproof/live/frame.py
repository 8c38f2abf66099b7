"""The panel of a live run on a terminal: two tables and the timeline of the report.

Nothing is known by colour alone. What does not fit into the terminal's height is folded: first the
links into one row of sums, then the hosts that are well. A panel never takes the whole terminal:
`ROOM` lines are left to the events above it.
"""

import datetime
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fieldproof.console import axis
from fieldproof.live.view import (
    HostStatus,
    LineStatus,
    LinkStatus,
    LiveStatus,
    News,
    OnStatus,
    State,
    rate,
)
from fieldproof.scenario import Scenario

ROOM = 3
AROUND = 6  # lines of a panel that are no row of a table: head, axis, headings, blank lines
NARROWEST, WIDEST = 50, 100
INDENT = (0, 0, 0, 2)

HOSTS = (
    ("host", 7),
    ("state", 8),
    (">line", 9),
    (">late p99", 8),
    (">records", 7),
    (">the last", 8),
    (">CPU", 6),
    (">memory", 6),
)
LINKS = (
    ("link", 7),
    ("state", 5),
    ("by", 6),
    (">up", 11),
    (">down", 11),
    (">in flight", 9),
    (">offered", 7),
    (">lost", 4),
)
"""Headings, `>` over figures; and the least width: a panel that is drawn again must not wobble."""

STYLES: dict[State, str] = {"starting": "yellow", "up": "green", "frozen": "yellow", "down": "red"}
MARKS = {"✕": "bold red", "▒": "yellow", "●": "bold cyan", "━": "cyan", "─": "dim", "┴": "dim"}


@contextmanager
def panel(scenario: Scenario, stream: TextIO) -> Iterator[OnStatus]:
    """A function that draws each status on the terminal `stream`."""
    console = Console(file=stream, emoji=False, highlight=False)
    news = News()
    with Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False) as live:

        def on_status(status: LiveStatus) -> None:
            for event in news.of(status):
                console.print(Text(event), soft_wrap=True)
            live.update(frame(scenario, status, *console.size), refresh=True)

        yield on_status


def frame(scenario: Scenario, status: LiveStatus, width: int, height: int) -> Group:
    """The panel for a terminal of this size, at most `height` less `ROOM` lines high."""
    width = min(max(width, NARROWEST), WIDEST)
    rows = max(2, height - ROOM - AROUND)
    links = [_link(link) for link in status.links]
    if len(status.hosts) + len(links) > rows and len(links) > 1:
        links = [_link(_sum(status.links))]
    lines = {line.site: line for line in status.lines}
    hosts, well = _fold(status.hosts, lines, rows - len(links))
    return Group(
        Text(),
        _head(scenario, status, width),
        _timeline(scenario, status, width),
        Padding(_hosts([_host(host, lines.get(host.name)) for host in hosts], well), INDENT),
        Text(),
        Padding(_links(links), INDENT),
    )


# --- head and timeline ----------------------------------------------------------------------------


def _head(scenario: Scenario, status: LiveStatus, width: int) -> Text:
    left = f"{scenario.name}   live   {status.isolation}"
    right = f"{status.utc}   {status.phase} {round(100 * status.fraction):3d} %"
    room = width - len(right) - 3
    left = left if len(left) <= room else left[: room - 1] + "…"
    middle = " " * (width - len(left) - len(right))
    return Text.assemble((left, "bold"), middle, right, no_wrap=True, overflow="crop")


def _timeline(scenario: Scenario, status: LiveStatus, width: int) -> Text:
    """The judged span; heavy up to where the run is, which is marked."""
    begins, until = (_clock(scenario.starts_utc_s + s) for s in (0, scenario.lasts_s))
    cells = axis(scenario, width - len(f"  {begins}  {until}"))
    at = {"lead": 0.0, "span": status.fraction, "settle": 1.0}[status.phase]
    here = min(len(cells) - 1, int(at * len(cells)))
    drawn = cells[:here].replace("─", "━") + "●" + cells[here + 1 :]
    text = Text(f"  {begins} ", no_wrap=True, overflow="crop")
    for cell in drawn:
        text.append(cell, MARKS.get(cell, ""))
    return text.append(f" {until}")


def _clock(utc_s: int) -> str:
    """The time of day; the head has the date."""
    return f"{datetime.datetime.fromtimestamp(utc_s, datetime.UTC):%H:%M:%S}"


# --- hosts and their lines ------------------------------------------------------------------------


def _fold(
    hosts: Sequence[HostStatus], lines: dict[str, LineStatus], rows: int
) -> tuple[list[HostStatus], int]:
    """The hosts to show in `rows` rows, and how many that are well are not shown."""
    if len(hosts) <= rows:
        return list(hosts), 0
    ill = [host for host in hosts if not _is_well(host, lines.get(host.name))]
    well = [host for host in hosts if host not in ill]
    room = max(0, rows - 1 - len(ill))
    kept = (*ill, *well[:room])
    return [host for host in hosts if host in kept], len(well) - len(well[:room])


def _is_well(host: HostStatus, line: LineStatus | None) -> bool:
    return host.state == "up" and (line is None or line.plugged)


def _host(host: HostStatus, line: LineStatus | None) -> tuple[str | Text, ...]:
    words, late = "", ""
    if line is not None:
        words = f"{line.words_per_s:.1f}/s" if line.plugged else "unplugged"
        late = f"{line.late_p99_ms:.1f} ms" if line.plugged else ""
    return (
        host.name,
        Text(host.state, STYLES[host.state]),
        Text(words, "" if line is None or line.plugged else "red"),
        late,
        str(host.records),
        host.last_record,
        "" if host.cpu_percent is None else f"{host.cpu_percent:.1f} %",
        "" if host.rss_mb is None else f"{host.rss_mb:.0f} MB",
    )


def _hosts(rows: Sequence[tuple[str | Text, ...]], well: int) -> Table:
    table = _table(HOSTS)
    for row in rows:
        table.add_row(*row)
    if well:
        table.add_row(f"{well} more", Text("up", "green"))
    return table


# --- links ----------------------------------------------------------------------------------------


def _sum(links: Sequence[LinkStatus]) -> LinkStatus:
    """All links as one, whose name says how many are dark."""
    dark = [link.name for link in links if link.dark]
    return LinkStatus(
        f"{len(links)}, {len(dark)} dark" if dark else f"all {len(links)}",
        "/".join(sorted({link.backend for link in links})),
        sum(link.up_bit_s for link in links),
        sum(link.down_bit_s for link in links),
        sum(link.held for link in links),
        sum(link.offered for link in links),
        sum(link.lost for link in links),
        bool(dark),
    )


def _link(link: LinkStatus) -> tuple[str | Text, ...]:
    return (
        link.name,
        Text("dark", "red") if link.dark else Text("up", "green"),
        link.backend,
        rate(link.up_bit_s),
        rate(link.down_bit_s),
        str(link.held),
        str(link.offered),
        Text(str(link.lost), "red" if link.lost else ""),
    )


def _links(rows: Sequence[tuple[str | Text, ...]]) -> Table:
    table = _table(LINKS)
    for row in rows:
        table.add_row(*row)
    return table


def _table(columns: Sequence[tuple[str, int]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading, width in columns:
        justify: Literal["left", "right"] = "right" if heading.startswith(">") else "left"
        name = heading.removeprefix(">")
        table.add_column(name, justify=justify, no_wrap=True, min_width=width)
    return table
