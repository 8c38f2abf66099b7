"""Progress: a line per tenth in a log, a bar on a terminal, nothing where quiet is asked for."""

import io

import pytest

from fieldproof.progress import describe, rate, watch
from fieldproof.scenario import Center, Link, Scenario, Site

SCENARIO = Scenario(
    name="quiet-hour",
    story="Nothing goes wrong.",
    starts="2006-01-17T00:00Z",
    lasts="1h",
    links=(Link("vsat"),),
    nodes=(Site("daws", via="vsat"), Center()),
)

MINUTE_NS = 60_000_000_000


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def report(stream: io.StringIO, fractions: list[float], quiet: bool = False) -> str:
    """What is written while the fractions, of a hundred minutes, are reported."""
    with watch(SCENARIO, stream, quiet) as on_progress:
        for fraction in fractions:
            on_progress(fraction, round(fraction * 100) * MINUTE_NS)
    return stream.getvalue()


def test_a_log_gets_a_line_per_tenth():
    """A thousand reports make ten lines, from 10 % to 100 %, each with the scenario's time."""
    lines = report(io.StringIO(), [step / 1000 for step in range(1001)]).splitlines()
    assert [f"quiet-hour  {tenth:3d} %" for tenth in range(10, 101, 10)] == [
        line[:17] for line in lines
    ]
    assert "2006-01-17 01:30" == lines[-1][19:35]


def test_a_leap_over_tenths_is_one_line():
    """Progress from 5 % to 45 % writes the line of 40 % alone, and repeats write none."""
    lines = report(io.StringIO(), [0.05, 0.45, 0.45, 0.40]).splitlines()
    assert ["quiet-hour   40 %"] == [line[:17] for line in lines]


def test_quiet_is_silent():
    """With quiet nothing is written, on a terminal or off it."""
    assert "" == report(io.StringIO(), [0.5, 1.0], quiet=True)
    assert "" == report(Terminal(), [0.5, 1.0], quiet=True)


def test_a_terminal_gets_a_bar_in_the_scenarios_time(monkeypatch: pytest.MonkeyPatch):
    """On a terminal the last state of the bar shows the whole, and the bar is wiped at the end."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    text = report(Terminal(), [0.5, 1.0])
    assert "2006-01-17 01:30" in text
    assert "100 %" in text
    assert text.endswith("\x1b[2K")  # the line is erased


def test_time_counts_from_the_lead():
    """A world begins ten minutes before its scenario."""
    assert "2006-01-16 23:50  0x" == describe(SCENARIO, 0, 1.0)
    assert "2006-01-17 00:00  300x" == describe(SCENARIO, 10 * MINUTE_NS, 2.0)


def test_the_rate_sets_thousands_apart():
    """A day in one and a half seconds is 57 600 times as fast."""
    assert "57 600x" == rate(86_400, 1.5)


def test_the_rate_of_no_time_is_finite():
    """A clock that has not moved gives no division by zero."""
    assert "1 000x" == rate(1, 0.0)
