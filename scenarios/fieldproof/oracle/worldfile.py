"""`world.json`: what the world says of itself at its end. All times are true ns since its start."""

from pathlib import Path

import msgspec
from msgspec import Struct

SCHEMA = "fieldproof-world/1"


class WireCount(Struct, frozen=True):
    """What was offered to one direction of a link for one purpose; bytes are IP bytes."""

    link: str
    direction: str  # "up" is from the site to the center
    purpose: str
    packets: int
    bytes: int
    lost_packets: int
    lost_bytes: int


class FaultCount(Struct, frozen=True):
    """How often a fault acted."""

    kind: str
    fired: int


class HostRecord(Struct, frozen=True):
    """A host's lives, and its UTC against true UTC."""

    lives: tuple[tuple[int, int | None], ...]
    utc_offset: tuple[tuple[int, int, int], ...]  # true ns, offset ns, drift ppb


class WorldRecord(Struct, frozen=True):
    """The whole document; faults are in the scenario's order."""

    schema: str
    system: str  # the name of the system under test
    begins_utc_ns: int
    judged_ns: tuple[int, int]
    ends_ns: int
    leaps_ns: tuple[int, ...]
    settled: bool
    settled_ns: int | None
    wire: tuple[WireCount, ...]
    faults: tuple[FaultCount, ...]
    generators_end: dict[str, str]
    log_sha256: str
    hosts: dict[str, HostRecord]
    rate_segments: dict[str, tuple[tuple[int, int], ...]]  # from ns, drift in ppb
    seconds: float


def read(path: Path) -> WorldRecord:
    """The document in a file. Raises ValueError with one sentence."""
    try:
        world = msgspec.json.decode(path.read_bytes(), type=WorldRecord)
    except FileNotFoundError:
        raise ValueError(f"{path} is missing: the world never reached its end.") from None
    except (OSError, msgspec.DecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}.") from None
    if world.schema != SCHEMA:
        raise ValueError(f"{path} has schema {world.schema!r}; this program reads {SCHEMA!r}.")
    return world


def read_sound(path: Path) -> WorldRecord | None:
    """The document in a file, or None where `read` would raise."""
    try:
        return read(path)
    except ValueError:
        return None
