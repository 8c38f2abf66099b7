"""A small disk that is full when a record should be filed, and relieved afterwards."""

from fieldproof.checks import accounted, declared, identical, in_order, raw_untouched, sometimes
from fieldproof.faults import DiskFull, at
from fieldproof.norstar import DAWSON
from fieldproof.scenario import Center, Link, Scenario, Site

SCENARIO = Scenario(
    name="disk-full-at-edge",
    story="The edge's disk takes nothing for half a minute; the record waits, and no byte is torn.",
    starts="2006-01-16T23:58:55Z",
    lasts="105s",
    lead="5s",
    links=(Link("vsat", profile="geo-vsat"),),
    nodes=(Site("daws", via="vsat", address=DAWSON), Center()),
    faults=(at("23:59:35", DiskFull("daws"), until="+1d00:00:05"),),
    checks=(
        sometimes("disk full", "daws"),
        sometimes("no room", "daws", at_least=2),
        identical("center", to="daws"),
        identical("daws", to="oracle"),
        accounted(),
        declared(),
        in_order(),
        raw_untouched(),
    ),
    tiers=("live", "virtual"),
    needs=("small-disk",),
    fidelity="words",
    settles_within="2m",
)
