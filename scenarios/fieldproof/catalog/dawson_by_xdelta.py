"""The same three lost packets, brought back as three deltas of hour files (R1-37)."""

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
    name="dawson-by-xdelta",
    story="Three lost datagrams leave gaps; the edge sends what xdelta3 makes of its hour files.",
    starts="2006-01-17T00:00Z",
    lasts="24h",
    links=(Link("vsat"),),
    nodes=(Site("daws", via="vsat", address=DAWSON, reconcile="xdelta"), Center()),
    faults=tuple(at(when, Lose("vsat")) for when in ("16:24", "18:42", "22:08")),
    checks=(
        lost_exactly("vsat", 3),
        sometimes("repaired", "center/reconcile"),
        identical("center", to="daws"),
        identical("daws", to="oracle"),
        accounted(),
        in_order(),
        raw_untouched(),
        wire_bytes("vsat", "repair", at_most=1_241),
    ),
)
