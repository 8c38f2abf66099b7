"""`fieldproof doctor`: what this machine can run, what it cannot, why, and what to do about it.

Everything is tried (`doctor_probes.py`), which takes a few seconds. Exit 0, whatever is missing;
with `--require`, 69 where one of the named things is.
"""

import argparse
import importlib.metadata
import sys
from collections.abc import Iterator, Mapping
from typing import TextIO

import msgspec
from msgspec import Struct

from fieldproof.live.capabilities import CAPABILITIES, NAMES, Capability, Probe
from fieldproof.verdict import Exit

SCHEMA = "fieldproof-doctor/1"
WIDTH = 100


class Finding(Struct, frozen=True):
    """A capability and what became of it."""

    name: str
    is_there: bool
    is_required: bool
    found: str
    used_for: str
    without: str
    fix: str


class Diagnosis(Struct, frozen=True):
    """The document of `--json`."""

    schema: str
    fieldproof: str  # version
    capabilities: tuple[Finding, ...]
    missing_required: tuple[str, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command, but for `--json`, which every command has."""
    parser.add_argument(
        "--require",
        metavar="A,B",
        type=_names,
        default=(),
        help=f"exit 69 unless all of these are there: {', '.join(NAMES)}",
    )


def main(arguments: argparse.Namespace) -> int:
    """Carry out the command; `arguments` has `json` and `require`."""
    from fieldproof.live.doctor_probes import examine

    diagnosis = diagnose(examine())
    if arguments.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(diagnosis)).decode() + "\n")
    else:
        show(diagnosis, sys.stdout)
    missing = [
        f.name for f in diagnosis.capabilities if f.name in arguments.require and not f.is_there
    ]
    if missing:
        sys.stderr.write(f"fieldproof: This machine lacks {', '.join(missing)}.\n")
        return Exit.MACHINE_LACKS
    return Exit.PASS


def diagnose(probes: Mapping[str, Probe]) -> Diagnosis:
    """The findings, in the order of the table."""
    findings = tuple(_finding(capability, probes[capability.name]) for capability in CAPABILITIES)
    missing = tuple(f.name for f in findings if f.is_required and not f.is_there)
    return Diagnosis(SCHEMA, importlib.metadata.version("fieldproof"), findings, missing)


def show(diagnosis: Diagnosis, stream: TextIO) -> None:
    """A table of all, and below it what is missing and how to get it."""
    from rich.console import Console  # slow to import
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    console = Console(file=stream, emoji=False, highlight=False, width=_width(stream))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("", "capability", "", "found", "used for"):
        table.add_column(heading)
    for each in diagnosis.capabilities:
        mark = Text("ok", "green") if each.is_there else Text(*_mark(each))
        need = "required" if each.is_required else "optional"
        table.add_row(mark, each.name, need, Text(each.found), Text(each.used_for))
    with console.capture() as capture:
        console.print(Text(_head(diagnosis), "bold"))
        console.print(Padding(table, (0, 0, 0, 2)))
        for line in _missing(diagnosis):
            console.print(Text(line))
    stream.write("".join(f"{line.rstrip()}\n" for line in capture.get().splitlines()))


def _mark(finding: Finding) -> tuple[str, str]:
    return ("MISSING", "red") if finding.is_required else ("no", "yellow")


def _width(stream: TextIO) -> int | None:
    """Of a terminal, its own."""
    return None if stream.isatty() else WIDTH


def _head(diagnosis: Diagnosis) -> str:
    there = sum(finding.is_there for finding in diagnosis.capabilities)
    missing = ", ".join(diagnosis.missing_required) or "nothing"
    return (
        f"fieldproof {diagnosis.fieldproof}   {there} of {len(diagnosis.capabilities)} capabilities"
        f"   missing although required: {missing}"
    )


def _missing(diagnosis: Diagnosis) -> Iterator[str]:
    for each in diagnosis.capabilities:
        if not each.is_there:
            yield f"  without {each.name}: {each.without}."
            if each.fix:
                yield f"    {each.fix}"


def _finding(capability: Capability, probe: Probe) -> Finding:
    return Finding(
        capability.name,
        probe.is_there,
        capability.is_required,
        probe.found,
        capability.used_for,
        capability.without,
        "" if probe.is_there else probe.fix,
    )


def _names(text: str) -> tuple[str, ...]:
    names = tuple(filter(None, text.split(",")))
    unknown = [name for name in names if name not in NAMES]
    if unknown or not names:
        raise argparse.ArgumentTypeError(
            f"{text!r} does not name capabilities; known are {', '.join(NAMES)}"
        )
    return names
