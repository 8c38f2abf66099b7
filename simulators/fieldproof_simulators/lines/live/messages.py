"""What the stage and the player say to each other: JSON over a control wire, one value each."""

from typing import TypeAlias

from msgspec import Struct


class LineBegin(Struct, frozen=True):
    """One instrument and its line. `dead_ns` are the true times [from, until) at which its
    preamplifier gives nothing."""

    site: str
    instrument_port: str  # path of the end to write to
    system_port: str = ""  # path of the other end; empty where it is not to be looked at
    noise: str = "2006"
    drift_ppb: int = 50_000
    dead_ns: tuple[tuple[int, int], ...] = ()


class PlayerBegin(Struct, frozen=True, tag="begin"):
    """A run, said once and first: true time is CLOCK_MONOTONIC less `began_ns`, true UTC is
    true time plus `begins_utc_ns`."""

    began_ns: int
    begins_utc_ns: int
    seed: int
    lines: tuple[LineBegin, ...]


# --- from the stage ---


class HostUp(Struct, frozen=True, tag="host_up"):
    """From now on somebody has the site's port open."""

    site: str


class HostDown(Struct, frozen=True, tag="host_down"):
    """Nobody has the site's port open any more: a UART that is switched off."""

    site: str


class HurtLine(Struct, frozen=True, tag="hurt"):
    """A fault strikes; `kind`, `count` and `percent` are those of `hurts.Hurt`."""

    site: str
    kind: str
    fault: int
    count: int = 0
    percent: float = 0.0


class HealLine(Struct, frozen=True, tag="heal"):
    """A fault ends."""

    site: str
    kind: str
    fault: int


class Reopen(Struct, frozen=True, tag="reopen"):
    """The site's port is there again, under the same name."""

    site: str


class End(Struct, frozen=True, tag="end"):
    """The run is over: say what came of it, and exit."""


Command: TypeAlias = PlayerBegin | HostUp | HostDown | HurtLine | HealLine | Reopen | End


# --- from the player ---


class Done(Struct, frozen=True, tag="done"):
    """The last command was carried out (or the player is ready); else `trouble` says why not."""

    trouble: str = ""


class LineState(Struct, frozen=True):
    """One line at this moment."""

    site: str
    words: int  # sent since the run began
    words_per_s: float  # in the last quarter of a second or so
    late_p99_ms: float  # of all words so far
    plugged: bool


class Stats(Struct, frozen=True, tag="stats"):
    """All lines, four times a second."""

    lines: tuple[LineState, ...]


class Happened(Struct, frozen=True, tag="fact"):
    """A fact, as it stands in the facts file."""

    ns: int
    where: str
    what: str
    detail: dict[str, str | int]


class LineRow(Struct, frozen=True):
    """What a line achieved: a row of `lines` in world.json. Late is written minus due."""

    site: str
    samples: int  # words written, or lost by a fault of the line
    late_p50_ms: float
    late_p99_ms: float
    late_max_ms: float
    overrun_bytes: int
    port: str  # that the system opened


class PlayerResult(Struct, frozen=True, tag="result"):
    """What came of it all."""

    rows: tuple[LineRow, ...]
    last_samples: dict[str, int]  # by site: the last sample that was played
    fired: dict[int, int]  # by fault: bytes for `burst`, `drop` and `garble`, else 1
    cpu_s: float  # user and system time of the player
    nice: int  # the priority that it was allowed


Said: TypeAlias = Done | Stats | Happened | PlayerResult
