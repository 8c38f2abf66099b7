"""Traps of hurt bytes: on the way, on the edge's disk, and while a file is being repaired."""

import json
import random

from fieldproof_contract import Topic
from fieldproof_reference import ports
from fieldproof_reference.center import PROMOTED, Promoted, SiteDay
from fieldproof_reference.center.offers import offered
from fieldproof_reference.formats import xrio

FLAGS = "flags/2006/01/17/daws.jsonl"


def flipped(data, bit):
    return data[: bit // 8] + bytes((data[bit // 8] ^ 1 << bit % 8,)) + data[bit // 8 + 1 :]


def minutes(kit, first, last):
    """When each record of an evening is filed, and the record."""
    for minute in range(first, last):
        yield kit.DAY_S + 60 * minute + 65, kit.record(60 * minute + 5)


def test_t7_a_torn_record_with_more_behind_it(kit, stage):
    """What an edge's crash tore, and went on behind, is mirrored byte for byte; the span is flagged
    with its place, and the records behind it are found."""
    torn = kit.record(86_100) + kit.record(86_160)[:123] + kit.record(86_220)
    world, edge, host = stage.evening([])
    edge.disk.files[kit.path(23)] = torn
    world.run_to(kit.DAY_S + 86_400 + 900)
    assert {kit.path(23): torn} == stage.canonical(host)
    (line,) = stage.flags(host)
    assert (23, 380, 123, ["corrupt"], "total length") == (
        line["hour"],
        line["offset"],
        line["bytes"],
        line["flags"],
        line["why"],
    )
    day_s = kit.DAY_S
    assert (day_s + 86_100, day_s + 86_220) == (line["after_s"], line["before_s"])


def test_t8_every_flipped_bit_is_found_when_the_day_is_proven(kit, stage):
    """One random bit flips in each of 1440 datagrams, and every checksum is right: the five checks
    notice 2.4 in 100, the edge's digest all; each hurt copy is in quarantine, and the day is the
    edge's."""
    source, hurt = random.Random(8), []

    def carry(port, data):
        if port == ports.TELEMETRY:
            data = flipped(data, source.randrange(8 * len(data)))
            hurt.append(data)
        return [(kit.DELAY_NS, data)]

    records = list(minutes(kit, 0, 1_440))
    world, _, host = stage.evening(records, carry, begins_s=0)
    world.run_to(kit.DAY_S + 2 * 86_400 + 3_600)
    assert 1_440 == len(hurt)
    assert kit.filed([record for _, record in records]) == stage.canonical(host)
    kept_out = {data for _, data in stage.quarantined(host)}
    assert [] == [data for data in hurt if data not in kept_out]
    by_the_checks = sum(xrio.invalid(data) is not None for data in hurt)
    assert 1.4 <= 100 * by_the_checks / len(hurt) <= 3.4


def test_t8_swapped_words_pass_all_checks_but_the_digest(kit, stage):
    """Two samples that change places keep the checksum of UDP and raise no flag; the repair brings
    the edge's record, and the received one is kept aside."""
    record = kit.record(86_100)
    swapped = record[:20] + record[26:32] + record[20:26] + record[32:]
    world, edge, host = stage.evening([])
    edge.disk.files[kit.path(23)] = record
    stage.arrive(host, swapped)
    world.run(11)
    assert ({kit.path(23): swapped}, []) == (stage.canonical(host), stage.flags(host))
    world.run_to(kit.DAY_S + 86_400 + 900)
    assert {kit.path(23): record} == stage.canonical(host)
    assert {("not at the edge", swapped): 1} == stage.quarantined(host)


def test_t13_rot_at_the_edge_is_mirrored_flagged_and_not_used(kit, stage):
    """A broken magic and a wild sample on the edge's disk: the archive is the edge's, the flags say
    where and which check, and products are offered the two copies that came before, marked."""
    records = list(minutes(kit, 1_380, 1_440))
    world, edge, host = stage.evening(records)
    world.run_to(kit.DAY_S + 86_400 + 70)
    data = edge.disk.files[kit.path(23)]
    rotten = flipped(flipped(data, 8 * 380 * 10 + 2), 8 * (380 * 30 + 20 + 1) + 5)
    edge.disk.files[kit.path(23)] = rotten
    world.run_to(kit.DAY_S + 86_400 + 900)
    assert {kit.path(23): rotten} == stage.canonical(host)
    said = [(line["offset"], line["flags"][0], line["why"]) for line in stage.flags(host)]
    assert (380 * 10, "corrupt", "stream id") == said[0]
    assert (380 * 30, "code above 4095") == said[1][:2]
    good = [records[10][1], records[30][1]]
    offers = list(offered(host.disk, SiteDay("daws", kit.DAY)))
    assert good == [offer.record for offer in offers]
    assert all(offer.record in host.disk.files[offer.index_path[:-3] + "dat"] for offer in offers)
    logged = [log.detail for log in host.logs if log.what == "corrupt at the edge"]
    assert [{"path": kit.path(23), "offset": 3_800, "bytes": 380}] == logged


def test_t13_a_sound_day_offers_nothing(kit, stage):
    """Where nothing is flagged, and where the copy that came is hurt itself, there is no offer."""
    world, host = stage.center()
    odd = stage.changed(kit.record(43_100), 24, b"\x3e\0")
    stage.arrive(host, kit.record(43_040), odd)
    world.run(11)
    assert [] == list(offered(host.disk, SiteDay("daws", kit.DAY)))
    assert [] == list(offered(host.disk, SiteDay("daws", kit.DAY - 1)))


def test_t25_a_file_that_is_repaired_while_it_is_validated(kit, stage):
    """A promotion between two looks: what came before it and after it is filed into the file as it
    is now, and the flags are those of its bytes."""
    world, host = stage.center()
    dead = kit.record(42_060)[:20] + 60 * bytes.fromhex("0008 0100 3c00")
    stage.arrive(host, kit.record(42_000), dead)
    world.run(11)
    stage.arrive(host, kit.record(42_180))  # not looked at yet
    odd = stage.changed(kit.record(42_120), 10, b"xy")
    repaired = kit.record(42_000) + kit.record(42_060) + odd
    host.disk.files[kit.path(11)] = repaired
    host.tell(PROMOTED, Topic(PROMOTED, Promoted((kit.path(11),))))
    assert [(760, ["spares in use"])] == flagged(host)
    world.run(11)
    assert {kit.path(11): repaired + kit.record(42_180)} == stage.canonical(host)
    stage.arrive(host, stage.changed(kit.record(42_240), 9, b"1"))
    world.run(11)
    assert [(760, ["spares in use"]), (1_520, ["sample rate as text"])] == flagged(host)


def flagged(host):
    lines = map(json.loads, host.disk.files[FLAGS].splitlines())
    return [(line["offset"], line["flags"]) for line in lines]
