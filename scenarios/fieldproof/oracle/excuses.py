"""What a declared fault excuses, and not a byte more.

Two kinds of excuse. A *window* covers samples that a host could not archive, or datagrams that a
center could not keep. A *loss line* of the log names one datagram, its cause and its fault: it is
excused when that fault can cause it, at that place, at that time, and (where a fault strikes a
number of datagrams) no more often than declared.

    fault       window of samples at a site                    datagrams
    Lose        -                                              the next `count` on its link
    Corrupt     -                                              the next `count` on its link
    Outage      -                                              what entered the link until it ended
    Kill        open record, downtime                          what arrived while down
    PowerCut    the record in flight, open record, downtime    what arrived while down
    CenterDown  open record, downtime                          what arrived while down
    Freeze      from freeze to thaw                            what arrived then
    DiskFull    open record, until there was room              -
    Unplug      while the cable was out                        -
    DropBytes   the time of `count` * 17 bytes, 120 a second   -
    BurstLoss   the time of `count` + 1 bytes                  -
    Garble, Stall, Cooked, XonXoff    as long as it lasted     -

Each window is wider by `EDGE_NS` on both sides: the second that the fault broke, and the line's
delay. A record is in flight from its write to the answer of its sync: one at a time, however much
the disk lost, since an edge that writes on without waiting does so at its own risk.

Real processes take time to start and kernels say nothing of what they drop. So in the live tier a
window that ends with a start is longer by `STARTUP_NS`, and what met a center that was down is
excused by its window, not by a line. What the harness's own machine lost (cause `machine`) is
nobody's fault: it is excused here, and leaves the run undecided elsewhere.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from fieldproof import faults
from fieldproof.faults import Fault, Timed
from fieldproof.oracle.clock import SECOND_NS
from fieldproof.oracle.xrio import POINTS, RECORD_BYTES

RECORD_NS = 60 * SECOND_NS
EDGE_NS = SECOND_NS + SECOND_NS // 10
IN_FLIGHT_NS = 5 * SECOND_NS
"""How long after its end a record may still be on the way from the edge to the raw tree."""

STARTUP_NS = 5 * SECOND_NS
"""How long a real system may take from its start, or from the return of its port, until it hears
everything: our assumption, an interpreter and its imports on a busy machine."""

RATE_HZ = 60
BYTE_NS = SECOND_NS // (2 * RATE_HZ)
"""Two bytes for each sample: the distance of bytes on the line of an A/D converter."""

DROP_EVERY_BYTES = 17
"""Single bytes are lost with up to 16 whole ones between them."""

SLACK_NS = 1_000_000  # fault times are decimal fractions of seconds
LIVE_SLACK_NS = SECOND_NS // 4
"""How long an order may be on its way to the process that carries it out: our assumption."""

_CAUSES: dict[str, tuple[type, ...]] = {
    "lose": (faults.Lose,),
    "corrupt": (faults.Corrupt,),
    "outage": (faults.Outage,),
    "host down": (faults.Kill, faults.PowerCut, faults.CenterDown),
    "host frozen": (faults.Freeze,),
}
OF_THE_LINK = ("loss", "limit", "checksum", "outage")
"""Causes of losses by a link's profile alone, without a fault."""

OF_THE_MACHINE = "machine"
"""The cause of a loss for which the machine that plays the world is to blame."""

_NAMES: dict[type, str] = {
    faults.Kill: "kill",
    faults.PowerCut: "power cut",
    faults.CenterDown: "center down",
    faults.Freeze: "host frozen",
    faults.DiskFull: "disk full",
}
_STARTS = (faults.Kill, faults.PowerCut, faults.CenterDown, faults.Unplug)
"""Faults whose end is a start of something."""

_NAMES_OF_LINES: dict[type, str] = {
    faults.Unplug: "unplugged",
    faults.DropBytes: "bytes dropped",
    faults.BurstLoss: "burst lost",
    faults.Garble: "garbled",
    faults.Stall: "line stalled",
    faults.Cooked: "cooked mode",
    faults.XonXoff: "flow control",
}
MUDDLES = frozenset(_NAMES_OF_LINES.values()) - {"unplugged"}
"""Causes by which an honest edge may archive wrong values and times of their window: what a sender
kept comes late, half a word and half of another pass for a sample. A cable that is out brings
nothing, right or wrong."""


class Window(NamedTuple):
    """True times [from_ns, until_ns) in which a fault may have cost something."""

    from_ns: int
    until_ns: int
    cause: str
    fault: int  # index in the scenario

    def touches(self, from_ns: int, until_ns: int) -> bool:
        """Whether [from_ns, until_ns) shares an instant with the window."""
        return self.from_ns < until_ns and from_ns < self.until_ns


class Struck(NamedTuple):
    """One fault with its true times; a fault that strikes once has no end of its own."""

    fault: Fault
    from_ns: int
    until_ns: int | None


class DiskLoss(NamedTuple):
    """Unsynced bytes that a power cut took."""

    host: str
    at_ns: int
    path: str
    bytes: int


class LossLine(NamedTuple):
    """A line of the log about one datagram that was lost or corrupted."""

    link: str
    at_ns: int
    cause: str
    fault: int
    direction: str


def strike(
    plan: Sequence[Timed],
    true_ns: Callable[[str], int],
    felled_ns: Mapping[int, int],
    struck_ns: Sequence[tuple[int | None, int | None]] = (),
) -> tuple[Struck, ...]:
    """A scenario's faults in true time, which `true_ns` gives for a fault's time text.

    A power cut that waits for a write falls where the log says that it felled its host
    (`felled_ns`, by fault), if that is as soon as it must. Real faults were when they were
    (`struck_ns`, in the scenario's order): that they were in time is a claim of its own."""
    struck = []
    for index, timed in enumerate(plan):
        from_ns = true_ns(timed.when)
        if isinstance(timed.fault, faults.PowerCut) and timed.fault.mid_write:
            cut_ns = felled_ns.get(index, from_ns)
            if from_ns <= cut_ns <= from_ns + faults.MID_WRITE_WITHIN_S * SECOND_NS:
                from_ns = cut_ns
        until_ns = None if timed.until is None else true_ns(timed.until)
        if isinstance(timed.fault, faults.Kill | faults.PowerCut):
            until_ns = from_ns + round(timed.fault.restart_after_s * SECOND_NS)
        struck.append(Struck(timed.fault, from_ns, until_ns))
    for index, (from_true_ns, until_true_ns) in enumerate(struck_ns):
        fault, planned_ns, ends_ns = struck[index]
        if isinstance(fault, faults.DeadPreamplifier):
            continue  # the instrument was built with it
        from_ns = planned_ns if from_true_ns is None else from_true_ns
        struck[index] = Struck(fault, from_ns, ends_ns if until_true_ns is None else until_true_ns)
    return tuple(struck)


def windows(
    struck: Sequence[Struck],
    host: str,
    disk_losses: Sequence[DiskLoss],
    open_ns: int = 0,
    startup_ns: int = 0,
) -> tuple[Window, ...]:
    """When a host may have failed to keep what it heard, in order.

    `disk_losses` are those that concern the files in question; `open_ns` is how long what it hears
    is not yet on the disk; `startup_ns` how long it takes to start. A freeze takes nothing that was
    heard before it."""
    found = []
    for index, (fault, from_ns, until_ns) in enumerate(struck):
        cause = _NAMES.get(type(fault))
        if cause is None or until_ns is None or getattr(fault, "host", None) != host:
            continue
        before_ns = 0 if isinstance(fault, faults.Freeze) else open_ns
        if isinstance(fault, faults.PowerCut) and _took_bytes(disk_losses, host, from_ns):
            before_ns += RECORD_NS
        after_ns = startup_ns * isinstance(fault, _STARTS) + EDGE_NS
        found.append(Window(from_ns - before_ns - EDGE_NS, until_ns + after_ns, cause, index))
    return tuple(sorted(found))


def line_windows(struck: Sequence[Struck], site: str, startup_ns: int = 0) -> tuple[Window, ...]:
    """When a site's serial line may have failed to bring samples, or brought wrong ones, in order.

    What was heard before is not at stake: the edge that hears it goes on."""
    found = []
    for index, (fault, from_ns, until_ns) in enumerate(struck):
        cause = _NAMES_OF_LINES.get(type(fault))
        if cause is None or getattr(fault, "host", None) != site:
            continue
        ends_ns = from_ns + lasts_ns(fault) if until_ns is None else until_ns
        after_ns = startup_ns * isinstance(fault, _STARTS) + EDGE_NS
        found.append(Window(from_ns - EDGE_NS, ends_ns + after_ns, cause, index))
    return tuple(sorted(found))


def lasts_ns(fault: Fault) -> int:
    """How long a fault that strikes a number of bytes may take, on a line that is read; 0 for
    others."""
    match fault:
        case faults.DropBytes(_, count):
            return count * DROP_EVERY_BYTES * BYTE_NS
        case faults.BurstLoss(_, count):
            return (count + 1) * BYTE_NS
    return 0


def excused(
    lines: Sequence[LossLine], struck: Sequence[Struck], center: str, slack_ns: int = SLACK_NS
) -> tuple[bool, ...]:
    """For each line, in the log's order, whether a declared fault or the link's model covers it."""
    left = [getattr(item.fault, "count", len(lines)) for item in struck]
    verdicts = []
    for line in lines:
        if line.fault < 0 or line.fault >= len(struck):
            verdicts.append(line.fault == -1 and line.cause in (*OF_THE_LINK, OF_THE_MACHINE))
            continue
        covered = left[line.fault] > 0 and _covers(struck[line.fault], line, center, slack_ns)
        left[line.fault] -= covered
        verdicts.append(covered)
    return tuple(verdicts)


def _covers(struck: Struck, line: LossLine, center: str, slack_ns: int) -> bool:
    fault, from_ns, until_ns = struck
    if not isinstance(fault, _CAUSES.get(line.cause, ())):
        return False
    if getattr(fault, "link", line.link) != line.link:
        return False
    if line.direction == "up" and getattr(fault, "host", center) != center:
        return False
    if line.at_ns < from_ns - slack_ns:
        return False
    return until_ns is None or line.at_ns <= until_ns + slack_ns


def _took_bytes(losses: Sequence[DiskLoss], host: str, cut_ns: int) -> bool:
    """Whether a power cut took anything of the record in flight."""
    return any(
        loss.bytes > 0 and loss.host == host and abs(loss.at_ns - cut_ns) <= SLACK_NS
        for loss in losses
    )


class Piece(NamedTuple):
    """Samples [first, last) that were skipped, and the window that excuses them, if one does."""

    first: int
    last: int
    window: Window | None


def apportion(
    gap: tuple[int, int], declared: Sequence[Window], first_at: Callable[[int], int]
) -> tuple[Piece, ...]:
    """A run of skipped samples [first, last), cut where windows begin and end. `first_at` gives the
    first sample at a true time. Of windows that overlap, the earlier takes all that it covers."""
    at, last = gap
    pieces = []
    for window in sorted(declared):
        begins = max(at, first_at(max(0, window.from_ns)))
        ends = min(last, first_at(max(0, window.until_ns)))
        if begins >= ends:
            continue
        if at < begins:
            pieces.append(Piece(at, begins, None))
        pieces.append(Piece(begins, ends, window))
        at = ends
    if at < last:
        pieces.append(Piece(at, last, None))
    return tuple(pieces)


def bytes_of(samples: int) -> int:
    """The bytes that samples would have become: 380 for 60 points, in whole points. Less than half
    a second of samples is no point, and its loss is the partition's business, not the ledger's."""
    return (samples + RATE_HZ // 2) // RATE_HZ * RECORD_BYTES // POINTS
