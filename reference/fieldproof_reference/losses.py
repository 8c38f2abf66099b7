"""The command `fieldproof-center losses PATH`: what is missing in a tree of index files, and why.

    fieldproof-center losses /data                                a whole archive
    fieldproof-center losses /data/udp/2005/12 --site daws        a month of a station
    fieldproof-center losses udp/2006/01/17 --listing             `wc -l`, as in 2006
    fieldproof-center losses /data --day 2006-01-17 --hours --json

PATH is an archive, its `udp`, or any folder below that. Nothing but index files needs to be there:
`.dat` files tell sites and duplicates, `receiver/` tells when the receiver was down, `quarantine/`
what was kept out, and the event log of a live center (`--events`) what its kernel dropped. All of
it is only read. Exit codes: 0 a report, 4 a bad call.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from fieldproof_contract import SECOND_NS
from fieldproof_reference.center import beats, losses_text
from fieldproof_reference.center.causes import Drop, Receiver
from fieldproof_reference.center.losses import Heard, Table, table
from fieldproof_reference.formats.days import DAY_S, day_number, day_text
from fieldproof_reference.rawtree import (
    BadCall,
    Days,
    Found,
    base_of,
    content,
    day_of,
    days_of,
    find,
    heard,
    month_of,
)

BAD_CALL = 4

DROPPED = "datagrams dropped"
"""The fact of a driver's event log: `port`, `datagrams` since the last such fact, `utc_s`."""

_DAY_NS = DAY_S * SECOND_NS


class _Parser(argparse.ArgumentParser):
    """Ends a bad call as the programs do."""

    def error(self, message: str) -> NoReturn:
        """One sentence."""
        self.exit(BAD_CALL, f"{self.prog}: {message}; see --help.\n")


def losses(argv: Sequence[str] | None = None, now: Callable[[], int] = time.time_ns) -> int:
    """`fieldproof-center losses`; its exit code. `now`: UTC, nanoseconds."""
    parser = _parser()
    asked = parser.parse_args(argv)
    try:
        _report(asked, now())
    except BadCall as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        return BAD_CALL
    return 0


def _parser() -> _Parser:
    parser = _Parser(
        "fieldproof-center losses",
        description="What is missing in a tree of index files, and whose fault that was.",
        allow_abbrev=False,
    )
    parser.add_argument("path", type=Path, help="an archive, its udp folder, a month, a day")
    parser.add_argument("--site", metavar="NAME", help="one station: its site, or its address")
    parser.add_argument("--port", type=int, metavar="N", help="what came to one port")
    when = parser.add_mutually_exclusive_group()
    when.add_argument("--month", metavar="YYYY-MM")
    when.add_argument("--day", metavar="YYYY-MM-DD")
    parser.add_argument("--hours", action="store_true", help="a row for each hour")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--listing", action="store_true", help="only what `wc -l` would print")
    form.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument(
        "--events", type=Path, action="append", default=[], metavar="FILE", help="of a live center"
    )
    return parser


def _report(asked: argparse.Namespace, now_ns: int) -> None:
    base = base_of(asked.path)
    days = _days(asked, base)
    found = [one for one in find(base, days) if asked.port in (None, one.port)]
    inside = [one for one in found if days is None or days.first <= one.day < days.end]
    if not inside:
        raise BadCall(
            f"{asked.path} holds no index file of that time and port: give a folder that has "
            "YYYY/MM/DD/source/utHH_port.idx below it."
        )
    first = days.first if days else min(one.day for one in inside)
    archive = _archive(inside[0])
    everything = heard(inside, [one for one in found if one.day < first], _quarantined(archive))
    said, known = _marks(archive, days, first)
    drops = tuple(drop for path in asked.events for drop in _drops(path))

    def receiver(came_ns: Sequence[int], from_ns: int, until_ns: int) -> Receiver:
        down, since_ns = beats.downtimes(said, came_ns, from_ns, until_ns, known)
        return Receiver(down, since_ns, drops)

    _say(asked, table(everything, _span(days, now_ns), receiver), everything)


def _say(asked: argparse.Namespace, report: Table, everything: Sequence[Heard]) -> None:
    wanted = everything if asked.site is None else _of_site(everything, report, asked.site)
    notes = _notes(report)
    if asked.listing:
        text = "".join(losses_text.listing(one) for one in wanted)
    elif asked.json:
        document = losses_text.document(report, wanted, notes, asked.site)
        text = json.dumps(document, indent=1) + "\n"
    else:
        text = losses_text.report(report, wanted, asked.hours, notes, asked.site)
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:  # who reads has seen enough, as `head` does; the exit would flush again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _days(asked: argparse.Namespace, base: Path) -> Days | None:
    """The days that are asked for. Raises BadCall."""
    try:
        if asked.month is not None:
            return month_of(asked.month)
        return day_of(asked.day) if asked.day is not None else days_of(base)
    except ValueError:
        raise BadCall("Give a month as YYYY-MM, and a day as YYYY-MM-DD.") from None


def _span(days: Days | None, now_ns: int) -> tuple[int | None, int | None]:
    """The time in question, which ends now if it has not ended; whatever came, without days."""
    if days is None:
        return None, None
    return days.first * _DAY_NS, max(days.first * _DAY_NS, min(days.end * _DAY_NS, now_ns))


def _of_site(everything: Sequence[Heard], report: Table, site: str) -> list[Heard]:
    """What came from one station. Raises BadCall where there is none of that name."""
    streams = [each for each in report.streams if site == each.name or site in each.addresses]
    if not streams:
        names = ", ".join(sorted({each.name for each in report.streams}))
        raise BadCall(f"No station is called {site} here: there are {names or 'none'}.")
    pairs = {(address, each.port) for each in streams for address in each.addresses}
    return [one for one in everything if (one.address, one.port) in pairs]


def _notes(report: Table) -> list[str]:
    """By what the causes were told."""
    since_ns, (from_ns, _) = report.known_since_ns, report.span_ns
    notes = []
    if since_ns is not None:
        notes.append("When the receiver was down is told by its own notes (receiver/).")
    if since_ns is None or since_ns > from_ns:
        until = "" if since_ns is None else f" until {day_text(since_ns // _DAY_NS)}"
        notes.append(
            f"There are no notes of the receiver{until}, and a station alone does not tell its "
            "network from the server."
            if report.is_lone
            else f"There are no notes of the receiver{until}: it is taken to have been down where "
            "a minute brought no datagram from any station."
        )
    return notes


# --- beside the raw tree ---


def _archive(file: Found) -> Path:
    """Where `udp` lies, and so what else the center writes."""
    root = Path(file.root)
    return root.parent if root.name == "udp" else root


def _quarantined(archive: Path) -> frozenset[str]:
    """The SHA-256 of everything that the center has kept out."""
    notes = sorted((archive / "quarantine").glob("*/*/*/provenance.jsonl"))
    objects = (each for path in notes for each in _objects(path))
    return frozenset(str(each.get("sha256")) for each in objects)


def _marks(archive: Path, days: Days | None, first: int) -> tuple[list[beats.Mark], bool]:
    """What the receiver said in these days, and whether it had said something before them."""
    said: list[beats.Mark] = []
    known = False
    for path in sorted((archive / beats.FOLDER).glob("*/*/*.jsonl")):
        try:
            day = day_number("-".join((*path.parts[-3:-1], path.stem)))
        except ValueError:
            continue
        known = known or day < first
        if first - 1 <= day and (days is None or day <= days.end):
            said += beats.marks(content(path) or b"")
    return said, known


def _drops(path: Path) -> Iterator[Drop]:
    """What a live center's kernel dropped. Raises BadCall."""
    if not path.is_file():
        raise BadCall(f"{path} is no file: give the event log of a live center.")
    for each in _objects(path):
        match each:
            case {
                "fact": fact,
                "detail": {"port": int(port), "datagrams": int(dropped), "utc_s": int(utc_s)},
            } if fact == DROPPED and dropped > 0:
                yield Drop(utc_s * SECOND_NS, port, dropped)


def _objects(path: Path) -> Iterator[dict[str, object]]:
    """The JSON objects of a file's lines; what is none is passed over."""
    for line in (content(path) or b"").split(b"\n"):
        with suppress(ValueError, RecursionError):
            each = json.loads(line)
            if isinstance(each, dict):
                yield each
