"""Traps in what answers carry: bombs, and other versions of the programs that wrote them."""

import lzma
import subprocess
import tracemalloc
import zlib

import pytest

from fieldproof_contract import Address, ApplyDelta, Datagram
from fieldproof_reference import ports
from fieldproof_reference.edge.lacking import lacking, pick
from fieldproof_reference.formats import columns
from fieldproof_reference.protocols.deltas import pack_deltas
from fieldproof_reference.protocols.repair import (
    Codec,
    day_digest,
    pack_body,
    read_request,
    reply_fragments,
)

MINUTES = range(1_260, 1_440)  # from 21:00 on
ARRIVALS = {"udp/2006/01/17/206.172.47.234/ut22_25000.dat": b""}


def day_files(kit, lost=()):
    return kit.filed([kit.record(60 * n + 5) for n in MINUTES if n not in lost])


class Answering:
    """A node in the place of the edge: its answers are what `body` makes of requests."""

    def __init__(self, kit, files, body):
        self.kit, self.body, self.world = kit, body, None
        self.files = sorted((path.rpartition("/")[2], data) for path, data in files.items())

    def start(self, disk, now):
        return ()

    def receive(self, event, now):
        request = read_request(event.data, self.kit.KEY, self.kit.DAY)
        used, body = self.body(self.files, request)
        digest = day_digest(self.files)
        center = self.world.hosts[event.source.host]
        for data in reply_fragments(event.data, used, digest, body, self.kit.KEY):
            datagram = Datagram(ports.REPAIR, Address(self.kit.EDGE_ADDRESS, ports.REPAIR), data)
            self.world.at(1_000, lambda one=datagram: center.tell(ports.REPAIR, one))
        return ()

    def advance(self, now):
        return ()

    def deadline(self):
        return None


@pytest.fixture
def evening(kit):
    """A center that lacks two records, and an edge whose answers are made by `body`."""

    def make(body, method="repair"):
        world = kit.World(kit.DAY_S + 86_640)
        node = Answering(kit, day_files(kit), body)
        node.world = world
        world.host(kit.EDGE_ADDRESS, kit.Disk(), (lambda: node, {ports.REPAIR}))
        disk = kit.Disk({**ARRIVALS, **day_files(kit, (1_300, 1_390))})
        return world, world.host(kit.CENTER_ADDRESS, disk, *kit.center_parts(method))

    return make


def canonical(host):
    return host.disk.under("riometer/", ".dat")


ZEROS = bytes(1 << 26)
LZMA2 = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20, "lc": 2, "lp": 0, "pb": 0}]


def deflate(data, level=9):
    made = zlib.compressobj(level, zlib.DEFLATED, -15)
    return made.compress(data) + made.flush()


def xdelta3(*words, folder, source, target):
    """A delta by the real program, told in any other way than ours."""
    (folder / "source").write_bytes(source)
    (folder / "target").write_bytes(target)
    argv = ["xdelta3", "-e", "-c", *words, "-s", str(folder / "source"), str(folder / "target")]
    return subprocess.run(argv, check=True, capture_output=True).stdout


BOMBS = {
    Codec.RAW_DEFLATE: deflate(ZEROS),
    Codec.COLUMNS_DEFLATE: deflate(ZEROS),
    Codec.COLUMNS_LZMA: lzma.compress(ZEROS, lzma.FORMAT_RAW, filters=LZMA2),
}


@pytest.mark.parametrize("codec", BOMBS)
def test_t24_a_bomb_is_bounded(evening, codec):
    """64 MB in some kilobytes take a fraction of that and change nothing."""
    world, center = evening(lambda files, request: (codec, BOMBS[codec]))
    before = canonical(center)
    tracemalloc.start()
    world.run(3_000)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert before == canonical(center)
    assert peak_bytes < 1 << 25
    assert {"answer not usable"} <= {log.what for log in center.logs}


@pytest.mark.needs("xdelta3")
def test_t24_a_bomb_of_deltas(evening, tmp_path):
    """A delta that makes 64 MB has the bound of what can lie in the gaps."""
    bomb = xdelta3("-9", folder=tmp_path, source=b"", target=ZEROS)
    assert len(bomb) < 1 << 14
    world, center = evening(
        lambda files, request: (Codec.XDELTA, pack_deltas([(22, bomb)])), "xdelta"
    )
    before = canonical(center)
    world.run(300)
    assert before == canonical(center)
    jobs = [job for job in center.ran if isinstance(job, ApplyDelta)]
    assert 0 < max(job.most_bytes for job in jobs) < 1 << 20
    assert {"method failed"} <= {log.what for log in center.logs}


@pytest.mark.parametrize("level", range(10))
def test_t26_another_deflate(kit, evening, level):
    """What another version of the encoder makes of the same records is as good."""

    def body(files, request):
        groups = pick(files, request)
        items = [item for group in groups for item in group]
        plain = columns.encode(items, request.day)
        return Codec.COLUMNS_DEFLATE, deflate(plain, level)

    world, center = evening(body)
    world.run(3_000)
    assert day_files(kit) == canonical(center)


@pytest.mark.needs("xdelta3")
@pytest.mark.parametrize("words", ["-1 -S none", "-9 -S djw", "-6 -S lzma", "-9 -S fgk -n -A="])
def test_t26_another_xdelta(kit, evening, tmp_path, words):
    """So is what xdelta3 makes when it is told otherwise: names, checksums, compression."""

    def body(files, request):
        deltas = [
            (
                one.hour,
                xdelta3(*words.split(), folder=tmp_path, source=one.without, target=one.whole),
            )
            for one in lacking(files, request)
        ]
        return Codec.XDELTA, pack_deltas(deltas)

    world, center = evening(body, "xdelta")
    world.run(300)
    assert day_files(kit) == canonical(center)
    assert "xdelta" == next(log for log in center.logs if log.what == "repaired").detail["method"]


@pytest.mark.parametrize(
    "method", ["repair", pytest.param("xdelta", marks=pytest.mark.needs("xdelta3"))]
)
@pytest.mark.parametrize("codec", [codec for codec in Codec if codec is not Codec.XDELTA])
def test_t26_the_edge_chooses_another_codec(kit, evening, codec, method):
    """The reply says how it is written, whatever was wanted; raw records always are possible."""
    world, center = evening(
        lambda files, request: pack_body(pick(files, request), codec, request.day, request.gaps),
        method,
    )
    world.run(3_000)
    assert day_files(kit) == canonical(center)
