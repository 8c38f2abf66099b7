"""A 30 MHz riometer: cosmic noise power through a non-linear detector to 12 bit codes at 60 Hz.

Rules:

1. The truth is a function of (seed, site, rate segments, faults, law): any range of samples can be
   asked for at any time, in any pieces, and gives the same codes. No table of a day is kept.
2. It is bit-identical on every CPU. Floats stop at the knots (see sky.py); all after is integers.
3. Times are true time: nanoseconds since the world began, which never step.

Theory of operation. Every 512 samples (8.5 s) there is a knot: the quiet-day curve of the sidereal
day, made rougher by scintillation, becomes power; absorption dims it; the detector's law makes it
volts again. Knots carry 1/256 of an A/D step, and between them the level is a straight line. To it
come the integrator's noise, in proportion to the signal at the knot, the impulses, and the
converter's own noise, all in units of 2**-17 A/D step, so that digitizing is one shift. A block of
2**17 samples is made at a time and the last two are kept.

Source: "Riometer data flow", 2006 (R1-05). The shape of the signal is our assumption; its noise is
calibrated so that Dawson's day of 2006-01-17 compresses to the size which that text measured.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fieldproof_simulators.instruments.absorption import absorption_mdb
from fieldproof_simulators.instruments.noise import (
    BOXCAR,
    BYTE_SD,
    ONE_SECOND_SD,
    RELATIVE_PPM,
    boxcar,
    impulses,
    random_bytes,
)
from fieldproof_simulators.instruments.sampling import (
    DEFAULT_SEGMENTS,
    RateSegment,
    SamplingClock,
)
from fieldproof_simulators.instruments.sites import DEFAULT_SITES, SITES, Site
from fieldproof_simulators.instruments.sky import quiet_day_volts, scintillation
from fieldproof_simulators.instruments.voltage import DETECTOR, FULL_SCALE_UV, VoltageLaw
from fieldproof_simulators.streams import child_seed

__all__ = ["DEFAULT_SITES", "SITES", "PreampDead", "RateSegment", "Riometer", "Site"]

_SPAN_UV = 20_000_000  # the converter's -10 V to +10 V
_SPAN_CODES = 4_096
ZERO_CODE = _SPAN_CODES // 2  # 0 V
TOP_CODE = ZERO_CODE + FULL_SCALE_UV * _SPAN_CODES // _SPAN_UV  # 3584, 7.5 V: the detector ends

DEAD_CODES = range(2_038, 2_059)  # within 50 mV of 0 V

_ROW_BITS = 9  # a knot every 512 samples
_KNOT_BITS = 8  # a knot is in 1/256 A/D step
_UNIT_BITS = _KNOT_BITS + _ROW_BITS  # a sample's sum is in 2**-17 A/D step
_ROW = 1 << _ROW_BITS
_BLOCK_ROWS = 256
_BLOCK = _BLOCK_ROWS * _ROW
_SPAN_BLOCKS = 32  # knots are made for 19 hours at once: few, long array operations
_RAMP = np.arange(_ROW, dtype=np.int32)

CONVERTER_NOISE_CODES = 0.4  # standard deviation, uniform
_CONVERTER_GAIN = round(CONVERTER_NOISE_CODES * (1 << _UNIT_BITS) / BYTE_SD)


class PreampDead(NamedTuple):
    """Between two true times the preamplifier gives nothing but small noise about 0 V (R1-29)."""

    from_ns: int
    until_ns: int


class Riometer:
    """One site's riometer. Raises ValueError for a site or a noise preset that does not exist.

    `begins_utc_ns` is the UTC at true time 0; it places the sky. Sample 0 is the first one."""

    def __init__(
        self,
        site: str,
        seed: int,
        begins_utc_ns: int,
        *,
        noise: str = "2006",
        rate_segments: tuple[RateSegment, ...] = DEFAULT_SEGMENTS,
        faults: tuple[PreampDead, ...] = (),
        law: VoltageLaw = DETECTOR,
    ) -> None:
        _check_name("site", site, tuple(SITES))
        _check_name("noise preset", noise, tuple(RELATIVE_PPM))
        self._site = site
        self._seed = child_seed(seed, f"riometer:{site}")
        self._begins_utc_ns = begins_utc_ns
        self._relative = round(RELATIVE_PPM[noise] * 2**32 / 1e6 / ONE_SECOND_SD)
        self._law = law
        self._clock = SamplingClock(child_seed(self._seed, "clock"), rate_segments)
        self._dead = tuple(
            (self._clock.first_at(fault.from_ns), self._clock.first_at(fault.until_ns))
            for fault in faults
        )
        self._block = lru_cache(maxsize=2)(self._make_block)
        self._knots = lru_cache(maxsize=2)(self._make_knots)

    def instant_ns(self, k: int) -> int:
        """True time of sample k's conversion; strictly increasing in k."""
        return self._clock.instant_ns(k)

    def instants_ns(self, k: NDArray[np.int64]) -> NDArray[np.int64]:
        """`instant_ns` of many samples at once."""
        return self._clock.instants_ns(k)

    def first_at(self, true_ns: int) -> int:
        """The smallest k with `instant_ns(k) >= true_ns`."""
        return self._clock.first_at(true_ns)

    def firsts_at(self, true_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """`first_at` of many times at once."""
        return self._clock.firsts_at(true_ns)

    def codes(self, first: int, last: int) -> NDArray[np.uint16]:
        """A/D codes of samples [first, last), read-only; 2048 is 0 V, 3584 is 7.5 V.

        Raises ValueError where the range is not one."""
        if not 0 <= first <= last:
            raise ValueError(
                f"riometer {self._site} has no samples [{first}, {last}): "
                "ask for 0 <= first <= last"
            )
        block, start = divmod(first, _BLOCK)
        if last - first + start <= _BLOCK:
            return self._block(block)[start : start + last - first]
        pieces = [
            self._block(n)[max(0, first - n * _BLOCK) : last - n * _BLOCK]
            for n in range(block, (last - 1) // _BLOCK + 1)
        ]
        joined = np.concatenate(pieces)
        joined.flags.writeable = False
        return joined

    def _make_block(self, block: int) -> NDArray[np.uint16]:
        """Codes of samples [block * _BLOCK, (block + 1) * _BLOCK)."""
        first, last = block * _BLOCK, (block + 1) * _BLOCK
        white = random_bytes(child_seed(self._seed, "converter"), first, _BLOCK)
        units = self._line_and_noise(block)
        units += np.multiply(white, _CONVERTER_GAIN, dtype=np.int32)
        samples, heights_uv = impulses(child_seed(self._seed, "impulses"), first, last)
        heights = heights_uv * (_SPAN_CODES << _UNIT_BITS) // _SPAN_UV
        np.add.at(units, samples - first, heights.astype(np.int32))
        units >>= _UNIT_BITS
        codes = np.minimum(units, TOP_CODE).astype(np.uint16)
        for dead_from, dead_until in self._dead:
            dead = slice(max(0, dead_from - first), max(0, dead_until - first))
            noise = white[dead].astype(np.uint16) * len(DEAD_CODES) >> 8
            codes[dead] = DEAD_CODES.start + noise
        codes.flags.writeable = False
        return codes

    def _line_and_noise(self, block: int) -> NDArray[np.int32]:
        """Level and integrator noise of a block in 2**-_UNIT_BITS A/D step.

        The noise bytes have a mean; it is taken off here, for the converter's noise as well."""
        span, row = divmod(block, _SPAN_BLOCKS)
        knots = self._knots(span)[row * _BLOCK_ROWS : (row + 1) * _BLOCK_ROWS + 1]
        level, step = knots[:-1] << _ROW_BITS, np.diff(knots)
        gain = (level - (ZERO_CODE << _UNIT_BITS)) * self._relative >> 32
        base = level - (gain * (255 * BOXCAR) + 255 * _CONVERTER_GAIN >> 1)
        units = step.astype(np.int32)[:, None] * _RAMP
        units += base.astype(np.int32)[:, None]
        sums = boxcar(child_seed(self._seed, "integrator"), block * _BLOCK, _BLOCK)
        units += np.multiply(
            sums.reshape(_BLOCK_ROWS, _ROW), gain.astype(np.int32)[:, None], dtype=np.int32
        )
        return units.reshape(_BLOCK)

    def _make_knots(self, span: int) -> NDArray[np.int64]:
        """Knots of a span of blocks, and the first of the next, in 2**-_KNOT_BITS A/D step."""
        count = _SPAN_BLOCKS * _BLOCK_ROWS
        knots = np.arange(span * count, (span + 1) * count + 1, dtype=np.int64)
        utc_ns = self._begins_utc_ns + self._clock.nominal_ns(knots * _ROW)
        volts = quiet_day_volts(utc_ns, SITES[self._site].longitude_deg)
        volts = volts + volts * scintillation(child_seed(self._seed, "scintillation"), knots)
        power_mdb = self._law.power_mdb((volts * 1e6).astype(np.int64))
        dimming = absorption_mdb(self._site, self._seed, utc_ns)
        microvolts = self._law.microvolts(power_mdb - dimming.astype(np.int64))
        steps = (microvolts * (_SPAN_CODES << _KNOT_BITS)) // _SPAN_UV
        return steps + (ZERO_CODE << _KNOT_BITS)


def _check_name(kind: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise ValueError(f"the riometer knows no {kind} {name!r}: choose from {', '.join(known)}")
