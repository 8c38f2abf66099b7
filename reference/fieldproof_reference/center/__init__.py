"""The center: one node per job, in the order in which a datagram meets them.

receive     every datagram, good or bad -> raw .dat and .idx files by arrival
validate    new raw records -> canonical hour files, or quarantine; flags
reconcile   manifests and gaps -> repair, proof by digest, promotion
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from fieldproof_contract import Address

ARRIVED = "arrived"
"""Topic: a raw index file has grown (its path)."""

PROMOTED = "promoted"
"""Topic: hour files were changed by reconciliation (`Promoted`)."""

CONFIRMED = "confirmed"
"""Topic: a site's day is proven identical to the edge's (`SiteDay`)."""

REOPENED = "reopened"
"""Topic: the edge has changed a proven day (`SiteDay`)."""


class SiteDay(NamedTuple):
    """A site and a UTC day, counted from 1970-01-01."""

    site: str
    day: int


class Promoted(NamedTuple):
    """The hour files that reconciliation has changed."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EdgeAtCenter:
    """What the center knows of a site beforehand."""

    key: bytes  # shared with the edge
    repair: Address  # where to ask until an authentic manifest says better


@dataclass(frozen=True, slots=True)
class CenterSettings:
    """What every node of the center must know. Sites that are not named here have no folder."""

    sites: Mapping[str, EdgeAtCenter]  # four letters, lower case
