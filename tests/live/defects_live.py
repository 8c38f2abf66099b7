"""The table of planted defects: who has it, in which world, and to which claim it falls."""

import shlex
from typing import NamedTuple

import planted_live as patches
from liverun import PYTHON, Job
from msgspec.structs import replace
from worlds import (
    ACCOUNTED,
    CLOCK,
    DECLARED,
    IN_ORDER,
    LATE_UNPLUG,
    LATENCY,
    LINE,
    PLAIN,
    RAW,
    SET_RAW,
    TO_EDGE,
    TO_TRUTH,
    TWO_RECORDS,
    WORLDS,
)

from fieldproof import catalog
from fieldproof.checks import Check
from fieldproof.checks.claim import Claim
from fieldproof.checks.world import NodesLived, Settled
from fieldproof.scenario import Scenario

MOST_LINES = 10
EDGE, CENTER = "edge", "center"


class Defect(NamedTuple):
    """An entry of the table. `sound`: the world, or the story of the catalog, in which the
    reference passes; `claims`: those of them that the defect leaves true, and the one that it
    breaks, which may also be implicit."""

    role: str
    patch: type
    claim: Claim
    sound: Scenario
    claims: tuple[Check, ...]

    @property
    def name(self) -> str:
        """Of the patch."""
        return self.patch.__name__

    @property
    def place(self) -> type:
        """What it stands in for."""
        return self.patch.__bases__[0]

    @property
    def story(self) -> str:
        """What goes wrong, in one line."""
        return " ".join((self.patch.__doc__ or "").split())

    @property
    def scenario(self) -> Scenario:
        """The world with its claims."""
        return replace(self.sound, checks=self.claims)


def defect(role: str, patch: type, claim: Claim, sound: Scenario, *left_out: Check) -> Defect:
    """An entry that makes all claims of its world but some."""
    return Defect(role, patch, claim, sound, tuple(c for c in sound.checks if c not in left_out))


STORY = catalog.load("disk-full-at-edge")
SETTLED, LIVED = Settled(), NodesLived()

DEFECTS = (
    defect(EDGE, patches.OneWordAPoll, TO_TRUTH, PLAIN, ACCOUNTED, DECLARED, LATENCY, RAW),
    defect(EDGE, patches.ReturnsBecomeNewlines, TO_TRUTH, PLAIN),
    defect(EDGE, patches.LeavesThePortCooked, SET_RAW, LINE),
    defect(EDGE, patches.TriesAgainLate, ACCOUNTED, LINE, SET_RAW),
    defect(EDGE, patches.DiesWithThePort, LIVED, LATE_UNPLUG),
    defect(EDGE, patches.UnplugEndsTheRecord, ACCOUNTED, LINE, DECLARED),
    defect(EDGE, patches.TimeFromTheLastRecord, TO_TRUTH, TWO_RECORDS),
    defect(EDGE, patches.DeclaresEverything, DECLARED, TWO_RECORDS),
    defect(EDGE, patches.SaysNothingOfLosses, DECLARED, PLAIN),
    defect(EDGE, patches.DropsWhatTheDiskRefused, DECLARED, STORY),
    defect(EDGE, patches.SendsTwice, RAW, PLAIN),
    defect(EDGE, patches.ClockOfTheMachine, TO_TRUTH, CLOCK),
    defect(EDGE, patches.EndsAsAFailure, LIVED, PLAIN),
    defect(CENTER, patches.DeafToTheEnd, LIVED, PLAIN),
    defect(CENTER, patches.LooksEveryTenSeconds, LATENCY, PLAIN),
    defect(CENTER, patches.OpensForWriting, RAW, TWO_RECORDS, ACCOUNTED),
    defect(CENTER, patches.SleepsUntilSpokenTo, SETTLED, PLAIN, TO_EDGE, IN_ORDER),
)


def planted(name: str) -> str:
    """The command of a system with this patch."""
    return shlex.join((PYTHON, patches.__file__, name))


SOUND = {
    world.name: Job(
        f"sound-{world.name}",
        world,
        ("--edge", planted(patches.SOUND), "--center", planted(patches.SOUND)),
        about_s=world.lasts_s + 25,
    )
    for world in WORLDS
}
"""By the world: its run with the reference as it is, by the door."""

PATCHED = {
    each.name: Job(
        f"defect-{each.name}",
        each.scenario,
        (f"--{each.role}", planted(each.name)),
        about_s=each.scenario.lasts_s + 30,
    )
    for each in DEFECTS
}
"""By the defect: its run."""
