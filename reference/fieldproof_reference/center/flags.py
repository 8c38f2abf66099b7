"""What is odd about the canonical files, written beside them (R1-29); nothing here rejects.

    flags/2006/01/17/daws.jsonl

One JSON line for each record that raises a flag, and one for each span that is no record:

    {"hour": 11, "offset": 380, "bytes": 380, "first_s": 1137497980, "flags": ["npoints"],
     "why": "npoints 62 in second 17"}
    {"hour": 15, "offset": 0, "bytes": 380, "after_s": 1137509999, "before_s": 1137510065,
     "flags": ["corrupt"], "why": "stream id"}

The laws:

1. A day's lines are a function of its hour files and of nothing else: not of the order in which
   records came, nor of when. They stand in the order of hours and offsets, so that a rebuild gives
   the same bytes (I6).
2. Where an hour file has only grown, what is new in it is looked at; where it was changed, all of
   it is, and its lines take the place of those that were there (R1-41, T25).
3. Lines are appended where nothing else changes, and are not synced: whoever finds half a line of
   an hour looks at that hour again.

Cadence is of one hour file. A record that is not a whole number of minutes after the one before is
odd; the next is measured from the last that was not, or from the odd one, if it fits that: so one
wrong time is one line, and a clock that was set is one line, too.
"""

import json
import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from fieldproof_contract import Append, DiskView, Effects, Remove, Replace
from fieldproof_reference.center import SiteDay, SiteHour
from fieldproof_reference.center.gaps import CADENCE_S, CLOSE_S
from fieldproof_reference.formats import trees, xrio
from fieldproof_reference.formats.days import DAY_S, HOUR_S, day_number, day_text
from fieldproof_reference.formats.screen import nothing_odd
from fieldproof_reference.formats.xrio import Flag

CORRUPT = "corrupt"
"""The flag of a span that is no record."""

CADENCE_SLACK_S = 1
"""How far from a whole minute the next record may begin: labels are cut to seconds."""

MOST_HOURS = 96
"""Hour files of which is kept in mind how far they were looked at."""

_PATH = re.compile(r"flags/(\d{4}/\d\d/\d\d)/([a-z]{4})\.jsonl", re.ASCII)


def flags_path(of: SiteDay) -> str:
    """The file of a site's day."""
    return f"flags/{day_text(of.day, '%Y/%m/%d')}/{of.site}.jsonl"


def parse_flags_path(path: str) -> SiteDay | None:
    """The site's day of a flag file; None for any other path."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    with suppress(ValueError):
        of = SiteDay(found[2], day_number(found[1].replace("/", "")))
        return of if flags_path(of) == path else None
    return None


def day_lines(disk: DiskView, of: SiteDay) -> bytes:
    """The lines of a whole day, from its hour files."""
    folder = trees.day_folder(of.site, of.day * DAY_S) + "/"
    paths = trees.site_hour_paths(disk.listing(folder), of.site)
    return b"".join(_hour(path).feed(disk.read(path), screens=True) for path in paths)


class HourFlags:
    """Looks at an hour file from its beginning, in one piece or record by record."""

    def __init__(self, of: SiteHour) -> None:
        self.done = 0  # bytes
        self._of = of
        self._sites = frozenset({of.site})
        self._is_sound = False  # no record of the piece raises a flag by itself
        self._regular_s: int | None = None  # of the last record that was in cadence
        self._odd_s: int | None = None  # of the last that was not

    def feed(self, data: bytes, *, screens: bool = False) -> bytes:
        """The lines of what follows in the file; a span that is no record must be in one piece with
        the records around it. `screens`: look at all records at once before at each."""
        found: list[bytes] = []
        spans = xrio.walk(data)
        self._is_sound = screens and _is_sound(data, spans, self._of.site)
        for number, span in enumerate(spans):
            piece = data[span.offset : span.offset + span.size]
            if span.valid:
                detail = self._record(piece)
            else:
                following = (s for s in spans[number + 1 :] if s.valid)
                at = next(following, None)
                detail = self._junk(piece, None if at is None else data[at.offset :])
            if detail:
                place = {"hour": self._of.hour % 24, "offset": self.done, "bytes": span.size}
                found.append(json.dumps({**place, **detail}).encode() + b"\n")
            self.done += span.size
        return b"".join(found)

    def _record(self, record: bytes) -> dict[str, int | str | list[str]]:
        first_s = xrio.timestamp_s(record)
        raised = () if self._is_sound else xrio.flags(record, self._sites)
        if not self._in_cadence(first_s):
            raised = (*raised, Flag.CADENCE)
        if first_s // HOUR_S != self._of.hour:
            raised = (*raised, Flag.HOUR)
        if not raised:
            return {}
        why = "; ".join(filter(None, (_why(record, flag) for flag in raised)))
        return {"first_s": first_s, "flags": list(map(str, raised)), "why": why}

    def _in_cadence(self, first_s: int) -> bool:
        """Whether a record may begin then, of which the next will hear."""
        known = [before_s for before_s in (self._regular_s, self._odd_s) if before_s is not None]
        if known and not any(_fits(first_s - before_s) for before_s in known):
            self._odd_s = first_s
            return False
        self._regular_s, self._odd_s = first_s, None
        return True

    def _junk(self, piece: bytes, following: bytes | None) -> dict[str, int | str | list[str]]:
        begins_s = self._of.hour * HOUR_S
        newest_s = max((s for s in (self._regular_s, self._odd_s) if s is not None), default=None)
        check = xrio.invalid(piece)
        return {
            "after_s": begins_s - 1 if newest_s is None else newest_s,
            "before_s": begins_s + HOUR_S if following is None else xrio.timestamp_s(following),
            "flags": [CORRUPT],
            "why": "not a whole record" if check is None else check.value,
        }


class Flags:
    """Keeps the flags of the canonical files on a disk. What it returns is for the state of the
    disk as it is when it is asked."""

    def __init__(self, disk: DiskView) -> None:
        self._disk = disk
        self._hours: OrderedDict[str, HourFlags] = OrderedDict()

    def forget_all(self) -> None:
        """Nobody knows which of the effects were carried out."""
        self._hours.clear()

    def grown(self, path: str) -> Effects:
        """An hour file may have more records at its end than before."""
        known = self._hours.get(path)
        size = self._disk.size(path) or 0
        if known is None or size < known.done:
            return self.changed((path,))
        if size == known.done:
            return ()
        more = known.feed(self._disk.read(path, known.done))
        of, hour = _place(path)
        old = b"".join(line for of_hour, line in self._there(of) if of_hour == hour)
        return self._written(of, {hour: old + more}) if more else ()

    def seen(self, paths: Iterable[str]) -> Effects:
        """Hour files that have not been looked at since they were last changed, if any, are."""
        return self.changed([path for path in paths if not self._is_known(path)])

    def changed(self, paths: Iterable[str]) -> Effects:
        """Hour files may be others than before, or gone."""
        days: dict[SiteDay, dict[int, bytes]] = {}
        for path in paths:
            if trees.parse_hour_path(path) is not None:
                of, hour = _place(path)
                days.setdefault(of, {})[hour] = self._looked_at(path)
        return tuple(effect for of, hours in days.items() for effect in self._written(of, hours))

    def _is_known(self, path: str) -> bool:
        known, size = self._hours.get(path), self._disk.size(path)
        return known is not None and size == known.done

    def _looked_at(self, path: str) -> bytes:
        """All lines of an hour file."""
        self._hours.pop(path, None)
        if self._disk.size(path) is None:
            return b""
        seen = self._hours[path] = _hour(path)
        if len(self._hours) > MOST_HOURS:
            self._hours.popitem(last=False)
        return seen.feed(self._disk.read(path))

    def _written(self, of: SiteDay, hours: Mapping[int, bytes]) -> Effects:
        """What it takes that these are the lines of some hours of a day."""
        path = flags_path(of)
        old = self._disk.read(path) if self._disk.size(path) is not None else b""
        by_hour = dict.fromkeys(range(24), b"")
        for hour, line in self._there(of):
            by_hour[hour] += line if hour not in hours else b""
        new = b"".join((by_hour | dict(hours)).values())
        if new == old:
            return ()
        if not new:
            return (Remove(path),)
        return (Append(path, new[len(old) :]),) if new.startswith(old) else (Replace(path, new),)

    def _there(self, of: SiteDay) -> Iterator[tuple[int, bytes]]:
        """The hour and the text of each whole line of a day; of a line torn by a crash nothing."""
        path = flags_path(of)
        for line in self._disk.read(path).splitlines(True) if self._disk.size(path) else ():
            try:
                hour = json.loads(line)["hour"]
            except (ValueError, KeyError, TypeError):
                continue
            if line.endswith(b"\n") and hour in range(24):
                yield hour, line


def _place(path: str) -> tuple[SiteDay, int]:
    """The day of an hour file, and its hour of the day. Raises ValueError for any other path."""
    hour = trees.parse_hour_path(path)
    if hour is None:
        raise ValueError(f"{path!r} is no hour file: only those can be flagged")
    return SiteDay(hour.site, hour.utc_s // DAY_S), hour.utc_s % DAY_S // HOUR_S


def _hour(path: str) -> HourFlags:
    of, hour = _place(path)
    return HourFlags(SiteHour(of.site, of.day * 24 + hour))


def _is_sound(data: bytes, spans: Sequence[xrio.Span], site: str) -> bool:
    """Whether it is plain that no record raises a flag by itself."""
    is_plain = all(span.valid and span.size == xrio.RECORD_BYTES for span in spans)
    return bool(spans) and is_plain and nothing_odd(data, site)


def _fits(apart_s: int) -> bool:
    """Whether two records may begin so far apart."""
    off_s = (apart_s + CADENCE_S // 2) % CADENCE_S - CADENCE_S // 2
    return apart_s >= CLOSE_S and abs(off_s) <= CADENCE_SLACK_S


def _why(record: bytes, flag: Flag) -> str:
    """What a flag is about, in a few words; empty where its name says all."""
    head, of_points = xrio.header(record), xrio.values(record)
    averages, ranges, counts = of_points[0::3], of_points[1::3], of_points[2::3]
    match flag:
        case Flag.UNKNOWN_SITE:
            return f"site id {head.site_id.decode('latin-1')}"
        case Flag.SAMPLE_RATE | Flag.TEXT_SAMPLE_RATE:
            return f"sample rate 0x{head.sample_rate:02x}"
        case Flag.SPARES:
            return f"spares {head.spare1.hex()} {head.spare2.hex()}"
        case Flag.DATAPOINTS:
            return f"{head.datapoints} datapoints"
        case Flag.CODE_RANGE:
            second = next(
                n
                for n, pair in enumerate(zip(averages, ranges, strict=True))
                if max(pair) > xrio.LARGEST_CODE
            )
            return f"average {averages[second]}, range {ranges[second]} in second {second}"
        case Flag.NPOINTS:
            second = next(n for n, count in enumerate(counts) if not 59 <= count <= 61)
            return f"npoints {counts[second]} in second {second}"
        case Flag.CONTINUITY:
            second = next(xrio.jumps(averages, ranges))
            return f"average {averages[second - 1]} to {averages[second]} in second {second}"
        case Flag.DEAD_PREAMPLIFIER:
            return f"averages {min(averages)} to {max(averages)}"
    return ""
