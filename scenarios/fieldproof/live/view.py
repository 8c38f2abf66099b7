"""What a live run shows while it runs: hosts, lines, links, and losses as they happen.

On a terminal the state of things is a panel at the bottom (`frame.py`) that is drawn again with
every status and wiped at the end; what happens is written above it and stays. In a log it is a line
each `EVERY_S` seconds and one for each event. Both go to standard error. Time is the run's own.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TextIO, TypeAlias

from fieldproof.scenario import Scenario

State: TypeAlias = Literal["starting", "up", "frozen", "down"]
Phase: TypeAlias = Literal["lead", "span", "settle"]

EVERY_S = 10
"""Seconds of true time between two lines of a log."""


@dataclass(frozen=True, slots=True)
class HostStatus:
    """One host."""

    name: str
    state: State
    records: int  # archived by an edge, received by a center
    last_record: str = ""  # UTC of the newest one's first sample, HH:MM:SS; empty without one
    cpu_percent: float | None = None  # of one core; None where nobody knows
    rss_mb: float | None = None  # resident memory


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """One link, both directions together unless said otherwise. Rates are of IP bytes."""

    name: str
    backend: str  # such as "tun"
    up_bit_s: float
    down_bit_s: float
    held: int  # packets in flight
    offered: int
    lost: int  # for whatever reason
    dark: bool = False  # an outage lasts


@dataclass(frozen=True, slots=True)
class LineStatus:
    """The serial line of one site."""

    site: str
    words_per_s: float
    late_p99_ms: float
    plugged: bool = True


@dataclass(frozen=True, slots=True)
class LiveStatus:
    """Everything at one moment."""

    isolation: str  # such as "user namespaces, TUN"
    true_ns: int  # since the run began
    utc: str  # true UTC, YYYY-MM-DD HH:MM:SS
    phase: Phase
    fraction: float  # of the phase, 0 to 1
    hosts: tuple[HostStatus, ...] = ()
    links: tuple[LinkStatus, ...] = ()
    lines: tuple[LineStatus, ...] = ()
    events: tuple[str, ...] = ()  # the last of what happened, oldest first, in plain words
    events_in_all: int = 0  # how many there were since the run began


OnStatus: TypeAlias = Callable[[LiveStatus], None]
"""Takes the state of things, as often as the caller likes."""


class News:
    """Tells which events of a status were not told yet."""

    def __init__(self) -> None:
        self._told = 0

    def of(self, status: LiveStatus) -> tuple[str, ...]:
        """The new ones; if more are new than the status holds, how many are not shown."""
        fresh = max(0, status.events_in_all - self._told)
        self._told += fresh
        if fresh <= len(status.events):
            return status.events[len(status.events) - fresh :]
        return (f"({fresh - len(status.events)} more events are in the log)", *status.events)


@contextmanager
def watch_live(scenario: Scenario, stream: TextIO, quiet: bool) -> Iterator[OnStatus]:
    """A function to call with each status of a live run; it reports to `stream`."""
    if quiet:
        yield lambda status: None
    elif stream.isatty() and os.environ.get("TERM") != "dumb":
        from fieldproof.live.frame import panel  # rich is slow to import

        with panel(scenario, stream) as on_status:
            yield on_status
    else:
        yield _Lines(scenario, stream)


class _Lines:
    """Writes each event, and now and then how things are."""

    def __init__(self, scenario: Scenario, stream: TextIO) -> None:
        self._name = scenario.name
        self._center = scenario.center.name
        self._stream = stream
        self._news = News()
        self._due_ns = 0

    def __call__(self, status: LiveStatus) -> None:
        for event in self._news.of(status):
            self._stream.write(f"{self._name}  {event}\n")
        if status.true_ns >= self._due_ns:
            self._due_ns = (status.true_ns // (EVERY_S * 10**9) + 1) * EVERY_S * 10**9
            self._stream.write(f"{self._name}  {summary(status, self._center)}\n")
        self._stream.flush()


def summary(status: LiveStatus, center: str) -> str:
    """The state of things in one line; `center` is the name of that host."""
    archived = sum(host.records for host in status.hosts if host.name != center)
    received = sum(host.records for host in status.hosts if host.name == center)
    parts = [
        f"{status.utc[11:]} {status.phase} {round(100 * status.fraction)} %",
        _hosts_in_short(status.hosts),
        _lines_in_short(status.lines),
        f"{archived} records archived, {received} received",
        _links_in_short(status.links),
    ]
    return "; ".join(part for part in parts if part)


def _hosts_in_short(hosts: tuple[HostStatus, ...]) -> str:
    states = [(host.state, host.name) for host in hosts if host.state != "up"]
    text = f"{len(hosts) - len(states)} of {len(hosts)} hosts up"
    return text + "".join(f", {name} {state}" for state, name in sorted(states))


def _lines_in_short(lines: tuple[LineStatus, ...]) -> str:
    words = [line.words_per_s for line in lines if line.plugged]
    if len(lines) == 1:
        return f"line at {words[0]:.1f} words/s" if words else "line unplugged"
    text = f"lines at {min(words):.1f} to {max(words):.1f} words/s" if words else ""
    unplugged = "".join(f", {line.site} unplugged" for line in lines if not line.plugged)
    return (text + unplugged).removeprefix(", ")


def _links_in_short(links: tuple[LinkStatus, ...]) -> str:
    lost, offered = (sum(link.lost for link in links), sum(link.offered for link in links))
    held = sum(link.held for link in links)
    text = f"{held} packets in flight, {lost} of {offered} lost"
    return text + "".join(f", {link.name} dark" for link in links if link.dark)


def rate(bit_s: float) -> str:
    """Such as `51 bit/s`, `1.2 kbit/s`, `128 kbit/s`, `2.4 Mbit/s`."""
    for unit, factor in (("Mbit/s", 1e6), ("kbit/s", 1e3)):
        if bit_s >= 0.9995 * factor:
            scaled = bit_s / factor
            return f"{scaled:.1f} {unit}" if scaled < 99.95 else f"{scaled:.0f} {unit}"
    return f"{bit_s:.0f} bit/s"
