"""What the stage and its pump say to each other, as messages of `machines.live.control`.

    stage    Attach for each end, then Start; after that, orders in any number; Stop
    pump     Ready; a Status about four times a second; at the end, LinkEnd for each link, Ended

Times are true time in nanoseconds. A fault is named by its index in the scenario.
"""

from typing import TypeAlias

from msgspec import Struct

# --- from the stage -------------------------------------------------------------------------------


class Attach(Struct, frozen=True, tag="attach"):
    """An end of the pump; its descriptors come with the message."""

    kind: str
    name: str
    settings: dict[str, str]
    descriptors: int  # how many


class PumpBegin(Struct, frozen=True, tag="begin"):
    """All that the pump has to know of a run."""

    began_ns: int  # CLOCK_MONOTONIC at true time 0
    begins_utc_ns: int  # true UTC at true time 0
    seed: int
    purposes: dict[int, str]  # by port
    links: tuple[tuple[str, str], ...]  # name and profile
    sites: tuple[tuple[str, str, str], ...]  # name, address and link
    center: tuple[str, str]  # name and address
    outages_until_ns: int = 0
    """Until when the profiles' own outages strike."""


class Start(Struct, frozen=True, tag="start"):
    """Begin; captures and facts go to the folder."""

    begin: PumpBegin
    folder: str


class GoDark(Struct, frozen=True, tag="go_dark"):
    """An outage begins."""

    link: str
    fault: int


class Recover(Struct, frozen=True, tag="recover"):
    """An outage ends."""

    link: str
    fault: int


class Obey(Struct, frozen=True, tag="obey"):
    """Do something to the next `count` telemetry datagrams."""

    link: str
    kind: str
    count: int
    fault: int
    by_ns: int


class Move(Struct, frozen=True, tag="move"):
    """A host has another address from now on."""

    host: str
    address: str


class Inject(Struct, frozen=True, tag="inject"):
    """A part of a stranger's packet, which goes to the host when the last part is there."""

    host: str
    part: bytes
    is_last: bool


class Stop(Struct, frozen=True, tag="stop"):
    """The run is over."""


Command: TypeAlias = Attach | Start | GoDark | Recover | Obey | Move | Inject | Stop

# --- from the pump --------------------------------------------------------------------------------


class Ready(Struct, frozen=True, tag="ready"):
    """All links work."""


class WayStatus(Struct, frozen=True):
    """One direction of a link at this moment; counts are from the beginning."""

    link: str
    direction: str
    packets: int  # offered
    bytes: int  # offered
    delivered: int
    lost: int
    held: int  # on their way now
    bit_s: int  # in the last second


class Status(Struct, frozen=True, tag="status"):
    """What is going on."""

    ns: int
    ways: tuple[WayStatus, ...]
    fired: dict[int, int]
    """How many datagrams each fault's orders have met."""
    facts: list[dict[str, str | int]]
    """The latest, as they are in the file."""
    unshown: int
    """Further facts, which are in the file only."""


class LinkEnd(Struct, frozen=True, tag="link_end"):
    """What is left of a link: rows of `world.json`."""

    wire: tuple[dict[str, str | int], ...]
    achieved: tuple[dict[str, str | int | float | None], ...]
    generators_end: dict[str, str]


class Ended(Struct, frozen=True, tag="ended"):
    """The last word."""

    fired: dict[int, int]


Said: TypeAlias = Ready | Status | LinkEnd | Ended
