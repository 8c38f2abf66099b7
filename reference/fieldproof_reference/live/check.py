"""What a process would find on this machine, looked at without opening, making or changing it.

A folder that is not there yet is made at the start, if the nearest one above it can be written. A
process waits for its serial port: that it is missing now is said, and keeps nobody from starting.
Whether another process uses a folder or a port only shows when it is opened.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from fieldproof_reference.live.process import Plan


def unsound(plan: Plan) -> tuple[str, ...]:
    """A sentence for each folder or file without which the process could not start."""
    common = plan.common
    found = [_folder(common.archive, "archive", only_looks=plan.only_looks)]
    found += [
        _folder(path.parent, key) if not path.exists() else _file(path, key)
        for key, path in (("events", common.events), ("log", common.log))
        if path is not None
    ]
    if common.clock is not None:
        found.append(_clock(common.clock))
    return tuple(sentence for sentences in found for sentence in sentences)


def awaited(plan: Plan) -> tuple[str, ...]:
    """A sentence for each port that the process could not use as it is now."""
    return tuple(sentence for path in plan.lines.values() for sentence in _port(path))


def _folder(path: Path, key: str, *, only_looks: bool = False) -> Iterator[str]:
    """What is wrong with a folder, or with the one in which it would be made."""
    nearest = next(each for each in (path, *path.absolute().parents) if os.path.lexists(each))
    if not nearest.is_dir():
        yield f"{_whose(key)}, {path}, cannot be had: {nearest} is no folder."
    elif not os.access(nearest, os.R_OK | os.X_OK | (0 if only_looks else os.W_OK)):
        yield f"{_whose(key)}, {path}, cannot be had: {nearest} cannot be written by this user."


def _file(path: Path, key: str) -> Iterator[str]:
    if path.is_dir() or not os.access(path, os.W_OK):
        yield f"{_whose(key)}, {path}, is no file that this user can write."


def _clock(path: Path) -> Iterator[str]:
    if not path.is_file() or not os.access(path, os.R_OK):
        yield f"{_whose('clock')}, {path}, is no file that this user can read."


def _port(path: Path) -> Iterator[str]:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        yield f"{_whose('serial')}, {path}, is not there: {error.strerror}."
        return
    if not stat.S_ISCHR(mode):
        yield f"{_whose('serial')}, {path}, is no serial device."
    elif not os.access(path, os.R_OK | os.W_OK):
        yield (
            f"{_whose('serial')}, {path}, cannot be read and written by this user: as root, put "
            "the user into the group of the device."
        )


def _whose(key: str) -> str:
    return f"What the key '{key}' names"
