"""What became of everything that a center received, hour file by hour file: the books of I2 to I7.

For each site the raw tree is filed again by the judge's own rules (`oracle/refile.py`), and held
against the canonical tree and the edge's. Most hours are what a replay gives, to the byte, and are
done with. Of every other hour each record has its account:

    vanished    was received, is to be filed, and is neither in the canonical tree nor in quarantine
    unkept      is to be kept out, and is not in quarantine; or was filed all the same
    strange     is in the canonical tree, was never received, and no note says how it came
    repeated    is there more often than at the edge, or at all if the edge has it not
    misplaced   is in another hour or order than a replay gives, with no note of a reconciliation

What came in the last `LOOK_NS` may not have been looked at. A raw tree that contradicts itself tells
nothing: it is the business of `raw_untouched`, and nothing is held against it.

A center of somebody else's need not keep our notes. One that says in `receiver/` that it runs keeps
all of them; of any other only those trees are judged that it has itself begun (`Keeps`).
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fieldproof.oracle import foreign, notes, odd, refile, trees, xrio
from fieldproof.oracle.clock import SECOND_NS
from fieldproof.oracle.notes import DAY_S, HOUR_S, Notes
from fieldproof.oracle.refile import Owed
from fieldproof.oracle.trees import TELEMETRY_PORT

if TYPE_CHECKING:
    from fieldproof.evidence import Evidence

LOOK_NS = 60 * SECOND_NS
"""How long a center may let lie what it received: our assumption, a minute."""

_YOUNG_S = 180
"""Of what began so shortly before the end a center need not have said anything."""

_LEAST_BYTES = 20
"""What is shorter may be in any file by chance."""


class Keeps(NamedTuple):
    """Which of our notes a center keeps."""

    provenance: bool
    quarantine: bool
    flags: bool


class Account(NamedTuple):
    """Of one site; each finding is a few words with its place."""

    received: int  # datagrams that can be of this site
    filed: int  # of these, different ones that are in the canonical tree
    duplicates: int
    quarantined: int
    records: int  # of the canonical tree
    hours: int
    vanished: tuple[str, ...]
    unkept: tuple[str, ...]
    strange: tuple[str, ...]
    repeated: tuple[str, ...]
    misplaced: tuple[str, ...]
    flags: tuple[str, ...]  # where what is said is not what the files give
    flagged: int  # records and stretches that are odd


class Elsewhere(NamedTuple):
    """Datagrams that are not of the site from whose address they came."""

    by_site: dict[str, list[tuple[int, bytes]]]  # arrival (UTC s) and payload
    nobodys: tuple[tuple[int, str, bytes], ...]  # to be kept out: the same, with its file
    at_odds: str  # a pair of raw files that contradicts itself; "" for none


def keeps(evidence: "Evidence") -> Keeps:
    """Which notes the center keeps, by what is on its disk and was not there at the beginning."""
    is_ours = _has_begun(evidence, "receiver")
    of = (is_ours or _has_begun(evidence, tree) for tree in Keeps._fields)
    return Keeps(*of)


def _has_begun(evidence: "Evidence", tree: str) -> bool:
    center = evidence.scenario.center.name
    disk = evidence.center_disk
    if evidence.scenario.continues is None:
        return any(True for _ in trees.below(disk / tree))
    before = evidence.disk_before(center)
    paths = (path.relative_to(disk).as_posix() for path in trees.below(disk / tree))
    return any(foreign.content(disk, path) != foreign.content(before, path) for path in paths)


def kept_out(evidence: "Evidence") -> frozenset[str]:
    """SHA-256 of what is in quarantine, with a note that has a reason."""
    center = evidence.scenario.center.name
    noted: set[str] = set()
    found: set[str] = set()
    for whole in trees.below(evidence.center_disk / "quarantine"):
        data = evidence.read(center, whole.relative_to(evidence.center_disk).as_posix())
        if whole.suffix != ".jsonl":
            found.add(sha256(data).hexdigest())
            continue
        for note in foreign.notes(data).lines:
            match note:
                case {"reason": str(), "sha256": str(sha)}:
                    noted.add(sha)
    return frozenset(noted & found)


def elsewhere(evidence: "Evidence") -> Elsewhere:
    """What came to the port of telemetry and is not of the site whose address it came from."""
    center = evidence.scenario.center.name
    known = refile.site_ids(evidence.archive_sites)
    odd_ones: list[tuple[int, str, bytes]] = []
    at_odds = ""
    own: set[str] = set()
    for site in evidence.archive_sites:
        arrivals = evidence.arrivals(site, TELEMETRY_PORT)
        own.update(file.path for file in arrivals.files)
        for number, file in enumerate(arrivals.files):
            rows = np.flatnonzero(arrivals.file_of == number)
            data = evidence.read(center, f"{file.path}.dat")
            ends = np.cumsum(arrivals.sizes[rows])
            if (arrivals.offsets[rows] != ends - arrivals.sizes[rows]).any() or (
                len(data) != (ends[-1] if len(rows) else 0)
            ):
                at_odds = at_odds or file.path
                continue
            for row in rows[_is_not_of(site, data, arrivals.offsets[rows])].tolist():
                at, size = int(arrivals.offsets[row]), int(arrivals.sizes[row])
                came_ns = int(arrivals.utc_ns[row])
                odd_ones.append((came_ns, file.path, data[at : at + size]))
    for file in trees.arrival_files(evidence.center_disk):
        if file.path in own or file.port != TELEMETRY_PORT:
            continue
        data = evidence.read(center, f"{file.path}.dat")
        for entry in evidence.index(file).entries:
            payload = data[entry.offset : entry.offset + entry.size]
            if len(payload) != entry.size or payload[:4] != entry.first:
                at_odds = at_odds or file.path
            odd_ones.append((entry.arrived_utc_ns, file.path, payload))
    by_site: dict[str, list[tuple[int, bytes]]] = {}
    nobodys = []
    for came_ns, path, payload in odd_ones:
        of, site = refile.owed(payload, known, came_ns // SECOND_NS)
        if of is Owed.KEPT_OUT:
            nobodys.append((came_ns, path, payload))
        else:
            by_site.setdefault(site, []).append((came_ns, payload))
    return Elsewhere(by_site, tuple(nobodys), at_odds)


def _is_not_of(site: str, data: bytes, offsets: "np.ndarray") -> "np.ndarray":
    """Which of the datagrams that begin at `offsets` have not the letters of the site in their
    place."""
    octets = np.frombuffer(data + bytes(8), dtype=np.uint8)
    letters = np.frombuffer(site.encode(), dtype=np.uint8)
    found = octets[offsets[:, None] + np.arange(4, 8)] | 0x20
    wrong: np.ndarray = (found != letters).any(axis=1)
    return wrong
