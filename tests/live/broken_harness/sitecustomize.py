"""Breaks one part of the harness, in the one process of a run that it is in.

With this folder on PYTHONPATH every Python of a run imports this file first; FIELDPROOF_BROKEN
names what is to be broken. Each break says on standard error, and so in the log of its process,
that it is there. No shipped code knows of it.
"""

import os
import sys

PUMP = "fieldproof_simulators.links.live.pump"
PLAYER = "fieldproof_simulators.lines.live.player"
STAGE = "fieldproof.live.stage"

MORE_NS = 300_000_000
OFF_NS = 2_000_000_000
REPEATED = 2000  # so many words after the first


def lossless() -> None:
    """The pump's models lose nothing, whatever the profiles say."""
    from dataclasses import replace

    from fieldproof_simulators.links import profiles

    sound = profiles.profile

    def profile(name):
        found = sound(name)
        return replace(found, up=replace(found.up, loss=None), down=replace(found.down, loss=None))

    profiles.profile = profile


def slow() -> None:
    """A packet leaves the pump 300 ms after it is due."""
    from fieldproof_simulators.links.live.engine import Engine
    from fieldproof_simulators.links.live.ways import Way

    depart, leave = Engine.depart, Way.leave

    def later(self, due_ns, *rest):
        depart(self, due_ns + MORE_NS, *rest)

    def as_due(self, due_ns, *rest):
        leave(self, due_ns - MORE_NS, *rest)

    Engine.depart, Way.leave = later, as_due


def stutter() -> None:
    """The wire brings one word twice."""
    from fieldproof_simulators.lines.live.instrument import Instrument

    put, said = Instrument._put, []

    def twice(self, data):
        said.append(data)
        put(self, data)
        if len(said) == REPEATED:
            put(self, data)

    Instrument._put = twice


def wrong_clock() -> None:
    """The stage gives hosts a clock that is two seconds ahead of what it says."""
    from fieldproof_simulators.machines.live.clock import ClockFile

    write = ClockFile.write

    def ahead(self, monotonic_ns, utc_ns, *rate_ppb):
        write(self, monotonic_ns, utc_ns + OFF_NS, *rate_ppb)

    ClockFile.write = ahead


BREAKS = {
    "lossless": (PUMP, lossless),
    "slow": (PUMP, slow),
    "stutter": (PLAYER, stutter),
    "wrong_clock": (STAGE, wrong_clock),
}


def _program() -> str:
    """The module that this process runs."""
    words = sys.orig_argv
    return words[words.index("-m") + 1] if "-m" in words[:-1] else ""


if (asked := os.environ.get("FIELDPROOF_BROKEN")) and BREAKS[asked][0] == _program():
    BREAKS[asked][1]()
    sys.stderr.write(f"broken: {asked}\n")
