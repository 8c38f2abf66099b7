"""Makes the canonical files of a day what the edge's are, and proves it.

The laws:

1. Nothing is believed but the edge's signed digest of a closed day. When the center's day has that
   digest and is durable, the day is *proven* and does not change any more (I2), unless the edge
   signs another digest: it may have filed a record late (T3).
2. What a way brings (`methods`) is a copy; it becomes the day only when its digest is the edge's;
   otherwise all of it is dropped (T10, T23).
3. What loses its place goes to quarantine (I3); what gains one is noted with its origin (I4).
4. Each site has its method. More is asked for where an answer does not lead to the digest: gaps,
   whole hours, all hours. A method that cannot be had `TRIES` times, or has no more to ask for,
   gives way to the next in this case; the log says so, and `day differs` says what is missing.
   Nobody gives up on a day: hours after the last one has failed the site's own begins again.
5. A request is repeated with doubling back-off until it is answered; a piece of an answer is
   progress and resets the wait. Ways that take a connection or an engine go one at a time.
6. A day has its case when its manifest is here and it has ended by this clock; a day of which no
   manifest came has it `GRACE_NS` after its end.
7. Sites without a method are not this node's, nor are those with an archive that another program
   serves: there are no manifests there (`fetch`).

The life of a case (one site, one closed day):

    waiting  -- manifest, or time -------------> compared
    compared -- digest as in the manifest -----> synced
    compared -- otherwise ---------------------> asked (gaps by cadence)
    asked    -- no answer in time -------------> asked (the same, later)
    asked    -- none for long -----------------> compared
    asked    -- the method cannot be had ------> resting, then asked; or by the next method
    asked    -- answer leads to the digest ----> promoted, synced
    asked    -- answer does not ---------------> asked (whole hours, then all hours)
    asked    -- nor do all hours --------------> asked by the next method, or waiting
    synced   -- the disk has it ---------------> proven
    synced   -- not in time -------------------> compared
    proven   -- manifest of another digest ----> waiting
"""

from collections.abc import Sequence

from fieldproof_contract import (
    SECOND_NS,
    Address,
    Datagram,
    DiskView,
    Effects,
    EngineEnded,
    Event,
    Failed,
    Log,
    Monotonic,
    Now,
    Publish,
    Remove,
    StreamClosed,
    StreamData,
    StreamOpened,
    Sync,
    Synced,
)
from fieldproof_reference import ports
from fieldproof_reference.center import (
    CONFIRMED,
    REOPENED,
    CenterSettings,
    Method,
    SiteDay,
    provenance,
)
from fieldproof_reference.center.assemble import Day
from fieldproof_reference.center.canonical import digest_of, path_of, read_day
from fieldproof_reference.center.cases import (
    NEXT,
    Case,
    difference,
    gaps_for,
    hurry,
    is_asked,
    method_failed,
    not_usable,
    way_for,
)
from fieldproof_reference.center.declared import Declared
from fieldproof_reference.center.methods import (
    Copy,
    Level,
    Outcome,
    Progress,
    Task,
    Told,
    Unavailable,
    Unusable,
)
from fieldproof_reference.center.methods.pull import STAGING
from fieldproof_reference.center.notes import MEMORY_DAYS, mended
from fieldproof_reference.center.promote import day_promotion
from fieldproof_reference.formats.days import DAY_S, day_text
from fieldproof_reference.protocols.repair import Manifest, site_of

TRIES = 3

DAY_NS = DAY_S * SECOND_NS
LOOK_NS = 3600 * SECOND_NS

GRACE_NS = 180 * SECOND_NS
"""How long after the end of a day its manifest may still come: edges close hours 75 s after their
end, links take seconds."""

DARK_PATIENCE_NS = 600 * SECOND_NS
MOST_PATIENCE_NS = 6 * 3600 * SECOND_NS
"""Waits for an answer begin with the way's own patience; ten minutes where no manifest came, for
then the link may be dark; six hours at most. A manifest is a sign of life, which ends all waits for
its site."""

REST_NS = 30 * SECOND_NS
"""After a method could not be had the first time, doubling; and how long a case waits for another
of its site."""

SYNC_PATIENCE_NS = 60 * SECOND_NS
"""How long a disk may take to make a day durable."""


class Reconcile:
    """The node that makes days whole."""

    def __init__(self, settings: CenterSettings) -> None:
        self._sites = {site: known for site, known in settings.sites.items() if is_asked(known)}
        self._declared = Declared(self._sites)
        self._cases: dict[SiteDay, Case] = {}
        self._confirmed: set[SiteDay] = set()
        self._asked = 0  # ways so far
        self._day = 0  # the open day, since 1970; days before it have had their case
        self._day_ends = Monotonic(0)
        self._disk: DiskView

    def start(self, disk: DiskView, now: Now) -> Effects:
        """Take up every day of the last month that is not proven, from the first arrival on; what
        an earlier life staged is dropped."""
        self._disk = disk
        self._confirmed = set(provenance.confirmed_days(disk, self._sites, now))
        self._await_end_of_day(now)
        for case in provenance.days_since_first(disk, self._sites, now):
            if case.day < self._day:
                self._open(case, now)
        return (*mended(disk, "provenance", now), *map(Remove, disk.listing(STAGING)))

    def receive(self, event: Event, now: Now) -> Effects:
        """Manifests, if they are authentic, and whatever the ways wait for."""
        match event:
            case Datagram(port, source, data):
                site = site_of(data)
                if site is None or site not in self._sites:
                    return ()
                if port == ports.MANIFEST:
                    return self._hear_manifest(site, data, source, now)
                return self._hear(event, now, site)
            case StreamOpened() | StreamData() | StreamClosed() | EngineEnded() | Failed():
                return self._hear(event, now)
            case Synced(paths):
                durable = [case for case in self._cases.values() if case.syncing == paths]
                return tuple(effect for case in durable for effect in self._confirm(case, now))
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
            manifest = self._declared.take(of)
            method = self._sites[of.site].reconcile
            case = self._cases[of] = Case(of, now.monotonic, None, method, manifest is None)
            if manifest is not None:
                self._renew(case, manifest)

    def _hear_manifest(self, site: str, data: bytes, source: Address, now: Now) -> Effects:
        manifest = self._declared.hear(site, data, source, now)
        if manifest is None:
            return ()
        of = SiteDay(site, manifest.day)
        effects = self._reopen(of, manifest, now)
        if of in self._cases:
            effects += self._renew(self._cases[of], manifest)
        elif of not in self._confirmed and 0 <= self._day - of.day <= MEMORY_DAYS:
            self._declared.keep(of, manifest)
            if of.day < now.utc_ns // DAY_NS:
                self._open(of, now)
        for case in self._cases.values():
            if case.of.site == site:
                hurry(case, now)
        return effects

    def _reopen(self, of: SiteDay, manifest: Manifest, now: Now) -> Effects:
        """The edge may have changed a day that was proven."""
        if of not in self._confirmed:
            return ()
        if digest_of(of, read_day(self._disk, of)) == manifest.day_digest:
            return ()
        self._confirmed.discard(of)
        detail: dict[str, str | int] = {"digest": manifest.day_digest.hex(), "utc_ns": now.utc_ns}
        note = provenance.line(of, "reopened", detail)
        return (note, Sync((note.path,)), Publish(REOPENED, of))

    def _renew(self, case: Case, manifest: Manifest) -> Effects:
        """What is under way may yet lead to this digest; anything else is asked anew."""
        if case.manifest == manifest:
            return ()
        case.manifest, case.digest, case.syncing = manifest, manifest.day_digest, ()
        is_under_way = case.way is not None and not case.rests
        return () if is_under_way else self._drop(case)

    # --- what happens to a case ---

    def _go_on(self, case: Case, now: Now) -> Effects:
        way = case.way
        if way is not None and case.rests:
            return self._send(case, now)
        if way is not None and way.silence:
            return (*way.drop(), *self._rest(case, way.silence, now))
        said: Effects = ()
        if way is not None:
            case.patience_ns = min(2 * case.patience_ns, MOST_PATIENCE_NS)
            if case.patience_ns <= DARK_PATIENCE_NS:
                return self._send(case, now)
            case.way, said = None, (difference(case, read_day(self._disk, case.of)),)
        day = read_day(self._disk, case.of)
        is_same = digest_of(case.of, day) == case.digest
        return (*said, *(self._prove if is_same else self._ask)(case, day, now))

    def _ask(self, case: Case, day: Day, now: Now) -> Effects:
        """Choose what to ask for, and by which way."""
        way = way_for(case)
        if way.alone and self._is_busy(case):
            return self._queue(case, now)
        case.gaps = gaps_for(case, day)
        self._asked += 1
        site = case.of.site
        key, edge, run = self._sites[site].key, self._declared.edge(site), f"{site}-{self._asked}"
        task = Task(case.of, case.level, case.gaps, case.manifest, key, edge, self._disk, run)
        case.way, case.syncing = way(task), ()
        return self._send(case, now)

    def _send(self, case: Case, now: Now) -> Effects:
        """Ask by the way that was chosen, for the first time or again."""
        way = case.way
        if way is None or (way.alone and self._is_busy(case)):
            return self._queue(case, now)
        case.rests = case.queues = False
        case.asked_at = now.monotonic
        least_ns = DARK_PATIENCE_NS if case.is_dark and not way.alone else 0
        case.patience_ns = max(way.patience_ns, case.patience_ns, least_ns)
        case.due = Monotonic(now.monotonic + case.patience_ns)
        return way.ask(now)

    def _queue(self, case: Case, now: Now) -> Effects:
        case.queues, case.due = True, Monotonic(now.monotonic + REST_NS)
        return ()

    def _is_busy(self, case: Case) -> bool:
        """Whether another case of the site has a way that goes alone under way."""
        return any(
            other.way is not None and other.way.alone and not other.rests
            for other in self._cases.values()
            if other is not case and other.of.site == case.of.site
        )

    def _hear(self, event: Event, now: Now, site: str | None = None) -> Effects:
        """Whose event it is, the ways know."""
        for case in self._cases.values():
            if case.way is None or site not in (None, case.of.site):
                continue
            effects, outcome = case.way.hear(event, now)
            if outcome is not None:
                return (*effects, *self._conclude(case, outcome, now))
        return ()

    def _conclude(self, case: Case, outcome: Outcome, now: Now) -> Effects:
        """What a way has come to."""
        case.is_dark = case.is_dark and isinstance(outcome, Unavailable)
        match outcome:
            case Progress():
                case.patience_ns = case.way.patience_ns if case.way else 0
                case.due = Monotonic(now.monotonic + case.patience_ns)
                return ()
            case Unavailable(why):
                return self._rest(case, why, now)
            case Unusable(why):
                return self._escalate(case, why, now)
            case Told(digest):
                case.digest = case.digest if case.manifest else digest
                case.way, case.due = None, now.monotonic
                return ()
            case Copy():
                return self._apply(case, outcome, now)

    def _apply(self, case: Case, copy: Copy, now: Now) -> Effects:
        """A copy becomes the day if it is the edge's."""
        before = read_day(self._disk, case.of)
        digest = copy.digest or case.digest
        # Gaps may be asked for twice in the same words: this may be an older answer, doubled.
        is_stale = case.level is Level.GAPS and case.manifest is not None and digest != case.digest
        if is_stale or digest_of(case.of, copy.day) != digest:
            return self._escalate(case, "the digest is another", now)
        case.digest, case.gaps, case.by = digest, copy.gaps, case.method
        promoted = self._promote(case, before, copy.day, copy.groups, now)
        return promoted + self._prove(case, copy.day, now)

    def _promote(
        self, case: Case, before: Day, after: Day, groups: Sequence[Sequence[bytes]], now: Now
    ) -> Effects:
        """The copy becomes the day."""
        stretches = list(zip(case.gaps, groups, strict=True))
        how = {"method": case.method, "step": case.level.name.lower()}
        return day_promotion(self._disk, case.of, before, after, stretches, how, now)

    def _rest(self, case: Case, why: str, now: Now) -> Effects:
        """The method could not be had: try again, then the next."""
        case.failures += 1
        following = NEXT.get(case.method)
        if case.failures >= TRIES and following is not None:
            return self._fall_back(case, following, why, now)
        case.rests = True
        case.due = Monotonic(now.monotonic + (REST_NS << (case.failures - 1)))
        return (method_failed(case, why, case.method),)

    def _escalate(self, case: Case, why: str, now: Now) -> Effects:
        """Ask for more; where all was asked for already, by the next method, or later."""
        way, following = case.way, NEXT.get(case.method)
        dropped = self._drop(case)
        if way is not None and case.level < way.top:
            case.level, case.patience_ns = Level(case.level + 1), 0
            return (*dropped, not_usable(case, why), *self._ask_anew(case, now))
        if following is not None:
            return (*dropped, *self._fall_back(case, following, why, now))
        self._begin_again(case)
        case.due = Monotonic(now.monotonic + MOST_PATIENCE_NS)
        differs = difference(case, read_day(self._disk, case.of))
        return (*dropped, not_usable(case, why), differs)

    def _fall_back(self, case: Case, following: Method, why: str, now: Now) -> Effects:
        """From now on this case is another method's."""
        said = method_failed(case, why, following)
        dropped = self._drop(case)
        case.method, case.failures, case.level, case.patience_ns = following, 0, Level.GAPS, 0
        return (*dropped, said, *self._ask_anew(case, now))

    def _ask_anew(self, case: Case, now: Now) -> Effects:
        return self._ask(case, read_day(self._disk, case.of), now)

    def _begin_again(self, case: Case) -> None:
        case.method = self._sites[case.of.site].reconcile
        case.level, case.failures, case.patience_ns = Level.GAPS, 0, 0

    def _drop(self, case: Case) -> Effects:
        """What is under way is not waited for any more."""
        way, case.way, case.rests = case.way, None, False
        for other in self._cases.values() if way is not None and way.alone else ():
            if other.queues and other.of.site == case.of.site:
                other.due = case.asked_at  # which is past: it is its turn
        return way.drop() if way is not None else ()

    # --- how a case ends ---

    def _prove(self, case: Case, day: Day, now: Now) -> Effects:
        """The day is as at the edge: from now on nobody adds to it, and it is made durable."""
        dropped = self._drop(case)
        self._begin_again(case)
        case.due = Monotonic(now.monotonic + SYNC_PATIENCE_NS)
        case.syncing = tuple(path_of(case.of, hour) for hour in sorted(day))
        closed = (*dropped, Publish(CONFIRMED, case.of))
        return (*closed, Sync(case.syncing)) if day else (*closed, *self._confirm(case, now))

    def _confirm(self, case: Case, now: Now) -> Effects:
        """The day is proven, and a restart will know it."""
        del self._cases[case.of]
        self._confirmed.add(case.of)
        detail: dict[str, str | int] = {"digest": case.digest.hex(), "utc_ns": now.utc_ns}
        detail |= {"method": case.by} if case.by else {}
        note = provenance.line(case.of, "confirmed", detail)
        said = Log("confirmed", {"site": case.of.site, "day": day_text(case.of.day)})
        return (note, Sync((note.path,)), said)
