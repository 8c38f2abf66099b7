"""Whether a scenario can be run as it is written: names, nodes, links, times and targets.

A capsule may come from somebody else, so nothing in it is believed before this was asked: a
scenario's name becomes a folder, a site's name becomes a path. What only shows on the world's clock
(faults that overlap, addresses that are shared) is refused in plan.py.
"""

import re

from fieldproof.faults import LASTING, SPOOF_KINDS, Timed
from fieldproof.scenario import Center, Scenario, duration_s


class MalformedScenario(ValueError):
    """A scenario cannot be run as it is written. The text is one sentence for the user."""


def validate(scenario: Scenario) -> None:
    """Raise MalformedScenario, saying what is wrong, where a scenario cannot be run as written."""
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", scenario.name):  # it names a directory
        raise MalformedScenario(
            f"Scenario name {scenario.name!r} is not made of lower-case words joined by hyphens."
        )
    try:
        if min(scenario.lasts_s, duration_s(scenario.settles_within)) == 0:
            raise MalformedScenario(
                f"Scenario {scenario.name} lasts or settles for no time at all."
            )
        _ = scenario.starts_utc_s
        for timed in scenario.faults:
            _validate_times(scenario, timed)
    except MalformedScenario:
        raise
    except ValueError as error:
        raise MalformedScenario(str(error)) from None
    _validate_nodes(scenario)
    for timed in scenario.faults:
        _validate_targets(scenario, timed)


def _validate_nodes(scenario: Scenario) -> None:
    name = scenario.name
    if sum(isinstance(node, Center) for node in scenario.nodes) != 1:
        raise MalformedScenario(f"Scenario {name} must have exactly one center among its nodes.")
    hosts = [node.name for node in scenario.nodes]
    if len(set(hosts)) != len(hosts):
        raise MalformedScenario(f"Scenario {name} gives two of its nodes the same name.")
    for site in scenario.sites:
        if not re.fullmatch(r"[a-z]{4}", site.name):
            raise MalformedScenario(f"Site {site.name!r} of {name} is not four lower-case letters.")
        if site.via not in [link.name for link in scenario.links]:
            raise MalformedScenario(f"Site {site.name} of {name} has no link {site.via!r} to use.")
    if not re.fullmatch(r"[a-z]+", scenario.center.name):
        raise MalformedScenario(f"Center {scenario.center.name!r} of {name} is not a word.")
    if scenario.fidelity not in ("seconds", "words"):
        raise MalformedScenario(
            f"Fidelity {scenario.fidelity!r} of {name} is neither seconds nor words."
        )


def _validate_times(scenario: Scenario, timed: Timed) -> None:
    from_s = scenario.instant_s(timed.when)
    if isinstance(timed.fault, LASTING) is (timed.until is None):
        kind = type(timed.fault).__name__
        wrong = (
            "lasts but has no `until`" if timed.until is None else "strikes once but has `until`"
        )
        raise MalformedScenario(f"{kind} at {timed.when} in {scenario.name} {wrong}.")
    if timed.until is not None and scenario.instant_s(timed.until) <= from_s:
        raise MalformedScenario(
            f"A fault of {scenario.name} ends at {timed.until}, before it begins at {timed.when}."
        )


def _validate_targets(scenario: Scenario, timed: Timed) -> None:
    known = {
        "link": tuple(link.name for link in scenario.links),
        "host": tuple(node.name for node in scenario.nodes),
        "site": tuple(site.name for site in scenario.sites),
        "kind": SPOOF_KINDS,
    }
    for field, choices in known.items():
        value = getattr(timed.fault, field, choices[0] if choices else None)
        if value not in choices:
            raise MalformedScenario(
                f"{type(timed.fault).__name__} at {timed.when} in {scenario.name} has {field} "
                f"{value!r}; known are: {', '.join(choices)}."
            )
