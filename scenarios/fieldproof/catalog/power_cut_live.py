"""The power of a real disk fails between a write and its sync, or after it: who knows."""

from fieldproof.checks import accounted, declared, identical, in_order, raw_untouched, sometimes
from fieldproof.faults import PowerCut, at
from fieldproof.norstar import DAWSON
from fieldproof.scenario import Center, Link, Scenario, Site

SCENARIO = Scenario(
    name="power-cut-live",
    story="The edge's journalling disk loses power while a record is on its way to it.",
    starts="2006-01-16T23:58:55Z",
    lasts="100s",
    lead="5s",
    links=(Link("vsat", profile="geo-vsat"),),
    nodes=(Site("daws", via="vsat", address=DAWSON), Center()),
    faults=(at("23:59:50.9", PowerCut("daws", restart_after_s=5)),),
    checks=(
        sometimes("host down", "daws"),
        identical("center", to="daws"),
        identical("daws", to="oracle"),
        accounted(),
        declared(),
        in_order(),
        raw_untouched(),
    ),
    tiers=("live",),
    fidelity="words",
    settles_within="2m",
)
