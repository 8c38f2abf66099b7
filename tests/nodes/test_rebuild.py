"""The archive made once more from the raw tree: the same bytes, and every difference has a name."""

import json
from hashlib import sha256
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldproof_contract import Address, Append, Datagram, Effect, Log, Publish, Sync
from fieldproof_reference import ports
from fieldproof_reference.center import ARRIVED, CONFIRMED, PROMOTED, rebuild
from fieldproof_reference.center.rebuild import Found
from fieldproof_reference.center.receive import Receive
from fieldproof_reference.center.validate import Validate
from fieldproof_reference.formats import xrio
from fieldproof_reference.protocols.repair import day_digest

SOURCE = Address("206.172.47.234", 32_769)
NOTES = "provenance/2006/01/17/daws.jsonl"
NOW_S = 1_137_542_400


def center_with(kit, files=None, begins_s=43_200.0):
    world = kit.World(kit.DAY_S + begins_s)
    parts = (
        (lambda: Receive(kit.CENTER), {ports.TELEMETRY}),
        (lambda: Validate(kit.CENTER), {ARRIVED, PROMOTED, CONFIRMED}),
    )
    return world, world.host(kit.CENTER_ADDRESS, kit.Disk(files), *parts)


def arrive(host, *datagrams, source=SOURCE):
    for data in datagrams:
        host.tell(ports.TELEMETRY, Datagram(ports.TELEMETRY, source, data))


def rebuilt(kit, archive):
    """A fresh disk with what the raw tree of another gives."""
    fresh = kit.Disk()
    perform(fresh, chain(rebuild.refiled(archive, fresh, ["daws"]), rebuild.derived(fresh)))
    return fresh


def perform(disk, several):
    for effects in several:
        for effect in effects:
            assert isinstance(effect, Effect)
            if not isinstance(effect, Log | Publish | Sync):
                disk.perform(effect)


def made(disk):
    """All that a rebuild makes; of the quarantine its bytes, for notes have the order of looks."""
    return disk.under("riometer/") | disk.under("flags/") | disk.under("quarantine/", ".bin")


def filed_by_live(kit, *records):
    """A center's disk after these were received and filed."""
    world, host = center_with(kit)
    arrive(host, *records)
    world.run(11)
    return host.disk


def found(kit, disk):
    """What is said of each hour, by hour."""
    hours = rebuild.compared(disk, rebuilt(kit, disk))
    return {int(hour.path[-16:-14]): hour for hour in hours}


def hurt(record, at):
    data = bytearray(record)
    data[at % len(data)] ^= 0x10
    return bytes(data)


kinds = st.lists(
    st.tuples(st.integers(-200, 200), st.sampled_from(["good", "good", "hurt", "junk", "odd"])),
    min_size=1,
    max_size=40,
)


@settings(max_examples=60)
@given(kinds, st.data())
def test_a_rebuild_gives_the_bytes_of_live_filing(kit, several, data):
    """After any order, repetition, damage and restarts: the canonical tree, the flags and the
    quarantined bytes of a rebuild are those that live filing left (I6, I7)."""
    world, host = center_with(kit)
    for number, (minute, kind) in enumerate(several):
        record = kit.record(43_200 + 60 * minute, salt=number % 3)
        match kind:
            case "hurt":
                record = hurt(record, 7 * number)
            case "junk":
                record = record[: number * 9]
            case "odd":
                record = record[:10] + b"ab" + record[12:]
        source = data.draw(st.sampled_from([SOURCE, Address("10.0.0.1", 5)]))
        arrive(host, *[record] * data.draw(st.integers(1, 2)), source=source)
        world.run(data.draw(st.sampled_from([0, 0, 5, 60, 2_000])))
        if data.draw(st.integers(0, 9)) == 0:
            host.boot()
    world.run(11)
    assert made(host.disk) == made(rebuilt(kit, host.disk))


def test_hours_that_are_the_same_are_equal(kit):
    """Where nothing was reconciled every hour file is equal."""
    disk = filed_by_live(kit, kit.record(39_000), kit.record(43_000))
    assert {10: Found.EQUAL, 11: Found.EQUAL} == {
        hour: seen.found for hour, seen in found(kit, disk).items()
    }


def proof_of(disk):
    names = [(path.rpartition("/")[2], data) for path, data in disk.under("riometer/").items()]
    return {"what": "confirmed", "digest": day_digest(names).hex()}


def noted(disk, *notes):
    disk.files[NOTES] = b"".join(json.dumps(note).encode() + b"\n" for note in notes)


def stretch(after_s, before_s):
    return {"what": "restored", "after_s": after_s, "before_s": before_s, "items": 1, "bytes": 380}


@pytest.mark.parametrize("by", ["day", "hour"])
def test_what_a_digest_proves_stays(kit, by):
    """An hour with a record that never arrived is the edge's where the noted digest is its own, and
    a rebuild says which record the raw tree does not give."""
    disk = filed_by_live(kit, kit.record(43_000))
    disk.files[kit.path(11)] += kit.record(43_060)
    digest = sha256(disk.files[kit.path(11)]).hexdigest()
    hour = {"what": "hour proven", "hour": kit.DAY * 24 + 11, "sha256": digest}
    noted(disk, proof_of(disk) if by == "day" else hour)
    seen = found(kit, disk)[11]
    assert (Found.PROVEN, (kit.record(43_060),), ()) == (seen.found, seen.more, seen.less)


def test_what_notes_explain_stays(kit):
    """Without a proof, a record inside of a restored stretch and one that was quarantined are on
    record; a record outside of any stretch is not."""
    live, restored, stranger = kit.record(43_000), kit.record(43_060), kit.record(43_120)
    disk = filed_by_live(kit, live, kit.record(42_000))
    disk.files[kit.path(11)] = live + restored
    noted(disk, stretch(43_000, 43_100))
    digest = sha256(kit.record(42_000)).hexdigest()
    disk.files["quarantine/2006/01/18/provenance.jsonl"] = b'{"sha256": "%s"}\n' % digest.encode()
    assert Found.RECONCILED is found(kit, disk)[11].found
    disk.files[kit.path(11)] += stranger
    assert Found.AT_ODDS is found(kit, disk)[11].found


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: hurt(data, 500),
        lambda data: data[:-100],
        lambda data: data[380:],
        lambda data: data[380:] + data[:380],
        lambda data: None,
    ],
)
def test_rot_is_at_odds_and_is_put_right(kit, damage):
    """An hour file that was damaged, cut, reordered or lost is at odds; after a promotion it is the
    raw tree's again, the flags fit, and what it held besides is in quarantine (I3)."""
    disk = filed_by_live(kit, *(kit.record(second) for second in (39_000, 42_940, 43_000)))
    whole = dict(made(disk))
    before = damage(disk.files[kit.path(11)])
    if before is None:
        del disk.files[kit.path(11)]
    else:
        disk.files[kit.path(11)] = before
    promote(kit, disk)
    kept = disk.under("quarantine/", ".bin")
    assert whole == {path: data for path, data in made(disk).items() if path not in kept}
    there = set(whole.values()) | set(kept.values())
    for span in xrio.walk(before or b""):
        item = (before or b"")[span.offset : span.offset + span.size]
        assert any(item in data for data in there)
    assert {Found.EQUAL} == {seen.found for seen in found(kit, disk).values()}


def promote(kit, disk):
    fresh = rebuilt(kit, disk)
    hours = list(rebuild.compared(disk, fresh))
    assert Found.AT_ODDS in {hour.found for hour in hours}
    perform(disk, (rebuild.promotion(disk, fresh, hour, NOW_S) for hour in hours))
    perform(disk, rebuild.derived(disk))


def test_a_promotion_keeps_what_was_restored(kit):
    """Where rot and a restored record are in one file, the record stays, the rot does not, and the
    proof that does not hold any more is taken back."""
    live, restored = kit.record(43_000), kit.record(43_060)
    disk = filed_by_live(kit, live)
    disk.files[kit.path(11)] = live + restored
    noted(disk, stretch(43_000, 43_100), proof_of(disk))
    disk.files[kit.path(11)] = hurt(live, 300) + restored
    promote(kit, disk)
    assert live + restored == disk.files[kit.path(11)]
    assert "reopened" == json.loads(disk.files[NOTES].splitlines()[-1])["what"]
    assert [hurt(live, 300)] == list(disk.under("quarantine/", ".bin").values())
    assert Found.RECONCILED is found(kit, disk)[11].found


def test_nothing_is_promoted_that_is_on_record(kit):
    """A promotion of an hour that is equal or explained asks for nothing."""
    disk = filed_by_live(kit, kit.record(43_000))
    fresh = rebuilt(kit, disk)
    (hour,) = rebuild.compared(disk, fresh)
    assert () == rebuild.promotion(disk, fresh, hour, NOW_S)


def test_flags_that_do_not_fit_are_made_again(kit):
    """Stale flags, and those of a day that has none, give way to those of the hour files."""
    disk = filed_by_live(kit, kit.record(43_000))
    for day in (17, 18):
        stale = b'{"hour": 3, "flags": ["npoints"]}\n'
        disk.perform(Append(f"flags/2006/01/{day}/daws.jsonl", stale))
    perform(disk, rebuild.derived(disk))
    assert {} == disk.under("flags/")


def test_rot_in_notes_stops_nobody(kit):
    """Lines of notes that cannot be read any more prove and explain nothing."""
    disk = filed_by_live(kit, kit.record(43_000))
    disk.files[kit.path(11)] += kit.record(43_060)
    disk.files[NOTES] = b'{"what": "confir\n[1]\n\xff\xfe\nnull\n{"hour": 7}\n{"what": "restored"'
    assert Found.AT_ODDS is found(kit, disk)[11].found


def test_raw_bytes_that_are_gone_are_named(kit):
    """An index line whose bytes are not there is named, and the others are filed."""
    disk = filed_by_live(kit, kit.record(42_940), kit.record(43_000))
    (dat,) = disk.under("udp/", ".dat")
    disk.files[dat] = disk.files[dat][:-1]
    fresh = kit.Disk()
    said = [effect for effects in rebuild.refiled(disk, fresh, ["daws"]) for effect in effects]
    assert [("raw bytes missing", {"path": dat, "offset": 380, "bytes": 380})] == [
        (effect.what, effect.detail) for effect in said if isinstance(effect, Log)
    ]
    assert [Append(kit.path(11), kit.record(42_940))] == [
        effect for effect in said if isinstance(effect, Append)
    ]


def test_a_record_with_the_magic_inside_is_refused(kit):
    """A forged record that would be torn apart in a file is kept in quarantine, and the tree of a
    rebuild is that of the live center."""
    forged = kit.record(43_000)[:-9] + b"XRIOdaws0"
    disk = filed_by_live(kit, kit.record(42_940), forged, kit.record(43_060))
    assert kit.record(42_940) + kit.record(43_060) == disk.files[kit.path(11)]
    assert [forged] == list(disk.under("quarantine/", ".bin").values())
    assert made(disk) == made(rebuilt(kit, disk))
