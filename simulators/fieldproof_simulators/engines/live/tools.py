"""The programs of this machine, as virtual hosts have them run. A program that is not there is an
answer, not an error; whatever else goes wrong is the machine's fault, and ends the run."""

import shutil

from fieldproof_contract import ApplyDelta, MakeDelta, PullTree
from fieldproof_simulators.engines.jobs import Outcome, Pulled, Tree
from fieldproof_simulators.engines.live import rsync, xdelta

PACKAGES = {"rsync": "rsync", "xdelta3": "xdelta3"}
"""By program: the Debian package that brings it."""


def lacks(tool: str) -> str:
    """One sentence where this machine has no such program; "" where it has."""
    if shutil.which(tool) is not None:
        return ""
    return f"{tool} is missing; as root: apt-get install {PACKAGES[tool]}."


class RealTools:
    """`engines.jobs.Tools` of this machine."""

    def lacks(self, tool: str) -> str:
        """See above."""
        return lacks(tool)

    def make_delta(self, job: MakeDelta) -> Outcome:
        """Run xdelta3."""
        lacking = lacks("xdelta3")
        return Outcome(reason=lacking) if lacking else xdelta.make(job)

    def apply_delta(self, job: ApplyDelta) -> Outcome:
        """Run xdelta3."""
        lacking = lacks("xdelta3")
        return Outcome(reason=lacking) if lacking else xdelta.apply(job)

    def pull(self, job: PullTree, served: Tree, like: Tree, seed: int) -> Pulled:
        """Run rsync at both ends."""
        return rsync.pull(job, served, like, seed)
