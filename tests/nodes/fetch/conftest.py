"""A center and an edge's web server in a world of their own: the driver of these tests.

The center has three nodes, in memory, and keeps the laws of the contract; the server is ours,
spoilt by what a test puts into `ask`, `answer`, `breaks` and `silent`. Test files get all of
this as the fixture `rig`, and records and disks from the fixture `kit`.
"""

import heapq
import json
import re
from collections import deque
from itertools import count
from types import SimpleNamespace

import pytest

from fieldproof_contract import (
    SECOND_NS,
    Address,
    CloseStream,
    Datagram,
    Failed,
    Log,
    Monotonic,
    Now,
    OpenStream,
    Publish,
    StreamClosed,
    StreamData,
    StreamOpened,
    Sync,
    Synced,
    Topic,
    WriteStream,
)
from fieldproof_reference import ports
from fieldproof_reference.center import (
    ARRIVED,
    CONFIRMED,
    DOUBTED,
    PROMOTED,
    REOPENED,
    CenterSettings,
    EdgeAtCenter,
)
from fieldproof_reference.center.fetch import Fetch
from fieldproof_reference.center.receive import Receive
from fieldproof_reference.center.validate import Validate
from fieldproof_reference.protocols.httprange import Server

ADDRESS = "206.172.47.234"
SERVER = Address(ADDRESS, ports.ARCHIVE)
SETTINGS = CenterSettings(
    {"daws": EdgeAtCenter(b"key", Address(ADDRESS, ports.REPAIR), "http-range", SERVER)}
)
DELAY_NS = 300_000_000
ARRIVALS = {f"udp/2006/01/17/{ADDRESS}/ut14_24985.idx": b""}
BEGINS_S = 16 * 3_600 + 100
HEARS = (
    (Receive, {ports.TELEMETRY}),
    (Validate, {ARRIVED, PROMOTED, CONFIRMED, REOPENED}),
    (Fetch, {DOUBTED}),
)


class Death(Exception):
    """The center has carried out its last effect (`lives_for`)."""


class Edge:
    """Who answers at the site's address: our server, spoilt by what a test changes."""

    def __init__(self, kit, files):
        self.disk = kit.Disk(files)
        self.up = True
        self.asked: list[str] = []  # requests, one line each
        self.opened = 0
        self.ask = lambda request: request
        self.answer = lambda response: response
        self.breaks: list[int] = []  # after so many bytes of each answer that follows
        self.silent = False
        self.dark: set[str] = set()  # sites that nobody reaches
        self.piece = 1448
        self.sent_bytes = 0

    def connect(self):
        self.opened += 1
        return Server(self.disk, "riometer/")

    def hear(self, server, request):
        """The answer, and whether the connection breaks behind it."""
        lines = request.decode().split("\r\n")
        spans = [line[13:] for line in lines if line.startswith("Range: ")]
        hour, site = re.search(r"_(\d\d)_(\w{4})_xrio", lines[0]).groups()
        self.asked.append(" ".join([lines[0].split()[0], hour, site, *spans]))
        answer = self.answer(server.hear(self.ask(request)))
        if self.breaks:
            return answer[: self.breaks.pop(0)], True
        return answer, False


class Center:
    """A host of the center's nodes in a world of its own, deterministic."""

    def __init__(self, kit, files, edge, begins_s=BEGINS_S, settings=SETTINGS):
        self.kit, self.edge, self.settings = kit, edge, settings
        self.disk = kit.Disk({**ARRIVALS, **files})
        self.now_ns, self.offset_ns = 0, 0
        self.begins_ns = (kit.DAY_S + begins_s) * SECOND_NS
        self.agenda: list = []
        self.order = count()
        self.logs: list[Log] = []
        self.published: list[Publish] = []
        self.lives_for = -1
        self.life = 0
        self.boot()

    # --- the host ---

    def boot(self):
        self.life += 1
        self.queue: deque = deque()
        self.streams: dict[str, object] = {}
        self.nodes = [(make(self.settings), hears) for make, hears in HEARS]
        for node, _ in self.nodes:
            self.call(node, node.start(self.disk, self.now()))

    def die(self, source=None):
        self.life += 1
        self.streams, self.nodes = {}, []
        if source is not None:
            self.disk.power_cut(source)

    def now(self):
        return Now(Monotonic(self.now_ns), self.begins_ns + self.now_ns + self.offset_ns)

    def call(self, node, effects):
        for effect in effects:
            if self.lives_for == 0:
                raise Death
            self.lives_for -= 1
            try:
                self.perform(node, effect)
            except OSError as error:
                self.queue.append((node, Failed(effect, str(error))))
                break
        while self.queue:
            other, event = self.queue.popleft()
            self.call(other, other.receive(event, self.now()))

    def perform(self, node, effect):
        match effect:
            case Log():
                self.logs.append(effect)
            case Publish(topic, message):
                self.published.append(effect)
                self.queue.extend((n, Topic(topic, message)) for n, h in self.nodes if topic in h)
            case Sync(paths):
                self.disk.perform(effect)
                sizes = [(path, len(self.disk.read(path))) for path in paths]
                self.later(5_000_000, lambda: self.synced(node, paths, sizes))
            case OpenStream(stream):
                self.open(node, stream)
            case WriteStream(stream, data):
                if stream not in self.streams:
                    raise OSError(f"There is no stream {stream}.")
                server = self.streams[stream]
                self.later(DELAY_NS, lambda: self.served(node, stream, server, data))
            case CloseStream(stream):
                if self.streams.pop(stream, None):
                    self.queue.append((node, StreamClosed(stream, "")))
            case _:
                self.disk.perform(effect)

    def synced(self, node, paths, sizes):
        for path, size in sizes:
            self.disk.synced[path] = max(self.disk.synced.get(path, 0), size)
        self.call(node, node.receive(Synced(paths), self.now()))

    # --- the network ---

    def later(self, in_ns, action):
        life = self.life

        def happen():
            if life == self.life:
                action()

        heapq.heappush(self.agenda, (self.now_ns + in_ns, next(self.order), happen))

    def open(self, node, stream):
        self.streams[stream] = self.edge.connect()
        if self.edge.up and stream.partition("-")[0] not in self.edge.dark:
            self.later(2 * DELAY_NS, lambda: self.told(node, StreamOpened(stream, ADDRESS)))
        else:
            self.later(127 * SECOND_NS, lambda: self.closed(node, stream, "no answer"))

    def told(self, node, event):
        if event.stream in self.streams:
            self.call(node, node.receive(event, self.now()))

    def closed(self, node, stream, reason):
        if self.streams.pop(stream, None):
            self.call(node, node.receive(StreamClosed(stream, reason), self.now()))

    def served(self, node, stream, server, data):
        if not self.edge.up or self.edge.silent:
            return
        answer, breaks = self.edge.hear(server, data)
        self.edge.sent_bytes += len(answer)
        for at in range(0, len(answer), self.edge.piece):
            piece = StreamData(stream, answer[at : at + self.edge.piece])
            self.later(DELAY_NS + at, lambda piece=piece: self.told(node, piece))
        if breaks or server.over:
            reason = "connection reset" if breaks else ""
            self.later(DELAY_NS + len(answer), lambda: self.closed(node, stream, reason))

    # --- time ---

    def run(self, seconds):
        until_ns = self.now_ns + round(seconds * SECOND_NS)
        while True:
            dues = [due for node, _ in self.nodes if (due := node.deadline()) is not None]
            next_ns = min([*dues, *(at_ns for at_ns, *_ in self.agenda[:1])], default=1 << 63)
            if next_ns > until_ns:
                break
            self.now_ns = max(self.now_ns, next_ns)
            if self.agenda and self.agenda[0][0] <= self.now_ns:
                heapq.heappop(self.agenda)[2]()
                continue
            for node, _ in self.nodes:
                if (due := node.deadline()) is not None and due <= self.now_ns:
                    self.call(node, node.advance(self.now()))
        self.now_ns = until_ns

    def hear(self, record):
        """A record comes live."""
        event = Datagram(ports.TELEMETRY, Address(ADDRESS, 1), record)
        for node, hears in list(self.nodes):
            if ports.TELEMETRY in hears:
                self.call(node, node.receive(event, self.now()))

    # --- what there is to see ---

    def canonical(self):
        return self.disk.under("riometer/", ".dat")

    def notes(self, what=None):
        data = self.disk.files.get("provenance/2006/01/17/daws.jsonl", b"")
        lines = [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]
        return [line for line in lines if what in (None, line["what"])]

    def proven(self):
        """The hours of the day that were proven, in order, and by what."""
        return [(line["hour"] % 24, line["by"]) for line in self.notes("hour proven")]

    def said(self, what):
        return [log.detail for log in self.logs if log.what == what]

    def quarantined(self):
        return set(self.disk.under("quarantine/", ".bin").values())


def hours(kit, *numbers, without=(), phase=5):
    """Hour files with a record a minute, but for some minutes of the day."""
    minutes = (n for hour in numbers for n in range(60 * hour, 60 * hour + 60) if n not in without)
    return kit.filed([kit.record(60 * n + phase) for n in minutes])


def edge_files(kit, **how):
    """Hours 13 to 15, and the beginning of hour 16: by it the others are over."""
    return {**hours(kit, 13, 14, 15, **how), kit.path(16): kit.record(57_605)}


def scene(kit, center_files, files=None, **how):
    edge = Edge(kit, edge_files(kit) if files is None else files)
    return Center(kit, {**center_files, kit.path(16): kit.record(57_605)}, edge, **how), edge


def same(center, edge):
    return edge.disk.under("riometer/", ".dat") == center.canonical()


def no_digest(response):
    return re.sub(rb"Repr-Digest: [^\r]*\r\n", b"", response)


def weak_tag(response):
    return no_digest(response).replace(b'ETag: "', b'ETag: W/"')


def no_ranges(request):
    return re.sub(rb"(?<=\n)Range: [^\r]*\r\n", b"", request)


def no_head(request):
    return request.replace(b"HEAD ", b"LOOK ")


SERVERS = {
    "ours": {},
    "without digest": {"answer": no_digest},
    "without strong tag": {"answer": weak_tag},
    "without ranges": {"ask": no_ranges},
    "without HEAD": {"ask": no_head},
    "with nothing": {"ask": lambda r: no_head(no_ranges(r)), "answer": weak_tag},
}


@pytest.fixture(scope="session")
def rig() -> SimpleNamespace:
    """Everything of this file that tests use; it holds no state."""
    return SimpleNamespace(
        ADDRESS=ADDRESS,
        ARRIVALS=ARRIVALS,
        Center=Center,
        Death=Death,
        Edge=Edge,
        SERVERS=SERVERS,
        edge_files=edge_files,
        hours=hours,
        same=same,
        scene=scene,
    )
