"""Traps on the way in: copies, disorder, crashes, a buffer that is too small."""

import os
import random
import socket
import time

import pytest

from fieldproof_contract import SECOND_NS, Address
from fieldproof_reference.center.receive import MOST_BYTES, MOST_STRANGERS
from fieldproof_reference.formats import idx
from fieldproof_reference.live.loop import Loop
from fieldproof_reference.live.ports import Ports

PORT = 24_985


def test_t1_a_duplicate_is_two_in_the_raw_tree_and_one_in_the_archive(kit, stage):
    """Both arrivals have their bytes and their line; the hour file has one record."""
    world, host = stage.center()
    stage.arrive(host, kit.record(43_100), kit.record(43_100))
    world.run(11)
    assert [kit.record(43_100) * 2] == list(host.disk.under("udp/", ".dat").values())
    (lines,) = host.disk.under("udp/", ".idx").values()
    assert 2 == len(lines.splitlines())
    assert {kit.path(11): kit.record(43_100)} == stage.canonical(host)


def test_t1_what_the_edge_holds_twice_is_twice_in_the_archive(kit, stage):
    """The digest of the edge's day decides, and its second copy comes by repair."""
    world, edge, host = stage.evening([])
    twice = kit.record(86_100) + kit.record(86_160) * 2
    edge.disk.files[kit.path(23)] = twice
    stage.arrive(host, kit.record(86_100), kit.record(86_160), kit.record(86_160))
    world.run_to(kit.DAY_S + 86_400 + 900)
    assert {kit.path(23): twice} == stage.canonical(host)


def test_t2_disorder_does_not_show(kit, stage):
    """Two hours of records in any order, looked at in between, become the edge's two files."""
    records = [kit.record(36_005 + 60 * n) for n in range(120)]
    for seed in range(5):
        source = random.Random(seed)
        world, host = stage.center()
        for record in source.sample(records, len(records)):
            stage.arrive(host, record)
            world.run(source.choice((0, 0, 0, 12)))
        world.run(11)
        assert kit.filed(records) == stage.canonical(host)


@pytest.mark.parametrize("size", [0, 1, 200, 379, 380, 381, 430, 470])
def test_t14_a_crash_between_data_and_index(kit, stage, size):
    """Wherever in a datagram or in its line a crash falls: what was whole stays, the tail is moved
    aside, what comes next fits, and the archive has every whole record once."""
    world, host = stage.center()
    stage.arrive(host, kit.record(42_940))
    before = dict(host.disk.files)
    stage.arrive(host, kit.record(43_000))
    for path, data in host.disk.under("udp/").items():
        new = data[len(before.get(path, b"")) :]
        kept = new[: max(size, 0) if path.endswith(".dat") else max(size - 380, 0)]
        host.disk.files[path] = before.get(path, b"") + kept
    host.die()
    host.boot()
    stage.arrive(host, kit.record(43_060))
    world.run(11)
    (index,), (data,) = (host.disk.under("udp/", end).values() for end in (".idx", ".dat"))
    entries = [idx.parse(line) for line in index.splitlines()]
    kept = [data[entry.offset : entry.offset + entry.size] for entry in entries]
    assert [kit.record(42_940), kit.record(43_060)] == [kept[0], kept[-1]]
    assert b"".join(kept) == data
    torn = sum(map(len, host.disk.under("udp/", ".torn").values()))
    assert torn == (size if len(kept) == 2 else 0)
    assert {kit.path(11): b"".join(kept)} == stage.canonical(host)


def test_t14_a_crash_in_an_hour_file(kit, stage):
    """Half a record at the end of an hour file is gone before anything is added, and the raw tree
    brings it whole."""
    world, host = stage.center()
    records = [kit.record(42_940), kit.record(43_000)]
    stage.arrive(host, *records)
    world.run(11)
    host.disk.files[kit.path(11)] = records[0] + records[1][:200]
    host.die()
    host.boot()
    world.run(11)
    assert {kit.path(11): b"".join(records)} == stage.canonical(host)


@pytest.fixture
def ear():
    """A real port that is heard, what came to it, what was told, and a socket that sends to it."""
    pid = os.getpid()
    own = f"127.{96 + (pid >> 16) % 32}.{(pid >> 8) % 256}.{1 + pid % 250}"
    loop, came, dropped = Loop(), [], []
    ports = Ports(
        loop,
        own,
        lambda port, source, data: came.append(data),
        lambda sentence: None,
        lambda what, detail: dropped.append((what, detail["datagrams"])),
    )
    ports.bind(PORT, hears=True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect((own, PORT))
        yield loop, ports, sender, came, dropped
    ports.close()
    loop.close()


def turned(loop, happened):
    """Turns of a loop until it has happened, ten seconds at most."""
    ends_ns = time.monotonic_ns() + 10 * SECOND_NS
    while not happened():
        assert time.monotonic_ns() < ends_ns
        loop.turn(time.monotonic_ns() + 10_000_000)


def test_t18_the_socket_reads_datagrams_whole(kit, ear):
    """A datagram of 381 bytes comes as 381 bytes, and one of 65 507 as it was sent."""
    loop, _, sender, came, _ = ear
    sent = [bytes(381), bytes(65_507), kit.record(43_100)]
    for data in sent:
        sender.send(data)
    turned(loop, lambda: len(came) == len(sent))
    assert sent == came


def test_t20_what_the_kernel_drops_is_counted(ear):
    """A burst for which the buffer has no room: every datagram came or is in the count of drops."""
    loop, ports, sender, came, dropped = ear
    ports._sockets[PORT].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    for _ in range(200):
        sender.send(bytes(380))
    turned(loop, lambda: dropped)
    assert 0 < len(came) < 200
    assert [("datagrams dropped", 200 - len(came))] == dropped


def test_t17_nobody_fills_the_disk(kit, stage):
    """A flood from one address is kept up to its quota of the hour, one from many addresses up to
    so many; it is told, sites are heard all the while, and the next hour begins anew."""
    world, host = stage.center(begins_s=43_300.0)
    junk = bytes(60_000)
    for number in range(40):
        stage.arrive(host, junk, source=Address("10.9.9.9", 53))
        stage.arrive(host, junk, source=Address(f"10.1.{number}.1", 53))
        stage.arrive(host, junk, source=Address(f"10.2.{number}.1", 53))
    stage.arrive(host, kit.record(43_205))
    flood = host.disk.under("udp/2006/01/17/10.9.9.9/", ".dat")
    assert MOST_BYTES - len(junk) < len(b"".join(flood.values())) <= MOST_BYTES
    sources = {path.split("/")[4] for path in host.disk.under("udp/", ".dat")}
    assert MOST_STRANGERS + 1 == len(sources)
    assert stage.SOURCE.host in sources
    said = [one for one in host.logs if one.what == "quota reached"]
    assert ["10.9.9.9"] == [one.detail["source"] for one in said]
    world.run(3_600)
    stage.arrive(host, junk, source=Address("10.3.3.3", 53))
    assert host.disk.under("udp/2006/01/17/10.3.3.3/", ".dat")
    refused = [one.detail["number"] for one in host.logs if one.what == "datagrams refused"]
    assert [120 - MOST_BYTES // len(junk) - (MOST_STRANGERS - 1)] == refused
