"""`fieldproof-center rebuild`: the archive once more from the raw tree, compared, and put right.

    fieldproof-center rebuild PATH                      into PATH.rebuilt, and compare
    fieldproof-center rebuild PATH --into OTHER         ... into another new folder
    fieldproof-center rebuild PATH --promote            ... and put right what is at odds
    fieldproof-center rebuild PATH --products           ... and draw all plots; needs matplotlib

PATH is the folder of a center; its sites are those that have hour files there, unless `--sites`
names others. What reconciliation brought is not in the raw tree: days and hours that a digest
proves, and stretches that notes explain, are named and left as they are. Nothing is overwritten
without `--promote`, which wants the center to be stopped; what then loses its place is kept in
quarantine. Of a center at work, what came within the last seconds may be at odds. Exit codes: 0
all is equal or on record, or was put right; 1 something is at odds; 4 a bad call; 69 something of
the machine is missing.
"""

import argparse
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from fieldproof_contract import Append, DiskView, Effects, Log, Remove, Replace, Sync
from fieldproof_reference.center import products
from fieldproof_reference.center import rebuild as core
from fieldproof_reference.center.rebuild import Found, Hour
from fieldproof_reference.formats import trees, xrio
from fieldproof_reference.formats.days import DAY_S, day_text
from fieldproof_reference.live.disk import Disk
from fieldproof_reference.live.fresh import Fresh, Glance
from fieldproof_reference.live.tree import Tree

BAD_CALL, UNAVAILABLE = 4, 69
APART_S = 90
MOST_SHOWN = 20

Say = Callable[[str], None]


class BadCall(Exception):
    """One sentence."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One sentence."""
        self.exit(BAD_CALL, f"{self.prog}: {message}; see --help.\n")


def rebuild(argv: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    parser = _Parser("fieldproof-center rebuild", description=__doc__.partition("\n")[0])
    parser.add_argument("path", type=Path, help="the folder of a center")
    parser.add_argument("--into", type=Path, help="a folder that is new or empty")
    parser.add_argument("--sites", help="four letters each, separated by commas")
    parser.add_argument("--products", action="store_true", help="make documents and plots, too")
    parser.add_argument("--promote", action="store_true", help="put right what is at odds")
    asked = parser.parse_args(argv)
    into = asked.into or asked.path.with_name(asked.path.resolve().name + ".rebuilt")
    try:
        return _rebuild(asked, into, _say)
    except (BadCall, FileExistsError) as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        return BAD_CALL
    except (OSError, ImportError) as error:
        sys.stderr.write(f"{parser.prog}: The rebuild was broken off: {error}.\n")
        return UNAVAILABLE


def refile(archive: DiskView, fresh: Fresh, sites: Iterable[str]) -> None:
    """Make all of it on `fresh`. Raises OSError."""
    for effects in core.refiled(archive, fresh, sites):
        fresh.perform(effects)
    for effects in core.derived(fresh):
        fresh.perform(effects)
    fresh.flush()


def draw(fresh: Fresh) -> int:
    """Make the document and the plot of each day on `fresh`, as a center does; how many. Raises
    OSError, and ImportError where there is no matplotlib."""
    from fieldproof_reference.engines import plots

    known: products.Known = {}
    days = core.site_days(fresh)
    for of in days:
        document = products.document_of(fresh, of, known)
        picture = Replace(products.plot_path(of), plots.draw(document))
        fresh.perform((Replace(products.document_path(of), document), picture))
    fresh.flush()
    return len(days)


def _rebuild(asked: argparse.Namespace, into: Path, say: Say) -> int:
    path, promotes = asked.path, asked.promote
    if not (path / "udp").is_dir():
        raise BadCall(f"There is no raw tree {path / 'udp'}: name the folder of a center.")
    tree = Tree(path)
    try:
        if promotes:
            _lock(tree, path)
        archive = Disk(tree) if promotes else Glance(tree)
        sites = _sites(archive, asked.sites)
        fresh = Fresh(into)
        refile(archive, fresh, sites)
        _say_what_came(fresh, into, say)
        if asked.products:
            say(f"  days drawn: {draw(fresh)}")
        return _compare(archive, fresh, say)
    finally:
        tree.close()


def _compare(archive: Disk | Glance, fresh: Fresh, say: Say) -> int:
    """Compare, put right what is on a disk, and say so; the exit code."""
    count: Counter[Found] = Counter()
    shown: list[str] = []
    odd: list[str] = []
    for hour in core.compared(archive, fresh):
        count[hour.found] += 1
        if hour.found is Found.AT_ODDS:
            odd.append(_hour_text(hour))
            if isinstance(archive, Disk):
                _carry_out(archive, core.promotion(archive, fresh, hour, int(time.time())))
        elif hour.found is not Found.EQUAL:
            shown.append(_hour_text(hour))
    stale = 0
    for effects in core.derived(archive):
        stale += bool(effects)
        if isinstance(archive, Disk):
            _carry_out(archive, effects)
    say(f"hour files       {sum(count.values()):7}")
    for found in Found:
        say(f"  {found:<15}{count[found]:7}")
    say(f"flags not as the hour files say {stale:7}")
    promotes = isinstance(archive, Disk)
    missing = [path for path in fresh.listing("quarantine/") if archive.size(path) is None]
    say(f"quarantined by the raw tree, and not there {len(missing):7}")
    _say_some("Not reproducible from the raw tree alone:", shown, say)
    _say_some("Put right:" if promotes else "At odds, and nothing says why:", odd, say)
    return 0 if promotes or not (odd or stale or missing) else 1


def _carry_out(archive: Disk, effects: Effects) -> None:
    """Change the archive, durably. Raises OSError."""
    for effect in effects:
        match effect:
            case Append(path, data):
                archive.append(path, data)
            case Replace(path, data):
                archive.replace(path, data)
            case Remove(path):
                archive.remove(path)
            case Sync(paths):
                for asked in archive.ask_sync(paths):
                    for fd in asked.fds:
                        os.fsync(fd)
                        os.close(fd)
                    archive.synced(asked)
            case Log():
                pass
            case _:
                raise TypeError(f"A rebuild has no {type(effect).__name__}.")


def _lock(tree: Tree, path: Path) -> None:
    try:
        tree.lock()
    except BlockingIOError:
        raise BadCall(f"A center is at work in {path}: stop it, and promote then.") from None


def _sites(archive: DiskView, named: str | None) -> list[str]:
    if named is not None:
        sites = sorted(filter(None, named.split(",")))
        if not sites or not all(re.fullmatch("[a-z]{4}", site) for site in sites):
            raise BadCall(f"--sites {named!r} is no list of sites: give four small letters each.")
        return sites
    hours = filter(None, map(trees.parse_hour_path, archive.listing(core.CANONICAL)))
    found = sorted({hour.site for hour in hours})
    if not found:
        raise BadCall("There are no hour files that would tell the sites: give --sites daws,gill.")
    return found


# --- what people read -----------------------------------------------------------------------------


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def _say_some(title: str, lines: Sequence[str], say: Say) -> None:
    if lines:
        say(title)
        for line in lines[:MOST_SHOWN]:
            say(f"  {line}")
        if len(lines) > MOST_SHOWN:
            say(f"  ... and {len(lines) - MOST_SHOWN} more")


def _say_what_came(fresh: Fresh, into: Path, say: Say) -> None:
    size = sum(fresh.size(path) or 0 for path in fresh.listing(core.CANONICAL))
    say(f"Rebuilt in {into}: {size} bytes in {len(fresh.listing(core.CANONICAL))} hour files.")
    kinds = Counter(log.what for log in fresh.logs)
    for what in sorted(kinds):
        say(f"  {what}: {kinds[what]}")


def _hour_text(hour: Hour) -> str:
    """`daws 2006-01-17 16h, proven: more 16:23:05 to 16:24:05 (2); less 16:59:05`."""
    place = trees.parse_hour_path(hour.path)
    if place is None:
        return hour.path
    named = f"{place.site} {day_text(place.utc_s // DAY_S)} {place.utc_s % DAY_S // 3600:02d}h"
    parts = [
        f"{word} {', '.join(_runs(items, place.utc_s // DAY_S))}"
        for word, items in (("more", hour.more), ("less", hour.less))
        if items
    ]
    return f"{named}, {hour.found}: {'; '.join(parts) or 'in another order'}"


def _runs(items: Sequence[bytes], day: int) -> Iterator[str]:
    """Records that follow each other in one minute after the other, as one; then the junk."""
    seconds = sorted(
        xrio.timestamp_s(item) - day * DAY_S for item in items if xrio.invalid(item) is None
    )
    runs: list[list[int]] = []
    for second in seconds:
        if runs and second - runs[-1][-1] <= APART_S:
            runs[-1].append(second)
        else:
            runs.append([second])
    for run in runs:
        until = f" to {_clock(run[-1])} ({len(run)})" if len(run) > 1 else ""
        yield _clock(run[0]) + until
    if len(items) > len(seconds):
        yield f"{sum(map(len, items)) - 380 * len(seconds)} bytes that are no record"


def _clock(second: int) -> str:
    return f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
