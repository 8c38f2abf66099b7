"""Bytes to values and back, pure: no clock, no disk, no socket.

A decoder of this package takes any bytes at all. What it cannot read it refuses with `Malformed`
and with nothing else; the exceptions are functions that answer None or a reason instead, because
bad bytes are their daily business (`xrio.invalid`, `xrio.walk`, the `parse_...` of `trees`).
"""


class Malformed(ValueError):
    """These bytes do not follow their format; the message says where and how."""
