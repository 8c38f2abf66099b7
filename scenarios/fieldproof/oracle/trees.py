"""The two file trees of "Riometer data flow", 2006, found on a disk.

    riometer/2006/01/17/daws_xrio/20060117_16_daws_xrio.dat     hour files, by first sample
    udp/2006/01/17/206.172.47.234/ut16_24985.dat and .idx       arrival files, by arrival

A file counts only where all parts of its path say the same thing.
"""

import calendar
import datetime
import re
import stat
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

TELEMETRY_PORT = 24985
STREAM_PORTS = {"telemetry": TELEMETRY_PORT, "status": 25000}
"""By purpose: the ports whose datagrams the raw tree keeps."""

PURPOSES = (*STREAM_PORTS, "repair", "manifest", "http", "rsync", "other")
"""What a packet on a link can be for."""

_YEAR, _MONTH, _DAY, _HOUR = r"([12]\d{3})", r"(0[1-9]|1[0-2])", r"([0-3]\d)", r"([01]\d|2[0-3])"
_EPOCH = datetime.date(1970, 1, 1).toordinal()
_HOUR_NAME = re.compile(rf"{_YEAR}{_MONTH}{_DAY}_{_HOUR}_[a-z]{{4}}_xrio\.dat", re.ASCII)
_ARRIVAL = re.compile(
    rf"udp/{_YEAR}/{_MONTH}/{_DAY}/([^/]+)/ut{_HOUR}_(\d+)\.(?:dat|idx)", re.ASCII
)


_NOTES = re.compile(rf"([^/]+)/{_YEAR}/{_MONTH}/{_DAY}/([^/]+)\.jsonl", re.ASCII)


class HourFile(NamedTuple):
    """One hour of records of one site."""

    utc_s: int  # Unix second at which the hour begins
    path: str  # relative to the disk


class ArrivalFile(NamedTuple):
    """What came from one address to one port in one hour."""

    utc_s: int
    address: str
    port: int
    path: str  # relative to the disk, without the suffix


def hour_path(site: str, utc_s: int) -> str:
    """Where the hour file of a Unix second belongs."""
    moment = datetime.datetime.fromtimestamp(utc_s, datetime.UTC)
    return f"riometer/{moment:%Y/%m/%d}/{site}_xrio/{moment:%Y%m%d_%H}_{site}_xrio.dat"


def hour_files(disk: Path, site: str) -> tuple[HourFile, ...]:
    """The site's hour files on a disk, in the order of their hours."""
    found = []
    for path in disk.glob(f"riometer/*/*/*/{site}_xrio/*_{site}_xrio.dat"):
        match = _HOUR_NAME.fullmatch(path.name)
        if match is None or not is_own(disk, path):
            continue
        year, month, day, hour = (int(field) for field in match.groups())
        utc_s = calendar.timegm((year, month, day, hour, 0, 0))
        relative = path.relative_to(disk).as_posix()
        if hour_path(site, utc_s) == relative:
            found.append(HourFile(utc_s, relative))
    return tuple(sorted(found))


def day_of(path: str, tree: str, site: str) -> int | None:
    """The day since 1970 of which a file has the notes of a site; None for any other file."""
    match = _NOTES.fullmatch(path)
    if match is None or (match[1], match[5]) != (tree, site):
        return None
    try:
        return datetime.date(*map(int, match.groups()[1:4])).toordinal() - _EPOCH
    except ValueError:
        return None


def is_own(disk: Path, path: Path) -> bool:
    """Whether a path is a regular file of this disk: no part of it is a link, to another host's
    files for instance, and reading it ends."""
    try:
        return stat.S_ISREG(path.lstat().st_mode) and _is_own_folder(disk, path.parent)
    except OSError:
        return False


@lru_cache(maxsize=65_536)
def _is_own_folder(disk: Path, folder: Path) -> bool:
    return folder == disk or (not folder.is_symlink() and _is_own_folder(disk, folder.parent))


def canonical_paths(disk: Path) -> frozenset[str]:
    """Whatever is under `riometer/` on a disk and no folder, whatever its name."""
    return frozenset(path.relative_to(disk).as_posix() for path in below(disk / "riometer"))


def below(folder: Path) -> Iterator[Path]:
    """Whatever is in a folder, at any depth, and no folder itself, in order. Links are not
    followed; a folder into which nobody can look stands for what it holds."""
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            inside = None
            if stat.S_ISDIR(here.lstat().st_mode):
                inside = sorted(here.iterdir(), reverse=True)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            pass
        if inside is None:
            yield here
        else:
            waiting += inside


def arrival_files(disk: Path, address: str = "*") -> tuple[ArrivalFile, ...]:
    """The arrival files of an address (or all), in order; each where its .dat or .idx exists."""
    found = set()
    for path in disk.glob(f"udp/*/*/*/{address}/ut*_*.*"):
        match = _ARRIVAL.fullmatch(path.relative_to(disk).as_posix())
        if match is None or not is_own(disk, path):
            continue
        year, month, day, source, hour, port = match.groups()
        utc_s = calendar.timegm((int(year), int(month), int(day), int(hour), 0, 0))
        stem = path.relative_to(disk).with_suffix("").as_posix()
        found.add(ArrivalFile(utc_s, source, int(port), stem))
    return tuple(sorted(found))
