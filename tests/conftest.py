"""What all tests share: one way to need an outside tool, and property tests that repeat.

A test marked `needs("tool")` is skipped where the tool is missing, with the line that installs it;
with --strict-tools it fails instead, so that a gate cannot pass because nothing ran. A tool that
ci/depends.txt does not name cannot be needed: the gate would have no way to install it.

A test marked `guest` runs with --guest alone: it takes packages that no other needs, and minutes.

hypothesis draws the same examples in every run and does not judge by the clock: a failure is a
fact about the code, not about the day or the machine.
"""

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

DEPENDS = Path(__file__).parents[1] / "ci" / "depends.txt"

settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options that `ci/run test --strict` and `ci/run test-netem` set."""
    parser.addoption(
        "--strict-tools", action="store_true", help="a test whose tool is missing fails"
    )
    parser.addoption("--guest", action="store_true", help="boot the guest, and run its tests")


def system_packages() -> dict[str, tuple[str, str]]:
    """The Debian package and the feature for each tool of ci/depends.txt."""
    rows = (line.split(None, 2) for line in DEPENDS.read_text().splitlines())
    return {row[1]: (row[0], row[2]) for row in rows if row and not row[0].startswith("#")}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips or fails a test before it starts where something that it needs is missing."""
    if item.get_closest_marker("guest") and not item.config.getoption("--guest"):
        pytest.skip("a guest is booted on request alone: ./ci/run test-netem")
    for tool in (tool for mark in item.iter_markers("needs") for tool in mark.args):
        if tool not in system_packages():
            pytest.fail(f"{tool} is needed here, but {DEPENDS.name} names no package for it.")
        if shutil.which(tool) is None:
            package, feature = system_packages()[tool]
            reason = f"{tool} is missing ({feature}); as root: apt-get install {package}"
            (pytest.fail if item.config.getoption("--strict-tools") else pytest.skip)(reason)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object):
    """With --dist loadgroup one worker gets all of tests/live, whose runs are played together. The
    groups of xdist 3.8 are written where pytest 9.2 does not look any more."""
    if config.getoption("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class OneWorkerForLive(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "live" if nodeid.startswith("tests/live/") else nodeid

    return OneWorkerForLive(config, log)
