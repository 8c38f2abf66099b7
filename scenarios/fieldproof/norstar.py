"""The twelve NORSTAR riometer sites and their satellite links, for scenarios of many sites.

Site codes are the real ones; addresses are of the documentation range (RFC 5737), but for Dawson's,
which the 2006 text gives.
"""

from fieldproof.scenario import Link, Riometer, Site, StatusMonitor

SITES = (
    "arvi",
    "chur",
    "daws",
    "fsim",
    "fsmi",
    "gill",
    "isll",
    "mcmu",
    "pina",
    "rabb",
    "rank",
    "talo",
)
DAWSON = "206.172.47.234"
PHASE_STEP_S = 5
"""Records of different sites begin at different seconds of the minute."""


def links(profile: str, sites: tuple[str, ...] = SITES) -> tuple[Link, ...]:
    """One link for each site, `vsat-<site>`."""
    return tuple(Link(f"vsat-{site}", profile) for site in sites)


def riometers(
    sites: tuple[str, ...] = SITES, with_status: tuple[str, ...] = ()
) -> tuple[Site, ...]:
    """The sites, each on its own link; some with a status monitor as second stream."""
    return tuple(
        Site(
            name,
            via=f"vsat-{name}",
            address=DAWSON if name == "daws" else f"198.51.100.{index + 1}",
            phase_s=PHASE_STEP_S * index,
            instruments=(Riometer(), StatusMonitor()) if name in with_status else (Riometer(),),
        )
        for index, name in enumerate(sites)
    )
