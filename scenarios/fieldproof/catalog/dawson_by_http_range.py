"""The same three lost packets, fetched by HTTP from the edge's archive as hours close (R1-35)."""

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
    story="Three lost datagrams leave gaps; the center asks a plain file server for their bytes.",
    starts="2006-01-17T00:00Z",
    lasts="24h",
    links=(Link("vsat"),),
    nodes=(Site("daws", via="vsat", address=DAWSON, reconcile="http-range"), Center()),
    faults=(
        at("16:24", Lose("vsat")),
        at("18:42", Lose("vsat")),
        at("22:08", Lose("vsat")),
    ),
    checks=(
        lost_exactly("vsat", 3),
        sometimes("repaired", "center/fetch", at_least=3),
        identical("center", to="daws"),
        identical("daws", to="oracle"),
        accounted(),
        in_order(),
        raw_untouched(),
        wire_bytes("vsat", "http", at_most=20_000),
    ),
)
