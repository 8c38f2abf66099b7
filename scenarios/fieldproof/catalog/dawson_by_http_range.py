"""The same three lost packets, fetched as byte ranges from a plain file server (R1-35)."""

from fieldproof.checks import (
    accounted,
    identical,
    in_order,
    lost_exactly,
    raw_untouched,
    sometimes,
    wire_bytes,
)
from fieldproof.faults import Lose, at
from fieldproof.norstar import DAWSON
from fieldproof.scenario import Center, Link, Scenario, Site

SCENARIO = Scenario(
    name="dawson-by-http-range",
    story="Three lost datagrams leave gaps; their bytes are asked for in one go, over HTTP.",
    starts="2006-01-17T00:00Z",
    lasts="24h",
    links=(Link("vsat"),),
    nodes=(Site("daws", via="vsat", address=DAWSON, reconcile="http-range"), Center()),
    faults=tuple(at(when, Lose("vsat")) for when in ("16:24", "18:42", "22:08")),
    checks=(
        lost_exactly("vsat", 3),
        sometimes("repaired", "center/reconcile"),
        identical("center", to="daws"),
        identical("daws", to="oracle"),
        accounted(),
        in_order(),
        raw_untouched(),
        wire_bytes("vsat", "http", at_most=3_000),
    ),
)
