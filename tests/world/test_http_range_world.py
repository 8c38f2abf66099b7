"""A site whose archive is fetched by HTTP: the same promise, by another method (R1-35)."""

import json
from functools import partial
from pathlib import Path

import pytest

from fieldproof.checks import (
    accounted,
    identical,
    in_order,
    raw_untouched,
    received_daily,
)
from fieldproof.faults import (
    CenterDown,
    Corrupt,
    Freeze,
    Kill,
    Lose,
    Outage,
    PowerCut,
    Reorder,
    Spoof,
    at,
)
from fieldproof.judge import judge
from fieldproof.run import run
from fieldproof.scenario import Center, Link, Scenario, Site
from fieldproof.systems import Part
from fieldproof.systems.reference import PURPOSES, Reference, key
from fieldproof_contract import Address, Listen
from fieldproof_reference import hosts, ports
from fieldproof_reference.center import DOUBTED, CenterSettings, EdgeAtCenter
from fieldproof_reference.center.fetch import Fetch
from fieldproof_reference.edge.serve import Serve

DAWSON = "206.172.47.234"
CHECKS = (
    identical("center", to="daws"),
    identical("daws", to="oracle"),
    accounted(),
    in_order(),
    raw_untouched(),
)


class ByRanges(Reference):
    """The reference, with HTTP in the place of the repair protocol."""

    purposes = PURPOSES | {ports.ARCHIVE: "http"}

    def edge(self, site, center, seed):
        parts = {part.name: part for part in super().edge(site, center, seed)}
        parts["serve"] = Part("serve", Serve, (Listen(ports.ARCHIVE),))
        return tuple(parts.values())

    def center(self, center, sites, seed):
        known = {
            site.name: EdgeAtCenter(
                key(seed, site.name),
                Address(site.address, ports.REPAIR),
                "http-range",
                Address(site.address, ports.ARCHIVE),
            )
            for site in sites
        }
        settings = CenterSettings(known)
        parts = {part.name: Part(*part) for part in hosts.center_parts(settings)}
        parts["fetch"] = Part("fetch", partial(Fetch, settings), (DOUBTED,))
        return tuple(parts.values())


def day(name, *faults, lasts="24h", profile="dawson-2005", checks=(), fidelity="seconds"):
    """A day at Dawson."""
    return Scenario(
        name=name,
        story="The archive of the edge is fetched by HTTP.",
        starts="2006-01-17T00:00Z",
        lasts=lasts,
        links=(Link("vsat", profile),),
        nodes=(Site("daws", via="vsat", address=DAWSON), Center()),
        faults=faults,
        checks=(*CHECKS, *checks),
        fidelity=fidelity,
    )


def judged(scenario: Scenario, run_dir: Path, seed: int = 1):
    """The report on a run, in which every claim must hold, and the words of the center's nodes."""
    run(scenario, seed, run_dir, system=ByRanges())
    report = judge(run_dir)
    assert [] == [(claim.name, claim.detail) for claim in report.claims if claim.verdict != "pass"]
    lines = map(json.loads, (run_dir / "log.jsonl").read_text().splitlines())
    return report, [line for line in lines if line.get("by", "").startswith("center/")]


def said(words, what):
    """What the center's nodes said, by its name."""
    return [line["detail"] for line in words if line["said"] == what]


def proofs(run_dir):
    """How each hour of the day was proven, in the order of the proofs."""
    path = run_dir / "disks/center/provenance/2006/01/17/daws.jsonl"
    notes = map(json.loads, path.read_text().splitlines())
    return [(note["hour"] % 24, note["by"]) for note in notes if note["what"] == "hour proven"]


def test_three_lost_records_come_back_as_ranges(tmp_path):
    """Three hours of Dawson's day with a record missing each are asked for one range, every other
    hour for its digest, and the day ends identical and proven."""
    lost = tuple(at(when, Lose("vsat")) for when in ("16:24", "18:42", "22:08"))
    scenario = day("three", *lost, checks=(received_daily("daws", (1437,)),))
    report, words = judged(scenario, tmp_path)
    assert [(1, 380)] * 3 == [(line["items"], line["bytes"]) for line in said(words, "repaired")]
    assert {"http-range"} == {line["method"] for line in said(words, "repaired")}
    assert [(hour, "digest") for hour in range(24)] == proofs(tmp_path)
    assert {"site": "daws", "day": "2006-01-17"} in said(words, "confirmed")
    (http,) = [entry for entry in report.wire if entry.purpose == "http"]
    assert http.bytes <= 20_000


STORIES = {
    "outage over an hour's end": (at("09:40", Outage("vsat"), until="12:10"),),
    "a day in the dark": (at("00:00:30", Outage("vsat"), until="+1d00:00:30"),),
    "the edge is killed": (at("03:20:30", Kill("daws")), at("07:00:50", Kill("daws", 200))),
    "the edge dies while it serves": (
        at("09:30:30", Lose("vsat", 20)),
        at("10:01:30.7", Kill("daws", 30)),
        at("11:01:31", PowerCut("daws", 30)),
    ),
    "the center dies while it fetches": (
        at("09:10:30", Lose("vsat", 45)),
        at("10:01:31.5", Kill("center", 30)),
        at("13:01:31", PowerCut("center", 30)),
    ),
    "the center freezes": (at("10:01:00", Freeze("center"), until="13:04:00"),),
    "the center is down": (at("10:14:56", CenterDown(), until="13:44:56"),),
    "bits flip unseen": (at("05:30:30", Corrupt("vsat", 3)),),
    "late over the hour": (
        at("08:58:30", Reorder("vsat", count=2, by_s=90)),
        at("13:30:30", Reorder("vsat", count=1, by_s=5400)),
    ),
    "a forged record": (at("14:20", Spoof("forged", "daws")),),
}


@pytest.mark.parametrize("story", STORIES)
def test_whatever_happens_the_hours_become_the_edges(tmp_path, story):
    """Outages, deaths of either side in the middle of a transfer, damage and strangers: every claim
    of the day holds."""
    judged(day("hurt", *STORIES[story]), tmp_path)
    assert set(range(23)) <= {hour for hour, _ in proofs(tmp_path)}


def test_an_edge_that_freezes_while_it_serves(tmp_path):
    """A request to a frozen edge is sent again until it thaws, or asked again later."""
    faults = (at("00:30:30", Lose("vsat")), at("01:01:31", Freeze("daws"), until="01:01:55"))
    judged(day("frozen", *faults, lasts="2h", fidelity="words"), tmp_path)
    assert [(0, "digest")] == proofs(tmp_path)[:1]


@pytest.mark.parametrize("profile", ["certus-350", "dawson-2005-lossy", "iridium-dialup", "bgan"])
def test_lossy_and_slow_links(tmp_path, profile):
    """Segments that the link loses are sent again: the hours end identical, and proven."""
    run(day("lossy", lasts="6h", profile=profile), 1, tmp_path, system=ByRanges())
    report = judge(tmp_path)
    assert [] == [(one.name, one.detail) for one in report.claims if one.verdict != "pass"]
    assert set(range(5)) <= {hour for hour, _ in proofs(tmp_path)}


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    """Streams draw no chance of their own: two runs leave the same log."""
    logs = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        run(
            day("twin", at("01:30", Lose("vsat", 5)), lasts="3h", profile="certus-350"),
            7,
            tmp_path / name,
            system=ByRanges(),
        )
        logs.append((tmp_path / name / "log.jsonl").read_bytes())
    assert logs[0] == logs[1]
