"""Counts and causes of trees that are written here: whose fault a missing datagram was."""

import json
from hashlib import sha256

import pytest

DOWN = range(614, 704)
"""Ninety minutes."""


@pytest.fixture
def tree(kit, tmp_path):
    """A day of three stations: the receiver was down for ninety minutes, and each station lost some
    datagrams of its own. Neither `.dat` nor notes."""
    made = kit.Tree(tmp_path / "udp")
    made.put(kit.DAWS, kit.minutes(5, without={*DOWN, 100, 900}))
    made.put(kit.GILL, kit.minutes(10, without={*DOWN, 900}))
    made.put(kit.RANK, kit.minutes(30, without={*DOWN, 1200, 1201, 1202}))
    return made


def note(kit, tree, *lines):
    """What the receiver says of itself, with seconds of the day."""
    path = tree.root.parent / "receiver/2006/01/17.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    says = [json.dumps({what: kit.DAY_S + second}) for what, second in lines]
    path.write_text("".join(f"{line}\n" for line in says))


def test_a_minute_without_anybody_is_the_servers(kit, tree):
    """By index files alone, downtime is told from single losses, and from two in one minute."""
    for name, network in ((kit.DAWS, 2), (kit.GILL, 1), (kit.RANK, 3)):
        total = kit.stream(tree.root, name=name)["total"]
        assert {"server": 90, "network": network} == kit.causes(total)
        assert (1440, 1350 - network) == (total["expected"], total["received"])
        assert 90 + network == total["missing"]


def test_each_hour_has_its_losses(kit, tree):
    """Losses are put down to the hour in which they were due."""
    hours = kit.stream(tree.root)["hours"]
    wanted = {"01": {"network": 1}, "10": {"server": 46}, "11": {"server": 44}}
    wanted["15"] = {"network": 1}
    found = {hour[-2:]: kit.causes(figures) for hour, figures in hours.items()}
    assert wanted == {hour: told for hour, told in found.items() if told}
    assert {60} == {figures["expected"] for figures in hours.values()}


@pytest.mark.parametrize("minutes", [1, 2, 3])
def test_a_short_downtime_is_enough(kit, tmp_path, minutes):
    """A single minute in which nobody was heard is told, and the minute beside it is not its."""
    made = kit.Tree(tmp_path / "udp")
    gone = set(range(300, 300 + minutes))
    made.put(kit.DAWS, kit.minutes(5, without=gone | {298}))
    made.put(kit.GILL, kit.minutes(10, without=gone | {302 + minutes}))
    for name in (kit.DAWS, kit.GILL):
        wanted = {"server": minutes, "network": 1}
        assert wanted == kit.causes(kit.stream(tmp_path, name=name)["total"])


def test_a_lone_station_tells_nothing(kit, tmp_path):
    """One station cannot say whose its losses are, and the report says that it cannot."""
    made = kit.Tree(tmp_path / "udp")
    made.put(kit.DAWS, kit.minutes(5, without=DOWN))
    made.put(kit.DAWS, kit.minutes(20, without=DOWN), port=25000, first=b"STAT")
    report = kit.document(tmp_path)
    assert [{"untold": 90}] * 2 == [kit.causes(each["total"]) for each in report["streams"]]
    assert "a station alone does not tell its network from the server" in report["notes"][0]


def test_the_receivers_own_notes_tell_for_a_lone_station(kit, tmp_path):
    """With notes of the receiver the same losses are the server's or the network's."""
    made = kit.Tree(tmp_path / "udp")
    made.put(kit.DAWS, kit.minutes(5, without={*DOWN, 200, 201, 202}))
    beats = [("beat_s", 60 * 199 + 75), ("beat_s", 60 * 200 + 85), ("beat_s", 60 * 201 + 95)]
    note(kit, made, ("began_s", 0), *beats, ("began_s", 60 * 704))
    assert {"server": 90, "network": 3} == kit.causes(kit.stream(tmp_path)["total"])


def test_a_life_that_began_days_ago_is_known(kit, tmp_path):
    """A receiver that said nothing today because it was busy has spoken before, and is believed: an
    hour without a sign of it was its own."""
    made = kit.Tree(tmp_path / "udp")
    made.put(kit.DAWS, kit.minutes(5, without={*range(300, 360), 900}))
    note(kit, made, ("began_s", -5 * 86_400))
    note_path = tmp_path / "receiver/2006/01/17.jsonl"
    note_path.rename(tmp_path / "receiver/2006/01/12.jsonl")
    total = kit.stream(tmp_path, "--day", "2006-01-17")["total"]
    assert {"server": 61} == kit.causes(total)  # nor did it say that it was there in minute 900


def test_notes_overrule_the_minute_that_nobody_filled(kit, tree):
    """A receiver that says it was there has not lost what all networks lost at once."""
    beats = [("beat_s", second) for second in range(60 * 613 + 40, 60 * 704, 70)]
    note(kit, tree, ("began_s", 0), *beats)
    assert {"network": 92} == kit.causes(kit.stream(tree.root)["total"])


def test_a_stream_of_another_cadence_hides_nothing(kit, tmp_path):
    """A monitor that sends every ten seconds, or every ten minutes, loses with the others what the
    server lost, and neither makes a silence nor breaks one."""
    made = kit.Tree(tmp_path / "udp")
    made.put(kit.DAWS, kit.minutes(5, without={614, 615, 800}))
    made.put(kit.GILL, kit.minutes(10, without={614, 615}))
    second = kit.DAY_S + 60 * 614
    tens = [kit.DAY_S + 10 * n + 3 for n in range(8640)]
    tens = [
        s for s in tens if not (second <= s < second + 120 or 800 <= (s - kit.DAY_S) // 60 < 801)
    ]
    made.put(kit.DAWS, [s * kit.S for s in tens], port=25000, first=b"STAT")
    rare = [kit.DAY_S + 600 * n + 7 for n in range(144)]
    rare = [s for s in rare if not second - 240 <= s < second + 120]
    made.put(kit.GILL, [s * kit.S for s in rare], port=25000, first=b"STAT")
    report = kit.document(tmp_path)["streams"]
    told = {(each["name"], each["port"]): kit.causes(each["total"]) for each in report}
    assert {
        (kit.DAWS, 24985): {"server": 2, "network": 1},
        (kit.GILL, 24985): {"server": 2},
        (kit.DAWS, 25000): {"server": 12, "network": 6},
        (kit.GILL, 25000): {"network": 1},
    } == told


def test_a_silent_station_is_not_forgotten(kit, tmp_path):
    """A station of which nothing came all day is missing its whole day, as long as it is known of
    the days before."""
    made = kit.Tree(tmp_path / "udp")
    yesterday = [when - 86_400 * kit.S for when in kit.minutes(5)]
    made.put(kit.DAWS, yesterday)
    made.put(kit.GILL, [when - 86_400 * kit.S for when in kit.minutes(10)] + kit.minutes(10))
    total = kit.stream(tmp_path, "--day", "2006-01-17")["total"]
    assert (1440, 0, {"network": 1440}) == (
        total["expected"],
        total["received"],
        kit.causes(total),
    )
    half = kit.stream(tmp_path, "--day", "2006-01-17", now_s=kit.DAY_S + 43_200)["total"]
    assert 720 == half["missing"]


def test_strangers_are_counted_and_nothing_is_expected_of_them(kit, tree):
    """A few datagrams from elsewhere make no station, and are no losses of anybody."""
    for number in range(3):
        tree.add("203.0.113.66", (kit.DAY_S + 5000 + number) * kit.S)
    report = kit.document(tree.root)
    strangers = [{"address": "203.0.113.66", "port": 24985, "datagrams": 3}]
    assert (3, strangers) == (len(report["streams"]), report["strangers"])


def test_what_a_stranger_sent_proves_that_the_server_was_there(kit, tree):
    """A minute in which anybody at all was heard is not the server's."""
    for minute in DOWN:
        tree.add("203.0.113.66", (kit.DAY_S + 60 * minute + 7) * kit.S)
        tree.add("203.0.113.66", (kit.DAY_S + 60 * minute + 40) * kit.S)
    total = kit.stream(tree.root, "--port", "24985")["total"]
    assert 92 == total["network"]


def test_duplicates_by_content_make_up_for_no_loss(kit, tmp_path):
    """With `.dat` files a datagram that came twice is a duplicate even where another is missing."""
    made = kit.Tree(tmp_path / "udp")
    made.put(kit.DAWS, kit.minutes(5, until_minute=30, without={8}), site=b"DAWS")
    again = made.index(kit.DAWS, kit.DAY_S).with_suffix(".dat").read_bytes()[380 * 5 : 380 * 6]
    made.add(kit.DAWS, (kit.DAY_S + 60 * 30 + 2) * kit.S, again)
    total = kit.stream(tmp_path, name="daws")["total"]
    assert (30, 1, 1, 30) == tuple(
        total[each] for each in ("received", "duplicates", "missing", "expected")
    )
    for path in made.root.rglob("*.dat"):
        path.unlink()
    assert 0 == kit.stream(tmp_path)["total"]["duplicates"]  # a late one, as far as lines tell


def test_what_came_twice_is_told_by_lines_alone(kit, tmp_path):
    """Without `.dat` files a datagram more than were due is a duplicate, and nothing is missing."""
    made = kit.Tree(tmp_path / "udp")
    made.put(kit.DAWS, kit.minutes(5, until_minute=30))
    made.add(kit.DAWS, (kit.DAY_S + 60 * 29 + 8) * kit.S)
    total = kit.stream(tmp_path)["total"]
    assert (31, 1, 0, 30) == tuple(
        total[each] for each in ("received", "duplicates", "missing", "expected")
    )


def test_a_record_that_is_hours_late_is_not_missing(kit, tmp_path):
    """With `.dat` files a late record is known to be none that was there before (T3)."""
    made = kit.Tree(tmp_path / "udp")
    made.put(kit.DAWS, kit.minutes(5, until_minute=300, without={8}), site=b"DAWS")
    late = kit.record(kit.DAY_S + 60 * 7 + 4)
    made.add(kit.DAWS, (kit.DAY_S + 60 * 299 + 25) * kit.S, late)
    total = kit.stream(tmp_path, name="daws")["total"]
    assert (300, 0, 0, 300) == tuple(
        total[each] for each in ("received", "duplicates", "missing", "expected")
    )


def test_a_record_by_two_ways_is_there_once(kit, tmp_path):
    """A site whose datagrams come from two addresses has them once, and the copies are told."""
    made = kit.Tree(tmp_path / "udp")
    for address in (kit.DAWS, "198.51.100.77"):
        made.put(address, kit.minutes(5, without={100}), site=b"DAWS")
    (stream,) = kit.document(tmp_path)["streams"]
    total = stream["total"]
    assert (1440, 1439, 1) == tuple(total[e] for e in ("expected", "duplicates", "missing"))


@pytest.mark.parametrize("spoil", ["content", "noted"])
def test_what_was_kept_out_is_missing(kit, tmp_path, spoil):
    """A datagram that fails the five checks, or that the center quarantined, is no record."""
    made = kit.Tree(tmp_path / "udp")
    made.put(kit.DAWS, kit.minutes(5, until_minute=30), site=b"DAWS")
    dat = made.index(kit.DAWS, kit.DAY_S).with_suffix(".dat")
    data = bytearray(dat.read_bytes())
    if spoil == "content":
        data[380 * 7 + 8] ^= 1  # the version
        dat.write_bytes(data)
    else:
        digest = sha256(data[380 * 7 : 380 * 8]).hexdigest()
        notes = tmp_path / "quarantine/2006/01/18/provenance.jsonl"
        notes.parent.mkdir(parents=True)
        notes.write_text(json.dumps({"reason": "not at the edge", "sha256": digest}) + "\n")
    total = kit.stream(tmp_path, name="daws")["total"]
    assert (30, 1, 1, 30) == tuple(
        total[each] for each in ("received", "quarantined", "missing", "expected")
    )


def test_a_station_that_moves_is_one_station(kit, tmp_path):
    """A site keeps its name under a new address, and misses nothing by that (T9)."""
    made = kit.Tree(tmp_path / "udp")
    made.put(kit.DAWS, kit.minutes(5, until_minute=700), site=b"DAWS")
    made.put("198.51.100.77", kit.minutes(5, from_minute=700), site=b"daws")
    report = kit.document(tmp_path)
    (stream,) = report["streams"]
    assert ("daws", [kit.DAWS, "198.51.100.77"]) == (
        stream["name"],
        sorted(stream["addresses"])[::-1],
    )
    assert 0 == stream["total"]["missing"]


def test_what_the_kernel_dropped_is_the_receivers(kit, tree, tmp_path):
    """Drops that the event log tells are taken from what was missed just before, and no more than
    was missed; of two that are missed, one drop takes one; what is missed later is not its."""
    cases = ((2, 60 * 1202 + 50, 1), (1, 60 * 1202 + 35, 1), (3, 60 * 1199 + 50, 0))
    for dropped, second, receiver in cases:
        fact = {"port": 24985, "datagrams": dropped, "utc_s": kit.DAY_S + second}
        lines = [
            {"ns": 1, "by": "center", "fact": "datagrams dropped", "detail": fact},
            {"ns": 2, "by": "center", "fact": "datagrams dropped", "detail": {**fact, "port": 1}},
            {"ns": 3, "by": "center/x", "said": "datagrams dropped", "detail": fact},
        ]
        events = tmp_path / "events.jsonl"
        events.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"half')
        total = kit.stream(tree.root, "--events", events, name=kit.RANK)["total"]
        wanted = {"server": 90, "network": 3 - receiver, "receiver": receiver}
        assert wanted == {"receiver": 0, **kit.causes(total)}


def test_the_books_balance(kit, tree):
    """expected = received - duplicates - quarantined + missing, in every row of the report."""
    for stream in kit.document(tree.root)["streams"]:
        rows = [stream["total"], *stream["days"].values(), *stream["hours"].values()]
        for row in rows:
            useful = row["received"] - row["duplicates"] - row["quarantined"]
            assert row["expected"] == useful + row["missing"]
            assert row["missing"] == sum(kit.causes(row).values())
