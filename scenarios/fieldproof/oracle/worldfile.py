"""`world.json`: what the world says of itself at its end. All times are true ns since its start.

What only a live run knows is optional, and empty in virtual time: when faults really struck, what
links, lines and the machine itself achieved.
"""

from pathlib import Path

import msgspec
from msgspec import Struct

from fieldproof.options import LIVE, TIERS, VIRTUAL, LiveOptions

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
    addresses: tuple[str, ...] = ()  # under which others saw it, where not the scenario's


class LinkFigures(Struct, frozen=True):
    """What one direction of a link was asked for, and what it achieved."""

    # None where nothing was asked, or nothing came. Packets are IP packets; late is leaving minus
    # due.

    link: str
    direction: str
    backend: str  # such as "tun"
    offered: int
    delivered: int
    lost_by_model: int
    lost_by_fault: int
    lost_by_machine: int
    duplicated: int = 0
    held: int = 0  # on their way when the run ended
    asked_delay_ms: float | None = None
    asked_jitter_ms: float | None = None
    asked_loss_percent: float | None = None
    asked_rate_bit_s: float | None = None
    delay_p50_ms: float | None = None
    delay_p99_ms: float | None = None
    late_p50_ms: float | None = None
    late_p99_ms: float | None = None
    late_max_ms: float | None = None
    rate_bit_s: float | None = None


class LineFigures(Struct, frozen=True):
    """What the serial line of one site achieved; late is the write of a sample minus its time."""

    site: str
    samples: int
    late_p50_ms: float
    late_p99_ms: float
    late_max_ms: float
    overrun_bytes: int = 0  # for which the modelled receiver had no room
    port: str = ""  # the device that the edge opened


class MachineFigures(Struct, frozen=True):
    """How the machine kept time: a sleeper's wake-ups, and its clock against another."""

    wake_p99_ms: float
    wake_max_ms: float
    clock_stepped_ms: float


class ProcessFigures(Struct, frozen=True):
    """What a process group of the run took."""

    name: str
    cpu_s: float  # user and system, all of its lives
    rss_mb: float | None = None  # resident at the end


class LiveFigures(Struct, frozen=True):
    """What a live run says of its means: part of the report."""

    isolation: str
    links: tuple[LinkFigures, ...]
    lines: tuple[LineFigures, ...]
    machine: MachineFigures | None
    processes: tuple[ProcessFigures, ...]
    judged_s: float = 0.0  # how long the judged span is
    unexcused_s: float = 0.0  # of that, when no fault and no start excused anything anywhere


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
    tier: str = VIRTUAL
    isolation: str = ""  # in what the hosts lived; empty on the plain machine
    commands: dict[str, str] = {}  # the systems under test, by role
    options: LiveOptions | None = None  # how the run was asked for
    struck_ns: tuple[tuple[int | None, int | None], ...] = ()  # of each fault, as carried out
    links: tuple[LinkFigures, ...] = ()
    lines: tuple[LineFigures, ...] = ()
    machine: MachineFigures | None = None
    processes: tuple[ProcessFigures, ...] = ()
    declined: str = ""  # why a system under test does not do this scenario

    @property
    def is_live(self) -> bool:
        """Whether it happened in real time."""
        return self.tier == LIVE

    @property
    def figures(self) -> LiveFigures | None:
        """What belongs into the report; None in virtual time."""
        if not self.is_live:
            return None
        return LiveFigures(self.isolation, self.links, self.lines, self.machine, self.processes)


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
    if world.tier not in TIERS:
        raise ValueError(f"{path} is of the tier {world.tier!r}; known are: {', '.join(TIERS)}.")
    return world


def read_sound(path: Path) -> WorldRecord | None:
    """The document in a file, or None where `read` would raise."""
    try:
        return read(path)
    except ValueError:
        return None
