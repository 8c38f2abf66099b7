"""Named random streams: everything random in the simulators starts here.

A child seed depends on the scenario's seed and on a name alone, so that adding a site or a link
changes nothing elsewhere. Where item n of a stream must be known without the n before it, it is
`splitmix64(seed + n)`, one definition for a number and for an array.
"""

import hashlib
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

_MASK = (1 << 64) - 1


def child_seed(seed: int, name: str) -> int:
    """The 64 bit seed of the stream `name` under `seed`: first 8 bytes, little-endian, of SHA-256
    over the seed in decimal, a NUL and the name. Our assumption."""
    digest = hashlib.sha256(f"{seed}\0{name}".encode()).digest()
    return int.from_bytes(digest[:8], "little")


@overload
def splitmix64(word: int) -> int: ...
@overload
def splitmix64(word: NDArray[np.uint64]) -> NDArray[np.uint64]: ...
def splitmix64(word: Any) -> Any:
    """A well mixed 64 bit word for each `word`: any int, or an array (which wraps modulo 2**64).

    Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014."""
    mixed = (word + 0x9E3779B97F4A7C15) & _MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
    return mixed ^ (mixed >> 31)


def words_at(seed: int, indices: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Words `indices` of the stream with this seed."""
    return splitmix64(indices.astype(np.uint64) + np.uint64(seed))
