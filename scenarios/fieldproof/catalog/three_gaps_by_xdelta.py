"""Dawson's day with three gaps, made whole by xdelta3 over a link in real time (R1-37)."""

from fieldproof.catalog.dawson_three_lost_packets import afterwards
from fieldproof.checks import wire_bytes

SCENARIO = afterwards(
    "xdelta",
    "The day after three datagrams were lost, the center brings their records by xdelta3.",
    wire_bytes("vsat", "repair", at_most=1_241),
)
