"""Index lines: the ten of 2006 byte for byte, round trips, and hostile lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldproof_contract import Address
from fieldproof_reference.formats import Malformed, idx
from fieldproof_reference.formats.idx import Entry

TEN_LINES = (
    b"2006-01-17 00:00:06.421153   24985  136.159.51.71:32769      380            0  58 52 49 4f \n"
    b"2006-01-17 00:01:06.902381   24985  136.159.51.71:32769      380          380  58 52 49 4f \n"
    b"2006-01-17 00:02:06.375104   24985  136.159.51.71:32769      380          760  58 52 49 4f \n"
    b"2006-01-17 00:03:06.814618   24985  136.159.51.71:32769      380         1140  58 52 49 4f \n"
    b"2006-01-17 00:04:06.285830   24985  136.159.51.71:32769      380         1520  58 52 49 4f \n"
    b"2006-01-17 00:05:06.766924   24985  136.159.51.71:32769      380         1900  58 52 49 4f \n"
    b"2006-01-17 00:06:06.228161   24985  136.159.51.71:32769      380         2280  58 52 49 4f \n"
    b"2006-01-17 00:07:06.689275   24985  136.159.51.71:32769      380         2660  58 52 49 4f \n"
    b"2006-01-17 00:08:06.150479   24985  136.159.51.71:32769      380         3040  58 52 49 4f \n"
    b"2006-01-17 00:09:06.611591   24985  136.159.51.71:32769      380         3420  58 52 49 4f \n"
)
ARRIVALS_US = (
    *(6421153, 66902381, 126375104, 186814618, 246285830),
    *(306766924, 366228161, 426689275, 486150479, 546611591),
)
MIDNIGHT_US = 1_137_456_000_000_000
SOURCE = Address("136.159.51.71", 32769)

hosts = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
ports = st.integers(0, 65535)
entries = st.builds(
    Entry,
    st.integers(0, 253_402_300_799_999_999).map(lambda us: us * 1000),
    ports,
    st.builds(Address, hosts, ports),
    st.integers(0, 65535),
    st.integers(0, 10**15),
    st.binary(max_size=4),
)


def test_the_ten_lines_of_2006():
    """The ten printed lines are reproduced byte for byte, trailing space included."""
    made = b"".join(
        idx.line(Entry((MIDNIGHT_US + us) * 1000, 24985, SOURCE, 380, 380 * n, b"XRIO"))
        for n, us in enumerate(ARRIVALS_US)
    )
    assert TEN_LINES == made


def test_the_ten_lines_are_read():
    """Reading the printed lines gives the arrivals that made them."""
    entries_read = [idx.parse(line) for line in TEN_LINES.splitlines(keepends=True)]
    assert [(MIDNIGHT_US + us) * 1000 for us in ARRIVALS_US] == [
        entry.arrived_utc_ns for entry in entries_read
    ]
    assert (
        Entry((MIDNIGHT_US + ARRIVALS_US[9]) * 1000, 24985, SOURCE, 380, 3420, b"XRIO")
        == (entries_read[9])
    )


def test_columns():
    """Port, size and offset end where the 2006 text has them, and the line has 91 characters."""
    line = TEN_LINES.splitlines()[1]
    assert (91, b"24985", b"380", b"380") == (len(line), line[29:34], line[61:64], line[74:77])
    assert line + b"\n" == idx.line(idx.parse(line))


@pytest.mark.parametrize(
    ("ending", "first"), [(b"  \n", b""), (b"  00 \n", b"\0"), (b"  58 52 49 \n", b"XRI")]
)
def test_short_datagrams_show_what_they_have(ending, first):
    """Fewer than four bytes are printed as far as they go, and none as none."""
    line = idx.line(Entry(0, 24985, SOURCE, len(first), 0, first))
    assert b"1970-01-01 00:00:00.000000   24985  136.159.51.71:32769" in line
    assert line.endswith(b" 0" + ending)


def test_ipv6_in_brackets():
    """An IPv6 source is bracketed, and a long one pushes the columns without touching the size."""
    source = Address("2001:db8:1234:5678:9abc:def0:1234:5678", 65535)
    line = idx.line(Entry(0, 24985, source, 65535, 10**13, b"XRIO"))
    assert b"[2001:db8:1234:5678:9abc:def0:1234:5678]:65535" == line.split()[3]
    assert (b"65535", b"10000000000000") == tuple(line.split()[4:6])
    assert source == idx.parse(line).source


@given(entries)
def test_round_trip(entry):
    """What a line says is what it was made from, to the microsecond, on one line."""
    line = idx.line(entry)
    assert entry == idx.parse(line)
    assert 1 == line.count(b"\n")
    assert entry == idx.parse(b"  ".join(line.split()[:1] + line.split()[1:]))


def test_time_is_cut_to_microseconds():
    """The last nanosecond of a second does not become the next second."""
    line = idx.line(Entry(59_999_999_999, 1, SOURCE, 0, 0, b""))
    assert line.startswith(b"1970-01-01 00:00:59.999999 ")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        TEN_LINES[:60],
        TEN_LINES[:180],
        TEN_LINES[:92].replace(b"01-17", b"02-30"),
        TEN_LINES[:92].replace(b"00:00:06", b"24:00:06"),
        TEN_LINES[:92].replace(b"58 52", b"58 5"),
        TEN_LINES[:92].replace(b"4f", b"4f 00"),
        TEN_LINES[:92].replace(b"24985", b"-4985"),
        TEN_LINES[:92].replace(b"136.159.51.71", b"2001:db8::1"),
    ],
)
def test_no_line(line):
    """Torn, doubled, misdated or otherwise broken lines are refused."""
    with pytest.raises(Malformed):
        idx.parse(line)


@given(
    st.binary(max_size=120)
    | st.tuples(st.integers(0, 91), st.binary(min_size=1, max_size=1)).map(
        lambda change: TEN_LINES[: change[0]] + change[1] + TEN_LINES[change[0] + 1 : 92]
    )
)
def test_hostile_lines(line):
    """Any bytes are an entry or `Malformed`, and nothing else."""
    try:
        entry = idx.parse(line)
    except Malformed:
        return
    assert entry == idx.parse(idx.line(entry))
