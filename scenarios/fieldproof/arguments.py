"""What can be said on the command line, and the command that says how a run was made. Everything
that is wrong with a command line is a UsageError."""

import argparse
import importlib.metadata
import re
import shlex
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

from fieldproof import catalog
from fieldproof.live.doctor import add_arguments as add_doctor
from fieldproof.options import (
    BACKENDS,
    ISOLATIONS,
    TIERS,
    Asked,
    LiveOptions,
    command_line,
    serial_ports,
)
from fieldproof.scenario import Scenario

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

AUTO = "auto"

Act = Callable[[argparse.Namespace], int]
"""Carries out a verb; returns the exit code."""


class UsageError(ValueError):
    """The command line cannot be carried out. The text is one sentence for the user."""


TABLES = ("reconcile",)
"""The comparisons that can be measured: the ways to make days whole, side by side."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; `{self.prog} --help` shows what can be said.")


def parser(acts: Mapping[str, Act]) -> argparse.ArgumentParser:
    """The whole of it; `acts` says what each verb does."""
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

    def add(name: str, text: str, *parents: _Parser) -> argparse.ArgumentParser:
        said = text[0].upper() + text[1:] + "."
        verb = verbs.add_parser(name, help=text, description=said, parents=parents)
        verb.set_defaults(act=acts[name])
        return verb

    add("list", "show the scenarios", every)
    run = add("run", "run scenarios and judge them", every, stored)
    _add_run(run)
    _add_live(run.add_argument_group("the live tier"))
    check = add("check", "judge a stored run again", every, stored)
    show = add("show", "print the report of a stored run", every, stored)
    for verb in (check, show):
        verb.add_argument("run", metavar="RUN", help="a run's name, its directory, or `latest`")
    show.add_argument(
        "--unit",
        metavar="SITE:TIME",
        help="the fate of one record instead, such as daws:2006-01-17T16:23:05",
    )
    table = add("table", "measure a comparison anew, in runs of its own", every, stored)
    table.add_argument("name", metavar="NAME", choices=TABLES, help=", ".join(TABLES))
    table.add_argument("--seed", metavar="N", type=_seed, help="as of a run; otherwise 1")
    doctor = add("doctor", "say what this machine can run, and how to mend what it cannot", every)
    add_doctor(doctor)
    return parser


def _add_run(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "scenarios", metavar="NAME", nargs="*", help="a scenario's name, or a scenario.json"
    )
    verb.add_argument("--all", action="store_true", help="run every scenario")
    verb.add_argument(
        "--tier",
        choices=(*TIERS, AUTO),
        default=AUTO,
        help="simulated time, or real time and real processes; otherwise the scenario's first",
    )
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


def _add_live(group: "argparse._ArgumentGroup") -> None:
    for role in ("edge", "center"):
        group.add_argument(
            f"--{role}", metavar="CMD", type=_command, help=f"the {role} to test, instead of ours"
        )
    group.add_argument(
        "--backend",
        choices=BACKENDS,
        default=BACKENDS[0],
        help="what carries the links; otherwise the first that works here",
    )
    group.add_argument(
        "--isolate",
        choices=ISOLATIONS,
        default=ISOLATIONS[0],
        help="whether hosts get namespaces of their own; otherwise if they can",
    )
    group.add_argument(
        "--serial",
        metavar="SITE=INSTRUMENT_DEVICE:EDGE_DEVICE",
        type=_serial,
        action="append",
        default=[],
        help="real serial devices for a site; may be said for several",
    )


def live_options(arguments: argparse.Namespace) -> LiveOptions:
    """What was said of the live tier. Raises UsageError for a site that has two pairs of ports."""
    serial = dict(arguments.serial)
    if len(serial) < len(arguments.serial):
        raise UsageError("Two --serial options name the same site: say one for each.")
    edge, center = arguments.edge or "", arguments.center or ""
    return LiveOptions(edge, center, arguments.backend, arguments.isolate, serial)


def command(
    scenario: Scenario, seed: int, run_dir: Path, tier: str, options: LiveOptions | None
) -> str:
    """The command that repeats a run: the catalog's, with the tier and what was asked of it."""
    words = Asked(tier, options or LiveOptions()).words(scenario.tiers)
    return " ".join((catalog.command(scenario, seed, run_dir), *map(shlex.quote, words)))


def _seed(text: str) -> int:
    if re.fullmatch(r"[0-9a-fA-F]{40}", text):
        return int(text, 16)
    if re.fullmatch(r"[0-9]{1,39}", text):
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor 40 hex digits")


def _command(text: str) -> str:
    """A command as it was given, if it is one."""
    try:
        program = command_line(text)[0]
        if shutil.which(program) is None:
            raise ValueError(f"{program} is no program that can be started from here")
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).removesuffix(".")) from None
    return text


def _serial(text: str) -> tuple[str, tuple[str, str]]:
    try:
        return serial_ports(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).removesuffix(".")) from None


def _no_command(arguments: argparse.Namespace) -> NoReturn:
    raise UsageError(
        "Say what to do: list, run, check, show or doctor; `fieldproof --help` explains them."
    )
