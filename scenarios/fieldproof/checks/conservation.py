"""Claims of the ledger: nothing is lost without a declared cause."""

from typing import TYPE_CHECKING

from fieldproof.checks.claim import result
from fieldproof.faults import Value
from fieldproof.oracle.log import short_hash
from fieldproof.oracle.trees import PURPOSES, STREAM_PORTS
from fieldproof.verdict import ClaimResult

if TYPE_CHECKING:
    from fieldproof.evidence import Evidence


_FATES = {
    "invented": "which no archive of the edge has",
    "restored": "not delivered with no declared cause, and restored",
    "lost": "lost with no declared cause",
}


class Accounted(Value, frozen=True, tag="accounted"):
    """The ledger closes, a declared fault or the link's own model excuses every byte that did not
    arrive, and the center's provenance names every record that was restored (I4)."""

    @property
    def name(self) -> str:
        """As in a report."""
        return "accounted"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By the ledger."""
        ledger = evidence.ledger
        size = sum(unit.bytes for unit in ledger.unexplained)
        said = ""
        if ledger.open_books:
            said = f"The books do not close: {'; '.join(ledger.open_books)}."
        elif size:
            unit = next(unit for unit in ledger.unexplained if unit.bytes)
            fate = _FATES[unit.fate]
            said = f"First of them: {unit.bytes} bytes of {unit.site} from {unit.first} on, {fate}."
        elif unasked := _unasked(evidence):
            said = f"Records of {unasked} are restored, but nobody asked for them over its link."
        elif ledger.unproven:
            said = (
                f"No provenance speaks of {len(ledger.unproven)} restored records; "
                f"first: {ledger.unproven[0]}."
            )
        elif not ledger.summary.produced_bytes:
            said = "Nothing was produced, so there is nothing to account for."
        return result(self, not said, 0, size, "B unexplained", said)


_ASKING = ("repair", "http", "rsync")
"""Purposes of packets by which a center comes by what it lacks."""


def _unasked(evidence: "Evidence") -> str:
    """A site whose records were restored though no packet crossed its link for it; "" for none."""
    asked = {entry.link for entry in evidence.world.wire if entry.purpose in _ASKING}
    restored = {unit.site for unit in evidence.ledger.units if unit.fate == "restored"}
    return next((site for site in sorted(restored) if evidence.site(site).via not in asked), "")


class LostExactly(Value, frozen=True, tag="lost_exactly"):
    """This many datagrams of a purpose that were offered to a link never reached the center.

    By the log, in the judged span and whatever the cause; and the raw tree has none of them."""

    link: str
    count: int
    purpose: str = "telemetry"

    def __post_init__(self) -> None:
        if self.count < 0 or self.purpose not in PURPOSES:
            raise ValueError(
                f"{self.name} cannot be judged: claim a count of 0 or more, of one of "
                f"{', '.join(PURPOSES)}."
            )

    @property
    def name(self) -> str:
        """As in a report."""
        other = "" if self.purpose == "telemetry" else f", {self.purpose}"
        return f"lost_exactly({self.link}, {self.count}{other})"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By log and raw tree."""
        from_ns, until_ns = evidence.world.judged_ns
        lost = [
            line
            for line in evidence.log.lines["lost"]
            if line.where == self.link
            and line.text("purpose") == self.purpose
            and from_ns <= line.ns < until_ns
        ]
        twice = {line.text("sha") for line in evidence.log.lines["duplicated"]}
        here = {line.text("sha") for line in lost} & self._received(evidence) - twice
        said = ""
        if here:
            said = f"The raw tree has {len(here)} datagrams that the log calls lost."
        elif len(lost) != self.count:
            said = f"The log has {len(lost)} losses on {self.link}."
        return result(self, not said, self.count, len(lost), "datagrams", said)

    def _received(self, evidence: "Evidence") -> frozenset[str]:
        """Short hashes of what the raw tree holds of this purpose from the sites on the link."""
        port = STREAM_PORTS.get(self.purpose, -1)
        return frozenset(
            short_hash(payload)
            for site in evidence.scenario.sites
            if site.via == self.link
            for _, _, payload in evidence.datagrams(site.name, port)
        )
