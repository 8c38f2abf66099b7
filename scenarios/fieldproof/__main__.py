"""`python -m fieldproof` is the command `fieldproof`."""

import sys

from fieldproof.cli import main

if __name__ == "__main__":
    sys.exit(main())
