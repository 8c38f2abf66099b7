"""Finds files below a folder, and opens them so that no path leads out of it.

1. Every name of a path is opened on its own, from the folder before it, and never through a
   symbolic link. What is no regular file is no file here: a pipe would block the process.
2. A path is what Linux can make: names of at most `NAME_BYTES`, no zero byte, UTF-8.
3. The driver's own files (the lock, half-written replacements) are nobody else's to name.
4. A folder is durable before anything is put into it.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOCK = ".lock"
HALF_WRITTEN = ".new-"
"""How the name of a file begins that will replace another one."""

NAME_BYTES = 255
"""The longest name of a file or folder: NAME_MAX of Linux."""

PATH_BYTES = 3072
"""The longest path: PATH_MAX of Linux less 1024 for where the folder lies (our assumption)."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_MODE = 0o644


class Tree:
    """A folder and what lies below it. Paths are relative, with `/`. Raises OSError where the
    folder cannot be made or opened."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._lock = -1

    def lock(self) -> None:
        """Keep other processes out for as long as this one lives. Raises BlockingIOError where one
        has done the same, and OSError."""
        fd = open_file(LOCK, os.O_RDWR | os.O_CREAT, self._root)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            raise
        self._lock = fd

    def close(self) -> None:
        """Let go of the folder."""
        for fd in (self._lock, self._root):
            if fd >= 0:
                os.close(fd)
        self._lock = self._root = -1

    @contextmanager
    def folder(self, path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """The folder of a path, open, and the last name of the path. Raises OSError."""
        check_path(path)
        *names, last = path.split("/")
        fd = os.dup(self._root)
        try:
            for name in names:
                if make:
                    _make_folder(name, fd)
                below = os.open(name, _FOLDER, dir_fd=fd)
                os.close(fd)
                fd = below
            yield fd, last
        finally:
            os.close(fd)

    def open(self, path: str, flags: int) -> int:
        """A file that is there, open. Raises OSError, FileNotFoundError among them."""
        with self.folder(path) as (folder, name):
            return open_file(name, flags, folder)

    def place(self, path: str) -> str:
        """Where a folder is on this machine, for a program that is to work there; it is made when
        missing. Raises OSError."""
        with self.folder(f"{path}/-", make=True) as (folder, _):
            return str(Path(f"/proc/self/fd/{folder}").readlink())

    def files(self, *, clean: bool = False) -> list[str]:
        """Every file, sorted; `clean`: remove what a death left half-written. Raises OSError."""
        return sorted(_files(os.dup(self._root), "", clean))

    def files_below(self, path: str) -> list[str]:
        """Every file below a folder, sorted. Raises OSError, FileNotFoundError among them."""
        with self.folder(f"{path}/-") as (folder, _):
            return sorted(_files(os.dup(folder), f"{path}/", False))


def open_file(name: str, flags: int, folder: int) -> int:
    """A regular file of a folder, open. Raises OSError."""
    fd = os.open(name, flags | _FILE, _MODE, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "This is no regular file", name)
    return fd


def write_all(fd: int, data: bytes) -> None:
    """Write on after a short write, to the end or to the reason for it. Raises OSError."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def check_path(path: str) -> None:
    """Raise OSError for a path that leads out of the folder, or that Linux could not make."""
    names = path.split("/")
    if not {"", ".", ".."}.isdisjoint(names):
        raise PermissionError(f"The path {path!r} leads out of this disk.")
    if any(name == LOCK or name.startswith(HALF_WRITTEN) for name in names):
        raise PermissionError(f"The path {path!r} is one of the driver's own.")
    try:
        sizes = [len(name.encode()) for name in names]
    except UnicodeEncodeError:
        raise OSError(f"The path {path!r} cannot be written in UTF-8.") from None
    if "\0" in path:
        raise OSError(f"The path {path!r} has a zero byte in it.")
    if max(sizes) > NAME_BYTES or sum(sizes) + len(sizes) > PATH_BYTES:
        raise OSError(
            f"The path {path[:40]}... is too long: names have at most {NAME_BYTES} bytes, "
            f"paths {PATH_BYTES}."
        )


def _make_folder(name: str, parent: int) -> None:
    with suppress(FileExistsError):
        os.mkdir(name, dir_fd=parent)
        os.fsync(parent)


def _files(folder: int, prefix: str, clean: bool) -> Iterator[str]:
    """The files of an open folder, which is closed at the end, and of those below it."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name == LOCK:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    below = os.open(entry.name, _FOLDER, dir_fd=folder)
                    yield from _files(below, f"{prefix}{entry.name}/", clean)
                elif entry.name.startswith(HALF_WRITTEN):
                    if clean:
                        os.unlink(entry.name, dir_fd=folder)
                elif entry.is_file(follow_symlinks=False) and _is_text(entry.name):
                    yield prefix + entry.name
    finally:
        os.close(folder)


def _is_text(name: str) -> bool:
    return name.isascii() or not any("\udc80" <= letter <= "\udcff" for letter in name)
