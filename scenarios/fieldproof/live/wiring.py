"""The network of a live run: which host is in which namespace, and what carries its packets.

    tun       raw IP devices between namespaces
    packet    virtual Ethernet and packet sockets between namespaces
    netem     the kernel's own netem between hosts attached by either; only where asked for
    proxy     loopback addresses of the plain machine, where there are no namespaces

They are tried in this order by attaching every host, never by assuming, and what was tried in vain
is remembered, so that a run can say why it is carried by what it is.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fieldproof.live.messages import NotHere, Request
from fieldproof.scenario import Scenario
from fieldproof.systems.process import PURPOSES
from fieldproof_simulators.links.live import netem, packet, proxy, tun
from fieldproof_simulators.links.live.kernel_netem import NetemError
from fieldproof_simulators.links.live.ports import Attachment, LinkError
from fieldproof_simulators.links.live.process import LivePump, PumpBegin
from fieldproof_simulators.links.profiles import profile
from fieldproof_simulators.machines.live.leases import lease_loopback
from fieldproof_simulators.machines.live.namespaces import new_netns

ATTACH: dict[str, Callable[[str, str, int, int], Attachment]] = {
    "tun": tun.attach,
    "packet": packet.attach,
}
"""Ways between namespaces: from host, address, MTU and namespace to the pump's end of it."""

DIRECTIONS = ("up", "down")


@dataclass(slots=True)
class Wiring:
    """See the head of this file."""

    request: Request
    backend: str
    attachments: tuple[Attachment, ...]
    namespaces: dict[str, int] = field(default_factory=dict)  # by host; none on the plain machine
    seats: dict[str, str] = field(default_factory=dict)  # by host: address, if not the scenario's
    center_faces: dict[str, str] = field(default_factory=dict)  # by site: where it finds the center
    site_faces: dict[str, str] = field(default_factory=dict)  # by site: as the center sees it
    in_vain: tuple[str, ...] = ()  # what was tried before, a sentence each

    def netns(self, host: str) -> int | None:
        """The host's network namespace; None on the plain machine."""
        return self.namespaces.get(host)

    def address(self, host: str) -> str:
        """The address that the host itself has."""
        return self.seats.get(host) or _address(self.request.scenario, host)

    def seen_as(self, site: str) -> str:
        """The address under which the center sees a site."""
        return self.site_faces.get(site) or _address(self.request.scenario, site)

    def center_for(self, site: str) -> str:
        """The address at which a site finds the center."""
        return self.center_faces.get(site) or self.request.scenario.center.address

    def start_pump(self, began_ns: int, begins_utc_ns: int, until_ns: int, log: Path) -> LivePump:
        """Let the links work; the attachments are the pump's from now on."""
        scenario = self.request.scenario
        begin = PumpBegin(
            began_ns,
            begins_utc_ns,
            self.request.seed,
            dict(PURPOSES),
            tuple((link.name, link.profile) for link in scenario.links),
            tuple((site.name, site.address, site.via) for site in scenario.sites),
            (scenario.center.name, scenario.center.address),
            until_ns,
        )
        with log.open("ab") as file:
            return LivePump(begin, self.attachments, Path(self.request.run_dir), file)


@contextmanager
def wire(request: Request) -> Iterator[Wiring]:
    """Give every host its network. Raises NotHere where no backend that may be used works."""
    wanted = request.options.backend
    with ExitStack() as stack:
        if not request.isolation or wanted == "proxy":
            if wanted not in ("auto", "proxy"):
                raise NotHere(f"Backend {wanted} needs namespaces, which this run does not have.")
            yield _on_the_plain_machine(request, stack)
            return
        namespaces = {node.name: new_netns() for node in request.scenario.nodes}
        for netns in namespaces.values():
            stack.callback(os.close, netns)
        in_vain: list[str] = []
        for way in ATTACH if wanted in ("auto", "netem") else [wanted]:
            try:
                attachments = _kernel(request) if wanted == "netem" else ()
                attachments += _attach(request.scenario, way, namespaces)
            except (LinkError, NetemError, OSError) as error:
                in_vain.append(_sentence(way, error))
                continue
            backend = "netem" if wanted == "netem" else way
            yield Wiring(request, backend, attachments, namespaces, in_vain=tuple(in_vain))
            return
        raise NotHere(f"No link can be emulated here. {' '.join(in_vain)}")


def _sentence(way: str, error: Exception) -> str:
    """What was wrong with a way; what tools and kernels say has no full stop."""
    said = " ".join(str(error).split()) or type(error).__name__
    return f"{way}: {said}" if said.endswith(".") else f"{way}: {said}."


def _attach(scenario: Scenario, way: str, namespaces: dict[str, int]) -> tuple[Attachment, ...]:
    """Attach every host in one way, or none of them."""
    units = {link.name: profile(link.profile).mtu_bytes for link in scenario.links}
    vias = {site.name: site.via for site in scenario.sites}
    done: list[Attachment] = []
    try:
        for node in scenario.nodes:
            mtu_bytes = units[vias[node.name]] if node.name in vias else min(units.values())
            netns = namespaces[node.name]
            done.append(ATTACH[way](node.name, node.address, mtu_bytes, netns))
    except BaseException:
        for attachment in done:
            attachment.close()
        raise
    return tuple(done)


def _kernel(request: Request) -> tuple[Attachment, ...]:
    """The kernel's netem for both directions of every link."""
    return tuple(
        netem.attach(link.name, direction, profile(link.profile), request.seed)
        for link in request.scenario.links
        for direction in DIRECTIONS
    )


def _on_the_plain_machine(request: Request, stack: ExitStack) -> Wiring:
    """Everybody on loopback addresses of a network that no other run has."""
    scenario = request.scenario
    lease = stack.enter_context(lease_loopback())
    network = int(lease.address.rpartition(".")[2])
    sites = [(site.name, (site.address,)) for site in scenario.sites]
    center = (scenario.center.name, scenario.center.address)
    plan = proxy.plan(center, sites, list(PURPOSES), network)
    return Wiring(
        request,
        "proxy",
        plan.attachments,
        seats=dict(plan.seats),
        center_faces=dict(plan.center_faces),
        site_faces={site.name: plan.site_faces[site.address] for site in scenario.sites},
    )


def _address(scenario: Scenario, host: str) -> str:
    return next(node.address for node in scenario.nodes if node.name == host)
