"""What a planted defect is: a small patch of a reference node, a world, and the claim it falls to.

What an entry of the tables `defects_*.py` owes (test_sabotage.py asks for all of it):

1. The patch is a subclass of at most `MOST_LINES` lines whose docstring says in one sentence what
   goes wrong. It goes in by the door to the reference: no shipped code knows of it.
2. Its world passes with the reference as it is.
3. With the patch the named claim fails and no other that the entry makes, and without that claim
   the run passes. What else a defect rightly breaks is not claimed; an implicit claim, which every
   world makes, is named by the entry (`besides`): it must fall, too, and is then left out.

Worlds are short, and each claims all that its defect leaves true. Where the center reconciles, the
implicit `settled` says that center and edge agree in the end; `identical(center, ..)` says it of
the same files once more, for the world could be wrong (a canary). An entry that breaks both names
`settled` and does not make the other claim, so that one defect falls to one claim. The invariants
I1 to I7 are implicit, and made to look at different things (`fieldproof/checks/invariants.py`).
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from fieldproof.checks import (
    Check,
    Claim,
    accounted,
    identical,
    in_order,
    quarantined,
)
from fieldproof.checks.invariants import (
    Conserved,
    FlagsDerived,
    MirrorsEdges,
    NothingVanished,
    OriginsNoted,
    RawReplays,
)
from fieldproof.checks.raw import RawUntouched
from fieldproof.checks.world import Settled
from fieldproof.faults import Timed
from fieldproof.judge import judge
from fieldproof.run import run
from fieldproof.scenario import Center, Link, Reconcile, Scenario, Site
from fieldproof.systems.reference import Reference
from fieldproof.verdict import Report, Verdict
from fieldproof_contract import Node

MOST_LINES = 10

TO_EDGE = identical("center", to="daws")
TO_TRUTH = identical("daws", to="oracle")
ACCOUNTED = accounted()
IN_ORDER = in_order()
NOTHING_REFUSED = quarantined("*", 0)
CLAIMS: tuple[Check, ...] = (TO_EDGE, TO_TRUTH, ACCOUNTED, IN_ORDER, NOTHING_REFUSED)

SETTLED = Settled()
RAW = RawUntouched()  # I1
MIRRORS = MirrorsEdges()  # I2
VANISHED = NothingVanished()  # I3
ORIGINS = OriginsNoted()  # I4
CONSERVED = Conserved()  # I5
FLAGS = FlagsDerived()  # I6
REPLAYS = RawReplays()  # I7


def all_but(*claims: Check) -> tuple[Check, ...]:
    """What an entry claims, whose defect rightly breaks these claims as well or is no case for
    them."""
    return tuple(claim for claim in CLAIMS if claim not in claims)


class Defect(NamedTuple):
    """An entry of a table."""

    node: str  # of the reference, by its name there
    patch: Callable[..., Node]  # a subclass of that node
    claim: Claim  # the only one that may fail
    scenario: Scenario
    besides: tuple[Claim, ...] = ()  # implicit ones that it breaks, too

    @property
    def name(self) -> str:
        """Of the patch."""
        return self.patch.__name__

    @property
    def story(self) -> str:
        """What goes wrong, in one line."""
        return " ".join((self.patch.__doc__ or "").split())

    @property
    def system(self) -> Reference:
        """The reference with the patch in it."""
        return Reference(instead={self.node: self.patch})


def night(
    *faults: Timed,
    claims: tuple[Check, ...] = CLAIMS,
    starts: str = "2006-01-17T21:00Z",
    lasts: str = "3h",
    reconciles: bool = False,
    fidelity: str = "seconds",
    phase_s: int = 5,
    reconcile: Reconcile = "repair",
) -> Scenario:
    """One site on the Dawson link, by default from nine to midnight, where the day can be proven.

    A center that reconciles has an hour to do so."""
    return Scenario(
        name="sabotage",
        story="A short night in which one thing is not as it should be.",
        starts=starts,
        lasts=lasts,
        links=(Link("vsat"),),
        nodes=(
            Site("daws", via="vsat", phase_s=phase_s, reconcile=reconcile),
            Center(reconciles=reconciles),
        ),
        faults=faults,
        checks=claims,
        fidelity=fidelity,
        settles_within="1h",
    )


def half_hour(*faults: Timed) -> Scenario:
    """Half an hour in which every A/D word crosses the serial line."""
    return night(*faults, lasts="30m", fidelity="words")


def judged(scenario: Scenario, run_dir: Path, system: Reference | None = None) -> Report:
    """Let it happen, and judge it."""
    run(scenario, 1, run_dir, system=system)
    return judge(run_dir)


def fallen(report: Report) -> list[str]:
    """The names of the claims that do not hold or could not be judged."""
    return [claim.name for claim in report.claims if claim.verdict is not Verdict.PASS]
