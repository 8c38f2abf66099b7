"""The edge answers who may ask, the same every time, at its pace, with what its files hold."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldproof_contract import SECOND_NS, Address, Datagram
from fieldproof_reference import ports
from fieldproof_reference.center.gaps import ALL_HOURS, whole_hour, whole_hours
from fieldproof_reference.edge.answer import MOST_QUEUED, PACE_BIT_S, Answer
from fieldproof_reference.edge.declare import day_files
from fieldproof_reference.protocols.repair import (
    Assembly,
    Codec,
    Gap,
    Request,
    day_digest,
    pack_request,
    unpack_body,
)

CENTER = Address("136.159.51.71", ports.REPAIR)
DAWSON = (Gap(58_925, 59_045), Gap(67_205, 67_325), Gap(79_565, 79_685))
LIMIT_BYTES = 1 << 22


def day_at(kit, phase, hours=range(24)):
    return [kit.record(60 * n + phase) for hour in hours for n in range(60 * hour, 60 * hour + 60)]


def edge_with(kit, files, begins_s=100_000):
    world = kit.World(kit.DAY_S + begins_s)
    disk = kit.Disk(files)
    return world, world.host(kit.EDGE_ADDRESS, disk, (lambda: Answer(kit.EDGE), {ports.REPAIR}))


def request(kit, gaps, codec=Codec.COLUMNS_DEFLATE, site="daws", key=None, day=None):
    asked = Request(site, kit.DAY if day is None else day, codec, tuple(gaps))
    return pack_request(asked, kit.KEY if key is None else key)


def ask(host, data, source=CENTER):
    host.tell(ports.REPAIR, Datagram(ports.REPAIR, source, data))


def answered(kit, files, gaps, codec=Codec.COLUMNS_DEFLATE):
    """The reply to one request, put together, and its groups."""
    world, host = edge_with(kit, files)
    data = request(kit, gaps, codec)
    ask(host, data)
    world.run(60)
    assembly = Assembly(data, kit.KEY)
    assert [True] * len(host.sent) == [assembly.add(sent.data) for _, sent in host.sent]
    reply = assembly.result()
    assert day_digest(day_files(host.disk, "daws", kit.DAY)) == reply.digest
    return reply, unpack_body(reply.codec, reply.body, gaps, kit.DAY, LIMIT_BYTES)


def test_three_gaps_in_one_datagram(kit):
    """The three records of Dawson's day come back in one datagram, to whoever asked, from the
    repair port, byte for byte."""
    files = kit.filed(day_at(kit, 5))
    _, host = edge_with(kit, files)
    ask(host, request(kit, DAWSON))
    ((_, sent),) = host.sent
    assert (ports.REPAIR, CENTER) == (sent.port, sent.to)
    _, groups = answered(kit, files, DAWSON)
    assert tuple((kit.record(gap.after_s + 60),) for gap in DAWSON) == groups


@pytest.mark.parametrize(
    "change",
    [
        {"key": b"another key"},
        {"site": "gill"},
        {"day": 13_166},
        {"day": 13_167},
    ],
)
def test_silence(kit, change):
    """A request under another key, for another site, for the open day or a coming one gets no
    answer."""
    world, host = edge_with(kit, kit.filed(day_at(kit, 5)))
    ask(host, request(kit, DAWSON, **change))
    world.run(60)
    assert [] == host.sent


def test_an_open_day_is_closed_75_s_after_its_end(kit):
    """The same request is ignored until then and answered from then on."""
    world, host = edge_with(kit, kit.filed(day_at(kit, 5)), begins_s=86_474)
    ask(host, request(kit, DAWSON))
    assert [] == host.sent
    world.run(1)
    ask(host, request(kit, DAWSON))
    assert 1 == len(host.sent)


@given(st.binary(max_size=80), st.integers(0, 38 * 8 - 1))
def test_garbage_and_damage_get_no_answer(kit, data, bit):
    """Neither any bytes, nor a request of which any bit was changed, make the edge send."""
    world, host = edge_with(kit, {kit.path(3): kit.record(3 * 3_600)})
    flipped = bytearray(request(kit, DAWSON))
    flipped[bit // 8] ^= 1 << bit % 8
    for hostile in (data, b"RQ" + data, bytes(flipped)):
        ask(host, hostile)
    world.run(10)
    assert [] == host.sent


def test_the_same_request_gets_the_same_answer(kit):
    """Also after a restart, and whoever asked in between."""
    world, host = edge_with(kit, kit.filed(day_at(kit, 5)))
    for again in range(3):
        ask(host, request(kit, DAWSON))
        ask(host, request(kit, [Gap(None, 86_400)], Codec.COLUMNS_LZMA))
        world.run(60)
        if again == 1:
            host.boot()
    sent = [effect.data for _, effect in host.sent]
    third = len(sent) // 3
    assert sent[:third] == sent[third : 2 * third] == sent[2 * third :]


def test_the_pace(kit):
    """Answers, be they one long one or many short ones, never take more than 64 kbit/s."""
    world, host = edge_with(kit, kit.filed(day_at(kit, 5)))
    ask(host, request(kit, [Gap(None, 86_400)], Codec.RAW_DEFLATE))
    for n in range(20):
        ask(host, request(kit, [Gap(None, 60 * n + 60)]))
    world.run(300)
    assert 20 + 60 < len(host.sent)
    bits, began_ns = 0, host.sent[0][0]
    for ns, effect in host.sent:
        assert bits * SECOND_NS <= PACE_BIT_S * (ns - began_ns + len(host.sent))
        bits += 8 * (len(effect.data) + 28)


def test_the_first_answer_is_not_kept_waiting(kit):
    """After a pause an answer leaves at once."""
    world, host = edge_with(kit, kit.filed(day_at(kit, 5)))
    for _ in range(3):
        ask(host, request(kit, DAWSON))
        world.run(10)
    assert [0, 10 * SECOND_NS, 20 * SECOND_NS] == [ns for ns, _ in host.sent]


def test_a_retry_of_what_is_still_leaving_adds_nothing(kit):
    """A center that asks again and again while a long answer leaves gets it once."""
    world, host = edge_with(kit, kit.filed(day_at(kit, 5)))
    data = request(kit, [Gap(None, 86_400)], Codec.RAW_DEFLATE)
    ask(host, data)
    fragments = 1 + host.sent[0][1].data[10]
    for _ in range(5):
        ask(host, data)
    world.run(300)
    assert fragments + 1 == len(host.sent)  # the first had left before the second request


def test_the_queue_is_bounded(kit):
    """However many different requests come, no more than the queue's bound waits to leave."""
    world, host = edge_with(kit, kit.filed(day_at(kit, 5, range(4))))
    for n in range(40):
        ask(host, request(kit, [Gap(None, 14_400 - n)], Codec.RAW))
    world.run(1_000)
    one_answer = 1 + host.sent[0][1].data[10]
    assert MOST_QUEUED - one_answer < len(host.sent) <= MOST_QUEUED + 1


def test_an_answer_of_too_many_fragments(kit):
    """A day that no 256 fragments hold is not answered; the log says so, and the node lives on."""
    noise = random.Random(1).randbytes(400_000)
    files = {kit.path(3): noise, kit.path(4): kit.record(4 * 3_600)}
    world, host = edge_with(kit, files)
    ask(host, request(kit, [Gap(None, 86_400)], Codec.COLUMNS_LZMA))
    world.run(10)
    assert ([], ["answer too long"]) == (host.sent, [log.what for log in host.logs])
    ask(host, request(kit, [whole_hour(4)]))
    assert 1 == len(host.sent)


@pytest.mark.parametrize(
    ("what", "junk"),
    [
        ("a torn record", lambda kit: kit.record(3_720)[:200]),
        ("a record of another second", lambda kit: kit.record(80_000)),
        ("a record of another size", lambda kit: kit.record(3_720, points=59)),
        ("a record of another day", lambda kit: kit.record(-3_000)),
        ("rot", lambda kit: b"\0" * 380),
    ],
)
def test_what_does_not_fit_columns_goes_raw(kit, what, junk):
    """What lies in a gap is returned whatever it is, in the order of the file."""
    piece = junk(kit)
    files = {kit.path(1): kit.record(3_600) + kit.record(3_660) + piece + kit.record(3_780)}
    reply, groups = answered(kit, files, [Gap(3_600, 3_780)])
    assert reply.codec in (Codec.RAW, Codec.RAW_DEFLATE)
    assert ((kit.record(3_660), piece),) == groups


@given(st.data())
def test_gaps_between_records_partition_the_day(kit, data):
    """Whatever records bound the gaps, groups and the records between them make the day again."""
    phase = data.draw(st.sampled_from([0, 5, 30, 59]))
    seconds = [60 * n + phase for n in range(0, 1_440, 31)]
    bounds = sorted(data.draw(st.sets(st.sampled_from(seconds), min_size=2, max_size=8)))
    gaps = [Gap(a, b) for a, b in zip(bounds[0::2], bounds[1::2], strict=False)]
    _, groups = answered(kit, kit.filed(map(kit.record, seconds)), gaps)
    inside = [[s for s in seconds if gap.after_s < s < gap.before_s] for gap in gaps]
    assert [tuple(map(kit.record, mine)) for mine in inside] == list(groups)


@given(
    st.lists(
        st.one_of(
            st.integers(0, 11).map(lambda n: 300 * n + 299),  # the last second of the hour, too
            st.integers(0, 3_599),
        ),
        min_size=1,
        max_size=12,
    ),
    st.booleans(),
)
def test_whole_hours_are_whole_files(kit, seconds, torn):
    """All hours asked for one by one are the files, whatever order, second or junk they hold."""
    files = {}
    for hour in (0, 1, 2, 7, 23):
        records = [kit.record(3_600 * hour + second, salt=n) for n, second in enumerate(seconds)]
        files[kit.path(hour)] = b"".join(records) + b"junk" * torn
    _, groups = answered(kit, files, whole_hours(ALL_HOURS))
    found = {kit.path(hour): b"".join(items) for hour, items in enumerate(groups) if items}
    assert files == found
