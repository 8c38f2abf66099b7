"""What the tests of real machines share: scripts in namespaces, and waiting with a deadline."""

import os
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fieldproof_simulators.machines.live import isolation, namespaces, proc

ROOT = Path(__file__).parents[2]
PATIENCE_S = 30
NOBODY = 65534
SYSTEM_PYTHON = Path("/usr/bin/python3")
BY_ROOT, BY_NOBODY = "by this user", "by an ordinary user"


@pytest.fixture(scope="session")
def may_isolate():
    """Skips where this machine makes no namespaces."""
    found = isolation.can_isolate()
    if not found.ok:
        pytest.skip(f"{found.reason} {found.fix}")


@pytest.fixture
def isolated(may_isolate):
    """Runs a Python script in namespaces of its own and gives what it printed."""

    def run(script, *arguments):
        argv = namespaces.isolated_command([sys.executable, "-c", script, *map(str, arguments)])
        done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert (0, "") == (done.returncode, done.stderr)
        return done.stdout

    return run


@pytest.fixture
def as_nobody():
    """Starts a Python script as an ordinary user, without any rights, as `subprocess.Popen`."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    readable = {"cwd": "/", "user": NOBODY, "group": NOBODY, "extra_groups": []}
    package = ROOT / "simulators"
    look = [
        SYSTEM_PYTHON,
        "-c",
        "import fieldproof_simulators, sys; sys.exit(sys.version_info < (3, 11))",
    ]
    try:
        tried = subprocess.run(
            look, env={"PYTHONPATH": str(package)}, capture_output=True, check=False, **readable
        )
    except OSError as error:
        pytest.skip(f"no interpreter for an ordinary user: {error}")
    if tried.returncode:
        pytest.skip(f"{SYSTEM_PYTHON} is too old, or {package} is not readable for ordinary users")

    def start(script, *arguments, **options):
        env = {"PYTHONPATH": str(package), "PATH": os.environ["PATH"]}
        argv = [str(SYSTEM_PYTHON), "-c", script, *map(str, arguments)]
        return subprocess.Popen(argv, env=env, **readable, **options)

    return start


@pytest.fixture(params=[BY_ROOT, BY_NOBODY])
def start_python(request, may_isolate):
    """Starts a Python script, as us or as an ordinary user."""
    if request.param == BY_NOBODY:
        return request.getfixturevalue("as_nobody")
    return lambda script, *arguments, **options: subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)], **options
    )


@pytest.fixture
def until():
    """Waits until a condition holds, and fails with its words when it does not in time."""

    def wait(condition, words):
        give_up_s = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < give_up_s, f"not in {PATIENCE_S} s: {words}"
            select.select((), (), (), 0.002)

    return wait


@pytest.fixture
def bearers():
    """The pids of all processes that run and whose environment has an entry."""

    def find(mark):
        everyone = [known for known in proc.everyone() if known.state not in proc.ENDED]
        return {known.pid for known in everyone if proc.bears(known.pid, mark)}

    return find
