"""A link that the kernel's own netem impairs: packets go through a pair of devices of their own.

    way of a link --> device with the qdisc ==> its peer --> way of the link --> host

Each direction has such a pair, in the namespace of the stage, with the seed that the model has; the
hosts are attached as ever. The model runs beside it as a shadow: it says which packets the kernel
is going to lose, double and damage, and when which one is due. So facts and tallies are those of
any other backend, and the kernel is held to them:

    the kernel lets through what the shadow expected      it goes on, late by what the kernel took
    a copy has a wrong checksum                           it goes on, and is lost as was said
    the kernel lets through what the shadow had lost      it goes on; the fact "not expected"
    the kernel keeps what the shadow let through          lost by the machine, after `MISSING_NS`

That the two agree is proven in a guest (`kernel_netem`); here a difference is reported.
"""

import os
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import count
from typing import NamedTuple

from fieldproof_contract import SECOND_NS
from fieldproof_simulators.links.fates import netem_seed
from fieldproof_simulators.links.impairments import Impairments
from fieldproof_simulators.links.live import kernel_netem
from fieldproof_simulators.links.live.ip import is_sound, whole
from fieldproof_simulators.links.live.iproute import ip
from fieldproof_simulators.links.live.packet import Frames, listen, quieten
from fieldproof_simulators.links.live.ports import Attachment, LinkError
from fieldproof_simulators.links.live.ways import MACHINE, Fate, LiveLink, Traffic, Way
from fieldproof_simulators.links.profiles import OVERHEAD_BYTES, Profile

MTU_BYTES = 1500
ETHERNET_BYTES = OVERHEAD_BYTES["ethernet"]
BATCH = 64
MISSING_NS = SECOND_NS
"""How long after its due time a packet is given up."""

_numbers = count()


def attach(link: str, direction: str, profile: Profile, seed: int) -> Attachment:
    """A pair of devices with netem for one direction, in the namespace of the caller; `seed` is the
    run's. Raises LinkError or NetemError, with one sentence."""
    impairments = profile.up if direction == "up" else profile.down
    entry, outlet = (f"netem{next(_numbers)}{end}" for end in "ab")
    ip(f"link add {entry} type veth peer name {outlet}")
    for device in (entry, outlet):
        quieten(device)
        ip(f"link set dev {device} mtu {MTU_BYTES} up")
    kernel_netem.apply(entry, on_ethernet(link, impairments), netem_seed(link, direction, seed))
    sender = listen(entry)
    try:
        receiver = listen(outlet)
    except BaseException:
        os.close(sender)
        raise
    settings = {"direction": direction}
    return Attachment("netem", link, settings, (sender, receiver))


def devices(attachment: Attachment) -> tuple[Frames, Frames]:
    """The pair, in the pump's process: where packets enter, and where they come out."""
    entry, outlet = (Frames(descriptor, MTU_BYTES) for descriptor in attachment.descriptors)
    return entry, outlet


def on_ethernet(link: str, impairments: Impairments) -> Impairments:
    """The same on a device whose frames have an Ethernet header, which netem counts by itself.
    Raises LinkError for a rate at another layer."""
    if not impairments.rate_bit_s:
        return impairments
    overhead_bytes = impairments.overhead_bytes - ETHERNET_BYTES
    if overhead_bytes < 0:
        raise LinkError(
            f"Link {link} gives its rate below Ethernet, which netem on Ethernet cannot count: "
            "choose another backend."
        )
    return replace(impairments, overhead_bytes=overhead_bytes)


class Expected(NamedTuple):
    """A copy that the shadow let through."""

    due_ns: int
    entered_ns: int
    fate: Fate


class KernelWay(Way):
    """A direction whose packets the kernel delays, loses and doubles; `connect` it first."""

    def __init__(
        self,
        link: LiveLink,
        direction: str,
        profile: Profile,
        purposes: Mapping[int, str],
        traffic: Traffic,
    ) -> None:
        super().__init__(link, direction, profile, purposes, traffic)
        self._expected: dict[bytes, deque[Expected]] = {}

    def connect(self, entry: Frames, outlet: Frames) -> None:
        """Packets go through these devices."""
        self._entry, self._outlet = entry, outlet

    def fileno(self) -> int:
        """Readable when the kernel lets a packet go."""
        return self._outlet.fileno()

    def offer(self, now_ns: int, raw: bytes) -> None:
        """A whole packet enters."""
        self.count(now_ns, raw)
        flight = self.flight(raw)
        if self.link.is_disturbed:
            self.link.befall(flight)
        else:
            self.link.carry_out(flight, self.model.send(now_ns, len(raw)), now_ns)

    def ask_kernel(self, raw: bytes) -> None:
        """The shadow has decided about a packet: now the kernel does."""
        with suppress(OSError):  # a full queue is a loss by netem's limit, or else will be missed
            self._entry.send(raw)

    def go(self, due_ns: int, raw: bytes, now_ns: int, fate: Fate) -> None:
        """The shadow lets a copy through: it is to come out of the device. Of one that is damaged
        nobody knows what comes out, so it is counted when it does."""
        if not fate.is_lost:
            self.held += 1
            self._expected.setdefault(raw, deque()).append(Expected(due_ns, now_ns, fate))

    def emerge(self) -> None:
        """Let a batch of what the kernel lets go continue."""
        for _ in range(BATCH):
            try:
                raw = whole(self._outlet.receive())
            except BlockingIOError:
                return
            if raw is not None:
                self._continue(raw)

    def look(self, now_ns: int) -> None:
        """Note the rate, and give up what is missing for too long."""
        super().look(now_ns)
        for raw, copies in tuple(self._expected.items()):
            if copies[0].due_ns < now_ns - MISSING_NS:
                self.fail(raw, MACHINE, self._take(raw).fate)

    def close(self) -> None:
        """The devices go with their namespace."""
        self._entry.close()
        self._outlet.close()

    def _continue(self, raw: bytes) -> None:
        now_ns = self.traffic.now_ns()
        if raw in self._expected:
            due_ns, entered_ns, fate = self._take(raw)
        else:
            due_ns, entered_ns = now_ns, now_ns
            fate = Fate(self.flight(raw), not is_sound(raw))
            self.held += 1
            if not fate.is_lost:
                self.traffic.say(self.link.name, "not expected", {"direction": self.direction})
        self.traffic.depart(due_ns, self, raw, entered_ns, fate)

    def _take(self, raw: bytes) -> Expected:
        """The first of the copies that are expected of this packet."""
        copies = self._expected[raw]
        if len(copies) == 1:
            del self._expected[raw]
        return copies.popleft()
