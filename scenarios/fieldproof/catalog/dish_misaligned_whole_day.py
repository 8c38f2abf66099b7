"""The dish is knocked out of alignment and a whole day has to be recovered afterwards."""

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
from fieldproof.faults import Outage, at
from fieldproof.norstar import DAWSON
from fieldproof.scenario import Center, Link, Scenario, Site

SCENARIO = Scenario(
    name="dish-misaligned-whole-day",
    story="Not one datagram of the day arrives; one request and its answer bring all 1440 records.",
    starts="2006-01-17T00:00Z",
    lasts="24h",
    links=(Link("vsat"),),
    nodes=(Site("daws", via="vsat", address=DAWSON), Center()),
    # After the last record of the day before has come, and until the day's last one was sent.
    faults=(at("00:00:30", Outage("vsat"), until="+1d00:00:30"),),
    checks=(
        received_daily("daws", (1,)),
        lost_exactly("vsat", 1439),  # and the day's last record, sent after midnight
        identical("center", to="daws"),
        identical("daws", to="oracle"),
        accounted(),
        in_order(),
        raw_untouched(),
        wire_bytes("vsat", "repair", at_most=54_000),
        archive_bytes("daws", zlib6_bytes=109_275),
    ),
)
