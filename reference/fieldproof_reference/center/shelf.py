"""The canonical hour files while live records come in.

The laws:

1. A file holds its records in the order of their first samples, of their bytes where these are of
   one second, each content once (T1, T2). So it depends on what came and not on the order in which
   it came: one that is later than all others is appended, one that is late is put in by replacing
   the file.
2. A day or an hour that is proven identical to the edge's (`close`) is not changed here any more:
   what comes for it later is either there already or refused.
3. Nothing here is synced, because all of it can be made again from the raw tree; the proof of a day
   syncs its files. After a crash a half-written record at the end of a file of an open day is
   dropped: the raw tree has it whole, and validation brings it again.
"""

from collections import OrderedDict
from enum import Enum

from fieldproof_contract import Append, DiskView, Effects, Replace
from fieldproof_reference.center import SiteDay, SiteHour
from fieldproof_reference.formats import trees, xrio
from fieldproof_reference.formats.days import HOUR_S

MOST_FILES = 96
"""Hour files kept in mind: the open and the last hours of some forty sites (2 MB)."""


class Refused(Enum):
    """Why a record was not filed."""

    DUPLICATE = "duplicate"
    CLOSED = "after proof"  # its day or hour is proven, and it is not in it


class _HourFile:
    """The records of one hour file, in file order."""

    __slots__ = ("contents", "newest_s", "records")

    def __init__(self, records: list[bytes]) -> None:
        self.records = records
        self.contents = set(records)
        self.newest_s = max(map(xrio.timestamp_s, records), default=-1)


class Shelf:
    """Files records; see the head of this file."""

    def __init__(self, disk: DiskView) -> None:
        self._disk = disk
        self._files: OrderedDict[str, _HourFile] = OrderedDict()
        self._closed: set[SiteDay] = set()
        self._closed_hours: set[SiteHour] = set()

    def close(self, proven: SiteDay | SiteHour) -> None:
        """A day or an hour is proven."""
        if isinstance(proven, SiteDay):
            self._closed.add(proven)
        else:
            self._closed_hours.add(proven)

    def reopen(self, changed: SiteDay | SiteHour) -> None:
        """A proven day or hour has changed at the edge."""
        if isinstance(changed, SiteDay):
            self._closed.discard(changed)
        else:
            self._closed_hours.discard(changed)
            self._closed.discard(changed.day)

    def forget(self, path: str) -> None:
        """Somebody else changed the file."""
        self._files.pop(path, None)

    def forget_all(self) -> None:
        """Nobody knows which of the effects were carried out."""
        self._files.clear()

    def trim(self) -> None:
        """Forget the files that were looked at first, as far as there are too many. Not to be done
        before the effects of `put` were carried out: the disk does not show them."""
        while len(self._files) > MOST_FILES:
            self._files.popitem(last=False)

    def put(self, site: str, record: bytes) -> tuple[Effects, Refused | None]:
        """File a valid record of `site`, or refuse it; what it takes, in both cases."""
        first_s = xrio.timestamp_s(record)
        path = trees.hour_path(site, first_s)
        hour = SiteHour(site, first_s // HOUR_S)
        closed = hour in self._closed_hours or hour.day in self._closed
        effects: Effects = ()
        file = self._files.get(path)
        if file is None:
            file, effects = self._load(path, closed)
        if record in file.contents:
            return effects, Refused.DUPLICATE
        if closed:
            return effects, Refused.CLOSED
        file.contents.add(record)
        if first_s > file.newest_s:
            file.newest_s = first_s
            file.records.append(record)
            return (*effects, Append(path, record)), None
        file.records.append(record)
        file.records.sort(key=lambda known: (xrio.timestamp_s(known), known))
        return (Replace(path, b"".join(file.records)),), None

    def _load(self, path: str, closed: bool) -> tuple[_HourFile, Effects]:
        """The file from the disk; for an open day, rid of what a crash left."""
        data = self._disk.read(path) if self._disk.size(path) is not None else b""
        spans = xrio.walk(data)
        records = [data[span.offset : span.offset + span.size] for span in spans if span.valid]
        file = self._files[path] = _HourFile(records)
        clean = b"".join(records)
        return file, () if closed or clean == data else (Replace(path, clean),)
