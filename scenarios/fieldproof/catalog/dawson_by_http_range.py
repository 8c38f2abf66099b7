"""The same three lost packets, fetched as byte ranges from a plain file server (R1-35)."""

from fieldproof.catalog.dawson_three_lost_packets import by
from fieldproof.checks import wire_bytes

SCENARIO = by(
    "http-range",
    "Three lost datagrams leave gaps; their bytes are asked for in one go, over HTTP.",
    wire_bytes("vsat", "http", at_most=3_000),
)
