"""Real, short runs through the command line: damaged ones, and variants beside each other."""

import json
from functools import partial
from pathlib import Path

import msgspec
import pytest

from fieldproof.cli import main
from fieldproof.judge import judge
from fieldproof.run import run
from fieldproof.scenario import Center, Link, Scenario, Site, to_json
from fieldproof.store import RunStore, write_document
from fieldproof.systems.reference import Reference
from fieldproof.verdict import Verdict
from fieldproof_reference.edge.acquire import Acquire

SCENARIO = Scenario(
    name="ten-minutes",
    story="Nothing goes wrong.",
    starts="2006-01-17T12:00Z",
    lasts="10m",
    links=(Link("vsat", "perfect"),),
    nodes=(Site("daws", via="vsat"), Center(reconciles=False)),
)


class Deaf(Acquire):
    """Hears nothing."""

    def receive(self, event, now):
        return ()


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> Path:
    """A judged run, in the store of the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FIELDPROOF_RUNS", raising=False)
    write_document(Path("a.json"), to_json(SCENARIO, 1))
    assert 0 == main(["run", "a.json", "--quiet"])
    capsys.readouterr()
    return Path("runs/ten-minutes-0001")


def happened(system: Reference | None = None) -> Path:
    """A run of the scenario in the current folder's store, not judged yet."""
    fresh = RunStore().new(SCENARIO, 1)
    run(SCENARIO, 1, fresh, system=system)
    return fresh


def cut_log(run_dir: Path) -> None:
    log = (run_dir / "log.jsonl").read_bytes()
    (run_dir / "log.jsonl").write_bytes(log[: len(log) // 2].rpartition(b"}")[0])


def damage_log(run_dir: Path) -> None:
    (run_dir / "log.jsonl").write_bytes(b"\xff\x00" + (run_dir / "log.jsonl").read_bytes())


def remove_log(run_dir: Path) -> None:
    (run_dir / "log.jsonl").unlink()


def cut_world(run_dir: Path) -> None:
    (run_dir / "world.json").write_bytes((run_dir / "world.json").read_bytes()[:100])


def empty_world(run_dir: Path) -> None:
    (run_dir / "world.json").write_bytes(b"{}")


@pytest.mark.parametrize("damage", [cut_log, damage_log, remove_log, cut_world, empty_world])
def test_a_damaged_run_is_one_sentence(run_dir, capsys, damage):
    """`check` of a run that cannot be read ends with 4 and one sentence; the verdict stays."""
    before = [(run_dir / name).read_bytes() for name in ("verdict.json", "ledger.jsonl")]
    damage(run_dir)
    assert 4 == main(["check", "latest"])
    out, err = capsys.readouterr()
    assert ("", 1) == (out, err.count("\n"))
    assert err.startswith(f"fieldproof: Run {run_dir} cannot be judged: {run_dir}/")
    assert before == [(run_dir / name).read_bytes() for name in ("verdict.json", "ledger.jsonl")]


def test_a_log_of_another_run_is_a_harness_fault(run_dir, capsys):
    """A log that can be read but is not the world's own leaves log_intact undecided, and it says so
    once."""
    log = (run_dir / "log.jsonl").read_bytes()
    (run_dir / "log.jsonl").write_bytes(log + log.splitlines(keepends=True)[-1])
    assert 3 == main(["check", "latest"])
    assert 1 == capsys.readouterr().out.count("the log was changed after the run")


def test_the_system_is_recorded(run_dir):
    """world.json, verdict.json and the report name the system under test."""
    for name in ("world.json", "verdict.json"):
        assert "reference" == json.loads((run_dir / name).read_text())["system"]
    variant = judge(happened(Reference({"acquire": Deaf})))
    assert "reference with acquire=Deaf" == variant.system


def test_names_of_variants():
    """A variant is named by its nodes, in one order, and without anything that changes by run."""
    assert "reference" == Reference().name
    assert (
        "reference with acquire=Deaf, filing=Deaf"
        == Reference({"filing": Deaf, "acquire": Deaf}).name
    )
    assert "reference with acquire=partial" == Reference({"acquire": partial(Deaf)}).name


def repeats(run_dir: Path) -> tuple[Verdict, str]:
    """The verdict and the figure of the claim `repeats`."""
    claim = next(claim for claim in judge(run_dir).claims if claim.name == "repeats")
    return claim.verdict, claim.measured


def test_a_variant_is_no_twin_of_the_reference(run_dir):
    """A run of a variant beside runs of the reference is compared with none of them."""
    assert (Verdict.PASS, "no other run") == repeats(happened(Reference({"acquire": Deaf})))
    assert (Verdict.PASS, "as 1 other run") == repeats(happened())


def test_a_damaged_twin_is_none(run_dir):
    """A run beside this one whose world.json cannot be read, or is missing, is no twin."""
    second = happened()
    cut_world(run_dir)
    assert (Verdict.PASS, "no other run") == repeats(second)
    (run_dir / "world.json").unlink()
    assert (Verdict.PASS, "no other run") == repeats(second)


def test_an_unequal_twin_is_a_harness_fault(run_dir):
    """Another end of the same capsule on the same system makes every verdict worthless."""
    world = json.loads((run_dir / "world.json").read_text())
    world["generators_end"] = {}
    (run_dir / "world.json").write_bytes(msgspec.json.encode(world))
    assert (Verdict.UNDECIDED, "") == repeats(happened())
