"""The command line: verbs, documents, and for everything that goes wrong one sentence and a code.

The world and the judge are stand-ins that write and read a run directory in a few milliseconds."""

import importlib.metadata
import io
import json
import os
import subprocess
import sys
import types
from pathlib import Path

import msgspec
import pytest

from fieldproof import catalog
from fieldproof.cli import main
from fieldproof.faults import Lose, at
from fieldproof.scenario import Center, Link, Scenario, Site, from_json
from fieldproof.store import write_document
from fieldproof.verdict import SCHEMA, ClaimResult, LedgerSummary, Report, Verdict, overall

QUIET = Scenario(
    name="quiet-hour",
    story="Nothing goes wrong.",
    starts="2006-01-17T00:00Z",
    lasts="1h",
    links=(Link("vsat"),),
    nodes=(Site("daws", via="vsat"), Center()),
)
STORIES = {name: msgspec.structs.replace(QUIET, name=name) for name in ("quiet-hour", "red-hour")}

OUTCOMES = {
    "pass": ClaimResult("settled()", Verdict.PASS, 1, 1, ""),
    "fail": ClaimResult("settled()", Verdict.FAIL, 1, 0, "", "It did not settle."),
    "undecided": ClaimResult("settled()", Verdict.UNDECIDED, 1, "slow", "", "Too slow."),
    "crash": ClaimResult("settled()", Verdict.UNDECIDED, 1, "?", "", "It crashed.", True),
}


class StandIn:
    """A world and a judge: `outcomes` says by scenario what they do; default is to pass."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str | BaseException] = {}

    def run(self, scenario, seed, run_dir, on_progress):
        outcome = self.outcomes.get(scenario.name, "pass")
        on_progress(0.5, 2_400_000_000_000)
        if isinstance(outcome, BaseException):
            raise outcome
        write_document(run_dir / "world.json", b'{"schema": "fieldproof-world/1"}')
        on_progress(1.0, 4_800_000_000_000)

    def judge(self, run_dir, in_parallel=False):
        scenario, seed = self.capsule(run_dir)
        outcome = self.outcomes.get(scenario.name, "pass")
        if isinstance(outcome, BaseException):
            raise outcome
        claims = (OUTCOMES[outcome],)
        verdict, code = overall(claims)
        report = Report(
            schema=SCHEMA,
            scenario=scenario.name,
            tier="virtual",
            system="reference",
            seed=seed,
            verdict=verdict,
            exit=code,
            command=catalog.command(scenario, seed, run_dir),
            claims=claims,
            faults=(),
            ledger=LedgerSummary(22_800, 22_800, 0, 0),
            wire=(),
            log_sha256="0" * 64,
            generators_end={},
            run_dir=str(run_dir),
            seconds=0.1,
        )
        write_document(run_dir / "verdict.json", msgspec.json.encode(report))
        return report

    @staticmethod
    def capsule(run_dir):
        capsule = from_json((run_dir / "scenario.json").read_bytes(), str(run_dir))
        return capsule.scenario, capsule.seed


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """The stand-in, two stories, and an empty current folder."""
    stand_in = StandIn()
    for name, function in (("run", stand_in.run), ("judge", stand_in.judge)):
        module = types.ModuleType(f"fieldproof.{name}")
        setattr(module, name, function)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    for name, scenario in STORIES.items():
        module = types.ModuleType(f"fieldproof.catalog.{name.replace('-', '_')}")
        module.SCENARIO = scenario
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(catalog, "names", lambda: tuple(sorted(STORIES)))
    monkeypatch.delenv("FIELDPROOF_RUNS", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.chdir(tmp_path)
    return stand_in


def told(capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence on standard error; standard output is empty."""
    out, err = capsys.readouterr()
    assert "" == out
    lines = [line for line in err.splitlines() if " %  " not in line]
    assert 1 == len(lines)
    return lines[0].removeprefix("fieldproof: ")


# --- run -----------------------------------------------------------------------------------------


def test_a_run_is_stored_judged_and_printed(world, capsys):
    """`run NAME` leaves a complete run, points `latest` at it, and prints its report."""
    assert 0 == main(["run", "quiet-hour"])
    out, err = capsys.readouterr()
    assert out.startswith("quiet-hour   virtual   seed 1   system reference\n")
    assert "  again     fieldproof run quiet-hour --seed 1\n" in out
    assert ["quiet-hour   50 %", "quiet-hour  100 %"] == [line[:17] for line in err.splitlines()]
    documents = ("asked.json", "scenario.json", "verdict.json", "versions.json", "world.json")
    assert list(documents) == sorted(entry.name for entry in Path("runs/latest").iterdir())


def test_a_single_run_is_one_document(world, capsys):
    """`run NAME --json` prints one document of the type Report, and nothing beside it."""
    assert 0 == main(["run", "quiet-hour", "--json", "--quiet", "--seed", "7"])
    out, err = capsys.readouterr()
    report = msgspec.json.decode(out, type=Report)
    assert ("quiet-hour", 7, Path("runs/quiet-hour-0001")) == (
        report.scenario,
        report.seed,
        Path(report.run_dir),
    )
    assert "" == err


@pytest.mark.parametrize("which", [["quiet-hour", "red-hour"], ["--all"]])
def test_several_runs_are_one_array(world, capsys, which):
    """Several scenarios give one array of documents, in the order asked for."""
    assert 0 == main(["run", *which, "--json"])
    reports = msgspec.json.decode(capsys.readouterr().out, type=list[Report])
    assert ["quiet-hour", "red-hour"] == [report.scenario for report in reports]


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        ("pass", "pass", 0),
        ("pass", "undecided", 75),
        ("undecided", "fail", 1),
        ("fail", "crash", 3),
        ("fail", ZeroDivisionError("division by zero"), 3),
    ],
)
def test_codes_of_several_runs_have_precedence(world, first, second, code):
    """3 stands over 1, 1 over 75, 75 over 0, whichever comes first."""
    for world.outcomes in (
        {"quiet-hour": first, "red-hour": second},
        {"quiet-hour": second, "red-hour": first},
    ):
        assert code == main(["run", "--all"])


def test_a_commit_id_is_a_seed(world, capsys):
    """A seed of 40 hex digits is taken as a number, and the number repeats the run."""
    assert 0 == main(["run", "quiet-hour", "--json", "--seed", "0" * 38 + "fF"])
    assert "fieldproof run quiet-hour --seed 255" == json.loads(capsys.readouterr().out)["command"]


def test_a_capsule_repeats_its_run(world, capsys):
    """`run scenario.json` takes the scenario and the seed from a stored run."""
    assert 0 == main(["run", "quiet-hour", "--seed", "9"])
    assert 0 == main(["run", "runs/quiet-hour-0001/scenario.json"])
    capsules = [Path(f"runs/quiet-hour-000{n}/scenario.json").read_bytes() for n in (1, 2)]
    assert capsules[0] == capsules[1]


def test_fidelity_is_part_of_the_capsule(world, capsys):
    """--fidelity changes the scenario, so that its capsule and no name repeats the run."""
    assert 0 == main(["run", "quiet-hour", "--fidelity", "words", "--json"])
    assert '"fidelity": "words"' in Path("runs/latest/scenario.json").read_text()
    command = json.loads(capsys.readouterr().out)["command"]
    assert "fieldproof run runs/quiet-hour-0001/scenario.json" == command


def test_runs_go_where_they_are_told(world):
    """--runs names the folder in which runs are stored and looked up."""
    assert 0 == main(["run", "quiet-hour", "--runs", "elsewhere"])
    assert 0 == main(["show", "latest", "--runs", "elsewhere"])
    assert not Path("runs").exists()


def test_a_crash_is_one_line_and_code_3(world, capsys):
    """An exception of the world is a harness fault: one line without, a traceback with -v."""
    world.outcomes = {"quiet-hour": KeyError("vsat\nand more")}
    assert 3 == main(["run", "quiet-hour"])
    assert (
        "quiet-hour, seed 1, in runs/quiet-hour-0001: the harness failed with "
        "KeyError: 'vsat\\nand more' (-v shows where)"
    ) == told(capsys)
    assert 3 == main(["run", "quiet-hour", "-v"])
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_a_crash_is_a_document_too(world, capsys):
    """With --json a crash is undecided, with a claim that names it, and is not stored."""
    world.outcomes = {"quiet-hour": RuntimeError("the link came loose")}
    assert 3 == main(["run", "quiet-hour", "--json"])
    report = msgspec.json.decode(capsys.readouterr().out, type=Report)
    assert (Verdict.UNDECIDED, "the link came loose") == (report.verdict, report.claims[0].detail)
    assert (report.verdict, report.exit) == overall(report.claims)
    assert not Path("runs/quiet-hour-0001/verdict.json").exists()
    assert not Path("runs/latest").exists()


def test_an_interrupted_run_stays_and_says_so(world, capsys):
    """Ctrl-C ends with code 2, names the incomplete run, and keeps it and all before it."""
    world.outcomes = {"red-hour": KeyboardInterrupt()}
    assert 2 == main(["run", "quiet-hour", "red-hour", "--json"])
    out, err = capsys.readouterr()
    assert ["quiet-hour"] == [report["scenario"] for report in json.loads(out)]
    assert err.endswith(
        "fieldproof: Interrupted: runs/red-hour-0001 is incomplete (it has no world.json); "
        "it stays as it is.\n"
    )
    assert Path("runs/red-hour-0001/scenario.json").exists()
    assert "quiet-hour-0001" == Path("runs/latest").resolve().name


def test_a_tier_that_a_scenario_does_not_have(world, capsys):
    """A tier that the scenario does not name ends with 4, and with --all is skipped."""
    assert 4 == main(["run", "quiet-hour", "--tier", "live"])
    sentence = "Scenario quiet-hour does not run in the tier live; it has virtual."
    assert sentence == told(capsys)
    assert 5 == main(["run", "--all", "--tier", "live"])
    err = capsys.readouterr().err
    assert f"fieldproof: Skipped: {sentence}\n" in err
    assert "Nothing was run: no scenario was left to run." in err
    assert not Path("runs").exists()


# --- check, show, list ---------------------------------------------------------------------------


def test_check_judges_without_running(world, capsys):
    """`check` gives the judge's new verdict and code on a stored run, and `latest` follows."""
    assert 0 == main(["run", "quiet-hour", "red-hour"])
    world.outcomes = {"quiet-hour": "fail"}
    capsys.readouterr()
    assert 1 == main(["check", "quiet-hour-0001"])
    assert "  FAILED 1 of 1   " in capsys.readouterr().out
    assert 1 == main(["check", "latest", "--json"])
    assert "fail" == json.loads(capsys.readouterr().out)["verdict"]


def test_show_prints_the_stored_report(world, capsys):
    """`show` prints what `run` printed, as text and as the document, and judges nothing."""
    assert 0 == main(["run", "quiet-hour", "--quiet"])
    printed = capsys.readouterr().out
    world.outcomes = {"quiet-hour": "fail"}
    assert 0 == main(["show", "latest"])
    assert printed == capsys.readouterr().out
    assert 0 == main(["show", "latest", "--json"])
    assert json.loads(Path("runs/latest/verdict.json").read_text()) == json.loads(
        capsys.readouterr().out
    )


def test_list_shows_every_story(world, capsys):
    """`list` names each scenario; `list --json` is one array of objects."""
    assert 0 == main(["list"])
    assert sorted(STORIES) == [
        line.split()[0] for line in capsys.readouterr().out.splitlines() if line[0] != " "
    ]
    assert 0 == main(["list", "--json"])
    stories = json.loads(capsys.readouterr().out)
    assert sorted(STORIES) == [story["name"] for story in stories]
    assert ["daws"] == stories[0]["sites"]


def test_an_empty_catalog_is_nothing(world, capsys, monkeypatch):
    """With no scenario at all, `list` ends with 5."""
    monkeypatch.setattr(catalog, "names", tuple)
    assert 5 == main(["list"])
    assert "There is no scenario in the catalog." == told(capsys)


# --- what the user can get wrong -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("run quiet-our", "There is no scenario 'quiet-our': did you mean quiet-hour?"),
        ("run zzz", "There is no scenario 'zzz': `fieldproof list` shows all."),
        ("run quiet-hour zzz", "There is no scenario 'zzz': `fieldproof list` shows all."),
        ("run no.json", "no.json cannot be read: No such file or directory."),
        ("run", "Name the scenarios to run (`fieldproof list` shows them), or say --all."),
        ("run quiet-hour --all", "Name the scenarios to run, or all of them by --all, but not"),
        ("run quiet-hour --seed x", "argument --seed: 'x' is neither a number nor 40 hex digits;"),
        ("run quiet-hour --seed -1", "argument --seed: '-1' is neither a number nor 40 hex"),
        ("run quiet-hour --fast", "unrecognized arguments: --fast; `fieldproof --help` shows"),
        ("walk", "argument COMMAND: invalid choice: 'walk'"),
        ("", "Say what to do: list, run, check, show or doctor; `fieldproof --help` expl"),
        ("check latest", "There is no latest run in runs: none has been judged there yet."),
        ("check nothing", "There is no run 'nothing', neither in runs nor as a path:"),
        ("show nothing", "There is no run 'nothing', neither in runs nor as a path:"),
        ("run quiet-hour --runs file", "file is no folder, so it holds no runs: name a folder"),
        ("run quiet-hour --runs file/x", "file/x is no folder, so it holds no runs: name a folder"),
        ("check quiet-hour-0001 --runs file", "file is no folder, so it holds no runs"),
        ("show latest --runs file", "file is no folder, so it holds no runs"),
    ],
)
def test_a_wrong_command_is_one_sentence(world, capsys, command, sentence):
    """Whatever is wrong with the command line ends with 4 and says what, before anything runs."""
    Path("file").write_text("")
    assert 4 == main(command.split())
    assert told(capsys).startswith(sentence)
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"links": (Link("vsat", "pigeon"),)}, "No link profile is named 'pigeon': choose from "),
        ({"faults": (at("00:10", Lose("vsat", 0)),)}, "Lose at 00:10 in red-hour has count 0: it"),
        ({"faults": (at("03:10", Lose("vsat")),)}, "Lose at 03:10 in scenario red-hour is not ov"),
    ],
)
@pytest.mark.parametrize("which", ["red-hour", "--all"])
def test_a_refused_scenario_leaves_nothing(world, capsys, monkeypatch, which, changes, sentence):
    """What no world can be built of ends with 4 before anything runs, and leaves no directory."""
    scenario = msgspec.structs.replace(STORIES["red-hour"], **changes)
    monkeypatch.setattr(sys.modules["fieldproof.catalog.red_hour"], "SCENARIO", scenario)
    assert 4 == main(["run", which])
    assert told(capsys).startswith(sentence)
    assert [] == list(Path().iterdir())


def test_a_value_error_of_the_world_is_a_harness_fault(world, capsys):
    """Once a scenario was found sound, a ValueError is nobody's but the harness's."""
    world.outcomes = {"red-hour": ValueError("negative delay")}
    assert 3 == main(["run", "red-hour"])
    assert "the harness failed with ValueError: negative delay (-v shows where)" in told(capsys)


@pytest.mark.parametrize("verb", ["check", "show"])
def test_a_half_written_run_is_refused(world, capsys, verb):
    """An interrupted run ends with 4 and the command that starts it again."""
    world.outcomes = {"quiet-hour": KeyboardInterrupt()}
    main(["run", "quiet-hour"])
    capsys.readouterr()
    assert 4 == main([verb, "quiet-hour-0001"])
    assert told(capsys).startswith("Run runs/quiet-hour-0001 is half-written: it has no world.json")


def test_evidence_that_cannot_be_judged_is_refused(world, capsys):
    """Where the judge refuses the evidence, check ends with 4 and the old verdict stays."""
    main(["run", "quiet-hour"])
    before = Path("runs/latest/verdict.json").read_bytes()
    world.outcomes = {"quiet-hour": ValueError("log.jsonl ends within line 7.")}
    capsys.readouterr()
    assert 4 == main(["check", "latest"])
    assert "Run runs/quiet-hour-0001 cannot be judged: log.jsonl ends within line 7." == told(
        capsys
    )
    assert before == Path("runs/latest/verdict.json").read_bytes()


def test_a_crashing_judge_is_a_harness_fault(world, capsys):
    """Where the judge itself breaks on a stored run, check ends with 3 and one line."""
    main(["run", "quiet-hour"])
    world.outcomes = {"quiet-hour": ZeroDivisionError("division by zero")}
    capsys.readouterr()
    assert 3 == main(["check", "latest"])
    assert ("the harness failed with ZeroDivisionError: division by zero (-v shows where)") == told(
        capsys
    )


# --- the terminal --------------------------------------------------------------------------------


class Terminal(io.StringIO):
    """A standard output that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({"NO_COLOR": ""}, True)],
)
def test_colour_is_for_terminals(world, monkeypatch, variables, coloured):
    """A terminal gets colour unless NO_COLOR is set or it is dumb."""
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    main(["run", "quiet-hour", "--quiet"])
    assert coloured is ("\x1b[32mPASSED 1 of 1\x1b[0m" in terminal.getvalue())


def test_no_colour_off_a_terminal(world, capsys):
    """A file or a pipe gets no colour codes."""
    main(["run", "quiet-hour"])
    assert "\x1b" not in "".join(capsys.readouterr())


def test_a_terminal_without_unicode_is_no_error(world):
    """Signs that the output's encoding lacks are replaced."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        assert 0 == main(["run", "quiet-hour", "--quiet"])
    assert b"00:00 ????" in out.buffer.getvalue()


def test_the_version_is_the_packages(capsys):
    """`--version` ends with code 0 and says which version is installed."""
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert 0 == caught.value.code
    assert f"fieldproof {importlib.metadata.version('fieldproof')}\n" == capsys.readouterr().out


def test_help_names_the_exit_codes(capsys):
    """`--help` ends with code 0 and explains every exit code."""
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert 0 == caught.value.code
    out = capsys.readouterr().out
    assert ["0", "1", "2", "3", "4", "5", "69", "75"] == [
        line.split()[0] for line in out.splitlines() if line[:4].strip().isdigit()
    ]


def test_list_loads_no_world():
    """Neither simpy nor rich nor a world is imported before a scenario runs: `list` starts fast."""
    code = (
        "import sys, fieldproof.cli as cli; cli.main(['list']); "
        "heavy = {'simpy', 'rich', 'fieldproof.run', 'fieldproof.judge'}; "
        "sys.exit(' '.join(sorted(heavy & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (
        "" == done.stderr.removeprefix("fieldproof: There is no scenario in the catalog.").strip()
    )


def test_a_reader_that_goes_away_is_no_traceback(world, monkeypatch):
    """A closed pipe, as `head` leaves it, ends the program with code 2 and without a word."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        assert 2 == main(["list"])
