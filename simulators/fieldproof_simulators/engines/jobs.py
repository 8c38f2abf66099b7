"""What engines take and give: values that the virtual hosts and the programs of `live` share."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol, TypeAlias

from fieldproof_contract import ApplyDelta, MakeDelta, PullTree


class Outcome(NamedTuple):
    """What came of a job; `reason` is empty where it was done."""

    output: bytes = b""
    reason: str = ""


class File(NamedTuple):
    """A file of a virtual disk."""

    data: bytes
    changed_utc_ns: int  # when it was changed last, by the clock of its host


Tree: TypeAlias = Mapping[str, File]
"""Files by their names in a folder, or by their paths on a disk."""


class Turn(NamedTuple):
    """What one of two programs said without hearing anything new."""

    by_client: bool
    after_bytes: int  # of the other program's, that it had heard by then
    pieces: tuple[bytes, ...]  # as it wrote them, one system call each

    @property
    def data(self) -> bytes:
        """All of it."""
        return b"".join(self.pieces)


class Pulled(NamedTuple):
    """A whole conversation of two programs, and what the client has of it at the end."""

    turns: tuple[Turn, ...]
    files: Tree
    reason: str = ""


class Tools(Protocol):
    """The programs themselves."""

    def lacks(self, tool: str) -> str:
        """One sentence where this machine has no such program; "" where it has."""

    def make_delta(self, job: MakeDelta) -> Outcome:
        """Run xdelta3."""

    def apply_delta(self, job: ApplyDelta) -> Outcome:
        """Run xdelta3."""

    def pull(self, job: PullTree, served: Tree, like: Tree, seed: int) -> Pulled:
        """Run rsync at both ends. `seed` is that of rsync's checksums."""
