"""The edge's archive, read-only by HTTP with ranges: for centers that fetch, and for a browser.

The laws:

1. Everything below `riometer/` can be read, as it is at that moment; nothing can be changed.
2. What is served is not secret: whoever may reach the port may read. How it is served is said in
   protocols/httprange_server.py, and how many may come, and for how long, in guests.py.
"""

from fieldproof_contract import DiskView, Effects, Event, Monotonic, Now
from fieldproof_reference.edge import EdgeSettings
from fieldproof_reference.guests import Guests
from fieldproof_reference.protocols.httprange import Server

ROOT = "riometer/"


class Serve:
    """The node that listens on the archive's port. It needs nothing but the disk."""

    def __init__(self, settings: EdgeSettings | None = None) -> None:
        self._disk: DiskView
        self._guests = Guests(lambda: Server(self._disk, ROOT))

    def start(self, disk: DiskView, now: Now) -> Effects:
        """Nobody is connected yet."""
        self._disk = disk
        return ()

    def receive(self, event: Event, now: Now) -> Effects:
        """Answer requests."""
        return self._guests.receive(event, now)

    def advance(self, now: Now) -> Effects:
        """Close what was silent for too long."""
        return self._guests.advance(now)

    def deadline(self) -> Monotonic | None:
        """When the next connection has been silent for too long."""
        return self._guests.deadline()
