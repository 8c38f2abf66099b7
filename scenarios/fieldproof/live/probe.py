"""What a live scenario may need of the machine, each found out by trying, once.

`doctor` shows all of this machine; here is only what a run would miss.
"""

import importlib.util
import shutil
from collections.abc import Callable, Sequence
from functools import cache, partial

from fieldproof_simulators.engines.live import tools
from fieldproof_simulators.machines.live.disks import can_cut_power
from fieldproof_simulators.machines.live.isolation import can_isolate

ALWAYS = ("socat",)
"""Every live scenario has serial lines."""


@cache
def _isolation() -> str:
    able = can_isolate()
    return "" if able.ok else f"{able.reason} {able.fix}"


def _socat() -> str:
    return "" if shutil.which("socat") else "socat is missing; as root: apt-get install socat."


def _scapy() -> str:
    found = importlib.util.find_spec("scapy") is not None
    return "" if found else "scapy is missing: pip install 'fieldproof[forge]'."


def _power_cut() -> str:
    return can_cut_power().reason


NEEDS: dict[str, Callable[[], str]] = {
    "socat": _socat,
    "scapy": _scapy,
    "namespaces": _isolation,
    "small-disk": _isolation,
    "power-cut": _power_cut,
    "rsync": partial(tools.lacks, "rsync"),
    "xdelta3": partial(tools.lacks, "xdelta3"),
}
"""Names that may stand in `Scenario.needs`; each gives a sentence where the machine lacks it."""


def lacking(needs: Sequence[str]) -> str:
    """What of these this machine lacks, as sentences; empty for nothing."""
    unknown = [need for need in needs if need not in NEEDS]
    if unknown:
        known = ", ".join(NEEDS)
        return f"Nobody knows what {unknown[0]!r} is; what a scenario can need: {known}."
    return missing((*ALWAYS, *needs))


def missing(needs: Sequence[str]) -> str:
    """What of these names, all of which are known, this machine lacks."""
    return " ".join(filter(None, (NEEDS[need]() for need in dict.fromkeys(needs))))
