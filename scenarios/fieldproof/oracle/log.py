"""`log.jsonl`, read once: its hash, how often each thing happened, the lines that judging needs."""

from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

KEPT = (
    "lost",
    "corrupted",
    "duplicated",
    "host down",
    "node died",
    "disk lost",
    "rotted",
    "repaired",
    "quarantined",
)
"""What is kept line by line; of everything else only the number of lines is."""


class Line(NamedTuple):
    """One event."""

    ns: int  # true time
    where: str
    what: str
    detail: dict[str, Any]

    def text(self, key: str) -> str:
        """A detail as text; empty where it is missing."""
        return str(self.detail.get(key, ""))

    def number(self, key: str) -> int:
        """A detail that is an integer; -1 where it is missing."""
        value = self.detail.get(key)
        return value if isinstance(value, int) else -1


class Log(NamedTuple):
    """The log of a run."""

    sha256: str
    counts: Counter[tuple[str, str]]  # lines by (what, where)
    lines: dict[str, tuple[Line, ...]]  # by what, for what is in `KEPT`


def read(path: Path) -> Log:
    """Read a log. Raises ValueError for a file that cannot be read or a line that is none."""
    digest, counts = sha256(), Counter[tuple[str, str]]()
    kept: dict[str, list[Line]] = {what: [] for what in KEPT}
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    read = 0
    try:
        with path.open("rb") as file:
            for raw in file:
                read += 1
                digest.update(raw)
                detail = decode(raw)
                ns, where, what = int(detail["ns"]), str(detail["where"]), str(detail["what"])
                counts[what, where] += 1
                if what in kept:
                    kept[what].append(Line(ns, where, what, detail))
    except (KeyError, TypeError, ValueError, msgspec.DecodeError):
        raise ValueError(f"{path}, line {read}, is not a line of a run's log.") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from None
    return Log(digest.hexdigest(), counts, {what: tuple(lines) for what, lines in kept.items()})


def short_hash(data: bytes) -> str:
    """How the log names a payload: the first 16 hexadecimal digits of its SHA-256."""
    return sha256(data).hexdigest()[:16]
