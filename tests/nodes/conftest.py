"""A tiny host in memory that runs the effects of nodes deterministically: these tests' driver.

It keeps the laws of the contract and adds what tests want: a disk that refuses (`refuses`), a host
that dies after so many effects (`lives_for`), a link whose fate a test decides (`carry`, `pipe`),
engines that fail (`engine`); those that do not are the real programs. It is not the product's
virtual world, and on purpose shares no code with it.

Test files do not import each other: they get all of this as the fixture `kit`.
"""

import heapq
import random
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from fieldproof_contract import (
    SECOND_NS,
    Address,
    Append,
    CloseStream,
    Datagram,
    Effect,
    Effects,
    EngineEnded,
    Event,
    Failed,
    Job,
    Listen,
    Log,
    Monotonic,
    Node,
    Now,
    OpenStream,
    Publish,
    Remove,
    Rename,
    Replace,
    RunEngine,
    SendDatagram,
    ServeTree,
    StopEngine,
    Sync,
    Synced,
    Topic,
    Truncate,
    WriteStream,
)
from fieldproof_reference import ports
from fieldproof_reference.center import ARRIVED, CONFIRMED, PROMOTED, CenterSettings, EdgeAtCenter
from fieldproof_reference.center.receive import Receive
from fieldproof_reference.center.reconcile import Reconcile
from fieldproof_reference.center.validate import Validate
from fieldproof_reference.edge import FILED, RECORD, EdgeSettings
from fieldproof_reference.edge.answer import Answer
from fieldproof_reference.edge.declare import Declare
from fieldproof_reference.edge.filing import Filing
from fieldproof_reference.edge.serve import Serve
from fieldproof_reference.edge.share import Share
from fieldproof_reference.edge.transmit import Transmit
from fieldproof_reference.formats import trees, xrio

sys.path.insert(0, str(Path(__file__).parent))

from outside import Wires, engine_done

DAY = 13_165  # 2006-01-17
KEY = b"the key of daws"
EDGE_ADDRESS, CENTER_ADDRESS = "206.172.47.234", "136.159.51.71"
EDGE = EdgeSettings("daws", CENTER_ADDRESS, KEY)
CENTER = CenterSettings({"daws": EdgeAtCenter(KEY, Address(EDGE_ADDRESS, ports.REPAIR))})
SYNC_NS = 5_000_000
ENGINE_NS = 50_000_000
DELAY_NS = 300_000_000
_NEVER_NS = 1 << 63


class Disk:
    """Files in a dict, and how much of each is durable."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self.files = dict(files or {})
        self.synced = {path: len(data) for path, data in self.files.items()}
        self.refuses: Callable[[Effect], bool] = lambda effect: False
        self.written_s: Callable[[str], int] = lambda path: 1_137_600_000  # for rsync

    def size(self, path: str) -> int | None:
        return len(self.files[path]) if path in self.files else None

    def read(self, path: str, offset: int = 0, size: int = -1) -> bytes:
        if path not in self.files:
            raise FileNotFoundError(path)
        return self.files[path][offset : None if size < 0 else offset + size]

    def listing(self, prefix: str) -> tuple[str, ...]:
        return tuple(sorted(path for path in self.files if path.startswith(prefix)))

    def under(self, prefix: str, ending: str = "") -> dict[str, bytes]:
        """The files of a tree, by path."""
        return {path: self.files[path] for path in self.listing(prefix) if path.endswith(ending)}

    def perform(self, effect: Effect) -> None:
        """Carry out an effect on files; OSError where it cannot be."""
        if self.refuses(effect):
            raise OSError("No space left on device.")
        match effect:
            case Append(path, data):
                self.files[path] = self.files.get(path, b"") + data
                self.synced.setdefault(path, 0)
            case Replace(path, data):
                self.files[path], self.synced[path] = data, len(data)
            case Truncate(path, size):
                self.files[path] = self.read(path)[:size]
                self.synced[path] = min(self.synced[path], size)
            case Rename(path, to):
                self.files[to], self.synced[to] = self.read(path), self.synced[path]
                del self.files[path], self.synced[path]
            case Remove(path):
                self.read(path)
                del self.files[path], self.synced[path]

    def power_cut(self, source: random.Random) -> None:
        """Lose a random part of what is not durable."""
        for path in sorted(self.files):
            kept = source.randint(self.synced[path], len(self.files[path]))
            self.files[path] = self.files[path][:kept]
            self.synced[path] = kept


class Death(Exception):
    """The host has carried out its last effect (`lives_for`)."""

    def __init__(self, host: "Host") -> None:
        super().__init__(host.address)
        self.host = host


class Host:
    """Nodes on one disk, with one clock: `offset_ns` is its UTC less the world's."""

    def __init__(self, world: "World", address: str, disk: Disk, parts: Sequence[tuple]) -> None:
        self.world, self.address, self.disk, self.parts = world, address, disk, parts
        self.nodes: list[Node] = []
        self._queue: deque[tuple[int, Event]] = deque()
        self.offset_ns = 0
        self.life = 0
        self.lives_for = -1  # effects; negative for ever
        self.at_death: Callable[[], None] | None = None  # None: the test gets the exception
        self.sent: list[tuple[int, SendDatagram]] = []
        self.logs: list[Log] = []
        self.published: list[Publish] = []
        self.durable: list[tuple[str, bytes]] = []  # what a Sync promised of raw files
        self.running: dict[tuple[int, str], Job] = {}  # engines, by node and name
        self.ran: list[Job] = []

    def now(self) -> Now:
        return Now(Monotonic(self.world.now_ns), self.world.utc_ns() + self.offset_ns)

    def boot(self) -> None:
        self.life += 1
        self.nodes = [make() for make, _ in self.parts]
        for index, node in enumerate(self.nodes):
            self._call(index, node.start(self.disk, self.now()))

    def die(self, power_cut: random.Random | None = None) -> None:
        self.nodes = []
        self._queue.clear()
        self.life += 1
        self.running.clear()
        self.world.wires.leave(self)
        if power_cut is not None:
            self.disk.power_cut(power_cut)
        else:  # the kernel goes on to write back what a killed process left
            self.disk.synced = {path: len(data) for path, data in self.disk.files.items()}

    def tell(self, what: int | str, event: Event) -> None:
        """Give an event to the nodes that hear `what`."""
        self._post(what, event)
        self._drain()

    def deadline(self) -> int | None:
        return min((d for n in self.nodes if (d := n.deadline()) is not None), default=None)

    def advance(self) -> None:
        for index, node in enumerate(self.nodes):
            due = node.deadline()
            if due is not None and due <= self.world.now_ns:
                self._call(index, node.advance(self.now()))

    def _call(self, index: int, effects: Effects) -> None:
        for effect in effects:
            if self.lives_for == 0:
                raise Death(self)
            self.lives_for -= 1
            try:
                self._perform(index, effect)
            except OSError as error:
                self._queue.append((index, Failed(effect, str(error))))
                break
        self._drain()

    def _drain(self) -> None:
        while self._queue:
            index, event = self._queue.popleft()
            self._call(index, self.nodes[index].receive(event, self.now()))

    def _post(self, what: int | str, event: Event) -> None:
        listeners = [n for n, (_, hears) in enumerate(self.parts) if self.nodes and what in hears]
        self._queue.extend((index, event) for index in listeners)

    def _perform(self, index: int, effect: Effect) -> None:
        match effect:
            case SendDatagram():
                self.sent.append((self.world.now_ns, effect))
                self.world.transmit(self, effect)
            case Publish(topic, message):
                self.published.append(effect)
                self._post(topic, Topic(topic, message))
            case Log():
                self.logs.append(effect)
            case OpenStream() | WriteStream() | CloseStream():
                self.world.wires.perform(self, index, effect)
            case RunEngine(run, job):
                self.running[index, run] = job
                self.ran.append(job)
                if not isinstance(job, ServeTree):
                    ends = lambda life=self.life: self._run(index, run, job, life)  # noqa: E731
                    self.world.at(ENGINE_NS, ends)
            case StopEngine(run) if (index, run) in self.running:
                served = isinstance(self.running.pop((index, run)), ServeTree)
                self._queue.append((index, EngineEnded(run, b"", "" if served else "stopped")))
            case StopEngine():
                pass
            case Sync(paths):
                self.disk.perform(effect)
                sizes = [(path, len(self.disk.read(path))) for path in paths]
                self.world.at(SYNC_NS, lambda life=self.life: self._synced(index, life, sizes))
            case _:
                self.disk.perform(effect)

    def _run(self, index: int, run: str, job: Job, life: int) -> None:
        """An engine has done its job, or was meant to."""
        if life != self.life or self.running.get((index, run)) is not job:
            return
        outcome = self.world.engine(job)
        if outcome == "hangs":
            return
        del self.running[index, run]
        output, reason = outcome or engine_done(self, job)
        self.tell_node(index, EngineEnded(run, output, reason))

    def tell_node(self, index: int, event: Event) -> None:
        """Give an event to one node."""
        if self.nodes:
            self._call(index, self.nodes[index].receive(event, self.now()))

    def _synced(self, index: int, life: int, sizes: list[tuple[str, int]]) -> None:
        if life != self.life:
            return
        for path, size in sizes:
            self.disk.synced[path] = max(self.disk.synced.get(path, 0), size)
            if path.startswith("udp/"):
                self.durable.append((path, self.disk.read(path, 0, size)))
        self.tell_node(index, Synced(tuple(path for path, _ in sizes)))


class World:
    """Hosts, a link between them and the time. `carry` gives each datagram its fate: the delays and
    contents of its copies, none for a loss; `pipe` gives each segment of a stream its own: what
    arrives of it, None for a cut; `engine` gives a job its outcome: None for the real one, "hangs"
    for none."""

    def __init__(self, begins_utc_s: float) -> None:
        self.now_ns = 0
        self.begins_utc_ns = _ns(begins_utc_s)
        self.hosts: dict[str, Host] = {}
        self.carry: Callable[[int, bytes], list[tuple[int, bytes]]] = lambda port, data: [
            (DELAY_NS, data)
        ]
        self.pipe: Callable[[bytes], bytes | None] = lambda data: data
        self.engine: Callable[[Job], tuple[bytes, str] | str | None] = lambda job: None
        self.wires = Wires(self, DELAY_NS)
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0

    def host(self, address: str, disk: Disk, *parts: tuple) -> Host:
        """A host that is up; a part is what makes a node, and what that node hears."""
        host = self.hosts[address] = Host(self, address, disk, parts)
        host.boot()
        return host

    def utc_ns(self) -> int:
        return self.begins_utc_ns + self.now_ns

    def at(self, in_ns: int, action: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._agenda, (self.now_ns + in_ns, self._count, action))

    def at_utc(self, utc_s: float, action: Callable[[], None]) -> None:
        self.at(_ns(utc_s) - self.utc_ns(), action)

    def transmit(self, sender: Host, effect: SendDatagram) -> None:
        source = Address(sender.address, effect.port)
        for delay_ns, data in self.carry(effect.to.port, effect.data):
            self.at(delay_ns, lambda data=data: self._arrive(effect.to, source, data))

    def _arrive(self, to: Address, source: Address, data: bytes) -> None:
        if to.host in self.hosts:
            self.hosts[to.host].tell(to.port, Datagram(to.port, source, data))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.run_to(self.utc_ns() / SECOND_NS + seconds)

    def run_to(self, utc_s: float) -> None:
        until_ns = _ns(utc_s) - self.begins_utc_ns
        while True:
            deadlines = [d for h in self.hosts.values() if (d := h.deadline()) is not None]
            planned = [at_ns for at_ns, _, _ in self._agenda[:1]]
            next_ns = min([*deadlines, *planned], default=_NEVER_NS)
            if next_ns > until_ns:
                break
            self.now_ns = max(self.now_ns, next_ns)
            try:
                self._step()
            except Death as death:
                if death.host.at_death is None:
                    raise
                death.host.at_death()
        self.now_ns = max(self.now_ns, until_ns)

    def _step(self) -> None:
        if self._agenda and self._agenda[0][0] <= self.now_ns:
            heapq.heappop(self._agenda)[2]()
        else:
            for host in self.hosts.values():
                host.advance()


def _ns(utc_s: float) -> int:
    """To the microsecond: a float of today's seconds holds no more."""
    return round(utc_s * 1e6) * 1000


def record(second: int, site: bytes = b"DAWS", points: int = 60, salt: int = 0) -> bytes:
    """A record of day DAY; `second` of the day. What it holds depends on second and salt."""
    source = random.Random(second * 1000 + salt)
    averages = [2700 + source.randrange(30) for _ in range(points)]
    ranges = [15 + source.randrange(8) for _ in range(points)]  # wide enough for their jumps
    counts = [60] * points
    stamp_s = DAY * 86_400 + second
    return xrio.pack(site, stamp_s, xrio.pack_points(averages, ranges, counts))


def path(hour: int, day: int = DAY, site: str = "daws") -> str:
    """The hour file of a day."""
    return trees.hour_path(site, (day * 24 + hour) * 3600)


def filed(records: Sequence[bytes]) -> dict[str, bytes]:
    """Hour files with these records in this order."""
    files: dict[str, bytes] = {}
    for one in records:
        name = trees.hour_path("daws", xrio.timestamp_s(one))
        files[name] = files.get(name, b"") + one
    return files


def edge_parts() -> Iterator[tuple]:
    yield lambda: Filing(EDGE), {RECORD}
    yield lambda: Transmit(EDGE), {FILED}
    yield lambda: Declare(EDGE), set()
    yield lambda: Answer(EDGE), {ports.REPAIR}
    yield lambda: Serve(EDGE), {Listen(ports.ARCHIVE)}
    yield lambda: Share(replace(EDGE, shares=True)), set()


def center_parts(method: str = "repair") -> Iterator[tuple]:
    known = {site: replace(known, reconcile=method) for site, known in CENTER.sites.items()}
    settings = replace(CENTER, sites=known)
    yield lambda: Receive(CENTER), {ports.TELEMETRY, ports.STATUS}
    yield lambda: Validate(CENTER), {ARRIVED, PROMOTED, CONFIRMED}
    yield lambda: Reconcile(settings), {ports.MANIFEST, ports.REPAIR}


@pytest.fixture(scope="session")
def kit() -> SimpleNamespace:
    """Everything of this file that tests use; it holds no state."""
    return everything()


def everything() -> SimpleNamespace:
    """The same for other rooms, which load this file by its path."""
    return SimpleNamespace(
        CENTER=CENTER,
        CENTER_ADDRESS=CENTER_ADDRESS,
        DAY=DAY,
        DAY_S=DAY * 86_400,
        DELAY_NS=DELAY_NS,
        Death=Death,
        Disk=Disk,
        EDGE=EDGE,
        EDGE_ADDRESS=EDGE_ADDRESS,
        KEY=KEY,
        World=World,
        done=lambda job: engine_done(None, job)[0],
        center_parts=lambda method="repair": tuple(center_parts(method)),
        edge_parts=lambda: tuple(edge_parts()),
        filed=filed,
        path=path,
        record=record,
    )
