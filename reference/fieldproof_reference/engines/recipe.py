"""What it takes to run a program, and what to make of how it ended."""

from collections.abc import Mapping
from typing import NamedTuple

MOST_SAID_BYTES = 2000
"""How much of an engine's last words is kept."""


class Command(NamedTuple):
    """How to run a program, which lives in a private folder that is removed after it."""

    argv: tuple[str, ...]
    package: str  # of the operating system that has the program
    files: Mapping[str, bytes] = {}  # to be in the private folder, by name
    stdin: str = ""  # one of these
    most_output: int = 0  # bytes on stdout; one that says more is ended; 0: nobody listens
    most_file: int = 0  # bytes of one file that it writes, 0 for no bound
    longest_s: int = 0  # 0 for no bound
    codes: Mapping[int, str] = {}  # what an exit code means, where its last words do not say it


class Place(NamedTuple):
    """Where a program works: absolute paths."""

    private: str  # a folder of its own
    address: str  # the host's own, empty for any
    folders: Mapping[str, str]  # those that the job names
    owner: tuple[int, int] | None  # whom a program of root has to become, None: nobody else


def sentence(program: str, code: int, said: bytes, codes: Mapping[int, str]) -> str:
    """Why a program failed: what its exit code means, and the last line that it said."""
    lines = said[-MOST_SAID_BYTES:].decode("utf-8", "replace").strip().splitlines()
    last = lines[-1].strip() if lines else ""
    meant = codes.get(code, f"signal {-code}" if code < 0 else f"exit code {code}")
    return f"{program} failed, {meant}{f': {last}' if last else ''}"
