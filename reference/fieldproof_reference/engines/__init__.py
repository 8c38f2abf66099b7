"""Programs that are not ours, and what each is told: words, files, and what its exit code means.

recipe   what it takes to run a program, and what to make of how it ended
rsync    a daemon that shows the archive, and the pull of a folder into staging
xdelta   what makes one version of a file of another
plots    the plot of a day: a program of its own, so that nobody waits for matplotlib

Nothing here starts anything: `live/engines.py` does, and keeps the bounds that a command names.
What an engine is told is a function of its job and of where it works. The virtual world runs the
same programs by a recipe of its own, which must be the same.
"""

import sys
from typing import assert_never

from fieldproof_contract import ApplyDelta, DrawDay, Job, MakeDelta, PullTree, ServeTree
from fieldproof_reference.engines import rsync, xdelta
from fieldproof_reference.engines.recipe import Command, Place

MOST_PLOT_BYTES = 4 << 20
PLOT_S = 300
"""Bounds of a plot: our assumption, many times what one takes."""


def command(job: Job, place: Place) -> Command:
    """How a job is done."""
    match job:
        case MakeDelta():
            return xdelta.make(job, place)
        case ApplyDelta():
            return xdelta.apply(job, place)
        case ServeTree():
            return rsync.serve(job, place)
        case PullTree():
            return rsync.pull(job, place)
        case DrawDay(document):
            argv = (sys.executable, "-m", "fieldproof_reference.engines.plots")
            files = {"document": document}
            return Command(argv, "python3", files, "document", MOST_PLOT_BYTES, 0, PLOT_S)
        case _:
            assert_never(job)
