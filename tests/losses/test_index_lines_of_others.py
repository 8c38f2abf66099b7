"""Index lines that we did not write: split on whitespace, and told where they cannot be read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldproof_reference.center import arrivals
from fieldproof_reference.formats import Malformed, idx

MIDNIGHT_S = 1_137_456_000
LINES_2006 = b"""\
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
"""  # noqa: W291  the lines of 2006 end with a space
FIRST = LINES_2006.splitlines()[0]


def test_the_ten_lines_of_2006_are_read():
    """Each printed line gives its microsecond, size, offset and bytes, and none is refused."""
    index = arrivals.read(LINES_2006, MIDNIGHT_S // 3600)
    seconds = (6.421153, 66.902381, 126.375104, 186.814618, 246.285830)
    assert [round((MIDNIGHT_S + second) * 1e6) * 1000 for second in seconds] == [
        arrival.utc_ns for arrival in index.arrivals[:5]
    ]
    assert [(380, 380 * row, b"XRIO") for row in range(10)] == [each[1:] for each in index.arrivals]
    assert ((), 10) == (index.unread, index.lines)


@pytest.mark.parametrize(
    "line",
    [
        b"\t".join(FIRST.split()),
        b"   " + FIRST,
        FIRST.replace(b"136.159.51.71", b"[2001:db8:1234:5678:9abc:def0:1234:5678]"),
        FIRST.replace(b"58 52 49 4f", b"58 52 49 4F and more"),
        FIRST[: FIRST.index(b" 58")],
        FIRST.replace(b".421153", b""),
        FIRST.replace(b".421153", b".421153000"),
        FIRST.replace(b"24985", b"0024985"),
        FIRST + b"\r",
    ],
)
def test_columns_do_not_matter(line):
    """Tabs, brackets, long fields and missing bytes shift columns, and the line says the same."""
    assert (380, 0) == arrivals.parse(line)[1:3]
    assert MIDNIGHT_S + 6 == arrivals.parse(line).utc_ns // 10**9


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"", "0 of six fields"),
        (FIRST[:40], "of six fields"),
        (b"\0" * 92, "of six fields"),
        (FIRST.replace(b"01-17", b"02-30"), "'2006-02-30' is no date"),
        (FIRST.replace(b"00:00:06", b"24:00:06"), "begins no time"),
        (FIRST.replace(b"00:00:06", b"00:60:06"), "is no time"),
        (FIRST.replace(b"00:00:06", b"00-00-06"), "begins no time"),
        (FIRST.replace(b"00:00:06", b"00:00:61"), "is no time"),
        (FIRST.replace(b"24985", b"-4985"), "'-4985' is no number"),
        (FIRST.replace(b":32769", b""), "'136.159.51.71' is no number"),
        (FIRST.replace(b" 380", b" 3_8"), "'3_8' is no number"),
        (FIRST.replace(b" 380", "\u0663 ".encode()), "is no number"),
    ],
)
def test_what_is_no_line(line, why):
    """A line that cannot be read is refused, in words that say what is odd about it."""
    with pytest.raises(Malformed, match=why):
        arrivals.parse(line)


def test_unread_lines_are_told_by_number():
    """Bad lines cost themselves alone; a torn last line is told, and `wc -l` does not count it."""
    first, second, third = LINES_2006.splitlines(keepends=True)[:3]
    data = first + b"rubbish\n" + second + third.replace(b"00:02", b"03:02") + third[:-1]
    index = arrivals.read(data, MIDNIGHT_S // 3600)
    assert [0, 380] == [arrival.offset for arrival in index.arrivals]
    assert ([2, 4, 5], 4) == ([each.line for each in index.unread], index.lines)
    whys = [each.why for each in index.unread]
    assert "it is dated outside of the hour of its file" == whys[1]
    assert "the last line has no end" == whys[2]


fields = st.sampled_from(
    [b"2006-01-17", b"00:00:06.4", b"24985", b"1.2.3.4:5", b"[::1]:5", b"380", b"0", b"58", b"zz"]
)
lines = st.binary(max_size=100) | st.lists(fields | st.binary(max_size=8), max_size=11).map(
    b" ".join
)


@given(st.lists(lines, max_size=8), st.sampled_from([None, MIDNIGHT_S // 3600]))
def test_any_bytes_are_read_or_told(texts, hour):
    """Each line of any file is an arrival or is told, and lines are counted as `wc` does."""
    data = b"\n".join(texts)
    index = arrivals.read(data, hour)
    assert data.count(b"\n") == index.lines
    torn = bool(data.split(b"\n")[-1])
    assert index.lines + torn == len(index.arrivals) + len(index.unread)
    numbers = [each.line for each in index.unread]
    assert sorted(set(numbers)) == numbers


@given(
    st.integers(0, 253_402_300_799_999_999),
    st.ip_addresses().map(str),
    st.integers(0, 65_535),
    st.integers(0, 10**15),
    st.binary(max_size=4),
)
def test_our_own_lines_are_read_alike(arrived_us, host, size, offset, first):
    """What our receiver writes means the same to the loss report as to the validation."""
    entry = idx.Entry(arrived_us * 1000, 24985, idx.Address(host, 5), size, offset, first)
    arrival = arrivals.parse(idx.line(entry))
    assert (arrived_us * 1000, size, offset, first) == tuple(arrival)
