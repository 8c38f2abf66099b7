"""Header fields of range requests, to values and back (RFC 9110, sections 8.8 and 14; RFC 9530)."""

import re
from base64 import b64decode, b64encode
from binascii import Error as NoBase64
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from fieldproof_reference.formats import Malformed

TAG_DIGITS = 16
_NUMBER = r"(\d{1,15})"  # a petabyte; longer ones are nobody's
_CONTENT_RANGE = re.compile(rf"bytes {_NUMBER}-{_NUMBER}/{_NUMBER}", re.ASCII | re.IGNORECASE)
_UNSATISFIED = re.compile(rf"bytes \*/{_NUMBER}", re.ASCII | re.IGNORECASE)
_WANTED = re.compile(r"(\d{0,15})-(\d{0,15})", re.ASCII)
_STRONG_TAG = re.compile(r'"[\x21\x23-\x7e]*"')
_BOUNDARY = re.compile(
    r"multipart/byteranges\s*;\s*boundary=(\"?)([\w'()+,./:=? -]{0,69}[\w'()+,./:=?-])\1",
    re.ASCII | re.IGNORECASE,
)
_DIGESTS = (
    ("repr-digest", re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]{44}):", re.ASCII)),
    ("digest", re.compile(r"(?i:(?:^|,)\s*sha-256)=([A-Za-z0-9+/=]{44})", re.ASCII)),
)
"""The field of RFC 9530, and that of RFC 3230 before it: both speak of the whole file."""

Fields = dict[str, str]
"""Header fields by their names in lower case."""


class Span(NamedTuple):
    """Bytes of a file, both ends included, as HTTP counts them."""

    first: int
    last: int

    @property
    def size(self) -> int:
        """How many bytes these are."""
        return self.last - self.first + 1


def fields(pairs: Sequence[tuple[bytes, bytes]]) -> Fields:
    """The fields of a header; `Malformed` where one that must be alone is there twice."""
    found: Fields = {}
    for name, value in pairs:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1").strip()
        if key in found and key in ("content-range", "content-type", "etag"):
            raise Malformed(f"the field {key} is there twice: {found[key]!r} and {text!r}")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


def range_field(spans: Sequence[Span]) -> str:
    """A Range field that asks for these bytes."""
    return "bytes=" + ",".join(f"{span.first}-{span.last}" for span in spans)


def wanted_spans(text: str, total: int, most: int) -> tuple[Span, ...] | None:
    """What a Range field means for a file of `total` bytes: the spans that the file has, perhaps
    none; None where the field is to be ignored: it is not well formed, names more than `most`
    ranges, or more bytes than the file has."""
    unit, _, listed = text.partition("=")
    pieces = [piece.strip() for piece in listed.split(",")]
    if unit.strip().lower() != "bytes" or len(pieces) > most:
        return None
    spans = []
    for piece in pieces:
        match = _WANTED.fullmatch(piece)
        if match is None or match.groups() == ("", ""):
            return None
        first, last = match.groups()
        if first and last and int(last) < int(first):
            return None
        start = int(first) if first else max(0, total - int(last))
        stop = min(int(last), total - 1) if first and last else total - 1
        if start <= stop:
            spans.append(Span(start, stop))
    return tuple(spans) if sum(span.size for span in spans) <= total else None


def content_range(text: str) -> tuple[Span, int]:
    """What a Content-Range field says: which bytes of how many. `Malformed` unless it says both."""
    match = _CONTENT_RANGE.fullmatch(text)
    if match is None:
        raise Malformed(f"the field Content-Range does not give a range and a total: {text!r}")
    first, last, total = map(int, match.groups())
    if not first <= last < total:
        raise Malformed(f"the field Content-Range gives what cannot be: {text!r}")
    return Span(first, last), total


def unsatisfied_total(text: str) -> int | None:
    """The length of the file in the Content-Range of a 416, None where it does not say it."""
    match = _UNSATISFIED.fullmatch(text)
    return int(match[1]) if match else None


def boundary(content_type: str) -> bytes | None:
    """What separates the parts of multipart/byteranges; None for another type."""
    match = _BOUNDARY.match(content_type)
    return match[2].encode("ascii") if match else None


def strong_tag(text: str) -> str:
    """The entity tag, quotes included, if it is a strong one (equal tags, equal bytes), else ""."""
    return text if _STRONG_TAG.fullmatch(text) else ""


def digest_in(found: Fields) -> bytes:
    """The SHA-256 of the whole file, where the header has it; else b""."""
    for name, pattern in _DIGESTS:
        match = pattern.search(found.get(name, ""))
        if match is not None:
            try:
                return b64decode(match[1], validate=True)
            except NoBase64:
                return b""
    return b""


def tag_and_digest(content: bytes) -> tuple[str, str]:
    """The entity tag and the Repr-Digest field of a file."""
    whole = sha256(content)
    tag = f'"{whole.hexdigest()[:TAG_DIGITS]}"'
    return tag, f"sha-256=:{b64encode(whole.digest()).decode('ascii')}:"
