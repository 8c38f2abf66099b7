"""The canonical tree while records come in: five checks reject, nothing else, and nothing twice."""

import json
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldproof_contract import Address, Append, Datagram, Replace, Topic
from fieldproof_reference import ports
from fieldproof_reference.center import (
    ARRIVED,
    CONFIRMED,
    PROMOTED,
    CenterSettings,
    EdgeAtCenter,
    Promoted,
    SiteDay,
)
from fieldproof_reference.center.receive import Receive
from fieldproof_reference.center.shelf import MOST_FILES
from fieldproof_reference.center.sieve import WINDOW_S
from fieldproof_reference.center.validate import Validate
from fieldproof_reference.formats import xrio

SOURCE = Address("206.172.47.234", 32_769)


def center_with(kit, files=None, begins_s=43_200.0, settings=None):
    world = kit.World(kit.DAY_S + begins_s)
    known = settings or kit.CENTER
    parts = (
        (lambda: Receive(known), {ports.TELEMETRY, ports.STATUS}),
        (lambda: Validate(known), {ARRIVED, PROMOTED, CONFIRMED}),
    )
    return world, world.host(kit.CENTER_ADDRESS, kit.Disk(files), *parts)


def arrive(host, *datagrams, port=ports.TELEMETRY, source=SOURCE):
    for data in datagrams:
        host.tell(port, Datagram(port, source, data))


def quarantined(host):
    """Reasons and bytes, by the notes; the files must be the same."""
    notes = [
        json.loads(line)
        for data in host.disk.under("quarantine/", "provenance.jsonl").values()
        for line in data.splitlines()
    ]
    bins = host.disk.under("quarantine/", ".bin")
    assert len(notes) == len(bins)
    names = {path.rpartition("/")[2]: data for path, data in bins.items()}
    found = Counter()
    for note in notes:
        name = f"{note['reason'].replace(' ', '-')}-{note['sha256'][:16]}.bin"
        assert note["bytes"] == len(names[name])
        found[note["reason"], names[name]] += 1
    return found


def canonical(host):
    return host.disk.under("riometer/")


def flags(host):
    return [
        (path.rpartition("/")[2], json.loads(line)["flags"])
        for path, data in host.disk.under("flags/").items()
        for line in data.splitlines()
    ]


def changed(record, offset, data):
    return record[:offset] + data + record[offset + len(data) :]


def test_records_are_filed_at_the_next_look(kit):
    """What came is filed ten seconds after the first news, by first sample, as it came."""
    world, host = center_with(kit, begins_s=3_665)
    records = [kit.record(3_540), kit.record(3_600)]
    arrive(host, *records)
    world.run(9.9)
    assert {} == canonical(host)
    world.run(0.2)
    assert {kit.path(0): records[0], kit.path(1): records[1]} == canonical(host)


@pytest.mark.parametrize(
    ("reason", "offset", "data"),
    [
        ("stream id", 0, b"XRIo"),
        ("stream id", 0, b"\0"),
        ("site id", 4, b"D4WS"),
        ("site id", 4, b"../."),
        ("site id", 4, b"da\xffs"),
        ("version", 8, b"1"),
        ("data size", 16, b"\0\0"),
        ("total length", 16, b"\x3b\0"),
        ("total length", 16, b"\0\x3c"),
    ],
)
def test_the_five_checks_reject(kit, reason, offset, data):
    """A record that fails one of the five checks is kept in quarantine under that check's name, and
    nowhere else."""
    world, host = center_with(kit)
    bad = changed(kit.record(43_100), offset, data)
    arrive(host, bad)
    world.run(11)
    assert {} == canonical(host)
    assert {(reason, bad): 1} == quarantined(host)


@pytest.mark.parametrize("size", [0, 1, 19, 379, 381, 760])
def test_other_sizes_are_rejected(kit, size):
    """A datagram of one byte too many is not the record that its first 380 bytes make (T18)."""
    world, host = center_with(kit)
    bad = (kit.record(43_100) + kit.record(43_160))[:size]
    arrive(host, bad)
    world.run(11)
    assert {} == canonical(host)
    assert [bad] == [data for _, data in quarantined(host)]


@pytest.mark.parametrize("site", [b"gill", b"....", b"/etc", b"..//"])
def test_sites_without_a_folder(kit, site):
    """No datagram makes a path that the settings did not ask for (T16)."""
    world, host = center_with(kit)
    arrive(host, kit.record(43_100, site=site))
    world.run(11)
    roots = {path.split("/")[0] for path in host.disk.files}
    assert {"udp", "quarantine"} == roots - {"receiver"}
    assert 1 == len(quarantined(host))


@pytest.mark.parametrize(
    ("kept", "ahead_s"),
    [(True, WINDOW_S), (False, WINDOW_S + 1), (True, -WINDOW_S), (False, -WINDOW_S - 1)],
)
def test_the_window_of_times(kit, kept, ahead_s):
    """A first sample up to 26 hours from the arrival is filed, any other is not (T4)."""
    world, host = center_with(kit)
    record = kit.record(43_200 + ahead_s)
    arrive(host, record)
    world.run(11)
    assert kept == (list(canonical(host).values()) == [record])
    assert (not kept) == (("time", record) in quarantined(host))


@pytest.mark.parametrize("stamp_s", [0, 1, 2**31 - 1, 2**31, 2**32 - 1])
def test_absurd_times(kit, stamp_s):
    """Records of 1970, 2038 and 2106 are quarantined by the day of arrival (T4)."""
    world, host = center_with(kit)
    bad = changed(kit.record(43_100), 12, stamp_s.to_bytes(4, "little"))
    arrive(host, bad)
    world.run(11)
    assert {("time", bad): 1} == quarantined(host)
    assert all(path.startswith("quarantine/2006/01/17/") for path in host.disk.under("quarantine/"))


def test_letters_of_any_case_are_one_site(kit):
    """The path is folded, the bytes are not (T15)."""
    world, host = center_with(kit)
    records = [kit.record(43_080, b"Daws"), kit.record(43_140, b"daws")]
    arrive(host, *records)
    world.run(11)
    assert {kit.path(11): b"".join(records)} == canonical(host)


@pytest.mark.parametrize(
    ("flag", "change"),
    [
        ("npoints", lambda record: changed(record, 24, b"\x3e\0")),
        ("code above 4095", lambda record: changed(record, 22, b"\0\x10")),
        ("sample rate as text", lambda record: changed(record, 9, b"1")),
        ("spares in use", lambda record: changed(record, 10, b"x")),
        ("dead preamplifier", lambda record: record[:20] + 60 * bytes.fromhex("0008 0100 3c00")),
    ],
)
def test_flags_do_not_reject(kit, flag, change):
    """What is odd about a valid record is noted, and the record is filed as it is (R1-29)."""
    world, host = center_with(kit)
    record = change(kit.record(43_100))
    arrive(host, record, kit.record(43_160))
    world.run(11)
    assert {kit.path(11): record + kit.record(43_160)} == canonical(host)
    assert [("daws.jsonl", [flag])] == flags(host)


def test_records_of_another_size_are_filed(kit):
    """A consistent record of other than 60 points is valid and flagged (T19)."""
    world, host = center_with(kit)
    record = kit.record(43_100, points=61)
    arrive(host, record)
    world.run(11)
    assert {kit.path(11): record} == canonical(host)
    assert [("daws.jsonl", ["datapoints"])] == flags(host)


def test_status_is_not_judged(kit):
    """Another stream's datagrams are received and not validated."""
    world, host = center_with(kit)
    arrive(host, b"STAT daws 60 2", port=ports.STATUS)
    world.run(30)
    assert ({}, Counter()) == (canonical(host), quarantined(host))


@settings(max_examples=40)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=40), st.data())
def test_any_order_and_any_repetition_make_one_tree(kit, numbers, data):
    """Duplicates, disorder, looks in between, restarts and a second address of the sender change
    nothing: the tree is that of the distinct records in the order of time (T1, T2, T3, T5, T9)."""
    records = [kit.record(60 * (n // 2) + 39_600, salt=n % 2 * (n // 7)) for n in numbers]
    world, host = center_with(kit)
    for record in records:
        arrive(host, record, source=data.draw(st.sampled_from([SOURCE, Address("10.0.0.1", 5)])))
        if data.draw(st.integers(0, 5)) == 0:
            world.run(11)
        if data.draw(st.integers(0, 9)) == 0:
            host.boot()
    world.run(11)
    distinct = sorted(set(records), key=lambda record: (xrio.timestamp_s(record), record))
    assert kit.filed(distinct) == canonical(host)
    assert Counter() == quarantined(host)
    replayed, replay = center_with(kit, host.disk.under("udp/"))
    replayed.run(11)
    assert canonical(host) == canonical(replay)


def test_a_replay_of_more_files_than_are_kept_in_mind(kit):
    """A raw tree that touches more hour files than the shelf keeps in mind, some of them again and
    late, gives the tree of the live center."""
    names = ["daws", "gill", "rank"]
    known = CenterSettings({name: EdgeAtCenter(b"", SOURCE) for name in names})
    live, host = center_with(kit, begins_s=86_000, settings=known)
    assert MOST_FILES < 3 * 47
    for address, minute in (("10.0.0.1", 5), ("10.0.0.2", 6), ("10.0.0.3", 4)):
        for name in names:
            for hour in range(-2, 45):
                record = kit.record(3_600 * hour + 60 * minute, name.encode())
                arrive(host, record, source=Address(address, 1))
        live.run(20)
    assert 3 * 47 == len(canonical(host))
    assert {3 * 380} == {len(data) for data in canonical(host).values()}
    replayed, replay = center_with(kit, host.disk.under("udp/"), 86_300, known)
    replayed.run(20)
    assert canonical(host) == canonical(replay)


@pytest.mark.parametrize("size", [1, 20, 200, 379])
@pytest.mark.parametrize("later", [(), (42_900,), (43_170,), (42_900, 43_170)])
def test_a_crash_in_a_canonical_file(kit, size, later):
    """A half record at the end of an open day's file is gone before anything is added, whatever
    comes after the restart; the raw tree brings the record whole."""
    world, host = center_with(kit)
    records = [kit.record(43_080), kit.record(43_140)]
    arrive(host, *records)
    world.run(11)
    host.disk.files[kit.path(11)] = records[0] + records[1][:size]
    host.boot()
    records += map(kit.record, later)
    arrive(host, *records[2:])
    world.run(11)
    assert {kit.path(11): b"".join(sorted(records, key=xrio.timestamp_s))} == canonical(host)


def test_a_proven_day_is_closed(kit):
    """A record for a day that is proven is a duplicate or goes to quarantine, also after a restart
    that finds the proof (T3)."""
    there, late = kit.record(43_080), kit.record(43_140)
    proof = {"provenance/2006/01/17/daws.jsonl": b'{"what": "confirmed"}\n'}
    for confirmed_before in (False, True):
        files = {kit.path(11): there, **(proof if confirmed_before else {})}
        world, host = center_with(kit, files)
        if not confirmed_before:
            host.tell(CONFIRMED, Topic(CONFIRMED, SiteDay("daws", kit.DAY)))
        arrive(host, there, late, late)
        world.run(11)
        assert {kit.path(11): there} == canonical(host)
        assert {("after proof", late): 1} == quarantined(host)


def test_the_same_junk_is_kept_once(kit):
    """Junk that comes again, in the same look, in a later one or after a restart, is noted once."""
    world, host = center_with(kit)
    for _ in range(2):
        arrive(host, b"junk", b"junk")
        world.run(11)
        host.boot()
        world.run(11)
    assert {("stream id", b"junk"): 1} == quarantined(host)


@pytest.mark.parametrize("kind", [Append, Replace])
def test_a_full_disk_is_made_up_for(kit, kind):
    """Whatever the disk refused in the middle of a look is done when it takes it, without a restart
    and without help from the edge."""
    world, host = center_with(kit)
    records = [kit.record(43_000), kit.record(42_000), kit.record(43_100)]
    arrive(host, *records, b"junk")
    host.disk.refuses = lambda effect: isinstance(effect, kind)
    world.run(25)
    host.disk.refuses = lambda effect: False
    world.run(25)
    assert kit.filed(sorted(records, key=xrio.timestamp_s)) == canonical(host)
    assert [b"junk"] == [data for _, data in quarantined(host)]


def test_rot_in_the_index_costs_one_line(kit):
    """A line that cannot be read is named, and those after it are read."""
    world, host = center_with(kit)
    arrive(host, kit.record(43_000), kit.record(43_060), kit.record(43_120))
    (index,) = host.disk.under("udp/", ".idx")
    first, second, third = host.disk.files[index].splitlines(keepends=True)
    host.disk.files[index] = first + second.replace(b":", b"\xff") + third
    world.run(11)
    assert {kit.path(11): kit.record(43_000) + kit.record(43_120)} == canonical(host)
    assert ["index line not readable"] == [log.what for log in host.logs]


def test_revalidation_names_what_is_corrupt_at_the_edge(kit):
    """After a promotion each changed file is walked, and every span that is no record is named with
    its offset; the file stays as it is (T13, R1-42)."""
    torn = kit.record(43_000)[:100]
    content = kit.record(42_900) + torn + kit.record(43_060)
    _, host = center_with(kit, {kit.path(11): content})
    host.tell(PROMOTED, Topic(PROMOTED, Promoted((kit.path(11), kit.path(12)))))
    said = [(log.what, dict(log.detail)) for log in host.logs]
    corrupt = {"path": kit.path(11), "offset": 380, "bytes": 100}
    assert ("corrupt at the edge", corrupt) in said
    assert ("revalidated", {"path": kit.path(11), "corrupt spans": 1}) in said
    assert 2 == len(said)
    assert content == host.disk.files[kit.path(11)]


def test_conservation(kit):
    """Every datagram is filed, a duplicate of what is filed, or in quarantine (I5)."""
    source = random.Random(7)
    world, host = center_with(kit)
    received = Counter()
    for _ in range(400):
        data = bytearray(kit.record(60 * source.randrange(700), salt=source.randrange(2)))
        if source.random() < 0.3:
            data[source.randrange(24)] ^= 1 << source.randrange(8)
        received[bytes(data)] += 1
        arrive(host, bytes(data))
        world.run(source.choice((0, 3)))
    world.run(11)
    filed = Counter(
        data[span.offset : span.offset + span.size]
        for data in canonical(host).values()
        for span in xrio.walk(data)
    )
    kept_out = Counter(data for _, data in quarantined(host))
    assert 1 == max(filed.values()) == max(kept_out.values())
    assert set(received) == set(filed) | set(kept_out)
    assert not set(filed) & set(kept_out)
