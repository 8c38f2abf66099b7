"""What /proc says about processes: who is whose, since when, in what state, at what cost.

A pid alone names nobody: the kernel gives it to another process later. Pid, start time, PID
namespace and boot together name one process for good (`Identity`).

A mark is an entry of the environment that no other process has by chance. Children inherit it
through setsid and double forks; only a program that wipes its own environment loses it.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PF_FORKNOEXEC = 0x40  # linux/sched.h
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
STOPPED, ENDED = "Tt", "ZX"
"""States of /proc/PID/stat: by a signal or a debugger; dead, waited for or not."""


LOOKS = 2
"""Who looks for processes with a mark until there are none has to find none so often in a row: a
process that is just becoming another program has no environment for a moment."""


class Stat(NamedTuple):
    """One process, of /proc/PID/stat (proc(5))."""

    pid: int
    state: str
    parent_pid: int
    group: int
    session: int
    utime_ticks: int
    """In user mode, with children that it has waited for."""
    stime_ticks: int
    """In the kernel, with children that it has waited for."""
    start_ticks: int
    """Since boot."""
    rss_bytes: int


class Identity(NamedTuple):
    """One process, and never another one."""

    pid: int
    start_ticks: int
    namespace: str
    """The PID namespace that `pid` is of, as /proc/self/ns/pid has it."""
    boot: str
    """The kernel's id of this boot."""


def netns(pid: int) -> int | None:
    """Which network namespace a process is in, by its inode; None where that cannot be seen."""
    try:
        return (PROC / str(pid) / "ns" / "net").stat().st_ino
    except OSError:
        return None


def family(pid: int) -> list["Stat"]:
    """A process and its descendants: those that were not left to another parent meanwhile."""
    found, coming = [], [pid]
    while coming:
        known = stat(coming.pop())
        if known is None:
            continue
        found.append(known)
        coming += children(known.pid)
    return found


def children(pid: int) -> list[int]:
    """The children of a process, also those that have ended and are not waited for; the oldest
    first, unless it has started some in other threads."""
    found: list[int] = []
    listed: list[str] = []
    with suppress(OSError), os.scandir(PROC / str(pid) / "task") as threads:
        listed += [f"{thread.path}/children" for thread in threads]
    for path in listed:
        with suppress(OSError):  # it ended meanwhile
            found += map(int, _content(path).split())
    return found


def has_become_a_program(pid: int) -> bool:
    """Whether a process, which is not waited for, has become another program since its start."""
    return not int(_fields(pid)[6]) & PF_FORKNOEXEC


def words_at(pid: int) -> tuple[int, int]:
    """Where the words of a process's command line begin and end in its memory."""
    fields = _fields(pid)
    return int(fields[45]), int(fields[46])


def below(pid: int) -> list["Stat"]:
    """The descendants of a process."""
    return [known for known in family(pid) if known.pid != pid]


def parse_stat(text: str) -> Stat:
    """The content of a stat file. The program's name is between the first "(" and the last ")" and
    may hold anything. Raises ValueError or IndexError for anything else than a stat file."""
    pid, rest = text.split(" ", 1)
    field = [pid, "", *rest[rest.rindex(")") + 1 :].split()]
    return Stat(
        pid=int(pid),
        state=field[2],
        parent_pid=int(field[3]),
        group=int(field[4]),
        session=int(field[5]),
        utime_ticks=int(field[13]) + int(field[15]),
        stime_ticks=int(field[14]) + int(field[16]),
        start_ticks=int(field[21]),
        rss_bytes=int(field[23]) * PAGE_BYTES,
    )


def stat(pid: int) -> Stat | None:
    """A process, also one that has ended and is not waited for; None if there is none."""
    return _stat(PROC / str(pid) / "stat")


def everyone() -> Iterator[Stat]:
    """All processes of our PID namespace."""
    for folder in PROC.iterdir():
        if folder.name.isdecimal() and (known := _stat(folder / "stat")):
            yield known


def bears(pid: int, mark: str) -> bool:
    """Whether the environment of a process has the entry `mark` ("NAME=value"). False also where
    it may not be read, or is gone."""
    if not mark:
        return False
    try:
        return mark.encode() in (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def threads_are(states: str, pid: int) -> bool:
    """Whether every thread of a process is in one of these states, or there is no such process."""
    threads = (_stat(path) for path in (PROC / str(pid) / "task").glob("*/stat"))
    return all(thread is None or thread.state in states for thread in threads)


def identity(pid: int) -> Identity | None:
    """Who has this pid now; None if nobody has, or only a process that has ended."""
    known = stat(pid)
    if known is None or known.state in ENDED:
        return None
    return Identity(pid, known.start_ticks, str((PROC / "self/ns/pid").readlink()), _boot())


def send(pid: int, start_ticks: int, number: int) -> bool:
    """Sends a signal to the process that has this pid since then, and to no other one; whether it
    was there. Raises PermissionError."""
    with suppress(ProcessLookupError):
        pidfd = os.pidfd_open(pid)  # from here on the number cannot come to mean another process
        try:
            known = stat(pid)
            if known is not None and known.start_ticks == start_ticks:
                signal.pidfd_send_signal(pidfd, number)
                return True
        finally:
            os.close(pidfd)
    return False


def _fields(pid: int) -> list[bytes]:
    """What stands behind the name in a stat file. Raises OSError."""
    return _content(f"{PROC}/{pid}/stat").rpartition(b")")[2].split()


def _content(path: str) -> bytes:
    """A file of /proc, with as little ado as can be: a keeper's memory is a copy of ours, and grows
    by what it touches. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = iter(lambda: os.read(descriptor, 4096), b"")
        return b"".join(parts)
    finally:
        os.close(descriptor)


def _stat(path: Path) -> Stat | None:
    """A stat file, of a process or a thread; None if it is gone."""
    try:
        return parse_stat(path.read_text(errors="replace"))
    except OSError:
        return None


@cache
def _boot() -> str:
    """The id of this boot."""
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()
