"""What the machine shows of a run from outside: processes, sockets, namespaces, mounts, links.

Everything is read in /proc, by pid and start time, so that nothing is taken for the run's that only
bears its number.
"""

import os
import time
from pathlib import Path
from typing import NamedTuple

from fieldproof_simulators.machines.live import proc
from fieldproof_simulators.machines.live.runtime import base_folder

PROC = Path("/proc")
KINDS = ("net", "pid", "mnt", "user")
WILDCARDS = ("00000000", "0" * 32)
LISTENING = {"tcp": "0A", "tcp6": "0A", "udp": "07", "udp6": "07"}
"""By table in /proc/PID/net: the state of a socket that whoever likes can speak to."""

SETTLED_S = 0.5
LOOK_S = 0.02
UP_S = 60.0
"""How long the nodes of a run may take to open their ports on a busy machine."""


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
    handles: tuple[int, ...]  # to the namespaces: a number in use is given to no other


def look(pid: int, hosts: int) -> Seen:
    """A process and all below it, as soon as neither their number nor what they listen on changes
    any more, and at least so many of them listen. After `UP_S`, as it then is."""
    processes, sockets = tree(pid), []
    since_s = begun_s = time.monotonic()
    while time.monotonic() < since_s + SETTLED_S and time.monotonic() < begun_s + UP_S:
        time.sleep(LOOK_S)
        before, processes = (processes.keys(), sockets), tree(pid)
        sockets = [
            (process, table, local)
            for process in processes
            for table, local in _sockets(process.pid)
        ]
        is_up = len({process for process, _, _ in sockets}) >= hosts
        if not is_up or before != (processes.keys(), sockets):
            since_s = time.monotonic()
    places = _namespaces(processes)
    foreign = places.keys() - _namespaces([OURSELVES]).keys()
    handles = tuple(os.open(places[name], os.O_RDONLY | os.O_CLOEXEC) for name in foreign)
    runtime = _runtime(pid)
    within = runtime.rglob("*") if runtime else ()
    return Seen(
        processes,
        frozenset(foreign),
        tuple(
            f"{table} {local} of {processes[process]}"
            for process, table, local in sockets
            if local.partition(":")[0] in WILDCARDS
        ),
        len(sockets),
        runtime,
        tuple(path for path in within if path.is_symlink()),
        handles,
    )


def tree(pid: int) -> dict[Process, str]:
    """A process and all below it."""
    everyone = {known.pid: known for known in proc.everyone() if known.state not in proc.ENDED}
    found, more = {}, [pid]
    while more:
        mother = everyone.get(more.pop())
        if mother is not None:
            found[Process(mother.pid, mother.start_ticks)] = _words(mother.pid)
            more += [known.pid for known in everyone.values() if known.parent_pid == mother.pid]
    return found


def alive(processes) -> list[Process]:
    """Those that have not ended."""
    now = {Process(known.pid, known.start_ticks): known.state for known in proc.everyone()}
    return [each for each in processes if now.get(each, proc.ENDED) not in proc.ENDED]


def in_use(seen: Seen) -> set[str]:
    """Namespaces of the run that any process is in."""
    everyone = [Process(known.pid, known.start_ticks) for known in proc.everyone()]
    return set(seen.namespaces & _namespaces(everyone).keys())


def forget(seen: Seen) -> None:
    """Let go of the namespaces."""
    for handle in seen.handles:
        os.close(handle)


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


def _words(pid: int) -> str:
    try:
        words = (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return ""
    return " ".join(word.decode(errors="replace") for word in words[:5] if word)


def _namespaces(processes) -> dict[str, Path]:
    """The namespaces that these processes are in, and where one can open them."""
    found = {}
    for each in processes:
        for kind in KINDS:
            place = PROC / (str(each.pid) if each.pid else "self") / "ns" / kind
            try:
                found[str(place.readlink())] = place
            except OSError:
                continue  # it has ended
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
