"""What the tests of the live tier share: marks, and one theatre for all their runs.

A test says which runs it is about by `@pytest.mark.plays(JOB, ...)`, and gets them by the fixture
`played`. All runs of all selected tests begin with the first of them. What a run leaves is removed
when every test that was about it has passed; of a failed one the run directory stays, and the
failure names it.
"""

import sys
import tempfile
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from liverun import Job, Played, Theatre  # noqa: E402  (a module beside the tests)

TOOLS = ("socat", "ip", "unshare")
_failed = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    """Says what the marks mean."""
    config.addinivalue_line("markers", "plays(*jobs): live runs that a test is about")
    if not config.pluginmanager.hasplugin("xdist"):
        config.addinivalue_line("markers", "xdist_group(name): tests that share one process")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Tests with runs are slow, need the tools of the tier, and share one process. Said as each is
    collected: xdist looks at groups before the hooks of a conftest that came later."""
    if HERE in item.path.parents and item.get_closest_marker("plays"):
        item.add_marker(pytest.mark.slow)
        item.add_marker(pytest.mark.needs(*TOOLS))
        item.add_marker(pytest.mark.xdist_group("live"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """Remember whether the test failed in any of its phases."""
    report = yield
    item.stash[_failed] = item.stash.get(_failed, False) or report.failed
    return report


def _jobs(item: pytest.Item) -> list[Job]:
    return [job for mark in item.iter_markers("plays") for job in mark.args]


@pytest.fixture(scope="session")
def theatre(request: pytest.FixtureRequest):
    """Plays the jobs of all tests that are to run here."""
    if hasattr(request.config, "workerinput") and not request.config.getoption("loadgroup"):
        pytest.fail("Live runs are played by one process for all: add --dist loadgroup.")
    used = defaultdict(list)
    jobs = {}
    for item in request.session.items:
        for job in _jobs(item):
            assert jobs.setdefault(job.name, job) == job, f"Two jobs have the name {job.name}."
            used[job.name].append(item)
    folder = Path(tempfile.mkdtemp(prefix="fieldproof-tests-"))
    folder.chmod(0o711)  # an ordinary user may pass, to what is his
    theatre = Theatre(list(jobs.values()), folder)
    yield theatre
    theatre.close()
    theatre.clear(
        [
            name
            for name, items in used.items()
            if not any(item.stash.get(_failed, True) for item in items)
        ]
    )
    with suppress(OSError):  # what failed is still in it
        folder.rmdir()


@pytest.fixture
def played(theatre: Theatre, request: pytest.FixtureRequest):
    """What became of a job that the test is about; waits for its end."""
    own = _jobs(request.node)

    def wait(job: Job) -> Played:
        assert job in own, f"Say @pytest.mark.plays({job.name})."
        return theatre.outcome(job)

    return wait
