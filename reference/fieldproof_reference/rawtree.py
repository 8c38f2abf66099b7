"""Finds index files in a tree that anybody's receiver wrote, and reads them. Nothing is written.

    .../2006/01/17/206.172.47.234/ut16_24985.idx      by date and hour of arrival, source and port

A file counts by the end of its path, so that any folder from the archive's own down to a day's will
do. Where some days are asked for, other folders are not even looked into, but for those of the
month before: a station that is silent now was heard then.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from fieldproof_reference.center.losses import Heard, HourFile, Unreadable, hear
from fieldproof_reference.formats.days import day_number, day_text

LOOK_BACK_DAYS = 31
"""How long a silent station is remembered: our assumption."""

_FILE = re.compile(
    r"(?P<root>.*?)/?(?P<day>\d{4}/\d\d/\d\d)/(?P<source>[\w.:%\[\]-]+)/ut(?P<hour>[01]\d|2[0-3])_"
    r"(?P<port>\d{1,5})\.idx",
    re.ASCII,
)
_FOLDER = re.compile(r".*/(?P<span>\d{4}(?:/\d\d(?:/\d\d)?)?)", re.ASCII)
_OTHER_FILES = (".dat", ".torn", ".jsonl", ".bin", ".png", ".json")


class BadCall(ValueError):
    """What was asked for cannot be done; the message is one sentence."""


class Days(NamedTuple):
    """Days that are asked for, half-open, counted from 1970."""

    first: int
    end: int


class Found(NamedTuple):
    """An index file in a tree."""

    path: Path
    root: str  # the folder of the years
    name: str  # below the root
    address: str
    port: int
    day: int
    hour: int  # from 1970


def month_of(text: str) -> Days:
    """The days of `YYYY-MM`. Raises ValueError."""
    first = day_of(f"{text}-01").first
    return Days(first, day_of(f"{day_text(first + 31, '%Y-%m')}-01").first)


def day_of(text: str) -> Days:
    """The one day of `YYYY-MM-DD`. Raises ValueError."""
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII) is None:
        raise ValueError(f"{text!r} is no day")
    return Days(day_number(text), day_number(text) + 1)


def base_of(path: Path) -> Path:
    """Where to look for a tree. Raises BadCall."""
    if not path.is_dir():
        raise BadCall(f"{path} is no folder: give an archive, its udp folder, a month or a day.")
    inner = path / "udp"
    return (inner if inner.is_dir() else path).resolve()


def days_of(base: Path) -> Days | None:
    """The days of a folder, by its own name; None for a tree, and for a year of one."""
    for folder in (base, base.parent):  # of a day, or of a source in it
        match = _FOLDER.fullmatch(folder.as_posix())
        parts = match["span"].split("/") if match else []
        with suppress(ValueError):
            if len(parts) == 3:
                return day_of("-".join(parts))
            if len(parts) == 2 and folder is base:
                return month_of("-".join(parts))
    return None


def find(base: Path, days: Days | None) -> list[Found]:
    """The index files below a folder, by source, port and hour; of these days and of the month
    before them, where days are asked for. Raises BadCall where there are files of several trees."""
    found = sorted(_walk(base, days), key=lambda one: (one.address, one.port, one.hour))
    roots = sorted({one.root for one in found})
    if len(roots) > 1:
        raise BadCall(f"{base} holds several trees: give one of them, for example {roots[0]}.")
    return found


def _walk(folder: Path, days: Days | None) -> Iterator[Found]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise BadCall(f"{folder} cannot be read: {error.strerror}.") from None
    for path in entries:
        if path.suffix == ".idx":
            one = None if path.is_fifo() else _found(path)
            if one is not None:
                yield one
        elif path.suffix in _OTHER_FILES or path.is_symlink() or not path.is_dir():
            continue
        elif days is None or _matters(path, days):
            yield from _walk(path, days)


def _matters(folder: Path, days: Days) -> bool:
    """Whether a folder may hold files of these days or of the month before."""
    match = _FOLDER.fullmatch(folder.as_posix())
    if match is None:
        return True
    form = "%Y/%m/%d"[: 3 * match["span"].count("/") + 2]
    texts = {day_text(day, form) for day in range(days.first - LOOK_BACK_DAYS, days.end)}
    return match["span"] in texts


def _found(path: Path) -> Found | None:
    text = path.as_posix()
    match = _FILE.fullmatch(text)
    if match is None:
        return None
    try:
        day = day_number(match["day"].replace("/", "-"))
    except ValueError:
        return None
    hour = day * 24 + int(match["hour"])
    name = text.removeprefix(f"{match['root']}/")
    return Found(path, match["root"], name, match["source"], int(match["port"]), day, hour)


# --- reading ---


def heard(
    files: Sequence[Found], earlier: Sequence[Found], quarantined: frozenset[str]
) -> list[Heard]:
    """What came, by address and port. Who was heard only earlier has an entry, too."""
    groups, before = _by_stream(files), _by_stream(earlier)
    seen: set[int] = set()  # a record may come from two addresses, and is a duplicate then
    found = []
    for key in sorted(groups.keys() | before.keys()):
        unreadable: list[Unreadable] = []
        one = hear(_hours(groups.get(key, []), unreadable), quarantined, seen)
        one.address, one.port = key
        one.unreadable += unreadable
        one.hours_before = len(before.get(key, []))
        if one.site is None and key in before:
            one.site = hear(_hours(before[key][-1:], []), quarantined, set()).site
        found.append(one)
    return found


def _by_stream(files: Iterable[Found]) -> dict[tuple[str, int], list[Found]]:
    groups: dict[tuple[str, int], list[Found]] = {}
    for file in files:
        groups.setdefault((file.address, file.port), []).append(file)
    return groups


def _hours(files: Iterable[Found], unreadable: list[Unreadable]) -> Iterator[HourFile]:
    """The files' contents, one at a time."""
    for file in files:
        try:
            lines = file.path.read_bytes()
        except OSError as error:
            unreadable.append(Unreadable(file.name, 0, error.strerror or str(error)))
            continue
        dat = partial(content, file.path.with_suffix(".dat"))
        yield HourFile(file.name, file.address, file.port, file.hour, lines, dat)


def content(path: Path) -> bytes | None:
    """A file's bytes; None where it is not there or cannot be read."""
    try:
        return path.read_bytes()
    except OSError:
        return None
