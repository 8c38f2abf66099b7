"""Datagrams that a stranger might send. Written from the layouts, apart from the reference's own
packers, so that both would have to be wrong alike."""

import hmac
import struct

from fieldproof.faults import Spoof

_HEADER = struct.Struct("<4s4scB2siH2s")
_POINTS = 60
_TWENTY_YEARS_S = 20 * 365 * 86400

_WRONG_KEY = b"a key that nobody shares"
_WHOLE_DAY = b"\x01\x00\x80\xa3\x05"  # one gap, from the start of the day to second 86400


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
            return _signed(b"RQ\x11", spoof, utc_s, _WHOLE_DAY)
        case "manifest":
            return _signed(b"RM\x01", spoof, utc_s, bytes(1) + bytes(32 + 24 * 8 + 24))
    raise ValueError(f"There is no spoof of kind {spoof.kind!r}.")


def _record(site_id: bytes, first_s: int, version: bytes = b"0") -> bytes:
    header = _HEADER.pack(b"XRIO", site_id, version, 1, bytes(2), first_s, _POINTS, bytes(2))
    return header + struct.pack("<3H", 2600, 4, 60) * _POINTS


def _signed(head: bytes, spoof: Spoof, utc_s: int, rest: bytes) -> bytes:
    """A datagram of the repair protocol about yesterday, right but for the key of its tag."""
    yesterday = utc_s // 86400 - 1
    said = head + spoof.site.encode("ascii") + struct.pack("<H", yesterday % 65536) + rest
    return said + hmac.digest(_WRONG_KEY, said, "sha256")[:16]
