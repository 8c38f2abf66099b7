"""Which parts of a scenario exist in which tier, and what of a tier this machine lacks.

    virtual   simulated time and hosts; the same seed gives the same bytes, anywhere
    live      real time, real processes, real serial ports, real packets

A part that no table names exists in both. A scenario is refused in a tier that lacks one of its
parts; a tier that this machine cannot offer is told by `lacks`.
"""

from fieldproof.checks.figures import LinkDelay
from fieldproof.faults import (
    PACKET_SPOOFS,
    SERIAL,
    DiskFull,
    MoveAddress,
    PowerCut,
    Spoof,
    Value,
)
from fieldproof.options import LIVE, TIERS, VIRTUAL
from fieldproof.scenario import PROGRAMS, Scenario

ONLY_IN: dict[type[Value], tuple[str, str]] = {
    MoveAddress: (VIRTUAL, "the network of a live host is wired before it starts"),
    LinkDelay: (LIVE, "a simulated link is never late"),
}
"""Faults and claims that exist in one tier alone, and why."""


IMPLIED: dict[type[Value], str] = {
    DiskFull: "small-disk",
    PowerCut: "power-cut",
    Spoof: "scapy",
}
"""Faults that need something of the machine in the live tier, and what."""


def misplaced(scenario: Scenario, tier: str) -> str:
    """Why a scenario cannot be run in a tier, in one sentence; "" where it can."""
    name = scenario.name
    if tier not in TIERS:
        return f"Scenario {name} names the tier {tier!r}; known are: {', '.join(TIERS)}."
    if tier not in scenario.tiers:
        return f"Scenario {name} does not run in the tier {tier}; it has {_listed(scenario)}."
    for timed in scenario.faults:
        whose = f"{type(timed.fault).__name__} at {timed.when} in {name}"
        if wrong := _wrong(timed.fault, scenario, tier):
            return f"{whose} cannot be had in the tier {tier}: {wrong}."
    for claim in scenario.checks:
        if wrong := _wrong(claim, scenario, tier):
            return f"Claim {claim.name} of {name} cannot be had in the tier {tier}: {wrong}."
    return ""


def lacks(scenario: Scenario, tier: str) -> str:
    """What a scenario needs in a tier and this machine has not, in sentences; "" for nothing.

    Simulated time needs the programs alone that reconcile: those run for real there, too. What the
    machine has is asked once and remembered."""
    methods = {site.reconcile for site in scenario.sites if scenario.center.reconciles}
    programs = [PROGRAMS[method] for method in sorted(methods & PROGRAMS.keys())]
    if tier != LIVE and not programs:
        return ""
    from fieldproof.live.probe import lacking, missing  # they look at the machine

    if tier != LIVE:
        return missing(programs)
    kinds = {type(timed.fault) for timed in scenario.faults}
    implied = [need for kind, need in IMPLIED.items() if kind in kinds]
    return lacking((*scenario.needs, *implied, *programs))


def _wrong(part: Value, scenario: Scenario, tier: str) -> str:
    only, why = ONLY_IN.get(type(part), (tier, ""))
    if only != tier:
        return why
    if tier != VIRTUAL:
        is_mid_write = isinstance(part, PowerCut) and part.mid_write
        return "nobody can wait for a write of a real process" if is_mid_write else ""
    if isinstance(part, Spoof) and part.kind in PACKET_SPOOFS:
        return f"{part.kind} is made as a raw packet"
    if isinstance(part, SERIAL) and scenario.fidelity != "words":
        return "the serial line is skipped there but in fidelity `words`"
    return ""


def _listed(scenario: Scenario) -> str:
    return " and ".join(scenario.tiers)
