"""Serial words become samples, samples become seconds, sixty seconds become a record.

The laws:

1. Samples are used in the order in which they came, each exactly once: the points of a site
   partition its sample sequence. Only the end of the process loses the open record.
2. A record begins with the first sample after the last record's end, and lasts 60 seconds of
   monotonic time. It is not tied to minutes (R1-08).
3. UTC is looked at once per record, at its beginning: the record is labelled with the UTC second
   that is nearest, and its seconds end where that UTC's seconds end. So a clock that slews or steps
   makes the first second of the next record longer or shorter, by half a second at most, and
   changes nothing else but labels. The first record after a start takes the second that its first
   sample lies in.
4. Samples that were read together are taken as 1/60 s apart, the last of them as just arrived.
5. A second without samples is a point of zero samples (npoints 0). A record that would be nothing
   but such points does not come to be: it begins with the next sample instead, and the stretch
   between is told as lost (`LOST`). Where the clock went back meanwhile, the stretch is as long
   before that sample as the line was silent. The same holds for a line that is silent for a second
   or more after the start.
6. When the line comes up or goes down, half a word is forgotten: what follows does not continue it.
   The open record goes on.

Averages are rounded half up: `(2 * sum + n) // (2 * n)` (the 2006 text says "average"; rounding is
our assumption), range is maximum minus minimum of the second.
"""

from collections.abc import Callable, Mapping

from fieldproof_contract import (
    SECOND_NS,
    DiskView,
    Effects,
    Event,
    LineData,
    LineDown,
    LineSeconds,
    LineUp,
    Monotonic,
    Now,
    Publish,
)
from fieldproof_reference.edge import LOST, RECORD, EdgeSettings, Lost
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

    def __init__(
        self, settings: EdgeSettings, decoder: Callable[[], WordDecoder] = TwoByteWords
    ) -> None:
        """`decoder`: makes what reads the serial words; by default our assumption of them."""
        self._site_id = settings.site.upper().encode("ascii")
        self._new_decoder = decoder
        self._decoder = decoder()
        self._discarded = 0  # bytes, by the decoders before this one
        self._points = bytearray()  # of the open record
        self._label_s = 0  # UTC second of the open record's first point
        self._second_ends_ns: int | None = None  # monotonic; None where no record is open
        self._silent: Now | None = None  # since when no record is open; None where one is
        self._count = self._total = self._highest = 0  # of the open second
        self._lowest = NO_CODE

    def start(self, disk: DiskView, now: Now) -> Effects:
        """Nothing survives of an open record."""
        self._silent = now
        return ()

    def receive(self, event: Event, now: Now) -> Effects:
        """Take samples; publish the records that they finish."""
        match event:
            case LineData(_, data):
                return self._words(data, now)
            case LineSeconds():
                return self._seconds(event)
            case LineUp() | LineDown():
                self._discarded += self._decoder.discarded
                self._decoder = self._new_decoder()
                return ()
            case _:
                return ()

    def advance(self, now: Now) -> Effects:
        """Never asked for: the line itself is the clock of this node."""
        return ()

    def deadline(self) -> Monotonic | None:
        """None."""
        return None

    def figures(self) -> Mapping[str, int | str]:
        """For people: bytes of the line that were no sample."""
        return {"bytes discarded": self._discarded + self._decoder.discarded}

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
        while self._second_ends_ns is not None and monotonic_ns >= self._second_ends_ns:
            effects += self._close_second(self._second_ends_ns, monotonic_ns, utc_ns)
        if self._second_ends_ns is None:
            effects += self._begin(monotonic_ns, utc_ns)
        self._count += 1
        self._total += code
        self._lowest = min(self._lowest, code)
        self._highest = max(self._highest, code)
        return effects

    def _begin(self, monotonic_ns: int, utc_ns: int) -> Effects:
        """Open a record with a sample that follows none."""
        second = utc_ns // SECOND_NS
        self._latch(second, monotonic_ns, utc_ns)
        since, self._silent = self._silent, None
        if since is None or monotonic_ns - since.monotonic < SECOND_NS:
            return ()
        from_s = since.utc_ns // SECOND_NS
        if from_s > second:
            from_s = second - (monotonic_ns - since.monotonic) // SECOND_NS
        return (Publish(LOST, Lost(from_s, second + 1, "line down")),)

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
            ended_utc_ns = (self._label_s + xrio.RECORD_POINTS) * SECOND_NS
            self._second_ends_ns = None
            self._silent = Now(Monotonic(ended_ns), ended_utc_ns)
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
