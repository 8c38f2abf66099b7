"""One seed, one world: on every machine, in every environment, whatever else is in the world."""

import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from fieldproof.faults import (
    ClockDrift,
    ClockStep,
    Corrupt,
    DiskFull,
    Duplicate,
    Lose,
    Outage,
    PowerCut,
    Reorder,
    Spoof,
    at,
)
from fieldproof.run import run
from fieldproof.scenario import Center, Link, Scenario, Site, StatusMonitor, to_json
from fieldproof.scenario import Riometer as OneRiometer

BOTH = (OneRiometer(), StatusMonitor())
ROUGH = Scenario(
    name="rough-afternoon",
    story="Much goes wrong over the last hours of a day, and is repaired after midnight.",
    starts="2006-01-17T21:30Z",
    lasts="3h",
    links=(Link("vsat", "certus-350"), Link("lte", "hughesnet-2005")),
    nodes=(
        Site("daws", via="vsat", address="198.51.100.1", instruments=BOTH),
        Site("fsmi", via="lte", address="198.51.100.2", phase_s=37, instruments=BOTH),
        Center(),
    ),
    faults=(
        at("21:40", Lose("vsat", 2)),
        at("21:45", Duplicate("lte", 2)),
        at("21:46", Corrupt("vsat", 2)),
        at("21:50", Reorder("lte", 3, by_s=100.5)),
        at("22:00", Outage("vsat"), until="22:20"),
        at("22:10", PowerCut("daws", 33.5, mid_write=True)),
        at("22:30", ClockStep("fsmi", -2.25)),
        at("22:40", ClockDrift("daws", 120.0), until="23:20"),
        at("23:00", DiskFull("fsmi"), until="23:09"),
        at("23:30", Spoof("forged", "daws")),
        at("23:40", PowerCut("center", 61.0, mid_write=True)),
    ),
)

ALONE = """
import sys
from pathlib import Path
from fieldproof.run import run
from fieldproof.scenario import from_json
capsule = from_json(sys.stdin.buffer.read(), "standard input")
run(capsule.scenario, capsule.seed, Path(sys.argv[1]))
"""


def world_of(run_dir: Path) -> dict:
    """`world.json` without the wall time that the run took."""
    world = json.loads((run_dir / "world.json").read_bytes())
    del world["seconds"]
    return world


def tree(run_dir: Path) -> dict[str, bytes]:
    """Every file of a run, but for `world.json`."""
    files = (path for path in sorted(run_dir.rglob("*")) if path.is_file())
    return {
        path.relative_to(run_dir).as_posix(): path.read_bytes()
        for path in files
        if path.name != "world.json"
    }


def run_alone(run_dir: Path, environment: dict[str, str]) -> None:
    """Run ROUGH with seed 7 in a process of its own; the working directory is the run's."""
    run_dir.mkdir()
    subprocess.run(
        [sys.executable, "-c", ALONE, str(run_dir)],
        input=to_json(ROUGH, 7),
        env=os.environ | environment,
        cwd=run_dir,
        check=True,
    )


def run_here(run_dir: Path, scenario: Scenario, seed: int) -> Path:
    """Run a scenario in this process."""
    run_dir.mkdir()
    run(scenario, seed, run_dir)
    return run_dir


def test_the_environment_changes_nothing(tmp_path: Path):
    """Hash seed, time zone, locale and working directory leave no trace in any file of a run."""
    run_alone(tmp_path / "one", {"PYTHONHASHSEED": "0", "TZ": "UTC", "LC_ALL": "C"})
    other = {"PYTHONHASHSEED": "4711", "TZ": "America/Edmonton", "LC_ALL": "tr_TR.UTF-8"}
    run_alone(tmp_path / "two", other)
    assert world_of(tmp_path / "one") == world_of(tmp_path / "two")
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_another_seed_gives_another_world(tmp_path: Path):
    """Log, archives and the end state of every generator depend on the seed; the plan does not."""
    one, other = (run_here(tmp_path / str(seed), ROUGH, seed) for seed in (7, 8))
    ends = [world_of(run_dir)["generators_end"] for run_dir in (one, other)]
    assert list(ends[0]) == list(ends[1])
    assert all(ends[0][name] != ends[1][name] for name in ends[0] if name.startswith("link:"))
    assert world_of(one)["log_sha256"] != world_of(other)["log_sha256"]
    archive = "disks/daws/riometer/2006/01/17/daws_xrio/20060117_21_daws_xrio.dat"
    assert (one / archive).read_bytes() != (other / archive).read_bytes()
    faults = [world_of(run_dir)["faults"] for run_dir in (one, other)]
    assert [(fault["at"], fault["kind"]) for fault in faults[0]] == [
        (fault["at"], fault["kind"]) for fault in faults[1]
    ]


def test_the_log_is_what_its_hash_says(tmp_path: Path):
    """`log_sha256` is the SHA-256 of `log.jsonl`, whose lines are in order of time."""
    run_dir = run_here(tmp_path / "run", ROUGH, 7)
    log = (run_dir / "log.jsonl").read_bytes()
    assert sha256(log).hexdigest() == world_of(run_dir)["log_sha256"]
    times = [json.loads(line)["ns"] for line in log.splitlines()]
    assert sorted(times) == times


@pytest.mark.parametrize("reconciles", [True, False])
def test_another_site_changes_nothing_elsewhere(tmp_path: Path, reconciles: bool):
    """With a second site, the first site's archive, its link's losses, and what the center heard of
    it are the same, byte for byte and to the nanosecond."""
    center = Center(reconciles=reconciles)
    two = msgspec.structs.replace(ROUGH, nodes=(*ROUGH.sites, center), faults=ROUGH.faults[:1])
    one = msgspec.structs.replace(two, nodes=(ROUGH.sites[0], center))
    dirs = [run_here(tmp_path / name, what, 7) for name, what in (("one", one), ("two", two))]
    mine = ("disks/daws/", "disks/center/udp/2006/01/17/198.51.100.1/")
    kept = [
        {path: data for path, data in tree(run_dir).items() if path.startswith(mine)}
        for run_dir in dirs
    ]
    assert kept[0] == kept[1]
    assert {"daws", "center"} == {path.split("/")[1] for path in kept[0]}
    logs = [
        [line for line in (run_dir / "log.jsonl").read_text().splitlines() if '"vsat"' in line]
        for run_dir in dirs
    ]
    assert logs[0] == logs[1]
    assert [] != logs[0]
    wires = [
        [entry for entry in world_of(run_dir)["wire"] if entry["link"] == "vsat"]
        for run_dir in dirs
    ]
    assert wires[0] == wires[1]
