"""What can go wrong, as values. Each fault says what it does to the world and what it excuses.

A fault is frozen data; the world carries it out (`inflict.py`, and `live/inflict.py` with real
things). It acts at the instant that `at()` gives it, or over `[when, until)`. A fault excuses
exactly the window that it declares here and not a byte more: whatever else is missing fails the
claim `accounted`. Which fault can be had in which tier is said in `tiers.py`.

Times are text: `HH:MM[:SS]` on the scenario's first day, `+DdHH:MM[:SS]` days later, or a full
`YYYY-MM-DDTHH:MM[:SS]`, all UTC. Numbers have bounds (`BOUNDS` in wellformed.py), and addresses are
IPv4: a scenario that breaks one is refused before it runs.
"""

from msgspec import Struct


class Value(Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a scenario. JSON with a field that it does not have is refused: a misspelt field
    would else be a default, and the capsule would repeat another run."""


class Lose(Value, frozen=True, tag="lose"):
    """The next `count` telemetry datagrams that enter the link are lost: 1 to a million. Excuses
    those."""

    link: str
    count: int = 1


class Duplicate(Value, frozen=True, tag="duplicate"):
    """The next `count` telemetry datagrams arrive twice. Excuses nothing."""

    link: str
    count: int = 1


class Reorder(Value, frozen=True, tag="reorder"):
    """The next `count` telemetry datagrams are held back `by_s` seconds: 0 to 30 days. The last of
    them must be free again before the run looks for convergence. Excuses nothing."""

    link: str
    count: int = 1
    by_s: float = 90.0


class Corrupt(Value, frozen=True, tag="corrupt"):
    """One bit flips in each of the next `count` telemetry datagrams, and their checksums are right
    again, as when two flips cancel out. Excuses those datagrams: they arrive as something else."""

    link: str
    count: int = 1


class Outage(Value, frozen=True, tag="outage"):
    """Nothing crosses the link, in either direction, until it ends. Excuses what entered it."""

    link: str


class Kill(Value, frozen=True, tag="kill"):
    """The host's processes die; its disk keeps what was written. They are back after 1 ms to 30
    days. Excuses the open record (at most 60 s of samples), the downtime, and datagrams that arrive
    meanwhile."""

    host: str
    restart_after_s: float = 10.0


MID_WRITE_WITHIN_S = 120
"""How long a power cut with `mid_write` waits for a write."""


class PowerCut(Value, frozen=True, tag="power_cut"):
    """As `Kill`, and the disk loses what was not synced: unsynced tails are cut at random bytes.
    Excuses, beyond what `Kill` does, records whose sync had not been answered.

    With `mid_write` it waits for the host's next write, `MID_WRITE_WITHIN_S` at most, and strikes
    before that is durable."""

    host: str
    restart_after_s: float = 60.0
    mid_write: bool = False


class CenterDown(Value, frozen=True, tag="center_down"):
    """The center's processes are down until the fault ends. Excuses datagrams that arrive then."""

    host: str = "center"


class Freeze(Value, frozen=True, tag="freeze"):
    """The host's processes stop and go on later (SIGSTOP, SIGCONT). Datagrams and samples that its
    buffers cannot hold are lost: excuses those of the window."""

    host: str


class ClockStep(Value, frozen=True, tag="clock_step"):
    """The host's UTC steps by `by_s` (negative: back), at most 30 days either way. Excuses labels,
    never samples: from then on time stamps are judged against the stepped clock."""

    host: str
    by_s: float


class ClockDrift(Value, frozen=True, tag="clock_drift"):
    """The host loses its GPS and its UTC drifts by `ppm` (at most 100 000 either way) until the
    fault ends; then it is disciplined again with a step. Excuses labels, never samples."""

    host: str
    ppm: float


class DiskFull(Value, frozen=True, tag="disk_full"):
    """Every write on the host fails until the fault ends. Excuses records of the window that its
    memory could not keep. The world notes `no room` at its begin and at its end, if it then finds
    less room than a record needs: `sometimes("no room", host, at_least=2)` says that it lasted."""

    host: str


class DeadPreamplifier(Value, frozen=True, tag="dead_preamplifier"):
    """The site's riometer logs noise within 50 mV of zero until the fault ends. Excuses nothing:
    the records are worthless but must arrive."""

    host: str


class Unplug(Value, frozen=True, tag="unplug"):
    """Somebody pulls the site's serial cable, and plugs it in again when the fault ends: the port
    is gone until then, and comes back under the same name. Excuses the samples of the window, and
    those that the edge needs to notice that the port is back."""

    host: str


class DropBytes(Value, frozen=True, tag="drop_bytes"):
    """`count` single bytes on the site's serial line are lost, with 1 to 16 whole ones between two
    of them: 1 to a million. Excuses samples and values of the time that this takes, up to 17 bytes'
    for each."""

    host: str
    count: int = 1


class BurstLoss(Value, frozen=True, tag="burst_loss"):
    """The next `count` bytes on the site's serial line are lost in a row: 1 to a million. Half of
    the bursts begin in the middle of a word. Excuses the samples of those bytes, and the one sample
    that two halves of words may pass for."""

    host: str
    count: int = 64


class Garble(Value, frozen=True, tag="garble"):
    """One bit flips in `percent` of the bytes on the site's serial line until the fault ends: 0.001
    to 100. Excuses samples and values of the window."""

    host: str
    percent: float = 1.0


class Stall(Value, frozen=True, tag="stall"):
    """Nothing moves on the site's serial line until the fault ends; then comes what the converter's
    buffer of 64 bytes could hold. Excuses the samples of the window, and the times of those that
    were held back."""

    host: str


class Cooked(Value, frozen=True, tag="cooked"):
    """Somebody makes the edge's serial port a terminal for people, which gathers lines and eats
    control characters, until the fault ends or the edge makes it raw again. What it eats depends on
    the codes: eleven of the sixty-four second bytes of a word. Excuses samples and values of the
    window."""

    host: str


class XonXoff(Value, frozen=True, tag="xon_xoff"):
    """Somebody switches software flow control on at the edge's serial port until the fault ends or
    the edge switches it off: bytes 0x11 and 0x13 are eaten, two of the sixty-four second bytes of a
    word. Excuses samples and values of the window."""

    host: str


class RotRecord(Value, frozen=True, tag="rot_record"):
    """One bit of the site's newest archived record flips on its disk. Excuses that record's
    difference from the instrument; the center must still equal the edge."""

    host: str
    bit: int = 0  # counted from the start of the record, 0 to 3039


class MoveAddress(Value, frozen=True, tag="move_address"):
    """The host gets another address. Excuses nothing."""

    host: str
    to: str


class Spoof(Value, frozen=True, tag="spoof"):
    """A stranger sends one datagram to the center's telemetry port. Excuses nothing.

    Kinds: `traversal` (a path in the site id), `short` (379 bytes), `long` (381 bytes), `version`
    (a record of version 1), `forged` (a well-formed record of `site` that the site never made),
    `forged-future` (the same, dated twenty years on), `empty` (no byte), and, under a wrong key,
    `repair` (a request for yesterday, to the edge) and `manifest` (one of yesterday). It comes from
    the Internet, by no link of ours.

    As packets of the live tier: `truncated-ip` (an IP header that says more than is there; no host
    hears it), `oversized` (a datagram in fragments, larger than any record), `flipped` (a record of
    the run with bits flipped, its checksum repaired) and `replay` (a record of the run again)."""

    kind: str
    site: str
    source: str = "203.0.113.66"


Fault = (
    Lose
    | Duplicate
    | Reorder
    | Corrupt
    | Outage
    | Kill
    | PowerCut
    | CenterDown
    | Freeze
    | ClockStep
    | ClockDrift
    | DiskFull
    | DeadPreamplifier
    | Unplug
    | DropBytes
    | BurstLoss
    | Garble
    | Stall
    | Cooked
    | XonXoff
    | RotRecord
    | MoveAddress
    | Spoof
)

PACKET_SPOOFS = ("truncated-ip", "oversized", "flipped", "replay")
"""Kinds of `Spoof` that are made as raw packets, in the live tier."""

UNHEARD_SPOOFS = ("truncated-ip",)
"""Kinds of `Spoof` that the kernel of the host keeps from every socket."""

SPOOF_KINDS = (
    "traversal",
    "short",
    "long",
    "version",
    "forged",
    "forged-future",
    "empty",
    "repair",
    "manifest",
)
"""Kinds of `Spoof` that are datagrams like any other: both tiers have them."""

SERIAL = (Unplug, DropBytes, BurstLoss, Garble, Stall, Cooked, XonXoff)
"""Faults of a site's serial line: they need one that every word crosses."""

LASTING = (
    Outage,
    CenterDown,
    Freeze,
    ClockDrift,
    DiskFull,
    DeadPreamplifier,
    Unplug,
    Garble,
    Stall,
    Cooked,
    XonXoff,
)
"""Faults that need an end (`until`)."""


class Timed(Value, frozen=True):
    """A fault with its place in time."""

    when: str
    fault: Fault
    until: str | None = None


def at(when: str, fault: Fault, until: str | None = None) -> Timed:
    """`fault` strikes at `when`; lasting faults end at `until`.

    Raises ValueError where a lasting fault has no end, or another has one."""
    lasting = isinstance(fault, LASTING)
    if lasting and until is None:
        raise ValueError(f"{type(fault).__name__} at {when} lasts: say until when.")
    if not lasting and until is not None:
        raise ValueError(f"{type(fault).__name__} at {when} strikes once: it takes no `until`.")
    return Timed(when, fault, until)
