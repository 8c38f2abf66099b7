"""Dawson's day with three gaps, made whole by xdelta3 over a link in real time (R1-37)."""

from fieldproof.catalog import dawson_three_lost_packets
from fieldproof.checks import identical, in_order, sometimes, wire_bytes
from fieldproof.norstar import DAWSON
from fieldproof.scenario import Center, Link, Scenario, Site

SCENARIO = Scenario(
    name="three-gaps-by-xdelta",
    story="The day after three datagrams were lost, the center brings their records by xdelta3.",
    starts="2006-01-18T00:15Z",
    lasts="10s",
    lead="5s",
    links=(Link("vsat"),),
    nodes=(
        Site("daws", via="vsat", address=DAWSON, instruments=(), reconcile="xdelta"),
        Center(),
    ),
    checks=(
        sometimes("repaired", "center/reconcile"),
        identical("center", to="daws"),
        in_order(),
        wire_bytes("vsat", "repair", at_most=1_241),
    ),
    tiers=("live", "virtual"),
    settles_within="3m",
    continues=dawson_three_lost_packets.SCENARIO,
)
