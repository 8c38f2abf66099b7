"""A second telemetry stream: one status datagram a minute (R1-17).

The 2006 text names the stream (port 25000) and says nothing of its content. Ours is one line of
text: `STAT <site> <seconds since start> <hour files held>`, our assumption.
"""

from fieldproof_contract import (
    SECOND_NS,
    DiskView,
    Effects,
    Event,
    Monotonic,
    Now,
    SendDatagram,
)
from fieldproof_reference import ports
from fieldproof_reference.edge import EdgeSettings

PERIOD_NS = 60 * SECOND_NS


class Status:
    """The node that tells how the edge is."""

    def __init__(self, settings: EdgeSettings) -> None:
        self._site = settings.site
        self._to = settings.at_center(ports.STATUS)
        self._disk: DiskView
        self._began_ns = 0
        self._next = Monotonic(0)

    def start(self, disk: DiskView, now: Now) -> Effects:
        """The first report comes after a period."""
        self._disk = disk
        self._began_ns = now.monotonic
        self._next = Monotonic(now.monotonic + PERIOD_NS)
        return ()

    def receive(self, event: Event, now: Now) -> Effects:
        """Nothing concerns this node."""
        return ()

    def advance(self, now: Now) -> Effects:
        """Report."""
        self._next = Monotonic(now.monotonic + PERIOD_NS)
        uptime_s = (now.monotonic - self._began_ns) // SECOND_NS
        files = sum(path.endswith(".dat") for path in self._disk.listing("riometer/"))
        text = f"STAT {self._site} {uptime_s} {files}"
        return (SendDatagram(ports.SOURCE, self._to, text.encode("ascii")),)

    def deadline(self) -> Monotonic | None:
        """A minute after the last report."""
        return self._next
