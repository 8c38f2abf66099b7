"""Every trap of the table has its tests, and every test of a trap is in the table."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TRAPS = [*(f"T{number}" for number in range(1, 27)), "(a)", "(b)", "(c)", "(d)"]
NAME = re.compile(r"test_(?:t(\d+)|hazard_([a-z]))_")


def table(text: str) -> dict[str, list[str]]:
    """The files named in the last column, by trap."""
    rows = (
        row.strip("|").split("|") for row in text.splitlines() if row.startswith(("| T", "| ("))
    )
    return {cells[0].strip(): re.findall(r"`([^`]+)`", cells[-1]) for cells in rows}


def named(text: str) -> set[str]:
    """The traps whose numbers are in the names of a file's tests."""
    functions = (node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef))
    found = filter(None, (NAME.match(function.name) for function in functions))
    return {f"T{match[1]}" if match[1] else f"({match[2]})" for match in found}


@cache
def files() -> dict[str, set[str]]:
    """The traps of each test file of the repository, by its path from here."""
    tests = HERE.parent
    found = {}
    for path in sorted(tests.rglob("test_*.py")):
        inside = path.relative_to(tests)
        shown = inside.name if path.parent == HERE else f"../{inside.as_posix()}"
        found[shown] = named(path.read_text())
    return found


@pytest.fixture(scope="module")
def rows() -> dict[str, list[str]]:
    """The table of README.md."""
    return table((HERE / "README.md").read_text())


def test_the_table_has_every_trap(rows):
    """T1 to T26 and (a) to (d) have a row each, in order."""
    assert TRAPS == list(rows)


@pytest.mark.parametrize("trap", TRAPS)
def test_the_trap_has_its_test(rows, trap):
    """Each file that the row names has a test with the number of the trap in its name."""
    there = files()
    assert rows.get(trap), f"{trap} has no test in the table of tests/traps/README.md"
    assert [] == [name for name in rows[trap] if trap not in there.get(name, ())]


def test_no_named_test_is_missing_from_the_table(rows):
    """Whoever writes a test of a trap enters its file."""
    known = {(trap, name) for trap, names in rows.items() for name in names}
    there = {(trap, name) for name, traps in files().items() for trap in traps}
    assert [] == sorted(there - known)


def test_a_gap_in_the_table_would_be_seen():
    """A row without a file, and a file without a test, are not taken for something."""
    assert {"T1": ["a.py", "b.py"], "T2": []} == table("| T1 | x | `a.py`, `b.py` |\n| T2 | x | |")
    assert {"T1", "T26"} == named("def test_t1_x(): ...\ndef test_t26_y(): ...\ndef test_to(): ...")
    assert {"(c)"} == named("def test_hazard_c_x(): ...\ndef test_hazardous(): ...")
