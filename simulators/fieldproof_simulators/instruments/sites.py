"""The riometer sites of the NORSTAR array, under the four letters that XRIO records carry.

The codes are those of the array; the positions are those of the settlements to a tenth of a
degree or better, which moves the quiet-day curve by less than half a minute.
"""

from typing import NamedTuple


class Site(NamedTuple):
    """Where a riometer stands."""

    latitude_deg: float  # north
    longitude_deg: float  # east


SITES = {
    "chur": Site(58.76, -94.08),  # Churchill
    "cont": Site(65.75, -111.25),  # Contwoyto Lake
    "daws": Site(64.05, -139.40),  # Dawson
    "arvi": Site(61.11, -94.05),  # Arviat
    "fsim": Site(61.76, -121.23),  # Fort Simpson
    "fsmi": Site(60.03, -111.93),  # Fort Smith
    "gill": Site(56.38, -94.64),  # Gillam
    "isll": Site(53.86, -94.66),  # Island Lake
    "mcmu": Site(56.66, -111.21),  # Fort McMurray
    "pina": Site(50.20, -96.04),  # Pinawa
    "rabb": Site(58.22, -103.68),  # Rabbit Lake
    "rank": Site(62.82, -92.11),  # Rankin Inlet
    "talo": Site(69.54, -93.56),  # Taloyoak
}

DEFAULT_SITES = tuple(site for site in SITES if site != "cont")
"""The 12 sites that sent one packet a minute each in 2006; which one was missing is our
assumption."""
