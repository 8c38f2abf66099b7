"""The log of a live run, put together at its end from what each process wrote of its own.

    facts of the stage, the pump and the player      they happened: {"ns", "where", "what", ...}
    event logs of the systems under test             words: {"ns", "by", "said", "detail"}, and what
                                                     only a node's driver can know: {"fact": ...}

The log is in the order of true time, as in the virtual tier. What a system writes is bounded and
believed as words alone; of facts it can state `NODE_FACTS`, of nodes on its own host. A line that
is none is counted: a process that is killed leaves half a line. So is a file that is none: the
system makes it, and may as well make a fifo.
"""

import json
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from fieldproof.oracle.log import NODE_FACTS
from fieldproof_simulators.machines.clock import TrueUtc, iso
from fieldproof_simulators.world import EventLog

MOST_EVENT_BYTES = 1 << 24
"""What is read of one system's event log."""

MOST_NUMBER = 2**63 - 1
"""What whoever reads the log can hold."""

RESERVED = frozenset({"ns", "utc", "where", "what", "by", "said", "fact", "detail"})
"""Keys by which the log tells facts from words: nobody's details may have them."""


class Entry(NamedTuple):
    """One line to be; facts have no `by`."""

    ns: int  # true time
    place: str  # where, or by whom
    what: str
    detail: dict[str, str | int]
    is_said: bool


class Merged(NamedTuple):
    """The outcome of a merge."""

    sha256: str
    unreadable: int  # lines of systems' event logs that are none


def merge(
    log: Path,
    utc: TrueUtc,
    facts: Iterable[Entry],
    events: Iterable[tuple[str, Path]],
    began_ns: int,
    ends_ns: int,
) -> Merged:
    """Write `log` from facts and from the event logs of hosts (name, path). `began_ns` is the
    machine's monotonic clock at true time 0; nothing happens after true time `ends_ns`."""
    entries = list(facts)
    unreadable = 0
    for host, path in events:
        for entry in read_events(host, path, began_ns):
            if entry is None or not 0 <= entry.ns <= ends_ns:
                unreadable += 1
            else:
                entries.append(entry)
    entries.sort(key=lambda entry: entry.ns)
    written = EventLog(log)
    for ns, place, what, detail, is_said in entries:
        write = written.said if is_said else written.fact
        write(ns, iso(utc.at(ns)), place, what, detail)
    return Merged(written.close(), unreadable)


def read_facts(path: Path) -> Iterator[Entry]:
    """The facts that a process of ours wrote. Raises ValueError where one is not as it should be,
    but for a half line at the end: such a process may be killed, too."""
    lines = path.read_bytes().split(b"\n") if path.exists() else [b""]
    for line in lines[:-1]:
        fact = json.loads(line)
        detail = {key: value for key, value in fact.items() if key not in ("ns", "where", "what")}
        yield Entry(fact["ns"], fact["where"], fact["what"], detail, False)


def read_events(host: str, path: Path, began_ns: int) -> Iterator[Entry | None]:
    """What a system on `host` wrote to its event log; None for each line that is none."""
    try:
        data = _content(path)
    except FileNotFoundError:
        return
    except OSError:
        yield None
        return
    for line in filter(None, data.split(b"\n")):
        yield _event(host, line, began_ns)


def _content(path: Path) -> bytes:
    """What is read of a regular file. Raises OSError where it is none, and never waits."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    descriptor = os.open(path, flags)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is no regular file.")
        return os.read(descriptor, MOST_EVENT_BYTES)
    finally:
        os.close(descriptor)


def _event(host: str, line: bytes, began_ns: int) -> Entry | None:
    try:
        event = json.loads(line)
        ns, by = event["ns"] - began_ns, event["by"]
        is_said = "said" in event
        what = event["said" if is_said else "fact"]
        detail = _detail(event.get("detail", {}))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    is_typed = isinstance(by, str) and isinstance(what, str) and isinstance(ns, int)
    if not is_typed or by.partition("/")[0] != host or not (is_said or what in NODE_FACTS):
        return None
    return Entry(ns, by, what, detail, is_said)


def _detail(detail: object) -> dict[str, str | int]:
    """Raises ValueError for what is no set of details."""
    if not isinstance(detail, dict) or RESERVED & detail.keys():
        raise ValueError("this is no set of details")
    for value in detail.values():
        if not isinstance(value, str | int):
            raise ValueError("a detail is neither text nor an integer")
        if isinstance(value, int) and abs(value) > MOST_NUMBER:
            raise ValueError("a detail is larger than any number of the log")
    return detail
