"""When an hour is fetched, and what becomes of one that is not over or not there."""


def test_an_hour_that_still_grows_proves_nothing(kit, rig):
    """With an edge whose clock is behind, an hour waits until a later record has come."""
    lost = tuple(range(15 * 60 + 50, 16 * 60))
    files = rig.hours(kit, 13, 14, 15, without=lost)
    edge = rig.Edge(kit, files)
    center = rig.Center(kit, dict(files), edge)
    center.run(600)
    assert [13, 14] == [hour for hour, _ in center.proven()]
    edge.disk.files.update(rig.edge_files(kit))
    center.disk.files[kit.path(16)] = kit.record(57_605)
    center.run(60)
    assert [13, 14, 15] == [hour for hour, _ in center.proven()]
    assert rig.same(center, edge)


def test_an_edge_that_sends_nothing_is_asked_in_the_end(kit, rig):
    """Where no later record ever comes, two hours are enough."""
    edge = rig.Edge(kit, rig.hours(kit, 13, 14, 15, without=range(15 * 60 + 50, 16 * 60)))
    center = rig.Center(kit, {}, edge)
    center.run(1_800)
    assert 15 not in [hour for hour, _ in center.proven()]
    center.run(2 * 3_600)
    assert rig.same(center, edge)


def test_an_hour_that_the_edge_has_not_stays_unconfirmed(kit, rig):
    """The center keeps its records, says so, notes it once, and goes on asking; when the edge has
    the hour after all, it is fetched (T11)."""
    files = rig.edge_files(kit)
    gone = files.pop(kit.path(14))
    center, edge = rig.scene(kit, rig.hours(kit, 13, 14, 15, without=(14 * 60 + 7,)), files)
    center.run(20 * 3_600)
    assert 59 * 380 == len(center.canonical()[kit.path(14)])
    assert 1 == len(center.notes("unconfirmed"))
    assert {(22_420, "2006-01-17 14")} == {
        (line["bytes"], line["hour"]) for line in center.said("unconfirmed")
    }
    assert 3 <= len([line for line in edge.asked if "14 daws" in line]) <= 5
    assert 14 not in [hour for hour, _ in center.proven()]
    edge.disk.files[kit.path(14)] = gone
    center.run(7 * 3_600)
    assert gone == center.canonical()[kit.path(14)]


def test_an_hour_that_nobody_has_is_asked_for_twice(kit, rig):
    """Where neither side has the hour, the edge is believed the second time; a restart knows it."""
    files = rig.edge_files(kit)
    del files[kit.path(14)]
    center, edge = rig.scene(kit, rig.hours(kit, 13, 15), files)
    center.run(7 * 3_600)
    asked = [line for line in edge.asked if "14 daws" in line]
    assert (2, (14, "no file")) == (len(asked), center.proven()[-1])
    center.boot()
    center.run(3_600)
    assert asked == [line for line in edge.asked if "14 daws" in line]
