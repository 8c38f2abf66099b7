"""A scenario is sound in each tier that it names, and refused in one that lacks a part of it."""

import msgspec
import pytest

from fieldproof.checks import link_delay
from fieldproof.faults import (
    PACKET_SPOOFS,
    DropBytes,
    Lose,
    MoveAddress,
    PowerCut,
    Spoof,
    Unplug,
    at,
)
from fieldproof.scenario import PROGRAMS, Center, Link, Scenario, Site
from fieldproof.tiers import lacks, misplaced
from fieldproof.wellformed import MalformedScenario, validate
from fieldproof_simulators.engines.live import tools

QUIET = Scenario(
    name="quiet-hour",
    story="Nothing goes wrong.",
    starts="2006-01-17T22:30Z",
    lasts="1h",
    links=(Link("vsat"),),
    nodes=(Site("daws", via="vsat"), Center()),
    faults=(at("22:40", Lose("vsat")),),
)


def refusal(**changes) -> str:
    """The sentence with which QUIET is refused after these changes; "" where it is not."""
    try:
        validate(msgspec.structs.replace(QUIET, **changes))
    except MalformedScenario as error:
        return str(error)
    return ""


@pytest.mark.parametrize("needs", [(), ("netem",), ("a", "b")])
def test_nothing_is_needed_for_virtual_time(needs: tuple[str, ...]):
    """What a scenario needs, it needs of the machine, for the live tier."""
    assert "" == lacks(msgspec.structs.replace(QUIET, needs=needs), "virtual")


@pytest.mark.parametrize("tier", ["virtual", "live"])
@pytest.mark.parametrize(("method", "program"), PROGRAMS.items())
def test_a_way_to_reconcile_may_take_a_program(monkeypatch, tier, method, program):
    """Programs that reconcile run for real in both tiers: where one is missing, it is said, with
    the line that installs it; where the center asks for nothing, nothing is missing."""
    monkeypatch.setattr(tools.shutil, "which", lambda name: None if name == program else name)
    site = msgspec.structs.replace(QUIET.sites[0], reconcile=method)
    scenario = msgspec.structs.replace(QUIET, nodes=(site, Center()))
    said = f"{program} is missing; as root: apt-get install {program}."
    assert said == lacks(scenario, tier)
    idle = msgspec.structs.replace(QUIET, nodes=(site, Center(reconciles=False)))
    assert "" == lacks(idle, tier)


def test_a_way_to_reconcile_is_known():
    """A site's days are made whole in one of five ways."""
    site = msgspec.structs.replace(QUIET.sites[0], reconcile="by hand")
    assert (
        "has reconcile 'by hand'; known are: repair, xdelta, rsync, http-range, none."
        in refusal(nodes=(site, Center()))
    )


SPOOFS = [({"faults": (at("22:40", Spoof(kind, "daws")),)}, kind) for kind in PACKET_SPOOFS]


@pytest.mark.parametrize(
    ("changes", "tier", "sentence"),
    [
        (
            {"faults": (at("22:40", PowerCut("daws", mid_write=True)),)},
            "live",
            "PowerCut at 22:40 in quiet-hour ",
        ),
        (
            {"faults": (at("22:40", MoveAddress("daws", "1.2.3.4")),)},
            "live",
            "MoveAddress at 22:40 in quiet-hour cannot be had in the tier live: the network of",
        ),
        (
            {"faults": (at("22:40", Unplug("daws"), until="22:41"),)},
            "virtual",
            "Unplug at 22:40 in quiet-hour cannot be had in the tier virtual: the serial line is",
        ),
        (
            {"checks": (link_delay("vsat", 1.0, 10.0),)},
            "virtual",
            "Claim link_delay(vsat) of quiet-hour cannot be had in the tier virtual: a simulated",
        ),
        *((changes, "virtual", f"{kind} is made as a raw packet.") for changes, kind in SPOOFS),
    ],
)
def test_a_part_that_a_tier_lacks(changes: dict, tier: str, sentence: str):
    """A scenario is refused in a tier that it names and that lacks one of its parts; in the other
    tier it is sound."""
    assert sentence in refusal(tiers=(tier,), **changes)
    (other,) = {"virtual", "live"} - {tier}
    assert "" == refusal(tiers=(other,), **changes)


def test_a_tier_that_a_scenario_does_not_have():
    """Nothing is run in a tier of which the scenario says nothing."""
    sentence = "Scenario quiet-hour does not run in the tier live; it has virtual."
    assert sentence == misplaced(QUIET, "live")
    assert "" == misplaced(QUIET, "virtual")


def test_the_faults_of_a_line_need_words():
    """In virtual time a serial line is there in fidelity `words`; in the live tier always."""
    faults = (at("22:40", DropBytes("daws")),)
    assert "" == refusal(faults=faults, fidelity="words", tiers=("virtual", "live"))
    assert "in fidelity `words`" in refusal(faults=faults, tiers=("live", "virtual"))
