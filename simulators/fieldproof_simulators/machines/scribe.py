"""Makes real files from a spool: `scribe.py SPOOL ROOT`, told on standard input how far to go.

A spool is a row of frames: two bytes with the length of the path, eight with the length of the
content, the path below ROOT, the content. A later frame of the same path replaces the file; one
whose length is `GONE` removes it. The program needs nothing but the standard library and ends when
its input does.
"""

import struct
import sys
from pathlib import Path
from typing import BinaryIO

HEAD = struct.Struct("<HQ")
GONE = 2**64 - 1


def frame(path: str, data: bytes | None) -> bytes:
    """The frame that stores a file, or removes it (None)."""
    name = path.encode()
    return HEAD.pack(len(name), GONE if data is None else len(data)) + name + (data or b"")


def make_files(spool: BinaryIO, until: int, root: Path) -> None:
    """Carry out the frames from where `spool` stands to the offset `until`."""
    while spool.tell() < until:
        name_bytes, size = HEAD.unpack(spool.read(HEAD.size))
        path = root / spool.read(name_bytes).decode()
        if size == GONE:
            path.unlink(missing_ok=True)
            continue
        data = spool.read(size)
        try:
            path.write_bytes(data)
        except FileNotFoundError:
            path.parent.mkdir(parents=True)
            path.write_bytes(data)


if __name__ == "__main__":
    with Path(sys.argv[1]).open("rb") as opened:
        for line in sys.stdin:
            make_files(opened, int(line), Path(sys.argv[2]))
