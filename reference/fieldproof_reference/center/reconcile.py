"""Makes the canonical files of a day what the edge's are, and proves it.

The laws:

1. Nothing is believed but the edge's signed digest of a closed day. When the center's day has that
   digest, the day is *proven* and does not change any more (I2).
2. What a repair brings is put into a copy; the copy becomes the day only when its digest is the
   edge's; otherwise all of it is dropped (T10, T23).
3. What loses its place goes to quarantine (I3); what gains one is noted with its origin (I4).
4. A request is repeated with doubling back-off until it is answered; a piece of an answer is
   progress and resets the wait. Nobody gives up on a day.

The life of a case (one site, one closed day):

    waiting  -- time --------------------------> compared
    compared -- digest as in the manifest -----> proven
    compared -- otherwise ---------------------> asked (gaps by cadence)
    asked    -- no answer in time -------------> asked (the same, later)
    asked    -- answer leads to the digest ----> promoted, proven
    asked    -- answer does not ---------------> asked (whole hours, then all hours)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from fieldproof_contract import (
    SECOND_NS,
    Address,
    Datagram,
    DiskView,
    Effects,
    Event,
    Log,
    Monotonic,
    Now,
    Publish,
    Remove,
    Replace,
    SendDatagram,
    Sync,
)
from fieldproof_reference import ports
from fieldproof_reference.center import (
    CONFIRMED,
    PROMOTED,
    CenterSettings,
    Promoted,
    SiteDay,
    provenance,
)
from fieldproof_reference.center.assemble import Day, assembled, displaced
from fieldproof_reference.center.gaps import (
    ALL_HOURS,
    CADENCE_S,
    by_cadence,
    suspect_hours,
    whole_hours,
)
from fieldproof_reference.center.quarantine import quarantine
from fieldproof_reference.formats import trees
from fieldproof_reference.formats.days import DAY_S, HOUR_S, day_text
from fieldproof_reference.protocols.repair import (
    Assembly,
    Codec,
    Gap,
    Malformed,
    Manifest,
    Reply,
    Request,
    day_digest,
    pack_request,
    read_manifest,
    site_of,
    unpack_body,
)

DAY_NS = DAY_S * SECOND_NS
LOOK_NS = 3600 * SECOND_NS

GRACE_NS = 180 * SECOND_NS
"""After the end of a day: edges close hours 75 s after their end, links take seconds."""

PATIENCE_NS = 2 * SECOND_NS
MOST_PATIENCE_NS = 3600 * SECOND_NS
"""The first and the longest wait for an answer: two round trips of 600 ms and some, and an hour."""

LONG_S = 3600
"""Gaps of this many seconds in all are worth the better compression."""

RECORD_LIMIT_BYTES = 384
SLACK_RECORDS = 8
"""Bounds on what an answer may unpack to: expected records and some (T24)."""


class Level(IntEnum):
    """What is asked for; each is tried when the one before did not lead to the edge's digest."""

    GAPS = 0
    HOURS = 1
    DAY = 2


@dataclass(slots=True)
class Case:
    """One site, one closed day, not yet proven."""

    of: SiteDay
    due: Monotonic
    manifest: Manifest | None
    level: Level = Level.GAPS
    patience_ns: int = PATIENCE_NS
    gaps: tuple[Gap, ...] = ()
    request: bytes = b""  # empty: not asked yet
    assembly: Assembly | None = None


class Reconcile:
    """The node that makes days whole."""

    def __init__(self, settings: CenterSettings) -> None:
        self._sites = settings.sites
        self._repair = {site: known.repair for site, known in settings.sites.items()}
        self._cases: dict[SiteDay, Case] = {}
        self._confirmed: set[SiteDay] = set()
        self._manifests: dict[SiteDay, Manifest] = {}  # of days that have no case yet
        self._day = 0  # the open day, since 1970; days before it have had their case
        self._day_ends = Monotonic(0)
        self._disk: DiskView

    def start(self, disk: DiskView, now: Now) -> Effects:
        """Take up every day of the last month in which something arrived and that is not proven."""
        self._disk = disk
        self._confirmed = set(provenance.confirmed_days(disk, self._sites, now))
        self._await_end_of_day(now)
        for case in provenance.days_on_disk(disk, self._sites, now):
            if case.day < self._day:
                self._open(case, now)
        return ()

    def receive(self, event: Event, now: Now) -> Effects:
        """Manifests and replies, if they are authentic."""
        match event:
            case Datagram(port, source, data):
                site = site_of(data)
                if site is None or site not in self._sites:
                    return ()
                if port == ports.MANIFEST:
                    self._hear_manifest(site, data, source, now)
                    return ()
                return self._hear_reply(site, data, now)
        return ()

    def advance(self, now: Now) -> Effects:
        """Open the cases of a day that has ended; go on with every case that is due."""
        if now.monotonic >= self._day_ends:
            ended = self._day
            self._await_end_of_day(now)
            for day in range(ended, self._day):
                for site in sorted(self._sites):
                    self._open(SiteDay(site, day), now)
        effects: Effects = ()
        for case in list(self._cases.values()):
            if case.due <= now.monotonic:
                effects += self._go_on(case, now)
        return effects

    def deadline(self) -> Monotonic | None:
        """The next case that is due, or the end of the day."""
        return min([self._day_ends, *(case.due for case in self._cases.values())])

    # --- when a case begins ---

    def _await_end_of_day(self, now: Now) -> None:
        """Note which day is open; look again when it ends, or in an hour: the clock may step."""
        settled_utc_ns = now.utc_ns - GRACE_NS
        self._day = max(self._day, settled_utc_ns // DAY_NS)
        ends_ns = (self._day + 1) * DAY_NS - settled_utc_ns
        self._day_ends = Monotonic(now.monotonic + min(max(ends_ns, SECOND_NS), LOOK_NS))

    def _open(self, of: SiteDay, now: Now) -> None:
        manifest = self._manifests.pop(of, None)
        if of not in self._confirmed and of not in self._cases:
            self._cases[of] = Case(of, now.monotonic, manifest)

    def _hear_manifest(self, site: str, data: bytes, source: Address, now: Now) -> None:
        try:
            manifest = read_manifest(data, self._sites[site].key, now.utc_ns // DAY_NS)
        except Malformed:
            return
        self._repair[site] = source
        of = SiteDay(site, manifest.day)
        if of in self._cases:
            self._cases[of].manifest = manifest
        elif of not in self._confirmed and 0 <= self._day - of.day <= provenance.MEMORY_DAYS:
            self._manifests[of] = manifest
            if of.day < self._day:
                self._open(of, now)

    # --- what happens to a case ---

    def _go_on(self, case: Case, now: Now) -> Effects:
        if case.request:
            case.patience_ns = min(2 * case.patience_ns, MOST_PATIENCE_NS)
            return self._send(case, now)
        day = self._read_day(case.of)
        if case.manifest is not None and _digest(case.of, day) == case.manifest.day_digest:
            return self._confirm(case, day)
        return self._ask(case, day, now)

    def _ask(self, case: Case, day: Day, now: Now) -> Effects:
        number = case.of.day
        if case.level is Level.GAPS:
            case.gaps = by_cadence(day, number, case.manifest)
        elif case.level is Level.HOURS:
            case.gaps = whole_hours(suspect_hours(day, case.manifest))
        else:
            case.gaps = whole_hours(ALL_HOURS)
        seconds = sum(gap.before_s - (gap.after_s or 0) for gap in case.gaps)
        codec = Codec.COLUMNS_LZMA if seconds > LONG_S else Codec.COLUMNS_DEFLATE
        key = self._sites[case.of.site].key
        case.request = pack_request(Request(case.of.site, number, codec, case.gaps), key)
        case.assembly = Assembly(case.request, key)
        return self._send(case, now)

    def _send(self, case: Case, now: Now) -> Effects:
        case.due = Monotonic(now.monotonic + case.patience_ns)
        return (SendDatagram(ports.REPAIR, self._repair[case.of.site], case.request),)

    def _hear_reply(self, site: str, data: bytes, now: Now) -> Effects:
        for case in self._cases.values():
            if case.of.site == site and case.assembly is not None and case.assembly.add(data):
                case.patience_ns = PATIENCE_NS
                case.due = Monotonic(now.monotonic + case.patience_ns)
                if case.assembly.complete:
                    return self._apply(case, case.assembly.result(), now)
                break
        return ()

    def _apply(self, case: Case, reply: Reply, now: Now) -> Effects:
        before = self._read_day(case.of)
        try:
            limit = _limit_bytes(case.gaps)
            groups = unpack_body(reply.codec, reply.body, case.gaps, case.of.day, limit)
        except Malformed as error:
            return self._escalate(case, before, str(error), now)
        after = assembled(before, case.of.day, case.gaps, groups)
        if _digest(case.of, after) != reply.digest:
            return self._escalate(case, before, "the digest is another", now)
        promoted = self._promote(case, before, after, groups, now)
        return promoted + self._confirm(case, after)

    def _escalate(self, case: Case, day: Day, why: str, now: Now) -> Effects:
        """Ask for more; where all was asked for already, ask again later."""
        if case.level is Level.DAY:
            case.patience_ns = MOST_PATIENCE_NS
        case.level = Level(min(case.level + 1, Level.DAY))
        detail = {"site": case.of.site, "why": why, "next": case.level.name.lower()}
        return (Log("answer not usable", detail), *self._ask(case, day, now))

    def _promote(
        self, case: Case, before: Day, after: Day, groups: Sequence[Sequence[bytes]], now: Now
    ) -> Effects:
        """The copy becomes the day."""
        effects: Effects = ()
        for record in displaced(before, after):
            origin: dict[str, str | int] = {"site": case.of.site, "day": day_text(case.of.day)}
            effects += quarantine(
                self._disk, "not at the edge", record, now.utc_ns // SECOND_NS, origin
            )
        changed = [hour for hour in ALL_HOURS if before.get(hour) != after.get(hour)]
        paths = tuple(_path(case.of, hour) for hour in changed)
        for hour, path in zip(changed, paths, strict=True):
            effects += (Replace(path, after[hour]) if hour in after else Remove(path),)
        for gap, items in zip(case.gaps, groups, strict=True):
            size = sum(map(len, items))
            stretch = {
                "after_s": -1 if gap.after_s is None else gap.after_s,
                "before_s": gap.before_s,
            }
            detail = {**stretch, "items": len(items), "bytes": size, "utc_ns": now.utc_ns}
            effects += (provenance.line(case.of, "restored", detail),)
        facts: dict[str, str | int] = {"site": case.of.site, "day": day_text(case.of.day)}
        facts["items"] = sum(map(len, groups))
        facts["bytes"] = sum(len(item) for items in groups for item in items)
        facts["method"] = case.level.name.lower()
        return (*effects, Log("repaired", facts), Publish(PROMOTED, Promoted(paths)))

    def _confirm(self, case: Case, day: Day) -> Effects:
        """The day is proven: make all of it durable and say so."""
        del self._cases[case.of]
        self._confirmed.add(case.of)
        files = tuple(_path(case.of, hour) for hour in sorted(day))
        note = provenance.line(case.of, "confirmed", {"digest": _digest(case.of, day).hex()})
        said = Log("confirmed", {"site": case.of.site, "day": day_text(case.of.day)})
        return (Sync(files), note, Sync((note.path,)), said, Publish(CONFIRMED, case.of))

    def _read_day(self, of: SiteDay) -> dict[int, bytes]:
        """The canonical hour files of a site's day, by hour."""
        folder = trees.day_folder(of.site, of.day * DAY_S) + "/"
        paths = trees.site_hour_paths(self._disk.listing(folder), of.site)
        return {trees.hour_of(path): self._disk.read(path) for path in paths}


def _path(of: SiteDay, hour: int) -> str:
    return trees.hour_path(of.site, of.day * DAY_S + hour * HOUR_S)


def _digest(of: SiteDay, day: Day) -> bytes:
    names = [(_path(of, hour).rpartition("/")[2], data) for hour, data in sorted(day.items())]
    return day_digest(names)


def _limit_bytes(gaps: Sequence[Gap]) -> int:
    seconds = sum(gap.before_s - (gap.after_s or 0) for gap in gaps)
    return (seconds // CADENCE_S + len(gaps) + SLACK_RECORDS) * RECORD_LIMIT_BYTES
