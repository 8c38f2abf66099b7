"""The house rules that no outside tool knows, and proof that each of them bites.

A rule is a function from a file's text to the lines that break it, with the files it is for; what
it finds is said as `file:line: sentence`. The rules for annotations, docstrings, width of Python
lines and banned names are ruff's: see test_types_and_style.py. Files are found as git would find
them, by .gitignore, so that the rules also hold for a copy without git. No pattern here matches
its own source.
"""

import ast
import re
import statistics
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
SHIPPED = ("reference/", "simulators/", "scenarios/")
PURE = (
    "reference/fieldproof_contract/",
    *(
        f"reference/fieldproof_reference/{part}/"
        for part in ("formats", "protocols", "edge", "center")
    ),
)
REAL_TIME = tuple(
    f"scenarios/fieldproof/{name}.py" for name in ("cli", "console", "progress", "run", "store")
)
THIRD_PARTY = "scenarios/third_party/"
NONDETERMINISTIC = {"os", "random", "secrets", "time", "uuid"}
OUTSIDE = NONDETERMINISTIC | {"asyncio", "socket", "subprocess", "threading"}
FILE_CAP, FUNCTION_CAP, MEDIAN_CAP, WIDTH = 500, 60, 150, 100

Findings = Iterator[tuple[int, str]]  # line, sentence
parse = cache(ast.parse)


# --- what there is to read ------------------------------------------------------------------------


def repository() -> Iterator[Path]:
    """Every file that .gitignore lets into the repository, in order."""
    ignored = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text().split()] + [".git"]

    def walk(folder: Path) -> Iterator[Path]:
        for path in sorted(folder.iterdir()):
            if any(fnmatch(path.name, pattern) for pattern in ignored):
                continue
            if path.is_dir():
                yield from walk(path)
            elif path.is_file():
                yield path

    return walk(ROOT)


@cache
def texts() -> dict[str, str]:
    """The text of every text file, by its path in the repository."""
    contents = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in repository()}
    return {path: data.decode() for path, data in contents.items() if b"\0" not in data}


def is_python(path: str) -> bool:
    """A Python file."""
    return path.endswith(".py")


def is_shipped(path: str) -> bool:
    """A Python file of a package."""
    return path.startswith(SHIPPED) and is_python(path)


def is_pure(path: str) -> bool:
    """A node, a format or a protocol: a function of what it is told."""
    return path.startswith(PURE) and is_python(path)


def is_virtual(path: str) -> bool:
    """A part of the simulated world or of its judges. What touches the machine lies in a folder
    named `live`, and an example of somebody's system is no part; REAL_TIME names the harness's own
    rim."""
    is_real = "/live/" in path or path.startswith(THIRD_PARTY) or path in REAL_TIME
    return path.startswith(SHIPPED[1:]) and is_python(path) and not is_real


def is_test(path: str) -> bool:
    """A file of tests."""
    return fnmatch(path, "tests/*/test_*.py")


def is_prose_or_script(path: str) -> bool:
    """Markdown, or a script of the two commands; what came with recorded vectors stays as it is."""
    is_script = path.startswith(("ci/", ".ci/")) and "." not in Path(path).name
    return is_script or (path.endswith(".md") and "/vectors/" not in path)


# --- the rules ------------------------------------------------------------------------------------


def imports(text: str, banned: set[str], why: str) -> Findings:
    """The imports of banned modules, at any depth."""
    for node in ast.walk(parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        else:
            continue
        for name in names:
            if name.split(".")[0] in banned:
                yield node.lineno, f"imports {name}; {why}"


def outside_in_nodes(text: str) -> Findings:
    """A node is told the time and asks for effects."""
    return imports(text, OUTSIDE, "here everything comes in as an argument and leaves as a value.")


def nondeterminism(text: str) -> Findings:
    """A simulated world is a function of its seed."""
    return imports(text, NONDETERMINISTIC, "the same seed would no longer give the same bytes.")


def clocks(text: str) -> Findings:
    """Nobody asks the calendar what day it is."""
    for node in ast.walk(parse(text)):
        match node:
            case ast.Call(func=ast.Attribute(attr="now" | "utcnow" | "today" as name)):
                yield node.lineno, f"calls {name}(); the time is an argument here."


def long_files(text: str) -> Findings:
    """A file has at most 500 lines."""
    count = len(text.splitlines())
    if count > FILE_CAP:
        yield count, f"the file has {count} lines and may have {FILE_CAP}; split it."


def long_functions(text: str) -> Findings:
    """A function has at most 60 lines."""
    for node in ast.walk(parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            count = (node.end_lineno or node.lineno) - node.lineno + 1
            if count > FUNCTION_CAP:
                yield node.lineno, f"{node.name} has {count} lines and may have {FUNCTION_CAP}."


def vague_test_docstrings(text: str) -> Findings:
    """A test says its property in one sentence."""
    for node in ast.walk(parse(text)):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            says = " ".join((ast.get_docstring(node) or "").split())
            if not says.endswith(".") or re.search(r"[.!?] [A-Z]", says):
                yield node.lineno, f"{node.name} does not say its property in one sentence."


def wide_lines(text: str) -> Findings:
    """A line has at most 100 characters; a table's row and a line with a link cannot be broken."""
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > WIDTH and not line.startswith("|") and "](" not in line:
            yield number, f"the line has {len(line)} characters and may have {WIDTH}."


def words(pattern: str, why: str) -> Callable[[str], Findings]:
    """A rule against every line that matches a pattern."""

    def find(text: str) -> Findings:
        for number, line in enumerate(text.splitlines(), 1):
            if found := re.search(pattern, line):
                yield number, f"{found[0]!r}: {why}"

    return find


class Rule(NamedTuple):
    """A house rule and the files that keep it."""

    covers: Callable[[str], bool]
    find: Callable[[str], Findings]


def everywhere(path: str) -> bool:
    """Every text file, whatever it is."""
    return True


LEFTOVERS = r"\b(TODO|FIXME|XXX|HACK)\b|type: ignore|pragma: no cover|NotImplementedError"
INDEX_HOSTS = r"(?i)(pypi|pythonhosted|piwheels|anaconda)\.org"
MACHINE_PATHS = r"(?<![\w.~-])/(work|root|home)/"

RULES = {
    "nodes import nothing outside": Rule(is_pure, outside_in_nodes),
    "worlds import no chance": Rule(is_virtual, nondeterminism),
    "nodes ask no clock": Rule(is_pure, clocks),
    "worlds ask no clock": Rule(is_virtual, clocks),
    "files are short": Rule(is_python, long_files),
    "functions are short": Rule(is_python, long_functions),
    "nothing is left over": Rule(is_shipped, words(LEFTOVERS, "finish it or leave it out.")),
    "no index": Rule(everywhere, words(INDEX_HOSTS, "the machine's own index serves.")),
    "no machine": Rule(everywhere, words(MACHINE_PATHS, "other machines have no such folder.")),
    "no rights": Rule(everywhere, words(r"\bsu[d]o\b", "nothing here takes rights unasked.")),
    "lines are short": Rule(is_prose_or_script, wide_lines),
    "tests say their property": Rule(is_test, vague_test_docstrings),
}

NODE = "reference/fieldproof_reference/edge/bad.py"
LINK = "simulators/fieldproof_simulators/links/bad.py"
CHECK = "scenarios/fieldproof/checks/bad.py"
TEST = "tests/links/test_bad.py"

BREACHES = (  # rule, file, text, line
    ("nodes import nothing outside", NODE, "\nimport os.path\n", 2),
    ("nodes import nothing outside", NODE, "def f():\n    from random import choice\n", 2),
    ("nodes import nothing outside", "reference/fieldproof_contract/bad.py", "import socket\n", 1),
    ("worlds import no chance", LINK, "import zlib, time\n", 1),
    ("worlds import no chance", CHECK, "from uuid import uuid4\n", 1),
    ("nodes ask no clock", NODE, "x = 1\ny = datetime.now(UTC)\n", 2),
    ("worlds ask no clock", CHECK, "d = datetime.date.today()\n", 1),
    ("files are short", LINK, "x = 1\n" * (FILE_CAP + 1), FILE_CAP + 1),
    ("functions are short", TEST, "def f():\n" + "    f()\n" * FUNCTION_CAP, 1),
    ("nothing is left over", LINK, "x = 1\n# TODO: y\n", 2),
    ("nothing is left over", CHECK, "x = y()  # type: ignore[arg-type]\n", 1),
    ("no index", "README.md", "see\nfiles.PythonHosted" + ".org\n", 2),
    ("no machine", "ci/README.md", "cd /" + "home/pi\n", 1),
    ("no rights", "ci/run", "su" + "do apt-get update\n", 1),
    ("lines are short", "README.md", "\n" + "a" * (WIDTH + 1), 2),
    ("lines are short", ".ci/run", "a" * (WIDTH + 1), 1),
    ("tests say their property", TEST, "def test_it():\n    pass\n", 1),
    ("tests say their property", TEST, 'def test_it():\n    """It holds. It shines."""\n', 1),
)


def broken(rule: str, files: dict[str, str]) -> list[str]:
    """Every place where these files break a rule, as `file:line: sentence`."""
    covers, find = RULES[rule]
    covered = ((path, text) for path, text in files.items() if covers(path))
    return [f"{path}:{line}: {says}" for path, text in covered for line, says in find(text)]


@pytest.mark.parametrize("rule", RULES)
def test_the_repository_keeps_the_rule(rule):
    """No file of the repository breaks the rule."""
    breaches = broken(rule, texts())
    assert [] == breaches, "\n".join(breaches)


@pytest.mark.parametrize(("rule", "path", "text", "line"), BREACHES)
def test_the_rule_bites(rule, path, text, line):
    """A file that breaks the rule is reported once, with its line."""
    (breach,) = broken(rule, {path: text})
    assert breach.startswith(f"{path}:{line}: ")


def test_every_rule_is_shown_to_bite():
    """No rule is without a breach to prove it."""
    assert set(RULES) == {rule for rule, *_ in BREACHES}


# --- rules about the whole ------------------------------------------------------------------------


def median_lines(files: dict[str, str]) -> float:
    """The median length of the shipped files that hold code."""
    shipped = (p for p in files if is_shipped(p) and not p.endswith("__init__.py"))
    return statistics.median(len(files[path].splitlines()) for path in shipped)


def undocumented_folders(files: dict[str, str]) -> list[str]:
    """The visible top-level folders without a README.md."""
    folders = {path.split("/")[0] for path in files if "/" in path and path[0] != "."}
    return [f"{name}/README.md" for name in sorted(folders) if f"{name}/README.md" not in files]


def test_files_are_short():
    """The median shipped file has at most 150 lines."""
    assert median_lines(texts()) <= MEDIAN_CAP


def test_the_median_counts_code_alone():
    """Long files raise the median, and empty package markers do not lower it."""
    files = {LINK: "x\n" * 200, NODE: "x\n" * 100, "scenarios/fieldproof/__init__.py": ""}
    assert 150 == median_lines(files)


def test_every_top_level_folder_says_what_it_is_for():
    """Each visible top-level folder has a README.md."""
    assert [] == undocumented_folders(texts())


def test_a_folder_without_a_readme_is_noticed():
    """Only visible folders without a README.md are reported."""
    files = {"a/README.md": "", "b/x.py": "", ".c/run": "", "top.txt": ""}
    assert ["b/README.md"] == undocumented_folders(files)
