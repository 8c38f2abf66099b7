"""The body of a multipart/byteranges answer, taken apart as it comes in.

    [CRLF] --boundary CRLF fields CRLF CRLF <as many bytes as Content-Range says>
     CRLF  --boundary CRLF ...
     CRLF  --boundary-- [whatever]

    before --delimiter, CRLF--> in the fields --empty line--> in the bytes --all of them--> before
    before --delimiter, "--"--> after

The length of a part comes from its Content-Range, never from a search for the boundary: the bytes
are anybody's. What comes before the first delimiter and after the last is not kept (RFC 2046).
"""

from enum import Enum
from typing import NamedTuple

from fieldproof_reference.formats import Malformed
from fieldproof_reference.protocols.httprange_fields import Span, content_range, fields

MOST_HEADER_BYTES = 1024
"""The fields of one part, and what may stand before a delimiter: our assumption."""


class PartHead(NamedTuple):
    """A part begins."""

    span: Span
    total: int


class _Where(Enum):
    BEFORE = "before a delimiter"
    FIELDS = "in the fields of a part"
    BYTES = "in the bytes of a part"
    AFTER = "after the last part"


class PartsReader:
    """Takes pieces of the body, gives heads and bytes of parts. `Malformed` for anything else."""

    def __init__(self, boundary: bytes) -> None:
        self._delimiter = b"--" + boundary
        self._where = _Where.BEFORE
        self._held = b"\r\n"  # so that the first delimiter looks like all others
        self._left = 0  # bytes of the present part
        self._parts = 0

    @property
    def complete(self) -> bool:
        """Whether the last part was closed."""
        return self._where is _Where.AFTER

    def hear(self, data: bytes) -> list[PartHead | bytes]:
        """More of the body."""
        self._held += data
        found: list[PartHead | bytes] = []
        while self._step(found):
            pass
        return found

    def _step(self, found: list[PartHead | bytes]) -> bool:
        """Go on where that is possible."""
        match self._where:
            case _Where.BEFORE:
                return self._delimited()
            case _Where.FIELDS:
                return self._headed(found)
            case _Where.BYTES:
                return self._filled(found)
            case _Where.AFTER:
                self._held = b""
                return False

    def _delimited(self) -> bool:
        mark = b"\r\n" + self._delimiter
        at = self._held.find(mark)
        if at > 0 and self._parts:
            raise Malformed(f"part {self._parts} is longer than its Content-Range says")
        end = self._held.find(b"\n", at + len(mark)) if at >= 0 else -1
        closing = self._held[at + len(mark) :][:2] == b"--" if at >= 0 else False
        if end < 0 and not closing:
            if len(self._held) > MOST_HEADER_BYTES:
                raise Malformed(f"no delimiter follows part {self._parts}")
            return False
        if not closing and self._held[at + len(mark) : end].strip():
            raise Malformed(f"what follows part {self._parts} is no delimiter")
        self._where = _Where.AFTER if closing else _Where.FIELDS
        self._held = b"" if closing else self._held[end + 1 :]
        return not closing

    def _headed(self, found: list[PartHead | bytes]) -> bool:
        lines, blank, rest = self._held.partition(b"\r\n\r\n")
        if len(lines) > MOST_HEADER_BYTES:
            raise Malformed(f"the fields of part {self._parts + 1} have no end")
        if not blank:
            return False
        pairs = [line.partition(b":")[::2] for line in lines.split(b"\r\n")]
        text = fields(pairs).get("content-range", "")
        span, total = content_range(text)
        found.append(PartHead(span, total))
        self._parts += 1
        self._where, self._left, self._held = _Where.BYTES, span.size, rest
        return True

    def _filled(self, found: list[PartHead | bytes]) -> bool:
        piece, self._held = self._held[: self._left], self._held[self._left :]
        self._left -= len(piece)
        if piece:
            found.append(piece)
        if self._left:
            return False
        self._where = _Where.BEFORE
        return True
