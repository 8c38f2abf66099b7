"""The names of hour files and arrival files: the printed examples, round trips, no way out."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fieldproof_reference.formats import trees
from fieldproof_reference.formats.trees import ArrivalFile, HourFile

MIDNIGHT = 1_137_456_000  # 2006-01-17 00:00:00

names = st.text("abcdefghijklmnopqrstuvwxyz", min_size=4, max_size=4)
seconds = st.integers(0, 2**32 - 1)
hosts = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)


@pytest.mark.parametrize(
    ("expected", "second"),
    [
        ("riometer/2006/01/17/calg_xrio/20060117_00_calg_xrio.dat", MIDNIGHT),
        ("riometer/2006/01/17/calg_xrio/20060117_23_calg_xrio.dat", MIDNIGHT + 86_399),
        ("riometer/2006/01/18/calg_xrio/20060118_00_calg_xrio.dat", MIDNIGHT + 86_400),
        ("riometer/2106/02/07/calg_xrio/21060207_06_calg_xrio.dat", 2**32 - 1),
    ],
)
def test_hour_files(expected, second):
    """Hour files are named as in the 2006 listing, by UTC hour, up to the end of the timestamp."""
    assert expected == trees.hour_path("calg", second)


def test_day_folder():
    """The folder of a day holds all of its hour files and none of another day's."""
    folder = trees.day_folder("calg", MIDNIGHT + 5)
    assert "riometer/2006/01/17/calg_xrio" == folder
    inside = [trees.hour_path("calg", s).startswith(folder + "/") for s in (MIDNIGHT - 1, MIDNIGHT)]
    assert [False, True] == inside


def test_the_hour_files_of_a_site():
    """Of a listing only this site's hour files are kept, in order, and each says its hour."""
    mine = [trees.hour_path("daws", MIDNIGHT + hour * 3600) for hour in (0, 9, 23)]
    others = [trees.hour_path("gill", MIDNIGHT), mine[0] + ".torn", "x" + mine[0], "daws_xrio.dat"]
    assert mine == trees.site_hour_paths([*others[:2], *mine, *others[2:]], "daws")
    assert [0, 9, 23] == [trees.hour_of(path) for path in mine]
    assert [0, 9, 23] == [trees.hour_of(path.rpartition("/")[2]) for path in mine]


@pytest.mark.parametrize(
    ("expected", "host", "suffix"),
    [
        ("udp/2006/01/17/136.159.51.71/ut16_24985.idx", "136.159.51.71", "idx"),
        ("udp/2006/01/17/2001:db8::1/ut16_24985.dat", "2001:db8::1", "dat"),
    ],
)
def test_arrival_files(expected, host, suffix):
    """Arrival files are named as in the 2006 listing; an IPv6 address is kept as it is."""
    assert expected == trees.arrival_path(MIDNIGHT + 16 * 3600 + 42, host, 24985, suffix)


@given(names, names, seconds)
def test_hour_path_round_trip(site, stream, second):
    """A path tells site, stream and hour again."""
    expected = HourFile(site, stream, second - second % 3600)
    assert expected == trees.parse_hour_path(trees.hour_path(site, second, stream))


@given(seconds, hosts, st.integers(0, 65535), st.sampled_from(["dat", "idx"]))
def test_arrival_path_round_trip(second, host, port, suffix):
    """A path tells hour, source, port and kind again."""
    expected = ArrivalFile(second - second % 3600, host, port, suffix)
    assert expected == trees.parse_arrival_path(trees.arrival_path(second, host, port, suffix))


@given(st.text(max_size=8))
@example("../x")
@example("DAWS")
@example("daws\n")
@example("ſaws")
def test_no_path_from_a_strange_site(site):
    """Only four lower-case ASCII letters make a path (T16)."""
    if len(site) == 4 and all("a" <= letter <= "z" for letter in site):
        return
    with pytest.raises(ValueError, match="makes no path"):
        trees.hour_path(site, MIDNIGHT)
    with pytest.raises(ValueError, match="makes no path"):
        trees.hour_path("daws", MIDNIGHT, site)


@pytest.mark.parametrize(
    "host", ["..", "", "1.2.3", "1.2.3.4/..", "example.org", "1.2.3.4\n", "٣.2.3.4"]
)
def test_no_path_from_a_strange_source(host):
    """Only an IP address makes a path."""
    with pytest.raises(ValueError, match=r"IPv4 or IPv6"):
        trees.arrival_path(MIDNIGHT, host, 24985, "dat")


GOOD_HOUR = "riometer/2006/01/17/daws_xrio/20060117_16_daws_xrio.dat"
GOOD_ARRIVAL = "udp/2006/01/17/206.172.47.234/ut16_24985.dat"


@pytest.mark.parametrize(
    "path",
    [
        GOOD_HOUR + ".torn",
        GOOD_HOUR.replace("_16_", "_24_"),
        GOOD_HOUR.replace("/17/", "/18/"),
        GOOD_HOUR.replace("01/17", "02/30").replace("0117", "0230"),
        GOOD_HOUR.replace("daws_xrio/", "gill_xrio/"),
        GOOD_HOUR.replace("daws_xrio/", ""),
        GOOD_HOUR.replace("daws", "DAWS"),
        "x" + GOOD_HOUR,
        GOOD_ARRIVAL,
    ],
)
def test_other_paths_are_no_hour_files(path):
    """A name this file would not write is not read."""
    assert trees.parse_hour_path(GOOD_HOUR) is not None
    assert trees.parse_hour_path(path) is None


@pytest.mark.parametrize(
    "path",
    [
        GOOD_ARRIVAL + "x",
        GOOD_ARRIVAL.replace("ut16", "ut24"),
        GOOD_ARRIVAL.replace("01/17", "02/30"),
        GOOD_ARRIVAL.replace("_24985", "_024985"),
        GOOD_ARRIVAL.replace("_24985", "_00085"),
        GOOD_ARRIVAL.replace("206.172.47.234", "206.172.47"),
        GOOD_ARRIVAL.replace("206", "٢٠٦"),
        GOOD_HOUR,
    ],
)
def test_other_paths_are_no_arrival_files(path):
    """A name this file would not write is not read."""
    assert trees.parse_arrival_path(GOOD_ARRIVAL) is not None
    assert trees.parse_arrival_path(path) is None


@given(st.integers(0, 60), st.text(max_size=3))
def test_damaged_paths_never_raise(at, text):
    """Any text is a path of ours or None; what is read is what would be written."""
    hour = GOOD_HOUR[:at] + text + GOOD_HOUR[at + 1 :]
    arrival = GOOD_ARRIVAL[:at] + text + GOOD_ARRIVAL[at + 1 :]
    hour_file, arrival_file = trees.parse_hour_path(hour), trees.parse_arrival_path(arrival)
    if hour_file is not None:
        assert hour == trees.hour_path(hour_file.site, hour_file.utc_s, hour_file.stream)
    if arrival_file is not None:
        assert arrival == trees.arrival_path(*arrival_file)
