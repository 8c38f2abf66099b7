"""The body of a repair's reply as deltas of whole hour files (codec 6): our own addition.

    varint number of files; for each, in the order of the hours: varint hour, varint length, delta

A delta is VCDIFF (RFC 3284) as xdelta3 writes it. Its source is the hour file without the records
and the junk that lie in the gaps of the request: the edge cannot see the center's copy, but that is
what it should hold. Its target is the hour file as the edge has it. An hour of which the gaps hold
nothing has no delta. Encoders of different versions differ (T26): what a delta makes is held
against the digest of the day, which is why it needs no checksum of its own.
"""

from collections.abc import Sequence
from itertools import pairwise

from fieldproof_reference.formats import Malformed, varint

HOURS = 24


def pack_deltas(deltas: Sequence[tuple[int, bytes]]) -> bytes:
    """The body for deltas by hour of the day, in order."""
    parts = [varint.put(hour) + varint.put(len(delta)) + delta for hour, delta in deltas]
    return varint.put(len(deltas)) + b"".join(parts)


def unpack_deltas(body: bytes) -> list[tuple[int, bytes]]:
    """The deltas by hour of the day; `Malformed` for a body that is not exactly that."""
    count, offset = varint.take(body, 0)
    if count > HOURS:
        raise Malformed(f"the body brings deltas of {count} hours, a day has {HOURS}")
    deltas: list[tuple[int, bytes]] = []
    for _ in range(count):
        hour, offset = varint.take(body, offset)
        size, offset = varint.take(body, offset)
        if offset + size > len(body):
            raise Malformed(f"a delta of {size} bytes does not fit a body of {len(body)}")
        deltas.append((hour, body[offset : offset + size]))
        offset += size
    hours = [hour for hour, _ in deltas]
    if offset != len(body) or any(a >= b for a, b in pairwise(hours)) or max(hours, default=0) > 23:
        raise Malformed(f"deltas of the hours {hours} are no body of {len(body)} bytes")
    return deltas
