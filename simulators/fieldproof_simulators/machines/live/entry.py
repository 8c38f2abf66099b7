"""Inside of `namespaces.isolated_command`, first of all: settles the network, becomes the command.

python -m fieldproof_simulators.machines.live.entry PROGRAM ARGUMENT...
"""

import os
import sys

from fieldproof_simulators.machines.live import namespaces

NOT_STARTED = 127
"""Exit status where the program could not be started, as a shell has it."""


def main(argv: list[str]) -> int:
    """Turns this process into `argv`; returns only where that fails."""
    try:
        namespaces.settle_network()
        os.execvp(argv[0], argv)
    except OSError as error:
        sys.stderr.write(f"{argv[0]} cannot be started in its namespaces: {error}.\n")
        return NOT_STARTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
