"""Everything that an operating system does to an edge in one night, but for power."""

from fieldproof.checks import accounted, identical, in_order, raw_untouched, sometimes
from fieldproof.faults import DeadPreamplifier, DiskFull, Freeze, Kill, at
from fieldproof.norstar import DAWSON
from fieldproof.scenario import Center, Link, Scenario, Site

SCENARIO = Scenario(
    name="rough-night-at-the-edge",
    story="Killed, frozen and out of disk, the edge loses what it declares and goes on.",
    starts="2006-01-17T20:00Z",
    lasts="4h",
    links=(Link("vsat"),),
    nodes=(Site("daws", via="vsat", address=DAWSON), Center()),
    faults=(
        at("20:20:35", Kill("daws", restart_after_s=12)),
        at("20:50:10", Freeze("daws"), until="20:50:31"),
        at("21:10:00", DiskFull("daws"), until="21:40:00"),
        at("22:00:00", DeadPreamplifier("daws"), until="22:30:00"),
        at("22:50:10", Freeze("center"), until="22:53:10"),
    ),
    checks=(
        sometimes("host frozen", at_least=2),
        sometimes("effect failed", "daws/filing"),
        identical("center", to="daws"),
        identical("daws", to="oracle"),
        accounted(),
        in_order(),
        raw_untouched(),
    ),
    fidelity="words",
)
