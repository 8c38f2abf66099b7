"""The request of a repair: which stretches of a site's day the center lacks.

A gap is an *open* time interval between two records that the center has. Neither side needs to know
cadence or phase: the edge returns whatever it holds in between, possibly nothing. Per gap the wire
has two varints: 1 + second of the day of the last good first-sample (0: from the start of the day),
and the distance to the next good one (to 86400: to the end of the day). A request without gaps asks
for the digest of the day alone.
"""

from itertools import pairwise
from typing import NamedTuple

from fieldproof_reference.formats import Malformed, varint
from fieldproof_reference.formats.days import DAY_S
from fieldproof_reference.protocols import wire
from fieldproof_reference.protocols.wire import Codec

MOST_GAPS = 255


class Gap(NamedTuple):
    """An open interval of seconds of the day."""

    after_s: int | None  # the last good first-sample, None: from the start of the day
    before_s: int  # the next good one, 86400: to the end of the day

    def holds(self, second: int) -> bool:
        """Whether a record of this second of the day belongs here. The end of the day takes in a
        leap second that is counted as second 86400."""
        after_s = -1 if self.after_s is None else self.after_s
        return after_s < second < self.before_s or second == self.before_s == DAY_S


class Request(NamedTuple):
    """What the center asks an edge."""

    site: str  # four lower-case letters
    day: int  # counted from 1970-01-01
    codec: Codec  # wanted; the edge may fall back
    gaps: tuple[Gap, ...]  # in the order of time, without overlap, 255 at most


def pack_request(request: Request, key: bytes) -> bytes:
    """The datagram; ValueError for gaps that overlap, are out of order or leave the day."""
    fault = _fault(request.gaps)
    if fault is not None:
        raise ValueError(f"no request can be made for site {request.site}: {fault}")
    header = wire.pack_header(
        wire.REQUEST, request.codec, request.site, request.day, len(request.gaps)
    )
    signed = header + b"".join(map(_put_gap, request.gaps))
    return signed + wire.tag(key, signed)


def read_request(data: bytes, key: bytes, near_day: int) -> Request:
    """What a datagram asks for; `Unauthentic` or `Malformed` when it is not a good request.

    The wire has the day mod 65536: it is taken as the one nearest to `near_day`."""
    signed = wire.authentic(data, key)
    codec, site, day = wire.read_header(signed, wire.REQUEST, near_day)
    gaps: list[Gap] = []
    offset = wire.HEADER_BYTES
    for _ in range(signed[9]):
        gap, offset = _take_gap(signed, offset)
        gaps.append(gap)
    fault = _fault(gaps) if offset == len(signed) else f"{len(signed) - offset} bytes too many"
    if fault is not None:
        raise Malformed(f"the request for site {site} is not well formed: {fault}")
    return Request(site, day, codec, tuple(gaps))


def _put_gap(gap: Gap) -> bytes:
    if gap.after_s is None:
        return varint.put(0) + varint.put(gap.before_s)
    return varint.put(1 + gap.after_s) + varint.put(gap.before_s - gap.after_s)


def _take_gap(signed: bytes, offset: int) -> tuple[Gap, int]:
    start, offset = varint.take(signed, offset)
    distance_s, offset = varint.take(signed, offset)
    after_s = start - 1 if start else None
    return Gap(after_s, (after_s or 0) + distance_s), offset


def _fault(gaps: list[Gap] | tuple[Gap, ...]) -> str | None:
    """What is wrong with these gaps, None if nothing is. Disjoint and sorted, they give every
    second one place, which is what lets a reply leave out the boundaries between gaps."""
    if len(gaps) > MOST_GAPS:
        return f"{len(gaps)} gaps, {MOST_GAPS} is the most"
    for gap in gaps:
        start_s = -1 if gap.after_s is None else gap.after_s
        is_before_the_day = gap.after_s is not None and gap.after_s < 0
        if is_before_the_day or not start_s < gap.before_s <= DAY_S:
            return f"{gap} is no interval of a day"
    for gap, following in pairwise(gaps):
        if following.after_s is None or following.after_s + 1 < gap.before_s:
            return f"{following} does not follow {gap}"
    return None
