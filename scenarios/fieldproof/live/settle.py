"""Whether edge and center have converged, by their real files.

They have when every site's archive reaches beyond the judged span, and the center's hour files of
the span are the edges', with no file that an edge has not: what the virtual tier asks, too.
"""

from collections.abc import Collection, Iterable
from pathlib import Path

from fieldproof.oracle import trees
from fieldproof.oracle.foreign import content
from fieldproof.oracle.xrio import RECORD_BYTES
from fieldproof_contract import SECOND_NS
from fieldproof_simulators.machines.clock import HostClock

RECORD_S = 60
HOUR_S = 3600
HOUR_NS = HOUR_S * SECOND_NS
_STAMP = slice(12, 16)
"""Where a record says the second of its first sample."""


class Convergence:
    """Looks at the disks of a run; times are true ns."""

    def __init__(
        self, center: Path, from_ns: int, to_ns: int, inherited_hours: Collection[int] = ()
    ) -> None:
        self._center = center
        self._inherited = inherited_hours
        self._from_ns = from_ns
        self._to_ns = to_ns

    def holds(self, site: str, edge: Path, clock: HostClock) -> bool:
        """Whether the center has what this edge has, and the edge has all of the span; where a
        story went before, both are asked for the hours of that alone."""
        if self._inherited:
            return self._equal(site, edge, self._inherited)
        shown = list(clock.shown(self._from_ns, self._to_ns))
        last_utc_s = -(-max(last for _, last in shown) // SECOND_NS)
        hours = {
            hour for first, last in shown for hour in range(first // HOUR_NS, -(-last // HOUR_NS))
        }
        return self._reaches(site, edge, last_utc_s) and self._equal(site, edge, hours)

    def _reaches(self, site: str, edge: Path, utc_s: int) -> bool:
        """Whether the newest record of an archive ends at this UTC second or later."""
        files = trees.hour_files(edge, site)
        if not files:
            return False
        newest = newest_record(edge / files[-1].path)
        return int.from_bytes(newest[_STAMP], "little") + RECORD_S >= utc_s

    def _equal(self, site: str, edge: Path, hours: Collection[int]) -> bool:
        paths = [trees.hour_path(site, hour * HOUR_S) for hour in sorted(hours)]
        filed = [file.path for file in trees.hour_files(self._center, site)]
        same = all(content(self._center, path) == content(edge, path) for path in paths)
        return same and all((edge / path).exists() for path in filed)


def newest_record(path: Path) -> bytes:
    """The last whole record of an hour file; empty where there is none, or no such file any more:
    a system may change its archive while we look."""
    try:
        with path.open("rb") as file:
            whole = path.stat().st_size // RECORD_BYTES * RECORD_BYTES
            file.seek(max(0, whole - RECORD_BYTES))
            return file.read(RECORD_BYTES)
    except OSError:
        return b""


def records_in(paths: Iterable[Path]) -> int:
    """How many whole records files have room for; a file that is gone has none."""
    return sum(_size(path) // RECORD_BYTES for path in paths)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
