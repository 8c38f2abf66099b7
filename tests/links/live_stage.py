"""Runs inside of namespaces of its own: hosts with real sockets, a real pump, real links.

python live_stage.py CASE BACKEND FOLDER      prints what happened, as JSON
"""

import json
import os
import select
import signal
import socket
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from struct import pack, unpack_from

from livelinks import BEGINS_UTC_NS, CENTER, MS, PORT, PROFILES, PURPOSES, SEED, SITE, asking, lines
from recordings import VECTORS, impairments_of

from fieldproof_simulators.links.fates import IP_UDP_BYTES, short_hash
from fieldproof_simulators.links.live import iproute, netem, packet, process, proxy, tun
from fieldproof_simulators.links.live.engine import Engine
from fieldproof_simulators.links.live.ip import udp
from fieldproof_simulators.links.live.process import LivePump, PumpBegin
from fieldproof_simulators.links.netem import LinkModel
from fieldproof_simulators.machines.live.namespaces import inside, new_netns

process.PROGRAM = "custom_pump"
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
)

ATTACH = {"tun": tun.attach, "packet": packet.attach}
OPEN = {"tun": tun.TunPort, "packet": packet.PacketPort}
DEVICE = {"tun": tun.DEVICE, "packet": packet.DEVICE}
NEW_ADDRESS = "203.0.113.7"
FADES_NS = 1000 * MS
PATIENCE_S = 20


def until(condition, what, patience_s=PATIENCE_S):
    """Wait for a condition."""
    deadline_s = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"It took too long until {what}.")
        time.sleep(0.0002)


class Hosts:
    """A site and a center, each with a socket."""

    def __init__(self, backend, stack):
        self.backend = backend
        self.heard = {"site": [], "center": []}
        if backend == "proxy":
            self.plan = proxy.plan(
                ("center", CENTER),
                [("site", (SITE, NEW_ADDRESS))],
                [PORT],
                network=os.getpid() % 200 + 20,
            )
            self.attachments = list(self.plan.attachments)
            self.at = {name: (self.plan.seats[name], PORT) for name in ("site", "center")}
            self.to_center = (self.plan.center_faces["site"], PORT)
            self.to_site = (self.plan.site_faces[SITE], PORT)
            self.netns = {}
        else:
            self.netns = {name: new_netns() for name in ("site", "center")}
            for descriptor in self.netns.values():
                stack.callback(os.close, descriptor)
            addresses = {"site": SITE, "center": CENTER}
            self.attachments = [
                ATTACH[backend](name, address, 1500, self.netns[name])
                for name, address in addresses.items()
            ]
            self.at = {name: (address, PORT) for name, address in addresses.items()}
            self.to_center, self.to_site = (CENTER, PORT), (SITE, PORT)
        self.sockets = {name: stack.enter_context(self.socket(name)) for name in self.at}
        for name, each in self.sockets.items():
            each.bind(self.at[name])

    def socket(self, name, kind=socket.SOCK_DGRAM, family=socket.AF_INET):
        """A socket in the host's namespace."""
        if not self.netns:
            return socket.socket(family, kind | socket.SOCK_NONBLOCK)
        with inside(self.netns[name]):
            return socket.socket(family, kind | socket.SOCK_NONBLOCK)

    def entered(self, name):
        """Has us in the host's namespace."""
        return inside(self.netns[name])

    def hear(self):
        """Everything that has arrived so far."""
        for name, each in self.sockets.items():
            while True:
                try:
                    data, source = each.recvfrom(65_535)
                except BlockingIOError:
                    break
                self.heard[name].append((time.monotonic_ns(), data, source))
        return self.heard


@contextmanager
def running(backend, folder, asked, more=(), begins_in_ns=0):
    """Hosts and a pump, with one link of that profile."""
    with ExitStack() as stack:
        hosts = Hosts(backend, stack)
        folder.mkdir(exist_ok=True)
        log = stack.enter_context((folder / "pump.log").open("wb"))
        hosts.began_ns = time.monotonic_ns() + begins_in_ns
        begin = PumpBegin(
            hosts.began_ns,
            BEGINS_UTC_NS,
            SEED,
            PURPOSES,
            (("vsat", asked),),
            (("site", SITE, "vsat"),),
            ("center", CENTER),
            outages_until_ns=FADES_NS,
        )
        pump = stack.enter_context(LivePump(begin, [*hosts.attachments, *more], folder, log))
        yield hosts, pump


def record(number):
    """A payload of its own, of the length of a riometer's record."""
    return b"record %06d" % number + bytes(380 - 13)


def send_up(hosts, count, burst=64):
    """The site sends records in bursts, the next when half of the last is there: a socket of an
    ordinary user holds no more than 166 of them."""
    for first in range(0, count, burst):
        numbers = range(first, min(first + burst, count))
        for number in numbers:
            hosts.sockets["site"].sendto(record(number), hosts.to_center)
        sent = {record(number) for number in numbers}
        until(
            lambda sent=sent: (
                2 * len(sent & {data for _, data, _ in hosts.hear()["center"]}) >= len(sent)
            ),
            "half of a burst arrived",
        )


def settle(hosts, pump, packets):
    """Wait until so many packets have entered each way, and none is under way."""

    def is_so():
        hosts.hear()
        return any(
            all(way.packets == packets[way.direction] and not way.held for way in status.ways)
            for status in pump.said()
        )

    until(is_so, f"{packets} packets had entered and left")


def story(hosts, folder, result):
    """What the facts say, what was heard, how it ended; no times."""
    facts = lines(folder / "links" / "facts.jsonl")
    return {
        "facts": [{key: fact[key] for key in fact if key != "ns"} for fact in facts],
        "heard": {
            name: [short_hash(data) for _, data, _ in heard] for name, heard in hosts.heard.items()
        },
        "sources": sorted({source[0] for _, _, source in hosts.heard["center"]}),
        "wire": result.wire,
        "achieved": result.achieved,
        "generators_end": result.generators_end,
        "fired": result.fired,
    }


# --- cases ----------------------------------------------------------------------------------------


def rough(backend, folder):
    """A link that does everything to 1500 records."""
    with running(backend, folder, "rough") as (hosts, pump):
        send_up(hosts, 1500)
        settle(hosts, pump, {"up": 1500, "down": 0})
        return story(hosts, folder, pump.stop(PATIENCE_S))


def slow(backend, folder):
    """600 ms, asked of 100 records; what both ends say of it."""
    with running(backend, folder, "slow") as (hosts, pump):
        for _ in range(100):
            hosts.sockets["site"].sendto(pack("q", time.monotonic_ns()), hosts.to_center)
        settle(hosts, pump, {"up": 100, "down": 0})
        result = pump.stop(PATIENCE_S)
    took = sorted(at_ns - unpack_from("q", data)[0] for at_ns, data, _ in hosts.heard["center"])
    return {"p50_ms": took[50] / MS, "least_ms": took[0] / MS, "achieved": result.achieved}


def hurt(backend, folder):
    """Orders, darkness, a stranger and a move, one after the other on a clean link."""
    sent = iter(range(1000))
    with running(backend, folder, "clean") as (hosts, pump):
        counts = {"up": 0, "down": 0}

        def send(count):
            for _ in range(count):
                hosts.sockets["site"].sendto(record(next(sent)), hosts.to_center)
            counts["up"] += count
            settle(hosts, pump, counts)

        send(1)
        for fault, kind in enumerate(("lose", "duplicate", "corrupt", "delay")):
            pump.order("vsat", kind, 2, fault, by_ns=50 * MS)
        send(9)
        pump.go_dark("vsat", 4)
        send(2)
        pump.recover("vsat", 4)
        send(1)
        pump.inject("center", udp(("203.0.113.66", 4242), (CENTER, PORT), bytes(50_000)))
        until(lambda: any(50_000 == len(data) for _, data, _ in hosts.hear()["center"]), "injected")
        hosts.sockets["center"].sendto(b"before", hosts.to_site)
        counts["down"] += 1
        settle(hosts, pump, counts)
        pump.move("site", NEW_ADDRESS)
        hosts.sockets["center"].sendto(b"old", hosts.to_site)
        if backend != "proxy":
            with inside(hosts.netns["site"]):
                iproute.readdress(DEVICE[backend], SITE, NEW_ADDRESS)
            moved = hosts.socket("site")
            moved.bind((NEW_ADDRESS, PORT))
            hosts.sockets.pop("site").close()
            hosts.sockets["site"] = moved
            hosts.to_site = (NEW_ADDRESS, PORT)
        else:
            hosts.to_site = (hosts.plan.site_faces[NEW_ADDRESS], PORT)
        hosts.sockets["center"].sendto(b"new", hosts.to_site)
        until(lambda: b"new" in [data for _, data, _ in hosts.hear()["site"]], "it arrived")
        counts["down"] += 1
        send(1)
        hosts.sockets["site"].close()
        return story(hosts, folder, pump.stop(PATIENCE_S))


def noise(backend, folder):
    """A host that puts noise on its device, through the packet sockets of its own kernel."""
    with running(backend, folder, "clean") as (hosts, pump):
        with hosts.socket("site", socket.SOCK_RAW, socket.AF_PACKET) as raw:
            raw.bind((DEVICE[backend], 0x0800))
            for number in range(300):
                blob = bytes((number * 7 + at * number) % 256 for at in range(number % 90 + 1))
                frame = blob if backend == "tun" else packet.HEADER + blob
                raw.send(b"\x60" + frame[1:] if backend == "tun" else frame)
        hosts.sockets["site"].sendto(record(0), hosts.to_center)
        until(lambda: hosts.hear()["center"], "a good record arrived")
        pump.stop(PATIENCE_S)
    facts = lines(folder / "links" / "facts.jsonl")
    return {"facts": facts, "heard": len(hosts.heard["center"])}


def burst(backend, folder):
    """The site sends at once as much as its device is to hold, and only then is it read."""
    with ExitStack() as stack:
        hosts = Hosts(backend, stack)
        site, center = (OPEN[backend](attachment) for attachment in hosts.attachments)
        sent = [record(number) for number in range(tun.QUEUE_PACKETS)]
        for data in sent:
            hosts.sockets["site"].sendto(data, hosts.to_center)
        packets = []
        with suppress(BlockingIOError):
            while True:
                packets.append(site.receive())
        dropped = site.drops().from_host
        site.close()
        center.close()
        return {"is_whole": sent == [each[IP_UDP_BYTES:] for each in packets], "dropped": dropped}


def vectors(backend, folder):
    """Recordings of a kernel, replayed through the devices of this one, by an engine in here."""
    names = (
        "loss5_seed42",
        "gemodel_dup2_seed12",
        "loss5_corrupt10_dup3_seed14",
        "reorder25_gap1_seed15",
        "combined_seed21",
        "rate64k_limit20",
    )
    with ExitStack() as stack:
        hosts = Hosts(backend, stack)
        ports = [OPEN[backend](attachment) for attachment in hosts.attachments]
        return {name: replay(VECTORS[name], hosts, ports, folder / name) for name in names}


def replay(vector, hosts, ports, folder):
    """For each frame of a vector the delays of its copies that arrived, in milliseconds of a time
    that waits for the machine: each frame has entered, or arrived, before the next one does."""
    clock_ns = 0
    engine = Engine(lambda: clock_ns, BEGINS_UTC_NS, folder, SEED, PURPOSES)
    asked = asking(impairments_of(vector["tc_args"]))
    seeded = {way: LinkModel(asked.up, vector["seed"] or 0) for way in ("up", "down")}
    way = engine.add_link("vsat", asked, seeded, hosts.backend).ways["up"]
    for port, address, link in zip(ports, (SITE, CENTER), ("vsat", None), strict=True):
        engine.add_host(port, address, link)
    heard = hosts.heard["center"]
    heard.clear()
    arrived_ns = []

    def leave():
        engine.leave()
        until(lambda: len(hosts.hear()["center"]) == way.delivered, "what left had arrived")
        arrived_ns.extend([clock_ns] * (len(heard) - len(arrived_ns)))

    def has_entered(number):
        engine.take(ports[0])
        return way.offered > number

    for number in range(vector["frames"]):
        clock_ns = number * vector["interval_us"] * 1_000
        payload = pack("qq", number, clock_ns).ljust(vector["frame_len"] - IP_UDP_BYTES)
        hosts.sockets["site"].sendto(payload, hosts.to_center)
        until(lambda number=number: has_entered(number), "a frame had entered")
        leave()
    while engine.next_due_ns() is not None:
        clock_ns = engine.next_due_ns()
        leave()
    engine.flush()
    delays = [[] for _ in range(vector["frames"])]
    for at_ns, (_, data, _) in zip(arrived_ns, heard, strict=True):
        number, sent_ns = unpack_from("qq", data)
        delays[number].append((at_ns - sent_ns) / MS)
    return delays


class Streams:
    """TCP between the site and the center."""

    def __init__(self, hosts, stack):
        self.hosts = hosts
        self.stack = stack
        self.server = stack.enter_context(hosts.socket("center", socket.SOCK_STREAM))
        self.server.bind(hosts.at["center"])
        self.server.listen()

    def connected(self, name, to):
        """A connection that a host has asked for."""
        made = self.stack.enter_context(self.hosts.socket(name, socket.SOCK_STREAM))
        made.bind((self.hosts.at[name][0], 0))
        with suppress(BlockingIOError):
            made.connect(to)
        return made

    def accepted(self):
        """The center's side of one, and where it sees it come from."""
        until(lambda: select.select((self.server,), (), (), 0)[0], "a connection came through")
        stream, peer = self.server.accept()
        stream.setblocking(False)
        return self.stack.enter_context(stream), peer[0]


def carried(source, sink, data):
    """How long bytes took through a relay, and whether they are the same behind it."""
    begin_ns, got, left = time.monotonic_ns(), bytearray(), data

    def is_all_there():
        nonlocal left
        with suppress(BlockingIOError):
            left = left[source.send(left) :]
        with suppress(BlockingIOError):
            got.extend(sink.recv(65_536))
        return len(got) == len(data)

    until(is_all_there, "a stream had passed")
    return (time.monotonic_ns() - begin_ns) / MS, bytes(got) == data


def is_reset(stream):
    """Whether the other end broke the connection."""
    stream.settimeout(PATIENCE_S)
    try:
        return stream.recv(1) != b""
    except ConnectionResetError:
        return True


def in_the_dark(hosts, pump, source, sink):
    """What a stream brings while its link is dark, thrice as long as the delay, and after that."""
    pump.go_dark("vsat", 0)
    source.send(b"in the dark")
    later_ns = time.monotonic_ns() - hosts.began_ns + 150 * MS
    until(lambda: any(each.ns > later_ns for each in pump.said()), "it was dark for a while")
    try:
        came = sink.recv(100)
    except BlockingIOError:
        came = b""
    pump.recover("vsat", 0)
    until(lambda: select.select((sink,), (), (), 0)[0], "it was light again")
    return came.decode(), sink.recv(100).decode()


def streams(backend, folder):
    """TCP through a relay: late, stalled, reset."""
    with running(backend, folder, "steady") as (hosts, pump), ExitStack() as stack:
        tcp, faces = Streams(hosts, stack), hosts.plan.site_faces
        site = tcp.connected("site", hosts.to_center)
        center, seen_from = tcp.accepted()
        told = {
            "seen_from": seen_from == faces[SITE],
            "up": carried(site, center, bytes(50_000)),
            "down": carried(center, site, b"x" * 50_000),
        }
        told["dark"], told["light"] = in_the_dark(hosts, pump, site, center)
        center.close()
        site.settimeout(PATIENCE_S)
        told["end"] = site.recv(100).decode()
        told["refused"] = is_reset(tcp.connected("center", hosts.to_site))
        before = tcp.connected("site", hosts.to_center)
        tcp.accepted()
        pump.move("site", NEW_ADDRESS)
        told["moved"] = is_reset(before)
        tcp.connected("site", hosts.to_center)
        told["anew"] = tcp.accepted()[1] == faces[NEW_ADDRESS]
        told["wire"] = pump.stop(PATIENCE_S).wire
        return told


def through_kernel(backend, folder):
    """A link of devices: here without a qdisc, for not every kernel has netem."""
    netem.kernel_netem.apply = lambda device, impairments, seed: None
    more = [netem.attach("vsat", way, PROFILES["clean"], SEED) for way in ("up", "down")]
    with running(backend, folder, "clean", more) as (hosts, pump):
        send_up(hosts, 300)
        hosts.sockets["center"].sendto(b"down", hosts.to_site)
        settle(hosts, pump, {"up": 300, "down": 1})
        return story(hosts, folder, pump.stop(PATIENCE_S))


def fading(backend, folder):
    """A link that goes dark by itself for a second."""
    with running(backend, folder, "fading", begins_in_ns=500 * MS) as (hosts, pump):
        ready_ns = time.monotonic_ns() - hosts.began_ns
        until(lambda: any(each.ns > FADES_NS + 100 * MS for each in pump.said()), "it was over")
        pump.stop(PATIENCE_S)
    return {"facts": lines(folder / "links" / "facts.jsonl"), "ready_ns": ready_ns}


def orphan(backend, folder):
    """Says which process the pump is, and waits to be killed."""
    with running(backend, folder, "clean") as (hosts, pump):
        send_up(hosts, 1)
        pump.go_dark("vsat", 0)
        settle(hosts, pump, {"up": 1, "down": 0})
        sys.stdout.write(f"{pump.pid}\n")
        sys.stdout.flush()
        signal.pause()


CASES = {
    case.__name__: case
    for case in (rough, slow, hurt, noise, burst, vectors, streams, through_kernel, fading, orphan)
}


if __name__ == "__main__":
    case, backend, folder = sys.argv[1:]
    sys.stdout.write(json.dumps(CASES[case](backend, Path(folder))))
