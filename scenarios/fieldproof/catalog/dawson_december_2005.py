"""December 2005 at Dawson: the month whose daily counts "Riometer data flow" lists.

The document says that most of the 125 missing records were server downtime. What was which day by
day it does not say: `SERVER_MINUTES` is our arrangement, 89 of 125 on the days of the largest
losses. While the server is down it hears from nobody, so a second and a third site are here to tell
it from the network in the index files (R1-21). The month ends with a leap second.
"""

from fieldproof import norstar
from fieldproof.checks import (
    accounted,
    identical,
    in_order,
    lost_exactly,
    raw_untouched,
    received_daily,
    split_recovered,
    wire_bytes,
)
from fieldproof.faults import CenterDown, Lose, Timed, at
from fieldproof.scenario import Center, Scenario

RECEIVED = (
    *(1426, 1438, 1436, 1439, 1438, 1418, 1437, 1435, 1439, 1440),
    *(1439, 1439, 1437, 1430, 1436, 1411, 1438, 1440, 1439, 1439),
    *(1439, 1438, 1440, 1439, 1439, 1431, 1440, 1438, 1439, 1438, 1440),
)
"""Records from Dawson per day, 1 to 31 December 2005 (riometer data flow, 2006)."""

SERVER_MINUTES = {1: 13, 3: 3, 6: 21, 8: 4, 14: 9, 15: 3, 16: 28, 26: 8}
"""Minutes of server downtime, by day of the month."""

SITES = ("daws", "gill", "fsim")
MINUTES = 1440


def _moment(day: int, minute: int, second: int) -> str:
    return f"2005-12-{day:02d}T{minute // 60:02d}:{minute % 60:02d}:{second:02d}"


def _faults_of(day: int, received: int) -> tuple[Timed, ...]:
    """Downtime from :56 to :56, when no site sends; single losses in minutes far from it."""
    server = SERVER_MINUTES.get(day, 0)
    down = 200 + day * 37  # minute of the day
    outage = at(_moment(day, down, 56), CenterDown(), until=_moment(day, down + server, 56))
    network = MINUTES - received - server
    minutes = sorted((down + 100 + day * 13 + nth * 173) % (MINUTES - 10) for nth in range(network))
    losses = tuple(at(_moment(day, minute, 30), Lose("vsat-daws")) for minute in minutes)
    return (outage, *losses) if server else losses


SCENARIO = Scenario(
    name="dawson-december-2005",
    story="A month of server downtime and single losses, day by day as the 2006 document lists it.",
    starts="2005-12-01T00:00Z",
    lasts="31d",
    links=norstar.links("dawson-2005", SITES),
    nodes=(*norstar.riometers(SITES), Center()),
    faults=tuple(
        fault for day, received in enumerate(RECEIVED, 1) for fault in _faults_of(day, received)
    ),
    checks=(
        received_daily("daws", RECEIVED),
        lost_exactly("vsat-daws", 125),
        split_recovered("daws"),
        identical("center:*", to="edges"),
        identical("*", to="oracle"),
        accounted(),
        in_order(),
        raw_untouched(),
        wire_bytes("vsat-daws", "repair", at_most=12_000),
    ),
)
