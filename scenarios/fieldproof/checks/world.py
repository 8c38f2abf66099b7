"""Claims on the world itself; most belong to every run and no scenario has to make them."""

from typing import TYPE_CHECKING

from fieldproof.checks.claim import result
from fieldproof.faults import Spoof, Value
from fieldproof.ledger import iso
from fieldproof.oracle.excuses import LIVE_SLACK_NS
from fieldproof.oracle.log import Line
from fieldproof.verdict import ClaimResult

if TYPE_CHECKING:
    from fieldproof.evidence import Evidence


class Settled(Value, frozen=True, tag="settled"):
    """After the faults, edge and center converged within the scenario's bound."""

    @property
    def name(self) -> str:
        """As in a report."""
        return "settled"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By what the world says."""
        world, limit = evidence.world, evidence.scenario.settles_within
        if world.settled_ns is None or not world.settled:
            said = f"Edge and center had not converged {limit} after the judged span."
            return result(self, False, f"<= {limit}", "never", "", said)
        after_s = max(0, world.settled_ns - world.judged_ns[1]) // 1_000_000_000
        return result(self, True, f"<= {limit}", after_s, "s")


class FaultsFired(Value, frozen=True, tag="faults_fired"):
    """Every fault of the scenario acted, one on datagrams (`count`) as often as it was to."""

    @property
    def name(self) -> str:
        """As in a report."""
        return "faults_fired"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By the world's own count."""
        idle = [
            f"{timed.when} {count.kind}"
            for timed, count in zip(evidence.scenario.faults, evidence.world.faults, strict=True)
            if count.fired < getattr(timed.fault, "count", 1)
        ]
        total = len(evidence.world.faults)
        said = f"These faults did not act, or too seldom: {', '.join(idle)}." if idle else ""
        return result(self, not idle, total, total - len(idle), "faults", said)


class LogIntact(Value, frozen=True, tag="log_intact"):
    """The log is the one that the world wrote."""

    @property
    def name(self) -> str:
        """As in a report."""
        return "log_intact"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By its SHA-256. Raises ValueError where it is another, since nothing can be judged."""
        noted, found = evidence.world.log_sha256, evidence.log.sha256
        if noted != found:
            raise ValueError(
                f"the log was changed after the run: world.json notes {noted[:16]}, "
                f"log.jsonl has {found[:16]}"
            )
        return result(self, True, noted[:16], found[:16], "SHA-256")


class NodesLived(Value, frozen=True, tag="nodes_lived"):
    """No node of the system under test ended by an exception of its own, and no process of it by
    itself."""

    @property
    def name(self) -> str:
        """As in a report."""
        return "nodes_lived"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By the log."""
        lines = evidence.log.lines
        died = sorted((*lines["node died"], *lines["host died"]), key=lambda line: line.ns)
        said = ""
        if died:
            said = f"First: {_death(died[0])}."
        return result(self, not died, 0, len(died), "nodes died", said)


def _death(line: Line) -> str:
    """How a node, or a system as a whole, ended."""
    if line.what == "node died":
        return f"{line.where} with {line.text('error')}"
    last = line.text("last")
    return f"{line.where} {line.text('how')}" + (f"; its log ends with: {last}" if last else "")


class KillsComplete(Value, frozen=True, tag="kills_complete"):
    """What was killed was dead: no process of a host outlived what ended all of them. One that did
    could go on writing, and the run would show a system that nobody killed."""

    @property
    def name(self) -> str:
        """As in a report."""
        return "kills_complete"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By the log."""
        lines = evidence.log.lines["survived"]
        said = ""
        if lines:
            first = lines[0]
            said = (
                f"First: {first.where} was {_felled(evidence, first)}, and processes of it lived "
                f"on: {first.text('pids') or 'nobody says which'}."
            )
        return result(self, not lines, 0, len(lines), "kills outlived", said)


def _felled(evidence: "Evidence", survived: Line) -> str:
    """How and when the host was ended whose processes survived."""
    felled = [
        line
        for line in evidence.log.lines["host down"]
        if line.where == survived.where and line.ns <= survived.ns + LIVE_SLACK_NS
    ]
    how, ns = "ended", survived.ns
    if felled:
        how, ns = f"killed ({felled[-1].text('cause') or 'no cause'})", felled[-1].ns
    return f"{how} at {iso(evidence.true_utc.utc_at(ns))}"


class Repeats(Value, frozen=True, tag="repeats"):
    """Where the same capsule was run by the same code on the same system, and that run lies beside
    this one, both have the same log, and their random generators ended in the same state."""

    @property
    def name(self) -> str:
        """As in a report."""
        return "repeats"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By the runs beside it. Raises ValueError where one is another: an unseeded draw, or a
        dependence on the machine, makes every verdict worthless."""
        twins = evidence.twins()
        mine = (evidence.world.log_sha256, evidence.world.generators_end)
        for path, world in twins:
            if (world.log_sha256, world.generators_end) != mine:
                raise ValueError(f"{path} ran the same capsule with the same code and another end")
        plural = "s" * (len(twins) > 1)
        measured = f"as {len(twins)} other run{plural}" if twins else "no other run"
        return result(self, True, "same log", measured, "")


class Produced(Value, frozen=True, tag="produced"):
    """The instruments of the run produced something: a run of nothing proves nothing."""

    @property
    def name(self) -> str:
        """As in a report."""
        return "produced"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By the ledger."""
        size = evidence.ledger.summary.produced_bytes
        return result(self, size > 0, ">= 1", size, "B", "" if size else "Nothing was produced.")


class StrangersIgnored(Value, frozen=True, tag="strangers_ignored"):
    """Nobody sent anything to the addresses from which strangers sent (T17)."""

    @property
    def name(self) -> str:
        """As in a report."""
        return "strangers_ignored"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By the datagrams that found no host. Raises ValueError where there is no stranger."""
        addresses = {
            timed.fault.source
            for timed in evidence.scenario.faults
            if isinstance(timed.fault, Spoof)
        } - {node.address for node in evidence.scenario.nodes}
        if not addresses:
            raise ValueError("no stranger with an address of his own is in the scenario")
        astray = (*evidence.log.lines["lost"], *evidence.log.lines["no route"])
        sent = [line for line in astray if line.text("to") in addresses]
        said = f"First: {sent[0].text('bytes')} bytes over {sent[0].where}." if sent else ""
        return result(self, not sent, 0, len(sent), "datagrams", said)


class Sometimes(Value, frozen=True, tag="sometimes"):
    """Something happened at least so often, by the log.

    `where` is a host, a link, or `*` for anywhere: facts of the world count. Or it is `host/node`:
    then what this node said counts, and what the world says of it (effect failed, node died)."""

    what: str
    where: str = "*"
    at_least: int = 1

    def __post_init__(self) -> None:
        if self.at_least < 1:
            raise ValueError(f"{self.name} holds of every run: claim that it was at least 1 time.")

    @property
    def name(self) -> str:
        """As in a report."""
        place = "" if self.where == "*" else f", {self.where}"
        return f"sometimes({self.what}{place})"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By the log."""
        times = evidence.log.times(self.what, self.where)
        said = "" if times >= self.at_least else f"The log has {self.what!r} {times} times."
        return result(self, times >= self.at_least, f">= {self.at_least}", times, "times", said)
