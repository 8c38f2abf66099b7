"""Random histories of an evening: whatever the link and the hosts did, the invariants hold.

From 22:00 on the edge files a record a minute. Until midnight the link loses, doubles, delays and
damages datagrams, and hosts die; the repair suffers until three in the morning, and then a quiet
day follows. What must hold is said in the names of the checks.
"""

import json
import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from fieldproof_contract import SECOND_NS, Topic
from fieldproof_reference import ports
from fieldproof_reference.edge import FILED, RECORD
from fieldproof_reference.formats import idx, trees, xrio

BEGINS_MINUTE, LAST_MINUTE = 22 * 60, 24 * 60
SETTLING_S = 27 * 3_600
REPAIR_S = 177
"""After midnight, when the edge's word on the day comes, and with it the repair."""

percents = st.sampled_from([0, 0, 3, 20, 60])


def deaths(from_s, until_s, most_effects):
    """Hosts that die a few effects after a second of the day: when disks are busy, that is."""
    return st.lists(
        st.tuples(
            st.sampled_from(["edge", "center"]),
            st.booleans(),  # a power cut, not a kill
            st.integers(from_s, until_s),
            st.integers(0, most_effects),
            st.integers(0, 600),  # downtime
        ),
        max_size=4,
    )


early_deaths = deaths(22 * 3_600, 24 * 3_600 - 1_000, 12)
late_deaths = deaths(24 * 3_600 + 177, 24 * 3_600 + 3_000, 30)


class Evening:
    """One history."""

    def __init__(self, kit, seed, loss, doubling, disorder, damage):
        self.kit, self.source = kit, random.Random(seed)
        self.percents = (loss, doubling, disorder, damage)
        self.world = kit.World(kit.DAY_S + 60 * BEGINS_MINUTE)
        self.world.carry = self.carry
        self.edge = self.world.host(kit.EDGE_ADDRESS, kit.Disk(), *kit.edge_parts())
        self.center = self.world.host(kit.CENTER_ADDRESS, kit.Disk(), *kit.center_parts())
        for minute in range(BEGINS_MINUTE, LAST_MINUTE):
            record = kit.record(60 * minute + 5)
            self.world.at_utc(kit.DAY_S + 60 * minute + 65, lambda r=record: self.measure(r))
        self.raw_before = self.canonical_before = {}
        self.world.at_utc(kit.DAY_S + 86_400 - 610, self.spare)
        self.world.at_utc(kit.DAY_S + 86_400 + 176, self.remember)

    def measure(self, record):
        self.edge.tell(RECORD, Topic(RECORD, record))

    def carry(self, port, data):
        """The fate of a datagram: lost, doubled, delayed or damaged, until it is quiet."""
        hours = (self.world.utc_ns() // SECOND_NS - self.kit.DAY_S) / 3_600
        if port == ports.MANIFEST and hours < 24 + REPAIR_S / 3_600:  # all of the day has come then
            until_s = self.kit.DAY_S + 86_400 + REPAIR_S
            return [(until_s * SECOND_NS - self.world.utc_ns(), data)]
        if hours > 27 or (port != ports.TELEMETRY and hours < 24):
            return [(self.kit.DELAY_NS, data)]
        loss, doubling, disorder, damage = (100 * self.source.random() < p for p in self.percents)
        if loss:
            return []
        if damage and data:
            at = self.source.randrange(len(data))
            # Not the time: a record of another day would stay there until that day is proven.
            at = 4 if 12 <= at < 16 and port == ports.TELEMETRY else at
            data = data[:at] + bytes((data[at] ^ 1 << self.source.randrange(8),)) + data[at + 1 :]
        delays = [self.kit.DELAY_NS + disorder * self.source.randrange(100 * SECOND_NS)]
        delays += [self.source.randrange(5 * SECOND_NS)] * doubling
        return [(delay_ns, data) for delay_ns in delays]

    def kill(self, name, power_cut, at_s, lives_for, down_s):
        host = getattr(self, name)

        def die():
            host.die(self.source if power_cut else None)
            host.lives_for = -1
            self.world.at(down_s * SECOND_NS, host.boot)

        def doom():
            if host.nodes:
                host.lives_for, host.at_death = lives_for, die

        self.world.at_utc(self.kit.DAY_S + at_s, doom)

    def spare(self):
        """Who is still to die early lives on, so that both are up at midnight."""
        self.edge.lives_for = self.center.lives_for = -1

    def remember(self):
        self.raw_before = self.center.disk.under("udp/")
        self.canonical_before = self.day(self.center)

    def live(self):
        self.world.run_to(self.kit.DAY_S + SETTLING_S + 15 * 3_600)

    def day(self, host):
        folder = trees.day_folder("daws", self.kit.DAY_S)
        return host.disk.under(folder, ".dat")


def records(files):
    return [
        data[span.offset : span.offset + span.size]
        for path, data in sorted(files.items())
        for span in xrio.walk(data)
    ]


def received(disk):
    """Every datagram of the raw tree, by its index."""
    for path, lines in disk.under("udp/", f"_{ports.TELEMETRY}.idx").items():
        data = disk.files[path[:-3] + "dat"]
        for line in lines.splitlines():
            entry = idx.parse(line)
            yield data[entry.offset : entry.offset + entry.size]


def check_that_the_edge_keeps_what_it_told_of(evening):
    told = [effect.message for effect in evening.edge.published if effect.topic == FILED]
    for path, offset, size in told:
        assert xrio.invalid(evening.edge.disk.read(path, offset, size)) is None
    kept = records(evening.edge.disk.under("riometer/", ".dat"))
    assert len(told) <= len(kept) == len(set(kept))
    assert kept == sorted(kept, key=xrio.timestamp_s)


def check_that_the_day_is_the_edges(evening):
    assert evening.day(evening.edge) == evening.day(evening.center)
    notes = evening.center.disk.files["provenance/2006/01/17/daws.jsonl"].splitlines()
    assert "confirmed" == json.loads(notes[-1])["what"]


def check_that_raw_files_only_grew(evening):
    """What a sync promised is there to the end, and so is all that was there before the repair."""
    files = evening.center.disk.files
    for path, data in (*evening.center.durable, *evening.raw_before.items()):
        assert files[path].startswith(data)


def check_that_nothing_received_is_gone(evening):
    """received = filed + duplicate + quarantined, and what was displaced is in quarantine."""
    disk = evening.center.disk
    there = Counter(records(disk.under("riometer/", ".dat")))
    kept_out = set(disk.under("quarantine/", ".bin").values())
    for data in received(disk):
        assert data in there or data in kept_out
    before = records(evening.canonical_before)
    assert [] == [record for record in before if record not in there and record not in kept_out]


def check_that_the_raw_tree_replays(evening):
    """An empty center makes of the raw tree what the live one made of it before the repair."""
    kit = evening.kit
    world = kit.World(kit.DAY_S + 86_400 + 150)
    world.carry = lambda port, data: []
    center = world.host(kit.CENTER_ADDRESS, kit.Disk(evening.raw_before), *kit.center_parts()[:2])
    world.run(15)
    assert evening.canonical_before == evening.day(center)


@settings(max_examples=60)
@given(st.integers(0, 2**32), percents, percents, percents, percents, early_deaths, late_deaths)
def test_invariants_hold_after_any_history(
    kit, seed, loss, doubling, disorder, damage, early, late
):
    """After an evening of faults and a quiet day the center's day is the edge's, raw files only
    grew, nothing that was received is gone, and the raw tree replays (I1, I2, I3, I5, I7)."""
    evening = Evening(kit, seed, loss, doubling, disorder, damage)
    for death in (*early, *late):
        evening.kill(*death)
    evening.live()
    check_that_the_edge_keeps_what_it_told_of(evening)
    check_that_the_day_is_the_edges(evening)
    check_that_raw_files_only_grew(evening)
    check_that_nothing_received_is_gone(evening)
    check_that_the_raw_tree_replays(evening)
