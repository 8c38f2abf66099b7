"""The generator behind every decision of a link: taus113, as the Linux kernel seeds and steps it.

Four 32-bit words; one draw replaces each by `((s & mask) << A) ^ (((s << B) ^ s) >> C)`, left
shifts truncated to 32 bits, and returns the XOR of the four. There are no warm-up draws, so small
seeds begin badly (seed 0 loses six of the first 30 frames at 5 %): derive seeds by hashing.
Source: netem, kernel 6.6 and later; the outputs for six seeds are in the tests' `prng.json`.
"""

_WORD = 0xFFFFFFFF
_LEAST = (2, 8, 16, 128)
"""A word below its minimum would lose its high bits in the first step and stay zero."""


class Tausworthe:
    """One stream of 32-bit draws. `seed` counts modulo 2^64, as in `tc ... netem seed`."""

    __slots__ = ("_s1", "_s2", "_s3", "_s4", "draws")

    def __init__(self, seed: int) -> None:
        seed &= 0xFFFFFFFFFFFFFFFF
        word = ((seed >> 32) ^ (seed << 10) ^ seed) & _WORD
        self._s1, self._s2, self._s3, self._s4 = (
            word if word >= least else word + least for least in _LEAST
        )
        self.draws = 0

    def draw(self) -> int:
        """The next 32-bit value. `draws` counts the calls."""
        # Each mask also drops the bits that the shift behind it would push out of the word. The
        # inner `(s << B) ^ s` is shifted part by part: one shift less, and no wider number.
        s = self._s1
        self._s1 = s1 = ((s & 0x3FFE) << 18) ^ ((s & 0x3FFFFFF) >> 7) ^ (s >> 13)
        s = self._s2
        self._s2 = s2 = ((s & 0x3FFFFFF8) << 2) ^ ((s & 0x3FFFFFFF) >> 25) ^ (s >> 27)
        s = self._s3
        self._s3 = s3 = ((s & 0x1FFFFF0) << 7) ^ ((s & 0x7FFFF) >> 8) ^ (s >> 21)
        s = self._s4
        self._s4 = s4 = ((s & 0x7FF80) << 13) ^ ((s & 0x1FFFFFFF) >> 9) ^ (s >> 12)
        self.draws += 1
        return s1 ^ s2 ^ s3 ^ s4

    @property
    def state(self) -> tuple[int, int, int, int]:
        """The four words: two runs that drew differently end with different ones."""
        return self._s1, self._s2, self._s3, self._s4
