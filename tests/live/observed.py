"""What the machine shows of a run from outside: processes, sockets, namespaces, mounts, links.

Everything is read in /proc, by pid and start time, so that nothing is taken for the run's that only
bears its number.
"""

import time
from pathlib import Path
from typing import NamedTuple

from fieldproof_simulators.machines.live.runtime import base_folder

PROC = Path("/proc")
KINDS = ("net", "pid", "mnt", "user")
WILDCARDS = ("00000000", "0" * 32)
LISTENING = {"tcp": "0A", "tcp6": "0A", "udp": "07", "udp6": "07"}
"""By table in /proc/PID/net: the state of a socket that whoever likes can speak to."""

SETTLED_S = 0.5
LOOK_S = 0.02


class Process(NamedTuple):
    """One process, and never another one."""

    pid: int
    start_ticks: int


OURSELVES = Process(0, 0)


class Seen(NamedTuple):
    """A run as it was when all of it was up."""

    processes: dict[Process, str]  # and what was called
    namespaces: frozenset[str]  # which are not our own
    open_to_all: tuple[str, ...]  # sockets on a wildcard address: table, local address, program
    sockets: int  # that were looked at
    runtime: Path | None  # the run's folder for what is not to stay
    links: tuple[Path, ...]  # in it, to terminals


def look(pid: int) -> Seen:
    """A process and all below it, as soon as their number does not change any more."""
    processes = tree(pid)
    since_s = time.monotonic()
    while time.monotonic() < since_s + SETTLED_S:
        time.sleep(LOOK_S)
        before, processes = processes, tree(pid)
        if before.keys() != processes.keys():
            since_s = time.monotonic()
    sockets = [
        (table, local, called)
        for process, called in processes.items()
        for table, local in _sockets(process.pid)
    ]
    runtime = _runtime(pid)
    within = runtime.rglob("*") if runtime else ()
    return Seen(
        processes,
        frozenset(_namespaces(processes) - _namespaces([OURSELVES])),
        tuple(
            f"{table} {local} of {called}"
            for table, local, called in sockets
            if local.partition(":")[0] in WILDCARDS
        ),
        len(sockets),
        runtime,
        tuple(path for path in within if path.is_symlink()),
    )


def tree(pid: int) -> dict[Process, str]:
    """A process and all below it."""
    everyone = {}
    for folder in PROC.iterdir():
        if folder.name.isdecimal() and (known := _stat(int(folder.name))):
            everyone[int(folder.name)] = known
    found, more = {}, [pid]
    while more:
        mother = more.pop()
        if mother in everyone:
            start_ticks, _ = everyone[mother]
            found[Process(mother, start_ticks)] = _words(mother)
            more += [child for child, (_, parent) in everyone.items() if parent == mother]
    return found


def alive(processes) -> list[Process]:
    """Those that have not ended."""
    return [each for each in processes if (_stat(each.pid) or (0, 0))[0] == each.start_ticks]


def in_use(namespaces: frozenset[str]) -> set[str]:
    """Those namespaces that any process is in."""
    pids = [int(folder.name) for folder in PROC.iterdir() if folder.name.isdecimal()]
    return set(namespaces & _namespaces([Process(pid, 0) for pid in pids]))


def mounts(of: str) -> list[str]:
    """The machine's mounts whose place or source has this text in it."""
    lines = (PROC / "self/mountinfo").read_text().splitlines()
    return [line for line in lines if of in line]


def _runtime(pid: int) -> Path | None:
    """The runtime folder that a harness says is its own."""
    for owner in base_folder().glob("*/owner"):
        try:
            if f'"pid":{pid},' in owner.read_text():
                return owner.parent
        except OSError:
            continue  # it has been removed
    return None


def _stat(pid: int) -> tuple[int, int] | None:
    """Start time and parent; None for nobody, or a process that has ended."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    field = text[text.rindex(")") + 2 :].split()
    return None if field[0] in "ZX" else (int(field[19]), int(field[1]))


def _words(pid: int) -> str:
    try:
        words = (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return ""
    return " ".join(word.decode(errors="replace") for word in words[:5] if word)


def _namespaces(processes) -> set[str]:
    names = [str(each.pid) if each.pid else "self" for each in processes]
    found = set()
    for name in names:
        for kind in KINDS:
            try:
                found.add(str((PROC / name / "ns" / kind).readlink()))
            except OSError:
                continue
    return found


def _sockets(pid: int) -> list[tuple[str, str]]:
    """The sockets of a process that hear anybody: table and local address, as the kernel has it."""
    own = set()
    found = []
    try:
        for link in (PROC / str(pid) / "fd").iterdir():
            target = str(link.readlink())
            if target.startswith("socket:["):
                own.add(target[8:-1])
        for table, state in LISTENING.items():
            path = PROC / str(pid) / "net" / table
            for line in path.read_text().splitlines()[1:] if path.exists() else ():
                field = line.split()
                if field[9] in own and field[3] == state:
                    found.append((table, field[1]))
    except OSError:
        pass  # it has ended meanwhile
    return found
