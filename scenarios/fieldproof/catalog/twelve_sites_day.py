"""An ordinary day of the whole network: twelve sites, two of them with a second stream."""

from fieldproof import norstar
from fieldproof.checks import accounted, identical, in_order, latency, raw_untouched, sometimes
from fieldproof.scenario import Center, Scenario

SCENARIO = Scenario(
    name="twelve-sites-day",
    story="Twelve riometers and two status monitors on lossy links; everything ends at the center.",
    starts="2006-01-17T00:00Z",
    lasts="24h",
    links=norstar.links("dawson-2005-lossy"),
    nodes=(*norstar.riometers(with_status=("daws", "gill")), Center()),
    checks=(
        sometimes("lost"),
        sometimes("repaired", "center/reconcile"),
        identical("center:*", to="edges"),
        identical("*", to="oracle"),
        accounted(),
        in_order(),
        raw_untouched(),
        latency("daws", p50_s=1.5, p99_s=2.5),
    ),
)
