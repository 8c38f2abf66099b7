"""A disk that can lose what was not synced, be full, and rot.

Appended bytes are in the page cache until the file is synced: a power cut keeps the synced part
and cuts the rest at a random byte. Replacing, renaming, truncating and removing are journaled
metadata here: they are durable at once (what an ordered ext4 gives after fsync of file and
directory, which the contract demands of the driver).

A path is one that Linux can make below the run directory: names of at most `NAME_BYTES`, no file
where a folder is and no folder where a file is. Folders come with their first file, and stay.

Files live in memory while they change (hot). A file that was left alone is moved to the platter
(cold), where the whole disk lies at the end of the run: that folder is the evidence.
"""

from bisect import bisect_left, insort
from collections.abc import Callable
from dataclasses import dataclass

from fieldproof_simulators.machines.spool import Platter

NAME_BYTES = 255
"""The longest name of a file or folder: NAME_MAX of Linux."""

PATH_BYTES = 3072
"""The longest path: PATH_MAX of Linux less 1024 for where the run lies (our assumption)."""


class DiskFullError(OSError):
    """A write found no room. Nothing was written."""


class _Hot:
    """A file in memory."""

    __slots__ = ("asked", "content", "synced", "touched")

    def __init__(self, content: bytes = b"") -> None:
        self.content = bytearray(content)
        self.synced = len(content)
        self.asked: list[AskedSync] = []
        self.touched = True


@dataclass(slots=True, eq=False)
class AskedSync:
    """A sync on its way. It is of a file, not of a path: it follows the file through renames, and
    means nothing to another file that takes the path meanwhile."""

    file: _Hot
    size: int  # bytes that were there when it was asked for, less those cut off since


class Disk:
    """One host's disk; also the `DiskView` of its nodes."""

    def __init__(self, platter: Platter) -> None:
        self._platter = platter
        self._hot: dict[str, _Hot] = {}
        self._paths: list[str] = []  # of all files, sorted
        self._folders: set[str] = set()
        self.full = False
        self.on_append: Callable[[], None] | None = None  # a fault that waits for a write

    # --- what nodes may look at (DiskView) ---

    def size(self, path: str) -> int | None:
        """Bytes in the file, unsynced ones included; None where there is none."""
        file = self._hot.get(path)
        return self._platter.size(path) if file is None else len(file.content)

    def size_of(self, path: str) -> int:
        """`size` of a file that must exist: FileNotFoundError otherwise."""
        size = self.size(path)
        if size is None:
            raise FileNotFoundError(f"There is no file {path} on this disk.")
        return size

    def read(self, path: str, offset: int = 0, size: int = -1) -> bytes:
        """Bytes of the file; FileNotFoundError where there is none."""
        file = self._hot.get(path)
        if file is None:
            self.size_of(path)
            return self._platter.read(path, offset, size)
        end = None if size < 0 else offset + size
        return bytes(memoryview(file.content)[offset:end])

    def listing(self, prefix: str) -> tuple[str, ...]:
        """Every path that starts with `prefix`, sorted."""
        first = bisect_left(self._paths, prefix)
        last = bisect_left(self._paths, prefix + "\U0010ffff")
        return tuple(self._paths[first:last])

    # --- what drivers do for nodes ---

    def append(self, path: str, data: bytes) -> None:
        """Add bytes, unsynced. Raises DiskFullError, and OSError for a path that cannot be."""
        self._need_room()
        self._open(path, create=True).content.extend(data)
        if self.on_append is not None:
            self.on_append()

    def replace(self, path: str, data: bytes) -> None:
        """New content, durable at once. Raises DiskFullError, and OSError as `append`."""
        self._need_room()
        self._enter(path, _Hot(data))

    def rename(self, path: str, to: str) -> None:
        """Move over `to`. Raises FileNotFoundError, and OSError as `append`."""
        file = self._open(path)
        if to != path:
            self._enter(to, file)
            self._forget(path)

    def truncate(self, path: str, size: int) -> None:
        """Keep the first `size` bytes. Raises FileNotFoundError, and OSError for a size below 0."""
        if size < 0:
            raise OSError(f"The file {path} cannot be cut to {size} bytes.")
        file = self._open(path)
        del file.content[size:]
        file.synced = min(file.synced, size)
        for asked in file.asked:
            asked.size = min(asked.size, size)

    def remove(self, path: str) -> None:
        """Delete. Raises FileNotFoundError."""
        self.size_of(path)
        self._forget(path)

    def ask_sync(self, path: str) -> AskedSync:
        """Mark what the file holds now, for `sync`. Raises FileNotFoundError."""
        file = self._open(path)
        asked = AskedSync(file, len(file.content))
        file.asked.append(asked)
        return asked

    def sync(self, asked: AskedSync) -> None:
        """What was asked for is durable now."""
        asked.file.asked.remove(asked)
        asked.file.synced = max(asked.file.synced, asked.size)

    # --- what the world does to disks ---

    def power_cut(self, draw: Callable[[int], int]) -> list[tuple[str, int]]:
        """Lose unsynced tails; `draw(n)` gives 0..n bytes of each that survive.

        Returns (path, bytes lost) where any were, by path."""
        lost = []
        for path in sorted(self._hot):
            file = self._hot[path]
            unsynced = len(file.content) - file.synced
            kept = draw(unsynced) if unsynced else 0
            del file.content[file.synced + kept :]
            file.synced = len(file.content)
            if unsynced > kept:
                lost.append((path, unsynced - kept))
        return lost

    def flip(self, path: str, offset: int, bit: int) -> None:
        """One stored bit rots, unseen by any node."""
        self._open(path).content[offset] ^= 1 << bit

    def settle_cold(self) -> None:
        """Move to the platter what is durable and was left alone since the last call."""
        for path, file in list(self._hot.items()):
            if file.touched or file.synced != len(file.content):
                file.touched = False
            else:
                self._store(path)

    def store_all(self) -> None:
        """Move every file to the platter."""
        for path in list(self._hot):
            self._store(path)

    # --- inside ---

    def _store(self, path: str) -> None:
        self._platter.write(path, bytes(self._hot.pop(path).content))

    def _open(self, path: str, create: bool = False) -> _Hot:
        """The file in memory, to be changed."""
        file = self._hot.get(path)
        if file is None and self._platter.size(path) is not None:
            file = self._hot[path] = _Hot(self._platter.take(path))
        if file is None:
            if not create:
                raise FileNotFoundError(f"There is no file {path} on this disk.")
            file = _Hot()
            self._enter(path, file)
        file.touched = True
        return file

    def _enter(self, path: str, file: _Hot) -> None:
        """Put a file in memory at `path`, in the place of any that is there."""
        if self.size(path) is None:
            check_path(path)
            self._make_folders(path)
            insort(self._paths, path)
        self._hot[path] = file

    def _make_folders(self, path: str) -> None:
        """The folders of a new file, unless something is in the way."""
        if path in self._folders:
            raise IsADirectoryError(f"The path {path} is a folder on this disk.")
        new = []
        folder = path.rpartition("/")[0]
        while folder and folder not in self._folders:
            if self.size(folder) is not None:
                raise NotADirectoryError(f"The path {folder} is a file on this disk, no folder.")
            new.append(folder)
            folder = folder.rpartition("/")[0]
        self._folders.update(new)

    def _forget(self, path: str) -> None:
        self._hot.pop(path, None)
        del self._paths[bisect_left(self._paths, path)]
        self._platter.remove(path)

    def _need_room(self) -> None:
        if self.full:
            raise DiskFullError("No space left on device.")


def check_path(path: str) -> None:
    """Raise OSError for a path that leads out of the disk, or that Linux could not make."""
    names = path.split("/")
    if not {"", ".", ".."}.isdisjoint(names):
        raise PermissionError(f"The path {path!r} leads out of this disk.")
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
