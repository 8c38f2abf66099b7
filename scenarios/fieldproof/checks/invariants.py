"""The invariants I2 to I7 of the riometer's data flow, to which every run with an archive is held;
I1 is `raw_untouched`.

Each looks at something of its own, so that one defect falls to one of them as far as it can:

    I2  mirrors_edges     the bytes of hour files, and the digests of what is called proven
    I3  nothing_vanished  good records that were received
    I4  origins_noted     records that were not
    I5  conserved         what is to be kept out; how often a record is there; edge against center
    I6  flags_derived     flags/
    I7  raw_replays       in which file and order records are; files that are none of the tree's

They are judged by `filed.py`, from the disks alone. Where a center keeps none of the notes that a
claim rests on, or the world never settled (`settled` says so), the claim says that there is nothing
to judge; a raw tree that contradicts itself is `raw_untouched`'s.
"""

from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from typing import TYPE_CHECKING

from fieldproof.checks.claim import Claim, result
from fieldproof.faults import Value
from fieldproof.oracle import notes, trees, xrio
from fieldproof.oracle.notes import DAY_S, HOUR_S
from fieldproof.verdict import ClaimResult

if TYPE_CHECKING:
    from fieldproof.evidence import Evidence
    from fieldproof.oracle.trees import HourFile

NOTHING = "nothing to judge"


class MirrorsEdges(Value, frozen=True, tag="mirrors_edges"):
    """I2: the canonical tree is the edges' tree, byte for byte, over the hours of the span and for
    every site that is reconciled; and a day or an hour that the center calls proven has, at both
    ends, the digest that its note says."""

    @property
    def name(self) -> str:
        """As in a report."""
        return "mirrors_edges"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By the files of both, and by the notes."""
        files, problems = 0, []
        is_settled = evidence.world.settled
        for site in _reconciled(evidence):
            if is_settled:
                paths = _judged_paths(evidence, site)
                files += len(paths)
                problems += [f"{path} is not the edge's" for path in _unlike(evidence, site, paths)]
            problems += _falsely_proven(evidence, site)
        if not _reconciled(evidence):
            return _nothing(self, "No site is reconciled.")
        if not is_settled and not problems:
            return _nothing(self, "Edge and center never settled, which is a claim of its own.")
        return _told(self, problems, f"{files} files compared")


class NothingVanished(Value, frozen=True, tag="nothing_vanished"):
    """I3: a good record that was received is in the canonical tree, or in quarantine, whole and
    with a reason."""

    @property
    def name(self) -> str:
        """As in a report."""
        return "nothing_vanished"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By the raw tree, the canonical tree and the quarantine."""
        if not evidence.keeps.quarantine:
            return _nothing(self, "The center keeps no quarantine.")
        return _of_accounts(self, evidence, "vanished", "received")


class OriginsNoted(Value, frozen=True, tag="origins_noted"):
    """I4: every record of the canonical tree was received, or a note says that a repair brought
    it."""

    @property
    def name(self) -> str:
        """As in a report."""
        return "origins_noted"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By the canonical tree, the raw tree and the provenance."""
        if not evidence.keeps.provenance and _reconciled(evidence):
            return _nothing(self, "The center keeps no provenance.")
        return _of_accounts(self, evidence, "strange", "records")


class Conserved(Value, frozen=True, tag="conserved"):
    """I5: received = filed + duplicate + quarantined. What is to be kept out is in quarantine and
    nowhere else, no record is there more often than at the edge, and where edge and center settled
    the hours of the span have the same records at both."""

    @property
    def name(self) -> str:
        """As in a report."""
        return "conserved"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By the raw tree, the canonical tree, the quarantine and the edges' trees."""
        if at_odds := evidence.elsewhere.at_odds:
            return _nothing(self, f"{at_odds} contradicts itself.")
        accounts = evidence.accounts.values()
        problems = [said for account in accounts for said in account.repeated]
        if evidence.keeps.quarantine:
            problems += [said for account in accounts for said in account.unkept]
            problems += _at_large(evidence)
        for site in _reconciled(evidence) if evidence.world.settled else ():
            problems += _imbalance(evidence, site)
        sums = [
            sum(getattr(account, part) for account in accounts)
            for part in ("received", "filed", "duplicates", "quarantined")
        ]
        received, filed, twice, kept = sums
        return _told(self, problems, f"{received} = {filed} + {twice} + {kept}")


class FlagsDerived(Value, frozen=True, tag="flags_derived"):
    """I6: what the center says to be odd is what its canonical files give, neither more nor less:
    of all flags whose limits the spec states (`oracle/odd.py`)."""

    @property
    def name(self) -> str:
        """As in a report."""
        return "flags_derived"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By the canonical tree and the flags."""
        if not evidence.keeps.flags:
            return _nothing(self, "The center keeps no flags.")
        return _of_accounts(self, evidence, "flags", "flagged")


class RawReplays(Value, frozen=True, tag="raw_replays"):
    """I7: the raw tree, filed again, gives the canonical tree, but for what notes say that a
    reconciliation brought or took: each record in the hour of its first sample, in the order of
    first samples, and no other file."""

    @property
    def name(self) -> str:
        """As in a report."""
        return "raw_replays"

    def judge(self, evidence: "Evidence") -> ClaimResult:
        """By a replay of the raw tree."""
        strangers = [f"{path} is no hour file of a site" for path in _strangers(evidence)]
        if not evidence.keeps.provenance and _reconciled(evidence) and not strangers:
            return _nothing(self, "The center keeps no provenance.")
        return _of_accounts(self, evidence, "misplaced", "hours", strangers)


INVARIANTS: tuple[Claim, ...] = (
    MirrorsEdges(),
    NothingVanished(),
    OriginsNoted(),
    Conserved(),
    FlagsDerived(),
    RawReplays(),
)


# --- verdicts -------------------------------------------------------------------------------------


def _of_accounts(
    claim: Claim, evidence: "Evidence", what: str, of: str, more: list[str] | None = None
) -> ClaimResult:
    """By one sort of findings in the accounts of all sites; `of` is what was looked at."""
    if (at_odds := evidence.elsewhere.at_odds) and what != "flags":
        return _nothing(claim, f"{at_odds} contradicts itself.")
    accounts = evidence.accounts.values()
    problems = [said for account in accounts for said in getattr(account, what)] + (more or [])
    return _told(claim, problems, f"{sum(getattr(account, of) for account in accounts)} {of}")


def _told(claim: Claim, problems: list[str], measured: str) -> ClaimResult:
    if problems:
        said = f"First of {len(problems)}: {problems[0]}."
        return result(claim, False, 0, len(problems), "problems", said)
    return result(claim, True, "no problem", measured, "")


def _nothing(claim: Claim, why: str) -> ClaimResult:
    return result(claim, True, "no problem", NOTHING, "", why)


# --- center and edge ------------------------------------------------------------------------------


def _reconciled(evidence: "Evidence") -> tuple[str, ...]:
    """The sites whose archive the center is to make its own."""
    if not evidence.scenario.center.reconciles:
        return ()
    sites = (evidence.site(name) for name in evidence.archive_sites)
    return tuple(site.name for site in sites if site.reconcile != "none")


def _judged_paths(evidence: "Evidence", site: str) -> list[str]:
    """The hour files of the span that either side has."""
    hosts = (evidence.scenario.center.name, site)
    return sorted({file.path for host in hosts for file in evidence.judged_files(host, site)})


def _unlike(evidence: "Evidence", site: str, paths: list[str]) -> Iterator[str]:
    """Those that are not the same at both."""
    center = evidence.scenario.center.name
    for path in paths:
        ours = evidence.content(center, path)
        if ours is None or ours != evidence.content(site, path):
            yield path


def _imbalance(evidence: "Evidence", site: str) -> Iterator[str]:
    """Hours of the span in which edge and center have not the same records, in whatever order."""
    center = evidence.scenario.center.name
    for path in _unlike(evidence, site, _judged_paths(evidence, site)):
        ours, theirs = (_hashes(evidence, host, site, path) for host in (center, site))
        if ours != theirs:
            more, less = (ours - theirs).total(), (theirs - ours).total()
            yield f"{path} has {more} records that the edge has not, and lacks {less}"


def _hashes(evidence: "Evidence", host: str, site: str, path: str) -> Counter[bytes]:
    data = evidence.read(host, path)
    records = xrio.decode(data, site)
    pairs = zip(records.offsets.tolist(), records.sizes.tolist(), strict=True)
    return Counter(sha256(data[at : at + size]).digest() for at, size in pairs)


def _falsely_proven(evidence: "Evidence", site: str) -> Iterator[str]:
    """Days and hours that the center calls proven, of which its note, its files and the edge's do
    not agree."""
    hosts = (evidence.scenario.center.name, site)
    for whole in trees.below(evidence.center_disk / "provenance"):
        path = whole.relative_to(evidence.center_disk).as_posix()
        day = trees.day_of(path, "provenance", site)
        if day is None:
            continue
        said = notes.read(evidence.content(hosts[0], path))
        if said.digest is not None:
            digests = {host: _day_digest(evidence, host, site, day) for host in hosts}
            for host, digest in digests.items():
                if digest != said.digest:
                    yield f"{path} calls the day proven by another digest than {host} has"
        for hour, digest in said.proven.items():
            place = trees.hour_path(site, hour * HOUR_S)
            for host in hosts:
                if sha256(evidence.read(host, place)).hexdigest() != digest:
                    yield f"{path} calls {place} proven, which is another at {host}"


def _day_digest(evidence: "Evidence", host: str, site: str, day: int) -> str:
    files = [file for file in evidence.hour_files(host, site) if file.utc_s // DAY_S == day]
    return notes.day_digest((_base(file), evidence.read(host, file.path)) for file in files)


def _base(file: "HourFile") -> str:
    return file.path.rpartition("/")[2]


# --- what is at the center ------------------------------------------------------------------------


def _at_large(evidence: "Evidence") -> Iterator[str]:
    """What came from nobody's site, is to be kept out, and is not in quarantine."""
    for came_ns, path, data in evidence.elsewhere.nobodys:
        if came_ns <= evidence.looked_until_ns and (
            sha256(data).hexdigest() not in evidence.kept_out
        ):
            yield f"a datagram of {len(data)} bytes of {path}.dat is not in quarantine"


def _strangers(evidence: "Evidence") -> list[str]:
    """Files below `riometer/` that are no hour file of a site, and that no edge has."""
    center = evidence.scenario.center.name
    known = {
        file.path for site in evidence.archive_sites for file in evidence.hour_files(center, site)
    }
    for site in evidence.archive_sites:
        known |= trees.canonical_paths(evidence.disk(site))
    return sorted(trees.canonical_paths(evidence.center_disk) - known)
