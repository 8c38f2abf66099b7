"""Where files of a simulated disk lie when nobody changes them: real files below a folder.

Making a file costs the kernel more than the simulation of its content, so one thread writes while
the world goes on. Until a file is written its content is kept here, so that readers never wait.
"""

from collections import deque
from concurrent.futures import Executor, Future
from pathlib import Path


class Platter:
    """Real files below `root`, written by `writer`."""

    def __init__(self, root: Path, writer: Executor) -> None:
        self._root = root
        self._writer = writer
        self._coming: dict[str, bytes] = {}
        self._queue: deque[tuple[str, Future[None]]] = deque()

    def write(self, path: str, data: bytes) -> None:
        """Store a file. A failure of the real disk is raised by a later `write` or by `flush`."""
        while self._queue and (path in self._coming or self._queue[0][1].done()):
            self._finish_oldest()
        self._coming[path] = data
        self._queue.append((path, self._writer.submit(_write, self._root / path, data)))

    def read(self, path: str, offset: int = 0, size: int = -1) -> bytes:
        """Bytes of a stored file."""
        if path in self._coming:
            return self._coming[path][offset : None if size < 0 else offset + size]
        with (self._root / path).open("rb") as stored:
            stored.seek(offset)
            return stored.read(size)

    def remove(self, path: str) -> None:
        """Forget a file, stored or not."""
        while path in self._coming:
            self._finish_oldest()
        (self._root / path).unlink(missing_ok=True)

    def flush(self) -> None:
        """Wait until everything is written."""
        while self._queue:
            self._finish_oldest()

    def _finish_oldest(self) -> None:
        path, written = self._queue.popleft()
        written.result()
        del self._coming[path]


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except FileNotFoundError:
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
