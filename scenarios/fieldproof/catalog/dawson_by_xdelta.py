"""The same three lost packets, brought back as three deltas of hour files (R1-37)."""

from fieldproof.catalog.dawson_three_lost_packets import by
from fieldproof.checks import wire_bytes

SCENARIO = by(
    "xdelta",
    "Three lost datagrams leave gaps; the edge sends what xdelta3 makes of its hour files.",
    wire_bytes("vsat", "repair", at_most=1_241),
)
