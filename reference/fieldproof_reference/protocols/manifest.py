"""The manifest of a day: the edge's proof of what its files hold, without being asked.

    header     10 bytes   RM, codec nibble and byte 9 zero
    day        32 bytes   digest of the day
    hours      24 x 8     digest of each hour file, zeros for no file
    counts     24 x 1     records in each, 255 for 255 or more
    tag        16 bytes

A manifest says without a round trip that the hours are closed and whether the center has them
right; and because it came through the edge's NAT, its source is where a request can be sent.
"""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from fieldproof_reference.formats import Malformed
from fieldproof_reference.protocols import wire
from fieldproof_reference.protocols.wire import Codec

HOURS = 24
DAY_DIGEST_BYTES = 32
HOUR_DIGEST_BYTES = 8
NO_FILE = bytes(HOUR_DIGEST_BYTES)
MANIFEST_BYTES = (
    wire.HEADER_BYTES + DAY_DIGEST_BYTES + HOURS * (HOUR_DIGEST_BYTES + 1) + wire.TAG_BYTES
)

_MOST_RECORDS = 255
_HOURS_AT = wire.HEADER_BYTES + DAY_DIGEST_BYTES
_COUNTS_AT = _HOURS_AT + HOURS * HOUR_DIGEST_BYTES


class Manifest(NamedTuple):
    """What an edge says of one day."""

    site: str  # four lower-case letters
    day: int  # counted from 1970-01-01
    day_digest: bytes  # 32 bytes
    hour_digests: tuple[bytes, ...]  # 24 of 8 bytes, NO_FILE where there is no file
    counts: tuple[int, ...]  # 24, records; the wire caps them at 255


def day_digest(files: Sequence[tuple[str, bytes]]) -> bytes:
    """32 bytes that stand for a day's files (base name, content), given in any order.

    SHA-256 over the files in the order of their names, each as name, NUL, size as 64 bits
    little-endian, content."""
    whole = hashlib.sha256()
    for name, content in sorted(files):
        whole.update(name.encode("ascii") + b"\0" + len(content).to_bytes(8, "little"))
        whole.update(content)
    return whole.digest()


def hour_digest(data: bytes) -> bytes:
    """8 bytes that stand for an hour file's content: the first of its SHA-256."""
    return hashlib.sha256(data).digest()[:HOUR_DIGEST_BYTES]


def pack_manifest(manifest: Manifest, key: bytes) -> bytes:
    """The datagram of 274 bytes; ValueError for digests or counts of the wrong number or size."""
    header = wire.pack_header(wire.MANIFEST, Codec.RAW, manifest.site, manifest.day, 0)
    counts = bytes(min(count, _MOST_RECORDS) for count in manifest.counts)
    sizes = [len(manifest.day_digest), *map(len, manifest.hour_digests), len(counts)]
    if sizes != [DAY_DIGEST_BYTES, *(HOURS * [HOUR_DIGEST_BYTES]), HOURS]:
        raise ValueError(f"no manifest can be made of parts of {sizes} bytes")
    signed = header + manifest.day_digest + b"".join(manifest.hour_digests) + counts
    return signed + wire.tag(key, signed)


def read_manifest(data: bytes, key: bytes, near_day: int) -> Manifest:
    """What a datagram says; `Unauthentic` or `Malformed` when it is not a good manifest.

    The wire has the day mod 65536: it is taken as the one nearest to `near_day`."""
    signed = wire.authentic(data, key)
    codec, site, day = wire.read_header(signed, wire.MANIFEST, near_day)
    if len(data) != MANIFEST_BYTES or codec is not Codec.RAW or signed[9]:
        raise Malformed(f"the manifest of site {site}, {len(data)} bytes, is not well formed")
    hours = signed[_HOURS_AT:_COUNTS_AT]
    return Manifest(
        site,
        day,
        signed[wire.HEADER_BYTES : _HOURS_AT],
        tuple(hours[at : at + HOUR_DIGEST_BYTES] for at in range(0, len(hours), HOUR_DIGEST_BYTES)),
        tuple(signed[_COUNTS_AT:]),
    )
