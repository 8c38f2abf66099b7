"""What is asked for, and what is made of the answer: gaps, whole hours, and the copy of a day."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldproof_reference.center.assemble import assembled, differing, displaced
from fieldproof_reference.center.gaps import (
    ALL_HOURS,
    by_cadence,
    is_whole_hour,
    suspect_hours,
    whole_hour,
    whole_hours,
)
from fieldproof_reference.edge.declare import day_files, manifest_of
from fieldproof_reference.edge.lacking import pick
from fieldproof_reference.formats import trees
from fieldproof_reference.protocols.repair import Codec, Gap, Request, pack_request

phases = st.sampled_from([0, 1, 5, 30, 59])


def disk_of(kit, seconds):
    return kit.Disk(kit.filed([kit.record(second) for second in seconds]))


def day_of(kit, disk):
    return {trees.hour_of(name): data for name, data in day_files(disk, "daws", kit.DAY)}


def asked(kit, edge, center, knows=True):
    """The gaps for a center's day, given the edge's manifest if it `knows`; they can be packed."""
    manifest = manifest_of(edge, "daws", kit.DAY) if knows else None
    gaps = by_cadence(day_of(kit, center), kit.DAY, manifest)
    pack_request(Request("daws", kit.DAY, Codec.RAW, gaps), kit.KEY)
    return gaps


def repaired(kit, edge, center, gaps):
    """The center's day after the edge's answer to these gaps."""
    request = Request("daws", kit.DAY, Codec.RAW, tuple(gaps))
    groups = pick(day_files(edge, "daws", kit.DAY), request)
    return assembled(day_of(kit, center), kit.DAY, gaps, groups)


def cadence(phase, minutes=range(1_440)):
    return [60 * minute + phase for minute in minutes]


@pytest.mark.parametrize("knows", [False, True])
@pytest.mark.parametrize(
    ("gaps", "lost"),
    [
        ([], []),
        ([Gap(545, 665)], [10]),
        ([Gap(545, 785)], [10, 11, 12]),
        ([Gap(545, 665), Gap(1_145, 1_265)], [10, 20]),
        ([Gap(None, 65)], [0]),
        ([Gap(86_285, 86_400)], [1_439]),
        ([Gap(3_485, 3_665)], [59, 60]),
        ([Gap(3_545, 3_665)], [60]),
        ([Gap(3_485, 10_985)], range(59, 183)),
        ([Gap(None, 10_865)], range(181)),
        ([Gap(None, 86_400)], range(1_440)),
    ],
    ids=str,
)
def test_losses_are_gaps_between_records(kit, gaps, lost, knows):
    """A loss, be it one record, the first or last of the day, over an hour, hours or the whole day,
    is one gap between the good records around it, with a manifest or without."""
    edge = disk_of(kit, cadence(5))
    center = disk_of(kit, cadence(5, [n for n in range(1_440) if n not in lost]))
    assert tuple(gaps) == asked(kit, edge, center, knows)
    assert day_of(kit, edge) == repaired(kit, edge, center, gaps)


def test_a_gap_that_the_edge_has_too_is_not_asked_for(kit):
    """Where the manifest says that an hour is right, its gaps are the edge's own."""
    edge = disk_of(kit, cadence(5, [n for n in range(1_440) if n not in (30, 90)]))
    center = disk_of(kit, cadence(5, [n for n in range(1_440) if n not in (30, 90, 91)]))
    assert (Gap(5_345, 5_525),) == asked(kit, edge, center)
    assert (Gap(1_745, 1_865), Gap(5_345, 5_525)) == asked(kit, edge, center, knows=False)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda data, kit: data[:500] + b"\x01" + data[501:], id="a changed byte"),
        pytest.param(lambda data, kit: data + kit.record(7_190), id="a record too close"),
        pytest.param(lambda data, kit: data + data[:380], id="a record out of order"),
        pytest.param(lambda data, kit: data[:380] + data, id="a record twice"),
        pytest.param(lambda data, kit: data[:12] + b"\0" + data[13:], id="another second"),
        pytest.param(lambda data, kit: data[:15] + b"\0" + data[16:], id="a day of 1970"),
        pytest.param(lambda data, kit: data[:15] + b"\xff" + data[16:], id="a day of 2105"),
        pytest.param(lambda data, kit: data[:700] + data[701:], id="a byte less"),
    ],
)
def test_what_no_loss_explains_leads_to_the_whole_hour(kit, spoil):
    """An hour that differs in another way than by losses is asked for as a whole, at the latest
    when the gaps did not do."""
    edge = disk_of(kit, cadence(5))
    center = kit.Disk(edge.files)
    center.files[kit.path(1)] = spoil(center.files[kit.path(1)], kit)
    manifest = manifest_of(edge, "daws", kit.DAY)
    assert (1,) == suspect_hours(day_of(kit, center), manifest)
    first = repaired(kit, edge, center, asked(kit, edge, center))
    second = repaired(kit, edge, center, whole_hours([1]))
    assert day_of(kit, edge) == second
    if by_cadence(day_of(kit, center), kit.DAY, manifest) == (whole_hour(1),):
        assert day_of(kit, edge) == first


def test_more_gaps_than_a_request_can_name(kit):
    """A day of which every other record was lost is asked for by whole hours."""
    edge = disk_of(kit, cadence(5))
    center = disk_of(kit, cadence(5, range(0, 1_440, 2)))
    assert whole_hours(ALL_HOURS) == asked(kit, edge, center)
    assert day_of(kit, edge) == repaired(kit, edge, center, whole_hours(ALL_HOURS))


def test_whole_hours_partition_the_day():
    """Every second of the day lies in the gap of its hour and in no other."""
    for hour in ALL_HOURS:
        assert is_whole_hour(whole_hour(hour))
        for second in (3_600 * hour, 3_600 * hour + 1_800, 3_600 * hour + 3_599):
            assert [hour] == [h for h in ALL_HOURS if whole_hour(h).holds(second)]


@given(phases, st.sets(st.integers(0, 239)), st.booleans())
def test_losses_are_repaired_at_once(kit, phase, lost, knows):
    """Whatever records were lost, at whatever phase, the first answer makes the day the edge's."""
    edge = disk_of(kit, cadence(phase, range(240)))
    center = disk_of(kit, cadence(phase, [n for n in range(240) if n not in lost]))
    gaps = asked(kit, edge, center, knows)
    assert day_of(kit, edge) == repaired(kit, edge, center, gaps)


def clockless(source, phase):
    """Seconds as an edge may file them whose clock was stepped: in no order, some twice."""
    seconds = cadence(phase, range(source.randrange(200), 240))
    for _ in range(source.randrange(3)):
        at, step_s = source.randrange(len(seconds) + 1), source.choice((-4_000, -61, -1, 7, 3_600))
        seconds = seconds[:at] + [second + step_s for second in seconds[at:]]
    return [second for second in seconds if 0 <= second < 86_400]


def spoiled(source, files):
    """What a center may have in place of the edge's files."""
    spoilt = {}
    for path, data in files.items():
        pieces = [data[at : at + 380] for at in range(0, len(data), 380)]
        kept = [piece for piece in pieces if source.random() < 0.9]
        kept = [piece for piece in kept for _ in range(1 + (source.random() < 0.05))]
        if source.random() < 0.2:
            source.shuffle(kept)
        content = bytearray(b"".join(kept))
        if content and source.random() < 0.3:
            content[source.randrange(len(content))] ^= 1 << source.randrange(8)
        if content and source.random() < 0.1:
            del content[-source.randrange(1, 300) :]
        if content:
            spoilt[path] = bytes(content)
    return spoilt


@given(phases, st.integers(0, 2**32), st.booleans())
def test_all_hours_always_do(kit, phase, seed, knows):
    """Whatever either side holds, every question can be asked, and the answer to all hours or to
    the suspect ones makes the day the edge's; what loses its place is named as often as it does."""
    source = random.Random(seed)
    seconds = clockless(source, phase)
    edge = kit.Disk(kit.filed([kit.record(s, salt=n) for n, s in enumerate(seconds)]))
    edge.files = {p: d + b"junk" * (source.random() < 0.1) for p, d in edge.files.items()}
    center = kit.Disk(spoiled(source, edge.files))
    before = day_of(kit, center)
    repaired(kit, edge, center, asked(kit, edge, center, knows))
    suspects = suspect_hours(before, manifest_of(edge, "daws", kit.DAY))
    assert day_of(kit, edge) == repaired(kit, edge, center, whole_hours(suspects))
    after = repaired(kit, edge, center, whole_hours(ALL_HOURS))
    assert day_of(kit, edge) == after
    sizes = [sum(map(len, day.values())) for day in (before, after)]
    lost, came = displaced(before, after), displaced(after, before)
    assert sizes[1] - sizes[0] == sum(map(len, came)) - sum(map(len, lost))
    assert not set(lost) & set(came)


def test_a_gap_of_the_center_alone(kit):
    """A day of which the edge has nothing is asked for, and the answer empties the center's."""
    center = disk_of(kit, [3_600, 7_200])
    after = repaired(kit, kit.Disk(), center, whole_hours(ALL_HOURS))
    assert {} == after
    assert [kit.record(3_600), kit.record(7_200)] == displaced(day_of(kit, center), after)


@given(st.data())
def test_what_differs_between_two_versions_of_an_hour(kit, data):
    """The stretch holds what is new, and with what lies around it it makes the new version."""
    records = [kit.record(3_600 + 60 * n) for n in range(12)]
    old = [one for one in records if data.draw(st.booleans())]
    new = [one for one in records if data.draw(st.booleans())]
    gap, items = differing(b"".join(old), b"".join(new), kit.DAY, 1)
    kept = [one for n, one in enumerate(records) if not gap.holds(3_600 + 60 * n)]
    around = [one for one in kept if one in new]
    assert around == [one for one in kept if one in old]
    assert new == sorted([*around, *items], key=records.index)
    assert -1 <= (gap.after_s or 0) < gap.before_s <= 86_400


@pytest.mark.parametrize("junk", [b"torn", b"XRIO" + bytes(400)])
def test_junk_has_no_place_in_time(kit, junk):
    """Beside junk the stretch ends where the hour does."""
    old = kit.record(3_600) + junk + kit.record(3_720)
    new = kit.record(3_600) + junk + kit.record(3_660) + kit.record(3_720)
    gap, items = differing(old, new, kit.DAY, 1)
    assert ((3_599, 3_720), [kit.record(3_660)]) == ((gap.after_s, gap.before_s), items)
