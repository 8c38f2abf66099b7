"""What the programs do: read what they are told, plan a process, be it. See `__main__.py`."""

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
from fieldproof_reference.live.check import awaited, unsound
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


def edge_plan(told: Edge) -> Plan:
    """The process of an edge. Raises Unavailable where the center's name is not known."""
    center = _looked_up(told.center, told.address)
    settings = EdgeSettings(told.site, center, told.key, told.shares)
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
    parser.add_argument(
        "--check",
        action="store_true",
        help="only read the configuration, and look whether the machine has what it names",
    )
    asked = parser.parse_args(argv)
    if asked.config is None and not config.is_told(os.environ):
        parser.print_usage(sys.stderr)
        needed = ", ".join(config.needed("center" if role == "center" else "edge"))
        sys.stderr.write(
            f"{parser.prog}: There is no configuration: name a file with one, or set {needed}.\n"
        )
        return BAD_CONFIGURATION
    try:
        told = from_file(asked.config) if asked.config else from_environment(os.environ)
        return _check(parser.prog, plan(told)) if asked.check else run(plan(told))
    except (BadConfiguration, Unavailable) as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        return UNAVAILABLE if isinstance(error, Unavailable) else BAD_CONFIGURATION


def _check(program: str, plan: Plan) -> int:
    """Say whether the process could live here, as far as that shows from outside; the exit code."""
    missing = unsound(plan)
    wrong = (*missing, *awaited(plan))
    rest = "but not all that it names" if wrong else "and so is what it names, seen from outside"
    sys.stdout.write(f"{program}: The configuration is sound, {rest}.\n")
    for sentence in wrong:
        sys.stderr.write(f"{program}: {sentence}\n")
    return UNAVAILABLE if missing else 0


def _looked_up(center: str, own_address: str) -> str:
    """The address of a name, once and for all of this life."""
    family = socket.AF_INET6 if ":" in own_address else socket.AF_INET
    try:
        ipaddress.ip_address(center)
    except ValueError:
        try:
            return str(socket.getaddrinfo(center, None, family)[0][4][0])
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or "no name that a host can have"
            raise Unavailable(
                f"The key 'center' names the host {center}, which has no address here ({why}): "
                "correct the name, or give an address."
            ) from error
    return center
