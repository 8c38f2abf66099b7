"""What a closed day should be, said once, in one signed datagram (the manifest).

The laws:

1. An hour is closed `CLOSING_NS` after its end: its last record ends up to a minute later and must
   be synced.
2. After the close of the last hour of a UTC day the manifest of that day is sent: the digest of the
   day, short digests and record counts of its hours. A start says it again for the newest closed
   day that has files, because the death may have fallen on the moment. So does the close of any
   hour when that day has changed since: a full disk or a wrong clock may have held a record back.
3. A manifest that is lost costs nothing but a request: the center asks when it hears none.

It comes from the repair port, so that its source is where the center may ask (an edge may sit
behind address translation).
"""

from hashlib import sha256

from fieldproof_contract import (
    SECOND_NS,
    DiskView,
    Effects,
    Event,
    Log,
    Monotonic,
    Now,
    SendDatagram,
)
from fieldproof_reference import ports
from fieldproof_reference.edge import EdgeSettings
from fieldproof_reference.formats import trees, xrio
from fieldproof_reference.formats.days import DAY_S, HOUR_S, day_number
from fieldproof_reference.protocols.repair import (
    NO_FILE,
    Manifest,
    day_digest,
    hour_digest,
    pack_manifest,
)

CLOSING_NS = 75 * SECOND_NS
MOST_COUNT = 255
MOST_HOURS = 48
"""How many hours are closed at once after a jump of the clock: those of two days."""


class Declare:
    """The node that says what closed hours and days hold."""

    def __init__(self, settings: EdgeSettings) -> None:
        self._settings = settings
        self._disk: DiskView
        self._hour = 0  # number of the open hour, since 1970
        self._wake = Monotonic(0)
        self._said: list[tuple[str, int | None]] = []  # files and sizes of the last manifest

    def start(self, disk: DiskView, now: Now) -> Effects:
        """Declare the newest closed day again."""
        self._disk = disk
        self._hour = self._open_hour(now)
        self._plan(now)
        paths = trees.site_hour_paths(disk.listing("riometer/"), self._settings.site)
        days = {day_number(path.rpartition("/")[2][:8]) for path in paths}
        closed = [day for day in days if day < self._hour // 24]
        return self._declare(max(closed)) if closed else ()

    def receive(self, event: Event, now: Now) -> Effects:
        """Nothing concerns this node but the time."""
        return ()

    def advance(self, now: Now) -> Effects:
        """Close the hours that ended. A clock that stepped back by more than an hour is believed:
        hours that end again are closed again."""
        effects: Effects = ()
        hour = self._open_hour(now)
        if hour < self._hour - 1:
            self._hour = hour
        self._hour = max(self._hour, hour - MOST_HOURS)
        while self._hour < hour:
            effects += self._close(self._hour)
            self._hour += 1
        self._plan(now)
        return effects

    def deadline(self) -> Monotonic | None:
        """The close of the open hour, by the clock as it was at the last look."""
        return self._wake

    def _open_hour(self, now: Now) -> int:
        return (now.utc_ns - CLOSING_NS) // (HOUR_S * SECOND_NS)

    def _plan(self, now: Now) -> None:
        """Wake at the close, and at least hourly: the clock may step meanwhile."""
        closes_utc_ns = (self._hour + 1) * HOUR_S * SECOND_NS + CLOSING_NS
        wait_ns = min(max(closes_utc_ns - now.utc_ns, SECOND_NS), HOUR_S * SECOND_NS)
        self._wake = Monotonic(now.monotonic + wait_ns)

    def _close(self, hour: int) -> Effects:
        path = trees.hour_path(self._settings.site, hour * HOUR_S)
        effects: Effects = ()
        if self._disk.size(path) is not None:
            data = self._disk.read(path)
            digest = sha256(data).hexdigest()
            effects += (Log("hour closed", {"path": path, "bytes": len(data), "sha256": digest}),)
        return effects + self._declare((hour + 1) // 24 - 1)

    def _declare(self, day: int) -> Effects:
        paths = day_paths(self._disk, self._settings.site, day)
        files = [(path, self._disk.size(path)) for path in paths]
        manifest = (
            None if files == self._said else manifest_of(self._disk, self._settings.site, day)
        )
        if manifest is None:
            return ()
        self._said = files
        datagram = pack_manifest(manifest, self._settings.key)
        to = self._settings.at_center(ports.MANIFEST)
        return (SendDatagram(ports.REPAIR, to, datagram),)


def day_paths(disk: DiskView, site: str, day: int) -> list[str]:
    """The hour files of a UTC day (days since 1970), in name order."""
    return trees.site_hour_paths(disk.listing(trees.day_folder(site, day * DAY_S) + "/"), site)


def day_files(disk: DiskView, site: str, day: int) -> tuple[tuple[str, bytes], ...]:
    """The hour files of a UTC day as (base name, content), in name order."""
    paths = day_paths(disk, site, day)
    return tuple((path.rpartition("/")[2], disk.read(path)) for path in paths)


def manifest_of(disk: DiskView, site: str, day: int) -> Manifest | None:
    """What a day holds; None where it holds no file."""
    files = day_files(disk, site, day)
    if not files:
        return None
    digests, counts = [NO_FILE] * 24, [0] * 24
    for name, data in files:
        hour = trees.hour_of(name)
        digests[hour] = hour_digest(data)
        counts[hour] = min(sum(span.valid for span in xrio.walk(data)), MOST_COUNT)
    return Manifest(site, day, day_digest(files), tuple(digests), tuple(counts))
