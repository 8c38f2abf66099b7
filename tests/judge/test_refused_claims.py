"""Claims that could not fail are refused when they are made."""

import math

import pytest

from fieldproof.checks import (
    archive_bytes,
    latency,
    link_delay,
    lost_exactly,
    received_daily,
    sometimes,
    wire_bytes,
)


@pytest.mark.parametrize(
    ("claim", "arguments"),
    [
        (received_daily, ("daws", ())),
        (sometimes, ("repaired", "*", 0)),
        (lost_exactly, ("vsat", -1)),
        (lost_exactly, ("vsat", 0, "nothing")),
        (wire_bytes, ("vsat", "repair", 400, 0)),
        (wire_bytes, ("vsat", "nothing", 400)),
        (latency, ("daws", 1.0, math.inf)),
        (archive_bytes, ("daws", 1000, 100)),
        (link_delay, ("vsat", 2.0, 1.0)),
        (link_delay, ("vsat", 0.0, 1.0)),
    ],
)
def test_a_claim_that_cannot_fail_is_refused(claim, arguments):
    """What holds of every run, or of none, is no claim."""
    with pytest.raises(ValueError, match=claim.__struct_config__.tag):
        claim(*arguments)
