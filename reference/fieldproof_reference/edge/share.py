"""The edge's archive, read-only by rsync: a real daemon, which this node keeps running.

1. It runs where the settings say so, and nowhere else: whoever may reach the port may read.
2. One that ends is begun again, after a wait that doubles; the log has its last words. Where there
   is no rsync on the machine that is what happens, and the center uses another method.
"""

from fieldproof_contract import (
    SECOND_NS,
    DiskView,
    Effects,
    EngineEnded,
    Event,
    Failed,
    Log,
    Monotonic,
    Now,
    RunEngine,
    ServeTree,
    Stop,
    StopEngine,
)
from fieldproof_reference import ports
from fieldproof_reference.edge import EdgeSettings
from fieldproof_reference.edge.serve import ROOT

RUN = "rsync"

WAIT_NS = 5 * SECOND_NS
MOST_WAIT_NS = 3600 * SECOND_NS
SOUND_NS = 600 * SECOND_NS
"""A daemon that ran for so long was sound: the wait for the next begins anew."""


class Share:
    """The node that has the daemon."""

    def __init__(self, settings: EdgeSettings) -> None:
        self._shares = settings.shares
        self._wait_ns = WAIT_NS
        self._begun = Monotonic(0)
        self._due: Monotonic | None = None
        self._stops = False

    def start(self, disk: DiskView, now: Now) -> Effects:
        """Begin, if it is to."""
        return self.advance(now) if self._shares else ()

    def receive(self, event: Event, now: Now) -> Effects:
        """The daemon ended, or the host does."""
        match event:
            case EngineEnded(_, _, reason) | Failed(RunEngine(), reason) if not self._stops:
                return self._ended(reason or "it ended by itself", now)
            case Stop() if self._shares:
                self._stops, self._due = True, None
                return (StopEngine(RUN),)
        return ()

    def advance(self, now: Now) -> Effects:
        """Begin again."""
        self._begun, self._due = now.monotonic, None
        return (RunEngine(RUN, ServeTree(ports.RSYNC, ROOT)),)

    def deadline(self) -> Monotonic | None:
        """When it begins again, while it does not run."""
        return self._due

    def _ended(self, why: str, now: Now) -> Effects:
        if now.monotonic - self._begun >= SOUND_NS:
            self._wait_ns = WAIT_NS
        self._due = Monotonic(now.monotonic + self._wait_ns)
        said = Log("not shared", {"why": why, "wait_s": self._wait_ns // SECOND_NS})
        self._wait_ns = min(2 * self._wait_ns, MOST_WAIT_NS)
        return (said,)
