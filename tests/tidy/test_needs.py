"""A missing tool is a skip that says how to get it, and a failure where skips are not allowed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
TEST = """
import pytest

@pytest.mark.needs("{tool}")
def test_it():
    pass
"""


@pytest.fixture
def outcome(tmp_path: Path):
    """Runs pytest over one test that needs a tool, in a tree with this repository's conftest."""
    (tmp_path / "ci").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = needs\n")
    (tmp_path / "ci" / "depends.txt").write_text(
        "# package tool feature\nshell sh all of it\ngone-utils gone the last mile\n"
    )
    shutil.copy(CONFTEST, tmp_path / "tests")

    def run(tool: str, *options: str) -> tuple[int, str]:
        (tmp_path / "tests" / "test_it.py").write_text(TEST.format(tool=tool))
        command = [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", *options]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    return run


def test_a_tool_that_is_there_is_no_obstacle(outcome):
    """A test whose tool is installed runs, in strict mode too."""
    code, said = outcome("sh", "--strict-tools")
    assert (0, True) == (code, "1 passed" in said), said


def test_a_missing_tool_skips_with_the_apt_line(outcome):
    """The reason of a skip names the tool, the feature and the line that installs it."""
    code, said = outcome("gone")
    assert 0 == code
    assert "gone is missing (the last mile); as root: apt-get install gone-utils" in said


def test_strict_mode_fails_what_it_cannot_run(outcome):
    """With --strict-tools a missing tool is a failure."""
    code, said = outcome("gone", "--strict-tools")
    assert (1, True) == (code, "apt-get install gone-utils" in said), said


def test_a_tool_without_a_package_cannot_be_needed(outcome):
    """A tool that ci/depends.txt does not name fails at once, missing or not."""
    code, said = outcome("ls")
    assert (1, True) == (code, "names no package for it" in said), said
