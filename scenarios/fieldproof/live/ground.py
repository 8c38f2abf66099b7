"""What a live run is made of while it runs: what faults act on, and what is looked at."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fieldproof.live.calendar import Calendar
from fieldproof.live.hosts import LiveHost
from fieldproof.live.strangers import Strangers
from fieldproof.scenario import Scenario
from fieldproof_simulators.lines.live.process import LivePlayer
from fieldproof_simulators.lines.live.socat import Cable
from fieldproof_simulators.links.live.process import LivePump
from fieldproof_simulators.machines.clock import TrueUtc
from fieldproof_simulators.machines.live.disks import PowerCutDisk, SmallDisk
from fieldproof_simulators.machines.live.terminals import Port


@dataclass(slots=True)
class Ground:
    """All parts of a run, by the names of their hosts."""

    scenario: Scenario
    utc: TrueUtc
    calendar: Calendar
    pump: LivePump
    player: LivePlayer
    strangers: Strangers
    captures: Path  # where the pump writes what crosses the links
    fact: Callable[..., None]
    """Writes a fact to the log: where, what, and details by name."""
    hosts: dict[str, LiveHost] = field(default_factory=dict)
    cables: dict[str, Cable] = field(default_factory=dict)
    ports: dict[str, Port] = field(default_factory=dict)  # of hosts that see only their own
    small_disks: dict[str, SmallDisk] = field(default_factory=dict)
    frail_disks: dict[str, PowerCutDisk] = field(default_factory=dict)

    def boot(self, host: LiveHost) -> None:
        """A host comes up, and so does its end of the serial line."""
        host.boot()
        self.fact(host.name, "host up")
        if host.name in self.cables:
            self.player.host_up(host.name)

    def quiet(self, host: LiveHost) -> None:
        """A host is down: nobody has its serial port open."""
        if host.name in self.cables:
            self.player.host_down(host.name)

    def unplug(self, site: str, fault: int) -> None:
        """Somebody pulls the serial cable."""
        self.player.hurt(site, "unplug", fault)
        if site in self.ports:
            self.ports[site].unplug()
        self.cables[site].unplug()

    def replug(self, site: str, fault: int) -> None:
        """The cable is back, under the same names."""
        self.cables[site].replug()
        if site in self.ports:
            self.ports[site].plug(self.cables[site].system_end)
        self.player.replug(site)
        self.player.heal(site, "unplug", fault)
