"""The two fidelities of a serial line are one: `words` and `seconds` leave the same bytes behind.

Compared are all files on all disks (the edge's archive, the center's raw tree and what it made of
it) and the whole log, which has the time of everything that happened on the way.
"""

import math
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldproof.faults import ClockDrift, ClockStep, DiskFull, Kill, Lose, PowerCut, Timed, at
from fieldproof.run import Stage
from fieldproof.scenario import Center, Link, Scenario, Site, StatusMonitor
from fieldproof.scenario import Riometer as OneRiometer
from fieldproof.systems.reference import Reference
from fieldproof_contract import SECOND_NS

NOON = "2006-01-17T12:10Z"  # the world begins at 12:00:00


class Left(NamedTuple):
    """What a world leaves behind."""

    disks: dict[str, dict[str, bytes]]  # by host and path
    log_sha256: str


def play(fidelity: str, minutes: int, starts: str, faults: tuple[Timed, ...], **other) -> Left:
    """The first `minutes` of a world, which begins LEAD_S before `starts`."""
    site = Site(
        other.get("site", "daws"),
        via="vsat",
        phase_s=other.get("phase_s", 5),
        instruments=(OneRiometer(), StatusMonitor()),
    )
    scenario = Scenario(
        name="both-fidelities",
        story="The same happens twice.",
        starts=starts,
        lasts="24h",
        links=(Link("vsat"),),
        nodes=(site, Center()),
        faults=faults,
        fidelity=fidelity,
    )
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(scenario, other.get("seed", 1), Path(folder), Reference())
        stage.world.run_until(minutes * 60 * SECOND_NS)
        disks = {
            name: {path: host.disk.read(path) for path in host.disk.listing("")}
            for name, host in stage.world.hosts.items()
        }
        return Left(disks, stage.world.close())


def both(minutes: int, starts: str = NOON, faults: tuple[Timed, ...] = (), **other) -> Left:
    """The world in both fidelities; what `seconds` leaves, after it was found equal to `words`."""
    seconds, words = (
        play(fidelity, minutes, starts, faults, **other) for fidelity in ("seconds", "words")
    )
    assert {host: tuple(files) for host, files in words.disks.items()} == {
        host: tuple(files) for host, files in seconds.disks.items()
    }
    assert words == seconds
    return seconds


def records(left: Left, site: str = "daws") -> int:
    """Whole records in a site's archive."""
    return sum(len(data) // 380 for path, data in left.disks[site].items() if path.endswith(".dat"))


def test_an_undisturbed_hour():
    """An hour and a bit: a record a minute in two hour files, and raw at the center as it came."""
    left = both(65)
    assert 64 == records(left)
    raw = left.disks["center"]["udp/2006/01/17/198.51.100.1/ut12_24985.dat"]
    archived = left.disks["daws"]["riometer/2006/01/17/daws_xrio/20060117_12_daws_xrio.dat"]
    assert 59 * 380 == len(raw)
    assert archived.startswith(raw)


def test_a_kill_and_a_restart():
    """The open record is lost alike, and the next life begins with the same sample."""
    left = both(9, faults=(at("12:03:21.3", Kill("daws", restart_after_s=17.7)),))
    assert 8 == records(left)


def test_a_power_cut():
    """The disk loses the same unsynced bytes."""
    both(9, faults=(at("12:03:20", PowerCut("daws", 30, mid_write=True)),))


def test_a_full_disk():
    """Records that wait for room are filed alike, at the same times."""
    left = both(9, faults=(at("12:02:10", DiskFull("daws"), until="12:05:20"),))
    assert 8 == records(left)


@pytest.mark.parametrize("by_s", [2.4, 2.6, -0.5, 0.5, -3600.3, 86_400.0])
def test_a_step_of_the_sites_clock(by_s: float):
    """Labels follow the clock from the next record on, to the nearest second; no sample is lost."""
    left = both(6, faults=(at("12:02:40", ClockStep("daws", by_s)),))
    files = [data for path, data in left.disks["daws"].items() if path.endswith(".dat")]
    labels = [
        int.from_bytes(data[row + 12 : row + 16], "little")
        for data in files
        for row in range(0, len(data), 380)
    ]
    stepped_s = math.floor(by_s + 0.5)
    after_start_s = [5, 65, 125, 185 + stepped_s, 245 + stepped_s]
    assert sorted(1_137_499_200 + second for second in after_start_s) == sorted(labels)


def test_a_clock_that_drifts_and_is_disciplined():
    """Second boundaries follow a drifting clock record by record, and step back with it."""
    faults = (at("12:01:30", ClockDrift("daws", ppm=-900.0), until="12:12:00.25"),)
    left = both(15, faults=faults)
    assert 14 == records(left)


@pytest.mark.parametrize("phase_s", [0, 5, 59])
def test_the_leap_second_at_the_end_of_2005(phase_s: int):
    """The midnight that repeats 23:59:59 gives the same records, in the same files."""
    left = both(8, "2006-01-01T00:05Z", phase_s=phase_s)
    days = {path.split("/")[3] for path in left.disks["daws"] if path.endswith(".dat")}
    assert {"01", "31"} == days
    assert 7 == records(left)


MOMENTS = st.integers(60_000, 400_000).map(
    lambda ms: f"12:{ms // 60000:02d}:{ms / 1000 % 60:06.3f}"
)
STEPS = st.builds(
    ClockStep, st.just("daws"), st.integers(-5_000_000, 5_000_000).map(lambda ms: ms / 1000)
)
KILLS = st.builds(Kill, st.just("daws"), st.integers(1, 80_000).map(lambda ms: ms / 1000))
DRIFTS = st.builds(ClockDrift, st.just("daws"), st.integers(-2000, 2000).map(float))


@settings(max_examples=15)
@given(
    st.integers(0, 2**32),
    st.integers(0, 59),
    st.builds(at, MOMENTS, KILLS),
    st.lists(st.builds(at, MOMENTS, STEPS), max_size=2),
    st.lists(st.builds(at, MOMENTS, DRIFTS, st.just("12:08:17.125")), max_size=1),
)
def test_whatever_happens_to_the_clock_and_the_host(seed, phase_s, kill, steps, drifts):
    """Steps, a drift and a kill at any times leave the same bytes in both fidelities."""
    left = both(10, faults=(kill, *steps, *drifts), seed=seed, phase_s=phase_s)
    assert 6 <= records(left) <= 9


@pytest.mark.slow
def test_a_whole_day_at_dawson():
    """The day of 17 January 2006, with its three lost datagrams, is the same in both fidelities."""
    faults = tuple(at(when, Lose("vsat")) for when in ("16:24", "18:42", "22:08"))
    left = both(24 * 60 + 20, "2006-01-17T00:00Z", faults)
    assert 24 * 60 + 19 == records(left)
