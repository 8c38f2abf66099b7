"""Documents and plots of days: what they are made of, and when they are made again."""

import json
import struct
import subprocess
import sys
import zlib

import pytest

from fieldproof_contract import (
    SECOND_NS,
    Address,
    DrawDay,
    EngineEnded,
    Failed,
    Log,
    Monotonic,
    Now,
    Replace,
    RunEngine,
    Topic,
)
from fieldproof_reference.center import ARRIVED, PROMOTED, CenterSettings, Promoted, SiteDay
from fieldproof_reference.center.flags import day_lines
from fieldproof_reference.center.products import (
    PAUSE_NS,
    SOON_NS,
    Products,
    document_of,
    document_path,
    plot_path,
)
from fieldproof_reference.formats import idx, trees, xrio
from fieldproof_reference.rebuild import rebuild

DAY = 13_165  # 2006-01-17
TODAY = SiteDay("daws", DAY)
SETTINGS = CenterSettings({"daws": None, "gill": None}, products=True)
GAP = (0xD9, 0xD9, 0xDE)
"""The colour of what is not there."""


class Disk:
    """Files in a dict."""

    def __init__(self):
        self.files = {}

    def size(self, path):
        return len(self.files[path]) if path in self.files else None

    def read(self, path, offset=0, size=-1):
        return self.files[path][offset : None if size < 0 else offset + size]

    def listing(self, prefix):
        return tuple(sorted(path for path in self.files if path.startswith(prefix)))

    def file(self, day, minutes, site="daws", code=3000):
        """Records of these minutes of a day."""
        for minute in minutes:
            first_s = day * 86_400 + 60 * minute
            points = xrio.pack_points([code + minute % 50] * 60, [3] * 60, [60] * 60)
            path = trees.hour_path(site, first_s)
            data = xrio.pack(site.upper().encode(), first_s, points)
            self.files[path] = self.files.get(path, b"") + data


class Center:
    """A node, its disk, and engines that draw at once."""

    def __init__(self, disk=None, at_s=12 * 3600):
        self.disk = disk or Disk()
        self.now_ns = 0
        self.at_ns = (DAY * 86_400 + at_s) * SECOND_NS
        self.drawn, self.said = [], []
        self.node = Products(SETTINGS)
        self._do(self.node.start(self.disk, self._now()))

    def _now(self):
        return Now(Monotonic(self.now_ns), self.at_ns + self.now_ns)

    def _do(self, effects):
        for effect in effects:
            match effect:
                case Replace(path, data):
                    self.disk.files[path] = data
                case RunEngine(run, DrawDay(document)):
                    told = json.loads(document)
                    self.drawn.append((told["site"], told["day"]))
                    self.tell(EngineEnded(run, b"picture of " + document))
                case Log():
                    self.said.append(effect)

    def tell(self, event):
        self._do(self.node.receive(event, self._now()))

    def run(self, seconds):
        until_ns = self.now_ns + seconds * SECOND_NS
        while (due := self.node.deadline()) is not None and due <= until_ns:
            self.now_ns = max(self.now_ns, due)
            self._do(self.node.advance(self._now()))
        self.now_ns = until_ns

    def document(self, of=TODAY):
        return json.loads(self.disk.files[document_path(of)])


def test_today_is_drawn_as_data_arrive():
    """Some minutes after records came the day of each site that has any is drawn, once; and again
    when there are more."""
    center = Center()
    center.run(3600)
    assert [] == center.drawn
    for until in (100, 200):
        center.disk.file(DAY, range(until - 100, until))
        center.tell(Topic(ARRIVED, "udp/2006/01/17/206.172.47.234/ut12_24985.idx"))
        center.tell(Topic(ARRIVED, "udp/2006/01/17/206.172.47.234/ut12_24985.idx"))
        center.run(2 * PAUSE_NS // SECOND_NS)
        assert ("daws", "2006-01-17") == center.drawn[-1]
        assert until == len([v for v in center.document()["minutes"]["volts"] if v is not None])
        assert center.disk.files[plot_path(TODAY)].startswith(b"picture of")
    assert 2 == len(center.drawn)


def test_nothing_is_drawn_twice():
    """A start draws what has changed while nobody looked, and nothing else."""
    first = Center()
    for day in (DAY - 1, DAY - 3):
        first.disk.file(day, range(60))
    again = Center(first.disk)
    again.run(3600)
    assert [("daws", "2006-01-14"), ("daws", "2006-01-16")] == again.drawn
    third = Center(first.disk)
    third.run(3600)
    assert [] == third.drawn
    del first.disk.files[plot_path(SiteDay("daws", DAY - 3))]
    fourth = Center(first.disk)
    fourth.run(3600)
    assert [("daws", "2006-01-14")] == fourth.drawn


def test_a_repaired_day_is_drawn_again_and_so_is_what_rests_on_it():
    """A promotion that leaves all sizes as they are is drawn all the same, with the days whose
    quiet day changes by it, and the end is what a fresh center would have drawn."""
    disk = Disk()
    for day in range(DAY - 6, DAY):
        disk.file(day, range(1440))
    center = Center(disk)
    center.run(3600)
    changed = SiteDay("daws", DAY - 5)
    paths = [path for path in disk.listing("riometer/") if "/01/12/" in path]
    for path in paths:
        del disk.files[path]
    disk.file(DAY - 5, range(1440), code=3300)
    center.drawn.clear()
    center.tell(Topic(PROMOTED, Promoted(tuple(paths))))
    center.run(SOON_NS // SECOND_NS + 1)
    assert [f"2006-01-{day}" for day in range(12, 17)] == [day for _, day in center.drawn]
    for day in range(DAY - 6, DAY):
        of = SiteDay("daws", day)
        assert document_of(disk, of, {}) == disk.files[document_path(of)]
    assert center.document(changed)["minutes"]["volts"][0] > 6


def test_flagged_values_do_not_count():
    """A record of a dead preamplifier is in no curve, and is told; one with an odd number of
    samples in a second counts, and is told, too."""
    disk = Disk()
    disk.file(DAY, range(10))
    lines = [
        {"after_s": DAY * 86_400 - 1, "before_s": DAY * 86_400 + 60, "flags": ["corrupt"]},
        {"first_s": DAY * 86_400 + 60, "flags": ["dead preamplifier"]},
        {"first_s": DAY * 86_400 + 120, "flags": ["npoints"]},
    ]
    text = b"".join(json.dumps(line).encode() + b"\n" for line in lines) + b'{"first_s": 1'
    disk.files["flags/2006/01/17/daws.jsonl"] = text
    told = json.loads(document_of(disk, TODAY, {}))
    assert [0, 2, 3] == [at for at, v in enumerate(told["minutes"]["volts"][:4]) if v is not None]
    assert [0, 60, ["corrupt"]] == told["flagged"].pop(0)
    assert [[60, 120, ["dead preamplifier"]], [120, 180, ["npoints"]]] == told["flagged"]


def test_a_received_copy_stands_for_what_is_bad_at_the_edge():
    """A record that rotted at the edge is bad in the archive, too; what had been received of it is
    drawn, and marked as such."""
    disk = Disk()
    disk.file(DAY, range(10))
    (path,) = disk.listing("riometer/")
    sound = disk.files[path][380:760]
    disk.files[path] = disk.files[path].replace(sound, b"\xff" * 380)
    raw, source = "udp/2006/01/17/206.172.47.234/ut00_24985", Address("206.172.47.234", 32769)
    arrived_ns = (DAY * 86_400 + 121) * SECOND_NS
    disk.files[f"{raw}.dat"] = sound
    disk.files[f"{raw}.idx"] = idx.line(idx.Entry(arrived_ns, 24985, source, 380, 0, b"XRIO"))
    disk.files["flags/2006/01/17/daws.jsonl"] = day_lines(disk, TODAY)
    told = json.loads(document_of(disk, TODAY, {}))
    assert told["minutes"]["volts"][1] > 4
    assert [[60, 120]] == told["as received"]
    assert [[1, 120, ["corrupt"]]] == told["flagged"]  # since the record before began
    del disk.files[f"{raw}.idx"]
    assert json.loads(document_of(disk, TODAY, {}))["minutes"]["volts"][1] is None


def test_what_cannot_be_drawn_stops_nothing():
    """An engine that fails is a line in the log; the next day is drawn."""
    center = Center()
    center.disk.file(DAY, range(5))
    center.disk.file(DAY, range(5), site="gill")
    center.tell(Topic(ARRIVED, "x"))
    center.now_ns = center.node.deadline()
    (engine,) = center.node.advance(center._now())
    center.tell(EngineEnded(engine.run, b"", "matplotlib is not here."))
    assert ["not drawn"] == [one.what for one in center.said]
    assert [] == list(center.disk.listing("products/"))
    center.run(2 * PAUSE_NS // SECOND_NS)
    assert {("gill", "2006-01-17"), ("daws", "2006-01-17")} == set(center.drawn)


def test_what_the_disk_refuses_is_drawn_again():
    """A full disk for a moment costs a plot its time and not its life; a document is there only
    where its plot is."""
    center = Center()
    center.disk.file(DAY, range(5))
    center.tell(Topic(ARRIVED, "x"))
    center.now_ns = center.node.deadline()
    (engine,) = center.node.advance(center._now())
    plot, document = center.node.receive(EngineEnded(engine.run, b"picture"), center._now())
    assert (plot_path(TODAY), document_path(TODAY)) == (plot.path, document.path)
    center.tell(Failed(plot, "No space left on device"))
    assert [] == list(center.disk.listing("products/"))
    center.run(2 * PAUSE_NS // SECOND_NS)
    assert [("daws", "2006-01-17")] == center.drawn
    assert 5 == len([v for v in center.document()["minutes"]["volts"] if v is not None])


def test_a_rebuild_gives_the_same_bytes(draw, tmp_path):
    """The command makes, of the raw tree alone, the documents and plots that a center had made."""
    begins_s, disk = DAY * 86_400, Disk()
    disk.file(DAY, range(120))
    raw, source = "udp/2006/01/17/206.172.47.234/ut{:02d}_24985", Address("206.172.47.234", 32769)
    for hour in range(2):
        data = disk.files[trees.hour_path("daws", begins_s + 3600 * hour)]
        entries = [
            idx.Entry(
                (begins_s + 3600 * hour + 61 + 60 * at) * SECOND_NS,
                24985,
                source,
                380,
                380 * at,
                b"XRIO",
            )
            for at in range(60)
        ]
        disk.files[raw.format(hour) + ".dat"] = data
        disk.files[raw.format(hour) + ".idx"] = b"".join(map(idx.line, entries))
    document = document_of(disk, TODAY, {})
    for path, data in disk.files.items():
        (tmp_path / "archive" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "archive" / path).write_bytes(data)
    assert 0 == rebuild([str(tmp_path / "archive"), "--products", "--into", str(tmp_path / "new")])
    assert document == (tmp_path / "new" / document_path(TODAY)).read_bytes()
    assert draw(document) == (tmp_path / "new" / plot_path(TODAY)).read_bytes()


# --- the plot -------------------------------------------------------------------------------------


def pixels(picture):
    """Rows of pixels of an RGBA picture of 8 bits, as PNG has them (RFC 2083)."""
    at, data, width = 8, b"", 0
    while at < len(picture):
        size, kind = struct.unpack_from(">I4s", picture, at)
        body = picture[at + 8 : at + 8 + size]
        if kind == b"IHDR":
            width, _, depth, colour = struct.unpack_from(">IIBB", body)
            assert (8, 6) == (depth, colour)
        data += body if kind == b"IDAT" else b""
        at += 12 + size
    raw = zlib.decompress(data)
    rows, before = [], bytes(4 * width)
    for start in range(0, len(raw), 4 * width + 1):
        rows.append(
            before := _unfiltered(raw[start], raw[start + 1 : start + 1 + 4 * width], before)
        )
    return rows


def _unfiltered(kind, line, above):
    done = bytearray(line)
    for at in range(len(done)):
        left, up = (done[at - 4] if at >= 4 else 0), above[at]
        corner = above[at - 4] if at >= 4 else 0
        by_kind = (0, left, up, (left + up) // 2, _paeth(left, up, corner))
        done[at] = (done[at] + by_kind[kind]) & 255
    return bytes(done)


def _paeth(left, up, corner):
    guess = left + up - corner
    return min(
        (abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - corner), 2, corner)
    )[2]


@pytest.fixture(scope="module")
def draw():
    """The engine."""
    return pytest.importorskip("fieldproof_reference.engines.plots").draw


def test_a_gap_is_seen_where_it_is(draw):
    """Six hours without data are a band of the width of six hours; a whole day has none."""
    shares = []
    for minutes in (range(1440), [m for m in range(1440) if not 360 <= m < 720]):
        disk = Disk()
        disk.file(DAY, minutes)
        row = pixels(draw(document_of(disk, TODAY, {})))[500]
        shares.append(sum(tuple(row[at : at + 3]) == GAP for at in range(0, len(row), 4)) / 1200)
    assert 0 == shares[0]
    assert 0.25 * 0.93 == pytest.approx(shares[1], abs=0.02)


def test_the_same_document_is_the_same_picture(draw):
    """Two processes draw the same bytes; nothing tells the time or the machine."""
    disk = Disk()
    for day in range(DAY - 6, DAY + 1):
        disk.file(day, range(1440))
    document = document_of(disk, TODAY, {})
    assert json.loads(document)["absorption"] is not None
    command = [sys.executable, "-m", "fieldproof_reference.engines.plots"]
    done = subprocess.run(command, input=document, capture_output=True, check=True)
    assert draw(document) == done.stdout


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"absorption": null}', b"\xff", b"1"])
def test_what_is_no_document_is_refused(document):
    """One sentence on standard error, and no picture."""
    pytest.importorskip("matplotlib")
    command = [sys.executable, "-m", "fieldproof_reference.engines.plots"]
    done = subprocess.run(command, input=document, capture_output=True, check=False)
    assert (1, b"") == (done.returncode, done.stdout)
    assert done.stderr.startswith(b"This is no document of a day: ")
    assert 1 == done.stderr.count(b"\n")
