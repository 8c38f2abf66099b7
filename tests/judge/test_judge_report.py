"""What the judge makes of claims: precedence, the documents it writes, and what it refuses."""

import json

import msgspec
import pytest

from fieldproof import judge as judging
from fieldproof.checks import accounted, identical
from fieldproof.evidence import Evidence
from fieldproof.judge import judge, result_of
from fieldproof.verdict import Exit, Report, Verdict


def test_a_checker_that_raises_is_undecided(history, monkeypatch):
    """A crash is a fault of the harness, exit 3, and never a pass."""

    def crash(self, evidence):
        raise RuntimeError("broken\nchecker")

    monkeypatch.setattr(accounted, "judge", crash)
    report = judge(history.write())
    claim = next(claim for claim in report.claims if claim.name == "accounted")
    assert (Verdict.UNDECIDED, True) == (claim.verdict, claim.harness_fault)
    assert "RuntimeError: broken checker" in claim.detail
    assert (Verdict.UNDECIDED, Exit.HARNESS_FAULT) == (report.verdict, report.exit)


def test_a_crash_stands_over_a_failure(history, monkeypatch):
    """Exit 3, not 1, where one claim fails and another cannot be judged."""
    history.settled = False
    monkeypatch.setattr(accounted, "judge", lambda self, evidence: 1 // 0)
    assert Exit.HARNESS_FAULT == judge(history.write()).exit


def test_a_changed_log_is_a_harness_fault(history):
    """A log that is not the world's cannot be judged by."""
    root = history.write()
    path = root / "log.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"fault": 0', b'"fault": 1'))
    report = judge(root)
    assert (Verdict.UNDECIDED, Exit.HARNESS_FAULT) == (report.verdict, report.exit)
    assert "the log was changed after the run" in report.claims[0].detail


def test_a_ledger_that_cannot_be_written_never_passes(history, monkeypatch):
    """Even a scenario without any claim on the ledger then ends undecided."""
    history.checks = ()
    monkeypatch.setattr("fieldproof.evidence.build", lambda evidence: 1 // 0)
    assert Exit.HARNESS_FAULT == judge(history.write()).exit


def test_a_run_that_produced_nothing_fails(history):
    """No record, no sample: every comparison of nothing with nothing must not pass."""
    history.checks = (identical("center:*", to="edges"), identical("*", to="oracle"))
    for held in (history.edge, history.center, history.raw):
        for site in held:
            held[site] = []
    root = history.write()
    world = json.loads((root / "world.json").read_bytes())
    world["judged_ns"] = [world["judged_ns"][0]] * 2
    (root / "world.json").write_text(json.dumps(world))
    report = judge(root)
    failed = {claim.name for claim in report.claims if claim.verdict is Verdict.FAIL}
    empty = {"produced", "raw_untouched", "identical(center:*, edges)", "identical(*, oracle)"}
    assert empty == failed


def test_the_report_is_stored_and_says_what_was_judged(history):
    """verdict.json is the report; its claims are the implicit ones and then the scenario's."""
    root = history.write()
    report = judge(root)
    assert report == msgspec.json.decode((root / "verdict.json").read_bytes(), type=Report)
    implicit = [claim.name for claim in judging.IMPLICIT]
    names = [claim.name for claim in report.claims]
    assert implicit + [c.name for c in history.checks if c.name not in implicit] == names
    assert Exit.PASS == report.exit
    assert f"fieldproof run {root / 'scenario.json'}" == report.command
    assert [("vsat", "repair", 400), ("vsat", "telemetry", 408 * 140)] == [
        (entry.link, entry.purpose, entry.bytes) for entry in report.wire
    ]


def test_judging_twice_gives_the_same_bytes(history):
    """The verdict is a function of the run directory."""
    root = history.write()
    judge(root)
    first = (root / "verdict.json").read_bytes(), (root / "ledger.jsonl").read_bytes()
    judge(root)
    assert first == ((root / "verdict.json").read_bytes(), (root / "ledger.jsonl").read_bytes())


@pytest.mark.parametrize("name", ["scenario.json", "world.json"])
@pytest.mark.parametrize("content", [None, b"", b'{"schema": "x"', b"[]"])
def test_half_a_run_is_one_sentence(history, name, content):
    """A missing or torn document is a ValueError that names the file."""
    root = history.write()
    path = root / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=name) as caught:
        judge(root)
    assert "\n" not in str(caught.value)


def test_another_runs_world_is_refused(history):
    """world.json must be of the scenario beside it."""
    root = history.write()
    world = json.loads((root / "world.json").read_bytes())
    del world["hosts"]["gill"]
    (root / "world.json").write_text(json.dumps(world))
    with pytest.raises(ValueError, match=r"does not belong"):
        Evidence(root)


@pytest.mark.parametrize("pair", [("daws", "gill"), ("center", "edges"), ("center:*", "daws")])
def test_a_comparison_that_means_nothing_is_refused(pair):
    """identical() says at once what can be compared."""
    with pytest.raises(ValueError, match="means nothing"):
        identical(pair[0], to=pair[1])


def test_a_claim_on_a_site_that_is_not_there_is_undecided(history):
    """A scenario that names a wrong site never passes by it."""
    result = result_of(identical("nome", to="oracle"), Evidence(history.write()))
    assert (Verdict.UNDECIDED, True) == (result.verdict, result.harness_fault)
