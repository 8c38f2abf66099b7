"""Short worlds of the live tier: one site, real time, one record or two.

A record takes its sixty seconds, and only what begins in the judged span is counted. `lead` is 5 s,
so the edge is killed 8 s after it was booted: its next record is the one to be judged. The center
looks at what is new every ten seconds. Hence no world proves anything in less than 85 s.

Times of faults are by the scenario's clock: 08:10:00 is 5 s after the hosts were booted. The
noise is so strong that no two seconds look alike, and that any byte comes that means something to a
terminal.
"""

from fieldproof.checks import (
    Check,
    accounted,
    declared,
    identical,
    in_order,
    latency,
    quarantined,
    raw_untouched,
    sometimes,
)
from fieldproof.faults import ClockStep, Cooked, Kill, Timed, Unplug, at
from fieldproof.norstar import DAWSON
from fieldproof.scenario import Center, Link, Riometer, Scenario, Site

TO_EDGE = identical("center", to="daws")
TO_TRUTH = identical("daws", to="oracle")
ACCOUNTED = accounted()
DECLARED = declared()
IN_ORDER = in_order()
RAW = raw_untouched()
NOTHING_REFUSED = quarantined("*", 0)
CLAIMS: tuple[Check, ...] = (
    TO_EDGE,
    TO_TRUTH,
    ACCOUNTED,
    DECLARED,
    IN_ORDER,
    RAW,
    NOTHING_REFUSED,
)


NOISY = Riometer(noise="la-jolla")


def world(
    name: str,
    *faults: Timed,
    lasts: str = "63s",
    lead: str = "5s",
    claims: tuple[Check, ...] = CLAIMS,
    reconciles: bool = True,
    settles_within: str = "30s",
) -> Scenario:
    """One site on the Dawson link, by default for as long as one record."""
    return Scenario(
        name=name,
        story="A short time in which one thing may not be as it should be.",
        starts="2006-01-17T08:10:00Z",
        lasts=lasts,
        lead=lead,
        links=(Link("vsat"),),
        nodes=(
            Site("daws", via="vsat", address=DAWSON, instruments=(NOISY,)),
            Center(reconciles=reconciles),
        ),
        faults=faults,
        checks=claims,
        tiers=("live",),
        fidelity="words",
        settles_within=settles_within,
    )


RESTART = at("08:10:03", Kill("daws", restart_after_s=1))
"""8 s after the boot. The record that follows is over 72 s after the boot, or a little later."""

LATENCY = latency("daws", p50_s=5, p99_s=5)
SET_RAW = sometimes("line set raw", "daws")

PLAIN = world("live-plain", RESTART, claims=(*CLAIMS, LATENCY))

LINE = world(
    "live-line",
    RESTART,
    at("08:10:20", Unplug("daws"), until="08:10:23"),
    at("08:10:35", Cooked("daws"), until="08:10:41"),
    claims=(*CLAIMS, SET_RAW),
    settles_within="60s",
)

LATE_UNPLUG = world("live-late-unplug", RESTART, at("08:11:10", Unplug("daws"), until="08:11:12"))
"""The cable is pulled when the record is filed, and before the center has looked."""

CLOCK = world(
    "live-clock",
    RESTART,
    at("08:10:03.5", ClockStep("daws", by_s=-7)),
    claims=tuple(claim for claim in CLAIMS if claim != DECLARED),
)
"""The clock steps back while the edge is down: so it cannot know for how long it was."""

TWO_RECORDS = world(
    "live-two-records",
    at("08:11:01", Kill("daws", restart_after_s=2)),
    at("08:11:12", Kill("center", restart_after_s=2)),
    lasts="115s",
    settles_within="45s",
)
"""The edge is killed when its first record is filed, the center when it has looked at it."""

WORLDS = (PLAIN, LINE, LATE_UNPLUG, CLOCK, TWO_RECORDS)
"""In each of them the sound reference passes."""
