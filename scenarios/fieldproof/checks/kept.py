"""A claim on stories that begin where another ended: reconciliation takes nothing from the edge."""

from pathlib import Path
from typing import TYPE_CHECKING

from fieldproof.checks.claim import result
from fieldproof.faults import Value
from fieldproof.oracle import foreign, trees
from fieldproof.verdict import ClaimResult

if TYPE_CHECKING:
    from fieldproof.evidence import Evidence


class Kept(Value, frozen=True, tag="kept"):
    """A site's archive is at the end what it was at the beginning, file by file, and not empty. It
    is made in every story that continues another, in the place of `produced`."""

    site: str

    @property
    def name(self) -> str:
        """As in a report."""
        return f"kept({self.site})"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By the disks of both runs. Raises ValueError where no story went before."""
        if evidence.scenario.continues is None:
            raise ValueError("the scenario continues no other, so that nothing was there before")
        site = evidence.site(self.site).name
        was, is_now = (_archive(disk) for disk in (evidence.disk_before(site), evidence.disk(site)))
        changed = sorted(path for path in was | is_now if was.get(path) != is_now.get(path))
        said = ""
        if not was:
            said = "There was nothing at the beginning."
        elif changed:
            said = f"First of {len(changed)} that changed, came or went: {changed[0]}."
        kept = len(was.keys() - changed)
        return result(self, not said, max(1, len(was)), kept, "files", said)


def _archive(disk: Path) -> dict[str, bytes | None]:
    return {path: foreign.content(disk, path) for path in trees.canonical_paths(disk)}
