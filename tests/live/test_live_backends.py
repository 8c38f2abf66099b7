"""What carries the links makes no difference, and neither does who runs it."""

import os
import subprocess
import sys
import sysconfig
from collections import Counter
from functools import cache
from pathlib import Path

import msgspec
import pytest
from liverun import FOLDER, PYTHON, Job
from worlds import ACCOUNTED, NOISY, PLAIN, RAW

from fieldproof.checks import identical
from fieldproof.faults import Duplicate, Kill, Lose, Reorder, at
from fieldproof.scenario import Center, Link, Scenario, Site
from fieldproof.verdict import Exit
from fieldproof_simulators.links.fates import models
from fieldproof_simulators.links.profiles import profile

ROOT = Path(__file__).parents[2]
TUN = Path("/dev/net/tun")
NOBODY = 65_534
OTHERS_MAY_READ_AND_WRITE = 0o006

SEED = 101
LOSSY = Link("sky", profile="certus-350")
"""One packet in a hundred is lost; with `SEED`, the first that goes up."""

WAYS = {"chur": Link("gone"), "fsim": Link("twice"), "gill": Link("late"), "pina": LOSSY}
"""The links of four sites, by what becomes of the one record on each."""

FATES = Scenario(
    name="live-fates",
    story="Four sites send a record each, and each record meets another fate.",
    starts="2006-01-17T08:10:00Z",
    lasts="59s",
    lead="10s",
    links=tuple(WAYS.values()),
    nodes=(
        *(
            Site(site, link.name, f"198.51.100.{number}", instruments=(NOISY,))
            for number, (site, link) in enumerate(WAYS.items(), start=1)
        ),
        Center(reconciles=False),
    ),
    faults=(
        *(at("08:10:00", Kill(site, restart_after_s=0.2)) for site in WAYS),
        at("08:10:10", Lose("gone")),
        at("08:10:10", Duplicate("twice")),
        at("08:10:10", Reorder("late", by_s=2)),
    ),
    checks=(identical("*", to="oracle"), ACCOUNTED, RAW),
    tiers=("live",),
    fidelity="words",
    settles_within="1s",
)
BACKENDS = {  # they begin early: the last to end should be small
    backend: Job(
        f"backend-{backend}", FATES, ("--backend", backend), about_s=190, weight=2, seed=SEED
    )
    for backend in ("tun", "packet", "proxy")
}


AS_NOBODY = ("--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups")
ROOTS = (ROOT / name for name in ("reference", "simulators", "scenarios"))
WITHOUT_AN_ENVIRONMENT = (
    ("PYTHONPATH", os.pathsep.join((sysconfig.get_path("purelib"), *map(str, ROOTS)))),
    ("PYTHONDONTWRITEBYTECODE", "1"),
    ("XDG_RUNTIME_DIR", ""),
    ("HOME", FOLDER),
)
CAN_RUN = """
import subprocess, sys
import fieldproof.cli, msgspec, numpy, serial
subprocess.run([sys.executable, "-c", ""], check=True)
"""


@cache
def free_python():
    """An interpreter of our version that an ordinary user can run the program with; or None."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    for python in (PYTHON, f"/usr/local/bin/{version}", f"/usr/bin/{version}"):
        command = ["setpriv", *AS_NOBODY, python, "-c", CAN_RUN]
        environment = {**os.environ, **dict(WITHOUT_AN_ENVIRONMENT)}
        done = subprocess.run(command, env=environment, capture_output=True, check=False)
        if done.returncode == 0:
            return python
    return None


def of_nobody():
    """The program, for somebody who has no rights."""
    return free_python() or PYTHON, "-m", "fieldproof"


IS_ROOT = os.geteuid() == 0
ORDINARY = (
    Job(
        "ordinary-user",
        PLAIN,
        program=of_nobody,
        before=AS_NOBODY,
        environment=WITHOUT_AN_ENVIRONMENT,
    )
    if IS_ROOT
    else Job("ordinary-user", PLAIN)
)
"""A run of somebody who has no rights; where that is us, a run like any other."""


def backends_of(report):
    """What carried the links of a run."""
    return {link.backend for link in report.live.links}


def fates(run):
    """What became of telemetry: link, what, cause, fault, and how often."""
    lines = (run.run_dir / "log.jsonl").read_bytes().splitlines()
    facts = [msgspec.json.decode(line) for line in lines]
    return Counter(
        (fact["where"], fact["what"], fact.get("cause"), fact.get("fault"))
        for fact in facts
        if fact.get("purpose") == "telemetry" and fact.get("direction", "up") == "up"
    )


def test_the_seed_loses_the_first_record_up_the_lossy_link():
    """The model alone, with the seed of the runs, drops the first packet of a record's size."""
    passage = models(LOSSY.name, profile(LOSSY.profile), SEED)["up"].send(10**9, 408)
    assert ((), "loss") == (passage.copies, passage.dropped)


@pytest.mark.parametrize(
    "backend",
    [pytest.param(name, marks=pytest.mark.plays(job)) for name, job in BACKENDS.items()],
)
def test_every_backend_carries_the_same_story(backend, played):
    """A run passes by each backend that is there, with the fates that faults and models give."""
    run = played(BACKENDS[backend])
    if run.code == Exit.MACHINE_LACKS:
        pytest.skip(run.said.strip())
    assert {backend} == backends_of(run.passed())
    assert {
        ("gone", "lost", "lose", 4): 1,
        ("twice", "duplicated", None, 5): 1,
        ("late", "delayed", None, 6): 1,
        ("sky", "lost", "loss", -1): 1,
    } == fates(run)


@pytest.mark.plays(ORDINARY)
def test_an_ordinary_user_can_run_it(played):
    """Nothing needs rights: where the TUN device is closed, packet sockets carry the links."""
    if IS_ROOT and free_python() is None:
        pytest.skip(f"an ordinary user cannot run an interpreter of {ROOT} here")
    run = played(ORDINARY)
    report = run.passed()
    assert (NOBODY if IS_ROOT else os.geteuid()) == (run.run_dir / "world.json").stat().st_uid
    mode = TUN.stat().st_mode if TUN.exists() else 0
    is_open = mode & OTHERS_MAY_READ_AND_WRITE == OTHERS_MAY_READ_AND_WRITE
    isolated = {"tun"} if is_open else {"packet"}
    assert (isolated if report.live.isolation else {"proxy"}) == backends_of(report)
