"""Notes that grow: one JSON object a line, in files by tree and UTC day.

    flags/2006/01/17/daws.jsonl         provenance/2006/01/17/daws.jsonl

A note is appended and becomes durable some time later. What a crash left of a line is cut off at
the next start (`mended`), before anything is written behind it.
"""

import json
from collections.abc import Mapping, Sequence

from fieldproof_contract import SECOND_NS, Append, DiskView, Effects, Now, Truncate
from fieldproof_reference.formats.days import DAY_S, day_text

MEMORY_DAYS = 31
"""How far back a center looks at a start: our assumption, a month."""


def note(path: str, detail: Mapping[str, str | int | Sequence[str]]) -> Append:
    """One more line."""
    return Append(path, json.dumps(detail).encode() + b"\n")


def mended(disk: DiskView, tree: str, now: Now) -> Effects:
    """Cut off half lines of the last month's notes in a tree."""
    today = now.utc_ns // (DAY_S * SECOND_NS)
    effects: Effects = ()
    for day in range(today - MEMORY_DAYS, today + 2):
        for path in disk.listing(f"{tree}/{day_text(day, '%Y/%m/%d')}/"):
            if path.endswith(".jsonl"):
                lines = disk.read(path)
                end = lines.rfind(b"\n") + 1
                effects += (Truncate(path, end),) if end < len(lines) else ()
    return effects
