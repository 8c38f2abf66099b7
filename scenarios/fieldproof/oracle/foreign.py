"""What systems under test left on their disks, read so that nothing there can stop a judge.

The laws:

1. Only a regular file of the disk's own has content. A link, a folder, a fifo, a socket or a device
   has none, nor has what the machine does not let us read or what is larger than `MOST_BYTES`.
2. A file of notes (JSON, an object a line) is what its sound lines say; the others are numbered.
3. Nothing here raises. What is made of a file without content, or of a line that is none, is the
   business of the claim that needed it.
"""

from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from fieldproof.oracle import trees

MOST_BYTES = 1 << 24
"""Of a file: a thousand times what an hour of records has. Our assumption."""

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Notes(NamedTuple):
    """The lines of one file, and what of it could not be read."""

    lines: tuple[dict[str, Any], ...]
    malformed: tuple[int, ...]  # numbers of the lines, from 1


def content(disk: Path, path: str) -> bytes | None:
    """The bytes of a file, by its path on a disk; None where it has none (law 1)."""
    whole = disk / path
    try:
        if not trees.is_own(disk, whole) or whole.stat().st_size > MOST_BYTES:
            return None
        return whole.read_bytes()
    except OSError:
        return None


def is_there(disk: Path, path: str) -> bool:
    """Whether anything has this path on a disk, be it of any kind."""
    try:
        (disk / path).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # the machine keeps it from us
    return True


def notes(data: bytes) -> Notes:
    """Every line of a file of notes; a last line without its newline is one, if it is whole."""
    lines, malformed = [], []
    for number, row in enumerate(data.removesuffix(b"\n").split(b"\n") if data else (), start=1):
        try:
            lines.append(_decode(row))
        except (ValueError, msgspec.DecodeError, RecursionError):
            malformed.append(number)
    return Notes(tuple(lines), tuple(malformed))


def number(value: object) -> float | None:
    """A value of a note, if it is a number."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
