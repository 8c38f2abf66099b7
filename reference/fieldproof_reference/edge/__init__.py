"""The edge: one node per job, in the order in which a byte meets them.

acquire   serial words -> seconds -> records of 60 seconds
filing    records -> hour files, synced
lives     what is in no record -> declared losses, synced
transmit  each new record -> one UDP datagram
declare   closed hours and days -> digests, one manifest a day
answer    repair requests -> what the day's files hold
status    a second telemetry stream
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from fieldproof_contract import Address

RECORD = "record"
"""Topic: a finished record (bytes)."""

FILED = "filed"
"""Topic: a record is on the disk and durable (`Filed`)."""

LOST = "lost"
"""Topic: samples that were missed, or dropped, are in no record (`Lost`)."""

Why: TypeAlias = Literal["killed", "stopped", "line down", "dropped"]


class Filed(NamedTuple):
    """Where a durable record lies."""

    path: str
    offset: int
    size: int


class Lost(NamedTuple):
    """UTC seconds of the host's own clock, half-open, samples of which are in no record."""

    from_s: int
    until_s: int
    why: Why


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """What every node of an edge must know."""

    site: str  # four letters; written to records in upper case
    center: str  # address of the telemetry server
    key: bytes  # shared with the center; signs manifests and repairs
    shares: bool = False  # has an rsync daemon

    def at_center(self, port: int) -> Address:
        """The center's address at one of its ports."""
        return Address(self.center, port)
