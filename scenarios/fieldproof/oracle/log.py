"""`log.jsonl`, read once: its hash, how often each thing happened, the lines that judging needs.

    {"ns", "utc", "where", "what", ...}        a fact of the world: it happened, there
    {"ns", "utc", "by", "said", "detail"}      the words of a node: `host/node` says so

The two are kept apart, because the system under test chooses its words: no claim takes them for a
fact. What the world alone can tell of a node (`NODE_FACTS`) is a fact, with the node as its place.
"""

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
    "host died",  # a system under test ended by itself: "how"
    "node died",
    "late",  # a serial line (where: its site) or the MACHINE was, by "ms": more than usual
    "no route",
    "disk lost",
    "rotted",
    "spoofed",
    "survived",  # processes of a host ("pids") outlived what was to end them
)
"""The facts that are kept line by line; of all others only the number is."""

KEPT_WORDS = ("repaired", "quarantined")
"""What is kept, line by line, of the words of nodes."""

NODE_FACTS = ("effect failed", "node died", "datagrams dropped")
"""What the world says of nodes, and their driver of itself."""

MACHINE = "machine"
"""Where something is that concerns a whole live run."""

ANYWHERE = "*"


class Line(NamedTuple):
    """A fact, or the words of a node."""

    ns: int  # true time
    where: str  # a host, a link, or `host/node`
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
    counts: Counter[tuple[str, str]]  # facts by (what, where)
    words: Counter[tuple[str, str]]  # words of nodes by (what, `host/node`)
    lines: dict[str, tuple[Line, ...]]  # facts by what, for what is in `KEPT`
    said: dict[str, tuple[Line, ...]]  # words of nodes by what, for what is in `KEPT_WORDS`

    def times(self, what: str, where: str) -> int:
        """How often something happened at a host or link, anywhere (`*`), or at a node.

        At a node (`host/node`) its words count, but for `NODE_FACTS`; elsewhere only facts do."""
        if where == ANYWHERE:
            return sum(number for (fact, _), number in self.counts.items() if fact == what)
        is_said = "/" in where and what not in NODE_FACTS
        return (self.words if is_said else self.counts)[what, where]


def read(path: Path) -> Log:
    """Read a log. Raises ValueError for a file that cannot be read or a line that is none."""
    digest = sha256()
    facts, words = _Kept(KEPT), _Kept(KEPT_WORDS)
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    read = 0
    try:
        with path.open("rb") as file:
            for raw in file:
                read += 1
                digest.update(raw)
                line = decode(raw)
                if "said" in line:
                    words.add(Line(int(line["ns"]), line["by"], line["said"], line["detail"]))
                else:
                    facts.add(Line(int(line["ns"]), line["where"], line["what"], line))
    except (KeyError, TypeError, ValueError, msgspec.DecodeError):
        raise ValueError(f"{path}, line {read}, is not a line of a run's log.") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from None
    return Log(digest.hexdigest(), facts.counts, words.counts, facts.by_what(), words.by_what())


class _Kept:
    """Lines of one sort while they are read."""

    def __init__(self, kinds: tuple[str, ...]) -> None:
        self.counts = Counter[tuple[str, str]]()
        self._lines: dict[str, list[Line]] = {what: [] for what in kinds}

    def add(self, line: Line) -> None:
        self.counts[line.what, line.where] += 1
        if line.what in self._lines:
            self._lines[line.what].append(line)

    def by_what(self) -> dict[str, tuple[Line, ...]]:
        return {what: tuple(lines) for what, lines in self._lines.items()}


def short_hash(data: bytes) -> str:
    """How the log names a payload: the first 16 hexadecimal digits of its SHA-256."""
    return sha256(data).hexdigest()[:16]
