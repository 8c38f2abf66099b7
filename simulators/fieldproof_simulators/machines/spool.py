"""Where files of simulated disks lie while nobody changes them, and how they become real files.

The kernel takes longer to make a file than the simulation takes to fill it. So a file that has
become cold is appended to one spool, and a child process (scribe.py) makes real files from it on
another core while the world goes on.

1. A cold file is read from the spool: nobody ever waits for the child.
2. After `finish` every file is real, and the spool is gone.
3. A world of few files has no child: its files are made at the end.
"""

import subprocess
import sys
from pathlib import Path

from fieldproof_simulators.machines import scribe

CHILD_FRAMES = 500
"""From how many files on a child is worth its start (30 ms; making a file takes about 0.3 ms)."""


class Spool:
    """The cold files of all disks of a world; they become real below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._path = root.with_name(f"{root.name}.spool")
        root.mkdir(parents=True, exist_ok=True)
        self._tail = self._path.open("wb", buffering=0)
        self._reader = self._path.open("rb", buffering=0)
        self._end = 0
        self._frames = 0
        self._child: subprocess.Popen[bytes] | None = None

    def platter(self, name: str) -> "Platter":
        """The part of one disk, which becomes the folder `name`."""
        return Platter(self, name)

    def append(self, path: str, data: bytes | None) -> int:
        """Store a file, or remove it (None); where its content begins in the spool."""
        framed = scribe.frame(path, data)
        self._tail.write(framed)
        self._end += len(framed)
        self._frames += 1
        return self._end - len(data or b"")

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the spool."""
        self._reader.seek(offset)
        return self._reader.read(size)

    def announce(self) -> None:
        """Let the child make what has come since; start it when there is enough to do."""
        if self._child is None and self._frames >= CHILD_FRAMES:
            command = [sys.executable, scribe.__file__, str(self._path), str(self._root)]
            # In a session of its own: Ctrl-C is the run's, and the child ends with its input.
            self._child = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        if self._child is not None:
            self._tell(self._child)

    def finish(self) -> None:
        """Make every file real, once. Raises OSError where that cannot be done."""
        if self._tail.closed:
            return
        self._tail.close()
        with self._reader:
            if self._child is None:
                self._reader.seek(0)
                scribe.make_files(self._reader, self._end, self._root)
        if self._child is not None:
            with self._child as child:
                self._tell(child)
            if child.returncode:
                raise OSError(f"The files of the run could not all be written to {self._root}.")
        self._path.unlink()

    def _tell(self, child: subprocess.Popen[bytes]) -> None:
        if child.stdin is None or child.poll() is not None:
            raise OSError(f"The files of the run cannot be written to {self._root}: see above.")
        child.stdin.write(b"%d\n" % self._end)
        child.stdin.flush()


class Platter:
    """The cold files of one disk. Paths are relative, with `/`."""

    def __init__(self, spool: Spool, name: str) -> None:
        self._spool = spool
        self._name = name
        self._places: dict[str, tuple[int, int]] = {}  # offset in the spool, size

    def size(self, path: str) -> int | None:
        """Bytes in the file; None where there is none."""
        place = self._places.get(path)
        return None if place is None else place[1]

    def write(self, path: str, data: bytes) -> None:
        """Store a file."""
        self._places[path] = (self._spool.append(f"{self._name}/{path}", data), len(data))

    def read(self, path: str, offset: int = 0, size: int = -1) -> bytes:
        """Up to `size` bytes from `offset` (all when negative). KeyError where there is no file."""
        start, whole = self._places[path]
        left = max(0, whole - offset)
        return self._spool.read(start + offset, left if size < 0 else min(size, left))

    def take(self, path: str) -> bytes:
        """The file, which is somebody else's from now on."""
        data = self.read(path)
        del self._places[path]
        return data

    def remove(self, path: str) -> None:
        """Forget a file, real or not."""
        self._places.pop(path, None)
        self._spool.append(f"{self._name}/{path}", None)
