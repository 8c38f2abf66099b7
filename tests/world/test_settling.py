"""When a world is settled: by the hours that the judge will look at, and by nothing left over."""

from pathlib import Path

import pytest

from fieldproof.checks import identical
from fieldproof.faults import ClockStep, Lose, Timed, at
from fieldproof.judge import judge
from fieldproof.run import Stage, run
from fieldproof.scenario import Center, Link, Scenario, Site
from fieldproof.systems.reference import Reference
from fieldproof.verdict import Verdict
from fieldproof_contract import SECOND_NS


def night(*faults: Timed, reconciles: bool = True) -> Scenario:
    """The last three hours of a day, with an hour or a day more to settle."""
    return Scenario(
        name="settling",
        story="A night that must settle.",
        starts="2006-01-17T21:00Z",
        lasts="3h",
        links=(Link("vsat"),),
        nodes=(Site("daws", via="vsat"), Center(reconciles=reconciles)),
        faults=faults,
        checks=(identical("center", to="daws"),),
        settles_within="26h" if faults else "1h",
    )


def test_a_settled_center_equals_the_edge_by_the_sites_own_clock(tmp_path: Path):
    """A clock that is three hours ahead puts the span's end into the next day; the world goes on
    until that day, too, is repaired."""
    scenario = night(at("21:30:20", ClockStep("daws", 3 * 3600)), at("22:10:30", Lose("vsat")))
    run(scenario, 1, tmp_path)
    report = judge(tmp_path)
    asked = {"settled", "identical(center, daws)"}
    found = {claim.name: claim.verdict for claim in report.claims if claim.name in asked}
    assert dict.fromkeys(asked, Verdict.PASS) == found


def settled(folder: Path, path: str, reconciles: bool = True) -> bool:
    """Whether a world settles whose center gets a file at this path, out of nowhere, at the end."""
    stage = Stage(night(reconciles=reconciles), 1, folder, Reference())
    center = stage.world.hosts["center"].disk
    stage.world.call_at(stage.to_ns + 60 * SECOND_NS, lambda: center.replace(path, b"from nowhere"))
    stage.play(lambda fraction, true_ns: None)
    return bool(stage.close()["settled"])


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("riometer/2026/01/17/daws_xrio/20260117_16_daws_xrio.dat", False),
        ("riometer/2006/01/17/daws_xrio/etc.dat", False),
        ("riometer/2006/01/17/gill_xrio/20060117_16_gill_xrio.dat", True),
        ("notes/daws_xrio/etc.dat", True),
    ],
)
def test_a_file_that_no_edge_has_is_not_convergence(tmp_path: Path, path: str, expected: bool):
    """What the center alone has below riometer/ of a site keeps the world from being settled."""
    assert expected is settled(tmp_path, path)


def test_a_center_that_does_not_reconcile_is_settled_as_it_is(tmp_path: Path):
    """Nothing will be repaired, so there is nothing to wait for."""
    path = "riometer/2006/01/17/daws_xrio/etc.dat"
    assert settled(tmp_path, path, reconciles=False)
