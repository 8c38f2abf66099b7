"""The edge's archive: what is told of is durable, and what a crash tore is never built upon."""

import random

import pytest

from fieldproof_contract import (
    Append,
    Failed,
    Monotonic,
    Now,
    Remove,
    Replace,
    Stop,
    Sync,
    Topic,
    Truncate,
)
from fieldproof_reference.edge import FILED, LOST, RECORD, Filed, Lost
from fieldproof_reference.edge.filing import MOST_WAITING, Filing
from fieldproof_reference.formats import xrio


def edge_with(kit, files=None, refuses=None, begins_s=10_000):
    """A host on which Filing is the only node; it is not told what to refuse before the boot."""
    disk = kit.Disk(files)
    disk.refuses = refuses or disk.refuses
    world = kit.World(kit.DAY_S + begins_s)
    return world, world.host(kit.EDGE_ADDRESS, disk, (lambda: Filing(kit.EDGE), {RECORD}))


def tell(host, *records):
    for record in records:
        host.tell(RECORD, Topic(RECORD, record))


def told(host):
    return [effect.message for effect in host.published if effect.topic == FILED]


def test_records_go_to_the_hour_of_their_first_sample(kit):
    """The last record of an hour runs over its end and stays in it; the label decides, not when."""
    world, host = edge_with(kit)
    records = [kit.record(second) for second in (3_540, 3_599, 3_600, 7_199, 0)]
    tell(host, *records)
    world.run(1)
    expected = {
        kit.path(0): records[0] + records[1] + records[4],
        kit.path(1): records[2] + records[3],
    }
    assert expected == host.disk.files


def test_news_are_durable(kit):
    """Nobody hears of a record before it survives a power cut, and then it is told where it is."""
    world, host = edge_with(kit)
    records = [kit.record(60 * n) for n in range(5)]
    tell(host, *records)
    assert [] == told(host)
    for count in range(1, 6):
        world.run(0.005)
        assert count == len(told(host))
        assert 380 * count <= host.disk.synced[kit.path(0)]
    assert [Filed(kit.path(0), 380 * n, 380) for n in range(5)] == told(host)


def test_every_torn_tail_is_moved_aside(kit):
    """Whatever part of a record a crash left at the end of a file lies in its .torn after the next
    start, the file ends with the last whole record, and the next record follows that one."""
    whole = kit.record(3_600) + kit.record(3_660)
    torn, following = kit.record(3_720), kit.record(3_780)
    for size in range(1, 380):
        world, host = edge_with(kit, {kit.path(1): whole + torn[:size]})
        assert whole == host.disk.files[kit.path(1)]
        assert torn[:size] == host.disk.files[kit.path(1) + ".torn"]
        tell(host, following)
        world.run(1)
        assert whole + following == host.disk.files[kit.path(1)]
        assert [Filed(kit.path(1), 760, 380)] == told(host)


def test_no_empty_file_is_left(kit):
    """A file of which a crash left no whole record, or no byte, is gone: an empty hour file would
    count in the day's digest and be at no center."""
    for size in (0, 1, 19, 20, 379):
        _, host = edge_with(kit, {kit.path(1): kit.record(3_600)[:size]})
        assert {kit.path(1) + ".torn": kit.record(3_600)[:size]} == host.disk.files


def test_torn_tails_add_up(kit):
    """What an earlier crash left in the .torn stays there."""
    torn = kit.record(3_600)[:100]
    _, host = edge_with(kit, {kit.path(1): torn, kit.path(1) + ".torn": b"before"})
    assert b"before" + torn == host.disk.files[kit.path(1) + ".torn"]


def test_whole_files_and_other_files_stay(kit):
    """A start changes nothing that is whole, nor what is not this site's hour file."""
    files = {
        kit.path(1): kit.record(3_600),
        kit.path(2): kit.record(7_200, points=7),
        kit.path(3, site="gill"): b"torn",
        "riometer/notes.dat": b"torn",
    }
    _, host = edge_with(kit, files)
    assert files == host.disk.files


@pytest.mark.parametrize("kind", [Replace, Truncate, Remove])
def test_nothing_is_built_upon_a_tail_that_could_not_be_moved(kit, kind):
    """While the disk refuses to move torn tails, records wait; when it takes them again, the tails
    are moved first and all records follow in order."""
    whole, torn = kit.record(3_600), kit.record(3_660)[:200]
    files = {kit.path(1): whole + torn, kit.path(2): torn}
    world, host = edge_with(kit, files, lambda effect: isinstance(effect, kind))
    records = [kit.record(3_720 + 60 * n) for n in range(3)]
    tell(host, *records)
    world.run(60)
    assert [] == told(host)
    host.disk.refuses = lambda effect: False
    world.run(11)
    assert whole + b"".join(records) == host.disk.files[kit.path(1)]
    assert kit.path(2) not in host.disk.files
    assert host.disk.files[kit.path(1) + ".torn"].startswith(torn)
    assert torn == host.disk.files[kit.path(2) + ".torn"]
    assert 3 == len(told(host))


def test_a_full_disk_loses_nothing_in_a_day(kit):
    """As many records as a day has wait in memory, and are filed in order when there is room."""
    world, host = edge_with(kit, refuses=lambda effect: isinstance(effect, Append))
    records = [kit.record(60 * n) for n in range(MOST_WAITING)]
    for record in records:
        tell(host, record)
        world.run(1)
    assert [] == host.logs
    host.disk.refuses = lambda effect: False
    world.run(30)
    assert kit.filed(records) == host.disk.files
    assert MOST_WAITING == len(told(host))


def test_beyond_a_day_the_oldest_is_dropped_and_named(kit):
    """The record that memory does not hold is the oldest, and the log says which it was."""
    world, host = edge_with(kit, refuses=lambda effect: isinstance(effect, Append))
    tell(host, *(kit.record(n) for n in range(MOST_WAITING + 2)))
    said = [(log.what, log.detail["first_s"] - kit.DAY_S) for log in host.logs]
    assert [("record dropped", 0), ("record dropped", 1)] == said
    lost = [effect.message for effect in host.published if effect.topic == LOST]
    firsts = [kit.DAY_S, kit.DAY_S + 1]
    assert [Lost(first_s, first_s + 60, "dropped") for first_s in firsts] == lost
    host.disk.refuses = lambda effect: False
    world.run(30)
    assert MOST_WAITING == len(told(host))


def test_a_failed_sync_is_tried_again(kit):
    """A record whose sync failed is in the file once, and is told of when a later sync succeeds."""
    world, host = edge_with(kit, refuses=lambda effect: isinstance(effect, Sync))
    records = [kit.record(60 * n) for n in range(3)]
    tell(host, *records)
    world.run(35)
    assert ([], records[0]) == (told(host), host.disk.files[kit.path(0)])
    host.disk.refuses = lambda effect: False
    world.run(11)
    assert 3 == len(told(host))
    assert b"".join(records) == host.disk.files[kit.path(0)]


def now(seconds=0):
    return Now(Monotonic(seconds * 10**9), seconds * 10**9)


def test_an_end_in_good_order_leaves_nothing_in_memory(kit):
    """At a stop all that waits is asked for at once, in order, with a sync of every file that was
    touched, also of the one whose sync is still awaited."""
    records = [kit.record(second) for second in (3_480, 3_540, 3_600)]
    disk = kit.Disk()
    node = Filing(kit.EDGE)
    node.start(disk, now())
    wanted = [node.receive(Topic(RECORD, record), now()) for record in records]
    assert [(Append(kit.path(0), records[0]), Sync((kit.path(0),))), (), ()] == wanted
    disk.perform(wanted[0][0])
    *appends, sync = node.receive(Stop(), now(1))
    assert [Append(kit.path(0), records[1]), Append(kit.path(1), records[2])] == appends
    assert {kit.path(0), kit.path(1)} == set(sync.paths)
    assert 2 == len(sync.paths)


def test_an_end_with_a_disk_that_failed_tries_once_more(kit):
    """A record that waits for a disk that took no more is asked for again at a stop, after the torn
    tail that could not be moved; without anything to do nothing is asked for."""
    whole, torn = kit.record(3_540), kit.record(3_600)[:100]
    disk = kit.Disk({kit.path(0): whole + torn})
    node = Filing(kit.EDGE)
    (replace, *_) = node.start(disk, now())
    node.receive(Failed(replace, "No space left on device."), now())
    assert () == node.receive(Topic(RECORD, kit.record(3_599)), now(1))
    kinds = [type(effect).__name__ for effect in node.receive(Stop(), now(2))]
    assert ["Replace", "Truncate", "Log", "Append", "Sync"] == kinds
    idle = Filing(kit.EDGE)
    idle.start(kit.Disk(), now())
    assert () == idle.receive(Stop(), now())


def test_people_are_told_how_filing_goes(kit):
    """The figures count what is durable, name the newest record, and count what waits."""
    world, host = edge_with(kit)
    (node,) = host.nodes
    assert {"records filed": 0, "newest": "none", "waiting": 0} == node.figures()
    tell(host, kit.record(60), kit.record(120))
    assert 2 == node.figures()["waiting"]
    world.run(1)
    expected = {"records filed": 2, "newest": "2006-01-17T00:02:00", "waiting": 0}
    assert expected == node.figures()


def test_power_cuts_take_nothing_that_was_told(kit):
    """After any power cut and start, the file begins with every record that was told of, holds
    whole records alone, and goes on with new ones."""
    for seed in range(60):
        source = random.Random(seed)
        world, host = edge_with(kit)
        for n in range(10):
            tell(host, kit.record(60 * n))
            world.run(source.choice((0, 0.001, 0.005, 1)))
        durable = len(told(host))
        host.die(source)
        host.boot()
        tell(host, kit.record(3_000))
        world.run(1)
        data = host.disk.files[kit.path(0)]
        assert all(span.valid for span in xrio.walk(data))
        assert data.startswith(b"".join(kit.record(60 * n) for n in range(durable)))
        assert data.endswith(kit.record(3_000))
