"""`fieldproof table NAME`: measure a comparison anew, print it, and leave it beside its runs."""

import argparse
import itertools
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

from fieldproof.live.messages import NotHere
from fieldproof.options import LIVE
from fieldproof.store import RunStore, write_document
from fieldproof.tables.reconcile import CASES, METHODS, Row, Table, measured, scenario
from fieldproof.tables.text import markdown
from fieldproof.tiers import lacks
from fieldproof.verdict import Exit, Verdict


def main(arguments: argparse.Namespace) -> int:
    """Carry out the verb; its exit code. Raises NotHere where this machine cannot."""
    stories = [scenario(case, method) for case in CASES for method in METHODS]
    if lacking := next(filter(None, (lacks(story, LIVE) for story in stories)), ""):
        raise NotHere(f"The table cannot be measured here: {lacking}")
    store = RunStore(arguments.runs)
    folder = _folder(store.root, arguments.name)
    table = measured(store, arguments.seed or 1, _told)
    text, document = markdown(table), msgspec.json.format(msgspec.json.encode(table))
    (folder / "table.md").write_text(text)
    write_document(folder / "table.json", document)
    _draw(table, folder / "table.png")
    sys.stdout.write(f"{document.decode()}\n" if arguments.json else text)
    sys.stderr.write(f"{folder}/ holds it as table.md and table.json.\n")
    verdicts = {row.verdict for row in table.rows}
    if Verdict.FAIL.value in verdicts:
        return Exit.FAIL
    return Exit.PASS if verdicts == {Verdict.PASS.value} else Exit.MACHINE_UNDECIDED


def _folder(root: Path, name: str) -> Path:
    """A folder of its own, numbered as runs are."""
    root.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        folder = root / f"table-{name}-{number:04d}"
        with suppress(FileExistsError):
            folder.mkdir()
            return folder
    raise AssertionError("There is always a next number.")


def _told(row: Row) -> None:
    said = f"{row.case} by {row.method}: {row.all_bytes} IP bytes, {row.seconds} s, {row.verdict}"
    sys.stderr.write(f"{said}\n")


def _draw(table: Table, path: Path) -> None:
    try:
        from fieldproof.tables.plot import draw

        draw(table, path)
        sys.stderr.write(f"{path} shows it.\n")
    except ImportError:
        sys.stderr.write("There is no picture of it: pip install fieldproof[plots].\n")
