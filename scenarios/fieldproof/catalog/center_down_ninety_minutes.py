"""The telemetry server is down for ninety minutes; no site notices."""

from fieldproof import norstar
from fieldproof.checks import (
    accounted,
    identical,
    in_order,
    lost_exactly,
    raw_untouched,
    received_daily,
    sometimes,
    split_recovered,
)
from fieldproof.faults import CenterDown, at
from fieldproof.scenario import Center, Scenario

SITES = ("daws", "gill", "rank")

SCENARIO = Scenario(
    name="center-down-ninety-minutes",
    story="A server that is down hears from nobody; what it missed comes back from every edge.",
    starts="2006-01-17T00:00Z",
    lasts="24h",
    links=norstar.links("dawson-2005", SITES),
    nodes=(*norstar.riometers(SITES), Center()),
    faults=(at("10:14:56", CenterDown(), until="11:44:56"),),
    checks=(
        lost_exactly("vsat-daws", 90),
        received_daily("gill", (1350,)),
        split_recovered("daws"),
        sometimes("host down", "center"),
        identical("center:*", to="edges"),
        identical("*", to="oracle"),
        accounted(),
        in_order(),
        raw_untouched(),
    ),
)
