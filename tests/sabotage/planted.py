"""What a planted defect is: a small patch of a reference node, a world, and the claim it falls to.

What an entry of the tables `defects_*.py` owes (test_sabotage.py asks for all of it):

1. The patch is a subclass of at most `MOST_LINES` lines whose docstring says in one sentence what
   goes wrong. It goes in by the door to the reference: no shipped code knows of it.
2. Its world passes with the reference as it is.
3. With the patch the named claim fails and no other does, and without that claim the run passes.

Worlds are short, and each claims all that its defect leaves true. Where the center reconciles, the
implicit `settled` says that center and edge agree in the end; `identical(center, ..)` says it of
the same files once more, for the world could be wrong (a canary). An entry that breaks both names
`settled` and does not make the other claim, so that one defect falls to one claim.
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
    raw_untouched,
)
from fieldproof.faults import Timed
from fieldproof.judge import judge
from fieldproof.run import run
from fieldproof.scenario import Center, Link, Scenario, Site
from fieldproof.systems.reference import Reference
from fieldproof.verdict import Report, Verdict
from fieldproof_contract import Node

MOST_LINES = 10

TO_EDGE = identical("center", to="daws")
TO_TRUTH = identical("daws", to="oracle")
ACCOUNTED = accounted()
IN_ORDER = in_order()
RAW = raw_untouched()
NOTHING_REFUSED = quarantined("*", 0)
CLAIMS: tuple[Check, ...] = (TO_EDGE, TO_TRUTH, ACCOUNTED, IN_ORDER, RAW, NOTHING_REFUSED)


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
) -> Scenario:
    """One site on the Dawson link, by default from nine to midnight, where the day can be proven.

    A center that reconciles has an hour to do so."""
    return Scenario(
        name="sabotage",
        story="A short night in which one thing is not as it should be.",
        starts=starts,
        lasts=lasts,
        links=(Link("vsat"),),
        nodes=(Site("daws", via="vsat", phase_s=phase_s), Center(reconciles=reconciles)),
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
