"""One site in real time, over midnight: kills at both ends, and the serial cable pulled."""

from fieldproof.checks import accounted, identical, in_order, raw_untouched, sometimes
from fieldproof.faults import Kill, Unplug, at
from fieldproof.norstar import DAWSON
from fieldproof.scenario import Center, Link, Scenario, Site

SCENARIO = Scenario(
    name="riometer-live",
    story="Edge and center are killed, the cable is pulled, and midnight passes: all is accounted.",
    starts="2006-01-16T23:58:55Z",
    lasts="110s",
    lead="5s",
    links=(Link("vsat", profile="geo-vsat"),),
    nodes=(Site("daws", via="vsat", address=DAWSON), Center()),
    faults=(
        # The edge's open record dies; its next one ends just after midnight ...
        at("23:58:58", Kill("daws", restart_after_s=4)),
        # ... and finds no center, so that it is fetched when the day has closed.
        at("23:59:57", Kill("center", restart_after_s=14)),
        at("+1d00:00:05", Unplug("daws"), until="+1d00:00:09"),
    ),
    checks=(
        sometimes("host down", at_least=2),
        sometimes("line unplugged", "daws"),
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
