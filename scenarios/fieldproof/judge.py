"""The judge: claims on a run directory, and the report that they add up to.

Every run is judged by the same implicit claims (the log is intact and that of every equal run, the
world settled, every fault acted, no node died of itself, something was produced or, where a story
continues another, kept; and, where there is an archive, the invariants I1 to I7) and by those of
its scenario, in this order; what is claimed twice is judged once. No two live runs are equal;
instead they are judged by whether what was killed was dead, and by what links, lines, clock and
faults achieved. A checker that raises leaves its claim undecided and marks a fault of the harness:
it never counts as passed. A run that a system declined is skipped, not judged.
"""

from collections import Counter
from pathlib import Path

import msgspec

from fieldproof.arguments import command
from fieldproof.checks.claim import Claim, printable
from fieldproof.checks.invariants import INVARIANTS
from fieldproof.checks.kept import Kept
from fieldproof.checks.machine import LinesOnTime, LinkOnTarget, MachineKeptTime, OnTime
from fieldproof.checks.raw import RawUntouched
from fieldproof.checks.world import (
    FaultsFired,
    KillsComplete,
    LogIntact,
    NodesLived,
    Produced,
    Repeats,
    Settled,
)
from fieldproof.evidence import Evidence
from fieldproof.oracle.clock import SECOND_NS
from fieldproof.oracle.worldfile import LiveFigures
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
    RawUntouched(),
    *INVARIANTS,
)
"""What every run in virtual time is judged by, first."""

OF_THE_MACHINE: tuple[Claim, ...] = (OnTime(), LinkOnTarget(), LinesOnTime(), MachineKeptTime())
"""What every live run is judged by in the place of `repeats`, after `kills_complete`."""


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
        live=_live(evidence),
    )
    write_document(run_dir / "ledger.jsonl", ledger)
    document = msgspec.json.format(msgspec.json.encode(report), indent=1)
    write_document(run_dir / "verdict.json", document)
    return report


def implicit(
    is_live: bool, inherited: tuple[str, ...] = (), archives: bool = True
) -> tuple[Claim, ...]:
    """What a run of a tier is judged by, first; `inherited` are the sites that have the archive of
    the story before: those produce nothing, and lose nothing of it. `archives`: a site has one."""
    kept = tuple(map(Kept, inherited))
    left_out: set[Claim] = {Produced()} if kept else set()
    left_out |= set() if archives else {RawUntouched(), *INVARIANTS}
    claims = tuple(claim for claim in IMPLICIT if claim not in left_out)
    if not is_live:
        return (*claims, *kept)
    lasting = (claim for claim in claims if claim != Repeats())
    return (*lasting, *kept, KillsComplete(), *OF_THE_MACHINE)


def _claims(evidence: Evidence) -> tuple[ClaimResult, ...]:
    if declined := evidence.world.declined:
        said = printable(f"A system under test does not do this scenario: {declined}.")
        return (ClaimResult("declined", Verdict.SKIPPED, "", "", "", said),)
    scenario = evidence.scenario
    inherited = () if scenario.continues is None else tuple(site.name for site in scenario.sites)
    first = implicit(evidence.world.is_live, inherited, bool(evidence.archive_sites))
    claims = dict.fromkeys((*first, *scenario.checks))
    return tuple(result_of(claim, evidence) for claim in claims)


def result_of(claim: Claim, evidence: Evidence) -> ClaimResult:
    """The verdict on one claim; undecided, and a fault of the harness, where its checker raises."""
    try:
        return claim.judge(evidence)
    except Exception as error:
        text = " ".join(str(error).split())
        said = printable(f"The checker failed with {type(error).__name__}: {text}")
        return ClaimResult(claim.name, Verdict.UNDECIDED, "", "", "", said, harness_fault=True)


def _live(evidence: Evidence) -> LiveFigures | None:
    """What a live run says of its means, and how much of it was judged without excuse."""
    figures = evidence.world.figures
    if figures is None:
        return None
    from_ns, until_ns = evidence.world.judged_ns
    return msgspec.structs.replace(
        figures,
        judged_s=round((until_ns - from_ns) / SECOND_NS, 1),
        unexcused_s=round(evidence.unexcused_ns / SECOND_NS, 1),
    )


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
