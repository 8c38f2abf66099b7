"""The site's clock steps back two and a half minutes at noon and forward again in the evening."""

from fieldproof.checks import accounted, identical, in_order, raw_untouched, sometimes
from fieldproof.faults import ClockDrift, ClockStep, at
from fieldproof.norstar import DAWSON
from fieldproof.scenario import Center, Link, Scenario, Site

SCENARIO = Scenario(
    name="clock-steps-back",
    story="Labels repeat and jump while samples do not; the order at the center is the edge's.",
    starts="2006-01-17T00:00Z",
    lasts="24h",
    links=(Link("vsat"),),
    nodes=(Site("daws", via="vsat", address=DAWSON), Center()),
    faults=(
        at("04:00:00", ClockDrift("daws", ppm=40), until="08:00:00"),
        at("12:00:20", ClockStep("daws", by_s=-150)),
        at("18:00:20", ClockStep("daws", by_s=150)),
    ),
    checks=(
        sometimes("clock stepped", "daws", at_least=2),
        sometimes("clock disciplined", "daws"),
        sometimes("repaired", "center/reconcile"),
        identical("center", to="daws"),
        identical("daws", to="oracle"),
        accounted(),
        in_order(),
        raw_untouched(),
    ),
)
