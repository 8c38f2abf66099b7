"""The pump as it is, with the profiles of the tests besides its own."""

import sys

from livelinks import PROFILES

from fieldproof_simulators.links.live import pump

known = pump.profile
pump.profile = lambda name: PROFILES.get(name) or known(name)

if __name__ == "__main__":
    sys.exit(pump.main())
