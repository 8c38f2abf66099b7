"""17 January 2006 at Dawson, as "Riometer data flow" tells it: the day that started the project."""

from msgspec.structs import replace

from fieldproof.checks import (
    Check,
    accounted,
    archive_bytes,
    identical,
    in_order,
    lost_exactly,
    raw_untouched,
    received_daily,
    sometimes,
    wire_bytes,
)
from fieldproof.faults import Lose, at
from fieldproof.scenario import Center, Link, Reconcile, Scenario, Site

DEATHS = (lost_exactly("vsat", 3),)
PROMISE: tuple[Check, ...] = (
    identical("center", to="daws"),
    identical("daws", to="oracle"),
    accounted(),
    in_order(),
    raw_untouched(),
)
REPAIRED = sometimes("repaired", "center/reconcile")

SCENARIO = Scenario(
    name="dawson-three-lost-packets",
    story="One site-day over a satellite link loses three datagrams; reconciliation restores them.",
    starts="2006-01-17T00:00Z",
    lasts="24h",
    links=(Link("vsat"),),
    nodes=(Site("daws", via="vsat", address="206.172.47.234"), Center()),
    # The record that begins at 16:23:05 is sent a minute later, and so on.
    faults=tuple(at(when, Lose("vsat")) for when in ("16:24", "18:42", "22:08")),
    checks=(
        *DEATHS,
        *PROMISE,
        received_daily("daws", (1437,)),
        wire_bytes("vsat", "repair", at_most=400),
        wire_bytes("vsat", "manifest", at_most=2 * 430),  # the day before closes too
        archive_bytes("daws", zlib6_bytes=109_275),
    ),
)


def by(method: Reconcile, story: str, cost: Check) -> Scenario:
    """The same day, made whole in another way; `cost` bounds what that takes."""
    site, center = SCENARIO.sites[0], SCENARIO.center
    return replace(
        SCENARIO,
        name=f"dawson-by-{method}",
        story=story,
        nodes=(replace(site, reconcile=method), center),
        checks=(*DEATHS, REPAIRED, *PROMISE, cost),
    )


def afterwards(method: Reconcile, story: str, cost: Check) -> Scenario:
    """The day with its gaps is there already, and is made whole in real time."""
    site, center = SCENARIO.sites[0], SCENARIO.center
    return Scenario(
        name=f"three-gaps-by-{method}",
        story=story,
        starts="2006-01-18T00:15Z",
        lasts="10s",
        lead="5s",
        links=SCENARIO.links,
        nodes=(replace(site, instruments=(), reconcile=method), center),
        checks=(REPAIRED, identical("center", to="daws"), in_order(), cost),
        tiers=("live", "virtual"),
        settles_within="3m",
        continues=SCENARIO,
    )
