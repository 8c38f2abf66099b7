"""The programs: `fieldproof-edge`, `fieldproof-center`, and `python -m fieldproof_reference`.

    fieldproof-edge config.yml            what to be is read from a file
    fieldproof-edge                       ... or from FIELDPROOF_* variables
    fieldproof-edge --check config.yml    only read it
    python -m fieldproof_reference edge|center|serve [--check] [CONFIG]

`serve` offers an archive that another program writes, read-only by HTTP with ranges; it is told
the same as an edge. Exit codes: 0 an end in good order, 1 all nodes died, 4 a bad configuration or
call, 69 something of the machine is missing.
"""

import argparse
import ipaddress
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn, TypeVar

from fieldproof_reference import config, hosts, ports
from fieldproof_reference.config import BadConfiguration, Center, Edge
from fieldproof_reference.edge import EdgeSettings
from fieldproof_reference.live.process import Plan, Unavailable, run

BAD_CONFIGURATION, UNAVAILABLE = 4, 69
"""Exit codes; 69 is EX_UNAVAILABLE of sysexits.h."""

Told = TypeVar("Told", Edge, Center)


class _Parser(argparse.ArgumentParser):
    """Ends a bad call as a bad configuration ends."""

    def error(self, message: str) -> NoReturn:
        """One sentence."""
        self.exit(BAD_CONFIGURATION, f"{self.prog}: {message}; see --help.\n")


def edge(argv: Sequence[str] | None = None) -> int:
    """The program `fieldproof-edge`; its exit code."""
    return _run("edge", argv, config.edge_from_file, config.edge_from_environment, edge_plan)


def center(argv: Sequence[str] | None = None) -> int:
    """The program `fieldproof-center`; its exit code."""
    return _run(
        "center", argv, config.center_from_file, config.center_from_environment, center_plan
    )


def serve(argv: Sequence[str] | None = None) -> int:
    """Offers an archive that another program writes; the exit code."""
    return _run("serve", argv, config.edge_from_file, config.edge_from_environment, serve_plan)


PROGRAMS = {"edge": edge, "center": center, "serve": serve}


def main(argv: Sequence[str] | None = None) -> int:
    """`python -m fieldproof_reference`; its exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    program = PROGRAMS.get(given[0]) if given else None
    if program is None:
        sys.stderr.write(f"fieldproof_reference: say first what to be: {', '.join(PROGRAMS)}.\n")
        return BAD_CONFIGURATION
    return program(given[1:])


def edge_plan(told: Edge) -> Plan:
    """The process of an edge. Raises Unavailable where the center's name is not known."""
    settings = EdgeSettings(told.site, _looked_up(told.center, told.address), told.key)
    return Plan(
        told.site,
        hosts.edge_parts(settings, status=told.status),
        told.common,
        told.address,
        lines={hosts.LINE: told.serial},
        sources=(ports.SOURCE,),
    )


def center_plan(told: Center) -> Plan:
    """The process of a center."""
    return Plan("center", hosts.center_parts(told.settings), told.common, told.address)


def serve_plan(told: Edge) -> Plan:
    """The process that offers somebody's archive."""
    return Plan(told.site, hosts.serve_parts(), told.common, told.address, only_looks=True)


def _run(
    role: str,
    argv: Sequence[str] | None,
    from_file: Callable[[Path], Told],
    from_environment: Callable[[Mapping[str, str]], Told],
    plan: Callable[[Told], Plan],
) -> int:
    parser = _Parser(
        f"fieldproof-{role}", description=f"The {role} of the reference.", allow_abbrev=False
    )
    parser.add_argument("config", nargs="?", type=Path, help="without it: FIELDPROOF_* variables")
    parser.add_argument("--check", action="store_true", help="only read the configuration")
    asked = parser.parse_args(argv)
    try:
        told = from_file(asked.config) if asked.config else from_environment(os.environ)
        return 0 if asked.check else run(plan(told))
    except (BadConfiguration, Unavailable) as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        return UNAVAILABLE if isinstance(error, Unavailable) else BAD_CONFIGURATION


def _looked_up(center: str, own_address: str) -> str:
    """The address of a name, once and for all of this life."""
    family = socket.AF_INET6 if ":" in own_address else socket.AF_INET
    try:
        ipaddress.ip_address(center)
    except ValueError:
        try:
            return str(socket.getaddrinfo(center, None, family)[0][4][0])
        except OSError as error:
            raise Unavailable(f"The center's name {center} has no address: {error}.") from error
    return center


if __name__ == "__main__":
    sys.exit(main())
