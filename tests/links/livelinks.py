"""What the tests of live links share: profiles of their own, hosts that play, an engine."""

import json
from dataclasses import replace
from pathlib import Path
from struct import unpack_from

from fieldproof_simulators.links.fates import models
from fieldproof_simulators.links.impairments import Impairments
from fieldproof_simulators.links.live.engine import Engine
from fieldproof_simulators.links.live.ip import udp
from fieldproof_simulators.links.live.ports import Drops
from fieldproof_simulators.links.losses import RandomLoss
from fieldproof_simulators.links.outages import Outages
from fieldproof_simulators.links.profiles import Profile

MS = 1_000_000
SEED = 5
BEGINS_UTC_NS = 1_137_456_000 * 10**9
PORT, STATUS = 24985, 25000
PURPOSES = {PORT: "telemetry", STATUS: "status"}
SITE, OTHER_SITE, CENTER = "198.51.100.1", "198.51.100.2", "192.0.2.1"


def asking(both: Impairments, name: str = "asked", mtu_bytes: int = 1500) -> Profile:
    """A profile with the same impairments both ways."""
    return Profile(
        name=name,
        up=both,
        down=both,
        mtu_bytes=mtu_bytes,
        layer="ip",
        outages=None,
        source="a test",
        unverified=False,
    )


ROUGH = asking(
    Impairments(
        delay_ns=20 * MS,
        jitter_ns=10 * MS,
        loss=RandomLoss(5),
        duplicate_percent=3,
        reorder_percent=4,
        corrupt_percent=2,
        limit_frames=10_000,  # what is held depends on the machine's speed; losses must not
    ),
    "rough",
)
"""Whatever a link can do to a packet, all at once."""

SLOW = asking(Impairments(delay_ns=600 * MS, limit_frames=5000), "slow")

CLEAN = asking(Impairments(), "clean")

STEADY = asking(Impairments(delay_ns=50 * MS, rate_bit_s=1_000_000), "steady")

FLOOD = asking(
    Impairments(delay_ns=20 * MS, loss=RandomLoss(5), duplicate_percent=2, limit_frames=1_000_000),
    "flood",
)

FADING = replace(CLEAN, name="fading", outages=Outages(up_mean_s=0.2, down_mean_s=0.1))

PROFILES = {each.name: each for each in (ROUGH, SLOW, CLEAN, STEADY, FLOOD, FADING)}


class FakePort:
    """A host whose packets a test puts in and takes out."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.sends: list[bytes] = []
        self.heard: list[bytes] = []
        self.dropped = Drops(0, 0)
        self.error: OSError | None = None

    def fileno(self):
        return -1

    def receive(self):
        if not self.sends:
            raise BlockingIOError
        return self.sends.pop(0)

    def deliver(self, packet):
        if self.error is not None:
            raise self.error
        self.heard.append(packet)

    def moved(self, old, new):
        pass

    def drops(self):
        return self.dropped

    def close(self):
        pass


class FarEnd:
    """What a virtual link needs, and remembers."""

    def __init__(self):
        self.time_ns = 0
        self.due, self.logged = [], []

    def now_ns(self):
        return self.time_ns

    def call_at(self, true_ns, action):
        self.due.append((true_ns, len(self.due), action))

    def arrive(self, packet):
        self.logged.append({"what": "arrived", "sha": packet.data})
        return None, -1

    def log(self, where, what, detail):
        self.logged.append({"where": where, "what": what, **detail})


class Bench:
    """An engine with a clock that the test turns: two sites on two links, and a center."""

    def __init__(self, folder: Path, profile: Profile = CLEAN, **over) -> None:
        self.time_ns = 0
        self.is_closed = False
        self.folder = folder
        self.engine = Engine(lambda: self.time_ns, BEGINS_UTC_NS, folder, SEED, PURPOSES)
        for name in ("vsat", "lte"):
            self.engine.add_link(name, profile, models(name, profile, SEED), "fake", **over)
        self.site, self.other, self.center = map(FakePort, ("daws", "talo", "center"))
        self.engine.add_host(self.site, SITE, "vsat")
        self.engine.add_host(self.other, OTHER_SITE, "lte")
        self.engine.add_host(self.center, CENTER, None)

    def __enter__(self):
        return self

    def __exit__(self, *raised):
        self.close()

    def close(self) -> None:
        """End the engine, once."""
        if not self.is_closed:
            self.is_closed = True
            self.engine.close()

    @property
    def link(self):
        return self.engine.links["vsat"]

    def send(self, port: FakePort, *packets: bytes) -> None:
        """A host sends packets, which enter at once."""
        port.sends += packets
        while port.sends:
            self.engine.take(port)

    def let_pass(self, until_ns: int | None = None) -> None:
        """Time goes on: everything that is due until then leaves, or everything at all."""
        while (due_ns := self.engine.next_due_ns()) is not None:
            if until_ns is not None and due_ns > until_ns:
                break
            self.time_ns = max(self.time_ns, due_ns)
            self.engine.leave()
        self.time_ns = max(self.time_ns, until_ns or 0)

    def facts(self) -> list[dict]:
        """What the engine has said."""
        if not self.is_closed:
            self.engine.flush()
        return lines(self.folder / "facts.jsonl")

    def captured(self, which: str) -> list[tuple[int, bytes]]:
        """A capture of the link `vsat`."""
        self.engine.flush()
        return captured(self.folder / f"vsat-{which}.pcap")


def up(payload: bytes, port: int = PORT, to: str = CENTER) -> bytes:
    """A datagram of the site for the center."""
    return udp((SITE, 32769), (to, port), payload)


def down(payload: bytes, to: str = SITE) -> bytes:
    """A datagram of the center for the site."""
    return udp((CENTER, PORT), (to, 32769), payload)


def lines(path: Path) -> list[dict]:
    """A file of JSON lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def captured(path: Path) -> list[tuple[int, bytes]]:
    """UTC in nanoseconds and bytes of every packet of a capture, by the book of pcap alone."""
    data = path.read_bytes()
    assert (0xA1B23C4D, 2, 4, 0, 0, 65_535, 101) == unpack_from("<IHHiIII", data)
    at, packets = 24, []
    while at < len(data):
        second, ns, kept, size = unpack_from("<IIII", data, at)
        assert kept == size
        at += 16 + size
        assert at <= len(data)
        packets.append((second * 10**9 + ns, data[at - size : at]))
    return packets
