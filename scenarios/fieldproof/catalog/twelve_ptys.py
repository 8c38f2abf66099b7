"""The whole network in real time: twelve riometers at 60 Hz on twelve serial lines."""

from fieldproof import norstar
from fieldproof.checks import accounted, declared, identical, in_order, latency, raw_untouched
from fieldproof.scenario import Center, Scenario

SCENARIO = Scenario(
    name="twelve-ptys",
    story="Twelve riometers play three minutes into twelve serial ports; every sample arrives.",
    starts="2006-01-16T23:58:00Z",
    lasts="180s",
    lead="10s",
    links=norstar.links("geo-vsat"),
    nodes=(*norstar.riometers(), Center()),
    checks=(
        identical("center:*", to="edges"),
        identical("*", to="oracle"),
        accounted(),
        declared(),
        in_order(),
        raw_untouched(),
        latency("daws", p50_s=2.0, p99_s=3.0),
    ),
    tiers=("live",),
    fidelity="words",
    settles_within="3m",
)
