"""What the outside of a live run and its stage say to each other, a JSON document a line.

The stage hears its request once and then only whether somebody still listens: the end of its
standard input is the end of the run, however the harness came to its own end.
"""

from typing import TypeAlias

import msgspec
from msgspec import Struct

from fieldproof.live.view import LiveStatus
from fieldproof.options import LiveOptions
from fieldproof.scenario import Scenario


class NotHere(ValueError):
    """The machine lacks what the run needs. One sentence with what to do."""


class Request(Struct, frozen=True):
    """What the stage is to play."""

    scenario: Scenario
    seed: int
    run_dir: str
    runtime_dir: str  # private to this run: ports, clocks, locks
    isolation: str  # how this stage is isolated, for people; empty where it is not
    options: LiveOptions


class Status(Struct, frozen=True, tag="status"):
    """How it stands, some times a second."""

    status: LiveStatus


class Refused(Struct, frozen=True, tag="refused"):
    """The machine, or a system under test, does not do this; one sentence."""

    why: str


class Crashed(Struct, frozen=True, tag="crashed"):
    """The stage itself failed."""

    error: str


class Played(Struct, frozen=True, tag="played"):
    """The run directory is complete."""


Said: TypeAlias = Status | Refused | Crashed | Played

_request = msgspec.json.Decoder(Request)
_said: msgspec.json.Decoder[Said] = msgspec.json.Decoder(Said)


def encode(message: Request | Said) -> bytes:
    """One line."""
    return msgspec.json.encode(message) + b"\n"


def read_request(line: bytes) -> Request:
    """Raises msgspec.DecodeError where it is none."""
    return _request.decode(line)


def read_said(line: bytes) -> Said:
    """Raises msgspec.DecodeError where it is none."""
    return _said.decode(line)
