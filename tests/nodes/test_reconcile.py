"""A closed day becomes the edge's, byte for byte and durably, whatever happens to the exchange."""

import json
import lzma
import random
import tracemalloc
import zlib

import pytest

from fieldproof_contract import SECOND_NS, Address, Append, Datagram, Remove, Replace, Sync
from fieldproof_reference import ports
from fieldproof_reference.center import CONFIRMED
from fieldproof_reference.center.provenance import confirmed_days
from fieldproof_reference.center.reconcile import MOST_PATIENCE_NS
from fieldproof_reference.edge.declare import manifest_of
from fieldproof_reference.protocols.repair import (
    Codec,
    hour_digest,
    kind,
    pack_manifest,
    read_request,
    reply_fragments,
)

MINUTES = range(1_260, 1_440)  # from 21:00 on
ARRIVALS = {"udp/2006/01/17/206.172.47.234/ut22_25000.dat": b""}


def day_files(kit, minutes=MINUTES, phase=5):
    return kit.filed([kit.record(60 * n + phase) for n in minutes])


def without(kit, *lost, minutes=MINUTES, phase=5):
    return day_files(kit, [n for n in minutes if n not in lost], phase)


class Answering:
    """A node in the place of the edge: answers each request by what `body` makes of it."""

    def __init__(self, kit, body):
        self.kit, self.body = kit, body

    def start(self, disk, now):
        return ()

    def receive(self, event, now):
        request = read_request(event.data, self.kit.KEY, self.kit.DAY)
        codec, digest, body = self.body(request)
        fragments = reply_fragments(event.data, codec, digest, body, self.kit.KEY)
        world, source = self.kit.world, event.source
        for fragment in fragments:
            datagram = Datagram(ports.REPAIR, Address(self.kit.EDGE_ADDRESS, 1), fragment)
            world.at(1_000, lambda d=datagram: world.hosts[source.host].tell(ports.REPAIR, d))
        return ()

    def advance(self, now):
        return ()

    def deadline(self):
        return None


def world_with(kit, edge_files, center_files, parts=None, begins_s=86_340.0):
    """An edge and a center a minute before midnight."""
    world = kit.World(kit.DAY_S + begins_s)
    edge = world.host(kit.EDGE_ADDRESS, kit.Disk(edge_files), *(parts or kit.edge_parts()))
    disk = kit.Disk({**ARRIVALS, **center_files})
    return world, edge, world.host(kit.CENTER_ADDRESS, disk, *kit.center_parts())


def canonical(host):
    return host.disk.under("riometer/", ".dat")


def notes(kit, host):
    data = host.disk.files.get("provenance/2006/01/17/daws.jsonl", b"")
    return [json.loads(line)["what"] for line in data.splitlines()]


def asked(host):
    return [effect.data for _, effect in host.sent if effect.port == ports.REPAIR]


def logged(host, what):
    return [log.detail for log in host.logs if log.what == what]


def proven(kit, edge, host):
    """The day is the edge's, and the center says so."""
    assert edge.disk.under("riometer/", ".dat") == canonical(host)
    assert "confirmed" == notes(kit, host)[-1]
    return logged(host, "confirmed") != []


# --- the ladder ---


def test_a_whole_day_is_proven_by_the_manifest_alone(kit):
    """A center that has everything asks for nothing."""
    world, edge, center = world_with(kit, day_files(kit), day_files(kit))
    world.run(600)
    assert proven(kit, edge, center)
    assert ([], ["confirmed"]) == (asked(center), notes(kit, center))


def test_gaps_take_one_round_trip(kit):
    """A few lost records come back in one datagram for one request; each gap is noted with its
    origin, and the other nodes hear what changed and what is proven."""
    world, edge, center = world_with(kit, day_files(kit), without(kit, 1_263, 1_321, 1_387))
    world.run(600)
    assert proven(kit, edge, center)
    assert (1, 1) == (len(asked(center)), len(asked(edge)) - 1)  # and the manifest
    facts = {"site": "daws", "day": "2006-01-17", "items": 3, "bytes": 1_140}
    assert [{**facts, "method": "repair", "step": "gaps"}] == logged(center, "repaired")
    gaps = 1 + 3  # the beginning of the day, which the edge has not either, touches a suspect hour
    assert ["restored"] * gaps + ["confirmed"] == notes(kit, center)
    assert CONFIRMED in [effect.topic for effect in center.published]


def test_an_empty_center_gets_the_day(kit):
    """A whole day comes in many fragments, paced, and is the edge's."""
    world, edge, center = world_with(kit, day_files(kit, range(1_440)), {})
    world.run(600)
    assert proven(kit, edge, center)
    assert 1 == len(asked(center))


def test_the_first_step_that_does_not_do_leads_to_whole_hours(kit):
    """An hour with a lost record and a flipped bit is asked for by its gap, then as a whole; the
    flipped record goes to quarantine."""
    files = without(kit, 1_290)
    files[kit.path(21)] = files[kit.path(21)][:100] + b"\x55" + files[kit.path(21)][101:]
    flipped = files[kit.path(21)][:380]
    world, edge, center = world_with(kit, day_files(kit), files)
    world.run(600)
    assert proven(kit, edge, center)
    assert ["hours"] == [said["next"] for said in logged(center, "answer not usable")]
    assert [flipped] == list(center.disk.under("quarantine/", ".bin").values())


def test_an_edge_that_changed_after_its_manifest_is_asked_for_all_hours(kit):
    """Where neither gaps nor suspect hours lead to the digest, all hours do."""
    world, edge, center = world_with(kit, day_files(kit), without(kit, 1_290))
    world.run(60 + 75.1)  # the manifest is on its way
    edge.disk.files[kit.path(23)] += kit.record(86_399)
    world.run(600)
    assert proven(kit, edge, center)
    assert ["hours", "day"] == [said["next"] for said in logged(center, "answer not usable")]


@pytest.mark.parametrize("spoil", [lambda f, kit: f.pop(kit.path(22)), lambda f, kit: None])
def test_what_the_edge_has_not_goes_to_quarantine(kit, spoil):
    """Records, and whole hours, that the edge does not have leave the canonical tree for the
    quarantine, each with a note (T11, T12, I3)."""
    files = day_files(kit)
    spoil(files, kit)
    extra = kit.record(86_390)
    center_files = {**day_files(kit), kit.path(1): kit.record(3_605)}
    center_files[kit.path(23)] += extra
    world, edge, center = world_with(kit, files, center_files)
    world.run(600)
    assert proven(kit, edge, center)
    gone = {extra, kit.record(3_605)}
    if kit.path(22) not in files:
        gone |= {kit.record(60 * n + 5) for n in range(1_320, 1_380)}
    assert gone == set(center.disk.under("quarantine/", ".bin").values())


@pytest.mark.parametrize("phase", [0, 5, 59])
def test_a_clock_that_stepped_back_at_the_edge(kit, phase):
    """Hours that the edge filled three times, out of order, are mirrored as they are (T6)."""
    files = day_files(kit, phase=phase)
    for n in (*range(1_260, 1_439), *range(1_270, 1_440)):
        files[kit.path(n // 60)] += kit.record(60 * n + phase, salt=9)
    world, edge, center = world_with(kit, files, without(kit, 1_300, phase=phase))
    world.run(900)
    assert proven(kit, edge, center)


# --- the exchange ---


def settled(kit, carry, minutes=MINUTES, lost=(1_263, 1_321, 1_387), seconds=20_000):
    """The world after hours of a link that `carry` spoils; the day must be proven."""
    center_files = without(kit, *lost, minutes=minutes)
    world, edge, center = world_with(kit, day_files(kit, minutes), center_files)
    world.carry = carry
    world.run(seconds)
    assert proven(kit, edge, center)
    assert 1 == len(logged(center, "repaired"))
    return world, edge, center


def test_a_lost_manifest_costs_a_request(kit):
    """A center that hears no manifest asks, and the reply proves the day."""
    lose = lambda port, data: [] if port == ports.MANIFEST else [(kit.DELAY_NS, data)]  # noqa: E731
    _, _, center = settled(kit, lose)
    assert 1 == len(asked(center))


@pytest.mark.parametrize("name", ["request", "reply"])
def test_what_is_lost_is_asked_for_again(kit, name):
    """Three losses of a request or of its reply cost three retries of the same bytes (T23)."""
    losses = 3 * [name]

    def carry(port, data):
        if losses and kind(data) == losses[-1]:
            losses.pop()
            return []
        return [(kit.DELAY_NS, data)]

    _, _, center = settled(kit, carry)
    assert 4 == len(asked(center))
    assert 1 == len(set(asked(center)))


def test_everything_doubled(kit):
    """Every datagram comes three times, the last copies late: the day is repaired once (T23)."""
    delays = (kit.DELAY_NS, kit.DELAY_NS, 7 * SECOND_NS)
    settled(kit, lambda port, data: [(delay_ns, data) for delay_ns in delays])


def test_fragments_in_any_order(kit):
    """The fragments of a long reply come in disorder, and some of them twice."""
    source = random.Random(3)
    settled(
        kit,
        lambda port, data: [
            (source.randrange(3 * SECOND_NS), data) for _ in range(source.choice((1, 1, 2)))
        ],
        range(1_440),
        range(1_440),
    )


def test_a_reply_damaged_at_every_byte(kit):
    """A reply of which any one byte is changed, cut off or added is ignored, and the good one that
    comes after all of them is applied."""
    damaged = []

    def carry(port, data):
        if kind(data) != "reply":
            return [(kit.DELAY_NS, data)]
        copies = [data[:at] + bytes((data[at] ^ 0x10,)) + data[at + 1 :] for at in range(len(data))]
        copies += [data[:at] for at in range(len(data))] + [data + b"\0"]
        damaged.extend(copies)
        return [*((1_000, copy) for copy in copies), (kit.DELAY_NS, data)]

    _, _, center = settled(kit, carry)
    assert 600 < len(damaged)
    assert (1, []) == (len(asked(center)), logged(center, "answer not usable"))


def test_fragments_are_kept_across_retries(kit):
    """What one try brought need not come again: each fragment gets through in one try of two, and
    the second try completes the reply."""
    tries = []

    def carry(port, data):
        if kind(data) == "request":
            tries.append(data)
        if kind(data) == "reply" and data[9] % 2 == len(tries) % 2:
            return []
        return [(kit.DELAY_NS, data)]

    settled(kit, carry, range(1_440), range(1_440))
    assert 2 == len(tries)


@pytest.mark.parametrize("loss", [0.05, 0.5])
def test_loss_during_repair(kit, loss):
    """At 5 and at 50 % loss of every datagram the day is repaired; retries only cost bytes."""
    source = random.Random(round(100 * loss))
    settled(
        kit,
        lambda port, data: [] if source.random() < loss else [(kit.DELAY_NS, data)],
        range(1_440),
        range(0, 1_440, 2),
        seconds=60_000,
    )


@pytest.mark.parametrize("more", [1, 100])
def test_an_edge_that_changes_between_two_tries(kit, more):
    """The edge files records late while its first reply is under way: whether the second reply has
    as many fragments or others, the day ends as the edge's (T10)."""
    world, edge, center = world_with(kit, day_files(kit), {})
    world.carry = lambda port, data: (
        [] if kind(data) == "reply" and data[9] else [(kit.DELAY_NS, data)]
    )
    world.run(60 + 185)  # the first fragment came, the others not
    records = [kit.record(60 * n + 5) for n in range(1_000, 1_000 + more)]
    edge.disk.files.update(kit.filed(records))
    world.carry = lambda port, data: [(kit.DELAY_NS, data)]
    world.run(7_200)
    assert proven(kit, edge, center)


def test_another_key_changes_nothing(kit):
    """Neither manifests nor replies of another key are believed, be it ever so long (T17)."""
    files = without(kit, 1_300)
    world, _, center = world_with(kit, day_files(kit), files)
    world.carry = lambda port, data: [(kit.DELAY_NS, data[:-16] + bytes(16))]
    world.run(100_000)
    assert (files, []) == (canonical(center), notes(kit, center))
    assert len(asked(center)) < 30


def test_the_source_of_a_manifest_is_asked(kit):
    """An edge behind another address is asked where its manifest came from, and a manifest that is
    not authentic moves nothing (T9)."""
    world, edge, center = world_with(kit, day_files(kit), without(kit, 1_300))
    world.hosts = {"10.0.0.1": edge, kit.CENTER_ADDRESS: center}
    edge.address = "10.0.0.1"
    forged = pack_manifest(manifest_of(edge.disk, "daws", kit.DAY), b"another key")
    spoofed = Datagram(ports.MANIFEST, Address("10.6.6.6", ports.REPAIR), forged)
    world.run(100)
    center.tell(ports.MANIFEST, spoofed)
    world.run(600)
    assert proven(kit, edge, center)
    assert {"10.0.0.1"} == {sent.to.host for _, sent in center.sent}


# --- replies that are authentic and wrong ---


def fake_edge(kit, body, center_files):
    """A world in which the edge's answers are made by `body`."""
    fake = (lambda: Answering(kit, body), {ports.REPAIR})
    kit.world, _, center = world_with(kit, {}, center_files, [fake])
    return kit.world, center


def test_an_edge_whose_answers_never_fit_is_not_asked_all_the_time(kit):
    """Where even all hours do not lead to the digest, nothing is changed, and hours pass until the
    center begins anew."""
    files = without(kit, 1_300)
    wrong = lambda request: (Codec.RAW, bytes(32), bytes(len(request.gaps)))  # noqa: E731
    world, center = fake_edge(kit, wrong, files)
    world.run(1_000 + MOST_PATIENCE_NS // SECOND_NS)
    assert files == canonical(center)
    assert ["hours", "day", "gaps"] * 2 == [
        said["next"] for said in logged(center, "answer not usable")
    ]


@pytest.mark.parametrize("codec", [Codec.RAW_DEFLATE, Codec.COLUMNS_DEFLATE, Codec.COLUMNS_LZMA])
def test_a_bomb_is_bounded(kit, codec):
    """A reply of some kilobytes that would unpack to 64 MB takes a fraction of that, and changes
    nothing (T24)."""
    zeros = bytes(1 << 26)
    if codec is Codec.COLUMNS_LZMA:
        dictionary = {"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20, "lc": 2, "lp": 0, "pb": 0}
        bomb = lzma.compress(zeros, lzma.FORMAT_RAW, filters=[dictionary])
    else:
        deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
        bomb = deflate.compress(zeros) + deflate.flush()
    del zeros
    files = without(kit, 1_300)
    tracemalloc.start()
    world, center = fake_edge(kit, lambda request: (codec, bytes(32), bomb), files)
    world.run(2_000)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert files == canonical(center)
    assert 3 == len(logged(center, "answer not usable"))
    assert peak_bytes < 1 << 25


@pytest.mark.parametrize("codec", Codec)
def test_authentic_nonsense(kit, codec):
    """Whatever an edge with the right key answers, the node lives on and changes nothing."""
    source = random.Random(codec)
    files = without(kit, 1_300)
    world, center = fake_edge(
        kit, lambda r: (codec, source.randbytes(32), source.randbytes(source.randrange(900))), files
    )
    world.run(8 * 86_400)
    assert files == canonical(center)
    assert 20 < len(logged(center, "answer not usable"))


# --- death, full disks, clocks ---


def test_death_at_every_effect(kit):
    """A center that loses power after any one of its effects, together with what was not durable,
    ends with the edge's day; and where a restart finds the proof noted, the day is the edge's."""
    spoilt = without(kit, 1_263, 1_387)
    spoilt[kit.path(22)] += kit.record(82_790)
    for lives_for in range(100):
        world, edge, center = world_with(kit, day_files(kit), spoilt)
        center.disk.synced.update(dict.fromkeys(spoilt, 100))  # the tails are not durable
        center.lives_for = lives_for
        try:
            world.run(600)
        except kit.Death:
            center.die(random.Random(lives_for))
        else:
            break
        center.lives_for = -1
        if confirmed_days(center.disk, ["daws"], center.now()):
            assert edge.disk.under("riometer/") == canonical(center)
        center.boot()
        world.run(10_000)
        assert proven(kit, edge, center)
    assert 15 < lives_for < 99


def test_a_proof_is_noted_after_the_day_is_durable(kit):
    """No sync, no proof: it is noted when the disk has the day."""
    world, edge, center = world_with(kit, day_files(kit), without(kit, 1_300))
    center.disk.refuses = lambda effect: isinstance(effect, Sync) and "riometer" in effect.paths[0]
    world.run(3_600)
    assert edge.disk.under("riometer/") == canonical(center)
    assert "confirmed" not in notes(kit, center)
    center.disk.refuses = lambda effect: False
    world.run(7_200)
    assert proven(kit, edge, center)


@pytest.mark.parametrize("kind_of", [Append, Replace, Remove, Sync])
def test_a_full_disk_delays_the_repair(kit, kind_of):
    """Whatever the disk refuses, the day is the edge's some time after it takes it again, and no
    record is lost on the way."""
    spoilt = without(kit, 1_300)
    extra = spoilt[kit.path(3)] = kit.record(3 * 3_600)
    world, edge, center = world_with(kit, day_files(kit), spoilt)
    center.disk.refuses = lambda effect: isinstance(effect, kind_of)
    world.run(3_600)
    center.disk.refuses = lambda effect: False
    world.run(30_000)
    assert proven(kit, edge, center)
    assert [extra] == list(center.disk.under("quarantine/", ".bin").values())


def test_a_day_in_which_the_center_was_down(kit):
    """A center that comes up after a day in which nothing arrived asks for that day too (R1-39)."""
    world, edge, center = world_with(kit, day_files(kit), {})
    center.disk.files = {"udp/2006/01/15/206.172.47.234/ut22_25000.dat": b""}
    center.die()
    edge.die()
    world.run(7_200)
    edge.boot()
    world.run(10)
    center.boot()
    world.run(7_200)
    assert proven(kit, edge, center)


@pytest.mark.parametrize("years", [-36, 32])
def test_a_clock_that_was_wrong_for_a_while(kit, years):
    """A center whose clock stands in 1970 or 2038 for a day takes up all days when it is right, and
    does not ask for thousands of days (T4)."""
    world, edge, center = world_with(kit, day_files(kit), without(kit, 1_300), begins_s=50_000)
    center.offset_ns = years * 365 * 86_400 * SECOND_NS
    world.run(10_000)
    center.offset_ns = 0
    world.run(40_000)
    assert proven(kit, edge, center)
    assert len(asked(center)) < 40 * 15


def test_a_late_record_at_the_edge_reopens_the_day(kit):
    """The edge files a record of a proven day and declares the day again: the center takes it up,
    also when it is restarted in between, and proves the new day (T3)."""
    for restart in (False, True):
        world, edge, center = world_with(kit, day_files(kit), day_files(kit))
        world.run(600)
        assert proven(kit, edge, center)
        edge.disk.files[kit.path(22)] += kit.record(82_790)
        world.run_to(kit.DAY_S + 86_400 + 3_675 + 0.31)
        if restart:
            center.boot()
        world.run(100_000)
        assert proven(kit, edge, center)
        assert ["confirmed", "reopened", "confirmed"] == [
            what for what in notes(kit, center) if what != "restored"
        ]


def test_an_old_manifest_changes_nothing(kit):
    """A manifest that was true once, sent again by anybody, costs one exchange at most: the edge's
    present digest is what counts."""
    world, edge, center = world_with(kit, day_files(kit), day_files(kit))
    old = manifest_of(kit.Disk(without(kit, 1_300)), "daws", kit.DAY)
    assert old.hour_digests[21] != hour_digest(day_files(kit)[kit.path(21)])
    world.run(600)
    source = Address(kit.EDGE_ADDRESS, ports.REPAIR)
    replayed = Datagram(ports.MANIFEST, source, pack_manifest(old, kit.KEY))
    for _ in range(5):
        center.tell(ports.MANIFEST, replayed)
        world.run(600)
        assert proven(kit, edge, center)
    assert len(asked(center)) <= 15
