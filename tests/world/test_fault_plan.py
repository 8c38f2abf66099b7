"""What cannot be carried out is refused, in one sentence, before the world begins."""

import re
from pathlib import Path

import msgspec
import pytest

from fieldproof import catalog
from fieldproof.faults import (
    BurstLoss,
    CenterDown,
    ClockDrift,
    ClockStep,
    Cooked,
    DeadPreamplifier,
    DiskFull,
    DropBytes,
    Freeze,
    Garble,
    Kill,
    Lose,
    MoveAddress,
    Outage,
    PowerCut,
    Reorder,
    RotRecord,
    Stall,
    Timed,
    Unplug,
    at,
)
from fieldproof.plan import check, plan
from fieldproof.run import run
from fieldproof.scenario import Center, Link, Riometer, Scenario, Site, StatusMonitor
from fieldproof.wellformed import MalformedScenario
from fieldproof_contract import SECOND_NS
from fieldproof_simulators.machines.clock import TrueUtc

BASE = Scenario(
    name="planned",
    story="Things go wrong.",
    starts="2006-01-17T12:10Z",
    lasts="1h",
    links=(Link("vsat"), Link("lte")),
    nodes=(
        Site("daws", via="vsat", address="198.51.100.1"),
        Site("fsmi", via="lte", address="198.51.100.2"),
        Center(),
    ),
)


def varied(**changes) -> Scenario:
    """BASE with other values."""
    return msgspec.structs.replace(BASE, **changes)


def planned(scenario: Scenario, tier: str = "virtual") -> list:
    """The plan of a scenario on the clock of its world."""
    begins_utc_ns = (scenario.starts_utc_s - scenario.lead_s) * SECOND_NS
    return plan(scenario, TrueUtc(begins_utc_ns), tier)


def test_faults_are_planned_in_true_time():
    """Instants become true times, of which the world's beginning is the zero."""
    faults = (at("12:10", Lose("vsat")), at("12:01", Outage("lte"), until="13:10:00.5"))
    assert [(600 * SECOND_NS, None), (60 * SECOND_NS, 4_200_500_000_000)] == [
        (item.at_ns, item.until_ns) for item in planned(varied(faults=faults))
    ]


def test_a_leap_second_delays_what_comes_after_it():
    """A fault after an inserted second strikes one second of true time later."""
    faults = (at("23:59:59", Lose("vsat")), at("+1d00:00", Lose("vsat")))
    scenario = varied(starts="2005-12-31T23:30Z", faults=faults)
    assert [2399 * SECOND_NS, 2401 * SECOND_NS] == [item.at_ns for item in planned(scenario)]


@pytest.mark.parametrize("name", catalog.names())
def test_every_story_can_be_planned(name: str):
    """No story of the catalog asks for what cannot be carried out."""
    scenario = catalog.load(name)
    for tier in scenario.tiers:
        check(scenario, tier)
        assert len(scenario.faults) == len(planned(scenario, tier))


KILL = at("12:20", Kill("daws", restart_after_s=60))


@pytest.mark.parametrize(
    "faults",
    [
        (KILL, at("12:21:00.001", Kill("daws"))),
        (KILL, at("12:20:30", Kill("fsmi"))),
        (KILL, at("12:20:30", CenterDown(), until="12:25")),
        (KILL, at("12:20:30", DiskFull("daws"), until="12:25")),
        (KILL, at("12:10", ClockDrift("daws", 1.0), until="12:25"), at("12:20", Lose("vsat"))),
        (at("12:10", ClockDrift("daws", 1.0), until="12:25"), at("12:20", ClockStep("daws", 1.0))),
        (at("12:10", Outage("vsat"), until="12:30"), at("12:20", Outage("vsat"), until="12:40")),
        (at("13:09", Kill("daws", restart_after_s=660)),),
        (at("12:01", Kill("daws")),),
        (at("13:09", Reorder("vsat", count=8, by_s=180)),),
        (
            at("12:20", MoveAddress("daws", "198.51.100.9")),
            at("12:30", MoveAddress("daws", "1.2.3.4")),
        ),
        (at("12:20", Freeze("center"), until="12:30"),),
        (
            at("12:20", Stall("daws"), until="12:30"),
            at("12:25", Garble("daws"), until="12:35"),
            at("12:26", Unplug("daws"), until="12:27"),
            at("12:26", DropBytes("daws", 5)),
            at("12:26", BurstLoss("fsmi", 5)),
        ),
    ],
)
def test_what_can_happen_together_is_planned(faults: tuple[Timed, ...]):
    """Faults of different hosts, of things that do not depend on each other, and outages of one
    link may overlap."""
    assert len(faults) == len(planned(varied(faults=faults)))


@pytest.mark.parametrize(
    ("faults", "sentence"),
    [
        ((KILL, at("12:20:30", Kill("daws"))), "Kill at 12:20:30 .* strikes daws before Kill at"),
        ((KILL, at("12:21", Kill("daws"))), "Kill at 12:21 .* before Kill at 12:20 is over"),
        ((at("12:20:30", PowerCut("daws")), KILL), "PowerCut at 12:20:30 .* before Kill at 12:20"),
        ((KILL, KILL), "Kill at 12:20 .* strikes daws before Kill at 12:20 is over there"),
        (
            (at("12:20", PowerCut("daws", 1.0, mid_write=True)), at("12:22", Kill("daws"))),
            "Kill at 12:22 .* before PowerCut at 12:20 is over",
        ),
        (
            (at("12:20", CenterDown(), until="12:50"), at("12:30", Kill("center"))),
            "Kill at 12:30 .* strikes center before CenterDown at 12:20",
        ),
        (
            (at("12:20", Freeze("center"), until="12:50"), at("12:30", Kill("center"))),
            "Kill at 12:30 .* strikes center before Freeze at 12:20",
        ),
        (
            (
                at("12:20", ClockDrift("daws", 1.0), until="12:40"),
                at("12:30", ClockDrift("daws", 2.0), until="12:50"),
            ),
            "ClockDrift at 12:30 .* strikes daws before ClockDrift at 12:20",
        ),
        (
            (
                at("12:20", DiskFull("daws"), until="12:40"),
                at("12:40", DiskFull("daws"), until="12:50"),
            ),
            "DiskFull at 12:40 .* strikes daws before DiskFull at 12:20",
        ),
        (
            (
                at("12:20", DeadPreamplifier("daws"), until="12:40"),
                at("12:30", DeadPreamplifier("daws"), until="12:35"),
            ),
            "DeadPreamplifier at 12:30 .* strikes daws before DeadPreamplifier at 12:20",
        ),
        ((at("12:00:59", Lose("vsat")),), "Lose at 12:00:59 .* is not over in the scenario's time"),
        ((at("11:00", Lose("vsat")),), "Lose at 11:00 .* let it happen between 2006-01-17T12:10Z"),
        ((at("13:20:01", Lose("vsat")),), "Lose at 13:20:01 .* and 1h later"),
        ((at("+1d12:20", Lose("vsat")),), r"Lose at \+1d12:20 in scenario planned is not over"),
        ((at("12:20", Outage("vsat"), until="13:20:01"),), "Outage at 12:20 .* is not over in"),
        ((at("13:09", Kill("daws", 661)),), "Kill at 13:09 .* is not over"),
        ((at("13:09", Reorder("vsat", count=8, by_s=181)),), "Reorder at 13:09 .* is not over"),
        ((at("12:20", Reorder("vsat", by_s=40_000)),), "Reorder at 12:20 .* is not over"),
        (
            (
                at("12:20", Unplug("daws"), until="12:30"),
                at("12:25", Cooked("daws"), until="12:26"),
            ),
            "Cooked at 12:25 .* strikes daws before Unplug at 12:20 is over there",
        ),
        (
            (at("12:20", DropBytes("daws", 1000)), at("12:22", BurstLoss("daws"))),
            "BurstLoss at 12:22 .* strikes daws before DropBytes at 12:20",
        ),
        ((at("12:20", DropBytes("center")),), "DropBytes at 12:20 .* names the center center"),
        ((at("12:20", Freeze("daws"), until="12:21"),), "Freeze at 12:20 .* `words` only"),
        ((at("12:20", CenterDown("daws"), until="12:21"),), "names daws: the center is center"),
        ((at("12:20", RotRecord("center")),), "RotRecord at 12:20 .* names the center center"),
        (
            (at("12:20", DeadPreamplifier("center"), until="12:21"),),
            "DeadPreamplifier at 12:20 .* only a site has a riometer",
        ),
        ((at("12:20", MoveAddress("daws", "198.51.100.2")),), "Hosts fsmi and daws .* share the"),
        (
            (at("12:20", MoveAddress("daws", "192.0.2.1")),),
            "Hosts center and daws .* share the add",
        ),
    ],
)
def test_what_cannot_be_carried_out_is_refused(faults: tuple[Timed, ...], sentence: str):
    """A fault that another one contradicts, or that is out of time or place, is named."""
    with pytest.raises(ValueError, match=sentence) as caught:
        planned(varied(faults=faults))
    assert re.fullmatch(r"[^\n]*\.", str(caught.value))


def test_a_short_lead_lets_faults_begin_with_the_span():
    """Hosts boot at once where the lead is short, and a fault may strike when the span starts."""
    faults = (at("12:10", Lose("vsat")),)
    assert [10 * SECOND_NS] == [item.at_ns for item in planned(varied(faults=faults, lead="10s"))]
    with pytest.raises(ValueError, match=r"Lose at 12:09:59 .* is not over"):
        planned(varied(faults=(at("12:09:59", Lose("vsat")),), lead="10s"))


def test_a_live_line_can_always_be_frozen():
    """In the live tier every word crosses the line, whatever the scenario says."""
    faults = (at("12:20", Freeze("daws"), until="12:21"),)
    assert 1 == len(planned(varied(faults=faults), "live"))


def test_a_line_that_is_not_there_cannot_be_hurt():
    """A site without a riometer has no serial line."""
    site = Site("daws", via="vsat", instruments=(StatusMonitor(),))
    faults = (at("12:20", DropBytes("daws")),)
    with pytest.raises(ValueError, match=r"names daws, which has no riometer"):
        planned(varied(nodes=(site, Center()), faults=faults))


def test_a_tier_that_a_scenario_lacks_is_refused():
    """No world is built of a scenario in a tier that it does not name."""
    with pytest.raises(MalformedScenario, match="does not run in the tier live; it has virtual"):
        check(BASE, "live")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"faults": (at("12:20", Kill("arvi")),)}, "Kill at 12:20 in planned has host 'arvi'"),
        ({"faults": (at("12:20", Lose("bgan")),)}, "Lose at 12:20 in planned has link 'bgan'"),
        ({"faults": (at("11:20", Lose("vsat")),)}, "Lose at 11:20 in scenario planned"),
        ({"faults": (Timed("12:20", Outage("vsat")),)}, "Outage at 12:20 .* has no `until`"),
        ({"faults": (at("12:20", Reorder("vsat", 1, 1e300)),)}, "Reorder at 12:20 .* has by_s"),
        ({"links": (Link("vsat", "string"), Link("lte"))}, "No link profile is named 'string'"),
        ({"nodes": (Site("daws", via="adsl"), Center())}, "no link 'adsl'"),
        ({"nodes": (Site("abcd", via="vsat"), Center())}, "no site 'abcd'"),
        (
            {"nodes": (Site("daws", via="vsat", instruments=(Riometer("loud"),)), Center())},
            "no noise preset 'loud'",
        ),
        (
            {"nodes": (Site("daws", via="vsat"), Site("fsmi", via="vsat"), Center())},
            "Hosts daws and fsmi of scenario planned share the address 198.51.100.1",
        ),
    ],
)
def test_nothing_begins_that_is_refused(tmp_path: Path, changes: dict, sentence: str):
    """A run of a scenario that makes no sense raises before there is any file."""
    with pytest.raises(MalformedScenario, match=sentence) as caught:
        run(varied(**changes), 1, tmp_path)
    assert [] == list(tmp_path.iterdir())
    assert re.fullmatch(r"[^\n]*\.", str(caught.value))
