"""The serial words of the riometer's A/D converter: two bytes for each 12 bit sample.

The first byte has bit 7 set and carries the upper six bits, the second has it clear and carries the
lower six, so that a reader that lost a byte is in step again at the next word. "Riometer data
flow", 2006, says RS-232 and 12 bit but is silent about the words: this layout is our assumption.
The decoders of edge and oracle are written apart from this encoder on purpose.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fieldproof_contract import SECOND_NS

WORD_BYTES = 2
BITS_PER_BYTE = 10  # start, eight data, stop


def encode(codes: NDArray[np.uint16] | Sequence[int]) -> bytes:
    """The words of A/D codes (0..4095), `WORD_BYTES` for each.

    Raises ValueError for a code of more than 12 bits."""
    samples = np.asarray(codes, dtype=np.uint16)
    if samples.size and int(samples.max()) > 0xFFF:
        raise ValueError(
            f"A/D words carry 12 bits, but a code is {int(samples.max())}: give codes of 0..4095"
        )
    words = np.empty((samples.size, WORD_BYTES), dtype=np.uint8)
    words[:, 0] = 0x80 | (samples >> 6)
    words[:, 1] = samples & 0x3F
    return words.tobytes()


def word_time_ns(baud: int = 9600) -> int:
    """How long one word occupies the line, rounded down, at ten bits for each byte."""
    return WORD_BYTES * BITS_PER_BYTE * SECOND_NS // baud


def with_samples(detail: Mapping[str, str | int]) -> dict[str, str | int]:
    """A fact's detail with the samples, half-open, whose words lie at its bytes, wholly or in part.

    For an instrument whose stream is nothing but words: byte 2k is the first of sample k's."""
    said = dict(detail)
    if "from_byte" in detail:
        said["from_sample"] = int(detail["from_byte"]) // WORD_BYTES
        said["until_sample"] = -(-int(detail["until_byte"]) // WORD_BYTES)
    return said
