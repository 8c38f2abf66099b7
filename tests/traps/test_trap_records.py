"""Traps that a record sets: its time, its site, its size."""

import pytest

from fieldproof_contract import Address
from fieldproof_reference.center import CenterSettings, EdgeAtCenter
from fieldproof_reference.formats import xrio


@pytest.mark.parametrize("stamp_s", [0, 1, 2**31 - 1, 2**31, 2**32 - 1])
def test_t4_an_absurd_time_makes_no_folder(kit, stage, stamp_s):
    """A record of 1970, 2038 or 2106 goes to the quarantine of the day in which it came."""
    world, host = stage.center()
    bad = stage.changed(kit.record(43_100), 12, stamp_s.to_bytes(4, "little"))
    stage.arrive(host, bad)
    world.run(11)
    assert {("time", bad): 1} == stage.quarantined(host)
    tops = {"/".join(path.split("/")[:4]) for path in host.disk.files if "receiver" not in path}
    assert {"udp/2006/01/17", "quarantine/2006/01/17"} == tops


def test_t4_what_the_edge_files_so_is_mirrored_and_flagged(kit, stage):
    """A record of 1970 in an edge's hour file becomes part of the archive, with a flag."""
    absurd = stage.changed(kit.record(86_100), 12, b"\1\0\0\0")
    world, edge, host = stage.evening([])
    files = {kit.path(23): kit.record(86_040) + absurd + kit.record(86_160)}
    edge.disk.files |= files
    world.run_to(kit.DAY_S + 86_400 + 900)
    assert files == stage.canonical(host)
    (line,) = stage.flags(host)
    assert (23, 380, 1) == (line["hour"], line["offset"], line["first_s"])
    assert ["cadence", "another hour"] == line["flags"]


def test_t5_two_records_of_one_second_are_both_kept(kit, stage):
    """Same site and time, other content: two records, in the edge's order once it is known."""
    one, other = kit.record(86_100), kit.record(86_100, salt=1)
    first, second = sorted((one, other), reverse=True)  # not the order of the bytes
    world, edge, host = stage.evening([])
    stage.arrive(host, second, first, second)
    world.run(11)
    assert {kit.path(23): second + first} == stage.canonical(host)
    edge.disk.files[kit.path(23)] = first + second
    world.run_to(kit.DAY_S + 86_400 + 900)
    assert {kit.path(23): first + second} == stage.canonical(host)


def test_t6_a_clock_that_stepped_back_loses_nothing(kit, stage):
    """Records whose times repeat are all filed, are flagged for their cadence, and stand in the
    edge's order once the day is proven, though no cadence could tell what was lost."""
    seconds = [82_805 + 60 * n for n in range(20)] + [83_405 - 150 + 60 * n for n in range(20)]
    records = [kit.record(second, salt=n) for n, second in enumerate(seconds)]
    world, edge, host = stage.evening([])
    stage.arrive(host, *records[:5], *records[6:])
    world.run(11)
    assert {record for record in records if record is not records[5]} == set(
        chunks(stage.canonical(host)[kit.path(23)])
    )
    edge.disk.files[kit.path(23)] = b"".join(records)
    world.run_to(kit.DAY_S + 86_400 + 900)
    assert {kit.path(23): b"".join(records)} == stage.canonical(host)
    assert [(380 * 20, ["cadence"])] == [
        (line["offset"], line["flags"]) for line in stage.flags(host)
    ]


def test_t6_a_leap_second_is_no_oddity(kit, stage):
    """Around 2005-12-31 23:59:60 one interval is 61 or 59 seconds: nothing is flagged."""
    world, host = stage.center()
    stage.arrive(host, *(kit.record(39_600 + second) for second in (0, 60, 121, 180, 240)))
    world.run(11)
    assert ([], 1) == (stage.flags(host), len(stage.canonical(host)))


def chunks(data):
    return [data[at : at + 380] for at in range(0, len(data), 380)]


def test_t15_letters_of_any_case_are_one_site(kit, stage):
    """`DAWS`, `Daws` and `daws` share a folder, and each record keeps its bytes."""
    world, host = stage.center()
    sites = (b"DAWS", b"Daws", b"daws")
    records = [kit.record(43_000 + 60 * n, site) for n, site in enumerate(sites)]
    stage.arrive(host, *records)
    world.run(11)
    assert {kit.path(11): b"".join(records[:3])} == stage.canonical(host)
    assert [] == stage.flags(host)


def test_t15_settings_that_differ_in_case_alone_are_two_names_for_nobody(kit, stage):
    """A site that the settings name in capitals has no folder: its records are refused and seen,
    and never mixed with those of the other name."""
    known = EdgeAtCenter(kit.KEY, Address(kit.EDGE_ADDRESS, 1))
    world, host = stage.center(settings=CenterSettings({"DAWS": known}))
    stage.arrive(host, kit.record(43_100))
    world.run(11)
    assert {("unknown site", kit.record(43_100)): 1} == stage.quarantined(host)
    assert {} == stage.canonical(host)


@pytest.mark.parametrize("site", [b"../.", b"/etc", b"..\0\0", b"da/s", "dâw".encode(), b"gill"])
def test_t16_no_site_makes_a_path_that_nobody_asked_for(kit, stage, site):
    """Whatever stands in the place of the site: a path is made of known names alone."""
    world, host = stage.center()
    stage.arrive(host, stage.changed(kit.record(43_100), 4, site))
    world.run(11)
    assert {} == stage.canonical(host)
    assert 1 == sum(stage.quarantined(host).values())
    assert {"udp", "quarantine"} == {path.split("/")[0] for path in host.disk.files} - {"receiver"}


@pytest.mark.parametrize("size", [379, 381, 384, 760, 65_507])
def test_t18_a_long_datagram_is_not_cut_to_a_record(kit, stage, size):
    """What is longer or shorter than its header says is kept whole in the raw tree and refused."""
    world, host = stage.center()
    data = (kit.record(43_100) + kit.record(43_160) * 200)[:size]
    stage.arrive(host, data)
    world.run(11)
    assert [data] == list(host.disk.under("udp/", ".dat").values())
    assert ({}, {("total length", data): 1}) == (stage.canonical(host), stage.quarantined(host))


@pytest.mark.parametrize("points", [1, 59, 61, 120])
def test_t19_a_consistent_record_of_another_length_is_filed(kit, stage, points):
    """It is walked by its header, flagged, and those around it are found where they are."""
    world, host = stage.center()
    records = [kit.record(42_000), kit.record(42_060, points=points), kit.record(42_120)]
    stage.arrive(host, *records)
    world.run(11)
    data = stage.canonical(host)[kit.path(11)]
    assert records == [data[span.offset : span.offset + span.size] for span in xrio.walk(data)]
    (line,) = stage.flags(host)
    assert (380, 20 + 6 * points, ["datapoints"]) == (
        line["offset"],
        line["bytes"],
        line["flags"],
    )
