"""A proof stands, over restarts too, until the edge may have changed."""

import pytest


def late_record(kit):
    return kit.record(14 * 3_600 + 1_205)


def test_a_record_that_the_edge_files_late(kit, rig):
    """A record that comes for a proven hour is quarantined, the edge is asked again, and the record
    comes with its answer (T3)."""
    lost = (14 * 60 + 20,)
    both = rig.edge_files(kit, without=lost)
    center, edge = rig.scene(kit, rig.hours(kit, 13, 14, 15, without=lost), both)
    center.run(60)
    edge.disk.files.update(rig.hours(kit, 14))
    center.hear(late_record(kit))
    center.run(30)
    assert {late_record(kit)} == center.quarantined()
    assert not rig.same(center, edge)
    center.run(700)
    assert rig.same(center, edge)
    assert ["hour proven", "hour reopened", "restored", "hour proven"] == [
        line["what"] for line in center.notes() if line.get("hour", 14 + 24 * kit.DAY) % 24 == 14
    ]


def test_a_record_that_the_edge_never_made(kit, rig):
    """A forged record for a proven hour is not in it after the edge was asked again, and is kept in
    quarantine; a hundred of them cost no more than one (T17)."""
    center, edge = rig.scene(kit, rig.hours(kit, 13, 14, 15))
    center.run(60)
    asked = len(edge.asked)
    for salt in range(1, 100):
        center.hear(kit.record(14 * 3_600 + 1_205, salt=salt))
        center.run(3)
    center.run(1_200)
    assert rig.same(center, edge)
    assert 99 == len(center.quarantined())
    assert 2 >= len(edge.asked) - asked


@pytest.mark.parametrize("late", [False, True])
def test_a_restart_knows_what_is_proven(kit, rig, late):
    """After a restart proven hours are not asked for, and nobody adds to them; where a doubt came
    before the restart, the hour is asked for again."""
    center, edge = rig.scene(kit, rig.hours(kit, 13, 14, 15))
    center.run(60)
    asked = len(edge.asked)
    forged = kit.record(14 * 3_600 + 1_205, salt=5)
    if late:
        center.hear(forged)
        center.run(30)
    center.boot()
    if not late:
        center.hear(forged)
    center.run(30)
    assert rig.same(center, edge)
    assert asked + late == len(edge.asked)
    assert {forged} == center.quarantined()


def test_a_day_is_confirmed_when_its_hours_are(kit, rig):
    """The last hour's proof confirms the day; a doubt about one hour reopens it, and the next proof
    confirms it again."""
    edge = rig.Edge(kit, rig.hours(kit, *range(24)))
    center = rig.Center(kit, rig.hours(kit, *range(23)), edge, begins_s=86_400 + 100)
    center.disk.files[f"udp/2006/01/17/{rig.ADDRESS}/ut00_24985.idx"] = b""
    center.boot()
    center.run(3 * 3_600)
    assert 24 == len(center.proven())
    (confirmed,) = center.notes("confirmed")
    assert {"site": "daws", "day": "2006-01-17"} in center.said("confirmed")
    center.hear(kit.record(14 * 3_600 + 1_205, salt=5))
    center.run(1_000)
    assert rig.same(center, edge)
    whats = [line["what"] for line in center.notes()][-4:]
    assert ["hour reopened", "reopened", "hour proven", "confirmed"] == whats
    assert confirmed["digest"] == center.notes("confirmed")[-1]["digest"]


def test_hours_close_one_after_the_other(kit, rig):
    """An hour is fetched ninety seconds after its end, once."""
    edge = rig.Edge(kit, rig.hours(kit, *range(13, 20)))
    center = rig.Center(kit, rig.hours(kit, 13, 14, 15, 16), edge, begins_s=17 * 3_600 + 80)
    center.run(9)
    assert ["13", "14", "15"] == [line.split()[1] for line in edge.asked]
    center.run(3)
    assert "16" == edge.asked[-1].split()[1]
    center.disk.files.update(rig.hours(kit, 17, 18, without=(17 * 60 + 3,)))
    center.run(3_600)
    assert "GET 17 daws 1140-1519" == edge.asked[-1]
    assert 5 == len(edge.asked)
