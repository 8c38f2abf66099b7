"""The node that serves pages: nobody can change anything, and a client hurts nobody but itself."""

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fieldproof_contract import (
    SECOND_NS,
    Address,
    CloseStream,
    Failed,
    Stop,
    StreamClosed,
    StreamData,
    StreamOpened,
    Topic,
    WriteStream,
)
from fieldproof_reference.center import ARRIVED, CONFIRMED, PROMOTED, Promoted, SiteDay
from fieldproof_reference.center.pages import ALWAYS, AT_ONCE, KEPT_NS, LOOK_NS, POLICY, Pages
from fieldproof_reference.center.pages.files import MOST_FILE_BYTES
from fieldproof_reference.center.pages.style import NAME
from fieldproof_reference.formats.days import DAY_S
from fieldproof_reference.guests import IDLE_NS, MOST_STREAMS

PEER = Address("136.159.51.71", 50_000)
NOON_S = 12 * 3600 + 20


class Visited:
    """A node, started, with one who asks it at a time of his choice."""

    def __init__(self, kit, disk) -> None:
        self.kit, self.s = kit, 0.0
        self.node = Pages(kit.SETTINGS)
        assert () == self.node.start(disk, self.now)
        self.calls = 0

    @property
    def now(self):
        return self.kit.now(self.kit.TODAY, NOON_S + self.s, self.s)

    def pass_to(self, s: float) -> list:
        """Time passes; what the node wants meanwhile."""
        effects = []
        while (due := self.node.deadline()) is not None and due <= s * SECOND_NS:
            self.s = max(self.s, due / SECOND_NS)
            effects += self.node.advance(self.now)
            self.calls += 1
        self.s = s
        return effects

    def tell(self, event) -> tuple:
        return self.node.receive(event, self.now)

    def say(self, stream: str, data: bytes) -> bytes:
        """What is sent back on the stream."""
        effects = self.tell(StreamData(stream, data))
        return b"".join(e.data for e in effects if isinstance(e, WriteStream))

    def get(self, target: str, *lines: str, method: str = "GET", stream: str = "s"):
        """Status, fields and body of what a new connection is answered."""
        self.tell(StreamOpened(stream, PEER))
        head = "\r\n".join([f"{method} {target} HTTP/1.1", "Host: x", *lines, "", ""])
        said = self.say(stream, head.encode("latin-1"))
        self.tell(StreamClosed(stream, ""))
        head, _, body = said.partition(b"\r\n\r\n")
        first, *rest = head.decode().split("\r\n")
        return int(first.split()[1]), dict(line.split(": ", 1) for line in rest), body


@pytest.fixture
def visited(kit, disk):
    """The node, an hour after its start: all is read."""
    one = Visited(kit, disk)
    one.pass_to(10)
    return one


@pytest.mark.parametrize(
    "target", ["/", f"/{NAME}", "/icon.svg", "/udp/", "/udp/2006/01/17", "/x", "/%2e%2e/"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_every_answer_tells_browsers_what_not_to_do(visited, target, method):
    """Pages, files, ways and refusals alike have the same lines of caution."""
    status, fields, _ = visited.get(target, method=method)
    caution = {name: fields[name] for name in ALWAYS if name != "Cache-Control"}
    assert caution == {name: ALWAYS[name] for name in caution}
    assert "Cache-Control" in fields
    assert (status == 405) == (method == "POST")


def test_what_is_no_http_is_refused_with_caution(visited):
    """The last words to who speaks no HTTP have these lines, too."""
    visited.tell(StreamOpened("s", PEER))
    said, closed = visited.tell(StreamData("s", b"\0\1\r\n\r\n"))
    assert b"HTTP/1.1 400 " == said.data[:13]
    assert POLICY.encode() in said.data
    assert CloseStream("s") == closed


def test_the_status_page(visited):
    """The first page is the status, and is not sent again to who has it."""
    status, fields, body = visited.get("/")
    assert (200, "text/html; charset=utf-8") == (status, fields["Content-Type"])
    assert b"DAWS" in body
    assert b"&lt;script&gt;" in body
    assert (304, b"") == visited.get("/", f"If-None-Match: {fields['ETag']}")[::2]
    assert (200, b"") == visited.get("/", method="HEAD")[::2]


def test_the_style_may_be_kept(visited):
    """The style sheet that the page names is there, and need not be asked for again."""
    body = visited.get("/")[2].decode()
    assert f'href="{NAME}"' in body
    status, fields, _ = visited.get(f"/{NAME}")
    assert (200, "text/css; charset=utf-8") == (status, fields["Content-Type"])
    assert "immutable" in fields["Cache-Control"]


def test_plots_of_today(kit, disk):
    """A plot is shown where there is one, with its size if it says one."""
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 1200, 600)
    disk.files["products/2006/01/17/daws.png"] = head
    disk.files["products/2006/01/17/gill.png"] = b"not a picture at all, but long"
    disk.files["products/2006/01/16/talo.png"] = head
    body = Visited(kit, disk).get("/")[2].decode()
    assert 2 == body.count("<img")
    assert 1 == body.count('width="1200" height="600"')
    assert 1 == body.count("No plot of today yet.")


def test_a_page_before_anything_is_read(kit, disk):
    """Who asks at once is told how much is to be read, not kept waiting."""
    body = Visited(kit, disk).get("/")[2].decode()
    assert "Not all days are counted yet: 31 to go." in body


def test_reading_leaves_room_for_others(kit, disk):
    """A month is read in pieces, with time for others between them."""
    one = Visited(kit, disk)
    one.pass_to(10)
    assert 20 < one.calls
    assert "counted yet: " not in one.get("/")[2].decode()


def test_news_are_shown(visited, disk, kit):
    """What arrives is on the page after the next look."""
    first_s = kit.TODAY * DAY_S + 12 * 3600 - 57
    disk.arrive("daws", first_s)
    visited.tell(Topic(ARRIVED, "udp/2006/01/17/206.172.47.234/ut12_24985.idx"))
    visited.pass_to(visited.s + LOOK_NS / SECOND_NS + 1)
    assert "12:00:04" in visited.get("/")[2].decode()


def test_proofs_and_repairs_are_shown(visited, disk, kit):
    """What reconciliation tells is on the page as soon as it is read."""
    path = "provenance/2006/01/17/daws.jsonl"
    disk.note(path, what="restored", items=41, bytes=1, utc_ns=1, method="rsync")
    disk.note(path, what="confirmed", digest="00")
    visited.tell(Topic(CONFIRMED, SiteDay("daws", kit.TODAY)))
    paths = ("riometer/2006/01/17/gill_xrio/20060117_01_gill_xrio.dat", "nonsense")
    visited.tell(Topic(PROMOTED, Promoted(paths)))
    visited.pass_to(visited.s + LOOK_NS / SECOND_NS + 1)
    assert ">41</td><td>rsync " in visited.get("/")[2].decode()


def test_a_page_is_made_once_for_many(visited, disk):
    """Who asks again and again gets the page that was made for the one before."""
    pages = set()
    for _ in range(20):
        visited.s += KEPT_NS / SECOND_NS / 20
        pages.add(visited.get("/")[2])
    assert len(pages) <= 2


def test_many_requests_in_one_breath(visited):
    """Who asks for more at once than a person would is answered a little and let go."""
    visited.tell(StreamOpened("s", PEER))
    request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    said, closed = visited.tell(StreamData("s", request * 50))
    assert AT_ONCE == said.data.count(b"HTTP/1.1 200")
    assert CloseStream("s") == closed


def test_no_answer_is_larger_than_a_connection_keeps(visited, disk):
    """The largest file that is shown fits into what a driver keeps for one connection."""
    disk.files["udp/large.dat"] = bytes(MOST_FILE_BYTES)
    visited.tell(StreamOpened("s", PEER))
    (said,) = visited.tell(StreamData("s", b"GET /udp/large.dat HTTP/1.1\r\nHost: x\r\n\r\n"))
    assert MOST_FILE_BYTES < len(said.data) < 1 << 20


def test_who_is_silent_is_let_go(visited):
    """A stream on which nothing was said for long is closed, the others are not."""
    visited.tell(StreamOpened("silent", PEER))
    visited.tell(StreamOpened("talks", PEER))
    visited.pass_to(visited.s + 40)
    visited.tell(StreamData("talks", b"GET"))
    idle_s = IDLE_NS / SECOND_NS
    assert [CloseStream("silent")] == visited.pass_to(visited.s + idle_s - 30)
    assert [CloseStream("talks")] == visited.pass_to(visited.s + 31)


def test_there_is_room_for_who_comes(visited):
    """Where all places are taken, the one who was silent for the longest has to go."""
    for number in range(MOST_STREAMS):
        assert () == visited.tell(StreamOpened(f"s{number}", PEER))
        visited.s += 0.1
    visited.tell(StreamData("s0", b"G"))
    assert (CloseStream("s1"),) == visited.tell(StreamOpened("new", PEER))
    assert () == visited.tell(StreamData("s1", b"GET / HTTP/1.1\r\n\r\n"))


def test_a_stream_that_is_gone_is_forgotten(visited):
    """A write that failed ends its stream; data of no stream, and other news, are nothing."""
    visited.tell(StreamOpened("s", PEER))
    assert (CloseStream("s"),) == visited.tell(Failed(WriteStream("s", b"x"), "gone"))
    assert () == visited.tell(StreamData("s", b"GET / HTTP/1.1\r\n\r\n"))
    assert () == visited.tell(StreamClosed("s", ""))
    assert () == visited.tell(Topic("other", 7))
    assert () == visited.tell(Stop())


REQUEST = b"GET /udp/ HTTP/1.1\r\nHost: x\r\n\r\n"


@given(
    pieces=st.lists(
        st.binary(max_size=60)
        | st.sampled_from([REQUEST, REQUEST[:20], REQUEST[20:], b"\r\n\r\n", b"GET /%2e%2e/keys "]),
        max_size=6,
    )
)
@example([b"GET /" + b"a" * 9000])
@example([b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n"])
@example([b"GET / HTTP/1.1\r\nContent-Length: 9999999999999\r\n\r\n", b"x" * 70_000])
@example([b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"])
def test_no_bytes_end_the_node(kit, pieces):
    """Whatever a stranger sends, the node lives, does nothing but answer, and keeps secrets."""
    one = Visited(kit, kit.Disk({"keys": b"a secret", "udp/x": b"x"}))
    one.tell(StreamOpened("s", PEER))
    for piece in pieces:
        for effect in one.tell(StreamData("s", piece)):
            assert isinstance(effect, WriteStream | CloseStream)
            assert b"a secret" not in getattr(effect, "data", b"")
    assert 200 == one.get("/", stream="t")[0]
