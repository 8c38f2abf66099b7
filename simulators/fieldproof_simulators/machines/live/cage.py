"""What the systems of a host can see of the machine: a cage of namespaces, made anew at each boot.

    processes    none but those of the cage, in a proc of its own
    folders      of those that belong to runs (`hidden`), only what is the host's own
    terminals    a set of its own; its serial port comes by a mount (`terminals.py`)
    rights       none: systems are an ordinary user, or they would lift the covers

All else is the machine's: the programs, the other folders, /tmp. A cage hides the truth of a run
from who stumbles on it and the disks of others from who writes too far; it is no prison for who
means harm. It takes the rights of `isolated_command`, and nothing of it outlives its processes.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from fieldproof_simulators.machines.live import mounts, namespaces
from fieldproof_simulators.machines.live.terminals import TERMINALS

COVER_BYTES = 1 << 16
"""A cover holds nothing but the places where things are mounted."""


@dataclass(frozen=True, slots=True)
class Cage:
    """Folders and files by their absolute paths, which are the same inside and outside."""

    hidden: tuple[Path, ...]
    """Folders in which nothing is seen but what follows."""
    written: tuple[Path, ...] = ()
    read: tuple[Path, ...] = ()
    """Cannot be written."""


def enter(cage: Cage) -> None:
    """Has this process, PID 1 of its namespace and with one thread, in a cage, together with what
    it starts from now on. Raises OSError."""
    namespaces.leave_mounts()
    mounts.receive_only()
    shown = [(path, os.open(path, os.O_PATH | os.O_CLOEXEC)) for path in cage.written + cage.read]
    for folder in cage.hidden:
        mounts.mount_tmpfs(folder, COVER_BYTES)
    for path, descriptor in shown:
        _make_place(path, path_is_folder=Path(f"/proc/self/fd/{descriptor}").is_dir())
        mounts.bind(Path(f"/proc/self/fd/{descriptor}"), path)
        os.close(descriptor)
    for path in cage.read + cage.hidden:
        mounts.make_read_only(path)
    mounts.mount_proc()
    if TERMINALS.is_dir():
        mounts.mount_terminals()
    os.chdir(Path.cwd())  # by its name: the folder itself may be under a cover


def _make_place(path: Path, *, path_is_folder: bool) -> None:
    """Something to mount on, in a cover."""
    folder = path if path_is_folder else path.parent
    folder.mkdir(parents=True, exist_ok=True)
    if not path_is_folder:
        path.touch()
