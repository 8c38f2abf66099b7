"""Times with the counts that they are times of.

A time alone says little on a machine whose neighbours one does not know. Each benchmark therefore
gives what was done (samples, records, events, bytes, syncs), which is exact and the same on every
machine, and may name another benchmark of the same run to be compared with: a ratio of two times
that were taken minutes apart on one machine travels to other machines, a time does not.

The table at the end takes the place of pytest-benchmark's own; `--benchmark-json FILE` stores
everything, counts as `extra_info`.
"""

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from fieldproof import catalog
from fieldproof.run import run

UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))


class Row(NamedTuple):
    """One benchmark: the first of its counts is what its time is divided by."""

    name: str
    seconds: float  # median of its rounds
    counts: dict[str, int]
    against: str  # name of the benchmark to be compared with, if any


ROWS = pytest.StashKey[list[Row]]()


def pytest_configure(config: pytest.Config) -> None:
    """Begins the table, before pytest-benchmark reads whether it may print one of its own."""
    config.stash[ROWS] = []
    config.option.benchmark_quiet = True


@pytest.fixture
def measure(benchmark, request):
    """Times `action` for a fixed number of rounds, notes the counts, and returns its last result.

    `counts` is given that result; the first of what it returns is the unit of the time."""

    def measured(
        name: str,
        action: Callable[..., Any],
        *args: object,
        counts: Callable[[Any], dict[str, int]],
        rounds: int,
        setup: Callable[[], object] | None = None,
        against: str = "",
    ) -> Any:
        result = benchmark.pedantic(action, args, setup=setup, rounds=rounds)
        counted = counts(result)
        benchmark.extra_info.update(counted)
        if benchmark.stats is not None:  # None with --benchmark-disable
            row = Row(name, benchmark.stats.stats.median, counted, against)
            request.config.stash[ROWS].append(row)
        return result

    return measured


@pytest.fixture(scope="session")
def dawson_day(tmp_path_factory) -> Path:
    """The run directory of 17 January 2006 at Dawson, with its three lost packets."""
    run_dir = tmp_path_factory.mktemp("dawson")
    run(catalog.load("dawson-three-lost-packets"), 1, run_dir)
    return run_dir


@pytest.fixture(scope="session")
def hour_files(dawson_day) -> dict[str, bytes]:
    """The 24 hour files of that day as the edge archived them, by path on its disk."""
    disk = dawson_day / "disks" / "daws"
    paths = sorted(disk.glob("riometer/2006/01/17/*/*.dat"))
    return {path.relative_to(disk).as_posix(): path.read_bytes() for path in paths}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table: what, how long, how long for one, and how much of everything there was."""
    rows = terminalreporter.config.stash[ROWS]
    if not rows:
        return
    machine = f"Python {platform.python_version()}, {platform.machine()}"
    terminalreporter.section(f"times (medians of fixed rounds) and counts: {machine}")
    seconds = {row.name: row.seconds for row in rows}
    for row in rows:
        for line in _lines(row, seconds):
            terminalreporter.write_line(line)


def _lines(row: Row, seconds: dict[str, float]) -> list[str]:
    """A row of the table, its counts below one another where they are many."""
    unit, count = next(iter(row.counts.items()))
    each = f"{_time(row.seconds / count)}/{unit.removesuffix('s')}"
    left = f"{row.name:<36}{_time(row.seconds):>8}{each:>18}   "
    facts = [f"{number:,} {what}".replace(",", " ") for what, number in row.counts.items()]
    if row.against in seconds:
        facts.append(f"({row.seconds / seconds[row.against]:.2f} x {row.against})")
    pairs = ["   ".join(facts[at : at + 2]) for at in range(0, len(facts), 2)]
    return [left + pairs[0], *(" " * len(left) + pair for pair in pairs[1:])]


def _time(seconds: float) -> str:
    """Three figures and a unit."""
    scale, unit = next((pair for pair in UNITS if seconds >= pair[0]), UNITS[-1])
    return f"{seconds / scale:.3g} {unit}"
