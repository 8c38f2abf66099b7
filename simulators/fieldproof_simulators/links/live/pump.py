"""The link pump: one process that carries all links of a live run.

    python -m fieldproof_simulators.links.live.pump --control DESCRIPTOR

One thread and one loop (`loop`): packets of hosts (`engine`), orders of the stage (`messages`), and
what is due next: a packet, an outage of a profile, or a look at the counters. Nothing waits but the
loop itself; a stage that does not read misses news, and no packet waits for it.

The control wire is its lifeline. It ends in good order, with all evidence on disk, at `Stop`, at
SIGTERM, and when the stage is gone.
"""

import argparse
import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import assert_never

import msgspec

from fieldproof_contract import SECOND_NS
from fieldproof_simulators.links.fates import PROFILES_OWN, Order, models
from fieldproof_simulators.links.live import messages, netem, proxy
from fieldproof_simulators.links.live.engine import Engine
from fieldproof_simulators.links.live.loop import Loop
from fieldproof_simulators.links.live.packet import PacketPort
from fieldproof_simulators.links.live.ports import Attachment, LinkError, Port
from fieldproof_simulators.links.live.relay import Relay
from fieldproof_simulators.links.live.tun import TunPort
from fieldproof_simulators.links.live.ways import Way
from fieldproof_simulators.links.outages import intervals
from fieldproof_simulators.links.profiles import profile
from fieldproof_simulators.machines.live.control import Control, ControlClosed
from fieldproof_simulators.streams import child_seed

LOOK_NS = SECOND_NS // 4
LOOKS_A_FLUSH = 4
PATIENCE_S = 20.0
"""How long the stage may take to say what to do."""

NICE = -10

PORTS: dict[str, Callable[[Attachment], Port]] = {
    "tun": TunPort,
    "packet": PacketPort,
    "proxy": proxy.ProxyPort,
}

Wire = Control[messages.Command]


class Pump:
    """One run."""

    def __init__(self, wire: Wire, start: messages.Start, attachments: list[Attachment]) -> None:
        """Raises LinkError where an attachment is no use."""
        begin = start.begin
        began_ns = begin.began_ns
        self._wire = wire
        self._is_over = False
        self._parts: list[bytes] = []  # of a packet that is injected
        self._relay: Relay | None = None
        self.engine = Engine(
            lambda: now_ns if (now_ns := time.monotonic_ns() - began_ns) > 0 else 0,
            begin.begins_utc_ns,
            Path(start.folder),
            begin.seed,
            begin.purposes,
        )
        self._loop = Loop(self.engine.now_ns, began_ns)
        self._loop.watch(wire.fileno(), self._listen)
        self._build(begin, attachments)

    # --- building ---

    def _build(self, begin: messages.PumpBegin, attachments: list[Attachment]) -> None:
        ends = {each.name: each for each in attachments if each.kind in PORTS}
        backend = ends[begin.center[0]].kind
        for name, asked in begin.links:
            through = [each for each in attachments if (each.kind, each.name) == ("netem", name)]
            self._add_link(name, asked, begin, "netem" if through else backend, through)
        addresses = {site: (address, link) for site, address, link in begin.sites}
        for host, end in ends.items():
            port = PORTS[end.kind](end)
            address, link = addresses.get(host) or (begin.center[1], None)
            self.engine.add_host(port, address, link)
            self._loop.watch(port.fileno(), partial(self._take, port))
        if all(end.kind == "proxy" for end in ends.values()):
            self._relay = proxy.relay(begin, ends, self._ways_of, self.engine.now_ns)
            self._loop.watch(self._relay.fileno(), self._relay.serve)

    def _add_link(
        self,
        name: str,
        asked: str,
        begin: messages.PumpBegin,
        backend: str,
        through: list[Attachment],
    ) -> None:
        found = profile(asked)
        seeded = models(name, found, begin.seed)
        way = netem.KernelWay if through else Way
        link = self.engine.add_link(name, found, seeded, backend, way)
        for each in through:
            direction = link.ways[each.settings["direction"]]
            if isinstance(direction, netem.KernelWay):
                direction.connect(*netem.devices(each))
                self._loop.watch(direction.fileno(), direction.emerge)
        if found.outages is not None:
            seed = child_seed(begin.seed, f"link:{name}")
            for from_ns, to_ns in intervals(found.outages, seed, 0, begin.outages_until_ns):
                self._loop.at(from_ns, partial(link.go_dark, PROFILES_OWN))
                self._loop.at(to_ns, partial(link.recover, PROFILES_OWN))

    def _ways_of(self, link: str) -> tuple[Way, Way]:
        ways = self.engine.links[link].ways
        return ways["up"], ways["down"]

    # --- running ---

    def run(self) -> None:
        """Carry packets until the end."""
        engine, turn = self.engine, self._loop.turn
        self._wire.send(messages.Ready())
        self._look(0)
        while not self._is_over:
            turn(engine.next_due_ns())
            engine.leave()
        engine.look()

    def stop(self) -> None:
        """End the run after this turn."""
        self._is_over = True

    def close(self) -> None:
        """Write everything out."""
        self.engine.close()
        if self._relay is not None:
            self._relay.close()
        self._loop.close()

    def tell_results(self) -> None:
        """Say what the run comes to. Raises ControlClosed where nobody is there to hear it."""
        for link in self.engine.links.values():
            self._wire.send(
                messages.LinkEnd(
                    wire=tuple(link.wire()),
                    achieved=tuple(way.achieved() for way in link.ways.values()),
                    generators_end=dict(link.generators_end()),
                )
            )
        self._wire.send(messages.Ended(self.engine.fired()))

    def _take(self, port: Port) -> None:
        """A host's packets; a port that is broken is heard no more."""
        try:
            self.engine.take(port)
        except OSError as error:
            self._loop.forget(port.fileno())
            self.engine.say(port.host, "port lost", {"reason": error.strerror or str(error)})

    def _look(self, number: int) -> None:
        """Count, tell, and each second write out."""
        self._loop.at(self.engine.now_ns() + LOOK_NS, partial(self._look, number + 1))
        self.engine.look()
        if number % LOOKS_A_FLUSH == 0:
            self.engine.flush()
        try:
            self._wire.offer(self._status())
        except ControlClosed:
            self.stop()

    def _status(self) -> messages.Status:
        engine = self.engine
        facts, unshown = engine.facts.latest()
        ways = tuple(
            messages.WayStatus(
                link=way.link.name,
                direction=way.direction,
                packets=way.offered,
                bytes=way.offered_bytes,
                delivered=way.delivered,
                lost=sum(way.lost.values()),
                held=way.held,
                bit_s=way.rate.bit_s,
            )
            for way in engine.ways()
        )
        return messages.Status(engine.now_ns(), ways, engine.fired(), facts, unshown)

    # --- orders of the stage ---

    def _listen(self) -> None:
        try:
            for command in self._wire.receive_all():
                self._carry_out(command)
        except ControlClosed:
            self.stop()

    def _carry_out(self, command: messages.Command) -> None:
        engine = self.engine
        match command:
            case messages.GoDark(link, fault):
                engine.links[link].go_dark(fault)
            case messages.Recover(link, fault):
                engine.links[link].recover(fault)
            case messages.Obey(link, kind, number, fault, by_ns):
                engine.links[link].order(Order(kind, number, fault, by_ns))
            case messages.Move(host, address):
                engine.move(host, address)
                if self._relay is not None:
                    self._relay.moved(host, address)
            case messages.Inject(host, part, is_last):
                self._parts.append(part)
                if is_last:
                    engine.inject(host, b"".join(self._parts))
                    self._parts.clear()
            case messages.Stop():
                self.stop()
            case messages.Attach() | messages.Start():
                raise ControlClosed("A pump that runs was told to start.")
            case _:
                assert_never(command)


def begin(wire: Wire) -> Pump:
    """The pump that the stage asks for. Raises ControlClosed where it asks for none."""
    asked: list[messages.Attach] = []
    descriptors: list[int] = []
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        for command in wire.await_some(deadline_s - time.monotonic()):
            descriptors += wire.take_descriptors()
            match command:
                case messages.Attach():
                    asked.append(command)
                case messages.Start():
                    return Pump(wire, command, list(_attachments(asked, descriptors)))
                case _:
                    raise ControlClosed("A pump was given an order before it was told to start.")
    raise ControlClosed(f"A pump was not told to start within {PATIENCE_S:g} s.")


def _attachments(asked: list[messages.Attach], descriptors: list[int]) -> Iterator[Attachment]:
    waiting = iter(descriptors)
    for each in asked:
        own = tuple(islice(waiting, each.descriptors))
        yield Attachment(each.kind, each.name, each.settings, own)


def main(argv: list[str] | None = None) -> int:
    """Runs until the end; the exit status."""
    parser = argparse.ArgumentParser(prog="pump", description="Carries all links of a live run.")
    parser.add_argument("--control", type=int, required=True, help="the descriptor of the wire")
    wire: Wire = Control.adopt(
        parser.parse_args(argv).control, msgspec.json.Decoder(messages.Command).decode
    )
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a person's ^C is for the stage, which tells us
    with suppress(PermissionError):
        os.nice(NICE)
    try:
        pump = begin(wire)
        signal.signal(signal.SIGTERM, lambda number, frame: pump.stop())
        # Nothing in the loop makes cycles, and a collection would make packets late.
        gc.freeze()
        gc.disable()
        try:
            pump.run()
        finally:
            pump.close()
        pump.tell_results()
    except ControlClosed:
        return 0  # the stage is gone
    except (OSError, LinkError) as error:
        sys.stderr.write(f"The link pump cannot go on: {error}.\n")
        return 1
    finally:
        wire.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
