"""A watcher copies each new record into one UDP datagram (R1-13).

The laws:

1. Only what is durable is sent: the watcher looks at the disk, after `FILED` said that there is
   news.
2. It looks once per `POLL_NS`, on a grid that begins with the process. The arrival times of the
   2006 text show such a poll: intervals alternate near 60.48 and 59.47 s (best fit 1.008 s). A look
   without news would do nothing, so the node asks to be called only for one that follows news.
3. Each record is sent once. What a crash kept from being sent, reconciliation brings.
"""

from fieldproof_contract import (
    DiskView,
    Effects,
    Event,
    Monotonic,
    Now,
    SendDatagram,
    Topic,
)
from fieldproof_reference import ports
from fieldproof_reference.edge import FILED, EdgeSettings, Filed

POLL_NS = 1_008_000_000


class Transmit:
    """The node that sends records."""

    def __init__(self, settings: EdgeSettings) -> None:
        self._to = settings.at_center(ports.TELEMETRY)
        self._news: list[Filed] = []
        self._look_at: Monotonic | None = None
        self._disk: DiskView
        self._began_ns = 0

    def start(self, disk: DiskView, now: Now) -> Effects:
        """The grid of looks begins here."""
        self._disk = disk
        self._began_ns = now.monotonic
        return ()

    def receive(self, event: Event, now: Now) -> Effects:
        """Note news for the next look."""
        match event:
            case Topic(topic, Filed() as filed) if topic == FILED:
                self._news.append(filed)
                looks = (now.monotonic - self._began_ns) // POLL_NS + 1
                self._look_at = Monotonic(self._began_ns + looks * POLL_NS)
        return ()

    def advance(self, now: Now) -> Effects:
        """Look: send what is new."""
        news, self._news, self._look_at = self._news, [], None
        return tuple(
            SendDatagram(ports.SOURCE, self._to, self._disk.read(path, offset, size))
            for path, offset, size in news
        )

    def deadline(self) -> Monotonic | None:
        """The next look that has news."""
        return self._look_at
