"""A center that stands still while a record comes, and goes on."""

from fieldproof.checks import accounted, identical, in_order, raw_untouched, sometimes
from fieldproof.faults import Freeze, at
from fieldproof.norstar import DAWSON
from fieldproof.scenario import Center, Link, Scenario, Site

SCENARIO = Scenario(
    name="frozen-center",
    story="The center's processes are stopped for half a minute, and hear afterwards what came.",
    starts="2006-01-16T23:58:55Z",
    lasts="90s",
    lead="5s",
    links=(Link("vsat", profile="geo-vsat"),),
    nodes=(Site("daws", via="vsat", address=DAWSON), Center()),
    faults=(at("23:59:35", Freeze("center"), until="+1d00:00:05"),),
    checks=(
        sometimes("host frozen", "center"),
        sometimes("host thawed", "center"),
        identical("center", to="daws"),
        identical("daws", to="oracle"),
        accounted(),
        in_order(),
        raw_untouched(),
    ),
    tiers=("live", "virtual"),
    fidelity="words",
    settles_within="2m",
)
