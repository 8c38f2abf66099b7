"""The command line: `fieldproof list | run | check | show`.

Standard output holds what was asked for, and with `--json` exactly one document; progress, errors
and everything else go to standard error. Whatever the user can get wrong ends in one sentence and
exit code 4, whatever the harness gets wrong in one line and exit code 3. Nothing that is stored
is ever deleted or, by a run that fails, overwritten.
"""

import argparse
import importlib.metadata
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import NamedTuple, NoReturn

import msgspec

from fieldproof import catalog, console
from fieldproof.progress import watch
from fieldproof.scenario import Scenario
from fieldproof.store import RunStore, StoreError, read_capsule, read_report
from fieldproof.verdict import SCHEMA, ClaimResult, Exit, LedgerSummary, Report, Verdict
from fieldproof.wellformed import TIER, MalformedScenario, lacks

DESCRIPTION = """\
Run a field site, its link and its center through trouble, and prove that every
byte the instrument measured arrived, or name the bytes that died and why.
"""

EPILOG = """\
exit codes, the first that applies of 3, 1, 75, 0 where several scenarios ran:
   0  every claim holds
   1  a claim does not hold
   2  interrupted; what was stored before stays
   3  the harness itself failed, so there is no verdict
   4  the command, a scenario or a stored run cannot be used as given
   5  nothing was selected, or everything was skipped
  69  this machine or version lacks what the scenario needs
  75  undecided because of the machine; the only code worth a retry

Runs are stored under ./runs, or where --runs or $FIELDPROOF_RUNS says.
"""

PRECEDENCE = (Exit.HARNESS_FAULT, Exit.FAIL, Exit.MACHINE_UNDECIDED, Exit.PASS)


class UsageError(ValueError):
    """The command line cannot be carried out. The text is one sentence for the user."""


class MachineLacksError(ValueError):
    """A scenario cannot run here. The text is one sentence for the user."""


THEIRS = (UsageError, StoreError, catalog.UnknownScenario, MalformedScenario)
"""Errors of the user's, as opposed to the harness's."""


class Job(NamedTuple):
    """One scenario to run, with its seed."""

    scenario: Scenario
    seed: int


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one command line (without the program's name) and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without these signs is no error
    verbose = True
    try:
        arguments = _parser().parse_args(argv)
        verbose = arguments.verbose
        code: int = arguments.act(arguments)
        sys.stdout.flush()
    except THEIRS as error:
        _tell(str(error))
        return Exit.USAGE
    except MachineLacksError as error:
        _tell(str(error))
        return Exit.MACHINE_LACKS
    except KeyboardInterrupt as interrupt:
        _tell(str(interrupt) or "Interrupted.")
        return Exit.INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.INTERRUPTED
    except Exception as error:
        _tell_fault("", error, verbose)
        return Exit.HARNESS_FAULT
    return code


# --- arguments -----------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; `{self.prog} --help` shows what can be said.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="fieldproof",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    version = importlib.metadata.version(parser.prog)
    parser.add_argument("--version", action="version", version=f"%(prog)s {version}")
    parser.set_defaults(act=_no_command, verbose=False)
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND")

    every = _Parser(add_help=False)
    every.add_argument("--json", action="store_true", help="print one JSON document")
    every.add_argument(
        "-v", "--verbose", action="store_true", help="show where the harness failed, if it does"
    )
    stored = _Parser(add_help=False)
    stored.add_argument("--runs", metavar="DIR", type=Path, help="the folder that holds the runs")

    _add_verb(verbs, "list", _list, "show the scenarios", every)
    _add_run(_add_verb(verbs, "run", _run, "run scenarios and judge them", every, stored))
    check = _add_verb(verbs, "check", _check, "judge a stored run again", every, stored)
    show = _add_verb(verbs, "show", _show, "print the report of a stored run", every, stored)
    for verb in (check, show):
        verb.add_argument("run", metavar="RUN", help="a run's name, its directory, or `latest`")
    show.add_argument(
        "--unit",
        metavar="SITE:TIME",
        help="the fate of one record instead, such as daws:2006-01-17T16:23:05",
    )
    return parser


def _add_verb(
    verbs: "argparse._SubParsersAction[_Parser]",
    name: str,
    act: Callable[[argparse.Namespace], int],
    text: str,
    *parents: "_Parser",
) -> argparse.ArgumentParser:
    verb = verbs.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + ".", parents=parents
    )
    verb.set_defaults(act=act)
    return verb


def _add_run(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "scenarios", metavar="NAME", nargs="*", help="a scenario's name, or a scenario.json"
    )
    verb.add_argument("--all", action="store_true", help="run every scenario")
    verb.add_argument(
        "--seed",
        metavar="N",
        type=_seed,
        help="a number, or a commit id of 40 hex digits; otherwise that of scenario.json, or 1",
    )
    verb.add_argument(
        "--fidelity",
        choices=("words", "seconds"),
        help="send every A/D word over the serial line, or whole seconds (much faster)",
    )
    verb.add_argument("--quiet", action="store_true", help="show no progress")


def _seed(text: str) -> int:
    if re.fullmatch(r"[0-9a-fA-F]{40}", text):
        return int(text, 16)
    if re.fullmatch(r"[0-9]{1,39}", text):
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor 40 hex digits")


def _no_command(arguments: argparse.Namespace) -> NoReturn:
    raise UsageError("Say what to do: list, run, check or show; `fieldproof --help` explains them.")


# --- list ----------------------------------------------------------------------------------------


def _list(arguments: argparse.Namespace) -> int:
    scenarios = [catalog.load(name) for name in catalog.names()]
    if not scenarios:
        _tell("There is no scenario in the catalog.")
        return Exit.NOTHING
    if arguments.json:
        _write_json(
            [
                {
                    "name": scenario.name,
                    "story": scenario.story,
                    "starts": scenario.starts,
                    "lasts": scenario.lasts,
                    "sites": [site.name for site in scenario.sites],
                    "faults": len(scenario.faults),
                    "tiers": scenario.tiers,
                    "needs": scenario.needs,
                    "lacks": lacks(scenario),
                    "fidelity": scenario.fidelity,
                }
                for scenario in scenarios
            ]
        )
    else:
        sys.stdout.write(console.render_list(scenarios))
    return Exit.PASS


# --- run -----------------------------------------------------------------------------------------


def _run(arguments: argparse.Namespace) -> int:
    jobs = _jobs(arguments)
    if not jobs:
        _tell("Nothing was run: no scenario was left to run.")
        return Exit.NOTHING
    store = RunStore(arguments.runs)
    reports: list[Report] = []
    several = arguments.all or len(arguments.scenarios) > 1
    try:
        for job in jobs:
            reports.append(_run_one(job, store, arguments))
    finally:  # what was judged before an interruption is printed all the same
        if arguments.json and (several or reports):
            _write_json(reports if several else reports[0])
    return next(code for code in PRECEDENCE if code in [report.exit for report in reports])


def _jobs(arguments: argparse.Namespace) -> list[Job]:
    """What is to be run; all of it is looked up and checked before any of it begins."""
    if arguments.all and arguments.scenarios:
        raise UsageError("Name the scenarios to run, or all of them by --all, but not both.")
    if not arguments.all and not arguments.scenarios:
        raise UsageError("Name the scenarios to run (`fieldproof list` shows them), or say --all.")
    from fieldproof.plan import check  # brings numpy and simpy along

    jobs = []
    for name in arguments.scenarios or catalog.names():
        scenario, seed = _lookup(name, arguments.seed)
        if lacking := lacks(scenario):
            sentence = f"{name} needs {lacking}."
            if not arguments.all:
                raise MachineLacksError(sentence)
            _tell(f"Skipped: {sentence}")
            continue
        if arguments.fidelity:
            scenario = msgspec.structs.replace(scenario, fidelity=arguments.fidelity)
        check(scenario)
        jobs.append(Job(scenario, seed))
    return jobs


def _lookup(name: str, seed: int | None) -> Job:
    if name.endswith(".json"):
        capsule = catalog.read(Path(name))
        return Job(capsule.scenario, capsule.seed if seed is None else seed)
    return Job(catalog.load(name), 1 if seed is None else seed)


def _run_one(job: Job, store: RunStore, arguments: argparse.Namespace) -> Report:
    """Run, judge and report one scenario. A crash is reported too, as a harness fault."""
    from fieldproof.judge import judge
    from fieldproof.run import run

    scenario, seed = job
    run_dir = store.new(scenario, seed)
    try:
        with watch(scenario, sys.stderr, arguments.quiet) as show:
            run(scenario, seed, run_dir, show)
        report = judge(run_dir, in_parallel=True)
    except KeyboardInterrupt:
        ran = (run_dir / "world.json").exists()
        state = "is not judged yet" if ran else "is incomplete (it has no world.json)"
        raise KeyboardInterrupt(f"Interrupted: {run_dir} {state}; it stays as it is.") from None
    except Exception as error:
        _tell_fault(f"{scenario.name}, seed {seed}, in {run_dir}: ", error, arguments.verbose)
        return _crashed(job, run_dir, error)
    store.complete(run_dir)
    if not arguments.json:
        _write_report(report, scenario, run_dir)
    return report


def _crashed(job: Job, run_dir: Path, error: Exception) -> Report:
    """The document for a run that has no verdict of its own; it is printed, never stored."""
    from fieldproof.systems.reference import Reference

    claim = ClaimResult(
        "harness", Verdict.UNDECIDED, "no fault", type(error).__name__, "", str(error), True
    )
    return Report(
        schema=SCHEMA,
        scenario=job.scenario.name,
        tier=TIER,
        system=Reference().name,
        seed=job.seed,
        verdict=Verdict.UNDECIDED,
        exit=Exit.HARNESS_FAULT,
        command=catalog.command(job.scenario, job.seed, run_dir),
        claims=(claim,),
        faults=(),
        ledger=LedgerSummary(0, 0, 0, 0),
        wire=(),
        log_sha256="",
        generators_end={},
        run_dir=str(run_dir),
        seconds=0.0,
    )


# --- check and show ------------------------------------------------------------------------------


def _check(arguments: argparse.Namespace) -> int:
    from fieldproof.judge import judge

    store = RunStore(arguments.runs)
    run_dir = store.open(arguments.run)
    with _evidence(run_dir, "judged", arguments.verbose):
        report = judge(run_dir, in_parallel=True)
    store.complete(run_dir)
    _print_report(report, run_dir, arguments.json)
    return report.exit


@contextmanager
def _evidence(run_dir: Path, use: str, verbose: bool) -> Iterator[None]:
    """What a stored run does not bear is the run's fault: StoreError, not a harness fault."""
    try:
        yield
    except StoreError:
        raise
    except (ValueError, OSError) as error:
        if verbose:
            traceback.print_exc()
        raise StoreError(f"Run {run_dir} cannot be {use}: {error}") from None


def _show(arguments: argparse.Namespace) -> int:
    run_dir = RunStore(arguments.runs).open(arguments.run)
    if arguments.unit is None:
        _print_report(read_report(run_dir), run_dir, arguments.json)
        return Exit.PASS
    from fieldproof import trace  # its decoders bring numpy along

    with _evidence(run_dir, "read", arguments.verbose):
        fate = trace.fate(run_dir, arguments.unit)
    if arguments.json:
        _write_json(fate)
    else:
        sys.stdout.write(trace.render(fate))
    return Exit.PASS


# --- output --------------------------------------------------------------------------------------


def _print_report(report: Report, run_dir: Path, as_json: bool) -> None:
    if as_json:
        _write_json(report)
    else:
        _write_report(report, read_capsule(run_dir).scenario, run_dir)


def _write_report(report: Report, scenario: Scenario, run_dir: Path) -> None:
    sys.stdout.write(console.render(report, scenario, run_dir, _may_colour()))
    sys.stdout.flush()  # the next scenario may take minutes


def _write_json(document: object) -> None:
    text = msgspec.json.format(msgspec.json.encode(document), indent=1).decode()
    sys.stdout.write(text + "\n")


def _may_colour() -> bool:
    """Colour only on a terminal that understands it, and never against NO_COLOR (no-color.org)."""
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return wanted and sys.stdout.isatty()


def _tell(sentence: str) -> None:
    sys.stderr.write(f"fieldproof: {sentence}\n")


def _tell_fault(where: str, error: Exception, verbose: bool) -> None:
    if verbose:
        traceback.print_exception(error)
    hint = "" if verbose else " (-v shows where)"
    text = " ".join(str(error).split())  # one line, whatever the exception says
    _tell(f"{where}the harness failed with {type(error).__name__}: {text}{hint}")
