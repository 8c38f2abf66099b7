"""The center's hour files of a site's day: where they are, what they hold, what stands for them."""

from fieldproof_contract import DiskView
from fieldproof_reference.center import SiteDay
from fieldproof_reference.center.assemble import Day
from fieldproof_reference.formats import trees
from fieldproof_reference.formats.days import DAY_S, HOUR_S
from fieldproof_reference.protocols.repair import day_digest


def folder_of(of: SiteDay) -> str:
    """The folder of the day's files, with a final `/`."""
    return trees.day_folder(of.site, of.day * DAY_S) + "/"


def path_of(of: SiteDay, hour: int) -> str:
    """The file of an hour of the day."""
    return trees.hour_path(of.site, of.day * DAY_S + hour * HOUR_S)


def read_day(disk: DiskView, of: SiteDay) -> dict[int, bytes]:
    """The hour files, by hour."""
    paths = trees.site_hour_paths(disk.listing(folder_of(of)), of.site)
    return {trees.hour_of(path): disk.read(path) for path in paths}


def digest_of(of: SiteDay, day: Day) -> bytes:
    """32 bytes that stand for the day, as the edge's manifest has them."""
    return day_digest([(path_of(of, h).rpartition("/")[2], data) for h, data in day.items()])
