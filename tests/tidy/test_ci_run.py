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
COPIED = (
    *("ci/run", "ci/depends.txt", "ci/netem-guest/depends.txt"),
    *("requirements.lock", "pyproject.toml"),
)
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


ECHO = 'for word; do echo "$word"; done'


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
        (tree / "ci" / "netem-guest").mkdir()
        for name in COPIED:
            shutil.copy(ROOT / name, tree / name)
        (tree / "can-make-venv").touch()

    def add(self, name: str, text: str) -> None:
        """Makes a program of the tree or of the machine."""
        (self.tree / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.tree / name).chmod(0o755)

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
    machine.add("bin/pytest", ECHO)
    _, out, _ = machine.run("test", "--fast", "tests/x y", "--strict")
    assert ["-m", "not slow", "tests/x y", "--strict-tools"] == out.splitlines()[-4:]


def test_the_guest_is_fetched_before_its_tests_run(machine):
    """test-netem gets the guest's packages, then runs the tests that boot it, and no others."""
    (machine.tree / "ci" / "netem-guest" / "depends.txt").write_text("dash sh the guest's shell\n")
    machine.add("ci/netem-guest/fetch", 'echo fetched >>"$TREE/calls"')
    machine.add("bin/pytest", ECHO)
    code, out, _ = machine.run("test-netem", "-x")
    assert (0, ["--quiet", "--guest", "tests/netem_guest", "-x"]) == (code, out.splitlines())
    assert "fetched" == machine.calls()[0]


def test_a_machine_that_cannot_have_the_guest_says_so(machine):
    """Where a tool or the packages are missing, test-netem ends with 69 and makes nothing."""
    table = machine.tree / "ci" / "netem-guest" / "depends.txt"
    table.write_text("gone-utils gone the machine\naway away its shell\n")
    code, _, err = machine.run("test-netem")
    assert (69, True) == (code, err.endswith("as root: apt-get install gone-utils away\n"))
    table.write_text("dash sh the guest's shell\n")
    machine.add("ci/netem-guest/fetch", "exit 69")
    assert (69, []) == (machine.run("test-netem")[0], machine.calls())


def test_the_guests_tools_are_named(machine):
    """The table of the guest has a row for each program that its scripts start."""
    table = (machine.tree / "ci" / "netem-guest" / "depends.txt").read_text()
    rows = [line.split()[1] for line in table.splitlines() if not line.startswith("#")]
    scripts = "".join(
        (ROOT / "ci" / "netem-guest" / name).read_text() for name in ("boot", "fetch")
    )
    assert [] == [tool for tool in rows if tool != "-" and tool not in scripts]
