"""What a center owes each datagram of its raw tree, by the judge's own rules (R1-24 to R1-30).

A record that passes the five checks of 2006, of a site that the center knows and of a time that is
near its arrival, is to be filed. What fails one of them is to be kept out. Between the two lies
what the spec leaves open: a first sample from `NEAR_S` to `FAR_S` away from its arrival (T4), a
record of other than sixty points (A6), one that has the magic in it once more. A center may do
either with those, but not lose them.

A replay files each content once, in the hour of its first sample and in the order of first samples;
the order of records of one second, no raw tree can tell (T5).
"""

from collections.abc import Mapping
from enum import Enum

from fieldproof.oracle.xrio import HEADER_BYTES, MAGIC, POINT_BYTES, POINTS, RECORD_BYTES

NEAR_S, FAR_S = 86_400, 2 * 86_400
"""A clock a day off is a clock; one two days off is none: our assumption."""

HOUR_S = 3600

_COUNT = POINTS.to_bytes(2, "little")


class Owed(Enum):
    """What is to become of a datagram."""

    FILED = "to be filed"
    EITHER = "to be filed or kept out"
    KEPT_OUT = "to be kept out"


def site_ids(sites: tuple[str, ...]) -> Mapping[bytes, str]:
    """By the four bytes of a record, folded to lower case: the sites that a center knows."""
    return {site.encode(): site for site in sites}


def owed(data: bytes, known: Mapping[bytes, str], arrived_s: int) -> tuple[Owed, str]:
    """What is to become of a datagram, and its site; no site where it is to be kept out."""
    site = known.get(data[4:8].lower())
    if site is None or data[:4] != MAGIC or data[8:9] != b"0" or not _is_whole(data):
        return Owed.KEPT_OUT, ""
    off_s = abs(first_s(data) - arrived_s)
    if off_s > FAR_S:
        return Owed.KEPT_OUT, ""
    is_plain = off_s <= NEAR_S and data[16:18] == _COUNT and data.find(MAGIC, len(MAGIC)) < 0
    return Owed.FILED if is_plain else Owed.EITHER, site


def first_s(data: bytes) -> int:
    """Unix second of the first sample of a record."""
    return int.from_bytes(data[12:16], "little")


def hour_of(data: bytes) -> int:
    """Unix second at which the hour of a record's first sample begins."""
    second = first_s(data)
    return second - second % HOUR_S


def replayed(records: list[bytes]) -> bytes:
    """An hour file of these contents, in the order of their first samples. `records` is sorted."""
    records.sort(key=lambda data: (data[15:11:-1], data))  # the time, its high bytes first
    return b"".join(records)


def _is_whole(data: bytes) -> bool:
    """Whether the length is what the header says (V4, V5)."""
    if len(data) == RECORD_BYTES and data[16:18] == _COUNT:
        return True
    count = int.from_bytes(data[16:18], "little")
    return count > 0 and len(data) == HEADER_BYTES + POINT_BYTES * count
