"""Makes the canonical hour files of some sites what their edges' are, over HTTP, hour by hour.

For an edge that signs no manifests but whose archive is served read-only, as any web server can
(R1-35); where there are manifests `reconcile` fetches by the day. The laws:

1. An hour of which the center's clock says that it ended `CLOSING_NS` ago is fetched: gaps by
   cadence as byte ranges, the whole file where these do not fit, and nothing at all where length
   and digest are the center's already. A start takes up every hour of the last month that is not
   proven, from the first arrival on; so does a clock that jumped.
2. What was fetched becomes part of the archive at once and whole (`errand`, `promote`): never half.
3. An hour that is the edge's and durable is *proven*: a note says so, and by what. From then on
   nobody adds to it. A record that comes for it later and is not in it puts the proof in doubt; the
   edge is asked again `DOUBT_NS` after that (T3).
4. The day of which all hours are proven is confirmed.
5. Who answers at the site's address is the edge: plain HTTP signs nothing. Only sites whose method
   is "http-range" and that say what serves them are this node's, and each is visited by itself
   (`visits`).
"""

from fieldproof_contract import (
    SECOND_NS,
    DiskView,
    Effects,
    Event,
    Failed,
    Monotonic,
    Now,
    OpenStream,
    Remove,
    StreamClosed,
    StreamData,
    StreamOpened,
    Synced,
    Topic,
    WriteStream,
)
from fieldproof_reference.center import DOUBTED, CenterSettings, SiteHour, provenance
from fieldproof_reference.center.notes import mended
from fieldproof_reference.center.visits import Visits
from fieldproof_reference.formats.days import HOUR_S

CLOSING_NS = 90 * SECOND_NS
"""After the end of an hour: its last record ends up to a minute later, is filed and sent (our
assumption)."""

HOUR_NS = HOUR_S * SECOND_NS


class Fetch:
    """The node that fetches."""

    def __init__(self, settings: CenterSettings) -> None:
        self._servers = {
            site: known.fetch_from
            for site, known in settings.sites.items()
            if known.reconcile == "http-range" and known.fetch_from is not None
        }
        self._visits: dict[str, Visits] = {}
        self._hour = 0  # the open hour, since 1970; hours before it have their errand
        self._hour_ends = Monotonic(0)
        self._disk: DiskView

    def start(self, disk: DiskView, now: Now) -> Effects:
        """Take up every hour that is not proven; half a file of an earlier life is dropped."""
        self._disk = disk
        if not self._servers:
            return ()
        for site, server in sorted(self._servers.items()):
            self._visits[site] = Visits(site, server, disk)
        for of in provenance.proven_hours(disk, self._servers, now):
            self._visits[of.site].proven.add(of.hour)
        self._await_end_of_hour(now)
        self._take_up(now)
        return (*mended(disk, "provenance", now), *map(Remove, self._staged()))

    def _staged(self) -> list[str]:
        """What an earlier life left."""
        return [path for site in self._servers for path in self._disk.listing(f"staging/{site}/")]

    def receive(self, event: Event, now: Now) -> Effects:
        """Pass on what concerns a site."""
        match event:
            case StreamOpened(stream) | StreamData(stream) | StreamClosed(stream):
                visits = self._of_stream(stream)
                return visits.receive(event, now) if visits else ()
            case Synced((path,)):
                synced = [visits.synced(path, now) for visits in self._visits.values()]
                return tuple(effect for effects in synced for effect in effects)
            case Topic(topic, SiteHour(site, number)) if topic == DOUBTED:
                visits = self._visits.get(site)
                return visits.doubt(number, now) if visits else ()
            case Failed(OpenStream(stream) | WriteStream(stream), reason):
                visits = self._of_stream(stream)
                return visits.receive(StreamClosed(stream, reason), now) if visits else ()
            case Failed():
                put_off = [visits.put_off(now) for visits in self._visits.values()]
                return tuple(effect for effects in put_off for effect in effects)
        return ()

    def advance(self, now: Now) -> Effects:
        """Open the hours that have ended; go on with one site that is due, for what fails there
        should stop no other."""
        if self._visits and now.monotonic >= self._hour_ends:
            self._close_hours(now)
        for visits in self._visits.values():
            due = visits.deadline()
            if due is not None and due <= now.monotonic:
                return visits.advance(now)
        return ()

    def deadline(self) -> Monotonic | None:
        """The next site that is due, or the end of the hour."""
        if not self._visits:
            return None
        dues = [due for one in self._visits.values() if (due := one.deadline()) is not None]
        return min([self._hour_ends, *dues])

    def _await_end_of_hour(self, now: Now) -> None:
        """Note which hour is open, and look again at its end."""
        settled_utc_ns = now.utc_ns - CLOSING_NS
        self._hour = settled_utc_ns // HOUR_NS
        ends_ns = (self._hour + 1) * HOUR_NS - settled_utc_ns
        self._hour_ends = Monotonic(now.monotonic + max(ends_ns, SECOND_NS))

    def _close_hours(self, now: Now) -> None:
        before = self._hour
        self._await_end_of_hour(now)
        for visits in self._visits.values():
            visits.forget_from(self._hour)
            if self._hour == before + 1:
                visits.open(before, now.monotonic)
        if self._hour not in (before, before + 1):
            self._take_up(now)

    def _take_up(self, now: Now) -> None:
        """Every hour since the first arrival of the last month."""
        first = provenance.first_hour(self._disk, now)
        for hour in range(self._hour if first is None else first, self._hour):
            for visits in self._visits.values():
                visits.open(hour, now.monotonic)

    def _of_stream(self, stream: str) -> Visits | None:
        """Streams are named after their site."""
        return self._visits.get(stream.partition("-")[0])
