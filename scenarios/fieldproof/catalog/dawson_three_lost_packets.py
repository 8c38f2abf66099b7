"""17 January 2006 at Dawson, as "Riometer data flow" tells it: the day that started the project."""

from fieldproof.checks import (
    accounted,
    archive_bytes,
    identical,
    in_order,
    lost_exactly,
    raw_untouched,
    received_daily,
    wire_bytes,
)
from fieldproof.faults import Lose, at
from fieldproof.scenario import Center, Link, Scenario, Site

SCENARIO = Scenario(
    name="dawson-three-lost-packets",
    story="One site-day over a satellite link loses three datagrams; reconciliation restores them.",
    starts="2006-01-17T00:00Z",
    lasts="24h",
    links=(Link("vsat"),),
    nodes=(Site("daws", via="vsat", address="206.172.47.234"), Center()),
    # The record that begins at 16:23:05 is sent a minute later, and so on.
    faults=tuple(at(when, Lose("vsat")) for when in ("16:24", "18:42", "22:08")),
    checks=(
        lost_exactly("vsat", 3),
        identical("center", to="daws"),
        identical("daws", to="oracle"),
        accounted(),
        in_order(),
        raw_untouched(),
        received_daily("daws", (1437,)),
        wire_bytes("vsat", "repair", at_most=400),
        wire_bytes("vsat", "manifest", at_most=2 * 430),  # the day before closes too
        archive_bytes("daws", zlib6_bytes=109_275),
    ),
)
