"""Harness canaries of the live tier: a part of it is broken on purpose, and no run passes.

The system under test is sound, and so are the same worlds with a sound harness: `SKY` is played
here, `PLAIN` by `test_live_sabotage.py`.
"""

from pathlib import Path

import pytest
from liverun import Job
from msgspec.structs import replace
from worlds import LATENCY, NOISY, PLAIN, TO_TRUTH

from fieldproof.checks import lost_exactly
from fieldproof.checks.machine import LinkOnTarget
from fieldproof.faults import Kill, at
from fieldproof.scenario import Center, Link, Scenario, Site
from fieldproof.verdict import Exit

BROKEN = Path(__file__).with_name("broken_harness")
LOSES_THE_FIRST = 101
"""With this seed, `certus-350` as `sky` loses the first record: test_live_backends.py says so."""
LOST = lost_exactly("sky", 1)

SKY = Scenario(
    name="live-sky",
    story="Two records go up a link that loses one packet in a hundred, and the first at that.",
    starts="2006-01-17T08:10:00Z",
    lasts="115s",
    lead="10s",
    links=(Link("sky", profile="certus-350"),),
    nodes=(Site("daws", via="sky", instruments=(NOISY,)), Center(reconciles=False)),
    faults=(at("08:10:00", Kill("daws", restart_after_s=0.2)),),
    checks=(TO_TRUTH, LOST),
    tiers=("live",),
    fidelity="words",
    settles_within="1s",
)
UNHURRIED = replace(PLAIN, checks=tuple(claim for claim in PLAIN.checks if claim != LATENCY))


def broken(name, scenario, seed=1):
    """A run with one part of the harness broken."""
    told = (("PYTHONPATH", str(BROKEN)), ("FIELDPROOF_BROKEN", name))
    called = f"broken-{name.replace('_', '-')}"
    return Job(called, scenario, about_s=scenario.lasts_s + 25, seed=seed, environment=told)


SOUND = Job("sound-live-sky", SKY, about_s=140, seed=LOSES_THE_FIRST)
LOSSLESS = broken("lossless", SKY, LOSES_THE_FIRST)
STUTTER = broken("stutter", PLAIN)
SLOW = broken("slow", UNHURRIED)
WRONG_CLOCK = broken("wrong_clock", PLAIN)


def is_broken(run, process, name):
    """Whether the process of the run has the break in it."""
    return f"broken: {name}" in (run.run_dir / f"processes/{process}.log").read_text()


@pytest.mark.plays(SOUND)
def test_the_link_loses_what_its_model_says(played):
    """With a sound pump the first record is lost on the way up, and the run passes."""
    played(SOUND).passed()


@pytest.mark.plays(LOSSLESS)
def test_a_link_that_loses_nothing_is_noticed(played):
    """A pump whose models lose nothing, though the profile does, fails the claim on losses."""
    run = played(LOSSLESS)
    assert is_broken(run, "pump", "lossless")
    assert (Exit.FAIL, [LOST.name]) == (run.code, run.fallen())


@pytest.mark.plays(STUTTER)
def test_a_wire_that_repeats_a_word_is_noticed(played):
    """A word that crosses the wire twice, and that the instrument took once, fails the run."""
    run = played(STUTTER)
    assert is_broken(run, "player", "stutter")
    assert (Exit.FAIL, [TO_TRUTH.name]) == (run.code, run.fallen())


@pytest.mark.plays(SLOW)
def test_a_link_that_is_too_slow_leaves_the_run_undecided(played):
    """Packets that leave 300 ms after they were due make a run that cannot be judged."""
    run = played(SLOW)
    assert is_broken(run, "pump", "slow")
    assert (Exit.MACHINE_UNDECIDED, [LinkOnTarget().name]) == (run.code, run.fallen())
    (said,) = [one.detail for one in run.report.claims if one.name == LinkOnTarget().name]
    assert "vsat, up, let packets go 3" in said


@pytest.mark.plays(WRONG_CLOCK)
def test_a_clock_that_is_not_what_the_stage_says_is_noticed(played):
    """Hosts whose clocks are two seconds off what world.json says fail the run."""
    run = played(WRONG_CLOCK)
    assert is_broken(run, "stage", "wrong_clock")
    assert Exit.FAIL == run.code
    assert TO_TRUTH.name in run.fallen()
