"""Bits rot on the edge's disk after the records were sent: once in a sample, once in a header."""

from fieldproof.checks import (
    accounted,
    identical,
    in_order,
    quarantined,
    raw_untouched,
    sometimes,
)
from fieldproof.faults import RotRecord, at
from fieldproof.norstar import DAWSON
from fieldproof.scenario import Center, Link, Scenario, Site

SCENARIO = Scenario(
    name="corrupt-record-at-edge",
    story="The center mirrors the edge, says where it is corrupt, and keeps the good copies aside.",
    starts="2006-01-17T00:00Z",
    lasts="24h",
    links=(Link("vsat"),),
    nodes=(Site("daws", via="vsat", address=DAWSON), Center()),
    faults=(
        at("10:20:30", RotRecord("daws", bit=200 * 8 + 3)),
        at("15:20:30", RotRecord("daws", bit=2)),
    ),
    checks=(
        sometimes("rotted", "daws", at_least=2),
        sometimes("corrupt at the edge", "center/validate"),
        quarantined("not at the edge", exactly=2),
        quarantined("*", exactly=2),
        identical("center", to="daws"),
        identical("daws", to="oracle"),
        accounted(),
        in_order(),
        raw_untouched(),
    ),
)
