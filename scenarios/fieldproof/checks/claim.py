"""What all claims share."""

from typing import TYPE_CHECKING

from msgspec import Struct

from fieldproof.verdict import ClaimResult, Verdict

if TYPE_CHECKING:
    from fieldproof.evidence import Evidence


class Claim(Struct, frozen=True):
    """Base of all claims."""

    @property
    def name(self) -> str:
        """As in a report, such as `lost_exactly(vsat, 3)`."""
        raise NotImplementedError

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """The verdict on a run. Raises ValueError where the evidence cannot be judged."""
        raise NotImplementedError

    def result(
        self,
        holds: bool,
        limit: int | float | str,
        measured: int | float | str,
        unit: str,
        detail: str = "",
    ) -> ClaimResult:
        """The verdict as a result of this claim; `detail` is one sentence."""
        verdict = Verdict.PASS if holds else Verdict.FAIL
        return ClaimResult(self.name, verdict, limit, measured, unit, detail)
