"""The outside judges of style and types find nothing, and are configured to find what matters."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHIPPED_FILE = "simulators/fieldproof_simulators/planted.py"
HEAD = '"""Planted."""\n'


def said_by(*command: str, reads: str | None = None) -> str:
    """What a command, run at the root, prints where it finds fault; nothing where it does not."""
    done = subprocess.run(
        command, cwd=ROOT, input=reads, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr if done.returncode else ""


@pytest.mark.parametrize(
    "judge",
    [("ruff", "check", "--output-format", "concise"), ("ruff", "format", "--check"), ("mypy",)],
    ids=lambda judge: " ".join(judge[:2]),
)
def test_the_judge_finds_nothing(judge):
    """The linter, the formatter and the type checker accept the whole tree."""
    said = said_by(sys.executable, "-m", *judge)
    assert "" == said, said


@pytest.mark.needs("shellcheck")
def test_shellcheck_finds_nothing():
    """The shell scripts have no flaw that shellcheck knows."""
    rooms = ("ci", "ci/netem-guest", ".ci")
    candidates = sorted(path for room in rooms for path in (ROOT / room).iterdir())
    scripts = [path for path in candidates if path.is_file() and path.read_bytes()[:2] == b"#!"]
    assert {ROOT / "ci" / "run", ROOT / ".ci" / "run"} <= set(scripts)
    said = said_by("shellcheck", *map(str, scripts))
    assert "" == said, said


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("ANN201", HEAD + '\n\ndef f():\n    """Planted."""\n'),
        ("D100", "x = 1\n"),
        ("D101", HEAD + "\n\nclass A:\n    x = 1\n"),
        ("D102", HEAD + '\n\nclass A:\n    """A."""\n\n    def f(self) -> None:\n        pass\n'),
        ("D103", HEAD + "\n\ndef f() -> None:\n    pass\n"),
        ("E501", HEAD + f"x = {'1' * 97}\n"),
        ("T201", HEAD + 'print("x")\n'),
        ("TID251", HEAD + "import reference.fieldproof_reference\n"),
    ],
)
def test_ruff_is_configured_to_bite(rule, text):
    """A shipped file that breaks the rule is reported by the rule's code."""
    judge = (sys.executable, "-m", "ruff", "check", "--output-format", "concise")
    assert f" {rule} " in said_by(*judge, "--stdin-filename", SHIPPED_FILE, "-", reads=text)


def test_mypy_is_configured_to_bite(tmp_path):
    """A function without types, which mypy accepts unless told to be strict, is reported."""
    planted = tmp_path / "planted.py"
    planted.write_text("def f(): return 1\n")
    assert "[no-untyped-def]" in said_by(sys.executable, "-m", "mypy", str(planted))
