"""The center: one node per job, in the order in which a datagram meets them.

receive     every datagram, good or bad -> raw .dat and .idx files by arrival
validate    new raw records -> canonical hour files, or quarantine; flags
reconcile   manifests and gaps -> repair, proof by digest, promotion
fetch       the same for sites whose archive is served by HTTP: closed hours, byte ranges
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from fieldproof_contract import Address

ARRIVED = "arrived"
"""Topic: a raw index file has grown (its path)."""

PROMOTED = "promoted"
"""Topic: hour files were changed by reconciliation (`Promoted`)."""

CONFIRMED = "confirmed"
"""Topic: a day or an hour of a site is proven identical to the edge's (`SiteDay`, `SiteHour`)."""

REOPENED = "reopened"
"""Topic: the edge has changed a proven day or hour (`SiteDay`, `SiteHour`)."""

DOUBTED = "doubted"
"""Topic: a valid record came that its proven hour does not hold (`SiteHour`)."""

Method: TypeAlias = Literal["repair", "xdelta", "rsync", "http-range", "none"]
"""How a site's days become the edge's: by our repair protocol, with records or with deltas of
xdelta3; by rsync; from an archive that is served by HTTP; or not at all."""


class SiteDay(NamedTuple):
    """A site and a UTC day, counted from 1970-01-01."""

    site: str
    day: int


class SiteHour(NamedTuple):
    """A site and a UTC hour, counted from 1970-01-01."""

    site: str
    hour: int

    @property
    def day(self) -> SiteDay:
        """The day that it is of."""
        return SiteDay(self.site, self.hour // 24)


class Promoted(NamedTuple):
    """The hour files that reconciliation has changed."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EdgeAtCenter:
    """What the center knows of a site beforehand."""

    key: bytes  # shared with the edge
    repair: Address  # where to ask until an authentic manifest says better
    reconcile: Method = "repair"
    fetch_from: Address | None = None  # what serves its archive; None: the edge's own server


@dataclass(frozen=True, slots=True)
class CenterSettings:
    """What every node of the center must know. Sites that are not named here have no folder."""

    sites: Mapping[str, EdgeAtCenter]  # four letters, lower case
    products: bool = False  # draws plots
    page: int | None = None  # TCP port of the status page
