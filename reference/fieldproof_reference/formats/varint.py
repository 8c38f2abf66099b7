"""Unsigned integers of variable length: seven bits a byte, low bits first, top bit set on all but
the last byte (the varint of Protocol Buffers, also called LEB128), here with 32 bits at most.

A longer form than needed (`80 00` for 0) is read without complaint: what decoders owe each other is
the value, not the encoder's choice of bytes.
"""

from fieldproof_reference.formats import Malformed

_LONGEST_BYTES = 5
_LIMIT = 1 << 32


def put(value: int) -> bytes:
    """The bytes of `value`, 0 <= value < 2**32."""
    if not 0 <= value < _LIMIT:
        raise ValueError(f"a varint holds 0 to {_LIMIT - 1}, not {value}")
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def take(data: bytes, offset: int) -> tuple[int, int]:
    """The value at `offset`, and the offset behind it; `Malformed` when cut short or too large."""
    value = 0
    for index, byte in enumerate(data[offset : offset + _LONGEST_BYTES]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            if value >= _LIMIT:
                break
            return value, offset + index + 1
    raise Malformed(f"no varint below 2**32 at byte {offset} of {len(data)}")
