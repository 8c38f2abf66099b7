"""ci/run makes the environment once, wholly, alone, and says what the machine lacks.

The real script runs in a copy of the tree; python3, uv, apt-get and id are stand-ins that write
down how they were called, so that no network is needed. ci/prove-fresh is the same proof with the
real ones.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STAND_INS = {
    "python3": """#!/bin/sh
case "$*" in
*version_info*) printf '%s\\n%s\\n' "$PYTHON_IS" "$0"; test "$PYTHON_IS" != 3.9.2 ;;
*ensurepip*) test -e "$TREE/can-make-venv" ;;
"-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
*) echo "python $*" >>"$TREE/calls"; test ! -e "$TREE/index-is-away" ;;
esac
""",
    "uv": """#!/bin/sh
echo "uv $*" >>"$TREE/calls"
mkdir -p "$TREE/.venv"
""",
    "apt-get": """#!/bin/sh
echo "apt-get $*" >>"$TREE/calls"
case "$*" in *python3-venv*) : >"$TREE/can-make-venv" ;; esac
""",
    "id": """#!/bin/sh
echo "$USER_ID"
""",
}


class Machine:
    """A copy of the tree on a machine of stand-ins."""

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        self.env = {
            "PATH": f"{tree}/bin:/usr/bin:/bin",
            "HOME": str(tree),
            "TREE": str(tree),
            "PYTHON_IS": "3.11.2",
            "USER_ID": "1000",
            "PIP_INDEX_URL": "the machine's own",
        }
        for folder in ("bin", "ci"):
            (tree / folder).mkdir()
        for name, text in STAND_INS.items():
            (tree / "bin" / name).write_text(text)
            (tree / "bin" / name).chmod(0o755)
        for name in ("ci/run", "ci/depends.txt", "requirements.lock", "pyproject.toml"):
            shutil.copy(ROOT / name, tree / name)
        (tree / "can-make-venv").touch()

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """Starts ci/run from another folder."""
        return subprocess.Popen(
            [str(self.tree / "ci" / "run"), *words],
            cwd=self.tree.parent,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str) -> tuple[int, str, str]:
        """Runs ci/run; its exit code, output and messages."""
        process = self.begin(*words)
        out, err = process.communicate()
        return process.returncode, out, err

    def calls(self) -> list[str]:
        """What was installed, and forgets it."""
        log = self.tree / "calls"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine on which nothing was started yet."""
    (tmp_path / "tree").mkdir()
    return Machine(tmp_path / "tree")


def test_a_command_runs_in_the_environment(machine):
    """The command has its own arguments, output, folder and exit code."""
    code, out, _ = machine.run("sh", "-c", 'echo "$VIRTUAL_ENV" "$PWD" "$1"; exit 7', "-", "a b")
    assert (7, f"{machine.tree}/.venv {machine.tree.parent} a b\n") == (code, out)


def test_the_first_start_installs_hashed_files_alone(machine):
    """The lock's files are checked by hash, and the project itself fetches nothing."""
    machine.run("true")
    locked, project = machine.calls()
    assert "--require-hashes --only-binary :all: -r requirements.lock" in locked
    assert "--no-index --no-deps --no-build-isolation --editable ." in project


def test_the_second_start_installs_nothing(machine):
    """A ready environment is used as it is."""
    machine.run("true")
    machine.calls()
    assert ((0, "", ""), []) == (machine.run("true"), machine.calls())


@pytest.mark.parametrize("cause", ["requirements.lock", "pyproject.toml", "python"])
def test_a_change_makes_the_environment_anew(machine, cause):
    """Another lock, project file or Python leaves nothing of the old environment."""
    machine.run("true")
    machine.calls()
    (machine.tree / ".venv" / "leftover").touch()
    if cause == "python":
        machine.env["PYTHON_IS"] = "3.13.5"
    else:
        (machine.tree / cause).write_text("# another\n")
    machine.run("true")
    assert (2, False) == (len(machine.calls()), (machine.tree / ".venv" / "leftover").exists())


def test_an_interrupted_installation_is_begun_again(machine):
    """What failed half-way does not look done: the command does not run, and the next start
    installs."""
    (machine.tree / "index-is-away").touch()
    code, out, err = machine.run("echo", "ran")
    assert (69, "") == (code, out), err
    (machine.tree / "index-is-away").unlink()
    machine.calls()
    assert (0, "ran\n") == machine.run("echo", "ran")[:2]
    assert 2 == len(machine.calls())


def test_two_first_starts_at_once_install_once(machine):
    """The second start waits for the first and uses what it made."""
    starts = [machine.begin("true") for _ in range(4)]
    assert [0, 0, 0, 0] == [start.communicate() and start.returncode for start in starts]
    assert 2 == len(machine.calls())


def test_uv_installs_where_it_is_on_the_path(machine):
    """A machine whose uv knows its index gets uv, with hashes too."""
    machine.env["UV_DEFAULT_INDEX"] = "the machine's own"
    assert 0 == machine.run("true")[0]
    calls = machine.calls()
    assert ["uv", "uv", "uv"] == [call.split()[0] for call in calls]
    assert "--require-hashes --only-binary :all: -r requirements.lock" in calls[1]


def test_an_old_python_is_refused(machine):
    """Python 3.9 ends the start with exit 69 and the version that would do."""
    machine.env["PYTHON_IS"] = "3.9.2"
    code, _, err = machine.run("true")
    assert (69, "ci/run: python3 is 3.9.2, and 3.11 is the oldest that will do\n") == (code, err)


def test_a_python_without_venv_names_the_apt_line(machine):
    """Where python3 cannot make an environment, an ordinary user is told what root has to do."""
    (machine.tree / "can-make-venv").unlink()
    code, _, err = machine.run("true")
    assert (69, []) == (code, machine.calls())
    assert "as root: apt-get install python3-venv\n" in err


def test_root_installs_venv(machine):
    """Where python3 cannot make an environment, root gets python3-venv and goes on."""
    (machine.tree / "can-make-venv").unlink()
    machine.env["USER_ID"] = "0"
    assert 0 == machine.run("true")[0]
    first, second = (call for call in machine.calls() if call.startswith("apt-get"))
    assert ("update", "install") == (first.split()[1], second.split()[1])
    assert second.endswith(" python3-venv")


def test_missing_tools_are_reported_with_one_apt_line(machine):
    """Each missing tool is named with the feature that is skipped, then all packages at once."""
    (machine.tree / "ci" / "depends.txt").write_text(
        "# comment\ngone-utils gone the last mile\nsh sh all\naway away a way\nx - told elsewhere\n"
    )
    expected = (
        "ci/run: gone is missing, so this is skipped: the last mile\n"
        "ci/run: away is missing, so this is skipped: a way\n"
        "ci/run: as root: apt-get install gone-utils away\n"
    )
    assert (0, "", expected) == machine.run("depends")


@pytest.mark.parametrize("words", [[], ["--fast"]])
def test_wrong_usage_shows_the_usage(machine, words):
    """Without a command the usage is shown and nothing is made."""
    code, out, err = machine.run(*words)
    assert (4, "", True) == (code, out, "ci/run test [--fast] [--strict]" in err)
    assert not (machine.tree / ".venv").exists()


def test_the_options_of_test_reach_pytest(machine):
    """--fast, --strict and pytest's own arguments are passed on, in their order."""
    pytest_stand_in = machine.tree / "bin" / "pytest"
    pytest_stand_in.write_text('#!/bin/sh\nfor word; do echo "$word"; done\n')
    pytest_stand_in.chmod(0o755)
    _, out, _ = machine.run("test", "--fast", "tests/x y", "--strict")
    assert ["-m", "not slow", "tests/x y", "--strict-tools"] == out.splitlines()[-4:]
