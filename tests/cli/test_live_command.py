"""The command line of the live tier: what is asked of a run reaches it, and is said again.

The stage, its view, the machine's probe and the judge are stand-ins.
"""

import contextlib
import json
import os
import shlex
import sys
import types
from pathlib import Path

import msgspec
import pytest

from fieldproof import catalog
from fieldproof.arguments import command, live_options, parser
from fieldproof.cli import ACTS, main
from fieldproof.faults import (
    BurstLoss,
    Cooked,
    DropBytes,
    Garble,
    Lose,
    Stall,
    Unplug,
    XonXoff,
    at,
)
from fieldproof.live.devices import refused
from fieldproof.options import LiveOptions
from fieldproof.scenario import Center, Link, Scenario, Site, from_json
from fieldproof.store import write_document
from fieldproof.verdict import SCHEMA, ClaimResult, LedgerSummary, Report, Verdict, overall

MINUTES = Scenario(
    name="two-minutes",
    story="Nothing goes wrong.",
    starts="2006-01-16T23:59Z",
    lasts="2m",
    links=(Link("vsat"),),
    nodes=(Site("daws", via="vsat"), Center()),
    tiers=("live", "virtual"),
    needs=("socat",),
    lead="10s",
)
PASSED = ClaimResult("settled", Verdict.PASS, 1, 1, "")
SKIPPED = ClaimResult("declined", Verdict.SKIPPED, "", "", "", "It says no.")


class NotHere(ValueError):
    """What the stage raises where the machine cannot."""


class StandIn:
    """Stage, judge and machine."""

    def __init__(self):
        self.asked = []  # what live runs were asked for
        self.outcome: BaseException | None = None
        self.lacking = ""
        self.refused = ""
        self.claim = PASSED

    def run_live(self, scenario, seed, run_dir, options, on_status):
        self.asked.append((scenario.name, seed, options))
        on_status("a status")
        self.run(scenario, seed, run_dir, None)

    def run(self, scenario, seed, run_dir, on_progress):
        if self.outcome is not None:
            raise self.outcome
        write_document(run_dir / "world.json", b'{"schema": "fieldproof-world/1"}')

    def judge(self, run_dir, in_parallel=False):
        capsule = from_json((run_dir / "scenario.json").read_bytes(), "here")
        options = self.asked[-1][-1] if self.asked else LiveOptions()
        tier = "live" if self.asked else "virtual"
        verdict, code = overall((self.claim,))
        report = Report(
            schema=SCHEMA,
            scenario=capsule.scenario.name,
            tier=tier,
            system="reference",
            seed=capsule.seed,
            verdict=verdict,
            exit=code,
            command=command(capsule.scenario, capsule.seed, run_dir, tier, options),
            claims=(self.claim,),
            faults=(),
            ledger=LedgerSummary(0, 0, 0, 0),
            wire=(),
            log_sha256="0" * 64,
            generators_end={},
            run_dir=str(run_dir),
            seconds=0.1,
        )
        write_document(run_dir / "verdict.json", msgspec.json.encode(report))
        return report


@contextlib.contextmanager
def watch_live(scenario, stream, quiet):
    yield lambda status: None


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """The stand-in, one story, and an empty current folder."""
    stand_in = StandIn()
    modules = {
        "fieldproof.live.devices": {"refused": lambda scenario, serial: stand_in.refused},
        "fieldproof.run": {"run": stand_in.run},
        "fieldproof.judge": {"judge": stand_in.judge},
        "fieldproof.catalog.two_minutes": {"SCENARIO": MINUTES},
        "fieldproof.live.run": {"run": stand_in.run_live},
        "fieldproof.live.messages": {"NotHere": NotHere},
        "fieldproof.live.view": {"watch_live": watch_live},
        "fieldproof.live.probe": {
            "lacking": lambda needs: stand_in.lacking,
            "missing": lambda programs: "",
        },
    }
    for name, contents in modules.items():
        module = types.ModuleType(name)
        vars(module).update(contents)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(catalog, "names", lambda: ("two-minutes",))
    monkeypatch.delenv("FIELDPROOF_RUNS", raising=False)
    monkeypatch.chdir(tmp_path)
    return stand_in


def told(capsys) -> str:
    """The one sentence on standard error; standard output is empty."""
    out, err = capsys.readouterr()
    assert ("", 1) == (out, err.count("\n"))
    return err.removeprefix("fieldproof: ").rstrip("\n")


def options(*words: str) -> LiveOptions:
    """What a command line asks for."""
    return live_options(parser(ACTS).parse_args(["run", "two-minutes", *words]))


def test_the_first_tier_is_the_one_to_run_in(stage, capsys):
    """A scenario whose first tier is live runs there, with a command that says so."""
    assert 0 == main(["run", "two-minutes", "--json"])
    assert [("two-minutes", 1, LiveOptions())] == stage.asked
    report = json.loads(capsys.readouterr().out)
    assert ("live", "fieldproof run two-minutes --seed 1 --tier live") == (
        report["tier"],
        report["command"],
    )


def test_another_tier_may_be_asked_for(stage, capsys):
    """The same scenario runs in virtual time, if it has that tier, and the command says it."""
    assert 0 == main(["run", "two-minutes", "--tier", "virtual", "--json", "--quiet"])
    assert [] == stage.asked
    again = json.loads(capsys.readouterr().out)["command"]
    assert "fieldproof run two-minutes --seed 1 --tier virtual" == again


def test_the_tier_of_old_is_not_said():
    """A scenario that begins with virtual time is repeated by the command that it always had."""
    plain = msgspec.structs.replace(MINUTES, tiers=("virtual", "live"))
    assert "fieldproof run runs/x/scenario.json" == command(
        plain, 1, Path("runs/x"), "virtual", None
    )
    assert "fieldproof run runs/x/scenario.json --tier live" == command(
        plain, 1, Path("runs/x"), "live", None
    )


SAID = (
    ("--edge", "python3 my edge.py"),
    ("--center", "/bin/sh center --port 'a b'"),
    ("--backend", "packet"),
    ("--isolate", "none"),
    ("--serial", "daws=/dev/serial/by-path/usb-0:1:1.0:/dev/ttyUSB1"),
)


def test_what_is_asked_of_a_live_run_reaches_it(stage, capsys):
    """Every option is handed to the stage, and the command that repeats the run says it again."""
    words = [word for pair in SAID for word in pair]
    assert 0 == main(["run", "two-minutes", "--json", "--seed", "7", *words])
    serial = {"daws": ("/dev/serial/by-path/usb-0:1:1.0", "/dev/ttyUSB1")}
    expected = LiveOptions(SAID[0][1], SAID[1][1], "packet", "none", serial)
    assert [("two-minutes", 7, expected)] == stage.asked

    program, *again = shlex.split(json.loads(capsys.readouterr().out)["command"])
    assert "fieldproof" == program
    assert expected == live_options(parser(ACTS).parse_args(again))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--edge", ""], "argument --edge: Command '' has no word: name a program and its"),
        (["--edge", "a 'b"], 'argument --edge: Command "a \'b" cannot be split into words:'),
        (["--edge", "no-such-program x"], "argument --edge: no-such-program is no program that"),
        (["--backend", "pigeon"], "argument --backend: invalid choice: 'pigeon'"),
        (["--isolate", "yes"], "argument --isolate: invalid choice: 'yes'"),
        (["--serial", "daws=ttyUSB0:ttyUSB1"], "argument --serial: Serial ports 'daws=ttyUSB0"),
        (["--serial", "gill=/dev/a:/dev/b"], "Scenario two-minutes has no site 'gill' for --seri"),
        (["--serial", "daws=/a:/b"] * 2, "Two --serial options name the same site: say one for"),
        (["--tier", "both"], "argument --tier: invalid choice: 'both'"),
        (["--fidelity", "seconds"], "In the tier live every word crosses the line: leave --fide"),
        *(
            (["--tier", "virtual", *pair], f"{pair[0]} is of the tier live, and two-minutes runs ")
            for pair in SAID
        ),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(stage, capsys, words, sentence):
    """A wrong option, or one of the live tier in virtual time, ends with 4 before anything runs."""
    assert 4 == main(["run", "two-minutes", *words])
    assert told(capsys).startswith(sentence)
    assert not Path("runs").exists()


def test_a_machine_that_lacks_something(stage, capsys):
    """What the probe misses ends with 69 and its sentence when named, and is skipped by --all;
    `list` shows it, and virtual time does not ask."""
    stage.lacking = "socat is missing; as root: apt-get install socat."
    sentence = f"two-minutes cannot run here in the tier live: {stage.lacking}"
    assert 69 == main(["run", "two-minutes"])
    assert sentence == told(capsys)
    assert 5 == main(["run", "--all"])
    assert f"fieldproof: Skipped: {sentence}\n" in capsys.readouterr().err
    assert not Path("runs").exists()
    assert 0 == main(["list"])
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first.endswith("   live, virtual")
    assert f"  Cannot run here in the tier live: {stage.lacking}" == last
    assert 0 == main(["list", "--json"])
    (story,) = json.loads(capsys.readouterr().out)
    assert {"live": stage.lacking, "virtual": ""} == story["lacks"]
    assert 0 == main(["run", "two-minutes", "--tier", "virtual", "--quiet"])


def test_what_shows_only_on_the_way(stage, capsys):
    """A stage that finds no link ends the run with 69; with --all the others go on."""
    stage.outcome = NotHere("No link can be emulated here.")
    assert 69 == main(["run", "two-minutes"])
    assert "two-minutes cannot run here: No link can be emulated here." == told(capsys)
    assert 5 == main(["run", "--all", "--json"])
    out, err = capsys.readouterr()
    assert [] == json.loads(out)
    assert "Skipped: two-minutes cannot run here" in err


def test_an_interrupted_live_run_stays(stage, capsys):
    """Ctrl-C ends a live run with code 2 and names what is left of it."""
    stage.outcome = KeyboardInterrupt()
    assert 2 == main(["run", "two-minutes"])
    assert told(capsys).startswith("Interrupted: runs/two-minutes-0001 is incomplete")


def test_a_crashed_stage_is_a_harness_fault(stage, capsys):
    """What the stage did not foresee is code 3, in a document that names tier and command."""
    stage.outcome = RuntimeError("the pump came loose")
    assert 3 == main(["run", "two-minutes", "--json", "--backend", "tun"])
    report = json.loads(capsys.readouterr().out)
    assert ("live", "fieldproof run two-minutes --seed 1 --tier live --backend tun") == (
        report["tier"],
        report["command"],
    )


def test_a_run_that_a_system_declined(stage, capsys):
    """A skipped run ends with 5 where it is the only one, and says so."""
    stage.claim = SKIPPED
    assert 5 == main(["run", "two-minutes"])
    assert "  SKIPPED 1 of 1" in capsys.readouterr().out


def test_options_without_a_word_are_the_usual_ones():
    """Nothing said is nothing to be repeated."""
    assert LiveOptions() == options()
    assert () == options().words()
    assert () == options("--backend", "auto").words()


def test_doctor_is_asked(monkeypatch, capsys):
    """`doctor` hands its options over and ends with the code that it gets."""
    asked = []
    module = types.ModuleType("fieldproof.live.doctor")
    module.main = lambda arguments: asked.append(arguments.json) or 69
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr("fieldproof.live.doctor", module, raising=False)
    assert 69 == main(["doctor", "--json"])
    assert [True] == asked


# --- serial devices -------------------------------------------------------------------------------


@pytest.fixture
def terminals():
    """The paths of two terminals that are no pair."""
    ends = [os.openpty() for _ in range(2)]
    yield tuple(os.ttyname(theirs) for _, theirs in ends)
    for end in ends:
        for descriptor in end:
            os.close(descriptor)


def test_devices_that_are_refused_end_before_anything_starts(stage, capsys):
    """What the machine says of them is the one sentence, and the code is that of the user's."""
    stage.refused = "The serial device /dev/a is none."
    assert 4 == main(["run", "two-minutes", "--serial", "daws=/dev/a:/dev/b"])
    assert stage.refused == told(capsys)
    assert ([], False) == (stage.asked, Path("runs").exists())


def test_two_terminals_are_fine(terminals):
    """They exist, can be opened, and are two."""
    assert "" == refused(MINUTES, {"daws": terminals})


def test_what_is_no_terminal_is_refused(terminals, tmp_path):
    """A device that is missing, a file, a folder, a device of another kind, and one that stands
    for both ends are named with their site."""
    one, other = terminals
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "fifo")
    for path, why in (
        ("/dev/no-such-port", "cannot be opened (No such file or directory): name one that can."),
        ("/dev/null", "is no terminal: name one, such as /dev/ttyUSB0."),
        (str(tmp_path), "is no device: name a terminal, such as /dev/ttyUSB0."),
        (str(tmp_path / "file"), "is no device: name a terminal, such as /dev/ttyUSB0."),
        (str(tmp_path / "fifo"), "is no device: name a terminal, such as /dev/ttyUSB0."),
        (str(tmp_path / "file/x"), "cannot be opened (Not a directory): name one that can."),
    ):
        said = f"The serial device {path} that --serial names for daws {why}"
        assert said == refused(MINUTES, {"daws": (one, path)})
        assert said == refused(MINUTES, {"daws": (path, other)})
    (tmp_path / "link").symlink_to(one)
    said = refused(MINUTES, {"daws": (one, str(tmp_path / "link"))})
    assert said.endswith("for daws are one serial device: a line needs two.")


@pytest.mark.parametrize("fault", [Unplug("daws"), Cooked("daws"), XonXoff("daws")])
def test_what_only_a_pseudo_terminal_can_play_is_refused(terminals, fault):
    """Nobody can pull a real cable from here; the sentence names fault, site and way out."""
    scenario = msgspec.structs.replace(
        MINUTES, faults=(at("23:59:30", fault, until="23:59:40"), at("23:59:50", Lose("vsat")))
    )
    kind = type(fault).__name__
    assert (
        f"{kind} at 23:59:30 cannot be played on the real serial devices of daws, only on a pair "
        f"of pseudo-terminals: leave --serial daws=... out, or take a scenario without {kind}."
    ) == refused(scenario, {"daws": terminals})
    assert "" == refused(scenario, {"gill": terminals})


def test_what_a_sender_does_can_be_played_on_a_real_line(terminals):
    """Lost, bent and withheld bytes are the instrument's doing."""
    faults = (
        at("23:59:30", Garble("daws"), until="23:59:40"),
        at("23:59:30", Stall("daws"), until="23:59:40"),
        at("23:59:50", DropBytes("daws")),
        at("23:59:55", BurstLoss("daws")),
    )
    scenario = msgspec.structs.replace(MINUTES, faults=faults)
    assert "" == refused(scenario, {"daws": terminals})


# --- runs that are not over -----------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["check", "show"])
def test_a_run_in_progress_says_so(stage, capsys, verb):
    """Whoever looks at it meanwhile is told to wait, and it goes on unharmed."""
    codes = []
    run_live = stage.run_live

    def look(*asked):
        codes.append(main([verb, "two-minutes-0001"]))
        run_live(*asked)

    vars(sys.modules["fieldproof.live.run"])["run"] = look
    assert 0 == main(["run", "two-minutes", "--quiet"])
    assert [4] == codes
    assert (
        "fieldproof: Run runs/two-minutes-0001 is in progress: somebody plays or judges it now; "
        "wait for its report, or end it.\n" == capsys.readouterr().err
    )
    assert 0 == main([verb, "two-minutes-0001", "--json"])


@pytest.mark.parametrize("outcome", [KeyboardInterrupt(), RuntimeError("the stage broke")])
def test_a_run_that_was_broken_off_is_repeated_as_it_was_asked_for(stage, capsys, outcome):
    """The command that starts it again has every option of the live tier."""
    stage.outcome = outcome
    words = [word for pair in SAID for word in pair]
    assert 0 != main(["run", "two-minutes", "--seed", "7", "--quiet", *words])
    capsys.readouterr()
    assert 4 == main(["check", "two-minutes-0001"])
    program, *again = shlex.split(told(capsys).partition("`")[2].partition("`")[0])
    assert "fieldproof" == program
    asked = parser(ACTS).parse_args(again)
    assert (["runs/two-minutes-0001/scenario.json"], "live") == (asked.scenarios, asked.tier)
    assert stage.asked[0][2] == live_options(asked)
    stage.outcome = None
    assert 0 == main([*again, "--quiet"])
    assert stage.asked[0] == stage.asked[1]


def test_a_virtual_run_of_a_live_story_is_repeated_in_virtual_time(stage, capsys):
    """The tier is said where it is not the scenario's first."""
    stage.outcome = KeyboardInterrupt()
    assert 2 == main(["run", "two-minutes", "--tier", "virtual", "--quiet"])
    capsys.readouterr()
    assert 4 == main(["check", "two-minutes-0001"])
    assert told(capsys).endswith("runs/two-minutes-0001/scenario.json --tier virtual`.")
