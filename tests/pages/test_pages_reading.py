"""What is counted is what the disk holds, whoever sent it and however it came to be read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldproof_reference.center import SiteDay
from fieldproof_reference.center.pages.arrivals import LONGEST_RECORD
from fieldproof_reference.center.pages.facts import DAYS, Tally
from fieldproof_reference.center.pages.notes import MOST_NAMES, OTHERS
from fieldproof_reference.center.pages.reading import Reading
from fieldproof_reference.formats.days import DAY_S

NOON_S = 12 * 3600 + 20


def read_all(reading, now) -> None:
    while reading.step(now):
        pass


def facts_of(kit, disk, second=NOON_S):
    now = kit.now(kit.TODAY, second)
    reading = Reading(kit.SETTINGS, disk, now)
    read_all(reading, now)
    return reading.facts(now)


def missing(site) -> list[int | None]:
    return [day and day.live and day.live.missing for day in site.days]


def test_losses_by_day(kit, disk):
    """Each day of each site says how many records did not arrive live, from its first day on."""
    daws, gill, talo = facts_of(kit, disk).sites
    before = [None] * (DAYS - 4)
    assert ("daws", "gill", "talo") == (daws.name, gill.name, talo.name)
    assert [*before, 0, 0, 3, 0] == missing(daws)
    assert [*before, 0, 0, 0, 120] == missing(gill)
    assert [*before, None, 0, 1380, 719] == missing(talo)
    assert (3 * 1440 - 720, 3) == (daws.live.expected, daws.live.missing)


def test_what_was_restored_and_proven(kit, disk):
    """Restored records, methods, times and proofs are those of the notes, newest day first."""
    facts = facts_of(kit, disk)
    gill, daws = facts.restored
    assert (kit.TODAY, "gill", 120, False) == (gill.day, gill.site, gill.records, gill.proven)
    assert (kit.TODAY - 1, "daws", 3, 1140) == (daws.day, daws.site, daws.records, daws.size)
    assert (("repair",), True) == (daws.methods, daws.proven)
    assert kit.TODAY * DAY_S + 75 == (daws.utc_ns or 0) // 10**9
    assert [True, True, False] == [day.proven for day in facts.sites[0].days[-3:]]


def test_the_newest_record_and_where_it_is(kit, disk):
    """A site's last record is the newest that arrived, with the folders that hold it."""
    daws, _, talo = facts_of(kit, disk).sites
    assert kit.TODAY * DAY_S + 12 * 3600 - 56 == daws.heard.arrived_s
    assert "udp/2006/01/17/206.172.47.234/" == daws.raw
    assert "riometer/2006/01/17/daws_xrio/" == daws.canonical
    assert (kit.TODAY - 1) * DAY_S + 3600 - 56 == talo.heard.arrived_s


def test_what_came_by_another_way_is_heard_too(kit):
    """The last record of a site of which nothing arrives live is the newest in the archive."""
    disk = kit.Disk()
    disk.file("daws", kit.TODAY * DAY_S)
    daws, gill, _ = facts_of(kit, disk).sites
    assert (kit.TODAY * DAY_S, kit.TODAY * DAY_S + 60) == (daws.heard.first_s, daws.heard.arrived_s)
    assert None is gill.heard


def test_doubles_strangers_and_damage_are_not_received(kit, disk):
    """A record that comes twice, even from another address, counts once; what is none never."""
    expected = missing(facts_of(kit, disk).sites[0])
    at_s = kit.TODAY * DAY_S + 600.0
    disk.arrive("daws", int(at_s) - 57, at_s=at_s)
    record = disk.files["udp/2006/01/17/206.172.47.234/ut00_24985.dat"][:380]
    disk.receive("203.0.113.9", record, at_s + 1)
    disk.receive("203.0.113.9", b"\0" + record[1:], at_s + 2)
    disk.receive("203.0.113.9", bytes(LONGEST_RECORD + 1), at_s + 3)
    disk.receive("203.0.113.9", b"", at_s + 4)
    assert expected == missing(facts_of(kit, disk).sites[0])


def test_what_was_kept_out_and_flagged(kit, disk):
    """Reasons and flags are counted, today and over all days."""
    facts = facts_of(kit, disk)
    assert {"unknown site": (0, 1), "<script>alert(1)</script>": (0, 1)} == {
        tally.name: tally[1:] for tally in facts.quarantined
    }
    assert (Tally("npoints", 1, 1),) == facts.flagged
    assert [1, 0, 0] == [site.flagged for site in facts.sites]


def test_a_day_that_is_not_read_is_not_guessed(kit, disk):
    """Until a day is read its losses are unknown, and how many days are to come is told."""
    now = kit.now(kit.TODAY, NOON_S)
    reading = Reading(kit.SETTINGS, disk, now)
    facts = reading.facts(now)
    assert DAYS == facts.days_to_count
    assert all(day is None for site in facts.sites for day in site.days)
    left = []
    while reading.step(now):
        facts = reading.facts(now)
        left.append(facts.days_to_count)
        counted = {day.day for site in facts.sites for day in site.days if day and day.live}
        assert counted <= set(range(kit.TODAY - DAYS + 1 + left[-1], kit.TODAY + 1))
    assert sorted(left, reverse=True) == left


def test_news_are_read_and_nothing_twice(kit, disk):
    """What arrives after the start is counted at the next look, and a look without news changes
    nothing."""
    now = kit.now(kit.TODAY, NOON_S)
    reading = Reading(kit.SETTINGS, disk, now)
    read_all(reading, now)
    before = reading.facts(now).sites[0].live.received
    disk.arrive("daws", kit.TODAY * DAY_S + 12 * 3600 - 57)
    reading.arrived("udp/2006/01/17/206.172.47.234/ut12_24985.idx")
    for _ in range(2):
        reading.look(now)
        read_all(reading, now)
        assert before + 1 == reading.facts(now).sites[0].live.received


def test_flags_written_anew_are_counted_anew(kit, disk):
    """A day's flags that were replaced do not add to what they replace."""
    now = kit.now(kit.TODAY, NOON_S)
    reading = Reading(kit.SETTINGS, disk, now)
    read_all(reading, now)
    disk.files["flags/2006/01/17/daws.jsonl"] = b'{"flags": ["cadence"]}\n{"flags": ["a", "b"]}\n'
    reading.changed(SiteDay("daws", kit.TODAY))
    read_all(reading, now)
    facts = reading.facts(now)
    assert {"a", "b", "cadence"} == {tally.name for tally in facts.flagged}
    assert 2 == facts.sites[0].flagged


def test_silence_is_news(kit, disk):
    """Records that do not come are missing when they are due, though nothing told so."""
    now = kit.now(kit.TODAY, NOON_S)
    reading = Reading(kit.SETTINGS, disk, now)
    read_all(reading, now)
    later = kit.now(kit.TODAY, NOON_S + 600)
    reading.look(later)
    read_all(reading, later)
    assert 10 == reading.facts(later).sites[0].live_today.missing


def test_midnight_passes(kit, disk):
    """A new day begins without losses, and the one before it is complete."""
    now = kit.now(kit.TODAY, NOON_S)
    reading = Reading(kit.SETTINGS, disk, now)
    read_all(reading, now)
    for at_s in range(NOON_S, DAY_S + 40, 600):
        now = kit.now(kit.TODAY, at_s)
        reading.look(now)
        read_all(reading, now)
    now = kit.now(kit.TODAY + 1, 40)
    reading.look(now)
    read_all(reading, now)
    facts = reading.facts(now)
    assert kit.TODAY + 1 == facts.today
    assert [0, 3, 720, 0] == missing(facts.sites[0])[-4:]


def test_a_clock_that_steps_back(kit, disk):
    """What comes for a day that was over is added to what was counted of it."""
    for day in range(kit.TODAY + 1, kit.TODAY + 6):
        disk.day("daws", day)
    now = kit.now(kit.TODAY + 5, NOON_S)
    reading = Reading(kit.SETTINGS, disk, now)
    read_all(reading, now)
    before = {day.day: day.live for day in reading.facts(now).sites[0].days if day}
    disk.arrive("daws", kit.TODAY * DAY_S + 12 * 3600 - 57)
    reading.arrived("udp/2006/01/17/206.172.47.234/ut12_24985.idx")
    for moment in (now, now, kit.now(kit.TODAY, NOON_S), kit.now(kit.TODAY + 5, NOON_S)):
        reading.look(moment)
        read_all(reading, moment)
    after = {day.day: day.live for day in reading.facts(now).sites[0].days if day}
    grown = before[kit.TODAY]
    assert (720, 720) == (grown.received, grown.missing)
    assert before | {kit.TODAY: grown._replace(received=721, server=719)} == after


def test_what_is_old_is_forgotten(kit, disk):
    """A month later nothing is kept of what was counted, and nothing is told of it."""
    now = kit.now(kit.TODAY, NOON_S)
    reading = Reading(kit.SETTINGS, disk, now)
    read_all(reading, now)
    later = kit.now(kit.TODAY + 40, NOON_S)
    for _ in range(2):
        reading.look(later)
        read_all(reading, later)
    facts = reading.facts(later)
    assert ((), (), ()) == (facts.restored, facts.quarantined, facts.flagged)
    assert all(day is None for site in facts.sites for day in site.days)


def test_server_and_network_are_told_apart(kit):
    """A minute in which no site is heard is the server's, one that a single site lacks is not."""
    disk = kit.Disk()
    for number, site in enumerate(("daws", "gill", "talo")):
        for minute in range(24 * 60):
            if minute not in (600, 601) and (site, minute) != ("daws", 700):
                disk.arrive(site, (kit.TODAY - 1) * DAY_S + minute * 60 - 57 + 3 * number)
    live = facts_of(kit, disk).sites[0].days[-2].live
    assert (3, 1, 2) == (live.missing, live.network, live.server)


def test_names_without_end_are_counted_together(kit):
    """Strangers cannot make the page, or its memory, grow by new names."""
    disk = kit.Disk()
    for number in range(3 * MOST_NAMES):
        name = f"{number:04d}" + "x" * 1000
        disk.note("quarantine/2006/01/17/provenance.jsonl", reason=name)
    tallies = facts_of(kit, disk).quarantined
    assert MOST_NAMES + 1 == len(tallies)
    assert all(len(tally.name) < 100 for tally in tallies)
    assert (OTHERS, 2 * MOST_NAMES) == (tallies[-1].name, tallies[-1].all_days)


JUNK = st.one_of(
    st.binary(max_size=200),
    st.sampled_from(
        [
            b'{"what": "restored", "items": -1, "bytes": "x", "utc_ns": 1e99, "method": 7}\n',
            b'{"what": "restored", "items": true, "utc_ns": 99999999999999999999999}\n',
            b'{"what": ["confirmed"]}\n{"reason": {}}\n[]\n7\n',
            b'{"flags": [1, null, {}], "reason": "\\ud800"}\n',
            b"[" * 5000 + b"\n",
            b"9" * 5000 + b"\n",
            b"x" * 100_000,
        ]
    ),
)


@pytest.mark.parametrize(
    "path",
    [
        "provenance/2006/01/17/daws.jsonl",
        "quarantine/2006/01/17/provenance.jsonl",
        "flags/2006/01/17/daws.jsonl",
        "udp/2006/01/17/206.172.47.234/ut01_24985.idx",
        "udp/2006/01/17/206.172.47.234/ut01_24985.dat",
        "riometer/2006/01/17/daws_xrio/20060117_01_daws_xrio.dat",
        "receiver/2006/01/17.jsonl",
    ],
)
@given(junk=st.lists(JUNK, max_size=4))
def test_damaged_files_are_read_past(kit, path, junk):
    """Whatever a file holds, reading ends, and the other files are counted."""
    disk = kit.Disk({path: b"".join(junk)})
    disk.arrive("gill", kit.TODAY * DAY_S)
    facts = facts_of(kit, disk, 120)
    assert 1 == facts.sites[1].live_today.received
    assert 0 == facts.days_to_count
