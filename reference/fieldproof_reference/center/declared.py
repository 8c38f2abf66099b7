"""What edges have signed of their days, and where they are to be asked.

An edge is asked where its newest authentic manifest came from, for that is the way through whatever
translates addresses in between (T9). A manifest that is not authentic is nobody's, and one that is
replayed moves nobody.
"""

from collections.abc import Mapping

from fieldproof_contract import SECOND_NS, Address, Now
from fieldproof_reference.center import EdgeAtCenter, SiteDay
from fieldproof_reference.formats.days import DAY_S
from fieldproof_reference.protocols.repair import Malformed, Manifest, read_manifest

DAY_NS = DAY_S * SECOND_NS


class Declared:
    """The manifests of some sites."""

    def __init__(self, sites: Mapping[str, EdgeAtCenter]) -> None:
        self._sites = sites
        self._edges = {site: known.repair for site, known in sites.items()}
        self._newest: dict[str, Manifest] = {}
        self._kept: dict[SiteDay, Manifest] = {}

    def hear(self, site: str, data: bytes, source: Address, now: Now) -> Manifest | None:
        """A manifest, if this is an authentic one."""
        try:
            manifest = read_manifest(data, self._sites[site].key, now.utc_ns // DAY_NS)
        except Malformed:
            return None
        newest = self._newest.get(site)
        if newest is None or (manifest.day >= newest.day and manifest != newest):
            self._newest[site] = manifest
            self._edges[site] = source
        return manifest

    def edge(self, site: str) -> Address:
        """Where the site's edge is."""
        return self._edges[site]

    def keep(self, of: SiteDay, manifest: Manifest) -> None:
        """For a day that has no case yet."""
        self._kept[of] = manifest

    def take(self, of: SiteDay) -> Manifest | None:
        """What was kept for the day."""
        return self._kept.pop(of, None)
