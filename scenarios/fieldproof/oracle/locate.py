"""Where in true time the records of an archive belong, by their labels and the host's clock.

A label says host UTC, and a clock that was set back, or a leap second, shows the same UTC more than
once. Where a label can mean several instants, the samples decide.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fieldproof.oracle import truth
from fieldproof.oracle.clock import SECOND_NS, Clock
from fieldproof.oracle.truth import Instrument, Integers

NOWHERE = -1
"""The true time of a record whose label the host's clock never showed."""

MOST_OF_A_POINT = 120
"""Samples of two seconds."""

SLACK_SAMPLES = 4  # 50 ms of label tolerance, rounded up
_MARGIN_NS = SECOND_NS  # a record's label may be the second before or after a change of the clock


class Archive(NamedTuple):
    """Records of a site, in the order of its archive: by hour file, then by offset."""

    files: tuple[str, ...]
    file_of: Integers  # index into `files`, for each record
    offsets: Integers
    sizes: Integers
    timestamps_s: Integers
    counts: Integers  # points in each record
    points: NDArray[np.void]  # all points, one after the other

    def bounded(self, most: int) -> "Archive":
        """The archive as it is. Or, where it claims more than `most` samples, with two seconds' in
        points that claim more: nobody can walk through what was never measured."""
        claimed = self.points["npoints"]
        if int(claimed.sum(dtype=np.int64)) <= most:
            return self
        points = self.points.copy()
        points["npoints"] = np.minimum(claimed, MOST_OF_A_POINT)
        return self._replace(points=points)

    def select(self, rows: Integers) -> "Archive":
        """These records, in this order."""
        begins = np.cumsum(self.counts) - self.counts
        counts = self.counts[rows]
        ends = np.cumsum(counts)
        within = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - counts, counts)
        return Archive(
            self.files,
            self.file_of[rows],
            self.offsets[rows],
            self.sizes[rows],
            self.timestamps_s[rows],
            counts,
            self.points[np.repeat(begins[rows], counts) + within],
        )


def locate(archive: Archive, clock: Clock, instrument: Instrument, early: int = 0) -> Integers:
    """The true time, ns, at which each record's first second began; NOWHERE for an absurd label.
    A point may begin with a sample that is `early` samples older than its label says."""
    utc_ns = archive.timestamps_s * SECOND_NS
    rows = range(len(clock.pieces))
    instants = np.stack([clock.instants_by(utc_ns, np.full(len(utc_ns), row)) for row in rows])
    from_ns = np.array([piece.from_ns for piece in clock.pieces])[:, None]
    until_ns = np.array(clock.ends_ns)[:, None]
    possible = (instants >= from_ns - _MARGIN_NS) & (instants < until_ns + _MARGIN_NS)
    first = np.take_along_axis(instants, possible.argmax(axis=0)[None], axis=0)[0]
    located = np.where(possible.any(axis=0), first, NOWHERE)
    begins = np.cumsum(archive.counts) - archive.counts
    for record in np.flatnonzero(possible.sum(axis=0) > 1).tolist():
        points = archive.points[begins[record] :][: archive.counts[record]]
        candidates = instants[possible[:, record], record].tolist()
        located[record] = _choose(instrument, points, candidates, early)
    return located


def _choose(
    instrument: Instrument, points: NDArray[np.void], candidates: list[int], early: int
) -> int:
    """The instant at which the samples give these points best, or the first.

    Judged from the second point on: the first may be cut short, or begin where a clock stepped."""
    scores = []
    for candidate_ns in candidates:
        second = instrument.first_at(candidate_ns + SECOND_NS)
        low, high = second - SLACK_SAMPLES - early, second + SLACK_SAMPLES
        found = truth.find(instrument, points[1:], second, low, high)
        scores.append(-1 if found is None else found.score)
    return candidates[scores.index(max(scores))]
