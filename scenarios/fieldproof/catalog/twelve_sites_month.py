"""A month of the whole network: 535 680 records, end to end."""

from fieldproof import norstar
from fieldproof.checks import accounted, identical, in_order, raw_untouched, sometimes
from fieldproof.scenario import Center, Scenario

SCENARIO = Scenario(
    name="twelve-sites-month",
    story="Twelve riometers for 31 days on links that lose packets and go dark as those of 2005.",
    starts="2006-01-01T00:00Z",
    lasts="31d",
    links=norstar.links("dawson-2005-lossy"),
    nodes=(*norstar.riometers(), Center()),
    checks=(
        sometimes("lost", at_least=100),
        sometimes("outage begins"),
        identical("center:*", to="edges"),
        identical("*", to="oracle"),
        accounted(),
        in_order(),
        raw_untouched(),
    ),
)
