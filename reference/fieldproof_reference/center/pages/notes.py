"""Counts what the notes beside the archive say: provenance, quarantine, flags.

Provenance and quarantine only grow, and are read on from where they were left, `STEP_BYTES` at a
time. A day's flags may be written anew, and are read whole, as far as `MOST_FLAG_BYTES`. Names in
notes are cut, and beyond `MOST_NAMES` of a kind they are counted together, so that memory is
bounded; what is no note is passed over.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from fieldproof_contract import DiskView
from fieldproof_reference.center import SiteDay, flags, provenance
from fieldproof_reference.formats.days import day_text

STEP_BYTES = 1 << 16
MOST_FLAG_BYTES = 1 << 18
MOST_NAMES = 32
LONGEST_NAME = 60
OTHERS = "others"


@dataclass(slots=True)
class Told:
    """What the provenance of a site's day says."""

    records: int = 0
    size: int = 0
    methods: dict[str, None] = field(default_factory=dict)
    utc_ns: int | None = None
    proven: bool = False
    reopened: int = 0
    unconfirmed: int = 0


@dataclass(slots=True)
class Flagged:
    """What the flags of a site's day say."""

    size: int = 0  # of the file that was read
    lines: int = 0
    names: Counter[str] = field(default_factory=Counter)


class Notes:
    """The counts; see the head of this file."""

    def __init__(self, disk: DiskView, methods: Mapping[str, str]) -> None:
        """`methods`: how each site is reconciled, for notes that do not say it."""
        self._disk = disk
        self._methods = methods
        self._ends: dict[str, int] = {}
        self.told: dict[SiteDay, Told] = {}
        self.flagged: dict[SiteDay, Flagged] = {}
        self.reasons: dict[int, Counter[str]] = {}  # by day

    def add_provenance(self, case: SiteDay) -> bool:
        """Read on in a day's provenance; whether there is more of it."""
        path = provenance.path_of(case)
        lines = self._lines(path)
        for line in lines.splitlines():
            self._tell(self.told.setdefault(case, Told()), case.site, _note(line))
        return self._has_more(path, lines)

    def add_quarantine(self, day: int) -> bool:
        """Read on in a day's quarantine; whether there is more of it."""
        path = f"quarantine/{day_text(day, '%Y/%m/%d')}/provenance.jsonl"
        lines = self._lines(path)
        for line in lines.splitlines():
            _count(self.reasons.setdefault(day, Counter()), _text(_note(line).get("reason")))
        return self._has_more(path, lines)

    def read_flags(self, case: SiteDay, *, again: bool) -> None:
        """Read a day's flags, if they have another size than before, or `again`."""
        path = flags.flags_path(case)
        size = self._disk.size(path) or 0
        before = self.flagged.get(case)
        if not again and size == (before.size if before else 0):
            return
        lines = self._disk.read(path, 0, MOST_FLAG_BYTES).splitlines() if size else []
        found = self.flagged[case] = Flagged(size, len(lines))
        for line in lines:
            names = _note(line).get("flags")
            for name in names if isinstance(names, list) else ():
                _count(found.names, _text(name))

    def forget(self, before: int) -> None:
        """Days before this one are no matter any more."""
        for of_case in (self.told, self.flagged):
            for case in [case for case in of_case if case.day < before]:
                of_case.pop(case)
        for day in [day for day in self.reasons if day < before]:
            del self.reasons[day]
        oldest = day_text(max(0, before), "%Y/%m/%d")
        for path in [path for path in self._ends if path.partition("/")[2] < oldest]:
            del self._ends[path]

    def _lines(self, path: str) -> bytes:
        """The next whole lines of a file; b"" where one is longer than a step, which is skipped."""
        size, end = self._disk.size(path), self._ends.get(path, 0)
        if size is None or size <= end:
            return b""
        lines = self._disk.read(path, end, STEP_BYTES)
        whole = lines.rfind(b"\n") + 1
        self._ends[path] = end + (len(lines) if not whole and len(lines) == STEP_BYTES else whole)
        return lines[:whole]

    def _has_more(self, path: str, lines: bytes) -> bool:
        return bool(lines) and self._ends[path] < (self._disk.size(path) or 0)

    def _tell(self, told: Told, site: str, note: Mapping[str, object]) -> None:
        what = note.get("what")
        if what == "restored":
            told.records += _number(note.get("items"))
            told.size += _number(note.get("bytes"))
            if len(told.methods) < MOST_NAMES:
                told.methods[_text(note.get("method")) or self._methods[site]] = None
        elif what in ("confirmed", "reopened"):
            told.proven = what == "confirmed"
            told.reopened += what == "reopened"
        elif what == "unconfirmed":
            told.unconfirmed += 1
        told.utc_ns = max(told.utc_ns or 0, _number(note.get("utc_ns"))) or None


def _note(line: bytes) -> Mapping[str, object]:
    try:
        note = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return note if isinstance(note, dict) else {}


def _text(value: object) -> str:
    return value[:LONGEST_NAME] if isinstance(value, str) else ""


def _number(value: object) -> int:
    """A count or a time; what is none is 0."""
    return value if isinstance(value, int) and 0 <= value < 1 << 63 else 0


def _count(counter: Counter[str], name: str) -> None:
    counter[name if name in counter or len(counter) < MOST_NAMES else OTHERS] += 1
