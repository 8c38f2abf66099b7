"""Datagrams come twice, late and damaged with a good checksum."""

from fieldproof.checks import (
    accounted,
    identical,
    in_order,
    quarantined,
    raw_untouched,
    received_daily,
    sometimes,
)
from fieldproof.faults import Corrupt, Duplicate, Reorder, at
from fieldproof.norstar import DAWSON
from fieldproof.scenario import Center, Link, Scenario, Site

SCENARIO = Scenario(
    name="duplicates-and-reordering",
    story="Raw files keep every copy as it arrived; the archive has each record once and in order.",
    starts="2006-01-17T00:00Z",
    lasts="24h",
    links=(Link("vsat"),),
    nodes=(Site("daws", via="vsat", address=DAWSON), Center()),
    faults=(
        at("03:10:30", Duplicate("vsat", count=5)),
        at("07:20:30", Reorder("vsat", count=3, by_s=150)),
        at("11:59:30", Reorder("vsat", count=2, by_s=61)),
        at("16:40:30", Corrupt("vsat", count=2)),
    ),
    checks=(
        received_daily("daws", (1445,)),
        sometimes("duplicated", at_least=5),
        sometimes("delayed", at_least=5),
        sometimes("corrupted", at_least=2),
        quarantined("*", exactly=2),
        identical("center", to="daws"),
        identical("daws", to="oracle"),
        accounted(),
        in_order(),
        raw_untouched(),
    ),
)
