"""xdelta3: one version of an hour file as what has to be done to another (VCDIFF, RFC 3284).

No file names and no checksum are in a delta: the digest of the day is the proof. No other program
is run on what looks compressed (`-D`, `-R`): what is compressed there is anybody's.
"""

from fieldproof_contract import ApplyDelta, MakeDelta
from fieldproof_reference.engines.recipe import Command, Place

LONGEST_S = 60
MOST_DELTA_BYTES = 1 << 20
"""No reply can carry a longer one."""


def make(job: MakeDelta, place: Place) -> Command:
    """The delta, on stdout."""
    words = ("xdelta3", "-e", "-c", "-D", "-9", "-S", "djw", "-n", "-A=")
    files = {"source": job.source, "target": job.target}
    names = ("-s", f"{place.private}/source", f"{place.private}/target")
    return Command((*words, *names), "xdelta3", files, "", MOST_DELTA_BYTES, 0, LONGEST_S)


def apply(job: ApplyDelta, place: Place) -> Command:
    """The target, on stdout."""
    words = ("xdelta3", "-d", "-c", "-D", "-R", "-n")
    files = {"source": job.source, "delta": job.delta}
    names = ("-s", f"{place.private}/source", f"{place.private}/delta")
    return Command((*words, *names), "xdelta3", files, "", job.most_bytes, 0, LONGEST_S)
