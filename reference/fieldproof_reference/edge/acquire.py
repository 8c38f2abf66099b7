"""Serial words become samples, samples become seconds, sixty seconds become a record.

The laws:

1. Samples are used in the order in which they came, each exactly once: the points of a site
   partition its sample sequence. Only a death of the process loses the open record.
2. A record begins with the first sample after the last record's end, and lasts 60 seconds of
   monotonic time. It is not tied to minutes (R1-08).
3. UTC is looked at once per record, at its beginning: the record is labelled with the UTC second
   that is nearest, and its seconds end where that UTC's seconds end. So a clock that slews or steps
   makes the first second of the next record longer or shorter, by half a second at most, and
   changes nothing else but labels. The first record after a start takes the second that its first
   sample lies in.
4. Samples that were read together are taken as 1/60 s apart, the last of them as just arrived.
5. A second without samples is a point of zero samples (npoints 0). A record that would be nothing
   but such points does not come to be: it begins with the next sample instead.

Averages are rounded half up: `(2 * sum + n) // (2 * n)` (the 2006 text says "average"; rounding is
our assumption), range is maximum minus minimum of the second.
"""

from fieldproof_contract import (
    SECOND_NS,
    DiskView,
    Effects,
    Event,
    LineData,
    LineSeconds,
    Monotonic,
    Now,
    Publish,
)
from fieldproof_reference.edge import RECORD, EdgeSettings
from fieldproof_reference.formats import xrio
from fieldproof_reference.formats.adwords import TwoByteWords, WordDecoder

SAMPLE_NS = SECOND_NS // 60
"""Nominal distance of samples (R1-05)."""

NO_CODE = 0xFFFF
"""Above every code: the lowest of no samples."""

RECORD_NS = xrio.RECORD_POINTS * SECOND_NS
RECORD_POINTS_BYTES = xrio.RECORD_POINTS * xrio.POINT_BYTES


class Acquire:
    """The node that reads the A/D converter."""

    def __init__(self, settings: EdgeSettings, decoder: WordDecoder | None = None) -> None:
        """`decoder`: how the serial words are laid out; by default our assumption of it."""
        self._site_id = settings.site.upper().encode("ascii")
        self._decoder = decoder or TwoByteWords()
        self._points = bytearray()  # of the open record
        self._label_s = 0  # UTC second of the open record's first point
        self._second_ends_ns: int | None = None  # monotonic; None before the first sample
        self._count = self._total = self._highest = 0  # of the open second
        self._lowest = NO_CODE

    def start(self, disk: DiskView, now: Now) -> Effects:
        """Nothing survives of an open record."""
        return ()

    def receive(self, event: Event, now: Now) -> Effects:
        """Take samples; publish the records that they finish."""
        match event:
            case LineData(_, data):
                return self._words(data, now)
            case LineSeconds():
                return self._seconds(event)
            case _:
                return ()

    def advance(self, now: Now) -> Effects:
        """Never asked for: the line itself is the clock of this node."""
        return ()

    def deadline(self) -> Monotonic | None:
        """None."""
        return None

    # --- single words ---

    def _words(self, data: bytes, now: Now) -> Effects:
        codes = self._decoder.feed(data)
        effects: Effects = ()
        age_ns = len(codes) * SAMPLE_NS
        for code in codes:
            age_ns -= SAMPLE_NS
            effects += self._sample(code, now.monotonic - age_ns, now.utc_ns - age_ns)
        return effects

    def _sample(self, code: int, monotonic_ns: int, utc_ns: int) -> Effects:
        effects: Effects = ()
        if self._second_ends_ns is None:
            self._latch(utc_ns // SECOND_NS, monotonic_ns, utc_ns)
        while self._second_ends_ns is not None and monotonic_ns >= self._second_ends_ns:
            effects += self._close_second(self._second_ends_ns, monotonic_ns, utc_ns)
        if self._second_ends_ns is None:  # the line was silent for a minute or more
            self._latch(utc_ns // SECOND_NS, monotonic_ns, utc_ns)
        self._count += 1
        self._total += code
        self._lowest = min(self._lowest, code)
        self._highest = max(self._highest, code)
        return effects

    def _latch(self, label_s: int, monotonic_ns: int, utc_ns: int) -> None:
        """A record begins in UTC second `label_s`, by the clock as it is now."""
        self._label_s = label_s
        self._second_ends_ns = monotonic_ns + (label_s + 1) * SECOND_NS - utc_ns

    def _close_second(self, ended_ns: int, monotonic_ns: int, utc_ns: int) -> Effects:
        self._points += self._point()
        self._clear_second()
        self._second_ends_ns = ended_ns + SECOND_NS
        if len(self._points) < RECORD_POINTS_BYTES:
            return ()
        record = self._take_record()
        if monotonic_ns - ended_ns >= RECORD_NS:
            self._second_ends_ns = None
        else:
            boundary_utc_ns = utc_ns - (monotonic_ns - ended_ns)
            nearest_s = (boundary_utc_ns + SECOND_NS // 2) // SECOND_NS
            self._latch(nearest_s, monotonic_ns, utc_ns)
        return (Publish(RECORD, record),)

    def _point(self) -> bytes:
        if self._count == 0:
            return xrio.pack_points((0,), (0,), (0,))
        average = (2 * self._total + self._count) // (2 * self._count)
        return xrio.pack_points((average,), (self._highest - self._lowest,), (self._count,))

    def _clear_second(self) -> None:
        self._count = self._total = self._highest = 0
        self._lowest = NO_CODE

    # --- whole seconds ---

    def _seconds(self, seconds: LineSeconds) -> Effects:
        if not self._points:
            self._label_s = seconds.utc_s
        self._points += _points_of(seconds)
        effects: Effects = ()
        while len(self._points) >= RECORD_POINTS_BYTES:
            effects += (Publish(RECORD, self._take_record()),)
            self._label_s += xrio.RECORD_POINTS
        return effects

    def _take_record(self) -> bytes:
        points = bytes(self._points[:RECORD_POINTS_BYTES])
        del self._points[:RECORD_POINTS_BYTES]
        # A clock from before 1970 must not end the measurement: it wraps, as 32 bits do.
        return xrio.pack(self._site_id, self._label_s & 0xFFFF_FFFF, points)


def _points_of(seconds: LineSeconds) -> bytes:
    """The points of whole seconds: the arithmetic of `_point`, by columns.

    numpy is imported here because an edge on a serial line never needs it."""
    import numpy as np

    codes = np.frombuffer(seconds.codes, dtype="<u2")
    lengths = np.frombuffer(seconds.lengths, dtype="<u2").astype(np.int64)
    counts = lengths[lengths > 0]
    starts = counts.cumsum() - counts
    totals = np.add.reduceat(codes, starts, dtype=np.int64)
    points = np.empty((len(counts), 3), dtype="<u2")
    points[:, 0] = (2 * totals + counts) // (2 * counts)
    points[:, 1] = np.maximum.reduceat(codes, starts) - np.minimum.reduceat(codes, starts)
    points[:, 2] = counts
    if len(points) == len(lengths):
        return points.tobytes()
    with_empty = np.zeros((len(lengths), 3), dtype="<u2")
    with_empty[lengths > 0] = points
    return with_empty.tobytes()
