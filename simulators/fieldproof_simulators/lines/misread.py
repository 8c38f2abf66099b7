"""What a receiver makes of bytes that were sent at another baud rate: garbage, bit for bit.

As a UART does it: the first falling edge is taken for a start bit; eight samples follow in the
middles of what the receiver takes for bits, then one for the stop bit. Where that is not high, it
is a framing error, and Linux gives a NUL byte for it (termios(3), neither IGNPAR nor PARMRK). The
receiver then looks for the next falling edge.
"""

_DATA_BITS = 8


def misread(data: bytes, sent_baud: int, heard_baud: int) -> bytes:
    """What bytes in a row, sent as 8N1, are for a receiver of 8N1 at another rate. At rate 0 the
    receiver is off. Raises ValueError for a rate below 0, or a sender without one."""
    if sent_baud <= 0 or heard_baud < 0:
        raise ValueError(f"A line has no rates of {sent_baud} and {heard_baud} baud.")
    if heard_baud == 0:
        return b""
    levels = _levels(data)
    silent_from = len(levels)
    heard = bytearray()
    at = 1  # in bits of the sender
    while (at := _falling(levels, at)) < silent_from:
        # The middle of the receiver's bit n is (2n + 1) / 2 of its bits after the edge.
        samples = [
            levels[index]
            if (index := at + middle * sent_baud // (2 * heard_baud)) < silent_from
            else 1
            for middle in range(1, 2 * (_DATA_BITS + 2), 2)
        ]
        start, *bits, stop = samples
        if start == 0:
            value = sum(bit << place for place, bit in enumerate(bits))
            heard.append(value if stop else 0)
        last = (2 * (_DATA_BITS + 2) - 1) * sent_baud // (2 * heard_baud)
        at += max(1, last if start == 0 else 1)
    return bytes(heard)


def _levels(data: bytes) -> list[int]:
    """The line's level in each bit's time: one of silence, then start, data from the lowest bit
    on, stop, for every byte."""
    levels = [1]
    for value in data:
        levels += [0, *(value >> place & 1 for place in range(_DATA_BITS)), 1]
    return levels


def _falling(levels: list[int], at: int) -> int:
    """The first time from `at` on at which the line falls; its end where it does not."""
    for index in range(max(1, at), len(levels)):
        if levels[index - 1] == 1 and levels[index] == 0:
            return index
    return len(levels)
