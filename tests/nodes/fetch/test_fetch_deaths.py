"""Death, full disks, wrong clocks and dark neighbours delay an hour and spoil nothing."""

import random

import pytest

from fieldproof_contract import (
    SECOND_NS,
    Address,
    Append,
    Monotonic,
    Now,
    Remove,
    Replace,
    Sync,
)
from fieldproof_reference import ports
from fieldproof_reference.center import CenterSettings, EdgeAtCenter
from fieldproof_reference.center.fetch import Fetch


def test_death_at_every_effect(kit, rig):
    """A center that loses power after any one of its effects ends with the edge's hours; where a
    note says that an hour is proven, it is the edge's at that moment."""
    spoilt = rig.hours(kit, 13, 14, without=(13 * 60 + 9, 14 * 60 + 9))
    spoilt[kit.path(14)] += kit.record(14 * 3_600 + 3_590)
    for lives_for in range(200):
        center, edge = rig.scene(kit, {})
        center.disk.files.update(spoilt)
        center.disk.synced.update(dict.fromkeys(spoilt, 100))  # the tails are not durable
        edge.breaks = [1 << 20, 9_000]
        center.lives_for = lives_for
        try:
            center.run(120)
        except rig.Death:
            center.die(random.Random(lives_for))
        else:
            break
        center.lives_for = -1
        for line in center.notes("hour proven"):
            path = kit.path(line["hour"] % 24)
            assert edge.disk.files[path] == center.canonical()[path]
        center.boot()
        center.run(600)
        assert rig.same(center, edge)
        assert {13, 14, 15} == {hour for hour, _ in center.proven()}
    assert 30 < lives_for < 199


@pytest.mark.parametrize("kind_of", [Append, Replace, Remove, Sync])
def test_a_full_disk_delays_the_hour(kit, rig, kind_of):
    """Whatever the disk refuses, the hours are the edge's some time after it takes it again, no
    record is lost on the way, and each that was restored has its note."""
    spoilt = rig.hours(kit, 13, 14, 15, without=(14 * 60 + 9, 15 * 60 + 9))
    extra = kit.record(14 * 3_600 + 3_590)
    spoilt[kit.path(14)] += extra
    center, edge = rig.scene(kit, spoilt)
    center.disk.refuses = lambda effect: isinstance(effect, kind_of)
    center.run(1_800)
    assert edge.opened < 40
    center.disk.refuses = lambda effect: False
    center.run(9 * 3_600)
    assert rig.same(center, edge)
    assert {13, 14, 15} <= {hour for hour, _ in center.proven()}
    assert {extra} == center.quarantined()
    assert {14, 15} == {(line["before_s"] - 1) // 3_600 for line in center.notes("restored")}


@pytest.mark.parametrize("years", [-36, 32])
def test_a_clock_that_was_wrong_for_a_while(kit, rig, years):
    """A center whose clock stands in 1970 or 2038 for hours takes everything up when it is right,
    and does not ask for thousands of hours (T4)."""
    center, edge = rig.scene(kit, rig.hours(kit, 13, 14))
    edge.up = False
    center.run(10)
    center.offset_ns = years * 365 * 86_400 * SECOND_NS
    center.run(10_000)
    edge.up, center.offset_ns = True, 0
    center.run(2 * 3_600 + 10)
    assert {13, 14, 15} <= {hour for hour, _ in center.proven()}
    assert len(edge.asked) < 40


def test_one_dark_site_hinders_no_other(kit, rig):
    """Each site is visited by itself; one of another method is not visited at all."""
    known = (b"key", Address(rig.ADDRESS, ports.REPAIR))
    served = EdgeAtCenter(*known, "http-range", Address(rig.ADDRESS, ports.ARCHIVE))
    sites = {"gill": EdgeAtCenter(*known, "repair"), "daws": served, "arvi": served}
    edge = rig.Edge(kit, rig.edge_files(kit))
    edge.dark = {"arvi"}
    files = {**rig.hours(kit, 14, 15), kit.path(16): kit.record(57_605)}
    center = rig.Center(kit, files, edge, settings=CenterSettings(sites))
    center.run(60)
    assert rig.same(center, edge)
    assert {"daws"} == {line.split()[2] for line in edge.asked}
    edge.dark = set()
    center.run(3 * 3_600)
    assert {"daws", "arvi"} == {line.split()[2] for line in edge.asked}


def test_without_such_sites_the_node_wants_nothing(kit, rig):
    """A center whose sites are all repaired otherwise never wakes this node."""
    known = {"daws": EdgeAtCenter(b"key", Address(rig.ADDRESS, ports.REPAIR))}
    node = Fetch(CenterSettings(known))
    assert () == node.start(kit.Disk(rig.ARRIVALS), Now(Monotonic(0), kit.DAY_S * SECOND_NS))
    assert None is node.deadline()
