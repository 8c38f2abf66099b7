"""The same three lost packets, brought back as in 2006: rsync of the day's files (R1-36)."""

from fieldproof.checks import (
    accounted,
    identical,
    in_order,
    lost_exactly,
    raw_untouched,
    sometimes,
    wire_bytes,
)
from fieldproof.faults import Lose, at
from fieldproof.norstar import DAWSON
from fieldproof.scenario import Center, Link, Scenario, Site

SCENARIO = Scenario(
    name="dawson-by-rsync",
    story="Three lost datagrams leave gaps; rsync compares 24 files to bring back three records.",
    starts="2006-01-17T00:00Z",
    lasts="24h",
    links=(Link("vsat"),),
    nodes=(Site("daws", via="vsat", address=DAWSON, reconcile="rsync"), Center()),
    faults=tuple(at(when, Lose("vsat")) for when in ("16:24", "18:42", "22:08")),
    checks=(
        lost_exactly("vsat", 3),
        sometimes("repaired", "center/reconcile"),
        identical("center", to="daws"),
        identical("daws", to="oracle"),
        accounted(),
        in_order(),
        raw_untouched(),
        wire_bytes("vsat", "rsync", at_most=10_500, at_least=9_500),
    ),
)
