"""What a run is worth: its verdicts, their exit codes, and the document that `--json` prints.

    pass        every claim holds                                                    exit 0
    fail        a claim does not hold                                                exit 1
    undecided   it could not be judged: a checker crashed (exit 3, a fault of the
                harness) or the machine was not good enough (exit 75, may be retried)
    skipped     of a whole run: a system under test does not do this scenario    exit 5

Several at once: 3 stands over 1, 1 over 75, 75 over 0, and a run that was skipped counts where no
other ran. A claim that could not be judged never looks like one that holds. The other codes: 2
interrupted, 4 usage, 5 nothing selected or everything skipped, 69 the machine lacks what the
scenario needs.
"""

from enum import IntEnum, StrEnum

from msgspec import Struct

from fieldproof.oracle.worldfile import LiveFigures

SCHEMA = "fieldproof-verdict/1"


class Verdict(StrEnum):
    """Of a claim or of a run."""

    PASS = "pass"
    FAIL = "fail"
    UNDECIDED = "undecided"
    SKIPPED = "skipped"


class Exit(IntEnum):
    """Exit codes; 0 to 5 mean what pytest's do."""

    PASS = 0
    FAIL = 1
    INTERRUPTED = 2
    HARNESS_FAULT = 3
    USAGE = 4
    NOTHING = 5
    MACHINE_LACKS = 69
    MACHINE_UNDECIDED = 75


class ClaimResult(Struct, frozen=True):
    """One claim, judged. `limit` and `measured` are numbers or short texts, in `unit`."""

    name: str  # "identical(center, daws)"
    verdict: Verdict
    limit: int | float | str
    measured: int | float | str
    unit: str
    detail: str = ""  # one sentence for people; where it failed: what, where, first difference
    harness_fault: bool = False  # the checker itself crashed


class FaultResult(Struct, frozen=True):
    """One fault of the scenario and how often it really acted."""

    at: str
    kind: str
    fired: int


class Lost(Struct, frozen=True):
    """Bytes that died, by place and cause."""

    hop: str  # link or host
    cause: str
    bytes: int


class LedgerSummary(Struct, frozen=True):
    """produced = delivered + restored + lost, in bytes of the archive's records."""

    produced_bytes: int
    delivered_bytes: int
    restored_bytes: int
    lost_bytes: int
    lost: tuple[Lost, ...] = ()


class Wire(Struct, frozen=True):
    """IP bytes that were offered to a link, by purpose, both directions."""

    link: str
    purpose: str
    bytes: int
    packets: int


class Report(Struct, frozen=True, omit_defaults=True):
    """The document that `--json` prints and `verdict.json` holds."""

    schema: str
    scenario: str
    tier: str
    system: str  # under test, such as "reference" or "reference with acquire=Deaf"
    seed: int
    verdict: Verdict
    exit: int
    command: str  # the exact command that repeats the run
    claims: tuple[ClaimResult, ...]
    faults: tuple[FaultResult, ...]
    ledger: LedgerSummary
    wire: tuple[Wire, ...]
    log_sha256: str
    generators_end: dict[str, str]
    run_dir: str
    seconds: float
    live: LiveFigures | None = None  # what links, lines and machine achieved; none in virtual time


def overall(claims: tuple[ClaimResult, ...]) -> tuple[Verdict, Exit]:
    """The verdict and exit code of several claims. No claims at all is a fault of the harness."""
    if not claims or any(claim.harness_fault for claim in claims):
        return Verdict.UNDECIDED, Exit.HARNESS_FAULT
    if any(claim.verdict is Verdict.SKIPPED for claim in claims):
        return Verdict.SKIPPED, Exit.NOTHING
    if any(claim.verdict is Verdict.FAIL for claim in claims):
        return Verdict.FAIL, Exit.FAIL
    if any(claim.verdict is Verdict.UNDECIDED for claim in claims):
        return Verdict.UNDECIDED, Exit.MACHINE_UNDECIDED
    return Verdict.PASS, Exit.PASS
