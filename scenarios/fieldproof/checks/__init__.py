"""Claims: what a run must hold. A claim is a frozen value; `judge` gives its verdict on evidence.

Scenarios use the lower-case names: `identical("center", to="daws")`, `lost_exactly("vsat", 3)`.
A claim that is false fails; one that cannot be judged raises, which the judge turns into
"undecided". No claim passes on nothing: where there is nothing to compare, it fails.
"""

from fieldproof.checks.center import InOrder, Quarantined
from fieldproof.checks.claim import Claim
from fieldproof.checks.conservation import Accounted, LostExactly
from fieldproof.checks.figures import (
    ArchiveBytes,
    Latency,
    LinkDelay,
    SplitRecovered,
    WireBytes,
)
from fieldproof.checks.identity import Identical
from fieldproof.checks.kept import Kept
from fieldproof.checks.losses import Declared
from fieldproof.checks.raw import RawUntouched, ReceivedDaily
from fieldproof.checks.world import Sometimes, StrangersIgnored

__all__ = [
    "Check",
    "Claim",
    "accounted",
    "archive_bytes",
    "declared",
    "identical",
    "in_order",
    "kept",
    "latency",
    "link_delay",
    "lost_exactly",
    "quarantined",
    "raw_untouched",
    "received_daily",
    "sometimes",
    "split_recovered",
    "strangers_ignored",
    "wire_bytes",
]

Check = (
    Identical
    | Accounted
    | LostExactly
    | WireBytes
    | InOrder
    | Latency
    | RawUntouched
    | Quarantined
    | Sometimes
    | StrangersIgnored
    | ReceivedDaily
    | SplitRecovered
    | ArchiveBytes
    | Declared
    | LinkDelay
    | Kept
)
"""Every claim that a scenario can make."""

identical = Identical
accounted = Accounted
lost_exactly = LostExactly
wire_bytes = WireBytes
in_order = InOrder
latency = Latency
raw_untouched = RawUntouched
quarantined = Quarantined
sometimes = Sometimes
strangers_ignored = StrangersIgnored
received_daily = ReceivedDaily
split_recovered = SplitRecovered
archive_bytes = ArchiveBytes
declared = Declared
link_delay = LinkDelay
kept = Kept
