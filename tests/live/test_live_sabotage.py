"""Each planted defect of the live tier falls to its one claim."""

import inspect
from pathlib import Path

import defects_live
import planted_live
import pytest
import worlds
from defects_live import CENTER, DEFECTS, EDGE, MOST_LINES, PATCHED, SOUND
from msgspec.structs import replace

from fieldproof import judge as judging
from fieldproof.checks.invariants import INVARIANTS
from fieldproof.checks.raw import RawUntouched
from fieldproof.scenario import from_json, to_json
from fieldproof.verdict import Verdict

README = Path(__file__).with_name("README.md")

each_world = pytest.mark.parametrize(
    "job", [pytest.param(job, id=name, marks=pytest.mark.plays(job)) for name, job in SOUND.items()]
)
each_defect = pytest.mark.parametrize(
    "defect",
    [
        pytest.param(each, id=each.name, marks=pytest.mark.plays(PATCHED[each.name]))
        for each in DEFECTS
    ],
)


REST = (RawUntouched(), *INVARIANTS)
"""Every run makes them, and a defect rightly breaks some besides its claim. Here they are left out;
which defect falls to which of them is shown in virtual time (tests/sabotage)."""


def judged_without(claim, run_dir, monkeypatch):
    """The report on a run that makes neither this claim nor the invariants."""
    path = run_dir / "scenario.json"
    capsule = from_json(path.read_bytes(), str(path))
    left_out = (claim, *REST)
    checks = tuple(check for check in capsule.scenario.checks if check not in left_out)
    path.write_bytes(to_json(replace(capsule.scenario, checks=checks), capsule.seed))
    made = {*judging.implicit(True), *capsule.scenario.checks}
    implicit = tuple(each for each in judging.implicit(True) if each not in left_out)
    assert made - {*left_out} == {*implicit, *checks}
    assert claim in made
    monkeypatch.setattr(judging, "implicit", lambda *of: implicit)
    return judging.judge(run_dir)


@each_world
def test_the_world_passes_with_the_sound_reference(job, played):
    """Nothing but the defects makes their worlds fail."""
    played(job).passed()


@each_defect
def test_the_defect_falls_to_its_claim_alone(defect, played, monkeypatch):
    """Invariants apart, the run fails by the named claim, and passes once that claim is removed."""
    run = played(PATCHED[defect.name])
    rest = {claim.name for claim in REST if claim != defect.claim}
    assert [defect.claim.name] == [name for name in run.fallen() if name not in rest], run.run_dir
    assert Verdict.FAIL is run.report.verdict
    again = judged_without(defect.claim, run.run_dir, monkeypatch)
    assert Verdict.PASS is again.verdict


@pytest.mark.parametrize("defect", DEFECTS, ids=[each.name for each in DEFECTS])
def test_the_patch_is_a_small_subclass(defect):
    """A defect is a subclass of a class of the reference, of ten lines that are not blank."""
    lines = [line for line in inspect.getsource(defect.patch).splitlines() if line.strip()]
    assert defect.place.__module__.startswith("fieldproof_reference.")
    assert len(lines) <= MOST_LINES
    assert defect.role in (EDGE, CENTER)


def test_every_patch_is_entered_once():
    """No patch is left without an entry, and none has two."""
    classes = [each for each in vars(planted_live).values() if inspect.isclass(each)]
    patches = [each.__name__ for each in classes if each.__module__ == planted_live.__name__]
    assert patches == [each.name for each in DEFECTS]


def test_there_are_enough_defects():
    """At least twelve different defects are planted, and six kinds of claims each catch one."""
    assert len({each.patch for each in DEFECTS}) >= 12
    assert len({type(each.claim) for each in DEFECTS}) >= 6


def test_every_world_was_seen_to_pass():
    """The sound reference plays each world of a defect, with all of its claims and more."""
    sound = [*worlds.WORLDS, defects_live.STORY]
    assert all(each.sound in sound for each in DEFECTS)
    assert all(set(each.claims) <= set(each.sound.checks) for each in DEFECTS)


def test_the_readme_lists_every_defect():
    """The table of the README is that of the entries: what goes wrong, and which claim says so."""
    rows = [
        f"| {each.name} | {each.place.__name__.strip('_')} | {each.story} | {each.claim.name} |"
        for each in DEFECTS
    ]
    lines = README.read_text().splitlines()
    start = lines.index("| defect | in the place of | what goes wrong | falls to |") + 2
    assert rows == lines[start : lines.index("", start)]
