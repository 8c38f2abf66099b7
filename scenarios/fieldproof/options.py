"""How a run is to be made, beyond its scenario: in which tier, and in the live one with which
systems, network, namespaces and serial ports.

These belong to the run and not to the story, so they are not in the capsule; the command that
repeats a run says them again.
"""

import re
import shlex

from msgspec import Struct

VIRTUAL, LIVE = "virtual", "live"
TIERS = (VIRTUAL, LIVE)

BACKENDS = ("auto", "tun", "packet", "netem", "proxy")
"""What carries a link's packets; `auto` is the first that works here."""

ISOLATIONS = ("auto", "userns", "none")
"""Where the hosts live: in namespaces of their own, or on the plain machine."""

_PORTS = re.compile(r"([a-z]{4})=(/.*?):(/.+)", re.DOTALL)


class LiveOptions(Struct, frozen=True):
    """What `fieldproof run --tier live` was told. Empty commands: the reference."""

    edge: str = ""  # a command line, split as a shell would
    center: str = ""
    backend: str = "auto"  # one of BACKENDS
    isolate: str = "auto"  # one of ISOLATIONS
    serial: dict[str, tuple[str, str]] = {}  # by site: devices of instrument and edge, no PTYs

    def words(self) -> tuple[str, ...]:
        """The command line's words that say the same; none where all is as by default."""
        said = [
            ("--edge", self.edge, ""),
            ("--center", self.center, ""),
            ("--backend", self.backend, "auto"),
            ("--isolate", self.isolate, "auto"),
            *(("--serial", f"{site}={':'.join(ends)}", "") for site, ends in self.serial.items()),
        ]
        return tuple(
            word for option, value, usual in said if value != usual for word in (option, value)
        )


class Asked(Struct, frozen=True):
    """How a run was asked for, beyond its scenario."""

    tier: str
    options: LiveOptions = LiveOptions()

    def words(self, tiers: tuple[str, ...]) -> tuple[str, ...]:
        """The command line's words that ask for the same again, of a scenario with these tiers."""
        is_usual = self.tier == VIRTUAL and tiers[:1] == (VIRTUAL,)
        return (*(() if is_usual else ("--tier", self.tier)), *self.options.words())


def serial_ports(text: str) -> tuple[str, tuple[str, str]]:
    """The site and the devices of `SITE=INSTRUMENT_DEVICE:EDGE_DEVICE`, both absolute paths.

    Raises ValueError for anything else."""
    match = _PORTS.fullmatch(text)
    if match is None:
        raise ValueError(
            f"Serial ports {text!r} are not SITE=INSTRUMENT_DEVICE:EDGE_DEVICE, such as "
            "daws=/dev/ttyUSB0:/dev/ttyUSB1."
        )
    return match[1], (match[2], match[3])


def command_line(text: str) -> tuple[str, ...]:
    """The words of a command. Raises ValueError where there is none, or a quotation has no end."""
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise ValueError(f"Command {text!r} cannot be split into words: {error}.") from None
    if not words:
        raise ValueError(f"Command {text!r} has no word: name a program and its arguments.")
    return words
