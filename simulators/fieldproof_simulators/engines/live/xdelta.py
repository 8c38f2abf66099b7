"""xdelta3, at one virtual instant: the words are those with which a center of ours starts it
(CONTRIBUTING.md has the pair), so that the deltas are the same bytes."""

import os
import subprocess

from fieldproof_contract import ApplyDelta, MakeDelta
from fieldproof_simulators.engines.jobs import Outcome
from fieldproof_simulators.engines.live import folders

MAKE = ("xdelta3", "-e", "-c", "-D", "-9", "-S", "djw", "-n", "-A=")
APPLY = ("xdelta3", "-d", "-c", "-D", "-R", "-n")

MOST_DELTA_BYTES = 1 << 20


def make(job: MakeDelta) -> Outcome:
    """The delta."""
    return _run(MAKE, job.source, job.target, MOST_DELTA_BYTES)


def apply(job: ApplyDelta) -> Outcome:
    """The target."""
    return _run(APPLY, job.source, job.delta, job.most_bytes)


def _run(words: tuple[str, ...], source: bytes, given: bytes, most_bytes: int) -> Outcome:
    """Its standard output, which is not read beyond `most_bytes`."""
    with folders.workplace() as work:
        (work / "source").write_bytes(source)
        (work / "given").write_bytes(given)
        with subprocess.Popen(
            [*words, "-s", str(work / "source"), str(work / "given")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        ) as process:
            assert process.stdout is not None
            output = process.stdout.read(most_bytes + 1)
            if len(output) > most_bytes:
                process.kill()
        if len(output) > most_bytes:
            return Outcome(reason=f"xdelta3 made more than {most_bytes} bytes and was ended.")
        if process.returncode:
            return Outcome(reason=f"xdelta3 ended with exit code {process.returncode}.")
        return Outcome(output)
