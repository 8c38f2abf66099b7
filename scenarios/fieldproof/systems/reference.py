"""The door to our own reference edge and center: the only file of the harness that imports them."""

from collections.abc import Callable, Mapping

from fieldproof.scenario import Center, Riometer, Site, StatusMonitor
from fieldproof.systems import Part, key
from fieldproof_contract import Address, Node
from fieldproof_reference import hosts, ports
from fieldproof_reference.center import CenterSettings, EdgeAtCenter
from fieldproof_reference.edge import EdgeSettings
from fieldproof_reference.hosts import CENTER, EDGE, STATUS

PURPOSES = {
    ports.TELEMETRY: "telemetry",
    ports.STATUS: "status",
    ports.REPAIR: "repair",
    ports.MANIFEST: "manifest",
    ports.ARCHIVE: "http",
    ports.RSYNC: "rsync",
}

NODES = EDGE.keys() | STATUS.keys() | CENTER.keys()


class Reference:
    """The reference system. `instead` replaces nodes by name: how a variant is put in.

    A variant's name says so: "reference with acquire=Deaf"."""

    purposes = PURPOSES

    def __init__(self, instead: Mapping[str, Callable[..., Node]] | None = None) -> None:
        self._instead = dict(instead or {})
        unknown = self._instead.keys() - NODES
        if unknown:
            raise ValueError(f"The reference has no node {sorted(unknown)}: see its hosts.py.")
        put_in = [f"{node}={_title(make)}" for node, make in sorted(self._instead.items())]
        self.name = f"reference with {', '.join(put_in)}" if put_in else "reference"

    def draw(self, document: bytes) -> bytes:
        """The plot of a day. Raises OSError without matplotlib, or where this is no document."""
        try:
            from fieldproof_reference.engines import plots  # it takes a second
        except ImportError as error:
            raise OSError(f"There is no plot: {error}.") from None
        try:
            return plots.draw(document)
        except (ValueError, KeyError, TypeError) as error:
            raise OSError(f"There is no plot of this document: {error!r}.") from None

    def edge(self, site: Site, center: Center, seed: int) -> tuple[Part, ...]:
        """A riometer edge, with a status monitor where the site has one. One without instruments
        has an archive all the same."""
        shares = site.reconcile == "rsync"
        settings = EdgeSettings(site.name, center.address, key(seed, site.name), shares)
        parts = hosts.edge_parts(
            settings,
            riometer=not site.instruments or any(map(_is_riometer, site.instruments)),
            status=any(isinstance(instrument, StatusMonitor) for instrument in site.instruments),
            instead=self._instead,
        )
        return tuple(Part(*part) for part in parts)

    def center(self, center: Center, sites: tuple[Site, ...], seed: int) -> tuple[Part, ...]:
        """A center that knows these sites."""
        known = {
            site.name: EdgeAtCenter(
                key(seed, site.name), Address(site.address, ports.REPAIR), site.reconcile
            )
            for site in sites
        }
        parts = hosts.center_parts(
            CenterSettings(known), reconciles=center.reconciles, instead=self._instead
        )
        return tuple(Part(*part) for part in parts)


def _is_riometer(part: object) -> bool:
    return isinstance(part, Riometer)


def _title(make: Callable[..., Node]) -> str:
    """A name that is the same in every process, which the text of an object is not."""
    return str(getattr(make, "__name__", type(make).__name__))
