"""Do a site's points partition the samples of its instrument, and hold what they ought to hold?

The laws:

1. Points, in order of time, use up the samples in order: each begins with the sample after the last
   of the point before. Where it does not, samples were skipped (a `Gap`, named by its samples) or
   used again (a deviation).
2. A point of n samples holds their average, `(2 * sum + n) // (2 * n)` or, in all of an archive,
   `sum // n`; and their range.
3. A point begins within 50 ms of the second that its label names: the record's time stamp plus its
   place in the record, by the clock of the host as it was at the record's start, or as it is then.
   Two may begin elsewhere in their second: the first after skipped samples, since the line came
   back when it did; and the first of a record after a jump of the clock (up to half a second off).
   Where samples cross a real line and a real machine, an edge may hear them late (`Allowance`):
   then a point may begin with a sample that is older by as much.
4. A point of no samples holds zeros, and the samples of its second are in no other point.

Theory of operation. From a known sample on, a chunk of points is compared in one go. At the first
difference the walk asks where the following points fit best: near their labels, then within hours.
If that is elsewhere, it goes on from there; otherwise the position was right and the content is
wrong. Searches and moves are counted out, so that a hopeless archive costs seconds, not hours. What
a bad line brought is not walked through but waded: only what is on either side of it is compared,
and behind it the walk asks anew where it is (`muddle.py`).
"""

from typing import NamedTuple

import numpy as np

from fieldproof.oracle import muddle, truth
from fieldproof.oracle.clock import SECOND_NS, Clock
from fieldproof.oracle.locate import NOWHERE, Archive, locate
from fieldproof.oracle.truth import Instrument, Integers

TOLERANCE_NS = SECOND_NS // 20
TOLERANCE_SAMPLES = 6  # between 50 ms too early and 50 ms too late
LIVE_LATE_NS = SECOND_NS // 10
"""How late a live run's samples may be heard, unless the log says more: what the machine is held
to by `lines_on_time` and `machine_kept_time`. Our assumption."""

RATE_HZ = 60
RECORD_NS = 60 * SECOND_NS

_FIRST_CHUNK = 960
_LARGEST_CHUNK = 14_400
_FAR_SAMPLES = 3600 * RATE_HZ
_MOST_MOVES = 2000
_MOST_FAILED_SEARCHES = 40
_MOST_FAR_SEARCHES = 5
_MOST_KEPT = 200
_ENOUGH_TO_STAY = 8
_DAY_NS = 86_400 * SECOND_NS


class Allowance(NamedTuple):
    """What is not the archive's fault."""

    late_ns: int = 0  # how much later than it was taken a sample may be heard
    muddled_ns: tuple[tuple[int, int], ...] = ()  # true times [from, until) of a bad line


EXACT = Allowance()


class Gap(NamedTuple):
    """Samples [first, last) of the judged span that are in no point."""

    first: int
    last: int
    from_ns: int  # true time of sample `first`
    until_ns: int  # true time of sample `last`


class Deviation(NamedTuple):
    """What is wrong with one point, or with several in a row."""

    kind: str  # "value", "label", "reused", "empty", "unchecked"
    points: int
    where: str  # file, offset of the record, place of the point
    true_ns: int
    detail: str
    off_ns: int = 0  # of labels: how far from its second a point begins at most


class Partition(NamedTuple):
    """What the walk found."""

    rounding: str  # "nearest" or "floor"
    first_ns: Integers  # true time at which each archived record begins, NOWHERE if unknown
    points: int  # compared
    produced: int  # samples of the judged span
    held: Integers  # of them, in the points of each archived record, by the points' own numbers
    reused: int  # of them, counted again
    gaps: tuple[Gap, ...]
    deviations: tuple[Deviation, ...]

    @property
    def archived(self) -> int:
        """Samples of the judged span in points, as often as points claim them."""
        return int(self.held.sum())

    @property
    def skipped(self) -> int:
        """Samples of the judged span in no point."""
        return sum(gap.last - gap.first for gap in self.gaps)


def partition(
    archive: Archive,
    instrument: Instrument,
    clock: Clock,
    judged_ns: tuple[int, int],
    allowance: Allowance = EXACT,
) -> Partition:
    """Judge the records that reach into the true times [from, to) of `judged_ns`.

    So may a record that begins at `to`: its first sample may be heard a little later than taken."""
    early = _samples(allowance.late_ns)
    archive = archive.bounded(_samples(2 * (judged_ns[1] - judged_ns[0]) + _DAY_NS))
    first_ns = locate(archive, clock, instrument, early)
    last_ns = judged_ns[1] + TOLERANCE_NS + allowance.late_ns
    inside = (first_ns > judged_ns[0] - RECORD_NS) & (first_ns < last_ns)
    rows = np.flatnonzero(inside & (first_ns != NOWHERE))
    rows = rows[np.argsort(first_ns[rows], kind="stable")]
    walk = _Walk(archive.select(rows), first_ns[rows], instrument, clock, judged_ns, allowance)
    walk.run()
    held = np.zeros(len(first_ns), dtype=np.int64)
    held[rows] = walk.held
    for record in np.flatnonzero(first_ns == NOWHERE)[:_MOST_KEPT].tolist():
        where = f"{archive.files[archive.file_of[record]]}, offset {archive.offsets[record]}"
        said = f"the host's clock never showed {archive.timestamps_s[record]} s"
        walk.deviations.append(Deviation("label", 1, where, NOWHERE, said))
    return walk.result(first_ns, held)


def _samples(time_ns: int) -> int:
    """How many samples a time holds, rounded up."""
    return -(-time_ns * RATE_HZ // SECOND_NS)


class _Run(NamedTuple):
    """Points from `at` on, compared with the samples from one position on."""

    at: int
    counts: Integers
    starts: Integers  # first sample of each
    earliest: Integers  # sample at which each should begin at the earliest
    value_ok: np.ndarray
    label_ok: np.ndarray


class _Walk:
    """See the head of this file."""

    def __init__(
        self,
        archive: Archive,
        first_ns: Integers,
        instrument: Instrument,
        clock: Clock,
        judged_ns: tuple[int, int],
        allowance: Allowance,
    ) -> None:
        self.deviations: list[Deviation] = []
        self.held = np.zeros(len(archive.counts), dtype=np.int64)
        self._archive = archive
        self._first_ns = first_ns
        self._instrument = instrument
        self._clock = clock
        early = _samples(allowance.late_ns)
        self._before_ns = TOLERANCE_NS + allowance.late_ns
        self._slack = early + TOLERANCE_SAMPLES  # from the earliest start to the latest
        self._ideal = early + TOLERANCE_SAMPLES // 2  # from the earliest start to the label
        self._windows = tuple(
            (instrument.first_at(max(0, from_ns)), instrument.first_at(max(0, until_ns)))
            for from_ns, until_ns in allowance.muddled_ns
        )
        self._span = (instrument.first_at(judged_ns[0]), instrument.first_at(judged_ns[1]))
        self._owner = np.repeat(np.arange(len(archive.counts)), archive.counts)
        self._begins = np.cumsum(archive.counts) - archive.counts
        self._rows = clock.rows_at(first_ns)
        self._jumped = _after_jump(clock, first_ns)
        self._muddled = np.zeros(len(self._owner), dtype=bool)
        self._breaks = np.zeros(0, dtype=np.int64)  # points before which something is missing
        if allowance != EXACT:
            label_ns = self._label_ns(0, len(self._owner))
            self._muddled = muddle.touched(label_ns, allowance.muddled_ns)
            off_ns = np.abs(np.diff(label_ns, prepend=label_ns[:1] - SECOND_NS) - SECOND_NS)
            is_next = off_ns < TOLERANCE_NS
            self._breaks = np.flatnonzero(~is_next | (archive.points["npoints"] == 0))
        self._rounding: str | None = None
        self._cursor: int | None = None  # next sample, while the position is known
        self._used = self._span[0]  # all samples before it have had their turn
        self._resumed = -1  # the point at which the walk moved last
        self._reused = 0
        self._gaps: list[Gap] = []
        self._moves, self._failed, self._far = (
            _MOST_MOVES,
            _MOST_FAILED_SEARCHES,
            _MOST_FAR_SEARCHES,
        )

    def run(self) -> None:
        """Walk through all points."""
        at, size, total = 0, _FIRST_CHUNK, len(self._owner)
        while at < total and self._moves:
            if self._muddled[at]:
                at = self._wade(at)
                continue
            until = min(at + size, self._turn(at))
            reached = self._advance(at, until)
            size = min(2 * size, _LARGEST_CHUNK) if reached == until else _FIRST_CHUNK
            at = reached
        if at < total:
            self._note("unchecked", at, total - at, "gave up here: its place was lost too often")
        self._skip_to(self._span[1])
        self._judge_empty()

    def result(self, first_ns: Integers, held: Integers) -> Partition:
        """What was found; the arguments are for all of the archive."""
        return Partition(
            self._rounding or "nearest",
            first_ns,
            len(self._owner),
            self._span[1] - self._span[0],
            held,
            self._reused,
            tuple(self._gaps),
            tuple(self.deviations),
        )

    # --- moving on ---

    def _advance(self, at: int, until: int) -> int:
        """Compare points [at, until); returns how far that went before the position moved."""
        if self._cursor is None:
            earliest = int(self._earliest(at, at + 1)[0])
            found = self._search(at, earliest, earliest + self._ideal, far=True)
            self._cursor = earliest + self._ideal if found is None else found
            self._resumed = at
            self._used = min(self._used, self._cursor)  # what came before the span is not judged
        run = self._compare(at, until, self._cursor)
        done = 0
        for bad in np.flatnonzero(~(run.value_ok & run.label_ok)).tolist():
            if bad < done:
                continue
            found = None if self._resumed == at + bad else self._fit(run, bad)
            if found is not None and found != run.starts[bad]:
                self._place(run, bad)
                self._cursor, self._resumed = found, at + bad
                self._moves -= 1
                return at + bad
            done = self._blame(run, bad)
        self._place(run, until - at)
        self._cursor = int(run.starts[-1] + run.counts[-1])
        return until

    def _place(self, run: _Run, length: int) -> None:
        """The first `length` points of the run have their samples."""
        if length == 0:
            return
        first = int(run.starts[0])
        last = int(run.starts[length - 1] + run.counts[length - 1])
        if first < self._used:
            samples = min(self._used, last) - first
            self._note("reused", run.at, 1, f"{samples} samples that earlier points hold already")
        self._skip_to(first)
        low, high = self._span
        ends = (run.starts + run.counts)[:length].clip(low, high)
        owner = self._owner[run.at : run.at + length]
        np.add.at(self.held, owner, ends - run.starts[:length].clip(low, high))
        self._reused += max(0, min(last, self._used, high) - max(first, low))
        self._used = max(self._used, last)

    def _skip_to(self, sample: int) -> None:
        """Samples before this one that had no turn are in no point."""
        last = min(sample, self._span[1])
        if last > self._used:
            self._gaps.append(self._gap(self._used, last))
            self._used = last

    def _gap(self, first: int, last: int) -> Gap:
        times = self._instrument.instant_ns(first), self._instrument.instant_ns(last)
        return Gap(first, last, *times)

    def _judge_empty(self) -> None:
        """Law 4, once all gaps are known; where a second's neighbour could own them, samples at
        its ends are let pass."""
        empty = np.flatnonzero((self._archive.points["npoints"] == 0) & ~self._muddled)
        if not len(empty):
            return
        label_ns = self._clock.instants_by(self._utc_ns(empty), self._rows[self._owner[empty]])
        low, high = self._span
        first = self._instrument.firsts_at(label_ns) + TOLERANCE_SAMPLES
        last = first + RATE_HZ - TOLERANCE_SAMPLES - self._slack
        begins = np.array([gap.first for gap in self._gaps] or [high], dtype=np.int64)
        ends = np.array([gap.last for gap in self._gaps] or [high], dtype=np.int64)
        gap = (np.searchsorted(begins, first.clip(low, high), side="right") - 1).clip(min=0)
        is_skipped = (begins[gap] <= first.clip(low, high)) & (last.clip(low, high) <= ends[gap])
        for at in empty[~is_skipped & (first < high) & (last > low)].tolist():
            self._note("empty", at, 1, "says that nothing was heard in a second that was")

    # --- wading ---

    def _turn(self, at: int) -> int:
        """The first point from `at` on that is muddled where `at` is clear, or the other way."""
        others = np.flatnonzero(self._muddled[at:] != self._muddled[at])
        return at + int(others[0]) if len(others) else len(self._owner)

    def _wade(self, at: int) -> int:
        """Pass by muddled points; returns the first clear one, whose place is then known."""
        end = self._turn(at)
        if self._cursor is None:
            self._cursor = int(self._earliest(at, at + 1)[0]) + self._ideal
            self._used = min(self._used, self._cursor)
        self._skip_to(self._cursor)
        stretch = muddle.Stretch(self._cursor, max(self._cursor, self._behind(end)))
        counts = self._archive.points["npoints"][at:end].astype(np.int64)
        claimed = int(counts.sum())
        label_ns = self._label_ns(at, end)
        seconds = self._instrument.firsts_at(np.append(label_ns, label_ns[-1] + SECOND_NS))
        lost = muddle.lost(stretch, counts, seconds, self._windows)
        low, high = self._span
        for first, last in lost:
            if max(first, low) < min(last, high):
                self._gaps.append(self._gap(max(first, low), min(last, high)))
        allotted = muddle.allotted(stretch, claimed, lost)
        inside = (allotted >= low) & (allotted < high)
        np.add.at(self.held, np.repeat(self._owner[at:end], counts), inside.astype(np.int64))
        self._reused += int(inside[stretch.last - stretch.first :].sum())
        self._cursor = stretch.last
        self._used = max(self._used, stretch.last)
        self._resumed = end
        return end

    def _behind(self, end: int) -> int:
        """The sample with which the first clear point behind muddled ones begins."""
        if end == len(self._owner):
            label_ns = self._label_ns(end - 1, end) + SECOND_NS
            return int(self._instrument.firsts_at(label_ns)[0])
        earliest = int(self._earliest(end, end + 1)[0])
        found = self._search(end, earliest, earliest + self._ideal, far=False)
        return earliest + self._ideal if found is None else found

    # --- comparing ---

    def _compare(self, at: int, until: int, cursor: int) -> _Run:
        counts = self._archive.points["npoints"][at:until].astype(np.int64)
        starts = cursor + np.cumsum(counts) - counts
        ought = truth.points(self._instrument, cursor, counts)
        averages = self._archive.points["average"][at:until]
        if self._rounding is None:
            floors = (averages == ought.floor).sum() > (averages == ought.nearest).sum()
            self._rounding = "floor" if floors else "nearest"
        average_ok = averages == (ought.floor if self._rounding == "floor" else ought.nearest)
        value_ok = average_ok & (self._archive.points["range"][at:until] == ought.range)
        earliest = self._earliest(at, until)
        label_ok = self._in_time(at, until, starts, earliest)
        empty = counts == 0
        return _Run(at, counts, starts, earliest, value_ok, label_ok | empty)

    def _earliest(self, at: int, until: int) -> Integers:
        """The first sample that each point may begin with: 50 ms before its label's second, or
        what is allowed beyond."""
        return self._instrument.firsts_at(self._label_ns(at, until) - self._before_ns)

    def _label_ns(self, at: int, until: int) -> Integers:
        """The true time that each point's label names, by the clock at its record's start."""
        points = np.arange(at, until)
        return self._clock.instants_by(self._utc_ns(points), self._rows[self._owner[points]])

    def _utc_ns(self, points: Integers) -> Integers:
        """The host UTC that the labels of these points say."""
        owner = self._owner[points]
        places = points - self._begins[owner]
        utc_ns: Integers = (self._archive.timestamps_s[owner] + places) * SECOND_NS
        return utc_ns

    def _in_time(self, at: int, until: int, starts: Integers, earliest: Integers) -> np.ndarray:
        """Law 3."""
        owner = self._owner[at:until]
        latest = earliest + self._slack
        if at <= self._resumed < until:
            latest[self._resumed - at] += RATE_HZ
        jumped = self._jumped[owner] & (self._begins[owner] == np.arange(at, until))
        off = np.where(jumped, RATE_HZ // 2, 0)
        in_time: np.ndarray = (starts >= earliest - off) & (starts <= latest + off)
        if len(self._clock.pieces) > 1:
            label_ns = self._label_ns(at, until)
            changed_ns = self._clock.instants_by(
                self._utc_ns(np.arange(at, until)), self._clock.rows_at(label_ns)
            )
            earliest = self._instrument.firsts_at(changed_ns - self._before_ns)
            in_time |= (starts >= earliest) & (starts <= earliest + self._slack)
        return in_time

    # --- differences ---

    def _fit(self, run: _Run, bad: int) -> int | None:
        """Where the points from `bad` on belong, if anywhere."""
        start, earliest = int(run.starts[bad]), int(run.earliest[bad])
        if self._failed == 0 or self._is_at_home(run, bad):
            return None
        wanted = start if run.label_ok[bad] else earliest + self._ideal
        far = not (run.label_ok[bad] or run.value_ok[bad])
        return self._search(run.at + bad, earliest, wanted, far)

    def _is_at_home(self, run: _Run, bad: int) -> bool:
        """Whether it is the label alone that is wrong: many points from `bad` on are right where
        they stand. A few would be so elsewhere, too."""
        right = run.value_ok[bad : bad + truth.PROBE_POINTS]
        return len(right) >= _ENOUGH_TO_STAY and bool(right.all())

    def _search(self, at: int, earliest: int, wanted: int, far: bool) -> int | None:
        """The sample with which point `at` begins: in its label's second, or else within hours."""
        probe = self._archive.points[at : self._probe_ends(at)]
        low = earliest - self._slack
        high = earliest + RATE_HZ + 2 * self._slack
        found = truth.find(self._instrument, probe, wanted, low, high)
        if found is None and far and self._far:
            self._far -= 1
            low, high = wanted - _FAR_SAMPLES, wanted + _FAR_SAMPLES
            found = truth.find(self._instrument, probe, wanted, low, high)
        self._failed -= found is None
        return None if found is None else found.start

    def _probe_ends(self, at: int) -> int:
        """Up to which point those from `at` on are likely to follow each other without a loss."""
        ends = min(at + truth.PROBE_POINTS, self._turn(at))
        later = self._breaks[np.searchsorted(self._breaks, at, side="right") :]
        return min(ends, int(later[0])) if len(later) else ends

    def _blame(self, run: _Run, bad: int) -> int:
        """Say what is wrong from `bad` on; returns the first point that this does not cover."""
        if self._failed == 0:
            return self._blame_all(run, bad)
        if not run.value_ok[bad]:
            self._note("value", run.at + bad, 1, self._values(run, bad))
            return bad + 1
        others = np.flatnonzero(run.label_ok[bad:] | ~run.value_ok[bad:])
        length = int(others[0]) if len(others) else len(run.counts) - bad
        off = (run.starts - run.earliest)[bad : bad + length] - self._ideal
        said = f"began {int(off[0]) / RATE_HZ:+.2f} s off its label"
        off_ns = int(np.abs(off).max()) * SECOND_NS // RATE_HZ
        self._note("label", run.at + bad, length, said, off_ns)
        return bad + length

    def _blame_all(self, run: _Run, bad: int) -> int:
        """No search is left: count what differs in the rest of the run."""
        values = int((~run.value_ok[bad:]).sum())
        labels = int((~run.label_ok[bad:] & run.value_ok[bad:]).sum())
        if values:
            self._note("value", run.at + bad, values, self._values(run, bad))
        if labels:
            off_ns = int(np.abs(run.starts - run.earliest)[bad:].max()) * SECOND_NS // RATE_HZ
            self._note("label", run.at + bad, labels, "began off their labels", off_ns)
        return len(run.counts)

    def _values(self, run: _Run, bad: int) -> str:
        point = self._archive.points[run.at + bad]
        ought = truth.points(self._instrument, int(run.starts[bad]), run.counts[bad : bad + 1])
        average = ought.floor if self._rounding == "floor" else ought.nearest
        return (
            f"average {point['average']} and range {point['range']}, where its "
            f"{point['npoints']} samples give {average[0]} and {ought.range[0]}"
        )

    def _note(self, kind: str, at: int, points: int, detail: str, off_ns: int = 0) -> None:
        record = int(self._owner[at])
        file = self._archive.files[self._archive.file_of[record]]
        place = at - int(self._begins[record])
        where = f"{file}, offset {self._archive.offsets[record]}, point {place}"
        true_ns = int(self._label_ns(at, at + 1)[0])
        deviation = Deviation(kind, points, where, true_ns, detail, off_ns)
        if len(self.deviations) < _MOST_KEPT:
            self.deviations.append(deviation)
            return
        same = [n for n, other in enumerate(self.deviations) if other.kind == kind]
        if same:
            last = self.deviations[same[-1]]
            self.deviations[same[-1]] = last._replace(points=last.points + points)
        else:
            self.deviations.append(deviation)


def _after_jump(clock: Clock, first_ns: Integers) -> np.ndarray:
    """Which records are the first to begin after the clock jumped."""
    jumped = np.zeros(len(first_ns), dtype=bool)
    for before, piece in zip(clock.pieces, clock.pieces[1:], strict=False):
        if before.utc_at(piece.from_ns) != piece.utc_ns:
            since_ns = first_ns - piece.from_ns
            jumped |= (since_ns > -SECOND_NS) & (since_ns <= RECORD_NS + SECOND_NS)
    return jumped
