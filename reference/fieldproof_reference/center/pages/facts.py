"""What the status page tells: values, and sums of them. Nothing is read here."""

from collections.abc import Iterable
from typing import NamedTuple

from fieldproof_reference.center.losses import Count, total

DAYS = 31
"""How many days a page looks back, today included."""

LIVE_S, LATE_S = 180, 3600
"""Up to these ages of its last record a site is live, and late; then it is silent. Our assumption:
a lost record or two make nobody late."""


class Heard(NamedTuple):
    """The newest record of a site."""

    arrived_s: int  # Unix second; of one that did not come live, when it was complete
    first_s: int  # Unix second of its first sample


class Day(NamedTuple):
    """A site's UTC day."""

    day: int  # since 1970-01-01
    live: Count | None  # what arrived that day; None: not counted yet
    held: int  # records in the canonical files
    restored: int  # records that reconciliation brought
    proven: bool  # identical to the edge's


class Restored(NamedTuple):
    """What reconciliation has done about a site's day."""

    day: int
    site: str
    records: int
    size: int  # bytes
    methods: tuple[str, ...]
    utc_ns: int | None  # of the last news; None: not noted
    proven: bool
    reopened: int  # how often the edge has changed what was proven
    unconfirmed: int  # hours that the edge does not have


class Site(NamedTuple):
    """A site of the settings."""

    name: str
    method: str  # of reconciliation
    heard: Heard | None
    days: tuple[Day | None, ...]  # oldest first, today last; None: before its first record
    flagged: int  # records and spans, in all days
    raw: str  # the folder of its newest arrivals, with a final `/`; "" for none
    canonical: str  # the folder of its newest records, with a final `/`; "" for none

    @property
    def live_today(self) -> Count | None:
        """What arrived on the day that is not over."""
        today = self.days[-1] if self.days else None
        return today.live if today else None

    @property
    def live(self) -> Count:
        """What arrived, as far as it is counted."""
        return live_of(self.days)


class Tally(NamedTuple):
    """How often something happened."""

    name: str
    today: int
    all_days: int


class Facts(NamedTuple):
    """Everything on the page but the plots."""

    today: int  # day since 1970-01-01
    sites: tuple[Site, ...]
    restored: tuple[Restored, ...]  # newest day first
    quarantined: tuple[Tally, ...]  # by reason, the most frequent first
    flagged: tuple[Tally, ...]  # by flag, the same
    days_to_count: int  # days that are not counted yet


def live_of(days: Iterable[Day | None]) -> Count:
    """The sum over those days that are counted."""
    return total(day.live for day in days if day is not None and day.live is not None)
