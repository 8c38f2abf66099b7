"""What the center lacks of a closed hour is asked for and no more, whatever the server can do."""

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fieldproof_reference.center import PROMOTED

SERVERS = (
    "ours",
    "without digest",
    "without strong tag",
    "without ranges",
    "without HEAD",
    "with nothing",
)


def test_a_center_that_has_everything_asks_for_digests(kit, rig):
    """Three whole hours cost three HEADs on one connection, and are proven by their digests."""
    center, edge = rig.scene(kit, rig.hours(kit, 13, 14, 15))
    center.run(60)
    asked = [f"HEAD {hour} daws" for hour in (13, 14, 15)]
    assert (asked, 1) == (edge.asked, edge.opened)
    assert [(hour, "digest") for hour in (13, 14, 15)] == center.proven()
    assert [] == center.said("repaired")
    assert {} == center.disk.under("staging/")
    assert {} == center.streams


def test_gaps_are_ranges_of_one_request(kit, rig):
    """Gaps of an hour are asked for at once, put in, noted with where they lie, and told of."""
    lost = (14 * 60, 14 * 60 + 1, 14 * 60 + 23, 14 * 60 + 59)
    center, edge = rig.scene(kit, rig.hours(kit, 13, 14, 15, without=lost))
    center.run(60)
    assert rig.same(center, edge)
    assert "GET 14 daws 0-759,8740-9119,22420-22799" == edge.asked[1]
    assert (3, [(13, "digest"), (14, "digest"), (15, "digest")]) == (
        len(edge.asked),
        center.proven(),
    )
    begins = 14 * 3_600
    assert [
        (begins - 1, begins + 125, 2, 760),
        (begins + 1_325, begins + 1_445, 1, 380),
        (begins + 3_485, begins + 3_600, 1, 380),
    ] == [
        (line["after_s"], line["before_s"], line["items"], line["bytes"])
        for line in center.notes("restored")
    ]
    facts = {"site": "daws", "day": "2006-01-17", "items": 4, "bytes": 1_520}
    assert [{**facts, "method": "http-range"}] == center.said("repaired")
    promoted = [each.message.paths for each in center.published if each.topic == PROMOTED]
    assert [(kit.path(14),)] == promoted
    assert {} == center.disk.under("staging/")


def test_an_hour_that_is_not_there_comes_whole(kit, rig):
    """A center without the hour gets all of it, noted as one stretch."""
    center, edge = rig.scene(kit, rig.hours(kit, 13, 15))
    center.run(60)
    assert rig.same(center, edge)
    assert "GET 14 daws" == edge.asked[1]
    (line,) = center.notes("restored")
    assert (14 * 3_600 - 1, 15 * 3_600, 60) == (line["after_s"], line["before_s"], line["items"])


def test_gaps_that_are_the_edges_own_cost_one_request(kit, rig):
    """Where the edge was down as well, the digest of the answer says that nothing is missing."""
    lost = tuple(range(14 * 60 + 10, 14 * 60 + 15))
    center, edge = rig.scene(
        kit, rig.hours(kit, 13, 14, 15, without=lost), rig.edge_files(kit, without=lost)
    )
    center.run(60)
    assert rig.same(center, edge)
    assert ["GET 14 daws 3800-5699"] == [line for line in edge.asked if "14 daws" in line]
    assert [] == center.notes("restored")


def test_a_short_hour_at_the_edge_is_found_by_its_length(kit, rig):
    """Where the center's file ends early and so does the edge's, the refused range leads to the
    digest."""
    lost = tuple(range(14 * 60 + 50, 15 * 60))
    center, edge = rig.scene(
        kit, rig.hours(kit, 13, 14, 15, without=lost), rig.edge_files(kit, without=lost)
    )
    center.run(60)
    assert rig.same(center, edge)
    asked = [line for line in edge.asked if "14 daws" in line]
    assert ["GET 14 daws 19000-22799", "HEAD 14 daws"] == asked


def test_a_flipped_bit_is_found_by_the_digest(kit, rig):
    """A file of the right length with a wrong bit is fetched whole; the bad record is kept in
    quarantine (T8)."""
    files = rig.hours(kit, 13, 14, 15)
    bad = files[kit.path(14)][:-1] + b"\x55"
    files[kit.path(14)] = bad
    center, edge = rig.scene(kit, files)
    center.run(60)
    assert rig.same(center, edge)
    assert {bad[-380:]} == center.quarantined()


@pytest.mark.parametrize("name", ["without digest", "without strong tag"])
def test_a_plain_server_is_compared_by_length_and_tail(kit, rig, name):
    """Where a server gives no digest, the last record is fetched again and compared."""
    center, edge = rig.scene(kit, rig.hours(kit, 13, 14, 15, without=(14 * 60 + 30,)))
    vars(edge).update(rig.SERVERS[name])
    center.run(60)
    assert rig.same(center, edge)
    assert ["HEAD 13 daws", "GET 13 daws 22420-22799", "GET 14 daws 11400-11779"] == (
        edge.asked[:3]
    )
    assert {"length and records"} == {by for _, by in center.proven()}


@pytest.mark.parametrize("name", SERVERS)
def test_a_length_that_is_right_by_chance(kit, rig, name):
    """Where the edge lacks one record and the center two others, a range that fits and a length
    that agrees are no proof."""
    theirs, ours = (14 * 60 + 14,), (14 * 60 + 58, 14 * 60 + 59)
    files = rig.edge_files(kit, without=theirs)
    center, edge = rig.scene(kit, rig.hours(kit, 13, 14, 15, without=ours), files)
    vars(edge).update(rig.SERVERS[name])
    center.run(120)
    assert rig.same(center, edge)
    assert {kit.record(14 * 3_600 + 14 * 60 + 5)} == center.quarantined()


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda data, kit: data + kit.record(14 * 3_600 + 3_590),  # a record too many
        lambda data, kit: data[380:] + data[:380],  # out of order
        lambda data, kit: data[:1_000] + data[1_140:],  # torn in the middle
        lambda data, kit: data + b"junk",
        lambda data, kit: data[:-380],
        lambda data, kit: data[: 380 * 3],
    ],
)
def test_whatever_the_edge_holds_is_mirrored(kit, rig, name, spoil):
    """The edge's file is the truth, torn or not, with every server (T5, T6, T7, T13)."""
    files = rig.edge_files(kit)
    files[kit.path(14)] = spoil(files[kit.path(14)], kit)
    center, edge = rig.scene(kit, rig.hours(kit, 13, 14, 15, without=(14 * 60 + 20,)), files)
    vars(edge).update(rig.SERVERS[name])
    center.run(120)
    assert rig.same(center, edge)
    assert {13, 14, 15} == {hour for hour, _ in center.proven()}


@pytest.mark.parametrize("ours", [(13, 14, 15), (13, 15)])
@pytest.mark.parametrize("name", ["ours", "without digest"])
def test_an_empty_file_takes_no_record_s_place_without_a_digest(kit, rig, name, ours):
    """A file of no bytes is mirrored where a digest says that it is the edge's, or where the center
    has nothing to lose."""
    files = rig.edge_files(kit)
    files[kit.path(14)] = b""
    center, edge = rig.scene(kit, rig.hours(kit, *ours), files)
    vars(edge).update(rig.SERVERS[name])
    center.run(120)
    keeps = name != "ours" and 14 in ours
    assert keeps != rig.same(center, edge)
    assert keeps != (14 in {hour for hour, _ in center.proven()})


minutes = st.sets(st.integers(13 * 60, 16 * 60 - 1), max_size=200)


@settings(
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking takes minutes
)
@given(
    st.sampled_from(SERVERS),
    minutes,
    minutes,
    minutes,
    st.integers(0, 59),
    st.integers(60, 2_000),
    st.lists(st.integers(0, 23_000), max_size=4),
)
def test_any_gaps_any_server_any_breaks(kit, rig, name, ours, theirs, both, phase, piece, breaks):
    """Whatever each side lacks, however the answers are cut into pieces and broken off, every hour
    ends as the edge's and proven, and what the edge has not is in quarantine (I2, I3)."""
    files = rig.edge_files(kit, without=theirs | both, phase=phase)
    before = rig.hours(kit, 13, 14, 15, without=ours | both, phase=phase)
    center, edge = rig.scene(kit, before, files)
    vars(edge).update(rig.SERVERS[name])
    edge.piece, edge.breaks = piece, list(breaks)
    center.run(3_000)
    assert rig.same(center, edge)
    assert [13, 14, 15] == sorted(hour for hour, _ in center.proven())
    lacking = {kit.record(60 * n + phase) for n in (theirs - both) - ours}
    assert lacking == center.quarantined()
    assert {} == center.disk.under("staging/")
