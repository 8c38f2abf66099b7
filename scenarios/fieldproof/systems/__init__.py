"""Doors to systems under test. Each says which nodes an edge and a center are made of."""

from collections.abc import Callable
from hashlib import sha256
from typing import NamedTuple, Protocol

from fieldproof.scenario import Center, Site
from fieldproof_contract import Hears, Node


class Part(NamedTuple):
    """A node of a system: its name on the host, how to make it, and what it hears."""

    name: str
    make: Callable[[], Node]
    hears: Hears  # UDP ports, names of serial lines, topics, TCP ports


class System(Protocol):
    """A system under test that runs in virtual time."""

    name: str
    """Tells this system from others, variants included: two runs of one name must be equal."""
    purposes: dict[int, str]
    """What a packet is for, by the port that says it."""

    def draw(self, document: bytes) -> bytes:
        """The plot of a document of its own (`DrawDay`). Raises OSError where there is none."""

    def edge(self, site: Site, center: Center, seed: int) -> tuple[Part, ...]:
        """The nodes of a field site, in the order in which they hear of things."""

    def center(self, center: Center, sites: tuple[Site, ...], seed: int) -> tuple[Part, ...]:
        """The nodes of the center."""


def key(seed: int, site: str) -> bytes:
    """The key that a site shares with the center in a run with this seed."""
    return sha256(f"key:{seed}:{site}".encode()).digest()
