"""What one end of a TCP stream sends, and when it may: windows, round trips, retransmission.

Positions count bytes from the SYN, which is number 0; the FIN is the last:

    0    1 ... done ... next ... end    end + 1
    SYN  |acknowledged|under way|waits| behind the FIN

Where small writes are gathered, a segment that is not full waits while one that was not full is not
acknowledged (Nagle's algorithm as Minshall has it, and Linux); a FIN waits for nothing.

Congestion control counts bytes: slow start up to the threshold, then one payload a round trip
(RFC 5681). After the third equal acknowledgement, what is acknowledged next says whether more was
lost at once (RFC 6582); after a time-out everything that is not acknowledged goes again.
"""

from fieldproof_contract import SECOND_NS
from fieldproof_simulators.links.segments import Flag

FIRST_SEGMENTS = 10
"""Initial window, RFC 6928."""

WINDOW_BYTES = 65_536
"""Bytes under way at most: Linux's first receive window (our assumption: it does not grow)."""

LEAST_RTO_NS = SECOND_NS
MOST_RTO_NS = 120 * SECOND_NS

_MS = 1_000_000
_DUPLICATES = 3


class Sending:
    """What one end sends: a SYN at 0, the bytes from 1 on, a FIN behind them."""

    def __init__(self, payload_bytes: int) -> None:
        self.data = bytearray()  # from `_first` on
        self.closes = self.gathers = False
        self.done = self.next = 0
        self.tries = 0
        self.rto_ns = LEAST_RTO_NS
        self._first = 1
        self._furthest = 0
        self._small_at = 0  # where the last segment ended that was not full
        self._payload_bytes = payload_bytes
        self._window_bytes = FIRST_SEGMENTS * payload_bytes
        self._threshold_bytes = WINDOW_BYTES
        self._repeats = 0
        self._recovers_at = 0  # where the recovery after a fast retransmission is over
        self._round_trip_ns = self._varies_ns = 0

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be acknowledged."""
        return self.done == self.next

    @property
    def finished(self) -> bool:
        """Whether everything was acknowledged, the FIN included."""
        return self.closes and self.done == self._end + 1

    @property
    def _end(self) -> int:
        return self._first + len(self.data)

    def limit(self, payload_bytes: int) -> None:
        """The other end takes segments of this payload at most."""
        self._payload_bytes = payload_bytes
        self._window_bytes = FIRST_SEGMENTS * payload_bytes

    def may_send(self, handshake: bool) -> bool:
        """Whether a segment may go at `next`."""
        if handshake:
            return self.next == 0
        if self.next >= self._end + self.closes:
            return False
        is_small = self._end - self.next < self._payload_bytes and not self.closes
        if self.gathers and is_small and self._small_at > self.done:
            return False
        window_bytes = min(self._window_bytes, WINDOW_BYTES)
        return self.next - self.done < window_bytes

    def piece(self, position: int) -> tuple[Flag, bytes]:
        """What a segment from `position` on holds; it is under way from now on."""
        if position == 0:
            self.next = max(self.next, 1)
            self._furthest = max(self._furthest, 1)
            return Flag.SYN, b""
        at = position - self._first
        payload = bytes(self.data[at : at + self._payload_bytes])
        stop = position + len(payload)
        fin = self.closes and stop == self._end
        if len(payload) < self._payload_bytes:
            self._small_at = stop
        self.next = max(self.next, stop + fin)
        self._furthest = max(self._furthest, self.next)
        return Flag.ACK | (Flag.FIN if fin else Flag(0)), payload

    def measure(self, round_trip_ms: int) -> None:
        """A round trip was seen (RFC 6298)."""
        seen_ns = max(round_trip_ms, 1) * _MS
        if not self._round_trip_ns:
            self._round_trip_ns, self._varies_ns = seen_ns, seen_ns // 2
        else:
            off_ns = abs(self._round_trip_ns - seen_ns)
            self._varies_ns = (3 * self._varies_ns + off_ns) // 4
            self._round_trip_ns = (7 * self._round_trip_ns + seen_ns) // 8
        rto_ns = self._round_trip_ns + 4 * self._varies_ns
        self.rto_ns = min(max(rto_ns, LEAST_RTO_NS), MOST_RTO_NS)

    def advance(self, position: int) -> bool:
        """All before `position` has arrived. Whether the next segment must be sent again (a part
        of what was lost at once, RFC 6582)."""
        position = min(position, self._furthest)
        fresh_bytes = position - self.done
        taken = min(position, self._end) - self._first
        del self.data[:taken]
        self._first += taken
        self.done, self.next = position, max(self.next, position)
        self.tries = self._repeats = 0
        if self._recovers_at > position:
            return True
        self._recovers_at = 0
        if self._window_bytes < self._threshold_bytes:
            self._window_bytes += fresh_bytes
        else:
            self._window_bytes += self._payload_bytes * fresh_bytes // self._window_bytes
        return False

    def repeated(self) -> bool:
        """The same acknowledgement again. Whether it is the third, and something was lost."""
        if self.idle or self._recovers_at:
            return False
        self._repeats += 1
        if self._repeats < _DUPLICATES:
            return False
        self._shrink()
        self._window_bytes, self._recovers_at = self._threshold_bytes, self.next
        return True

    def back_off(self) -> None:
        """Nothing came in time: all that is under way is taken to be lost."""
        self._shrink()
        self._window_bytes, self._recovers_at, self._repeats = self._payload_bytes, 0, 0
        self.next = self.done
        self.rto_ns = min(2 * self.rto_ns, MOST_RTO_NS)

    def _shrink(self) -> None:
        flight_bytes = self.next - self.done
        self._threshold_bytes = max(flight_bytes // 2, 2 * self._payload_bytes)
