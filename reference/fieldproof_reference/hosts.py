"""What an edge and a center are made of: which nodes, in which order, and what each of them hears.

The virtual world and the processes put their hosts together from these tables and from no others.
Nodes hear of things in the order of the table. `filing` stands before `lives`, so that at an end in
good order the last record is on the disk before the losses are counted.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple, TypeVar

from fieldproof_contract import Hears, Listen, Node
from fieldproof_reference import ports
from fieldproof_reference.center import (
    ARRIVED,
    CONFIRMED,
    DOUBTED,
    PROMOTED,
    REOPENED,
    CenterSettings,
)
from fieldproof_reference.center.fetch import Fetch
from fieldproof_reference.center.pages import Pages
from fieldproof_reference.center.products import Products
from fieldproof_reference.center.receive import Receive
from fieldproof_reference.center.reconcile import Reconcile
from fieldproof_reference.center.validate import Validate
from fieldproof_reference.edge import FILED, LOST, RECORD, EdgeSettings
from fieldproof_reference.edge.acquire import Acquire
from fieldproof_reference.edge.answer import Answer
from fieldproof_reference.edge.declare import Declare
from fieldproof_reference.edge.filing import Filing
from fieldproof_reference.edge.lives import Lives
from fieldproof_reference.edge.serve import Serve
from fieldproof_reference.edge.share import Share
from fieldproof_reference.edge.status import Status
from fieldproof_reference.edge.transmit import Transmit

Settings = TypeVar("Settings", EdgeSettings, CenterSettings)

LINE = "riometer"
"""The serial line of the A/D converter."""

EDGE: dict[str, tuple[Callable[[EdgeSettings], Node], Hears]] = {
    "acquire": (Acquire, (LINE,)),
    "filing": (Filing, (RECORD,)),
    "transmit": (Transmit, (FILED,)),
    "declare": (Declare, ()),
    "answer": (Answer, (ports.REPAIR,)),
    "lives": (Lives, (LOST,)),
    "serve": (Serve, (Listen(ports.ARCHIVE),)),
    "share": (Share, ()),
}
STATUS: dict[str, tuple[Callable[[EdgeSettings], Node], Hears]] = {"status": (Status, ())}
"""A second telemetry stream, where a site has a status monitor."""

CENTER: dict[str, tuple[Callable[[CenterSettings], Node], Hears]] = {
    "receive": (Receive, (ports.TELEMETRY, ports.STATUS)),
    "validate": (Validate, (ARRIVED, PROMOTED, CONFIRMED, REOPENED)),
    "reconcile": (Reconcile, (ports.MANIFEST, ports.REPAIR)),
    "fetch": (Fetch, (DOUBTED,)),
}
RECONCILING = ("reconcile", "fetch")
"""The nodes that a center does without which asks the edges for nothing."""

PRODUCTS: dict[str, tuple[Callable[[CenterSettings], Node], Hears]] = {
    "products": (Products, (ARRIVED, PROMOTED)),
}
"""Where a center draws plots."""


Instead = Mapping[str, Callable[..., Node]]
"""What makes another node in the place of one of these, by that one's name."""


class Part(NamedTuple):
    """A node of a host: its name, how to make it, and what it hears."""

    name: str
    make: Callable[[], Node]
    hears: Hears


def edge_parts(
    settings: EdgeSettings,
    *,
    riometer: bool = True,
    status: bool = False,
    instead: Instead | None = None,
) -> tuple[Part, ...]:
    """The nodes of an edge with these instruments."""
    table = (EDGE if riometer else {}) | (STATUS if status else {})
    return _parts(table, settings, instead or {})


def serve_parts() -> tuple[Part, ...]:
    """What offers the archive of somebody else's edge: it needs nothing but the folder."""
    return (Part("serve", Serve, (Listen(ports.ARCHIVE_OF_ANOTHER),)),)


def center_parts(
    settings: CenterSettings, *, reconciles: bool = True, instead: Instead | None = None
) -> tuple[Part, ...]:
    """The nodes of a center, which may do without asking the edges for anything."""
    table = {name: made for name, made in CENTER.items() if reconciles or name not in RECONCILING}
    table |= PRODUCTS if settings.products else {}
    if settings.page is not None:
        table["pages"] = (Pages, (ARRIVED, PROMOTED, CONFIRMED, REOPENED, Listen(settings.page)))
    return _parts(table, settings, instead or {})


def _parts(
    table: Mapping[str, tuple[Callable[[Settings], Node], Hears]],
    settings: Settings,
    instead: Instead,
) -> tuple[Part, ...]:
    return tuple(
        Part(name, partial(instead.get(name, make), settings), hears)
        for name, (make, hears) in table.items()
    )
