"""Power fails at the site, once between two writes and once in the middle of one; then at the
center."""

from fieldproof.checks import accounted, identical, in_order, raw_untouched, sometimes
from fieldproof.faults import PowerCut, at
from fieldproof.norstar import DAWSON
from fieldproof.scenario import Center, Link, Scenario, Site

SCENARIO = Scenario(
    name="power-cut-mid-record",
    story="What was not on the disk is lost and declared; what is half on it is never built upon.",
    starts="2006-01-17T21:00Z",
    lasts="3h",
    links=(Link("vsat"),),
    nodes=(Site("daws", via="vsat", address=DAWSON), Center()),
    faults=(
        at("21:20:35", PowerCut("daws", restart_after_s=60)),
        at("21:50:20", PowerCut("daws", restart_after_s=90, mid_write=True)),
        at("22:40:20", PowerCut("center", restart_after_s=150, mid_write=True)),
    ),
    checks=(
        sometimes("host down", "daws", at_least=2),
        sometimes("disk lost", "daws"),
        sometimes("disk lost", "center"),
        identical("center", to="daws"),
        identical("daws", to="oracle"),
        accounted(),
        in_order(),
        raw_untouched(),
    ),
    fidelity="words",
)
