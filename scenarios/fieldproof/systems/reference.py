"""The door to our own reference edge and center: the only file of the harness that imports them."""

from collections.abc import Callable, Mapping
from functools import partial
from hashlib import sha256
from typing import TypeVar

from fieldproof.scenario import Center, Riometer, Site, StatusMonitor
from fieldproof.systems import Part
from fieldproof_contract import Address, Node
from fieldproof_reference import ports
from fieldproof_reference.center import (
    ARRIVED,
    CONFIRMED,
    PROMOTED,
    REOPENED,
    CenterSettings,
    EdgeAtCenter,
)
from fieldproof_reference.center.receive import Receive
from fieldproof_reference.center.reconcile import Reconcile
from fieldproof_reference.center.validate import Validate
from fieldproof_reference.edge import FILED, RECORD, EdgeSettings
from fieldproof_reference.edge.acquire import Acquire
from fieldproof_reference.edge.answer import Answer
from fieldproof_reference.edge.declare import Declare
from fieldproof_reference.edge.filing import Filing
from fieldproof_reference.edge.status import Status
from fieldproof_reference.edge.transmit import Transmit

Settings = TypeVar("Settings", EdgeSettings, CenterSettings)

PURPOSES = {
    ports.TELEMETRY: "telemetry",
    ports.STATUS: "status",
    ports.REPAIR: "repair",
    ports.MANIFEST: "manifest",
}

LINE = "riometer"
"""The serial line of the A/D converter."""

Hears = tuple[int | str, ...]

EDGE: dict[str, tuple[Callable[[EdgeSettings], Node], Hears]] = {
    "acquire": (Acquire, (LINE,)),
    "filing": (Filing, (RECORD,)),
    "transmit": (Transmit, (FILED,)),
    "declare": (Declare, ()),
    "answer": (Answer, (ports.REPAIR,)),
}
CENTER: dict[str, tuple[Callable[[CenterSettings], Node], Hears]] = {
    "receive": (Receive, (ports.TELEMETRY, ports.STATUS)),
    "validate": (Validate, (ARRIVED, PROMOTED, CONFIRMED, REOPENED)),
    "reconcile": (Reconcile, (ports.MANIFEST, ports.REPAIR)),
}


class Reference:
    """The reference system. `instead` replaces nodes by name: how a variant is put in.

    A variant's name says so: "reference with acquire=Deaf"."""

    purposes = PURPOSES

    def __init__(self, instead: Mapping[str, Callable[..., Node]] | None = None) -> None:
        self._instead = dict(instead or {})
        unknown = self._instead.keys() - EDGE.keys() - CENTER.keys() - {"status"}
        if unknown:
            raise ValueError(f"The reference has no node {sorted(unknown)}: see EDGE and CENTER.")
        put_in = [f"{node}={_title(make)}" for node, make in sorted(self._instead.items())]
        self.name = f"reference with {', '.join(put_in)}" if put_in else "reference"

    def edge(self, site: Site, center: Center, seed: int) -> tuple[Part, ...]:
        """A riometer edge, with a status monitor where the site has one."""
        settings = EdgeSettings(site.name, center.address, key(seed, site.name))
        parts: tuple[Part, ...] = ()
        if any(isinstance(instrument, Riometer) for instrument in site.instruments):
            parts += tuple(self._part(name, *made, settings) for name, made in EDGE.items())
        if any(isinstance(instrument, StatusMonitor) for instrument in site.instruments):
            parts += (self._part("status", Status, (), settings),)
        return parts

    def center(self, center: Center, sites: tuple[Site, ...], seed: int) -> tuple[Part, ...]:
        """A center that knows these sites."""
        known = {
            site.name: EdgeAtCenter(key(seed, site.name), Address(site.address, ports.REPAIR))
            for site in sites
        }
        settings = CenterSettings(known)
        nodes = {
            name: made for name, made in CENTER.items() if center.reconciles or name != "reconcile"
        }
        return tuple(self._part(name, *made, settings) for name, made in nodes.items())

    def _part(
        self,
        name: str,
        make: Callable[[Settings], Node],
        hears: Hears,
        settings: Settings,
    ) -> Part:
        return Part(name, partial(self._instead.get(name, make), settings), hears)


def _title(make: Callable[..., Node]) -> str:
    """A name that is the same in every process, which the text of an object is not."""
    return str(getattr(make, "__name__", type(make).__name__))


def key(seed: int, site: str) -> bytes:
    """The key that a site shares with the center in a run with this seed."""
    return sha256(f"key:{seed}:{site}".encode()).digest()
