"""What all claims share."""

from typing import TYPE_CHECKING, Protocol

from fieldproof.verdict import ClaimResult, Verdict

if TYPE_CHECKING:
    from fieldproof.evidence import Evidence


class Claim(Protocol):
    """Something that a run must hold; a frozen value."""

    @property
    def name(self) -> str:
        """As in a report, such as `lost_exactly(vsat, 3)`."""

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """The verdict on a run. Raises ValueError where the evidence cannot be judged."""


def result(
    claim: Claim,
    holds: bool,
    limit: int | float | str,
    measured: int | float | str,
    unit: str,
    detail: str = "",
) -> ClaimResult:
    """The verdict on a claim; `detail` is one sentence."""
    verdict = Verdict.PASS if holds else Verdict.FAIL
    return ClaimResult(claim.name, verdict, limit, measured, unit, printable(detail))


def undecided(
    claim: Claim,
    limit: int | float | str,
    measured: int | float | str,
    unit: str,
    detail: str,
) -> ClaimResult:
    """A claim that cannot be judged because the machine was not good enough; `detail` is one
    sentence. Nothing is wrong with the harness: the run may be tried again."""
    return ClaimResult(claim.name, Verdict.UNDECIDED, limit, measured, unit, printable(detail))


MOST_DETAIL = 2000
"""Characters."""


def printable(text: str) -> str:
    """A sentence that may quote what a system wrote or named: nothing in it moves a terminal, is no
    Unicode, or makes a report long."""
    cut = text if len(text) <= MOST_DETAIL else f"{text[:MOST_DETAIL]}…"
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in cut)
