"""Undoes what a run has started and left: processes, links, mounts, control groups.

Whoever calls this holds the folder's lock: its run is dead or is this one. What does not exist any
more needs no undoing and no word.
"""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from fieldproof_simulators.machines.live import ledger, mounts, proc

KILL_S = 10.0
LOOK_EVERY_S = 0.002
CGROUPS = Path("/sys/fs/cgroup")


class Undone(NamedTuple):
    """What was undone, and what could not be; one sentence each."""

    done: list[str]
    left: list[str]


def undo(folder: Path) -> Undone:
    """Undoes what the ledger of a runtime folder says, and unmounts what is mounted in it."""
    undone = Undone([], [])
    entries = list(ledger.read(folder))
    _end_processes([entry for entry in entries if isinstance(entry, ledger.Process)], undone)
    for entry in entries:
        if isinstance(entry, ledger.Link):
            _remove_link(entry, undone)
    recorded = [Path(entry.path) for entry in entries if isinstance(entry, ledger.Mount)]
    _unmount(folder, recorded, undone)
    for entry in reversed(entries):
        if isinstance(entry, ledger.Cgroup):
            _remove_cgroup(Path(entry.path), undone)
    return undone


def _end_processes(recorded: Sequence[ledger.Process], undone: Undone) -> None:
    """Kills the recorded processes and all that bear their marks, and waits until they are gone."""
    give_up_s = time.monotonic() + KILL_S
    told: set[int] = set()
    empty_looks = 0 if recorded else proc.LOOKS
    while empty_looks < proc.LOOKS:
        left = list(_alive(recorded))
        empty_looks = 0 if left else empty_looks + 1
        for known in left:
            if proc.send(known.pid, known.start_ticks, signal.SIGKILL) and known.pid not in told:
                told.add(known.pid)
                undone.done.append(f"killed process {known.pid}")
        if left and time.monotonic() > give_up_s:
            pids = ", ".join(str(known.pid) for known in left)
            undone.left.append(f"Process {pids} was killed and is still there; look at its disk.")
            return
        time.sleep(LOOK_EVERY_S)


def _alive(recorded: Sequence[ledger.Process]) -> Iterator[proc.Stat]:
    """Those of the recorded processes that run, and what they started."""
    me = proc.identity(os.getpid())
    if me is None:
        return
    here = [entry for entry in recorded if (entry.namespace, entry.boot) == me[2:]]
    known_as = {(entry.pid, entry.start_ticks) for entry in here}
    marks = [entry.mark for entry in here if entry.mark]
    for known in proc.everyone():
        if known.pid == me.pid or known.state in proc.ENDED:
            continue
        is_recorded = (known.pid, known.start_ticks) in known_as
        if is_recorded or any(proc.bears(known.pid, mark) for mark in marks):
            yield known


def _remove_link(entry: ledger.Link, undone: Undone) -> None:
    """Removes a link if it is still the one that was made."""
    path = Path(entry.path)
    try:
        if str(path.readlink()) != entry.target:
            return
        path.unlink()
        undone.done.append(f"removed link {path}")
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        if path.is_symlink():  # else it is somebody's file, which took the place of the link
            undone.left.append(f"Link {path} cannot be removed: {error.strerror}.")


def _unmount(folder: Path, recorded: Sequence[Path], undone: Undone) -> None:
    """Unmounts the recorded mounts, and whatever is mounted below the folder, last first."""
    for path in reversed(mounts.mounted()):
        if path not in recorded and folder not in path.parents:
            continue
        try:
            mounts.unmount(path, even_if_busy=True)
            undone.done.append(f"unmounted {path}")
        except OSError as error:
            undone.left.append(f"{path} cannot be unmounted: {error.strerror}.")


def _remove_cgroup(path: Path, undone: Undone) -> None:
    """Removes a control group, which the kernel allows only when it is empty."""
    if CGROUPS not in path.parents or ".." in path.parts:
        undone.left.append(f"{path} is recorded as a control group and is none.")
        return
    try:
        path.rmdir()
        undone.done.append(f"removed control group {path}")
    except FileNotFoundError:
        return
    except OSError as error:
        undone.left.append(f"Control group {path} cannot be removed: {error.strerror}.")
