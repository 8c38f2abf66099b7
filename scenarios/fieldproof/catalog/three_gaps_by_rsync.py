"""Dawson's day with three gaps, made whole by rsync over a link in real time (R1-36)."""

from fieldproof.catalog.dawson_three_lost_packets import afterwards
from fieldproof.checks import wire_bytes

SCENARIO = afterwards(
    "rsync",
    "The day after three datagrams were lost, the center brings their records by rsync.",
    wire_bytes("vsat", "rsync", at_most=10_500, at_least=9_500),
)
