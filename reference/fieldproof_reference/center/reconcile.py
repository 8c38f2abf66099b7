"""Makes the canonical files of a day what the edge's are, and proves it.

The laws:

1. Nothing is believed but the edge's signed digest of a closed day. When the center's day has that
   digest and is durable, the day is *proven* and does not change any more (I2), unless the edge
   signs another digest: it may have filed a record late (T3).
2. What a repair brings is put into a copy; the copy becomes the day only when its digest is the
   edge's; otherwise all of it is dropped (T10, T23).
3. What loses its place goes to quarantine (I3); what gains one is noted with its origin (I4).
4. A request is repeated with doubling back-off until it is answered; a piece of an answer is
   progress and resets the wait. Nobody gives up on a day.
5. A day has its case when its manifest is here and it has ended by this clock; a day of which no
   manifest came has it `GRACE_NS` after its end.
6. Only sites whose method is "repair" are this node's.

The life of a case (one site, one closed day):

    waiting  -- manifest, or time -------------> compared
    compared -- digest as in the manifest -----> synced
    compared -- otherwise ---------------------> asked (gaps by cadence)
    asked    -- no answer in time -------------> asked (the same, later)
    asked    -- none for long -----------------> compared
    asked    -- answer leads to the digest ----> promoted, synced
    asked    -- answer does not ---------------> asked (whole hours, then all hours)
    asked    -- nor do all hours --------------> waiting
    synced   -- the disk has it ---------------> proven
    synced   -- not in time -------------------> compared
    proven   -- manifest of another digest ----> waiting
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
    Synced,
)
from fieldproof_reference import ports
from fieldproof_reference.center import (
    CONFIRMED,
    PROMOTED,
    REOPENED,
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
from fieldproof_reference.center.notes import MEMORY_DAYS, mended
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
"""How long after the end of a day its manifest may still come: edges close hours 75 s after their
end, links take seconds."""

PATIENCE_NS = 2 * SECOND_NS
DARK_PATIENCE_NS = 600 * SECOND_NS
MOST_PATIENCE_NS = 6 * 3600 * SECOND_NS
"""Waits for an answer: at first two round trips of 600 ms and some; ten minutes where no manifest
came, for then the link may be dark; six hours at most. A manifest is a sign of life, which ends all
waits for its site."""

LONG_S = 3600
"""Gaps of this many seconds in all are worth the better compression."""

RECORD_LIMIT_BYTES = 384
SLACK_RECORDS = 8
MOST_DAY_BYTES = 1 << 22
"""Bounds on what an answer may unpack to: expected records and some (T24); for a whole day what
memory bears, for a clock that stepped back at the edge may have filled hours several times."""

SYNC_PATIENCE_NS = 60 * SECOND_NS
"""How long a disk may take to make a day durable."""


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
    patience_ns: int
    level: Level = Level.GAPS
    gaps: tuple[Gap, ...] = ()
    request: bytes = b""  # empty: not asked yet
    assembly: Assembly | None = None
    digest: bytes = b""  # of the day, as the edge last signed it
    syncing: tuple[str, ...] = ()  # files that are to be durable before the day is proven


class Reconcile:
    """The node that makes days whole."""

    def __init__(self, settings: CenterSettings) -> None:
        self._sites = {
            site: known for site, known in settings.sites.items() if known.reconcile == "repair"
        }
        self._repair = {site: known.repair for site, known in self._sites.items()}
        self._cases: dict[SiteDay, Case] = {}
        self._confirmed: set[SiteDay] = set()
        self._manifests: dict[SiteDay, Manifest] = {}  # of days that have no case yet
        self._newest: dict[str, Manifest] = {}  # by site: the one that says where to ask
        self._day = 0  # the open day, since 1970; days before it have had their case
        self._day_ends = Monotonic(0)
        self._disk: DiskView

    def start(self, disk: DiskView, now: Now) -> Effects:
        """Take up every day of the last month that is not proven, from the first arrival on."""
        self._disk = disk
        self._confirmed = set(provenance.confirmed_days(disk, self._sites, now))
        self._await_end_of_day(now)
        for case in provenance.days_since_first(disk, self._sites, now):
            if case.day < self._day:
                self._open(case, now)
        return mended(disk, "provenance", now)

    def receive(self, event: Event, now: Now) -> Effects:
        """Manifests and replies, if they are authentic."""
        match event:
            case Datagram(port, source, data):
                site = site_of(data)
                if site is None or site not in self._sites:
                    return ()
                if port == ports.MANIFEST:
                    return self._hear_manifest(site, data, source, now)
                return self._hear_reply(site, data, now)
            case Synced(paths):
                durable = [case for case in self._cases.values() if case.syncing == paths]
                return tuple(effect for case in durable for effect in self._confirm(case))
        return ()

    def advance(self, now: Now) -> Effects:
        """Open the cases of a day that has ended; go on with one case that is due, for what fails
        there should stop no other case."""
        if now.monotonic >= self._day_ends:
            ended = self._day
            self._await_end_of_day(now)
            for day in range(max(ended, self._day - MEMORY_DAYS), self._day):
                for site in sorted(self._sites):
                    self._open(SiteDay(site, day), now)
        for case in self._cases.values():
            if case.due <= now.monotonic:
                return self._go_on(case, now)
        return ()

    def deadline(self) -> Monotonic | None:
        """The next case that is due, or the end of the day."""
        return min([self._day_ends, *(case.due for case in self._cases.values())])

    # --- when a case begins ---

    def _await_end_of_day(self, now: Now) -> None:
        """Note which day is open; look again when it ends, or in an hour: the clock may step."""
        settled_utc_ns = now.utc_ns - GRACE_NS
        self._day = settled_utc_ns // DAY_NS
        ends_ns = (self._day + 1) * DAY_NS - settled_utc_ns
        self._day_ends = Monotonic(now.monotonic + min(max(ends_ns, SECOND_NS), LOOK_NS))

    def _open(self, of: SiteDay, now: Now) -> None:
        if of not in self._confirmed and of not in self._cases:
            patience_ns = PATIENCE_NS if of in self._manifests else DARK_PATIENCE_NS
            case = self._cases[of] = Case(of, now.monotonic, None, patience_ns)
            if of in self._manifests:
                self._renew(case, self._manifests.pop(of))

    def _hear_manifest(self, site: str, data: bytes, source: Address, now: Now) -> Effects:
        try:
            manifest = read_manifest(data, self._sites[site].key, now.utc_ns // DAY_NS)
        except Malformed:
            return ()
        of = SiteDay(site, manifest.day)
        newest = self._newest.get(site)
        if newest is None or (manifest.day >= newest.day and manifest != newest):
            self._newest[site] = manifest
            self._repair[site] = source  # a replay moves nobody
        effects = self._reopen(of, manifest)
        if of in self._cases:
            self._renew(self._cases[of], manifest)
        elif of not in self._confirmed and 0 <= self._day - of.day <= MEMORY_DAYS:
            self._manifests[of] = manifest
            if of.day < now.utc_ns // DAY_NS:
                self._open(of, now)
        for case in self._cases.values():
            if case.of.site == site:
                case.patience_ns, case.due = PATIENCE_NS, now.monotonic
        return effects

    def _reopen(self, of: SiteDay, manifest: Manifest) -> Effects:
        """The edge may have changed a day that was proven."""
        if of not in self._confirmed or _digest(of, self._read_day(of)) == manifest.day_digest:
            return ()
        self._confirmed.discard(of)
        note = provenance.line(of, "reopened", {"digest": manifest.day_digest.hex()})
        return (note, Sync((note.path,)), Publish(REOPENED, of))

    def _renew(self, case: Case, manifest: Manifest) -> None:
        """What was asked without this manifest is asked anew."""
        if case.manifest != manifest:
            case.manifest, case.digest = manifest, manifest.day_digest
            case.request, case.syncing = b"", ()

    # --- what happens to a case ---

    def _go_on(self, case: Case, now: Now) -> Effects:
        if case.request:
            case.patience_ns = min(2 * case.patience_ns, MOST_PATIENCE_NS)
            if case.patience_ns <= DARK_PATIENCE_NS:
                return self._send(case, now)
        day = self._read_day(case.of)
        if _digest(case.of, day) == case.digest:
            return self._prove(case, day, now)
        return self._ask(case, day, now)

    def _ask(self, case: Case, day: Day, now: Now) -> Effects:
        number = case.of.day
        if case.level is Level.GAPS:
            case.gaps = by_cadence(day, number, case.manifest)
        elif case.level is Level.HOURS:
            case.gaps = whole_hours(suspect_hours(day, case.manifest) or ALL_HOURS)
        else:
            case.gaps = whole_hours(ALL_HOURS)
        seconds = sum(gap.before_s - (gap.after_s or 0) for gap in case.gaps)
        codec = Codec.COLUMNS_LZMA if seconds > LONG_S else Codec.COLUMNS_DEFLATE
        key = self._sites[case.of.site].key
        case.request = pack_request(Request(case.of.site, number, codec, case.gaps), key)
        case.assembly, case.syncing = Assembly(case.request, key), ()
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
            limit_bytes = MOST_DAY_BYTES if case.level is Level.DAY else _limit_bytes(case.gaps)
            groups = unpack_body(reply.codec, reply.body, case.gaps, case.of.day, limit_bytes)
        except Malformed as error:
            return self._escalate(case, before, str(error), now)
        after = assembled(before, case.of.day, case.gaps, groups)
        if _digest(case.of, after) != reply.digest:
            return self._escalate(case, before, "the digest is another", now)
        case.digest = reply.digest
        promoted = self._promote(case, before, after, groups, now)
        return promoted + self._prove(case, after, now)

    def _escalate(self, case: Case, day: Day, why: str, now: Now) -> Effects:
        """Ask for more; where all was asked for already, ask again later."""
        spent = case.level is Level.DAY
        case.level = Level.GAPS if spent else Level(case.level + 1)
        detail = {"site": case.of.site, "why": why, "next": case.level.name.lower()}
        said = Log("answer not usable", detail)
        if spent:
            case.request, case.assembly = b"", None
            case.due = Monotonic(now.monotonic + MOST_PATIENCE_NS)
            return (said,)
        return (said, *self._ask(case, day, now))

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

    def _prove(self, case: Case, day: Day, now: Now) -> Effects:
        """The day is as at the edge: from now on nobody adds to it, and it is made durable."""
        case.request, case.assembly, case.level = b"", None, Level.GAPS
        case.due = Monotonic(now.monotonic + SYNC_PATIENCE_NS)
        case.syncing = tuple(_path(case.of, hour) for hour in sorted(day))
        closed = Publish(CONFIRMED, case.of)
        return (closed, Sync(case.syncing)) if case.syncing else (closed, *self._confirm(case))

    def _confirm(self, case: Case) -> Effects:
        """The day is proven, and a restart will know it."""
        del self._cases[case.of]
        self._confirmed.add(case.of)
        note = provenance.line(case.of, "confirmed", {"digest": case.digest.hex()})
        said = Log("confirmed", {"site": case.of.site, "day": day_text(case.of.day)})
        return (note, Sync((note.path,)), said)

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
