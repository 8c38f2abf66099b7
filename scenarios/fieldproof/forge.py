"""Datagrams that a stranger might send to a center. Written from the record's layout, apart from
the reference's own packer."""

import struct

from fieldproof.faults import Spoof

_HEADER = struct.Struct("<4s4scB2siH2s")
_POINTS = 60
_TWENTY_YEARS_S = 20 * 365 * 86400

UNSIGNED_REQUEST = b"RQ\x11" + b"daws" + bytes(2) + b"\x01" + bytes(20)
"""A repair request whose tag is wrong."""


def forged(spoof: Spoof, utc_s: int) -> bytes:
    """The payload of a spoof at Unix time `utc_s`. Raises ValueError for a kind there is not."""
    first_s = utc_s - 90  # between two records of the site, as a forger would choose it
    site = spoof.site.upper().encode("ascii")
    match spoof.kind:
        case "traversal":
            return _record(b"../x", first_s)
        case "short":
            return _record(site, first_s)[:-1]
        case "long":
            return _record(site, first_s) + b"\0"
        case "version":
            return _record(site, first_s, version=b"1")
        case "forged":
            return _record(site, first_s)
        case "forged-future":
            return _record(site, first_s + _TWENTY_YEARS_S)
        case "empty":
            return b""
        case "repair":
            return UNSIGNED_REQUEST
    raise ValueError(f"There is no spoof of kind {spoof.kind!r}.")


def _record(site_id: bytes, first_s: int, version: bytes = b"0") -> bytes:
    header = _HEADER.pack(b"XRIO", site_id, version, 1, bytes(2), first_s, _POINTS, bytes(2))
    return header + struct.pack("<3H", 2600, 4, 60) * _POINTS
