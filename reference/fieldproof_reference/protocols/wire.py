"""What the three datagrams of the repair protocol share: a header, a tag, and the ways to fail.

    bytes 0-1   RQ request, RA reply, RM manifest
    byte  2     high nibble: codec; low nibble: version 1
    bytes 3-6   site, lower-case ASCII
    bytes 7-8   day counted from 1970-01-01, mod 65536, little-endian
    byte  9     request: number of gaps; reply: index of the fragment; manifest: 0
    ...
    last 16     HMAC-SHA256 under the site's key of all before, truncated

A reply's tag covers the tag of its request as well, which binds the two at no cost.
"""

import hmac
import re
from enum import IntEnum
from typing import Literal, TypeAlias

from fieldproof_reference.formats import Malformed

Kind: TypeAlias = Literal["request", "reply", "manifest"]

HEADER_BYTES = 10
TAG_BYTES = 16
REQUEST, REPLY, MANIFEST = b"RQ", b"RA", b"RM"

_VERSION = 1
_KINDS: dict[bytes, Kind] = {REQUEST: "request", REPLY: "reply", MANIFEST: "manifest"}
_SITE = re.compile(rb"[a-z]{4}")
_DAY_CYCLE = 1 << 16


class Unauthentic(Malformed):
    """The tag is not the one that the key makes: another key, forged, or damaged on the way."""


class Codec(IntEnum):
    """How the body of a reply is written. 2 (columns, brotli) and 3 (columns, zstd with a
    dictionary) are reserved and not supported here; 5 and 6 are our own additions. A body of deltas
    is laid out in `deltas`, all others in `bodies`."""

    RAW = 0
    COLUMNS_DEFLATE = 1
    RAW_DEFLATE = 4
    COLUMNS_LZMA = 5
    XDELTA = 6


def kind(data: bytes) -> Kind | None:
    """Which datagram this claims to be, None for none of ours."""
    long_enough = len(data) >= HEADER_BYTES + TAG_BYTES
    return _KINDS.get(data[:2]) if long_enough else None


def site_of(data: bytes) -> str | None:
    """The site this datagram claims to concern, not yet authenticated: only to look up the key."""
    letters = data[3:7]
    named = kind(data) is not None and _SITE.fullmatch(letters) is not None
    return letters.decode("ascii") if named else None


def pack_header(magic: bytes, codec: Codec, site: str, day: int, last: int) -> bytes:
    """The ten bytes; ValueError for a site that is not four lower-case letters or `last` > 255."""
    letters = site.encode("utf-8")
    if _SITE.fullmatch(letters) is None or not 0 <= last <= 0xFF:
        raise ValueError(f"no header can name site {site!r} and count {last}")
    return b"".join(
        (
            magic,
            bytes((codec << 4 | _VERSION,)),
            letters,
            (day % _DAY_CYCLE).to_bytes(2, "little"),
            bytes((last,)),
        )
    )


def read_header(data: bytes, magic: bytes, near_day: int) -> tuple[Codec, str, int]:
    """Codec, site and full day of an authenticated datagram; the day is the one nearest to
    `near_day` of those that the 16 bits can mean."""
    letters = data[3:7]
    if data[:2] != magic or data[2] & 0xF != _VERSION or _SITE.fullmatch(letters) is None:
        raise Malformed(f"this header is not of {magic!r} version {_VERSION}: {data[:10].hex()}")
    ahead = (int.from_bytes(data[7:9], "little") - near_day + _DAY_CYCLE // 2) % _DAY_CYCLE
    return codec_of(data), letters.decode("ascii"), near_day + ahead - _DAY_CYCLE // 2


def codec_of(data: bytes) -> Codec:
    """The codec named by a header; `Malformed` for one that is not supported here."""
    number = data[2] >> 4
    try:
        return Codec(number)
    except ValueError as error:
        supported = ", ".join(f"{codec:d} {codec.name}" for codec in Codec)
        raise Malformed(f"codec {number} is not supported here; use one of {supported}") from error


def tag(key: bytes, *parts: bytes) -> bytes:
    """The 16 bytes that authenticate `parts` under a site's key."""
    return hmac.digest(key, b"".join(parts), "sha256")[:TAG_BYTES]


def authentic(data: bytes, key: bytes, bound_to: bytes = b"") -> bytes:
    """The datagram without its tag, if the tag is right (compared in constant time).

    `bound_to` is the request's tag for a reply. `Malformed` when it is too short for a header and a
    tag, `Unauthentic` when the tag is wrong."""
    if len(data) < HEADER_BYTES + TAG_BYTES:
        raise Malformed(f"{len(data)} bytes are too few for a header and a tag")
    signed, found = data[:-TAG_BYTES], data[-TAG_BYTES:]
    if not hmac.compare_digest(found, tag(key, bound_to, signed)):
        raise Unauthentic(f"the tag of this {data[:2]!r} datagram is not of the site's key")
    return signed
