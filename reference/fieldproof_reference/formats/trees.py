"""The names of the two file trees (riometer data flow, 2006), relative, with `/`, in UTC.

    riometer/2006/01/17/daws_xrio/20060117_16_daws_xrio.dat     by the hour of the first sample
    udp/2006/01/17/206.172.47.234/ut16_24985.dat and .idx       by the hour of arrival

Edge and center use the same names, so that standard tools can compare them. What comes from the
network goes into a path only after it was recognised: a site or stream is four lower-case ASCII
letters, a source is an IP address in text form; anything else is a ValueError (T16).
Every reader rebuilds the path from what it read and compares: only a name this file writes is read.
"""

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

from fieldproof_reference.formats.days import day_number, day_text

Suffix: TypeAlias = Literal["dat", "idx"]

_HOUR_S = 3600
_FOUR_LETTERS = re.compile(r"[a-z]{4}")
_HOUR_PATH = re.compile(r"riometer/.+/(\d{8})_(\d\d)_([a-z]{4})_([a-z]{4})\.dat", re.ASCII)
_ARRIVAL_PATH = re.compile(r"udp/(\d{4}/\d\d/\d\d)/([^/]+)/ut(\d\d)_(\d{1,5})\.(dat|idx)", re.ASCII)


class HourFile(NamedTuple):
    """What the path of an hour file says."""

    site: str
    stream: str
    utc_s: int  # Unix second at which the hour begins


class ArrivalFile(NamedTuple):
    """What the path of an arrival file says."""

    utc_s: int  # Unix second at which the hour begins
    source_host: str
    port: int
    suffix: Suffix


def hour_path(site: str, utc_s: int, stream: str = "xrio") -> str:
    """The hour file of a record whose first sample is of Unix second `utc_s`."""
    return _hour_path(site, stream, utc_s // _HOUR_S)


def day_folder(site: str, utc_s: int, stream: str = "xrio") -> str:
    """The folder, without a final `/`, of the hour files of that day."""
    return hour_path(site, utc_s, stream).rpartition("/")[0]


def arrival_path(utc_s: int, source_host: str, port: int, suffix: Suffix) -> str:
    """The raw file of what arrived from `source_host` at the local `port` in that hour."""
    return _arrival_path(utc_s // _HOUR_S, source_host, port, suffix)


def parse_hour_path(path: str) -> HourFile | None:
    """What `hour_path` was asked for, to the hour; None for any other path."""
    match = _HOUR_PATH.fullmatch(path)
    if match is None:
        return None
    day, hour, site, stream = match.groups()
    utc_s = _hour_start_s(day, hour)
    if utc_s is None or hour_path(site, utc_s, stream) != path:
        return None
    return HourFile(site, stream, utc_s)


def parse_arrival_path(path: str) -> ArrivalFile | None:
    """What `arrival_path` was asked for, to the hour; None for any other path."""
    match = _ARRIVAL_PATH.fullmatch(path)
    if match is None:
        return None
    day, source_host, hour, port, suffix_text = match.groups()
    suffix: Suffix = "dat" if suffix_text == "dat" else "idx"
    utc_s = _hour_start_s(day.replace("/", ""), hour)
    try:
        if utc_s is None or arrival_path(utc_s, source_host, int(port), suffix) != path:
            return None
    except ValueError:
        return None
    return ArrivalFile(utc_s, source_host, int(port), suffix)


def site_hour_paths(paths: Iterable[str], site: str, stream: str = "xrio") -> list[str]:
    """Those of the paths that are hour files of this site and stream, in their order."""
    ending = f"_{site}_{stream}.dat"
    return [path for path in paths if path.endswith(ending) and parse_hour_path(path) is not None]


def hour_of(name: str) -> int:
    """The hour of the day, 0 to 23, that an hour file's path or base name says."""
    return int(name.rpartition("/")[2][9:11])


@lru_cache(maxsize=1024)
def _hour_path(site: str, stream: str, hours: int) -> str:
    for name in (site, stream):
        if _FOUR_LETTERS.fullmatch(name) is None:
            raise ValueError(f"{name!r} is not four lower-case letters and makes no path")
    day, hour = divmod(hours, 24)
    leaf = f"{site}_{stream}"
    folder = f"riometer/{day_text(day, '%Y/%m/%d')}/{leaf}"
    return f"{folder}/{day_text(day, '%Y%m%d')}_{hour:02d}_{leaf}.dat"


@lru_cache(maxsize=1024)
def _arrival_path(hours: int, source_host: str, port: int, suffix: Suffix) -> str:
    ipaddress.ip_address(source_host)  # a ValueError that names the text
    day, hour = divmod(hours, 24)
    return f"udp/{day_text(day, '%Y/%m/%d')}/{source_host}/ut{hour:02d}_{port}.{suffix}"


def _hour_start_s(day: str, hour: str) -> int | None:
    """The Unix second at which an hour begins, from `YYYYMMDD` and `HH`."""
    try:
        hours = 24 * day_number(day) + int(hour)
    except ValueError:
        return None
    return hours * _HOUR_S if int(hour) < 24 else None
