"""Nothing of a run stays behind, whatever ends it, and runs do not disturb each other."""

import os
import signal
import subprocess
import time

import pytest
from liverun import PYTHON, Job
from observed import alive, in_use, mounts
from worlds import PLAIN

from fieldproof.verdict import Exit

PLAIN_MACHINE = ("--isolate", "none")
ISOLATIONS = {"namespaces": (), "plain": PLAIN_MACHINE}
GONE_S = 20.0
"""How long the kernel may take to end a tree of processes on a busy machine."""


def ended(how, name, words):
    """A story that gets a signal in the middle."""
    return Job(
        f"{how.name.lower()}-{name}",
        "riometer-live",
        words,
        about_s=15,
        then=how,
        is_looked_at=True,
    )


KILLED = {name: ended(signal.SIGKILL, name, words) for name, words in ISOLATIONS.items()}
STOPPED = {name: ended(signal.SIGINT, name, words) for name, words in ISOLATIONS.items()}
TOGETHER = {
    name: [
        Job(f"{letter}-{name}", PLAIN, words, about_s=200, is_looked_at=True)
        for letter in ("one", "two")
    ]
    for name, words in ISOLATIONS.items()
}
"""They are short, and begin before all that is shorter than 200 s: so they are on together."""


def by_isolation(jobs):
    """A parameter for each isolation, with its jobs."""
    return pytest.mark.parametrize(
        "isolation",
        [
            pytest.param(name, marks=pytest.mark.plays(*(one if isinstance(one, list) else [one])))
            for name, one in jobs.items()
        ],
    )


def await_end(processes):
    """Those that live after the time that a kernel may need."""
    give_up_s = time.monotonic() + GONE_S
    while (left := alive(processes)) and time.monotonic() < give_up_s:
        time.sleep(0.02)
    return left


def start_again(run):
    """A start that is refused once it has swept: a backend that is not there on a plain machine."""
    words = ["run", "riometer-live", "--tier", "live", "--isolate", "none", "--backend", "tun"]
    done = subprocess.run(
        [PYTHON, "-m", "fieldproof", *words, "--quiet", "--runs", str(run.folder / "again")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert Exit.MACHINE_LACKS == done.returncode, done.stderr


def was_all_up(run, isolation):
    """Whether a run was seen with everything that belongs to it."""
    called = " ".join(run.seen.processes.values())
    parts = ("socat", "links.live.pump", "lines.live.player", "fieldproof_reference edge")
    is_isolated = bool(run.seen.namespaces)
    there = [part for part in parts if part in called]
    return (len(parts), 2) == (len(there), len(run.seen.links)) and is_isolated == (
        isolation == "namespaces"
    )


@by_isolation(KILLED)
def test_a_killed_harness_leaves_nothing(isolation, played):
    """After SIGKILL and the next start's sweep there is no process, namespace, mount, link or
    folder of the run, and its directory stays as it is."""
    run = played(KILLED[isolation])
    assert -signal.SIGKILL == run.code
    assert was_all_up(run, isolation), run.seen
    if isolation == "namespaces":
        assert [] == await_end(run.seen.processes)
    start_again(run)
    assert [] == await_end(run.seen.processes)
    assert set() == in_use(run.seen)
    assert [] == mounts(str(run.folder))
    assert [] == [path for path in (run.seen.runtime, *run.seen.links) if os.path.lexists(path)]
    assert (run.run_dir / "scenario.json").exists()
    assert not (run.run_dir / "world.json").exists()
    checked = subprocess.run(
        [PYTHON, "-m", "fieldproof", "check", str(run.run_dir)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert Exit.USAGE == checked.returncode
    assert "half-written" in checked.stderr


@by_isolation(STOPPED)
def test_an_interrupted_harness_leaves_nothing(isolation, played):
    """After SIGINT the exit code is 2, nothing of the run is left, and its directory stays."""
    run = played(STOPPED[isolation])
    assert Exit.INTERRUPTED == run.code
    assert was_all_up(run, isolation), run.seen
    assert [] == alive(run.seen.processes)
    assert set() == in_use(run.seen)
    assert [] == mounts(str(run.folder))
    assert [] == [path for path in (run.seen.runtime, *run.seen.links) if os.path.lexists(path)]
    assert "is incomplete (it has no world.json)" in run.said


@by_isolation(TOGETHER)
def test_runs_beside_each_other_do_not_meet(isolation, played):
    """Two runs at the same time both pass, each with its own ports, addresses and processes."""
    runs = [played(job) for job in TOGETHER[isolation]]
    reports = [run.passed() for run in runs]
    begun = [(run.run_dir / "scenario.json").stat().st_mtime for run in runs]
    done = [(run.run_dir / "world.json").stat().st_mtime for run in runs]
    assert max(begun) + 60 < min(done), "They were not on at the same time."
    ports = [line.port for report in reports for line in report.live.lines]
    assert len(set(ports)) == len(ports) == 2
    assert not runs[0].seen.processes.keys() & runs[1].seen.processes.keys()
    assert not runs[0].seen.namespaces & runs[1].seen.namespaces


@by_isolation(TOGETHER)
def test_nobody_hears_the_whole_world(isolation, played):
    """No process of a run, on a host or on the machine, listens on a wildcard address."""
    for job in TOGETHER[isolation]:
        seen = played(job).seen
        assert () == seen.open_to_all
        assert seen.sockets >= len(job.story.nodes)
