"""The documents tell the truth: what they name exists, what they show happens, and their code runs.

The documents are the Markdown files of the root and of each room. A name in backticks that ends
like a file of ours, and the target of a link, must be in the repository; a command must be one that
`ci/run` or the program knows. Each rule is shown to bite on a text that breaks it.
"""

import re
import shutil
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from fieldproof import catalog, cli, wellformed
from fieldproof.judge import judge
from fieldproof.run import run
from fieldproof.verdict import Verdict

ROOT = Path(__file__).parents[2]
ROOMS = ("reference", "simulators", "scenarios", "tests", "benchmarks", "ci")
PACKAGES = ("reference", "simulators", "scenarios")
DOCUMENTS = (
    *sorted(ROOT.glob("*.md")),
    *(ROOT / room / "README.md" for room in ROOMS),
    ROOT / "scenarios" / "THIRD-PARTY.md",
)
PICTURED = "dawson-three-lost-packets"
EXAMPLE = "evening-outage"  # the scenario that README.md tells its reader to write
TO_BE_WRITTEN = "scenarios/fieldproof/catalog/evening_outage.py"
CI_COMMANDS = ("demo", "test", "test-netem", "depends", "lock")
FIELDPROOF_COMMANDS = ("list", "run", "check", "show", "table", "doctor")


# --- what documents say ---------------------------------------------------------------------------


def fenced(text: str, language: str = "") -> list[str]:
    """The fenced blocks of a language; without one, those of none."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def repository() -> list[str]:
    """Every file of the rooms and of the root, relative."""
    files = [path for path in ROOT.iterdir() if path.is_file()]
    files += [path for room in ROOMS for path in (ROOT / room).rglob("*") if path.is_file()]
    return sorted(path.relative_to(ROOT).as_posix() for path in files)


def named_files(text: str) -> Iterator[str]:
    """The files that a document names: in backticks, as a link, or first on a line of a list."""
    yield from re.findall(r"`([\w./*-]+\.(?:py|md|toml|lock))`", text)
    yield from (link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link)
    for block in fenced(text):
        yield from re.findall(r"^([\w./*-]+\.py) {2,}\S", block, re.MULTILINE)


def missing_files(text: str, files: list[str]) -> list[str]:
    """The names that no file ends with."""
    known = [f"/{path}" for path in files]
    return [
        name
        for name in named_files(text)
        if name != TO_BE_WRITTEN and not any(fnmatch(path, f"*/{name}") for path in known)
    ]


def commands(text: str) -> Iterator[list[str]]:
    """The commands that begin with `ci/run` or `fieldproof`, as words, comments left out."""
    lines = [line.partition("  #")[0] for block in fenced(text) for line in block.splitlines()]
    for said in (*lines, *re.findall(r"`([^`\n]+)`", text)):
        words = said.split()
        if words and words[0] in ("./ci/run", "ci/run", "fieldproof") and len(words) > 1:
            yield words


def wrong_commands(text: str, help_of: dict[str, str]) -> list[str]:
    """The commands that would not do what they say. `help_of`: the manual of each verb."""
    return [" ".join(words) for words in commands(text) if not is_right(words, help_of)]


def is_right(words: list[str], help_of: dict[str, str]) -> bool:
    """Whether `ci/run`, or the program, knows this command and its options."""
    if words[0] != "fieldproof":
        command, *rest = words[1:]
        if command == "fieldproof":
            return is_right([command, *rest], help_of)
        if command in ("CMD", "...") or command in CI_COMMANDS:
            return True
        paths = [word for word in rest if word.split("/")[0] in ROOMS]
        exists = shutil.which(command, path=str(Path(sys.executable).parent)) is not None
        return exists and all((ROOT / path).exists() for path in paths)
    verb, *rest = words[1:]
    if verb in ("...", "--help"):
        return True
    options = [word for word in rest if word.startswith("--")]
    known = verb in help_of and all(option in help_of[verb] for option in options)
    names = [word for word in rest if re.fullmatch(r"[a-z]+(-[a-z]+)+", word)]
    return known and all(name in (*catalog.names(), EXAMPLE) for name in names)


@pytest.fixture(scope="module")
def help_of() -> dict[str, str]:
    """What `fieldproof VERB --help` prints."""
    with pytest.MonkeyPatch.context() as patch:
        texts = {}
        for verb in FIELDPROOF_COMMANDS:
            written: list[str] = []
            patch.setattr(sys.stdout, "write", written.append)
            with pytest.raises(SystemExit):
                cli.main([verb, "--help"])
            texts[verb] = "".join(written)
    return texts


# --- the rules ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_a_document_names_exists(path):
    """Every file that the document names or links to is in the repository."""
    assert [] == missing_files(path.read_text(), repository())


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_a_document_commands_works(path, help_of):
    """Every command that the document shows is known, with its options and scenarios."""
    assert [] == wrong_commands(path.read_text(), help_of)


def test_wrong_names_and_commands_are_noticed(help_of):
    """Files, commands, options and scenarios that do not exist are reported."""
    text = "`gone.py` [x](no/such.md)\n```\nlost.py   is lost\n```\n"
    assert ["gone.py", "no/such.md", "lost.py"] == missing_files(text, repository())
    text = (
        "`fieldproof fly` `fieldproof run no-such` `./ci/run fieldproof list --all` `ci/run nope`"
    )
    assert 4 == len(wrong_commands(text, help_of))


@pytest.mark.parametrize("room", PACKAGES)
def test_a_room_lists_all_of_its_files(room):
    """Every module has a place in the reading order of its room."""
    text = (ROOT / room / "README.md").read_text()
    listed = [name for name in named_files(text) if name.endswith(".py")]
    modules = [path for path in repository() if path.startswith(room) and path.endswith(".py")]
    assert [] == [
        path
        for path in modules
        if not path.endswith("__init__.py") and not any(fnmatch(path, f"*/{n}") for n in listed)
    ]


def test_the_catalog_of_the_readme_is_the_catalog():
    """README.md has a row for each scenario, and no other, in their order."""
    section = (ROOT / "README.md").read_text().partition("## The catalog")[2].partition("\n## ")[0]
    assert list(catalog.names()) == re.findall(r"^\| `([a-z0-9-]+)` \|", section, re.MULTILINE)


# --- what is shown, happens -----------------------------------------------------------------------


def lasting(text: str) -> list[str]:
    """The lines of a report without its hashes, its wall time, and its last line."""
    lines = [line for line in text.splitlines() if not line.startswith("  look at")]
    return [re.sub(r"\b[0-9a-f]{8,16}\b| +\d+\.\d s +[\d ]+x$", "~", line) for line in lines]


def test_the_picture_is_the_output(tmp_path, capsys, monkeypatch):
    """README.md shows what the demonstration prints; where this fails, put the new output there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FIELDPROOF_RUNS", raising=False)
    assert 0 == cli.main(["run", "--quiet", PICTURED])
    shown = next(b for b in fenced((ROOT / "README.md").read_text()) if b.startswith(PICTURED))
    assert lasting(capsys.readouterr().out) == lasting(shown)


def test_the_example_scenario_passes(tmp_path):
    """The scenario that README.md shows is valid, and its run passes."""
    written, _ = fenced((ROOT / "README.md").read_text(), "python")
    names: dict[str, object] = {}
    exec(compile(written, "README.md", "exec"), names)
    scenario = names["SCENARIO"]
    wellformed.validate(scenario)
    run(scenario, 1, tmp_path)
    report = judge(tmp_path)
    assert EXAMPLE == report.scenario
    assert Verdict.PASS is report.verdict, report.claims


def test_the_example_from_python_runs(tmp_path, monkeypatch):
    """The planted defect that README.md shows fails by the claim that it names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FIELDPROOF_RUNS", raising=False)
    _, written = fenced((ROOT / "README.md").read_text(), "python")
    exec(compile(written, "README.md", "exec"), {"__name__": "readme"})
    assert (tmp_path / "runs" / "deaf-edge-0001" / "verdict.json").exists()
