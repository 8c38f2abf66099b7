"""What a center's notes say of a site's day, in `provenance/2006/01/17/daws.jsonl`, and what stands
for a day that is proven.

    {"what": "restored", "after_s": 86340, "before_s": 86400}   between these seconds of the day
    {"what": "confirmed", "digest": "63585..."}                 the day is the edge's
    {"what": "reopened"}                                        it may be another now
    {"what": "hour proven", "hour": 315972, "sha256": "..."}    an hour, counted from 1970
    {"what": "hour reopened", "hour": 315972}

The digest of a day is the SHA-256 over its hour files in the order of their names: of each its
name, NUL, its size as 64 bits little-endian, and its content.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Any, NamedTuple

from fieldproof.oracle import foreign

DAY_S, HOUR_S = 86_400, 3600
_MOST_HOUR = (1 << 32) // HOUR_S  # of a time that a record could have


class Notes(NamedTuple):
    """Of one day."""

    stretches: tuple[tuple[float, float], ...]  # seconds of the day after and before what came
    digest: str | None  # of the day, if it is called proven; "" for one that nobody can read
    proven: dict[int, str]  # SHA-256 of each hour that is called proven, by hour since 1970
    compared: frozenset[int | None]  # hours that ever were, None for the day as a whole

    def covers(self, second: int) -> bool:
        """Whether a stretch has this second of the day in it."""
        return any(after <= second <= before for after, before in self.stretches)

    def touch(self, hour_utc_s: int) -> bool:
        """Whether anything was restored in this hour, or it was ever proven: it need not hold what
        the raw tree gives alone."""
        begins_s = hour_utc_s % DAY_S
        return not self.compared.isdisjoint({None, hour_utc_s // HOUR_S}) or any(
            after < begins_s + HOUR_S and begins_s <= before for after, before in self.stretches
        )


NONE = Notes((), None, {}, frozenset())


def read(data: bytes | None) -> Notes:
    """The notes of a file; none where there is no file."""
    if data is None:
        return NONE
    stretches: list[tuple[float, float]] = []
    digest: str | None = None
    proven: dict[int, str] = {}
    compared: set[int | None] = set()
    for line in foreign.notes(data).lines:
        match line:
            case {"what": "restored", "after_s": after, "before_s": before}:
                pair = foreign.number(after), foreign.number(before)
                if pair[0] is not None and pair[1] is not None:
                    stretches.append((pair[0], pair[1]))
            case {"what": "confirmed"}:
                digest = _text(line, "digest")
                compared.add(None)
            case {"what": "reopened"}:
                digest = None
            case {"what": "hour proven", "hour": int(hour)} if 0 <= hour < _MOST_HOUR:
                proven[hour] = _text(line, "sha256")
                compared.add(hour)
            case {"what": "hour reopened", "hour": int(hour)}:
                proven.pop(hour, None)
    return Notes(tuple(stretches), digest, proven, frozenset(compared))


def day_digest(files: Iterable[tuple[str, bytes]]) -> str:
    """What stands for a day's hour files (base name, content), in hexadecimal digits."""
    whole = sha256()
    for name, content in sorted(files):
        whole.update(name.encode() + b"\0" + len(content).to_bytes(8, "little"))
        whole.update(content)
    return whole.hexdigest()


def _text(line: dict[str, Any], key: str) -> str:
    value = line.get(key)
    return value if isinstance(value, str) else ""
