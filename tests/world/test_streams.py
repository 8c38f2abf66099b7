"""Streams over virtual links: every byte once and in order, charged as Linux would send it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fieldproof_contract import (
    SECOND_NS,
    Address,
    CloseStream,
    Effects,
    Failed,
    Listen,
    Monotonic,
    OpenStream,
    SendDatagram,
    StreamClosed,
    StreamData,
    StreamOpened,
    WriteStream,
)
from fieldproof_simulators.links.impairments import Impairments
from fieldproof_simulators.links.losses import RandomLoss
from fieldproof_simulators.links.profiles import Profile, profile
from fieldproof_simulators.links.virtual import Order
from fieldproof_simulators.machines.host import Host
from fieldproof_simulators.world import World

PORT, TELEMETRY = 24988, 24985
SITE, CENTER = "198.51.100.1", "192.0.2.1"
SERVER = Address(SITE, PORT)


class Talks:
    """A node that notes what it is told of streams, and does what its test says."""

    def __init__(self, react=lambda event: (), first: Effects = ()) -> None:
        self.react, self.first = react, first
        self.told: list = []
        self.times: list[int] = []
        self.bytes: dict[str, bytes] = {}

    def start(self, disk, now):
        return self.first

    def receive(self, event, now):
        if isinstance(event, StreamData):
            self.bytes[event.stream] = self.bytes.get(event.stream, b"") + event.data
        else:
            self.told.append(event)
            self.times.append(now.monotonic)
        return self.react(event)

    def advance(self, now):
        return ()

    def deadline(self):
        return None


def calls(*data: bytes, closes: bool = True) -> Talks:
    """A node that opens a stream, sends, and closes."""

    def react(event):
        if isinstance(event, StreamOpened):
            sent = tuple(WriteStream("out", piece) for piece in data)
            return (*sent, CloseStream("out")) if closes else sent
        return ()

    return Talks(react, (OpenStream("out", SERVER),))


def echoes(size: int) -> Talks:
    """A node that answers a line by as many bytes."""

    def react(event):
        if isinstance(event, StreamData) and event.data.endswith(b"\n"):
            return (WriteStream(event.stream, bytes(size)),)
        return ()

    return Talks(react)


def asks(size: int) -> Talks:
    """A node that opens a stream, sends a line, and closes when it has all of the answer."""
    node = Talks(first=(OpenStream("out", SERVER),))

    def react(event):
        if isinstance(event, StreamOpened):
            return (WriteStream("out", b"x" * 150 + b"\n"),)
        if isinstance(event, StreamData) and len(node.bytes["out"]) == size:
            return (CloseStream("out"),)
        return ()

    node.react = react
    return node


class Play:
    """A site that serves and a center that calls, with a link between them."""

    def __init__(self, folder: Path, link: Profile | str = "dawson-2005", seed: int = 1) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.world = World(seed, 0, folder, {PORT: "http", TELEMETRY: "telemetry"})
        self.center: Host = self.world.add_host("center", CENTER)
        self.site: Host = self.world.add_host("daws", SITE)
        known = profile(link) if isinstance(link, str) else link
        self.world.add_link("l", known, 10**15)
        self.link = self.world.links["l"]
        self.world.connect(self.site, self.link)

    def up(self, client, server, serves: bool = True) -> "Play":
        self.center.add("client", lambda: client, (TELEMETRY,))
        self.site.add("server", lambda: server, (Listen(PORT),) if serves else ())
        self.world.boot(self.site)
        self.world.boot(self.center)
        return self

    def run(self, until_s: float) -> None:
        self.world.run_until(round(until_s * SECOND_NS))

    def at(self, at_s: float, what) -> None:
        self.world.call_at(round(at_s * SECOND_NS), what)

    def tally(self, direction: str):
        return self.link.tallies[direction, "http"]

    def log(self) -> list[dict]:
        self.world.close()
        return [json.loads(line) for line in (self.folder / "log.jsonl").read_text().splitlines()]


@pytest.fixture
def play(tmp_path: Path) -> Iterator:
    """Makes plays; their worlds are closed."""
    plays: list[Play] = []

    def make(*how, **more) -> Play:
        plays.append(Play(tmp_path / str(len(plays)), *how, **more))
        return plays[-1]

    yield make
    for each in plays:
        each.world.close()


def lossy(percent: float, delay_ms: int = 100, mtu_bytes: int = 1500) -> Profile:
    way = Impairments(delay_ns=delay_ms * 1_000_000, loss=RandomLoss(percent))
    return Profile(
        name="lossy",
        up=way,
        down=way,
        mtu_bytes=mtu_bytes,
        layer="ip",
        outages=None,
        source="a test",
        unverified=False,
    )


# --- what it costs --------------------------------------------------------------------------------


def test_one_request_and_its_answer_are_eight_segments(play):
    """Handshake, request, answer and the end both ways: 60 bytes for a SYN, 52 for the rest."""
    client = asks(580)
    one = play(lossy(0)).up(client, echoes(580))
    one.run(60)
    assert (5, 60 + 52 + 52 + 151 + 52 + 52) == (one.tally("down").packets, one.tally("down").bytes)
    assert (3, 60 + 52 + 580 + 52) == (one.tally("up").packets, one.tally("up").bytes)
    assert [StreamOpened("out", SERVER), StreamClosed("out", "")] == client.told
    assert [2 * 100_000_000, 4 * 100_000_000] == client.times


def test_a_file_is_cut_into_segments_that_fit(play):
    """Each segment carries 1448 bytes, every second one is acknowledged, and a smaller largest
    packet makes smaller segments."""
    one = play(lossy(0)).up(asks(14_480), echoes(14_480))
    one.run(60)
    assert (1 + 10 + 1, 14_480 + 60 + 11 * 52) == (one.tally("up").packets, one.tally("up").bytes)
    assert 3 + 5 + 1 == one.tally("down").packets
    small = play(lossy(0, mtu_bytes=576)).up(asks(5_240), echoes(5_240))
    small.run(60)
    assert 1 + 10 + 1 == small.tally("up").packets


def test_slow_start_doubles_each_round_trip(play):
    """Ten segments, twenty, forty: seventy of them take three round trips after the request."""
    client = asks(70 * 1448)
    one = play(lossy(0, 300)).up(client, echoes(70 * 1448))
    one.run(60)
    opened, closed = client.times
    assert 3 == (closed - opened) // 600_000_000


def test_an_acknowledgement_may_be_late(play):
    """A single segment is acknowledged after 40 ms where nothing goes the other way."""
    server = Talks()
    one = play(lossy(0)).up(calls(b"alone", closes=False), server)
    one.run(0.339)
    assert 1 == one.tally("up").packets
    one.run(0.341)
    assert 2 == one.tally("up").packets
    assert {"accepted-1": b"alone"} == server.bytes


# --- loss, darkness, time -------------------------------------------------------------------------


@pytest.mark.parametrize("percent", [5, 20, 40])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_is_lost_is_sent_again(play, percent, seed):
    """Whatever the link loses, both ends get all bytes once and in order, and hear of the end."""
    text = b"".join(number.to_bytes(4, "big") for number in range(30_000))
    server = Talks()
    client = calls(text[:1], text[1:90_000], text[90_000:])
    one = play(lossy(percent), seed=seed).up(client, server)
    one.run(20_000)
    assert {"accepted-1": text} == server.bytes
    assert StreamClosed("accepted-1", "") == server.told[-1]
    assert StreamClosed("out", "") == client.told[-1]
    assert one.tally("down").lost_packets > 0


def test_bytes_go_both_ways_at_once(play):
    """Two long transfers in opposite directions on one stream both end whole."""
    there, back = bytes(100_000), b"y" * 100_000

    def react(event):
        return (WriteStream(event.stream, back),) if isinstance(event, StreamOpened) else ()

    client, server = calls(there, closes=False), Talks(react)
    play(lossy(3)).up(client, server).run(3_000)
    assert (back, there) == (client.bytes["out"], server.bytes["accepted-1"])


def test_one_loss_of_many_does_not_wait_for_the_time_out(play):
    """The third equal acknowledgement brings the missing segment after one more round trip."""
    size = 14_480
    quick, slow = asks(size), asks(size)
    kept = play(lossy(0, 300)).up(quick, echoes(size))
    kept.run(60)
    broken = play(lossy(0, 300)).up(slow, echoes(size))
    lose_nth(broken, "up", 3)
    broken.run(60)
    assert 600_000_000 == slow.times[-1] - quick.times[-1]
    assert 1 == broken.tally("up").lost_packets


def lose_nth(one: Play, direction: str, nth: int) -> None:
    """The link is dark for one segment."""
    send, count = one.link.send, 0

    def counting(way, packet):
        nonlocal count
        count += way == direction
        if way == direction and count == nth:
            one.link.go_dark(0)
            send(way, packet)
            one.link.recover(0)
        else:
            send(way, packet)

    one.link.send = counting


def test_time_outs_double(play):
    """Where nobody answers, a SYN is sent after 1, 3, 7, 15, 31 and 63 s, and after 127 s the node
    is told."""
    client = calls(b"x")
    one = play(lossy(0)).up(client, Talks())
    one.link.go_dark(0)
    one.run(64)
    assert 7 == one.tally("down").packets
    one.run(200)
    assert [StreamClosed("out", "no answer")] == client.told
    assert [127 * SECOND_NS] == client.times


def test_an_outage_in_the_middle_is_survived(play):
    """A transfer that a dark link stopped for five minutes goes on, and ends whole."""
    client = asks(500_000)
    one = play().up(client, echoes(500_000))
    one.at(5, lambda: one.link.go_dark(7))
    one.at(305, lambda: one.link.recover(7))
    one.run(2_000)
    assert (500_000, StreamClosed("out", "")) == (len(client.bytes["out"]), client.told[-1])
    lost = [line for line in one.log() if line["what"] == "lost"]
    assert {("outage", 7, "http")} == {(x["cause"], x["fault"], x["purpose"]) for x in lost}


def test_a_site_that_nobody_reaches(play):
    """An address without a way is one that never answers."""
    client = Talks(first=(OpenStream("out", Address("203.0.113.9", PORT)),))
    play().up(client, Talks()).run(200)
    assert [StreamClosed("out", "no answer")] == client.told


# --- hosts ----------------------------------------------------------------------------------------


def test_a_port_without_a_listener_refuses(play):
    """A host that is up, with nobody at the port, says so at once; so does one whose processes are
    dead, and one without power does not."""
    for how, reason in (
        (lambda one: None, "connection refused"),
        (lambda one: one.world.kill(one.site, "kill", 0), "connection refused"),
        (lambda one: one.world.cut_power(one.site, 0), "no answer"),
    ):
        client = calls(b"x")
        one = play().up(client, Talks(), serves=reason == "no answer")
        how(one)
        one.run(200)
        assert [StreamClosed("out", reason)] == client.told


def test_a_death_closes_the_streams_of_the_other_end(play):
    """A kill resets streams at once; after a power cut the next segment is answered by a reset once
    the host is back."""
    killed = calls(b"x", closes=False)
    one = play().up(killed, Talks())
    one.at(10, lambda: one.world.kill(one.site, "kill", 0))
    one.run(11)
    assert StreamClosed("out", "connection reset") == killed.told[-1]
    cut = calls(b"x", closes=False)
    two = play().up(cut, Talks())
    two.at(10, lambda: two.world.cut_power(two.site, 0))
    two.at(20, lambda: two.world.boot(two.site))
    two.run(100)
    assert 1 == len(cut.told)
    two.center._sockets.write("client", "out", b"more")
    two.run(110)
    assert StreamClosed("out", "connection reset") == cut.told[-1]


def test_a_life_knows_nothing_of_the_streams_before(play):
    """What comes for a stream of an earlier life reaches no node of the next, and names are free
    again."""
    server = Talks()
    one = play().up(calls(b"x", closes=False), server)
    one.at(10, lambda: one.world.kill(one.site, "kill", 0))
    one.at(10.1, lambda: one.world.boot(one.site))
    one.at(10.2, lambda: one.world.kill(one.center, "kill", 1))
    one.at(10.3, lambda: one.world.boot(one.center))
    one.run(60)
    opened = [event.stream for event in server.told if isinstance(event, StreamOpened)]
    assert ["accepted-1", "accepted-1"] == opened


def test_a_node_that_dies_loses_its_streams_and_no_others(play):
    """An exception ends a node, and the other end of its stream hears of it."""

    class Dies(Talks):
        def receive(self, event, now):
            if isinstance(event, StreamData):
                raise RuntimeError("dead")
            return super().receive(event, now)

    client = calls(b"x", closes=False)
    play().up(client, Dies()).run(10)
    assert StreamClosed("out", "connection reset") == client.told[-1]


def test_a_frozen_host_answers_nothing(play):
    """What comes to a frozen host is lost and sent again; its own timers wait; nothing is lost."""
    client = asks(200_000)
    one = play().up(client, echoes(200_000))
    for at_s, host in ((3, one.site), (60, one.center)):
        one.at(at_s, lambda host=host: host.freeze(4))
        one.at(at_s + 20, host.thaw)
    one.run(1_000)
    assert (200_000, StreamClosed("out", "")) == (len(client.bytes["out"]), client.told[-1])
    lost = [line for line in one.log() if line["what"] == "lost"]
    assert {("host frozen", 4)} == {(line["cause"], line["fault"]) for line in lost}


def test_a_host_that_moves_loses_its_streams(play):
    """Segments to the old address of a host are lost, and a new stream finds the new one."""
    client = calls(b"x", closes=False)
    one = play().up(client, Talks())
    one.run(10)
    one.site.address = "198.51.100.99"
    one.center._sockets.write("client", "out", b"more")
    one.run(2_000)
    assert StreamClosed("out", "no answer") == client.told[-1]


# --- nodes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("effect", "reason"),
    [
        (WriteStream("none", b"x"), "There is no stream none."),
        (OpenStream("out", SERVER), "There is a stream out already: choose another name."),
        (OpenStream("new", Address(SITE, 0)), "A stream cannot go to port 0."),
        (OpenStream("new", Address(SITE, 65536)), "A stream cannot go to port 65536."),
    ],
)
def test_what_cannot_be_done_with_a_stream(play, effect, reason):
    """A failure is told to the node that asked, in one sentence."""

    def react(event):
        return (effect,) if isinstance(event, StreamOpened) else ()

    client = Talks(react, (OpenStream("out", SERVER), CloseStream("gone")))
    play().up(client, Talks()).run(10)
    assert Failed(effect, reason) == client.told[-1]


def test_a_stream_that_is_closed_while_it_is_opened(play):
    """The node is told at once, nothing stays, and the name is free again."""

    def react(event):
        return (OpenStream("out", SERVER),) if event == StreamClosed("out", "") else ()

    client = Talks(react, (OpenStream("out", SERVER), CloseStream("out")))
    play().up(client, Talks()).run(100)
    assert [StreamClosed("out", ""), StreamOpened("out", SERVER)] == client.told


def test_streams_of_one_node_do_not_mix(play):
    """Each of many streams brings its own bytes."""
    many = [f"s{number}" for number in range(30)]

    def react(event):
        if isinstance(event, StreamOpened):
            return (WriteStream(event.stream, event.stream.encode()), CloseStream(event.stream))
        return ()

    client = Talks(react, tuple(OpenStream(name, SERVER) for name in many))
    server = Talks()
    play(lossy(10)).up(client, server).run(3_000)
    assert sorted(name.encode() for name in many) == sorted(server.bytes.values())


def test_orders_for_datagrams_leave_streams_alone(play):
    """Datagrams that a fault orders to be lost are not replaced by segments, even to that port."""
    server = Talks()
    client = Talks(
        lambda event: (WriteStream("out", b"x"),) if isinstance(event, StreamOpened) else (),
        (OpenStream("out", Address(SITE, TELEMETRY)),),
    )
    one = play()
    order = one.link.order(Order("lose", 1, 0))
    one.center.add("client", lambda: client, ())
    sends = Talks(
        lambda event: (
            (SendDatagram(TELEMETRY, Address(CENTER, TELEMETRY), b"y"),)
            if isinstance(event, StreamData)
            else ()
        )
    )
    one.site.add("server", lambda: sends, (Listen(TELEMETRY),))
    one.world.boot(one.site)
    one.world.boot(one.center)
    one.run(20)
    assert {"accepted-1": b"x"} == sends.bytes
    assert (1, {}) == (order.fired, server.bytes)
    assert ["lost"] == [line["what"] for line in one.log() if line["where"] == "l"]


def test_the_same_seed_gives_the_same_segments(play):
    """Two runs of one seed leave the same tallies, the same states of the models, the same log."""
    runs = []
    for _ in range(2):
        one = play("certus-350", seed=5).up(asks(300_000), echoes(300_000))
        one.run(3_000)
        runs.append((one.link.tallies, dict(one.world.generators_end()), one.log()))
    assert runs[0] == runs[1]
    assert any(line["what"] == "lost" for line in runs[0][2])


def test_a_deadline_is_kept_beside_streams(play):
    """A node with streams is woken at its deadline as any other."""

    class Wakes(Talks):
        woken = 0

        def advance(self, now):
            self.woken += 1
            return ()

        def deadline(self):
            return Monotonic(5 * SECOND_NS) if not self.woken else None

    client = Wakes(first=(OpenStream("out", SERVER),))
    play().up(client, Talks()).run(10)
    assert 1 == client.woken
