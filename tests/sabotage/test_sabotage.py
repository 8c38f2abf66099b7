"""Each planted defect falls to its one claim: the proof that claims see, and that each counts."""

import inspect
from pathlib import Path

import defects_center
import defects_edge
import defects_repair
import pytest
from msgspec.structs import replace
from planted import MOST_LINES, fallen, judged

from fieldproof import judge as judging
from fieldproof.scenario import from_json, to_json
from fieldproof.systems.reference import CENTER, EDGE
from fieldproof.verdict import Verdict

TABLES = (defects_edge, defects_center, defects_repair)
DEFECTS = [defect for table in TABLES for defect in table.DEFECTS]
SOUND = judging.IMPLICIT
README = Path(__file__).with_name("README.md")

each_defect = pytest.mark.parametrize("defect", DEFECTS, ids=[each.name for each in DEFECTS])


def judged_without(claims, run_dir, monkeypatch):
    """The report on a run of which these claims are not made."""
    path = run_dir / "scenario.json"
    capsule = from_json(path.read_bytes(), str(path))
    checks = tuple(check for check in capsule.scenario.checks if check not in claims)
    path.write_bytes(to_json(replace(capsule.scenario, checks=checks), capsule.seed))
    implicit = tuple(each for each in SOUND if each not in claims)
    assert len(SOUND) + len(capsule.scenario.checks) == len(implicit) + len(checks) + len(claims)
    monkeypatch.setattr(judging, "IMPLICIT", implicit)
    return judging.judge(run_dir)


@each_defect
def test_the_world_passes_with_the_sound_reference(defect, tmp_path):
    """Nothing but the defect makes its scenario fail."""
    assert [] == fallen(judged(defect.scenario, tmp_path))


@each_defect
def test_the_defect_falls_to_its_claim_alone(defect, tmp_path, monkeypatch):
    """The run fails by the named claim, and passes once that claim is removed."""
    report = judged(defect.scenario, tmp_path, defect.system)
    broken = (defect.claim, *defect.besides)
    assert sorted(claim.name for claim in broken) == sorted(fallen(report))
    if defect.besides:
        report = judged_without(defect.besides, tmp_path, monkeypatch)
    assert ([defect.claim.name], Verdict.FAIL) == (fallen(report), report.verdict)
    assert Verdict.PASS is judged_without(broken, tmp_path, monkeypatch).verdict


@each_defect
def test_the_patch_is_a_small_subclass(defect):
    """A defect is a subclass of the node it stands in for, of ten lines that are not blank."""
    lines = [line for line in inspect.getsource(defect.patch).splitlines() if line.strip()]
    node, _ = (EDGE | CENTER)[defect.node]
    assert issubclass(defect.patch, node)
    assert len(lines) <= MOST_LINES


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_every_patch_is_entered_once(table):
    """No class of a table is left without an entry, and none has two."""
    classes = [each for each in vars(table).values() if inspect.isclass(each)]
    patches = [each.__name__ for each in classes if each.__module__ == table.__name__]
    assert patches == [defect.name for defect in table.DEFECTS]


def test_there_are_enough_defects():
    """At least twenty different defects are planted, and nine kinds of claims each catch one."""
    assert len({defect.patch for defect in DEFECTS}) >= 20
    assert len({type(defect.claim) for defect in DEFECTS}) >= 9


def test_the_readme_lists_every_defect():
    """The table of the README is that of the entries: what goes wrong, and which claim says so."""
    rows = [f"| {each.name} | {each.node} | {each.story} | {each.claim.name} |" for each in DEFECTS]
    lines = README.read_text().splitlines()
    start = lines.index("| defect | node | what goes wrong | falls to |") + 2
    assert rows == lines[start : lines.index("", start)]
