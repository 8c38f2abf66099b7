"""The riometer's noise as random bytes and integers: no sample depends on the one before it.

Theory of operation. Philox is a counter-based generator: the bytes at any position come from a key
and a counter, so that any range of samples can be made at any time. The integrator is a sliding sum
over `BOXCAR` bytes: near-Gaussian, and its single samples are to their one-second mean what those
behind an RC stage of 0.25 s are (1.7 and 1.6 times its standard deviation). Impulses (sferics,
ignition) are at most one to a slot of samples, each drawn from a hash of its slot.
"""

import math

import numpy as np
from numpy.typing import NDArray

from fieldproof_simulators.instruments.sampling import SAMPLE_RATE_HZ
from fieldproof_simulators.streams import words_at

RELATIVE_PPM = {"quiet": 500, "2006": 1_070, "la-jolla": 2_300, "2023": 9_000}
"""Standard deviation of one-second means over the signal, by preset."""

BYTE_SD = math.sqrt((256 * 256 - 1) / 12)
BOXCAR = 24  # samples, 0.4 s
_BYTES_PER_COUNT = 32  # Philox4x64: four words for each step of the counter


def _one_second_sd() -> float:
    """Standard deviation of the mean of 60 `boxcar` sums, by how often each byte is in them."""
    last = SAMPLE_RATE_HZ + BOXCAR - 1
    uses = [min(i, BOXCAR, last + 1 - i) for i in range(1, last + 1)]
    return BYTE_SD * math.sqrt(sum(n * n for n in uses)) / SAMPLE_RATE_HZ


ONE_SECOND_SD = _one_second_sd()


def random_bytes(key: int, first: int, count: int) -> NDArray[np.uint8]:
    """Bytes `first` to `first + count` of the stream with this 64 bit key."""
    step, skip = divmod(first, _BYTES_PER_COUNT)
    words = np.random.Philox(key=key, counter=step).random_raw((skip + count + 7) // 8)
    return words.astype("<u8", copy=False).view(np.uint8)[skip : skip + count]


def boxcar(key: int, first: int, count: int) -> NDArray[np.uint16]:
    """Sums of `BOXCAR` successive bytes, for samples `first` to `first + count`.

    Sums of 2, 4, 8, 16 and 16 + 8 bytes: ten times as fast as differences of a running sum."""
    eights = random_bytes(key, first, count + BOXCAR - 1).astype(np.uint16)
    for width in (1, 2, 4):
        eights = eights[width:] + eights[:-width]
    return eights[:-16] + eights[8:-8] + eights[16:]


IMPULSES_PER_HOUR = 40
IMPULSE_MEAN_UV = 800_000
IMPULSE_DECAY_S = 0.1
IMPULSE_SAMPLES = 64  # e**-10 of the peak is left
_SLOT = 1024  # samples, 17 s
_SLOT_ODDS = IMPULSES_PER_HOUR * _SLOT * 2**32 // (3600 * SAMPLE_RATE_HZ)  # of 2**32
_PEAKS_UV = np.array(
    [round(-math.log(1 - (i + 0.5) / 1024) * IMPULSE_MEAN_UV) for i in range(1024)], dtype=np.int64
)
_SHAPE = np.array(
    [
        round(65_536 * math.exp(-i / (IMPULSE_DECAY_S * SAMPLE_RATE_HZ)))
        for i in range(IMPULSE_SAMPLES)
    ],
    dtype=np.int64,
)


def impulses(seed: int, first: int, last: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Samples of [first, last) that impulses reach, and by how many microvolts.

    A sample that two impulses reach is there twice."""
    slots = np.arange((first - IMPULSE_SAMPLES) // _SLOT, (last - 1) // _SLOT + 1, dtype=np.int64)
    words = words_at(seed, slots)
    struck = (words >> 32) < _SLOT_ODDS
    peaks_uv = _PEAKS_UV[(words[struck] & 0x3FF).astype(np.int64)]
    starts = slots[struck] * _SLOT + (words[struck] >> 10 & (_SLOT - 1)).astype(np.int64)
    samples = (starts[:, None] + np.arange(IMPULSE_SAMPLES, dtype=np.int64)).ravel()
    heights_uv = (peaks_uv[:, None] * _SHAPE >> 16).ravel()
    inside = (samples >= first) & (samples < last)
    return samples[inside], heights_uv[inside]
