"""Whether a scenario can be run as it is written: names, nodes, links, times, numbers and targets.

A capsule may come from somebody else, so nothing in it is believed before this was asked: a
scenario's name becomes a folder, a site's name and an address become a path, a number becomes a
loop. What only shows on the world's clock (faults that overlap, addresses that are shared) is
refused in plan.py. A scenario is sound in each tier that it names (`tiers.py`).
"""

import re
from collections.abc import Iterator
from ipaddress import IPv4Address

from fieldproof.checks import Check
from fieldproof.checks.identity import Identical
from fieldproof.checks.kept import Kept
from fieldproof.faults import (
    LASTING,
    PACKET_SPOOFS,
    SPOOF_KINDS,
    BurstLoss,
    ClockDrift,
    ClockStep,
    Corrupt,
    DropBytes,
    Duplicate,
    Garble,
    Kill,
    Lose,
    PowerCut,
    Reorder,
    RotRecord,
    Spoof,
    Timed,
    Value,
)
from fieldproof.options import TIERS, VIRTUAL
from fieldproof.scenario import (
    RECONCILE,
    Center,
    Riometer,
    Scenario,
    Site,
    duration_s,
)
from fieldproof.tiers import misplaced

DAY_S = 86_400
MONTH_S = 30 * DAY_S
LENGTHS_S = {
    "lasts": (1, 400 * DAY_S),
    "settles_within": (1, 60 * DAY_S),
    "lead": (5, DAY_S),  # real hosts take a moment to start
}
"""The least and the greatest length of each part of a run."""

YEARS = range(1970, 2106)
FORGED_AHEAD_S = 20 * 366 * DAY_S  # how far on `forged-future` dates its record, or less

BOUNDS: tuple[tuple[tuple[type[Value], ...], str, float, float], ...] = (
    ((Lose, Duplicate, Reorder, Corrupt, DropBytes, BurstLoss), "count", 1, 1_000_000),
    ((Garble,), "percent", 0.001, 100),
    ((Reorder,), "by_s", 0, MONTH_S),
    ((ClockStep,), "by_s", -MONTH_S, MONTH_S),
    ((ClockDrift,), "ppm", -100_000, 100_000),
    ((Kill, PowerCut), "restart_after_s", 0.001, MONTH_S),
    ((RotRecord,), "bit", 0, 380 * 8 - 1),
    ((Site,), "phase_s", 0, 59),
    ((Riometer,), "drift_ppb", -100_000_000, 100_000_000),
)
"""Kinds of values, a field of theirs, and the least and the greatest number that it can hold."""


class MalformedScenario(ValueError):
    """A scenario cannot be run as it is written. The text is one sentence for the user."""


def validate(scenario: Scenario) -> None:
    """Raise MalformedScenario, saying what is wrong, where a scenario cannot be run as written."""
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", scenario.name):  # it names a directory
        raise MalformedScenario(
            f"Scenario name {scenario.name!r} is not made of lower-case words joined by hyphens."
        )
    if not scenario.tiers:
        raise MalformedScenario(
            f"Scenario {scenario.name} has no tier to run in: name {' or '.join(TIERS)}."
        )
    _validate_links(scenario)
    _validate_nodes(scenario)
    _validate_numbers(scenario)
    try:
        _validate_span(scenario)
        _validate_continued(scenario)
        for timed in scenario.faults:
            _validate_times(scenario, timed)
    except MalformedScenario:
        raise
    except ValueError as error:
        raise MalformedScenario(str(error)) from None
    for timed in scenario.faults:
        _validate_targets(scenario, timed)
    for claim in scenario.checks:
        _validate_claim(scenario, claim)
    for tier in scenario.tiers:
        if sentence := misplaced(scenario, tier):
            raise MalformedScenario(sentence)


# --- links and nodes -----------------------------------------------------------------------------


def _validate_links(scenario: Scenario) -> None:
    name = scenario.name
    links = [link.name for link in scenario.links]
    for link in links:
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,31}", link):
            raise MalformedScenario(
                f"Link {link!r} of {name} is not made of lower-case letters, digits and hyphens."
            )
        if links.count(link) > 1:
            raise MalformedScenario(f"Scenario {name} gives two of its links the name {link!r}.")
        if link in [node.name for node in scenario.nodes]:
            raise MalformedScenario(
                f"Scenario {name} gives a link and a host the name {link!r}: the log could not "
                "tell them apart."
            )


def _validate_nodes(scenario: Scenario) -> None:
    name = scenario.name
    if sum(isinstance(node, Center) for node in scenario.nodes) != 1:
        raise MalformedScenario(f"Scenario {name} must have exactly one center among its nodes.")
    hosts = [node.name for node in scenario.nodes]
    if len(set(hosts)) != len(hosts):
        raise MalformedScenario(f"Scenario {name} gives two of its nodes the same name.")
    for node in scenario.nodes:
        _validate_address(f"Host {node.name!r} of {name}", node.address)
    for site in scenario.sites:
        _validate_site(scenario, site)
    if not re.fullmatch(r"[a-z]{1,32}", scenario.center.name):
        raise MalformedScenario(f"Center {scenario.center.name!r} of {name} is not a word.")
    if scenario.fidelity not in ("seconds", "words"):
        raise MalformedScenario(
            f"Fidelity {scenario.fidelity!r} of {name} is neither seconds nor words."
        )


def _validate_continued(scenario: Scenario) -> None:
    """Whether the story that a scenario continues is one that leaves it its disks."""
    story, name = scenario.continues, scenario.name
    if story is None:
        return
    if story.continues is not None:
        raise MalformedScenario(f"Scenario {name} continues one that continues another.")
    validate(story)
    if VIRTUAL not in story.tiers:
        raise MalformedScenario(f"Scenario {name} continues one that is not for virtual time.")
    if sorted(node.name for node in scenario.nodes) != sorted(node.name for node in story.nodes):
        raise MalformedScenario(f"Scenario {name} has other hosts than the one that it continues.")
    if scenario.center.name != story.center.name:
        raise MalformedScenario(f"Scenario {name} has another center than the one it continues.")
    if any(site.instruments for site in scenario.sites):
        raise MalformedScenario(
            f"Scenario {name} continues another and has instruments: their samples would be told "
            "from nothing that is there already."
        )
    ends_s = story.starts_utc_s + story.lasts_s + story.tail_s
    if scenario.starts_utc_s - scenario.lead_s < ends_s:
        raise MalformedScenario(
            f"Scenario {name} begins before the one ends that it continues: let it start "
            f"{(ends_s - scenario.starts_utc_s + scenario.lead_s) // 60 + 1} minutes later."
        )


def _validate_site(scenario: Scenario, site: Site) -> None:
    name = scenario.name
    if not re.fullmatch(r"[a-z]{4}", site.name):
        raise MalformedScenario(f"Site {site.name!r} of {name} is not four lower-case letters.")
    if site.via not in [link.name for link in scenario.links]:
        raise MalformedScenario(f"Site {site.name} of {name} has no link {site.via!r} to use.")
    _validate_choice(f"Site {site.name} of {name}", "reconcile", site.reconcile, RECONCILE)
    kinds = [type(instrument) for instrument in site.instruments]
    if len(set(kinds)) != len(kinds):
        raise MalformedScenario(
            f"Site {site.name} of {name} has two instruments of one kind: it has ports for one."
        )


def _validate_address(whose: str, address: str) -> None:
    """An address names a folder of the raw tree, so there must be one way to write it."""
    try:
        plain = str(IPv4Address(address)) == address
    except ValueError:
        plain = False
    if not plain:
        raise MalformedScenario(
            f"{whose} has the address {address!r}: give four numbers from 0 to 255 with points."
        )


# --- numbers and times ---------------------------------------------------------------------------


def _validate_numbers(scenario: Scenario) -> None:
    for whose, value in _numbered(scenario):
        for kinds, field, low, high in BOUNDS:
            number = getattr(value, field) if isinstance(value, kinds) else low
            if not low <= number <= high:  # which is so of no NaN
                raise MalformedScenario(
                    f"{whose} has {field} {number!r}: it must be from {low} to {high}."
                )


def _numbered(scenario: Scenario) -> Iterator[tuple[str, Value]]:
    """The parts of a scenario that may hold numbers, each with its name."""
    for timed in scenario.faults:
        yield _named(scenario, timed), timed.fault
    for site in scenario.sites:
        yield f"Site {site.name} of {scenario.name}", site
        for instrument in site.instruments:
            yield f"An instrument of {site.name} in {scenario.name}", instrument


def _validate_span(scenario: Scenario) -> None:
    """Whether the span has a length, a bound, and record times of four bytes."""
    for field, (least_s, longest_s) in LENGTHS_S.items():
        seconds = duration_s(getattr(scenario, field))
        if not least_s <= seconds <= longest_s:
            raise MalformedScenario(
                f"Scenario {scenario.name} has {field} {getattr(scenario, field)!r}: it must be "
                f"at least {least_s} s and at most {longest_s // DAY_S} days."
            )
    faults = [timed.fault for timed in scenario.faults]
    steps_s = sum(abs(fault.by_s) for fault in faults if isinstance(fault, ClockStep))
    forged = any(isinstance(fault, Spoof) and fault.kind == "forged-future" for fault in faults)
    settles_s = duration_s(scenario.settles_within)
    first_s = scenario.starts_utc_s - scenario.lead_s - steps_s
    last_s = scenario.starts_utc_s + scenario.lasts_s + scenario.tail_s + settles_s + steps_s
    if (
        int(scenario.starts[:4]) not in YEARS
        or first_s < 0
        or last_s + forged * FORGED_AHEAD_S >= 2**32
    ):
        raise MalformedScenario(
            f"Scenario {scenario.name} starts at {scenario.starts}: all that its hosts date must "
            "lie between 1970 and February 2106, since a record's time has four bytes."
        )


def _validate_times(scenario: Scenario, timed: Timed) -> None:
    from_s = _instant_s(scenario, timed.when)
    if isinstance(timed.fault, LASTING) is (timed.until is None):
        wrong = (
            "lasts but has no `until`" if timed.until is None else "strikes once but has `until`"
        )
        raise MalformedScenario(f"{_named(scenario, timed)} {wrong}.")
    if timed.until is not None and _instant_s(scenario, timed.until) <= from_s:
        raise MalformedScenario(
            f"A fault of {scenario.name} ends at {timed.until}, before it begins at {timed.when}."
        )


def _instant_s(scenario: Scenario, when: str) -> float:
    try:
        return scenario.instant_s(when)
    except OverflowError:
        raise MalformedScenario(f"Time {when!r} in scenario {scenario.name} is too far.") from None


# --- targets -------------------------------------------------------------------------------------


def _validate_targets(scenario: Scenario, timed: Timed) -> None:
    known = {
        "link": tuple(link.name for link in scenario.links),
        "host": tuple(node.name for node in scenario.nodes),
        "site": tuple(site.name for site in scenario.sites),
        "kind": (*SPOOF_KINDS, *PACKET_SPOOFS),
    }
    for field, choices in known.items():
        if hasattr(timed.fault, field):
            _validate_choice(_named(scenario, timed), field, getattr(timed.fault, field), choices)
    for field in ("to", "source"):
        if hasattr(timed.fault, field):
            _validate_address(_named(scenario, timed), getattr(timed.fault, field))


def _validate_claim(scenario: Scenario, claim: Check) -> None:
    """Whether the sites and links that a claim names are there, and its sites have a riometer."""
    whose = f"Claim {claim.name} of {scenario.name}"
    sites = tuple(
        site.name
        for site in scenario.sites
        if any(isinstance(instrument, Riometer) for instrument in site.instruments)
    )
    inherit = () if scenario.continues is None else tuple(site.name for site in scenario.sites)
    if isinstance(claim, Identical):
        if claim.to not in ("edges", "oracle"):
            _validate_choice(whose, "site", claim.to, sites or inherit)
        elif claim.to == "oracle" and claim.left != "*":
            _validate_choice(whose, "site", claim.left, sites)
    if isinstance(claim, Kept):
        _validate_choice(whose, "site", claim.site, inherit)
    elif hasattr(claim, "site"):
        _validate_choice(whose, "site", claim.site, sites)
    if hasattr(claim, "link"):
        _validate_choice(whose, "link", claim.link, tuple(link.name for link in scenario.links))


def _validate_choice(whose: str, field: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        known = f"known are: {', '.join(choices)}" if choices else "there is none"
        raise MalformedScenario(f"{whose} has {field} {value!r}; {known}.")


def _named(scenario: Scenario, timed: Timed) -> str:
    return f"{type(timed.fault).__name__} at {timed.when} in {scenario.name}"
