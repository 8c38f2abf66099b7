"""The same three lost packets, brought back as in 2006: rsync of the day's files (R1-36)."""

from fieldproof.catalog.dawson_three_lost_packets import by
from fieldproof.checks import wire_bytes

SCENARIO = by(
    "rsync",
    "Three lost datagrams leave gaps; rsync compares 24 files to bring back three records.",
    wire_bytes("vsat", "rsync", at_most=10_500, at_least=9_500),
)
