"""How far a run has come, in the scenario's own time and with the rate at which it passes.

On a terminal this is a bar that vanishes at the end; in a log it is a line each time another tenth
is done. Both go to standard error, so that standard output holds the report alone.
"""

import datetime
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from fieldproof.scenario import Scenario

OnProgress = Callable[[float, int], None]
"""Takes the fraction that is done, 0 to 1, and the true time, ns since the world's start."""


@contextmanager
def watch(scenario: Scenario, stream: TextIO, quiet: bool) -> Iterator[OnProgress]:
    """A function to call as the world of `scenario` advances; it reports to `stream`."""
    if quiet:
        yield lambda fraction, true_ns: None
    elif stream.isatty():
        with _bar(scenario, stream) as on_progress:
            yield on_progress
    else:
        yield _Tenths(scenario, stream)


class _Tenths:
    """Writes a line when another 10 % is done; if several are done at once, one line for all."""

    def __init__(self, scenario: Scenario, stream: TextIO) -> None:
        self._scenario = scenario
        self._stream = stream
        self._tenths = 0
        self._began_s = time.monotonic()

    def __call__(self, fraction: float, true_ns: int) -> None:
        tenths = int(fraction * 10 + 1e-9)  # 0.7 * 10 is less than 7
        if tenths <= self._tenths:
            return
        self._tenths = tenths
        clock = describe(self._scenario, true_ns, time.monotonic() - self._began_s)
        self._stream.write(f"{self._scenario.name}  {tenths * 10:3d} %  {clock}\n")
        self._stream.flush()


@contextmanager
def _bar(scenario: Scenario, stream: TextIO) -> Iterator[OnProgress]:
    from rich.console import Console  # slow to import, and only terminals need it
    from rich.progress import BarColumn, Progress, TextColumn

    began_s = time.monotonic()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=40),
        TextColumn("{task.percentage:3.0f} %"),
        TextColumn("{task.fields[clock]}"),
    )
    with Progress(*columns, console=Console(file=stream, emoji=False), transient=True) as bar:
        task = bar.add_task(scenario.name, total=1.0, clock="")

        def on_progress(fraction: float, true_ns: int) -> None:
            clock = describe(scenario, true_ns, time.monotonic() - began_s)
            bar.update(task, completed=fraction, clock=clock)

        yield on_progress


def describe(scenario: Scenario, true_ns: int, wall_s: float) -> str:
    """Such as `2006-01-17 16:20  57 600x`: the scenario's time and how much faster it is."""
    moment = datetime.datetime.fromtimestamp(
        scenario.starts_utc_s - scenario.lead_s + true_ns // 1_000_000_000, datetime.UTC
    )
    return f"{moment:%Y-%m-%d %H:%M}  {rate(true_ns / 1e9, wall_s)}"


def rate(scenario_s: float, wall_s: float) -> str:
    """Scenario seconds to wall seconds, such as `57 600x`."""
    return f"{round(scenario_s / max(wall_s, 1e-3)):,}x".replace(",", " ")
