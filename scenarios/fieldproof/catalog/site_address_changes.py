"""The provider gives the site another address at noon; losses before and after are repaired."""

from fieldproof.checks import (
    accounted,
    identical,
    in_order,
    lost_exactly,
    raw_untouched,
    received_daily,
    sometimes,
)
from fieldproof.faults import Lose, MoveAddress, at
from fieldproof.norstar import DAWSON
from fieldproof.scenario import Center, Link, Scenario, Site

SCENARIO = Scenario(
    name="site-address-changes",
    story="Raw files follow the address, the archive the site, and repair the signed manifest.",
    starts="2006-01-17T00:00Z",
    lasts="24h",
    links=(Link("vsat"),),
    nodes=(Site("daws", via="vsat", address=DAWSON), Center()),
    faults=(
        at("09:30:30", Lose("vsat", count=2)),
        at("12:00:30", MoveAddress("daws", to="198.51.100.77")),
        at("15:30:30", Lose("vsat", count=1)),
    ),
    checks=(
        sometimes("moved", "daws"),
        lost_exactly("vsat", 3),
        received_daily("daws", (1437,)),
        identical("center", to="daws"),
        identical("daws", to="oracle"),
        accounted(),
        in_order(),
        raw_untouched(),
    ),
)
