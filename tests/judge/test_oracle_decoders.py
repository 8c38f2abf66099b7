"""The decoders of the judge: what they read, and that no bytes make them raise or lose track."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldproof.oracle import idx, trees, xrio

LINES = b"""\
2006-01-17 00:00:06.421153   24985  136.159.51.71:32769      380            0  58 52 49 4f 
2006-01-17 00:01:06.902381   24985  136.159.51.71:32769      380          380  58 52 49 4f 
2006-01-17 00:02:06.375104   24985  136.159.51.71:32769      380          760  58 52 49 4f 
2006-01-17 00:03:06.814618   24985  136.159.51.71:32769      380         1140  58 52 49 4f 
2006-01-17 00:04:06.285830   24985  136.159.51.71:32769      380         1520  58 52 49 4f 
2006-01-17 00:05:06.766924   24985  136.159.51.71:32769      380         1900  58 52 49 4f 
2006-01-17 00:06:06.228161   24985  136.159.51.71:32769      380         2280  58 52 49 4f 
2006-01-17 00:07:06.689275   24985  136.159.51.71:32769      380         2660  58 52 49 4f 
2006-01-17 00:08:06.150479   24985  136.159.51.71:32769      380         3040  58 52 49 4f 
2006-01-17 00:09:06.611591   24985  136.159.51.71:32769      380         3420  58 52 49 4f 
"""  # noqa: W291 -- each line of the 2006 text ends with a space


def packed(site=b"DAWS", stamp_s=1137513605, count=60, value=7):
    """A record of equal points."""
    header = struct.pack("<4s4scBHIHH", b"XRIO", site, b"0", 1, 0, stamp_s, count, 0)
    return header + struct.pack("<3H", value, 2, 60) * count


def test_the_ten_index_lines_of_2006():
    """Times, sizes and offsets of the published example."""
    entries, malformed = idx.parse(LINES)
    assert () == malformed
    assert [380 * n for n in range(10)] == [entry.offset for entry in entries]
    assert (1137456006421153000, 24985, "136.159.51.71:32769", 380, 0, b"XRIO") == entries[0]


@pytest.mark.parametrize(
    ("line", "first"),
    [
        (b"2006-01-17 00:00:06.421153 24985 [2001:db8::1]:32769 3 12345678901234 00 ff 0a\n", 3),
        (b"2006-01-17 00:00:06.421153   24985  192.0.2.1:4242      0            7  \n", 0),
    ],
)
def test_unusual_index_lines_are_read(line, first):
    """IPv6, a long offset, and datagrams of less than four bytes."""
    entries, malformed = idx.parse(line)
    assert ((), first) == (malformed, len(entries[0].first))


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"2006-01-17 00:00:06.421153 24985 a:1 380 0 58 52 49\n",
        b"2006-01-17 00:00:06.421153 24985 a:1 380 0 58 52 49 4F\n",
        b"2006-01-17 00:00:06.42115 24985 a:1 380 0 58 52 49 4f\n",
        b"2006-02-30 00:00:06.421153 24985 a:1 380 0 58 52 49 4f\n",
        b"2006-01-17 00:00:06.421153 24985 a:1 380 -1 58 52 49 4f\n",
        b"2006-01-17 00:00:06.421153 24985 a:1 380 0 58 52 49 4f",
    ],
)
def test_a_malformed_line_is_named_and_its_neighbours_are_read(line):
    """One bad line, or one without its newline, costs itself only."""
    entries, malformed = idx.parse(LINES + line)
    assert (10, (11,)) == (len(entries), malformed)


@given(
    st.binary(max_size=400) | st.lists(st.sampled_from(LINES.split()), max_size=30).map(b" ".join)
)
def test_an_index_of_any_bytes_is_read(data):
    """Every line is an entry or malformed, and nothing raises."""
    entries, malformed = idx.parse(data)
    lines = data.count(b"\n") + (not data.endswith(b"\n") and data != b"")
    assert lines == len(entries) + len(malformed)


def test_a_sound_file_is_read_as_one_array():
    """Offsets, stamps and points of three records."""
    records = xrio.decode(b"".join(packed(stamp_s=n) for n in (5, 65, 4294967295)), "daws")
    assert [0, 380, 760] == records.offsets.tolist()
    assert [5, 65, 4294967295] == records.timestamps_s.tolist()
    assert (180, ()) == (len(records.points), records.strays)
    assert (7, 2, 60) == records.points[0].item()


def test_site_ids_fold_and_others_are_strays():
    """Any case of the site is the site (R1-10); another site's record is not."""
    data = packed(b"DaWs") + packed(b"GILL") + packed(b"daws")
    records = xrio.decode(data, "daws")
    assert ([0, 760], ((380, 380),)) == (records.offsets.tolist(), records.strays)


@pytest.mark.parametrize("torn", [b"\0", packed()[:200], b"XRIO", packed()[4:]])
def test_torn_bytes_between_records_are_strays(torn):
    """The records around them are found again (T7)."""
    records = xrio.decode(packed() + torn + packed(), "daws")
    assert [0, 380 + len(torn)] == records.offsets.tolist()
    assert ((380, len(torn)),) == records.strays


def test_a_record_of_another_length_is_walked():
    """20 + 6 n bytes, where it ends at a header or at the end of the file (T19)."""
    records = xrio.decode(packed() + packed(count=25) + packed(), "daws")
    assert [60, 25, 60] == records.counts.tolist()
    assert [0, 380, 550] == records.offsets.tolist()


def test_a_count_that_points_nowhere_is_not_believed():
    """A flipped point count must not swallow the next record."""
    bad = bytearray(packed())
    bad[16] = 61
    records = xrio.decode(bytes(bad) + packed(), "daws")
    assert ([380], ((0, 380),)) == (records.offsets.tolist(), records.strays)


pieces = st.lists(
    st.binary(max_size=40) | st.sampled_from([packed(), packed(count=2), packed()[:97], b"XRIO"]),
    max_size=8,
)


@given(pieces.map(b"".join))
def test_records_and_strays_cover_any_file(data):
    """Each byte is in exactly one record or stray, whatever the file holds."""
    records = xrio.decode(data, "daws")
    spans = [*zip(records.offsets.tolist(), records.sizes.tolist(), strict=True), *records.strays]
    at = 0
    for offset, size in sorted(spans):
        assert at == offset
        at += size
    assert len(data) == at
    assert len(records.points) == records.counts.sum()


@given(st.lists(st.integers(0, 2**32 - 1), max_size=4), pieces.map(b"".join))
def test_both_ways_of_reading_agree(stamps, rest):
    """Records before anything else are read alike, as an array or by their headers."""
    data = b"".join(packed(stamp_s=stamp) for stamp in stamps)
    whole, walked = xrio.decode(data, "daws"), xrio.decode(data + b"\1" + rest, "daws")
    assert whole.offsets.tolist() == walked.offsets[: len(stamps)].tolist()
    assert stamps == walked.timestamps_s[: len(stamps)].tolist()


def test_files_are_found_where_their_names_say(tmp_path):
    """A path whose parts contradict each other is no hour file."""
    good = "riometer/2006/01/17/daws_xrio/20060117_16_daws_xrio.dat"
    for path in (
        good,
        "riometer/2006/01/18/daws_xrio/20060117_17_daws_xrio.dat",
        "riometer/2006/01/17/daws_xrio/20060117_24_daws_xrio.dat",
        "riometer/2006/01/17/daws_xrio/20060117_16_gill_xrio.dat",
        "riometer/2006/01/17/daws_xrio/20060117_16_daws_xrio.dat.torn",
        "udp/2006/01/17/192.0.2.9/ut16_24985.idx",
        "udp/2006/01/17/192.0.2.9/ut16_24985.dat",
        "udp/2006/13/17/192.0.2.9/ut16_24985.dat",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert ((1137513600, good),) == trees.hour_files(tmp_path, "daws")
    stem = "udp/2006/01/17/192.0.2.9/ut16_24985"
    assert ((1137513600, "192.0.2.9", 24985, stem),) == trees.arrival_files(tmp_path)
