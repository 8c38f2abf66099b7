"""The serial words of the riometer's A/D: bytes of the line to 12-bit codes.

The 2006 text says "60 Hz, 12 bit, RS-232" and not how a sample is written. The format here is OUR
ASSUMPTION, and any other decoder fits behind `WordDecoder`:

    first byte   1 0 c11 c10 c9 c8 c7 c6        0x80 | code >> 6
    second byte  0 0 c5  c4  c3 c2 c1 c0        code & 0x3F

The top bit marks the first byte, so a reader finds the words again after any loss. What it can
promise: if an odd number of consecutive bytes is lost, no sample is invented and all that were
wholly received are returned. If an even number is lost from the middle of one word to the middle of
another, the two halves pass for one sample, which has neither parity nor counter to contradict it.
"""

from typing import Protocol

_FIRST = 0x80
_NEVER = 0x40  # set in no byte of a word
_SIX_BITS = 0x3F


class WordDecoder(Protocol):
    """What the acquisition needs of a serial format."""

    discarded: int  # bytes thrown away so far

    def feed(self, data: bytes) -> list[int]:
        """The codes, 0 to 4095, that are complete with these bytes."""


class TwoByteWords:
    """The decoder of the format above. Start a new one after the line was down: the half of a word
    from before belongs to nothing that comes after."""

    def __init__(self) -> None:
        self.discarded = 0
        self._first: int | None = None  # the first byte that waits for its second

    def feed(self, data: bytes) -> list[int]:
        """The codes that are complete with these bytes. A half is kept, garbage is counted."""
        codes: list[int] = []
        first = self._first
        for byte in data:
            if not byte & (_FIRST | _NEVER) and first is not None:
                codes.append((first & _SIX_BITS) << 6 | byte)
                first = None
                continue
            self.discarded += first is not None
            first = byte if byte & (_FIRST | _NEVER) == _FIRST else None
            self.discarded += first is None
        self._first = first
        return codes
