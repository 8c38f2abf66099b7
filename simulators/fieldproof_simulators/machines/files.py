"""A host's files as its nodes and engines change them: its disk, and when each file was changed.

A file's time is when a node or an engine changed its content last, by the host's own clock; a
renamed file keeps it, and rot and power cuts leave it alone, as on a real disk. Nodes never see it.
"""

from typing import TypeAlias

from fieldproof_contract import Append, Remove, Rename, Replace, Truncate
from fieldproof_simulators.engines.jobs import File, Tree
from fieldproof_simulators.machines.disk import Disk

FileEffect: TypeAlias = Append | Replace | Rename | Truncate | Remove


class Files:
    """See the head of this file."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self._changed_ns: dict[str, int] = {}

    def change(self, effect: FileEffect, utc_ns: int) -> None:
        """Carry out what a node wants at this time of the host. Raises OSError where it cannot
        be."""
        if isinstance(effect, Append):  # most of them are
            self.disk.append(effect.path, effect.data)
            self._changed_ns[effect.path] = utc_ns
            return
        match effect:
            case Replace(path, data):
                self.disk.replace(path, data)
            case Truncate(path, size):
                self.disk.truncate(path, size)
            case Rename(path, to):
                self.disk.rename(path, to)
                self._changed_ns[to] = self._changed_ns.pop(path, 0)
                return
            case Remove(path):
                self.disk.remove(path)
                self._changed_ns.pop(path, None)
                return
        self._changed_ns[effect.path] = utc_ns

    def file(self, path: str) -> File:
        """A file and its time. Raises FileNotFoundError."""
        return File(self.disk.read(path), self._changed_ns.get(path, 0))

    def tree(self, folder: str) -> Tree:
        """The plain files that lie directly in a folder, which ends with `/`."""
        names = (path.removeprefix(folder) for path in self.disk.listing(folder))
        return {name: self.file(folder + name) for name in names if "/" not in name}

    def all(self) -> Tree:
        """Every file of the disk, by its path."""
        return {path: self.file(path) for path in self.disk.listing("")}

    def store(self, path: str, file: File) -> None:
        """Put a file here with its own time, durably. Raises OSError as `Disk.replace`."""
        self.disk.replace(path, file.data)
        self._changed_ns[path] = file.changed_utc_ns

    def clear(self, folder: str) -> None:
        """Delete all that is below a folder, which ends with `/`."""
        for path in self.disk.listing(folder):
            self.disk.remove(path)
            self._changed_ns.pop(path, None)
