"""The files of the host, for its nodes and by their orders: real files below one folder.

The laws:

1. A failed append wrote nothing: what a full disk took of it is cut off again, now or, if that
   fails too, before the next append. A file that came to be with it is gone.
2. What a node reads is what it wrote, synced or not (law 4 of the contract): it is the page cache.
   Only this process writes here, which is why the names are read once and remembered; a file that
   somebody removed is noticed when it is missed, and `rescan` looks anew.
3. Replacing, renaming, truncating and removing are durable when they return. They wait for the
   disk, and are rare. Appends are not, until they are synced.
4. After a failed sync Linux takes what it could not write for written, and the next sync of the
   file would succeed without it. So the file is suspect: before its next sync all of it is written
   again, from what reading still brings, to a new file that takes its place.
5. A sync is of a file, not of a path: it follows the file through renames.
"""

import errno
import os
from bisect import bisect_left, insort
from contextlib import suppress
from itertools import count
from typing import NamedTuple

from fieldproof_reference.live.tree import HALF_WRITTEN, Tree, open_file, write_all


class Asked(NamedTuple):
    """A sync of one path to be done: `fds` in this order, which whoever does it closes."""

    path: str
    birth: int | None  # of a file whose name is not durable yet
    fds: tuple[int, ...]


class Disk:
    """One host's disk; also the `DiskView` of its nodes. Raises OSError where the folder cannot be
    read. A file is *new* from its first append to its first sync."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._paths = tree.files(clean=True)
        self._births = count(1)
        self._new: dict[str, int] = {}
        self._suspect: set[str] = set()
        self._torn: dict[str, int] = {}  # what a failed append left: the size without it

    # --- what nodes may look at (DiskView) ---

    def size(self, path: str) -> int | None:
        """Bytes in the file, unsynced ones included; None where there is none."""
        if not self._has(path):
            return None
        try:
            with self._tree.folder(path) as (folder, name):
                return os.stat(name, dir_fd=folder, follow_symlinks=False).st_size
        except FileNotFoundError:
            self._forget(path)
            return None

    def read(self, path: str, offset: int = 0, size: int = -1) -> bytes:
        """Bytes of the file; FileNotFoundError where there is none."""
        if not self._has(path):
            raise FileNotFoundError(errno.ENOENT, f"There is no file {path} on this disk.")
        try:
            fd = self._tree.open(path, os.O_RDONLY)
        except FileNotFoundError:
            self._forget(path)
            raise
        with os.fdopen(fd, "rb", buffering=0) as file:
            file.seek(offset)
            return file.read(size) or b""

    def listing(self, prefix: str) -> tuple[str, ...]:
        """Every path that starts with `prefix`, sorted."""
        first = bisect_left(self._paths, prefix)
        last = bisect_left(self._paths, prefix + "\U0010ffff")
        return tuple(self._paths[first:last])

    def rescan(self) -> None:
        """See what somebody else did to the folder."""
        self._paths = self._tree.files(clean=True)

    # --- for engines, which are other programs; both raise OSError ---

    def folder(self, path: str) -> str:
        """Where a folder is on this machine; it is made when missing."""
        return self._tree.place(path)

    def look_below(self, path: str) -> None:
        """See what an engine did to a folder (with a final `/`)."""
        for known in self.listing(path):
            self._forget(known)
        for found in self._tree.files_below(path.removesuffix("/")):
            self._enter(found)

    # --- what the driver does for nodes; all raise OSError ---

    def append(self, path: str, data: bytes) -> None:
        """Add bytes, all or none of them, unsynced."""
        with self._tree.folder(path, make=True) as (folder, name):
            try:
                fd, is_new = open_file(name, os.O_WRONLY | os.O_APPEND, folder), False
            except FileNotFoundError:
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
                fd, is_new = open_file(name, flags, folder), True
            try:
                self._add(path, fd, data)
            except OSError:
                if is_new:
                    with suppress(OSError):
                        os.unlink(name, dir_fd=folder)
                        self._torn.pop(path, None)
                raise
            finally:
                os.close(fd)
        if is_new:
            self._new[path] = next(self._births)
        self._enter(path)

    def replace(self, path: str, data: bytes) -> None:
        """New content, durable."""
        with self._tree.folder(path, make=True) as (folder, name):
            half = f"{HALF_WRITTEN}{next(self._births)}"
            fd = open_file(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, folder)
            try:
                with os.fdopen(fd, "wb", buffering=0):
                    write_all(fd, data)
                    os.fsync(fd)
                os.rename(half, name, src_dir_fd=folder, dst_dir_fd=folder)
            except OSError:
                with suppress(OSError):
                    os.unlink(half, dir_fd=folder)
                raise
            self._forget(path)
            self._enter(path)
            os.fsync(folder)

    def rename(self, path: str, to: str) -> None:
        """Move over `to`, durably. Raises FileNotFoundError."""
        os.close(self._tree.open(path, os.O_RDONLY))  # no folders for a file that is not there
        if path == to:
            return
        with (
            self._tree.folder(path) as (folder, name),
            self._tree.folder(to, make=True) as (new_folder, new_name),
        ):
            os.rename(name, new_name, src_dir_fd=folder, dst_dir_fd=new_folder)
            is_suspect = path in self._suspect
            self._forget(path)
            self._forget(to)
            self._enter(to)
            if is_suspect:
                self._suspect.add(to)
            os.fsync(new_folder)
            os.fsync(folder)

    def truncate(self, path: str, size: int) -> None:
        """Keep the first `size` bytes, durably. Raises FileNotFoundError."""
        fd = self._tree.open(path, os.O_WRONLY)
        try:
            if size < 0 or size < os.fstat(fd).st_size:
                os.ftruncate(fd, size)
            self._fsync(path, fd)
        finally:
            os.close(fd)

    def remove(self, path: str) -> None:
        """Delete, durably. Raises FileNotFoundError."""
        with self._tree.folder(path) as (folder, name):
            os.unlink(name, dir_fd=folder)
            self._forget(path)
            os.fsync(folder)

    # --- syncs: asked for here, done elsewhere ---

    def ask_sync(self, paths: tuple[str, ...]) -> tuple[Asked, ...]:
        """What is to be synced for these files as they are now. Raises OSError."""
        asked: list[Asked] = []
        try:
            asked.extend(self._ask(path) for path in paths)
        except OSError:
            for fd in (fd for each in asked for fd in each.fds):
                os.close(fd)
            raise
        return tuple(asked)

    def synced(self, asked: Asked) -> None:
        """What was asked for is done."""
        if self._new.get(asked.path) == asked.birth:
            self._new.pop(asked.path, None)

    def not_synced(self, asked: Asked) -> None:
        """What was asked for has failed: nothing is known of this file's content on the disk."""
        if self._has(asked.path):
            self._suspect.add(asked.path)

    def _ask(self, path: str) -> Asked:
        if path in self._suspect:
            self.replace(path, self.read(path))
        with self._tree.folder(path) as (folder, name):
            file = open_file(name, os.O_RDONLY, folder)
            birth = self._new.get(path)
            return Asked(path, birth, (file,) if birth is None else (file, os.dup(folder)))

    # --- helpers ---

    def _add(self, path: str, fd: int, data: bytes) -> None:
        """Write at the end of an open file, all or nothing."""
        before = self._torn.get(path)
        if before is None:
            before = os.fstat(fd).st_size
        else:
            os.ftruncate(fd, before)
            del self._torn[path]
        try:
            write_all(fd, data)
        except OSError:
            self._torn[path] = before
            with suppress(OSError):
                os.ftruncate(fd, before)
                del self._torn[path]
            raise

    def _fsync(self, path: str, fd: int) -> None:
        try:
            os.fsync(fd)
        except OSError:
            self._suspect.add(path)
            raise

    def _has(self, path: str) -> bool:
        at = bisect_left(self._paths, path)
        return at < len(self._paths) and self._paths[at] == path

    def _enter(self, path: str) -> None:
        if not self._has(path):
            insort(self._paths, path)

    def _forget(self, path: str) -> None:
        """The path is another file from now on, or none."""
        if self._has(path):
            del self._paths[bisect_left(self._paths, path)]
        self._new.pop(path, None)
        self._suspect.discard(path)
        self._torn.pop(path, None)
