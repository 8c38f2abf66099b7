"""The door of the live tier: a system under test is a command, and this is what it is told.

Everything is said in `FIELDPROOF_*` environment variables (THIRD-PARTY.md explains each). Our own
reference goes through the same door; the harness knows no more of it than of any other command.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from fieldproof.oracle.trees import STREAM_PORTS
from fieldproof.scenario import Center, Scenario, Site, StatusMonitor
from fieldproof.systems import key

REFERENCE = {
    "edge": f"{sys.executable} -m fieldproof_reference edge",
    "center": f"{sys.executable} -m fieldproof_reference center",
}
"""The commands that stand in for a system that nobody named."""

SERVE = f"{sys.executable} -m fieldproof_reference serve"
"""What serves a foreign edge's archive by HTTP Range, from inside that edge's network."""

TELEMETRY_PORT = STREAM_PORTS["telemetry"]

SERVED_PORT = 24989
"""Where the harness serves a foreign edge's archive; the edge may have a server of its own."""

PURPOSES = {TELEMETRY_PORT: "telemetry", STREAM_PORTS["status"]: "status"} | {
    24988: "http",
    SERVED_PORT: "http",
    24990: "repair",
    24991: "manifest",
    24992: "rsync",
}
"""What a packet is for, by port: UDP, and TCP of the archive that a center fetches from."""


class Whereabouts(NamedTuple):
    """Where a host's things are on this machine."""

    disk: Path
    events: Path
    clock: Path
    utc_offset_s: float  # to be added to the machine's UTC at the start of the run
    address: str  # the host's own


def edge_environment(
    scenario: Scenario, site: Site, seed: int, at: Whereabouts, serial: str, center: str
) -> dict[str, str]:
    """What the edge of a site is told; `center` is the address at which it finds the center."""
    told = _common(scenario, "edge", at)
    told["FIELDPROOF_SITE"] = site.name
    told["FIELDPROOF_SERIAL"] = serial
    told["FIELDPROOF_ADDRESS"] = at.address
    told["FIELDPROOF_CENTER"] = f"{center}:{TELEMETRY_PORT}"
    told["FIELDPROOF_KEY"] = key(seed, site.name).hex()
    if any(isinstance(instrument, StatusMonitor) for instrument in site.instruments):
        told["FIELDPROOF_STATUS"] = "1"
    if site.reconcile == "rsync":
        told["FIELDPROOF_SHARES"] = "1"
    return told


def center_environment(
    scenario: Scenario, center: Center, at: Whereabouts, sites: Path
) -> dict[str, str]:
    """What the center is told; `sites` is the file that `sites_document` makes."""
    told = _common(scenario, "center", at)
    told["FIELDPROOF_LISTEN"] = f"{at.address}:{TELEMETRY_PORT}"
    told["FIELDPROOF_SITES"] = str(sites)
    return told


def sites_document(
    scenario: Scenario, seed: int, addresses: Mapping[str, str], foreign_edge: bool
) -> bytes:
    """The sites as a center knows them: addresses, keys, and how each is reconciled.

    A foreign edge speaks no repair protocol of ours, so its archive is fetched by HTTP Range."""
    center_asks = scenario.center.reconciles
    known = {
        site.name: {
            "address": addresses[site.name],
            "key": key(seed, site.name).hex(),
            "reconcile": _method(site, foreign_edge) if center_asks else "none",
        }
        | ({"fetch_from": f"{addresses[site.name]}:{SERVED_PORT}"} if foreign_edge else {})
        for site in scenario.sites
    }
    return msgspec.json.encode(known)


def _method(site: Site, foreign_edge: bool) -> str:
    return "http-range" if foreign_edge and site.reconcile != "none" else site.reconcile


def _common(scenario: Scenario, role: str, at: Whereabouts) -> dict[str, str]:
    return {
        "FIELDPROOF_ROLE": role,
        "FIELDPROOF_SCENARIO": scenario.name,
        "FIELDPROOF_ARCHIVE": str(at.disk),
        "FIELDPROOF_EVENTS": str(at.events),
        "FIELDPROOF_CLOCK": str(at.clock),
        "FIELDPROOF_UTC_OFFSET_S": f"{at.utc_offset_s:.9f}",
    }
