"""Which bytes of an hour file the center lacks, and how they come into its copy. Pure.

By cadence: the edge's hour file has one record every 60 s, all of 380 bytes. Where two neighbours
at the center are further apart, so many records of the edge's file lie between them; and what lies
before them says at which byte these begin. That is a guess: an edge that was down has fewer. So
what comes is put in only where it fits, and it fits only where every byte of it is a valid record
of the site, of a time between the two, and the file then has the length that the edge states.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from fieldproof_reference.center import SiteHour
from fieldproof_reference.center.gaps import APART_S, CADENCE_S, CLOSE_S
from fieldproof_reference.formats import xrio
from fieldproof_reference.formats.days import HOUR_S
from fieldproof_reference.protocols.httprange import Span

MOST_MISSING = 30
"""More missing records than these, half of the hour, are not worth a search for their places."""


class Piece(NamedTuple):
    """Records that should be between two that the center has."""

    span: Span  # bytes of the edge's file
    at: int  # bytes of the center's file before it
    after_s: int  # second of the day of the record before; of the end of the hour before
    before_s: int  # and of the one behind; of the beginning of the hour that follows


def pieces(data: bytes, hour: int) -> tuple[Piece, ...] | None:
    """What an hour file lacks by cadence; `hour` is its own, since 1970. None where that cannot be
    known: there is no record, too few are left, or they are not as a cadence makes them (T6)."""
    seconds = _seconds(data, hour)
    if seconds is None:
        return None
    begins_s = hour % 24 * HOUR_S
    edges = [(-1, seconds[0], seconds[0] // CADENCE_S)]
    edges += [(a, b, _between(a, b)) for a, b in pairwise(seconds)]
    edges += [(seconds[-1], HOUR_S, (HOUR_S - 1 - seconds[-1]) // CADENCE_S)]
    found: list[Piece] = []
    missing = 0
    for index, (after_s, before_s, count) in enumerate(edges):
        if count:
            first = (index + missing) * xrio.RECORD_BYTES
            span = Span(first, first + count * xrio.RECORD_BYTES - 1)
            at = index * xrio.RECORD_BYTES
            found.append(Piece(span, at, begins_s + after_s, begins_s + before_s))
            missing += count
    return tuple(found) if missing <= MOST_MISSING else None


def reaches_its_end(data: bytes, hour: int) -> bool:
    """Whether the last record of an hour file is so late that the next is of another hour."""
    seconds = _seconds(data, hour)
    return seconds is not None and seconds[-1] + CADENCE_S >= HOUR_S


def has_record(data: bytes, of: SiteHour) -> bool:
    """Whether there is at least one valid record of this site and hour."""
    records = (
        data[span.offset : span.offset + span.size] for span in xrio.walk(data) if span.valid
    )
    return any(
        xrio.site(one) == of.site and xrio.timestamp_s(one) // HOUR_S == of.hour for one in records
    )


def filled(
    data: bytes, hour: int, wanted: Sequence[tuple[Piece, bytes]], site: str
) -> bytes | None:
    """The hour file with pieces put in, in their order; None where one does not fit."""
    day_s = hour // 24 * 24 * HOUR_S
    parts: list[bytes] = []
    done = 0
    for piece, content in wanted:
        if not _fits(content, piece, day_s, site):
            return None
        parts += [data[done : piece.at], content]
        done = piece.at
    return b"".join([*parts, data[done:]])


def _seconds(data: bytes, hour: int) -> list[int] | None:
    """Seconds of the hour of the records, where these are all of a regular cadence; else None."""
    spans = xrio.walk(data)
    if not spans or any(not span.valid or span.size != xrio.RECORD_BYTES for span in spans):
        return None
    seconds = [
        xrio.timestamp_s(data[span.offset : span.offset + span.size]) - hour * HOUR_S
        for span in spans
    ]
    regular = all(later - earlier >= CLOSE_S for earlier, later in pairwise(seconds))
    return seconds if regular and seconds[0] >= 0 and seconds[-1] < HOUR_S else None


def _between(earlier_s: int, later_s: int) -> int:
    """How many records should lie between two."""
    apart_s = later_s - earlier_s
    return (apart_s + CADENCE_S // 2) // CADENCE_S - 1 if apart_s > APART_S else 0


def _fits(content: bytes, piece: Piece, day_s: int, site: str) -> bool:
    spans = xrio.walk(content)
    records = [content[span.offset : span.offset + span.size] for span in spans if span.valid]
    seconds = [xrio.timestamp_s(record) - day_s for record in records]
    return (
        0 < len(records) == len(spans)
        and all(xrio.site(record) == site for record in records)
        and piece.after_s < seconds[0]
        and seconds[-1] < piece.before_s
        and seconds == sorted(seconds)
    )
