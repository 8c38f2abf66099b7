"""Defects of reconciliation: what the center asks for, and what it does with the answer."""

from dataclasses import replace

from planted import (
    ACCOUNTED,
    CLAIMS,
    CONSERVED,
    FLAGS,
    IN_ORDER,
    MIRRORS,
    NOTHING_REFUSED,
    ORIGINS,
    SETTLED,
    TO_EDGE,
    VANISHED,
    Defect,
    all_but,
    night,
)

from fieldproof.checks import sometimes, wire_bytes
from fieldproof.faults import Corrupt, Lose, Outage, RotRecord, at
from fieldproof_contract import Monotonic, Topic
from fieldproof_reference.center import CONFIRMED, PROMOTED
from fieldproof_reference.center.canonical import digest_of
from fieldproof_reference.center.methods import Level
from fieldproof_reference.center.reconcile import Reconcile
from fieldproof_reference.center.validate import Validate
from fieldproof_reference.formats import trees
from fieldproof_reference.formats.days import DAY_S, HOUR_S


class TailGapUnseen(Reconcile):
    """What is missing after a day's last record is not seen: only neighbours are compared."""

    def _ask(self, case, day, now):
        effects = super()._ask(case, day, now)
        inner = [gap for gap in case.gaps if gap.before_s < DAY_S]
        return effects if inner else self._prove(case, day, now)


class GapAcrossTheHourUnseen(Reconcile):
    """Hour files are looked at one by one: a gap from one to the next is not seen."""

    def _ask(self, case, day, now):
        effects = super()._ask(case, day, now)
        inner = [gap for gap in case.gaps if (gap.after_s or 0) // HOUR_S == gap.before_s // HOUR_S]
        return effects if inner else self._prove(case, day, now)


class MissingDayNotAsked(Reconcile):
    """A day of which nothing came has no folder, and days without a folder are not looked at."""

    def _open(self, of, now):
        if self._disk.listing(trees.day_folder(of.site, of.day * DAY_S)):
            super()._open(of, now)


class FetchesEverything(Reconcile):
    """Whatever is missing, the whole day is asked for."""

    def _ask(self, case, day, now):
        case.level = Level.DAY
        return super()._ask(case, day, now)


class PatchAppliedTwice(Reconcile):
    """What an answer brought is put in once more, beside itself."""

    def _promote(self, case, before, after, groups, now):
        patch = b"".join(item for items in groups for item in items)
        twice = {hour: data.replace(patch, patch + patch) for hour, data in after.items()}
        return super()._promote(case, before, twice, groups, now)


class DigestNotCompared(Reconcile):
    """An answer that fills the gaps is believed, whatever the edge's digest of the day is."""

    def _apply(self, case, copy, now):
        case.digest = digest_of(case.of, copy.day)
        return super()._apply(case, replace(copy, digest=case.digest), now)


class RangesBelieved(DigestNotCompared):
    """Byte ranges that came with 206 are believed, whatever the edge's digest of the day is."""


class PatchReplacesTheFile(Reconcile):
    """An hour file that is good but for a gap is overwritten with the few records that came."""

    def _promote(self, case, before, after, groups, now):
        patch = b"".join(item for items in groups for item in items)
        short = {hour: patch if patch in data else data for hour, data in after.items()}
        return super()._promote(case, before, short, groups, now)


class DisplacedIsDropped(Reconcile):
    """A record that gives way to the edge's version of the hour is not kept in quarantine."""

    def _promote(self, case, before, after, groups, now):
        effects = super()._promote(case, before, after, groups, now)
        return tuple(effect for effect in effects if "quarantine" not in str(effect))


class NoProvenance(Reconcile):
    """Nobody notes which records came by repair."""

    def _promote(self, case, before, after, groups, now):
        effects = super()._promote(case, before, after, groups, now)
        return tuple(effect for effect in effects if "provenance" not in str(effect))


class NotValidatedAfterwards(Validate):
    """Hour files that reconciliation changed are not validated again."""

    def _again(self, path, now):
        return ()


class FlagsNotRedone(Validate):
    """What reconciliation changed is validated again, but its old flags stay as they were."""

    def receive(self, event, now):
        effects = super().receive(event, now)
        is_news = isinstance(event, Topic) and event.topic in (PROMOTED, CONFIRMED)
        return tuple(e for e in effects if not (is_news and "flags/" in str(e)))


class AsksWithoutPatience(Reconcile):
    """An answer that takes longer than 50 ms is asked for again, and again."""

    def _send(self, case, now):
        effects = super()._send(case, now)
        case.due = Monotonic(now.monotonic + 50_000_000)
        return effects


class AsksOnce(Reconcile):
    """A request that was lost is not repeated."""

    def _go_on(self, case, now):
        effects = () if case.way else super()._go_on(case, now)
        case.due = Monotonic(now.monotonic + 10**18)
        return effects


BUDGET = wire_bytes("vsat", "repair", at_most=400)
REVALIDATED = sometimes("revalidated", "center/validate")
LOSS = at("22:10:30", Lose("vsat", count=2))
DAMAGED = at("22:30:30", Corrupt("vsat"))
ROTTEN = at("22:20:30", RotRecord("daws", bit=175))  # the highest of the first average
UNLIKE = all_but(TO_EDGE, ACCOUNTED, NOTHING_REFUSED)


def repaired(*faults, claims=CLAIMS, reconcile="repair"):
    """A night that ends with a repair."""
    return night(*faults, claims=claims, reconciles=True, reconcile=reconcile)


DEFECTS = (
    Defect(
        "reconcile",
        TailGapUnseen,
        SETTLED,
        repaired(at("23:59:30", Lose("vsat")), claims=all_but(TO_EDGE)),
        besides=(MIRRORS,),
    ),
    Defect(
        "reconcile",
        GapAcrossTheHourUnseen,
        SETTLED,
        repaired(at("22:59:30", Lose("vsat", count=2)), claims=all_but(TO_EDGE)),
        besides=(MIRRORS,),
    ),
    Defect(
        "reconcile",
        MissingDayNotAsked,
        SETTLED,
        repaired(
            at("20:51:01", Outage("vsat"), until="+1d00:00:30"), claims=all_but(TO_EDGE, IN_ORDER)
        ),
    ),
    Defect("reconcile", FetchesEverything, BUDGET, repaired(LOSS, claims=(*CLAIMS, BUDGET))),
    Defect(
        "reconcile",
        PatchAppliedTwice,
        SETTLED,
        repaired(LOSS, claims=all_but(TO_EDGE, ACCOUNTED, IN_ORDER)),
        besides=(MIRRORS, CONSERVED),
    ),
    Defect(
        "reconcile",
        DigestNotCompared,
        MIRRORS,
        repaired(LOSS, DAMAGED, claims=UNLIKE),
        besides=(SETTLED,),
    ),
    Defect(
        "reconcile",
        RangesBelieved,
        MIRRORS,
        repaired(LOSS, DAMAGED, claims=UNLIKE, reconcile="http-range"),
        besides=(SETTLED,),
    ),
    Defect(
        "reconcile",
        PatchReplacesTheFile,
        SETTLED,
        repaired(LOSS, claims=all_but(TO_EDGE, NOTHING_REFUSED)),
        besides=(MIRRORS,),
    ),
    Defect(
        "reconcile",
        DisplacedIsDropped,
        VANISHED,
        repaired(ROTTEN, claims=all_but(NOTHING_REFUSED)),
    ),
    Defect("reconcile", NoProvenance, ORIGINS, repaired(LOSS, claims=all_but(ACCOUNTED))),
    Defect(
        "validate",
        NotValidatedAfterwards,
        REVALIDATED,
        repaired(LOSS, claims=(*CLAIMS, REVALIDATED)),
    ),
    Defect("validate", FlagsNotRedone, FLAGS, repaired(ROTTEN, claims=all_but(NOTHING_REFUSED))),
    Defect("reconcile", AsksWithoutPatience, BUDGET, repaired(LOSS, claims=(*CLAIMS, BUDGET))),
    Defect(
        "reconcile",
        AsksOnce,
        SETTLED,
        repaired(at("23:55:30", Outage("vsat"), until="+1d00:05:00"), claims=all_but(TO_EDGE)),
    ),
)
