"""The edge answers with deltas what it can, with records what it cannot, and shares its archive."""

import pytest

from fieldproof_contract import (
    SECOND_NS,
    Address,
    ApplyDelta,
    Datagram,
    EngineEnded,
    Failed,
    MakeDelta,
    Monotonic,
    Now,
    RunEngine,
    ServeTree,
    Stop,
    StopEngine,
)
from fieldproof_reference import ports
from fieldproof_reference.edge import EdgeSettings
from fieldproof_reference.edge.answer import MAKING_NS, MOST_MADE, Answer
from fieldproof_reference.edge.lacking import lacking, pick
from fieldproof_reference.edge.share import MOST_WAIT_NS, SOUND_NS, WAIT_NS, Share
from fieldproof_reference.protocols.deltas import unpack_deltas
from fieldproof_reference.protocols.repair import (
    Assembly,
    Codec,
    Gap,
    Request,
    pack_request,
    unpack_body,
)

CENTER = Address("136.159.51.71", ports.REPAIR)
DAWSON = (Gap(58_925, 59_045), Gap(67_205, 67_325), Gap(79_565, 79_685))
SECONDS = {58_985: 16, 67_265: 18, 79_625: 22}


@pytest.fixture
def files(kit):
    """Dawson's day."""
    return kit.filed([kit.record(60 * n + 5) for n in range(1_440)])


@pytest.fixture
def edge(kit, files):
    """A host that answers, the day after."""
    world = kit.World(kit.DAY_S + 100_000)
    host = world.host(kit.EDGE_ADDRESS, kit.Disk(files), (lambda: Answer(kit.EDGE), {ports.REPAIR}))
    return world, host


def request(kit, gaps=DAWSON):
    return pack_request(Request("daws", kit.DAY, Codec.XDELTA, tuple(gaps)), kit.KEY)


def ask(host, data, source=CENTER):
    host.tell(ports.REPAIR, Datagram(ports.REPAIR, source, data))


def replied(kit, host, data):
    assembly = Assembly(data, kit.KEY)
    assert [True] * len(host.sent) == [assembly.add(sent.data) for _, sent in host.sent]
    return assembly.result()


def test_what_is_left_without_the_gaps(kit, files):
    """Each hour concerned is there in two versions: with what lies in the gap, and without."""
    named = [(path.rpartition("/")[2], data) for path, data in sorted(files.items())]
    asked = Request("daws", kit.DAY, Codec.XDELTA, DAWSON)
    found = lacking(named, asked)
    assert list(SECONDS.values()) == [one.hour for one in found]
    for (second, hour), one in zip(SECONDS.items(), found, strict=True):
        assert files[kit.path(hour)] == one.whole
        assert one.whole.replace(kit.record(second), b"") == one.without
    assert [[kit.record(second)] for second in SECONDS] == pick(named, asked)


@pytest.mark.needs("xdelta3")
def test_three_deltas_in_one_datagram(kit, edge, files):
    """The deltas of three hours come in one datagram; applied to what a center has, they make the
    edge's files."""
    world, host = edge
    data = request(kit)
    ask(host, data)
    assert [] == host.sent
    world.run(10)
    reply = replied(kit, host, data)
    assert (1, Codec.XDELTA) == (len(host.sent), reply.codec)
    for (second, hour), (named, delta) in zip(
        SECONDS.items(), unpack_deltas(reply.body), strict=True
    ):
        source = files[kit.path(hour)].replace(kit.record(second), b"")
        assert (hour, files[kit.path(hour)]) == (
            named,
            kit.done(ApplyDelta(source, delta, 1 << 20)),
        )


@pytest.mark.needs("xdelta3")
def test_the_same_request_gets_the_same_deltas(kit, edge):
    """After a restart, too; and while they are made they are not made twice (T23)."""
    world, host = edge
    for _ in range(3):
        ask(host, request(kit))
        ask(host, request(kit))
        world.run(10)
        host.boot()
    assert 9 == len(host.ran)
    assert (3, 1) == (len(host.sent), len({sent.data for _, sent in host.sent}))


def test_nothing_lies_in_the_gaps(kit, edge):
    """No engine is needed for no deltas."""
    world, host = edge
    data = request(kit, [Gap(5, 65)])
    ask(host, data)
    world.run(10)
    assert ([], []) == (host.ran, unpack_deltas(replied(kit, host, data).body))


@pytest.mark.parametrize("outcome", [(b"", "it is not here"), "hangs"])
def test_an_engine_that_does_not_do_it(kit, edge, outcome):
    """The answer is made of records, in one datagram, and a later request tries deltas again."""
    world, host = edge
    world.engine = lambda job: outcome
    data = request(kit)
    ask(host, data)
    world.run(2 * MAKING_NS // SECOND_NS)
    reply = replied(kit, host, data)
    assert Codec.COLUMNS_DEFLATE == reply.codec
    groups = unpack_body(reply.codec, reply.body, DAWSON, kit.DAY, 1 << 20)
    assert [(kit.record(second),) for second in SECONDS] == list(groups)
    assert ["no delta"] == [log.what for log in host.logs]
    ask(host, data)
    assert 2 == len(host.ran)


def test_a_host_without_engines(kit, files):
    """A driver that refuses the effect is as good as no engine."""
    node = Answer(kit.EDGE)
    now = Now(Monotonic(0), (kit.DAY_S + 100_000) * SECOND_NS)
    node.start(kit.Disk(files), now)
    (run,) = node.receive(Datagram(ports.REPAIR, CENTER, request(kit)), now)
    assert isinstance(run.job, MakeDelta)
    told = node.receive(Failed(run, "no engines"), now)
    assert ["Log", "SendDatagram"] == [type(effect).__name__ for effect in told]
    assert () == node.receive(EngineEnded(run.run, b"late"), now)


def test_no_more_than_a_few_are_made(kit, edge):
    """Many requests at once are answered, most of them with records."""
    world, host = edge
    world.engine = lambda job: "hangs"
    for n in range(20):
        ask(host, request(kit, [Gap(65 + 60 * n, 200 + 60 * n)]))
    assert 1 == len(host.ran)
    world.run(5)
    assert 20 - MOST_MADE == len(host.sent)
    world.run(600)
    assert 20 == len(host.sent)


# --- the daemon ---


def begun(effects):
    return [effect.job for effect in effects if isinstance(effect, RunEngine)]


def at(seconds):
    return Now(Monotonic(seconds * SECOND_NS), 0)


def test_an_edge_that_does_not_share(kit):
    """It asks for nothing, ever."""
    node = Share(kit.EDGE)
    assert () == node.start(kit.Disk(), at(0))
    assert ((), None) == (node.receive(Stop(), at(1)), node.deadline())


def test_a_daemon_that_ends_is_begun_again(kit):
    """Less and less often; at once the first pause again after one that ran for long."""
    node = Share(EdgeSettings("daws", "10.0.0.1", b"key", shares=True))
    assert [ServeTree(ports.RSYNC, "riometer/")] == begun(node.start(kit.Disk(), at(0)))
    waits, second = [], 0
    for _ in range(14):
        assert None is node.deadline()
        (said,) = node.receive(
            EngineEnded("rsync", b"", "rsync is not on this machine"), at(second)
        )
        waits.append(said.detail["wait_s"])
        second += waits[-1]
        assert node.deadline() == second * SECOND_NS
        assert 1 == len(begun(node.advance(at(second))))
    assert [WAIT_NS // SECOND_NS << n for n in range(4)] == waits[:4]
    assert MOST_WAIT_NS // SECOND_NS == waits[-1]
    second += SOUND_NS // SECOND_NS
    (said,) = node.receive(EngineEnded("rsync", b"", ""), at(second))
    assert {"why": "it ended by itself", "wait_s": 5} == said.detail


def test_a_host_that_ends(kit):
    """The daemon is stopped, and its end is no reason to begin it again."""
    node = Share(EdgeSettings("daws", "10.0.0.1", b"key", shares=True))
    node.start(kit.Disk(), at(0))
    assert (StopEngine("rsync"),) == node.receive(Stop(), at(9))
    assert ((), None) == (node.receive(EngineEnded("rsync"), at(9)), node.deadline())
