"""The judge: claims on a run directory, and the report that they add up to.

Every run is judged by the same implicit claims (the log is intact and that of every equal run, the
world settled, every fault acted, no node died of itself, something was produced) and by those of
its scenario, in this order. No two live runs are equal; instead they are judged by what links,
lines, clock and faults achieved. A checker that raises leaves its claim undecided and marks a fault
of the harness: it never counts as passed. A run that a system declined is skipped, not judged.
"""

from collections import Counter
from pathlib import Path

import msgspec

from fieldproof.arguments import command
from fieldproof.checks.claim import Claim
from fieldproof.checks.machine import LinesOnTime, LinkOnTarget, MachineKeptTime, OnTime
from fieldproof.checks.world import FaultsFired, LogIntact, NodesLived, Produced, Repeats, Settled
from fieldproof.evidence import Evidence
from fieldproof.store import write_document
from fieldproof.verdict import (
    SCHEMA,
    ClaimResult,
    FaultResult,
    LedgerSummary,
    Report,
    Verdict,
    Wire,
    overall,
)

IMPLICIT: tuple[Claim, ...] = (
    LogIntact(),
    Repeats(),
    Settled(),
    FaultsFired(),
    NodesLived(),
    Produced(),
)
"""What every run in virtual time is judged by, first."""

OF_THE_MACHINE: tuple[Claim, ...] = (OnTime(), LinkOnTarget(), LinesOnTime(), MachineKeptTime())
"""What every live run is judged by in the place of `repeats`."""


def judge(run_dir: Path, in_parallel: bool = False) -> Report:
    """Judge the run in `run_dir` and write its `verdict.json` and `ledger.jsonl`.

    `in_parallel`: a long run may use other processes, which import the caller's main module again.
    Raises ValueError, one sentence, where the directory is not a whole run."""
    evidence = Evidence(run_dir)
    _ = evidence.log  # a damaged one is one sentence here, and would be one for every claim later
    if in_parallel:
        evidence.walk_ahead()
    claims = _claims(evidence)
    summary, ledger = _books(evidence)
    verdict, code = overall(claims)
    seed, world = evidence.capsule.seed, evidence.world
    report = Report(
        schema=SCHEMA,
        scenario=evidence.scenario.name,
        tier=world.tier,
        system=world.system,
        seed=seed,
        verdict=verdict,
        exit=code,
        command=command(evidence.scenario, seed, run_dir, world.tier, world.options),
        claims=claims,
        faults=tuple(
            FaultResult(timed.when, count.kind, count.fired)
            for timed, count in zip(evidence.scenario.faults, world.faults, strict=True)
        ),
        ledger=summary,
        wire=_wire(evidence),
        log_sha256=world.log_sha256,
        generators_end=world.generators_end,
        run_dir=str(run_dir),
        seconds=world.seconds,
        live=world.figures,
    )
    write_document(run_dir / "ledger.jsonl", ledger)
    document = msgspec.json.format(msgspec.json.encode(report), indent=1)
    write_document(run_dir / "verdict.json", document)
    return report


def implicit(is_live: bool) -> tuple[Claim, ...]:
    """What a run of a tier is judged by, first."""
    if not is_live:
        return IMPLICIT
    return (*(claim for claim in IMPLICIT if claim != Repeats()), *OF_THE_MACHINE)


def _claims(evidence: Evidence) -> tuple[ClaimResult, ...]:
    if declined := evidence.world.declined:
        said = f"A system under test does not do this scenario: {declined}."
        return (ClaimResult("declined", Verdict.SKIPPED, "", "", "", said),)
    claims = (*implicit(evidence.world.is_live), *evidence.scenario.checks)
    return tuple(result_of(claim, evidence) for claim in claims)


def result_of(claim: Claim, evidence: Evidence) -> ClaimResult:
    """The verdict on one claim; undecided, and a fault of the harness, where its checker raises."""
    try:
        return claim.judge(evidence)
    except Exception as error:
        said = f"The checker failed with {type(error).__name__}: {' '.join(str(error).split())}"
        return ClaimResult(claim.name, Verdict.UNDECIDED, "", "", "", said, harness_fault=True)


def _books(evidence: Evidence) -> tuple[LedgerSummary, bytes]:
    """The ledger's summary and lines; an empty one where it cannot be written.

    The implicit claim `produced` then has failed to be judged already: the run cannot pass."""
    try:
        return evidence.ledger.summary, evidence.ledger.jsonl()
    except Exception:
        return LedgerSummary(0, 0, 0, 0), b""


def _wire(evidence: Evidence) -> tuple[Wire, ...]:
    """What was offered to each link for each purpose, both directions."""
    sizes, packets = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for entry in evidence.world.wire:
        sizes[entry.link, entry.purpose] += entry.bytes
        packets[entry.link, entry.purpose] += entry.packets
    return tuple(
        Wire(link, purpose, size, packets[link, purpose])
        for (link, purpose), size in sorted(sizes.items())
    )
