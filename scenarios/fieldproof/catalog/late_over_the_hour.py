"""Datagrams that arrive in another hour, or on another day, than their record's."""

from fieldproof.checks import (
    accounted,
    identical,
    in_order,
    raw_untouched,
    received_daily,
    sometimes,
)
from fieldproof.faults import Reorder, at
from fieldproof.norstar import DAWSON
from fieldproof.scenario import Center, Link, Scenario, Site

SCENARIO = Scenario(
    name="late-over-the-hour",
    story="Raw files go by arrival, the archive by first sample; being late changes nothing.",
    starts="2006-01-17T00:00Z",
    lasts="48h",
    links=(Link("vsat"),),
    nodes=(Site("daws", via="vsat", address=DAWSON), Center()),
    faults=(
        at("08:58:30", Reorder("vsat", count=2, by_s=90)),
        at("13:30:30", Reorder("vsat", count=1, by_s=5400)),
        # The day is proven by the time this one comes: it is there already.
        at("23:30:30", Reorder("vsat", count=1, by_s=7200)),
    ),
    checks=(
        sometimes("delayed", at_least=4),
        received_daily("daws", (1439, 1441)),
        identical("center", to="daws"),
        identical("daws", to="oracle"),
        accounted(),
        in_order(),
        raw_untouched(),
    ),
)
