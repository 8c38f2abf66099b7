"""The view of a live run: a panel that fits any terminal, and a log that loses no event."""

import io

import pytest
from rich.console import Console

from fieldproof import norstar
from fieldproof.faults import Kill, Outage, at
from fieldproof.live.frame import ROOM, frame
from fieldproof.live.view import (
    HostStatus,
    LineStatus,
    LinkStatus,
    LiveStatus,
    News,
    rate,
    summary,
    watch_live,
)
from fieldproof.scenario import Center, Link, Scenario, Site

ONE = Scenario(
    name="riometer-live",
    story="A site is killed.",
    starts="2006-01-17T16:58Z",
    lasts="3m",
    links=(Link("vsat"),),
    nodes=(Site("daws", via="vsat"), Center()),
    faults=(
        at("16:58:45", Kill("daws")),
        at("17:00:00", Outage("vsat"), until="17:00:15"),
    ),
)
TWELVE = Scenario(
    name="twelve-ptys",
    story="Nothing goes wrong.",
    starts="2006-01-17T16:58Z",
    lasts="3m",
    links=norstar.links("geo-vsat"),
    nodes=(*norstar.riometers(), Center()),
)
LOST = "16:58:50 vsat lost a record of daws (outage)"

PANEL = """\

riometer-live   live   user namespaces, TUN     2006-01-17 16:59:30   span  50 %
  16:58:00 ━━━━━━━━━━━━━━━✕━━━━━━━━━━━━━━●─────────▒▒▒▒▒▒────────────── 17:01:00
  host     state          line  late p99  records  the last     CPU  memory
  daws     down      unplugged                  1  16:58:05
  center   frozen                               1  16:58:05   1.0 %   38 MB

  link     state  by               up         down  in flight  offered  lost
  vsat     dark   tun      1.2 kbit/s      0 bit/s          2        4     1
"""


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def troubled(fraction: float = 0.5, phase: str = "span") -> LiveStatus:
    """One site in a bad moment."""
    return LiveStatus(
        isolation="user namespaces, TUN",
        true_ns=100_000_000_000,
        utc="2006-01-17 16:59:30",
        phase=phase,
        fraction=fraction,
        hosts=(
            HostStatus("daws", "down", 1, "16:58:05"),
            HostStatus("center", "frozen", 1, "16:58:05", 1.04, 38.4),
        ),
        links=(LinkStatus("vsat", "tun", 1234.0, 0.0, held=2, offered=4, lost=1, dark=True),),
        lines=(LineStatus("daws", 0.0, 0.0, plugged=False),),
        events=(LOST,),
        events_in_all=1,
    )


def of_twelve(down: tuple[str, ...] = (), dark: tuple[str, ...] = ()) -> LiveStatus:
    """Twelve sites, most of them well."""
    names = [site.name for site in TWELVE.sites]
    return LiveStatus(
        isolation="none",
        true_ns=0,
        utc="2006-01-17 16:57:50",
        phase="lead",
        fraction=0.25,
        hosts=(
            *(HostStatus(name, "down" if name in down else "up", 2) for name in names),
            HostStatus("center", "up", 24),
        ),
        links=tuple(
            LinkStatus(link.name, "tun", 100.0, 8.0, 1, 3, 1, dark=link.name in dark)
            for link in TWELVE.links
        ),
        lines=tuple(LineStatus(name, 60.0, 0.8) for name in names),
    )


def drawn(scenario: Scenario, status: LiveStatus, width: int, height: int) -> str:
    """The panel as plain text, without blanks at the ends of lines."""
    console = Console(
        file=io.StringIO(), width=width, height=height, color_system=None, legacy_windows=False
    )
    with console.capture() as capture:
        console.print(frame(scenario, status, width, height))
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def told(scenario: Scenario, statuses: list[LiveStatus], stream: io.StringIO) -> str:
    """What `watch_live` writes for these statuses."""
    with watch_live(scenario, stream, quiet=False) as on_status:
        for status in statuses:
            on_status(status)
    return stream.getvalue()


# --- the panel ------------------------------------------------------------------------------------


def test_a_site_in_trouble_is_shown_without_colour():
    """One site on 80 by 24: states, rates, losses and the place in time are all in the text."""
    assert PANEL == drawn(ONE, troubled(), 80, 24)


def test_twelve_sites_fit_into_a_hundred_by_forty():
    """Every host and every link has a row of its own, and room is left for events."""
    text = drawn(TWELVE, of_twelve(), 100, 40)
    rows = [line.split()[0] for line in text.splitlines() if line.startswith("  ")]
    assert rows[2:15] == [site.name for site in TWELVE.sites] + ["center"]
    assert rows[16:] == [link.name for link in TWELVE.links]
    assert text.count("\n") <= 40 - ROOM


def test_twelve_sites_on_a_small_terminal_show_their_links_as_one():
    """On 80 by 24 every host keeps its row, and the links are one row of sums."""
    text = drawn(TWELVE, of_twelve(dark=("vsat-gill",)), 80, 24)
    assert text.count("\n") <= 24 - ROOM
    row = "  12, 1 dark  dark   tun      1.2 kbit/s     96 bit/s         12       36    12"
    assert row == text.splitlines()[-1]
    assert all(f"\n  {site.name} " in text for site in TWELVE.sites)


def test_where_not_all_hosts_fit_those_in_trouble_are_shown():
    """On fourteen lines a host that is down has its row, and those that are well are counted."""
    text = drawn(TWELVE, of_twelve(down=("talo",)), 80, 14)
    assert text.count("\n") <= 14 - ROOM
    assert "  talo     down " in text
    assert "  10 more  up\n" in text


@pytest.mark.parametrize("width", [1, 20, 50, 79, 80, 100, 300])
@pytest.mark.parametrize("height", [1, 8, 24, 60])
def test_no_size_of_terminal_is_too_odd(width, height):
    """Whatever its size, the panel is drawn, and no line of it is wider than the terminal."""
    for scenario, status in ((ONE, troubled()), (TWELVE, of_twelve())):
        lines = drawn(scenario, status, width, height).splitlines()
        assert max(len(line) for line in lines) <= min(width, 100)


@pytest.mark.parametrize(
    ("phase", "fraction", "before"), [("lead", 0.9, 0), ("span", 0.0, 0), ("settle", 0.1, 59)]
)
def test_the_marker_stays_on_the_span(phase, fraction, before):
    """Before the judged span the marker stands at its beginning, after it at its end."""
    axis = drawn(ONE, troubled(fraction, phase), 80, 24).splitlines()[2]
    assert before == axis.partition(" 17:01:00")[0].partition("16:58:00 ")[2].index("●")


def test_a_terminal_gets_the_panel_and_keeps_the_events(monkeypatch: pytest.MonkeyPatch):
    """On a terminal events are written once, and after the last panel everything is erased."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    text = told(ONE, [troubled(0.5), troubled(0.6)], Terminal())
    assert 1 == text.count(LOST)
    assert "span  50 %" in text
    assert "span  60 %" in text
    assert text.endswith("\x1b[2K")


def test_a_dumb_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch):
    """A terminal that cannot move its cursor is written to like a log."""
    monkeypatch.setenv("TERM", "dumb")
    assert told(ONE, [troubled()], Terminal()) == told(ONE, [troubled()], io.StringIO())


# --- lines ----------------------------------------------------------------------------------------


def test_a_log_gets_a_line_each_ten_seconds():
    """Ten statuses a second over half a minute make a line at 0, 10, 20 and 30 s."""
    statuses = [
        LiveStatus("none", ns, f"2006-01-17 16:58:{ns // 10**9:02d}", "span", 0.0)
        for ns in range(0, 30 * 10**9 + 1, 10**8)
    ]
    lines = told(ONE, statuses, io.StringIO()).splitlines()
    assert [f"riometer-live  16:58:{s:02d} span 0 %" for s in (0, 10, 20, 30)] == [
        line.partition(";")[0] for line in lines
    ]


def test_a_log_gets_each_event_once():
    """An event that several statuses repeat is one line."""
    text = told(ONE, [troubled()] * 3, io.StringIO())
    assert 1 == text.count(f"riometer-live  {LOST}\n")


def test_a_line_says_what_is_wrong():
    """The summary names hosts that are not up, lines that are unplugged and links that are dark."""
    assert summary(troubled(), "center") == (
        "16:59:30 span 50 %; 0 of 2 hosts up, daws down, center frozen; line unplugged; "
        "1 records archived, 1 received; 2 packets in flight, 1 of 4 lost, vsat dark"
    )


def test_a_line_of_twelve_sites_is_short():
    """The summary of many sites sums them up."""
    assert summary(of_twelve(down=("daws",)), "center") == (
        "16:57:50 lead 25 %; 12 of 13 hosts up, daws down; lines at 60.0 to 60.0 words/s; "
        "24 records archived, 24 received; 12 packets in flight, 12 of 36 lost"
    )


def test_quiet_is_silent():
    """With quiet nothing is written."""
    stream = Terminal()
    with watch_live(ONE, stream, quiet=True) as on_status:
        on_status(troubled())
    assert "" == stream.getvalue()


# --- events and figures ---------------------------------------------------------------------------


def status_of(events: tuple[str, ...], in_all: int) -> LiveStatus:
    """A status with nothing but events."""
    return LiveStatus("none", 0, "2006-01-17 16:58:00", "span", 0.0, (), (), (), events, in_all)


def test_news_are_told_once_and_in_order():
    """Of windows that overlap, each event is told once, the same words twice if they happened
    twice."""
    news = News()
    assert ("a", "a") == news.of(status_of(("a", "a"), 2))
    assert () == news.of(status_of(("a", "a"), 2))
    assert ("a", "b") == news.of(status_of(("a", "a", "b"), 4))


def test_news_that_were_missed_are_counted():
    """Where more happened than a status holds, the missing number is said."""
    assert ("(3 more events are in the log)", "x") == News().of(status_of(("x",), 4))


@pytest.mark.parametrize(
    ("text", "bit_s"),
    [
        ("0 bit/s", 0),
        ("51 bit/s", 50.67),
        ("999 bit/s", 999.4),
        ("1.0 kbit/s", 999.6),
        ("99.9 kbit/s", 99_949),
        ("100 kbit/s", 99_951),
        ("2.4 Mbit/s", 2_400_000),
    ],
)
def test_rates_have_three_digits(text, bit_s):
    """A rate is said in the largest unit that leaves a digit before the point."""
    assert text == rate(bit_s)
