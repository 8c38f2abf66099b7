"""Who may import whom: the contracts of pyproject.toml hold, and each of them bites.

A codec shared by both sides of a comparison cancels its own bugs; a simulator that knew the
reference would not judge it. The linter reads the source, so a plant needs no running code.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE_ROOTS = ("reference", "simulators", "scenarios")


def lint(tree: Path) -> tuple[int, str]:
    """Runs import-linter over the packages in a tree; its exit code and what it says."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    roots = os.pathsep.join(str(tree / name) for name in SOURCE_ROOTS)
    done = subprocess.run(
        [*command, "--no-cache", "--config", str(tree / "pyproject.toml")],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": roots},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_import_contracts_hold():
    """No package imports what its contract forbids."""
    code, said = lint(ROOT)
    assert 0 == code, said


@pytest.mark.parametrize(
    ("module", "statement", "broken"),
    [
        (
            "reference/fieldproof_contract/planted.py",
            "import fieldproof_simulators",
            "The contract imports nothing of ours",
        ),
        (
            "reference/fieldproof_reference/planted.py",
            "import simpy",
            "The reference imports the contract alone, and no tool of the harness",
        ),
        (
            "simulators/fieldproof_simulators/planted.py",
            "from fieldproof_reference import formats",
            "The simulators know neither the reference nor the harness",
        ),
        (
            "scenarios/fieldproof/planted.py",
            "from fieldproof_reference import formats",
            "The harness meets the reference at one door",
        ),
        (
            "scenarios/fieldproof/oracle/planted.py",
            "from fieldproof import systems",
            "What judges never reaches the reference, not even through the door",
        ),
    ],
)
def test_a_planted_import_breaks_its_contract(tmp_path, module, statement, broken):
    """One forbidden import is reported by the contract that forbids it, with file and line."""
    for name in SOURCE_ROOTS:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / module).write_text(f'"""Planted."""\n\n{statement}\n')
    code, said = lint(tmp_path)
    importer = ".".join(Path(module).with_suffix("").parts[1:])
    assert 1 == code, said
    assert f"{broken} BROKEN" in said
    assert f"{importer} -> {statement.split()[1]}" in said
    assert "(l.3)" in said
