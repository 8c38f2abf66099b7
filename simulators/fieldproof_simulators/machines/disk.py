"""A disk that can lose what was not synced, be full, and rot.

Appended bytes are in the page cache until the file is synced: a power cut keeps the synced part
and cuts the rest at a random byte. Replacing, renaming, truncating and removing are journaled
metadata here: they are durable at once (what an ordered ext4 gives after fsync of file and
directory, which the contract demands of the driver).

Files live in memory while they change. A file that has been left alone is moved to a real file
below `root`, where the whole disk lies at the end of the run: that folder is the evidence.
"""

from bisect import bisect_left, insort
from collections.abc import Callable
from pathlib import Path


class DiskFullError(OSError):
    """A write found no room. Nothing was written."""


class _File:
    """The content in memory, or None once it lies below `root`."""

    __slots__ = ("content", "synced", "touched")

    def __init__(self) -> None:
        self.content: bytearray | None = bytearray()
        self.synced = 0
        self.touched = True


class Disk:
    """One host's disk; also the `DiskView` of its nodes."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files: dict[str, _File] = {}
        self._paths: list[str] = []
        self.full = False

    # --- what nodes may look at (DiskView) ---

    def size(self, path: str) -> int | None:
        """Bytes in the file, unsynced ones included; None where there is none."""
        file = self._files.get(path)
        if file is None:
            return None
        return (self._root / path).stat().st_size if file.content is None else len(file.content)

    def read(self, path: str, offset: int = 0, size: int = -1) -> bytes:
        """Bytes of the file; FileNotFoundError where there is none."""
        file = self._files.get(path)
        if file is None:
            raise FileNotFoundError(f"There is no file {path} on this disk.")
        if file.content is None:
            with (self._root / path).open("rb") as stored:
                stored.seek(offset)
                return stored.read(size)
        end = None if size < 0 else offset + size
        return bytes(memoryview(file.content)[offset:end])

    def listing(self, prefix: str) -> tuple[str, ...]:
        """Every path that starts with `prefix`, sorted."""
        first = bisect_left(self._paths, prefix)
        last = bisect_left(self._paths, prefix + "\U0010ffff")
        return tuple(self._paths[first:last])

    # --- what drivers do for nodes ---

    def append(self, path: str, data: bytes) -> None:
        """Add bytes, unsynced. Raises DiskFullError."""
        self._need_room()
        self._open(path, create=True).extend(data)

    def replace(self, path: str, data: bytes) -> None:
        """New content, durable at once. Raises DiskFullError."""
        self._need_room()
        content = self._open(path, create=True)
        content[:] = data
        self._files[path].synced = len(content)

    def rename(self, path: str, to: str) -> None:
        """Move over `to`. Raises FileNotFoundError."""
        synced = self._files[path].synced if path in self._files else 0
        content = self._open(path)
        self._forget(path)
        self._open(to, create=True)[:] = content
        self._files[to].synced = synced

    def truncate(self, path: str, size: int) -> None:
        """Keep the first `size` bytes. Raises FileNotFoundError."""
        content = self._open(path)
        del content[size:]
        file = self._files[path]
        file.synced = min(file.synced, len(content))

    def remove(self, path: str) -> None:
        """Delete. Raises FileNotFoundError."""
        self._open(path)
        self._forget(path)

    def sync(self, path: str, size: int) -> None:
        """The first `size` bytes are durable now. Raises FileNotFoundError."""
        content = self._open(path)
        file = self._files[path]
        file.synced = min(max(file.synced, size), len(content))

    # --- what the world does to disks ---

    def power_cut(self, draw: Callable[[int], int]) -> list[tuple[str, int]]:
        """Lose unsynced tails; `draw(n)` gives 0..n bytes of each that survive.

        Returns (path, bytes lost) where any were."""
        lost = []
        for path in self._paths:
            file = self._files[path]
            if file.content is None or file.synced == len(file.content):
                continue
            unsynced = len(file.content) - file.synced
            kept = draw(unsynced)
            del file.content[file.synced + kept :]
            file.synced = len(file.content)
            if unsynced - kept:
                lost.append((path, unsynced - kept))
        return lost

    def flip(self, path: str, offset: int, bit: int) -> None:
        """One stored bit rots, unseen by any node."""
        self._open(path)[offset] ^= 1 << bit

    def settle_cold(self) -> None:
        """Move files that were left alone since the last call to `root`."""
        for path in self._paths:
            file = self._files[path]
            if file.content is None:
                continue
            if file.touched or file.synced != len(file.content):
                file.touched = False
                continue
            self._store(path, file)

    def store_all(self) -> None:
        """Write every file below `root`."""
        for path in self._paths:
            file = self._files[path]
            if file.content is not None:
                self._store(path, file)

    # --- inside ---

    def _store(self, path: str, file: _File) -> None:
        real = self._root / path
        real.parent.mkdir(parents=True, exist_ok=True)
        real.write_bytes(file.content or b"")
        file.content = None

    def _open(self, path: str, create: bool = False) -> bytearray:
        file = self._files.get(path)
        if file is None:
            if not create:
                raise FileNotFoundError(f"There is no file {path} on this disk.")
            file = self._files[path] = _File()
            insort(self._paths, path)
        if file.content is None:
            file.content = bytearray((self._root / path).read_bytes())
            file.synced = len(file.content)
        file.touched = True
        return file.content

    def _forget(self, path: str) -> None:
        del self._files[path]
        del self._paths[bisect_left(self._paths, path)]
        (self._root / path).unlink(missing_ok=True)

    def _need_room(self) -> None:
        if self.full:
            raise DiskFullError("No space left on device.")
