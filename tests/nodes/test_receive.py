"""The raw tree: all that came, as it came, with a line for each, whatever the disk did."""

import json
import random

import pytest

from fieldproof_contract import Address, Append, Datagram, Log, Replace, Stop, Sync
from fieldproof_reference import ports
from fieldproof_reference.center import ARRIVED, beats
from fieldproof_reference.center.receive import Receive
from fieldproof_reference.formats import idx

FOLDER = "udp/2006/01/17/136.159.51.71"
DAT, INDEX = f"{FOLDER}/ut00_24985.dat", f"{FOLDER}/ut00_24985.idx"
SOURCE = Address("136.159.51.71", 32_769)

LINES_2006 = b"""\
2006-01-17 00:00:06.421153   24985  136.159.51.71:32769      380            0  58 52 49 4f 
2006-01-17 00:01:06.902381   24985  136.159.51.71:32769      380          380  58 52 49 4f 
2006-01-17 00:02:06.375104   24985  136.159.51.71:32769      380          760  58 52 49 4f 
2006-01-17 00:03:06.814618   24985  136.159.51.71:32769      380         1140  58 52 49 4f 
2006-01-17 00:04:06.285830   24985  136.159.51.71:32769      380         1520  58 52 49 4f 
2006-01-17 00:05:06.766924   24985  136.159.51.71:32769      380         1900  58 52 49 4f 
2006-01-17 00:06:06.228161   24985  136.159.51.71:32769      380         2280  58 52 49 4f 
2006-01-17 00:07:06.689275   24985  136.159.51.71:32769      380         2660  58 52 49 4f 
2006-01-17 00:08:06.150479   24985  136.159.51.71:32769      380         3040  58 52 49 4f 
2006-01-17 00:09:06.611591   24985  136.159.51.71:32769      380         3420  58 52 49 4f 
"""  # noqa: W291  the lines of 2006 end with a space


def center_with(kit, files=None, begins_s=0.0):
    world = kit.World(kit.DAY_S + begins_s)
    hears = {ports.TELEMETRY, ports.STATUS}
    disk = kit.Disk(files)
    return world, world.host(kit.CENTER_ADDRESS, disk, (lambda: Receive(kit.CENTER), hears))


def arrive(host, *datagrams, port=ports.TELEMETRY, source=SOURCE):
    for data in datagrams:
        host.tell(port, Datagram(port, source, data))


def consistent(files, dat=DAT, index=INDEX):
    """The datagrams of a pair of files that says the same on both sides, in order."""
    entries = [idx.parse(line) for line in files.get(index, b"").splitlines(keepends=True)]
    data = files.get(dat, b"")
    pieces = [data[entry.offset : entry.offset + entry.size] for entry in entries]
    assert [entry.size for entry in entries] == [len(piece) for piece in pieces]
    assert [entry.first for entry in entries] == [piece[:4] for piece in pieces]
    return pieces


def test_the_ten_lines_of_2006(kit):
    """Ten datagrams at those moments make that index byte for byte, and a .dat of the datagrams."""
    world, host = center_with(kit)
    records = [kit.record(60 * n) for n in range(10)]
    for line, record in zip(LINES_2006.splitlines(), records, strict=True):
        arrived = idx.parse(line).arrived_utc_ns
        world.run_to(arrived / 1e9)
        arrive(host, record)
    assert LINES_2006 == host.disk.files[INDEX]
    assert b"".join(records) == host.disk.files[DAT]


def test_files_by_hour_of_arrival_source_and_port(kit):
    """Two sources, two ports and two hours make six pairs of files, each with its own datagrams,
    and every arrival is told by its index."""
    world, host = center_with(kit, begins_s=3_500)
    others = Address("2001:db8::7", 32_769)
    for hour in (0, 1):
        arrive(host, b"telemetry %d" % hour)
        arrive(host, b"status %d" % hour, port=ports.STATUS)
        arrive(host, b"other %d" % hour, source=others)
        world.run(200)
    expected = {
        f"udp/2006/01/17/{folder}/ut0{hour}_{port}.dat": b"%s %d" % (text, hour)
        for hour in (0, 1)
        for folder, port, text in (
            ("136.159.51.71", 24_985, b"telemetry"),
            ("136.159.51.71", 25_000, b"status"),
            ("2001:db8::7", 24_985, b"other"),
        )
    }
    assert expected == host.disk.under("udp/", ".dat")
    told = [effect.message for effect in host.published if effect.topic == ARRIVED]
    assert sorted(name[:-3] + "idx" for name in expected) == sorted(told)


@pytest.mark.parametrize("data", [b"", b"X", b"\0" * 381, b"x" * 65_507])
def test_any_datagram_is_kept_whole(kit, data):
    """Empty, short, one byte too long or as long as UDP allows: what is kept is what came."""
    _, host = center_with(kit)
    arrive(host, b"before", data, data, b"after")
    assert [b"before", data, data, b"after"] == consistent(host.disk.files)


def test_a_crash_at_every_byte(kit):
    """Wherever between the first byte of a datagram and the last byte of its line a crash cut the
    two files, what was whole before stays, the rest is in .torn, and new datagrams follow (T14)."""
    for count in (0, 2):
        before = [kit.record(60 * n) for n in range(count)]
        _, host = center_with(kit)
        arrive(host, *before)
        started = dict(host.disk.files)
        arrive(host, kit.record(600))
        dat, index = host.disk.files[DAT], host.disk.files[INDEX]
        for size in range(len(dat) + len(index) - sum(map(len, started.values()))):
            dat_end = min(len(started.get(DAT, b"")) + size, len(dat))
            index_end = len(started.get(INDEX, b"")) + size - (dat_end - len(started.get(DAT, b"")))
            files = {DAT: dat[:dat_end], INDEX: index[:index_end]}
            restart_and_go_on(kit, {p: data for p, data in files.items() if data}, before, size)


def restart_and_go_on(kit, files, before, size):
    _, host = center_with(kit, files, begins_s=700)
    assert before == consistent(host.disk.files)
    torn = host.disk.files.get(DAT + ".torn", b"") + host.disk.files.get(INDEX + ".torn", b"")
    assert size == len(torn)
    arrive(host, b"new", b"newer")
    assert [*before, b"new", b"newer"] == consistent(host.disk.files)
    host.boot()
    assert [*before, b"new", b"newer"] == consistent(host.disk.files)


def test_power_cuts_of_either_file(kit):
    """Whatever part of the last datagrams either file lost, the pair is whole after the start, and
    what was durable is there."""
    for seed in range(100):
        source = random.Random(seed)
        world, host = center_with(kit)
        datagrams = [source.randbytes(source.choice((0, 1, 380))) for _ in range(8)]
        arrive(host, *datagrams[:4])
        world.run(1)
        arrive(host, *datagrams[4:])
        host.die(source)
        host.boot()
        kept = consistent(host.disk.files)
        assert datagrams[: len(kept)] == kept
        assert 4 <= len(kept)
        for path, data in host.durable:
            assert host.disk.files[path].startswith(data)


def test_a_center_that_was_down_for_days_mends_what_it_left(kit):
    """The tail that a crash tore is moved aside although it is of an earlier day."""
    _, host = center_with(kit)
    arrive(host, b"whole")
    files = {**host.disk.files, DAT: host.disk.files[DAT] + b"torn"}
    _, later = center_with(kit, files, begins_s=9 * 86_400)
    assert (b"whole", b"torn") == (later.disk.files[DAT], later.disk.files[DAT + ".torn"])


@pytest.mark.parametrize("ending", [".dat", ".idx"])
def test_a_full_disk_spoils_nothing(kit, ending):
    """A datagram that the disk did not take is named in the log; those before and after it are
    kept, and a restart leaves them where they are."""
    _, host = center_with(kit)
    arrive(host, b"before")
    host.disk.refuses = lambda effect: isinstance(effect, Append) and effect.path.endswith(ending)
    arrive(host, b"unlucky", b"again")
    host.disk.refuses = lambda effect: False
    arrive(host, b"after")
    kept = [b"before", b"after"]
    assert kept == consistent(host.disk.files)
    assert ["datagram not kept"] * 2 == [log.what for log in host.logs if isinstance(log, Log)]
    host.boot()
    arrive(host, b"last")
    assert [*kept, b"last"] == consistent(host.disk.files)


def test_rot_in_the_index_costs_one_line(kit):
    """A line in the middle that cannot be read any more does not make a restart cut off those after
    it."""
    _, host = center_with(kit)
    arrive(host, b"one", b"two", b"three")
    first, second, third = host.disk.files[INDEX].splitlines(keepends=True)
    rotten = second.replace(b"24985", b"2\x00985")
    host.disk.files[INDEX] = first + rotten + third
    host.boot()
    arrive(host, b"four")
    index = host.disk.files[INDEX]
    assert index.startswith(first + rotten + third)
    assert [b"one", b"three", b"four"] == consistent(
        {DAT: host.disk.files[DAT], INDEX: index.replace(rotten, b"")}
    )


# --- what the receiver says of itself ---

BEATS = "receiver/2006/01/17.jsonl"


def said(kit, host):
    """What the receiver said, with the seconds of the day."""
    lines = [json.loads(line) for line in host.disk.files[BEATS].splitlines()]
    return [(what, second - kit.DAY_S) for line in lines for what, second in line.items()]


def stop(host):
    """The host ends in good order."""
    host._queue.append((0, Stop()))
    host._drain()


def test_a_receiver_that_hears_nothing_says_that_it_is_there(kit):
    """A life begins, beats at most once a minute while nothing comes, and ends in good order."""
    world, host = center_with(kit, begins_s=100)
    world.run(300)
    stop(host)
    beaten = [("beat_s", 170), ("beat_s", 240), ("beat_s", 310), ("beat_s", 380)]
    assert [("began_s", 100), *beaten, ("ended_s", 400)] == said(kit, host)
    assert beats.BEAT_NS >= 60 * 10**9


def test_a_busy_receiver_writes_no_beats(kit):
    """A datagram a minute is a sign of life that needs no other, jitter or not."""
    world, host = center_with(kit)
    for number in range(60):
        arrive(host, b"%d" % number)
        world.run(59.5 if number % 2 else 60.5)
    assert [("began_s", 0)] == said(kit, host)


def test_a_beat_is_synced_with_the_next_datagram_alone(kit):
    """A quiet receiver asks for no sync; the next datagram's takes what was said with it, once."""
    world, host = center_with(kit)
    synced = []
    host.disk.refuses = lambda effect: isinstance(effect, Sync) and synced.append(effect.paths)
    world.run(200)
    assert [] == synced
    arrive(host, b"one", b"two")
    assert [(DAT, INDEX, BEATS), (DAT, INDEX)] == synced
    world.run(1)
    assert len(host.disk.files[BEATS]) == host.disk.synced[BEATS]


def test_what_a_crash_left_of_a_beat_is_cut_off(kit):
    """A start writes behind whole lines alone, wherever the last life was cut."""
    world, host = center_with(kit)
    world.run(80)
    whole = host.disk.files[BEATS]
    for size in range(len(whole) + 1):
        _, later = center_with(kit, {BEATS: whole[:size]}, begins_s=500)
        kept = whole[: whole.rfind(b"\n", 0, size) + 1]
        assert kept + b'{"began_s": %d}\n' % (kit.DAY_S + 500) == later.disk.files[BEATS]


def test_a_full_disk_delays_what_the_receiver_says(kit):
    """The start of a life that the disk did not take is said with the next beat, and a datagram
    meanwhile is synced all the same."""
    world = kit.World(kit.DAY_S)
    disk = kit.Disk()
    disk.refuses = lambda effect: isinstance(effect, Append) and effect.path == BEATS
    host = world.host(kit.CENTER_ADDRESS, disk, (lambda: Receive(kit.CENTER), {ports.TELEMETRY}))
    arrive(host, b"kept")
    world.run(1)
    assert (b"kept", 4) == (disk.files[DAT], disk.synced[DAT])
    world.run(100)
    assert BEATS not in disk.files
    disk.refuses = lambda effect: False
    world.run(100)
    assert [("began_s", 0), ("beat_s", 140)] == said(kit, host)


def test_a_start_that_the_disk_refused_is_said_later(kit):
    """Where mending failed, nothing was said after it: the next beat makes up for that."""
    _, first = center_with(kit)
    arrive(first, b"whole")
    torn = {**first.disk.files, DAT: first.disk.files[DAT] + b"torn"}
    world = kit.World(kit.DAY_S + 700)
    disk = kit.Disk(torn)
    disk.refuses = lambda effect: isinstance(effect, Replace)
    host = world.host(kit.CENTER_ADDRESS, disk, (lambda: Receive(kit.CENTER), {ports.TELEMETRY}))
    disk.refuses = lambda effect: False
    world.run(80)
    assert [("began_s", 0), ("began_s", 700), ("beat_s", 770)] == said(kit, host)
