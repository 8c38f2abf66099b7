"""The folders of a rebuild: one that is only looked at, and a new one.

Of the new one, the files that were touched last are in memory. A rebuild appends half a million
records to some nine thousand files, a few of them at a time; to open a file for each of them would
be most of the work. Nothing is synced: whoever wants it made durable copies it to where it is to
stay, and a rebuild that was broken off is begun anew.
"""

from bisect import bisect_left
from collections import OrderedDict
from pathlib import Path

from fieldproof_contract import Append, Effects, Log, Publish, Remove, Replace, Sync, Truncate
from fieldproof_reference.live.tree import Tree, check_path
from fieldproof_reference.live.view import View

MOST_FILES = 128
"""In memory at once: the hour files of twelve sites and of ten hours (3 MB)."""


class Glance(View):
    """A folder that another process may write, and whose names were read once. A file that came
    since is not listed, one that is gone is not there."""

    def __init__(self, tree: Tree) -> None:
        super().__init__(tree)
        self._paths = tree.files()

    def listing(self, prefix: str) -> tuple[str, ...]:
        """Every path that starts with `prefix`, sorted."""
        return _between(self._paths, prefix)


class Fresh:
    """What the folder holds, and how it comes there; a `DiskView`. Raises FileExistsError where the
    folder is there and not empty, and OSError."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        if any(root.iterdir()):
            raise FileExistsError(f"There are files in {root} already: name an empty folder.")
        self.logs: list[Log] = []
        self._root = root
        self._open: OrderedDict[str, bytearray] = OrderedDict()
        self._written: set[str] = set()
        self._paths: list[str] | None = None  # all, sorted; None: not known

    def size(self, path: str) -> int | None:
        """Bytes in the file, or None where there is none."""
        if path in self._open:
            return len(self._open[path])
        return (self._root / path).stat().st_size if path in self._written else None

    def read(self, path: str, offset: int = 0, size: int = -1) -> bytes:
        """Bytes of the file; FileNotFoundError where there is none."""
        if path in self._open:
            return bytes(self._open[path][offset : None if size < 0 else offset + size])
        if path not in self._written:
            raise FileNotFoundError(f"There is no file {path} here.")
        data = (self._root / path).read_bytes()
        return data[offset : None if size < 0 else offset + size]

    def listing(self, prefix: str) -> tuple[str, ...]:
        """Every path that starts with `prefix`, sorted."""
        if self._paths is None:
            self._paths = sorted(self._written.union(self._open))
        return _between(self._paths, prefix)

    def perform(self, effects: Effects) -> None:
        """Carry out what concerns files; keep what is logged. Raises OSError."""
        for effect in effects:
            match effect:
                case Append(path, data):
                    self._opened(path).extend(data)
                case Replace(path, data):
                    self._opened(path)[:] = data
                case Truncate(path, size):
                    del self._opened(path)[size:]
                case Remove(path):
                    self._remove(path)
                case Log():
                    self.logs.append(effect)
                case Sync() | Publish():
                    pass
                case _:
                    raise TypeError(f"A rebuild has no {type(effect).__name__}.")

    def flush(self) -> None:
        """Write what is in memory. Raises OSError."""
        while self._open:
            self._close_oldest()

    def _opened(self, path: str) -> bytearray:
        if path in self._open:
            self._open.move_to_end(path)
            return self._open[path]
        check_path(path)
        if path not in self._written:
            self._paths = None
        content = bytearray(self.read(path)) if path in self._written else bytearray()
        self._open[path] = content
        if len(self._open) > MOST_FILES:
            self._close_oldest()
        return content

    def _close_oldest(self) -> None:
        path, content = self._open.popitem(last=False)
        file = self._root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        self._written.add(path)

    def _remove(self, path: str) -> None:
        self._open.pop(path, None)
        self._paths = None
        if path in self._written:
            self._written.discard(path)
            (self._root / path).unlink()


def _between(paths: list[str], prefix: str) -> tuple[str, ...]:
    """Those of sorted paths that start with `prefix`."""
    first = bisect_left(paths, prefix)
    return tuple(paths[first : bisect_left(paths, prefix + "\U0010ffff")])
