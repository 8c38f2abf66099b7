"""A look at a folder that another program writes: nothing is remembered, nothing is changed."""

import errno
import os

from fieldproof_reference.live.tree import Tree


class View:
    """A `DiskView` that looks anew each time."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def size(self, path: str) -> int | None:
        """Bytes in the file; None where there is none that may be read."""
        try:
            fd = self._tree.open(path, os.O_RDONLY)
        except OSError:
            return None
        size = os.fstat(fd).st_size
        os.close(fd)
        return size

    def read(self, path: str, offset: int = 0, size: int = -1) -> bytes:
        """Bytes of the file; FileNotFoundError where there is none that may be read."""
        try:
            fd = self._tree.open(path, os.O_RDONLY)
        except OSError:
            raise FileNotFoundError(errno.ENOENT, f"There is no file {path} here.") from None
        with os.fdopen(fd, "rb", buffering=0) as file:
            file.seek(offset)
            return file.read(size) or b""

    def listing(self, prefix: str) -> tuple[str, ...]:
        """Every path that starts with `prefix`, sorted."""
        return tuple(path for path in self._tree.files() if path.startswith(prefix))

    def folder(self, path: str) -> str:
        """Where a folder is on this machine; it is made when missing. Raises OSError."""
        return self._tree.place(path)

    def look_below(self, path: str) -> None:
        """Nothing is remembered."""
