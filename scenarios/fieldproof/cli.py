"""The command line: `fieldproof list | run | check | show | table | doctor`.

Standard output holds what was asked for, and with `--json` exactly one document; progress, errors
and everything else go to standard error. Whatever the user can get wrong ends in one sentence and
exit code 4, whatever the harness gets wrong in one line and exit code 3. Nothing that is stored
is ever deleted or, by a run that fails, overwritten.
"""

import argparse
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import NamedTuple

import msgspec

from fieldproof import catalog, console
from fieldproof.arguments import AUTO, UsageError, command, live_options, parser
from fieldproof.options import LIVE, Asked, LiveOptions
from fieldproof.progress import watch
from fieldproof.scenario import Scenario
from fieldproof.store import RunStore, StoreError, read_capsule, read_report
from fieldproof.tiers import lacks, misplaced
from fieldproof.verdict import SCHEMA, ClaimResult, Exit, LedgerSummary, Report, Verdict
from fieldproof.wellformed import MalformedScenario

PRECEDENCE = (
    Exit.HARNESS_FAULT,
    Exit.FAIL,
    Exit.MACHINE_UNDECIDED,
    Exit.PASS,
    Exit.NOTHING,  # of a run that a system declined
)


class MachineLacksError(ValueError):
    """A scenario cannot run here. The text is one sentence for the user."""


THEIRS = (UsageError, StoreError, catalog.UnknownScenario, MalformedScenario)
"""Errors of the user's, as opposed to the harness's."""


class Job(NamedTuple):
    """One scenario to run, with its seed, and how."""

    scenario: Scenario
    seed: int
    tier: str
    options: LiveOptions  # as by default in virtual time


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one command line (without the program's name) and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without these signs is no error
    verbose = True
    try:
        arguments = parser(ACTS).parse_args(argv)
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
                    "lacks": {tier: lacks(scenario, tier) for tier in scenario.tiers},
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
            try:
                reports.append(_run_one(job, store, arguments))
            except MachineLacksError as error:
                if not arguments.all:
                    raise
                _tell(f"Skipped: {error}")
    finally:  # what was judged before an interruption is printed all the same
        if arguments.json and (several or reports):
            _write_json(reports if several else reports[0])
    codes = [report.exit for report in reports]
    return next((code for code in PRECEDENCE if code in codes), Exit.NOTHING)


def _jobs(arguments: argparse.Namespace) -> list[Job]:
    """What is to be run; all of it is looked up and checked before any of it begins."""
    if arguments.all and arguments.scenarios:
        raise UsageError("Name the scenarios to run, or all of them by --all, but not both.")
    if not arguments.all and not arguments.scenarios:
        raise UsageError("Name the scenarios to run (`fieldproof list` shows them), or say --all.")
    from fieldproof.plan import check  # brings numpy and simpy along

    jobs = []
    for name in arguments.scenarios or catalog.names():
        job = _job(name, arguments)
        is_elsewhere = arguments.all and job.tier not in job.scenario.tiers
        if skipped := misplaced(job.scenario, job.tier) if is_elsewhere else "":
            _tell(f"Skipped: {skipped}")
            continue
        check(job.scenario, job.tier)
        if lacking := lacks(job.scenario, job.tier):
            sentence = f"{name} cannot run here in the tier {job.tier}: {lacking}"
            if not arguments.all:
                raise MachineLacksError(sentence)
            _tell(f"Skipped: {sentence}")
            continue
        jobs.append(job)
    return jobs


def _job(name: str, arguments: argparse.Namespace) -> Job:
    """What a name stands for, and how it is to be run."""
    if name.endswith(".json"):
        capsule = catalog.read(Path(name))
        scenario, usual_seed = capsule.scenario, capsule.seed
    else:
        scenario, usual_seed = catalog.load(name), 1
    seed = usual_seed if arguments.seed is None else arguments.seed
    tier = next(iter(scenario.tiers), "") if arguments.tier == AUTO else arguments.tier
    options = live_options(arguments)
    if tier == LIVE and arguments.fidelity == "seconds":
        raise UsageError(f"In the tier {LIVE} every word crosses the line: leave --fidelity out.")
    if tier != LIVE and (said := options.words()):
        raise UsageError(
            f"{said[0]} is of the tier {LIVE}, and {name} runs in {tier or 'none'}: add --tier "
            f"{LIVE}, or leave it out."
        )
    if unknown := options.serial.keys() - {site.name for site in scenario.sites}:
        raise UsageError(f"Scenario {name} has no site {min(unknown)!r} for --serial.")
    if options.serial:
        from fieldproof.live.devices import refused  # it looks at the machine

        if wrong := refused(scenario, options.serial):
            raise UsageError(wrong)
    if arguments.fidelity:
        scenario = msgspec.structs.replace(scenario, fidelity=arguments.fidelity)
    return Job(scenario, seed, tier, options)


def _run_one(job: Job, store: RunStore, arguments: argparse.Namespace) -> Report:
    """Run, judge and report one scenario. A crash is reported too, as a harness fault."""
    scenario, seed = job.scenario, job.seed
    run_dir = store.new(scenario, seed, Asked(job.tier, job.options))
    try:
        with store.holding(run_dir):
            return _judged(job, run_dir, store, arguments)
    except KeyboardInterrupt:
        ran = (run_dir / "world.json").exists()
        state = "is not judged yet" if ran else "is incomplete (it has no world.json)"
        raise KeyboardInterrupt(f"Interrupted: {run_dir} {state}; it stays as it is.") from None


def _judged(job: Job, run_dir: Path, store: RunStore, arguments: argparse.Namespace) -> Report:
    from fieldproof.judge import judge

    scenario, seed = job.scenario, job.seed
    try:
        _play(job, run_dir, arguments.quiet)
        report = judge(run_dir, in_parallel=True)
    except MachineLacksError:
        raise
    except Exception as error:
        _tell_fault(f"{scenario.name}, seed {seed}, in {run_dir}: ", error, arguments.verbose)
        return _crashed(job, run_dir, error)
    store.complete(run_dir)
    if not arguments.json:
        _write_report(report, scenario, run_dir)
    return report


def _play(job: Job, run_dir: Path, quiet: bool) -> None:
    """Let the scenario happen. Raises MachineLacksError where that only shows on the way."""
    if job.tier != LIVE:
        from fieldproof.run import run

        with watch(job.scenario, sys.stderr, quiet) as show:
            run(job.scenario, job.seed, run_dir, show)
        return
    from fieldproof.live.messages import NotHere
    from fieldproof.live.run import run as run_live
    from fieldproof.live.view import watch_live

    try:
        with watch_live(job.scenario, sys.stderr, quiet) as on_status:
            run_live(job.scenario, job.seed, run_dir, job.options, on_status)
    except NotHere as error:
        raise MachineLacksError(f"{job.scenario.name} cannot run here: {error}") from None


def _crashed(job: Job, run_dir: Path, error: Exception) -> Report:
    """The document for a run that has no verdict of its own; it is printed, never stored."""
    claim = ClaimResult(
        "harness", Verdict.UNDECIDED, "no fault", type(error).__name__, "", str(error), True
    )
    return Report(
        schema=SCHEMA,
        scenario=job.scenario.name,
        tier=job.tier,
        system="reference" if job.options == LiveOptions() else "a system under test",
        seed=job.seed,
        verdict=Verdict.UNDECIDED,
        exit=Exit.HARNESS_FAULT,
        command=command(job.scenario, job.seed, run_dir, job.tier, job.options),
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


# --- doctor --------------------------------------------------------------------------------------


def _doctor(arguments: argparse.Namespace) -> int:
    from fieldproof.live import doctor  # it looks at the machine

    return doctor.main(arguments)


# --- table ---------------------------------------------------------------------------------------


def _table(arguments: argparse.Namespace) -> int:
    from fieldproof.live.messages import NotHere
    from fieldproof.tables import command as tables  # it brings the whole live tier along

    try:
        return tables.main(arguments)
    except NotHere as error:
        raise MachineLacksError(str(error)) from None


ACTS = {
    "list": _list,
    "run": _run,
    "check": _check,
    "show": _show,
    "table": _table,
    "doctor": _doctor,
}
"""What each verb does."""


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
