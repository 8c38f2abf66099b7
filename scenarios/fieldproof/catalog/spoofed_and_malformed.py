"""Strangers send the center what no site made. All of it is refused or quarantined, and nothing
else is disturbed."""

from fieldproof.checks import (
    accounted,
    identical,
    in_order,
    quarantined,
    raw_untouched,
    sometimes,
    strangers_ignored,
)
from fieldproof.faults import SPOOF_KINDS, Spoof, at
from fieldproof.norstar import DAWSON
from fieldproof.scenario import Center, Link, Scenario, Site

SCENARIO = Scenario(
    name="spoofed-and-malformed",
    story="Paths in names, wrong lengths and versions, forged records: none reaches the archive.",
    starts="2006-01-17T00:00Z",
    lasts="24h",
    links=(Link("vsat"),),
    nodes=(Site("daws", via="vsat", address=DAWSON), Center()),
    faults=tuple(
        at(f"{hour:02d}:10:40", Spoof(kind, "daws")) for hour, kind in enumerate(SPOOF_KINDS, 4)
    ),
    checks=(
        sometimes("spoofed", at_least=len(SPOOF_KINDS)),
        strangers_ignored(),
        quarantined("site id", exactly=1),
        quarantined("total length", exactly=2),
        quarantined("version", exactly=1),
        quarantined("stream id", exactly=1),
        quarantined("time", exactly=1),
        quarantined("not at the edge", exactly=1),
        quarantined("*", exactly=7),
        identical("center", to="daws"),
        identical("daws", to="oracle"),
        accounted(),
        in_order(),
        raw_untouched(),
    ),
)
