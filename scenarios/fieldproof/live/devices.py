"""Serial devices of this machine that a user named for sites (`--serial`), before anything starts.

They are opened for a moment, without becoming anybody's controlling terminal and without waiting
for a carrier: only so does the kernel say whether there is a terminal behind a name.
"""

import os
import stat
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from fieldproof.faults import Cooked, Unplug, XonXoff
from fieldproof.scenario import Scenario

ONLY_PSEUDO = (Unplug, Cooked, XonXoff)
"""Faults that only a cable between two pseudo-terminals can play: nobody here can pull a real one,
and the settings of a real port are its system's."""

Serial = Mapping[str, tuple[str, str]]
"""By site: the devices of instrument and edge."""


def refused(scenario: Scenario, serial: Serial) -> str:
    """Why a scenario cannot be played on these devices, in one sentence; "" where it can."""
    for timed in scenario.faults:
        if isinstance(timed.fault, ONLY_PSEUDO) and timed.fault.host in serial:
            kind, site = type(timed.fault).__name__, timed.fault.host
            return (
                f"{kind} at {timed.when} cannot be played on the real serial devices of {site}, "
                f"only on a pair of pseudo-terminals: leave --serial {site}=... out, or take a "
                f"scenario without {kind}."
            )
    named = [(path, site) for site, ends in serial.items() for path in ends]
    return next(filter(None, (_unsound(path, site) for path, site in named)), "") or _twice(named)


def _unsound(path: str, site: str) -> str:
    """What is wrong with a device; "" for nothing."""
    whose = f"The serial device {path} that --serial names for {site}"
    try:
        if not stat.S_ISCHR(Path(path).stat().st_mode):
            return f"{whose} is no device: name a terminal, such as /dev/ttyUSB0."
        descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return f"{whose} cannot be opened ({error.strerror}): name one that can."
    try:
        is_terminal = os.isatty(descriptor)
    finally:
        os.close(descriptor)
    return "" if is_terminal else f"{whose} is no terminal: name one, such as /dev/ttyUSB0."


def _twice(named: list[tuple[str, str]]) -> str:
    """Whether two names are of one device; "" if not."""
    devices = sorted((Path(path).stat().st_rdev, path, site) for path, site in named)
    for (device, path, site), (other, other_path, other_site) in pairwise(devices):
        if device == other:
            return (
                f"{path} for {site} and {other_path} for {other_site} are one serial device: a "
                "line needs two."
            )
    return ""
