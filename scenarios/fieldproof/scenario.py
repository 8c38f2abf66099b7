"""A scenario: what is run, what goes wrong, and what must hold, as one frozen value.

The value is all there is: its JSON (`to_json`, `from_json`, lossless) together with a seed repeats
the run exactly. Nothing in it refers to a function, a file or the machine.

What a center has to make whole takes a day to go wrong. So that a link, a method or a program can
be tried on such a day in minutes, and for real, a scenario may continue another: that one is played
first, in virtual time, with the same seed and a center that asks for nothing, and the hosts begin
with its disks. They have no instruments, for what was measured is there already, and the hours that
are judged are those of the other's span.

A world starts `lead` before the span that the scenario judges and, after it, settles: faults are
off, nodes are up, and edge and center must converge within `settles_within`.
"""

import datetime
import re
from typing import Literal, TypeAlias, get_args

import msgspec

from fieldproof.checks import Check
from fieldproof.faults import Timed, Value
from fieldproof.options import VIRTUAL

LEAD_S = 600
"""Seconds that a world runs before and after the span it judges, if the scenario says nothing else:
the first sample of the first record and the arrival of the last are both inside the world."""

TAIL_S = 75
"""The least that a world runs after the span: the record that is open then ends within a minute,
is filed and is sent."""

BOOTED_S = 60
"""By when the hosts of a world in virtual time are up, where the lead is as long as that: sites
boot at their phase within the first minute. With a shorter lead, and in the live tier, all boot at
once."""

Reconcile: TypeAlias = Literal["repair", "xdelta", "rsync", "http-range", "none"]
RECONCILE = get_args(Reconcile)
"""How a center makes a site's days whole: by our repair protocol, with records or with deltas of
xdelta3; by rsync; by fetching byte ranges of the edge's files over HTTP; or not at all."""

PROGRAMS: dict[str, str] = {"xdelta": "xdelta3", "rsync": "rsync"}
"""By the way to reconcile: the program that it takes, in either tier."""

HOUR_S = 3600

SCHEMA = "fieldproof-scenario/1"

_TIME_OF_DAY = re.compile(
    r"(?:\+(\d+)d)?([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d(?:\.\d+)?))?", re.ASCII
)
_DATE_AND_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?Z?", re.ASCII)
_DURATION = re.compile(r"(\d+)([smhd])", re.ASCII)


class Riometer(Value, frozen=True, tag="riometer"):
    """A 60 Hz riometer on a serial line."""

    noise: str = "2006"  # preset of relative noise; see the simulator's noise.py
    drift_ppb: int = 50_000  # how fast its sampling clock is, parts in 10**9


class StatusMonitor(Value, frozen=True, tag="status"):
    """A second telemetry stream: one status datagram a minute to port 25000."""


class Site(Value, frozen=True, tag="site"):
    """A field site: instruments, an edge, and a link to the center."""

    name: str  # four letters, lower case
    via: str  # name of the link
    address: str = "198.51.100.1"
    phase_s: int = 5  # second of the minute at which its first record begins
    instruments: tuple[Riometer | StatusMonitor, ...] = (Riometer(),)
    reconcile: Reconcile = "repair"


class Center(Value, frozen=True, tag="center"):
    """The telemetry server."""

    name: str = "center"
    address: str = "192.0.2.1"
    reconciles: bool = True  # asks the edges for what is missing


class Link(Value, frozen=True):
    """A link between sites and the center, by the name of its profile."""

    name: str
    profile: str = "dawson-2005"


class Scenario(Value, frozen=True):
    """See the head of this file."""

    name: str
    story: str  # one sentence
    starts: str  # UTC, YYYY-MM-DDTHH:MMZ
    lasts: str  # such as 90m, 24h, 31d
    links: tuple[Link, ...]
    nodes: tuple[Site | Center, ...]
    faults: tuple[Timed, ...] = ()
    checks: tuple[Check, ...] = ()
    tiers: tuple[str, ...] = (VIRTUAL,)  # the first is the one to run in if nobody says
    needs: tuple[str, ...] = ()  # what the live tier needs of the machine
    fidelity: str = "seconds"  # or "words": every A/D word crosses the line, as in the live tier
    settles_within: str = "30h"
    lead: str = f"{LEAD_S // 60}m"
    continues: "Scenario | None" = None  # whose disks it begins with

    @property
    def sites(self) -> tuple[Site, ...]:
        """The field sites, in order."""
        return tuple(node for node in self.nodes if isinstance(node, Site))

    @property
    def center(self) -> Center:
        """The one center. Raises ValueError where there is none."""
        for node in self.nodes:
            if isinstance(node, Center):
                return node
        raise ValueError(f"Scenario {self.name} has no center among its nodes: add one.")

    @property
    def starts_utc_s(self) -> int:
        """Unix second at which the judged span starts."""
        return _unix(self.starts, self.name)

    @property
    def lasts_s(self) -> int:
        """Length of the judged span, seconds."""
        return duration_s(self.lasts)

    @property
    def lead_s(self) -> int:
        """How long the world runs before the judged span, seconds."""
        return duration_s(self.lead)

    @property
    def tail_s(self) -> int:
        """How long the world runs after the judged span at least, seconds."""
        return max(self.lead_s, TAIL_S)

    @property
    def booted_s(self) -> int:
        """Seconds of true time by which every host was told to boot; faults may come from then
        on."""
        return min(self.lead_s, BOOTED_S)

    @property
    def inherited_hours(self) -> range:
        """The hours since 1970 of the span of the story that it continues: what it is judged by."""
        if self.continues is None:
            return range(0)
        first_s = self.continues.starts_utc_s
        return range(first_s // HOUR_S, -(-(first_s + self.continues.lasts_s) // HOUR_S))

    def instant_s(self, when: str) -> float:
        """A fault's time as seconds from `starts`, by the calendar (leap seconds not counted)."""
        match = _TIME_OF_DAY.fullmatch(when)
        if match is None:
            return _unix(when, self.name) - self.starts_utc_s
        days, hours, minutes, seconds = match.groups()
        midnight_s = self.starts_utc_s // 86400 * 86400
        of_day = int(hours) * 3600 + int(minutes) * 60 + float(seconds or 0)
        return midnight_s + int(days or 0) * 86400 + of_day - self.starts_utc_s


def duration_s(text: str) -> int:
    """`90s`, `90m`, `24h` or `31d` as seconds; ValueError otherwise."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"Duration {text!r} is not a number with s, m, h or d, such as 24h.")
    return int(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


def _unix(text: str, scenario: str) -> int:
    try:
        if _DATE_AND_TIME.fullmatch(text) is None:
            raise ValueError
        moment = datetime.datetime.fromisoformat(text.removesuffix("Z"))
    except ValueError:
        raise ValueError(
            f"Time {text!r} in scenario {scenario} is neither HH:MM[:SS], +1dHH:MM[:SS] nor "
            "YYYY-MM-DDTHH:MM[:SS]Z."
        ) from None
    return int(moment.replace(tzinfo=datetime.UTC).timestamp())


class Capsule(Value, frozen=True):
    """A scenario with its seed: everything that repeats a run. The content of `scenario.json`."""

    schema: str
    seed: int
    scenario: Scenario


def to_json(scenario: Scenario, seed: int) -> bytes:
    """The capsule of a run, as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(Capsule(SCHEMA, seed, scenario)), indent=1)


def from_json(data: bytes, where: str) -> Capsule:
    """The capsule in `data`. Raises ValueError with one sentence that names `where`."""
    try:
        capsule = msgspec.json.decode(data, type=Capsule)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{where} is not a scenario capsule: {error}.") from None
    if capsule.schema != SCHEMA:
        raise ValueError(f"{where} has schema {capsule.schema!r}; this program reads {SCHEMA!r}.")
    return capsule
