"""Everything that happens to a serial line in the field, in two minutes."""

from fieldproof.checks import accounted, declared, identical, in_order, raw_untouched, sometimes
from fieldproof.faults import (
    BurstLoss,
    Cooked,
    DropBytes,
    Garble,
    Stall,
    Unplug,
    XonXoff,
    at,
)
from fieldproof.norstar import DAWSON
from fieldproof.scenario import Center, Link, Scenario, Site

SCENARIO = Scenario(
    name="serial-abuse",
    story="Bytes are lost, bent and held back, the port is misset and pulled: nothing is made up.",
    starts="2006-01-16T23:58:55Z",
    lasts="105s",
    lead="5s",
    links=(Link("vsat", profile="geo-vsat"),),
    nodes=(Site("daws", via="vsat", address=DAWSON), Center()),
    faults=(
        at("23:59:00", DropBytes("daws", count=7)),
        at("23:59:05", BurstLoss("daws", count=240)),
        at("23:59:12", Garble("daws", percent=5), until="23:59:17"),
        at("23:59:22", Stall("daws"), until="23:59:25"),
        at("23:59:30", Cooked("daws"), until="23:59:35"),
        at("23:59:40", XonXoff("daws"), until="23:59:45"),
        at("+1d00:00:05", Unplug("daws"), until="+1d00:00:09"),
    ),
    checks=(
        sometimes("line dropped", "daws"),
        sometimes("line garbled", "daws"),
        sometimes("line unplugged", "daws"),
        identical("center", to="daws"),
        identical("daws", to="oracle"),
        accounted(),
        declared(),
        in_order(),
        raw_untouched(),
    ),
    tiers=("live", "virtual"),
    fidelity="words",
    settles_within="2m",
)
