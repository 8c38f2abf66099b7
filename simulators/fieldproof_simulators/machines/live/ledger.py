"""What a run has started or put somewhere, written down as it happens, so that others can undo it.

The ledger is a file of JSON lines in the run's runtime folder. Each entry is one write in append
mode: several processes may write, and a torn last line is the worst that a kill can leave.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec

from fieldproof_simulators.machines.live import proc
from fieldproof_simulators.machines.live.processes import MARK

NAME = "ledger.jsonl"


class Process(msgspec.Struct, frozen=True, tag="process", tag_field="kind"):
    """A process: `proc.Identity`, and the mark that its children bear ("" where they bear none)."""

    pid: Annotated[int, msgspec.Meta(ge=2)]
    start_ticks: int
    namespace: str
    boot: str
    mark: Annotated[str, msgspec.Meta(pattern=f"^({MARK}=[0-9a-f]{{32}})?$")] = ""


class Link(msgspec.Struct, frozen=True, tag="link", tag_field="kind"):
    """A symbolic link, and what it pointed to when it was made."""

    path: str
    target: str


class Mount(msgspec.Struct, frozen=True, tag="mount", tag_field="kind"):
    """A place where something was mounted."""

    path: str


class Cgroup(msgspec.Struct, frozen=True, tag="cgroup", tag_field="kind"):
    """A folder of the cgroup file system."""

    path: str


Entry: TypeAlias = Process | Link | Mount | Cgroup

_decoder = msgspec.json.Decoder(Entry)


class Ledger:
    """The ledger of one runtime folder; any process of the run may have it open."""

    def __init__(self, folder: Path, name: str = NAME) -> None:
        self.path = folder / name

    def process(self, pid: int, mark: str = "") -> None:
        """A process was started; `mark` is `HostProcess.mark`. Nothing is written for one that has
        ended already and bears no mark."""
        known = proc.identity(pid)
        if known is not None:
            self._write(Process(*known, mark=mark))

    def link(self, path: Path) -> None:
        """A symbolic link was made. Raises OSError where there is none."""
        self._write(Link(str(path.absolute()), str(path.readlink())))

    def mount(self, path: Path) -> None:
        """Something is to be mounted here; to be called before, since a mount outlives a kill."""
        self._write(Mount(str(path.absolute())))

    def cgroup(self, path: Path) -> None:
        """A folder is to be made here, below /sys/fs/cgroup; to be called before."""
        self._write(Cgroup(str(path.absolute())))

    def _write(self, entry: Entry) -> None:
        """One line, one write."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self.path, flags, 0o600)
        try:
            os.write(descriptor, msgspec.json.encode(entry) + b"\n")
        finally:
            os.close(descriptor)


def read(folder: Path) -> Iterator[Entry]:
    """The entries of a folder's ledger, in order. A line that makes no sense is left out: what it
    says cannot be undone by anybody."""
    try:
        lines = (folder / NAME).read_bytes().split(b"\n")
    except FileNotFoundError:
        return
    for line in lines:
        try:
            yield _decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
