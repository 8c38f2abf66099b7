"""What faults excuse: windows to the edge, and loss lines of the log one by one."""

import pytest

from fieldproof.faults import (
    CenterDown,
    Corrupt,
    DiskFull,
    Freeze,
    Kill,
    Lose,
    Outage,
    PowerCut,
    Reorder,
    at,
)
from fieldproof.oracle.clock import SECOND_NS as S
from fieldproof.oracle.clock import Clock
from fieldproof.oracle.excuses import (
    DiskLoss,
    LossLine,
    Window,
    apportion,
    bytes_of,
    excused,
    strike,
    windows,
)


def true_ns(text):
    """MM:SS after 16:00 as true ns."""
    return (int(text[3:5]) * 60 + int(text[6:8] or 0)) * S


def struck(*plan, felled=None):
    """Faults in true time."""
    return strike(plan, lambda text: true_ns(f"{text}:00"[:8]), felled or {})


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (at("16:10", Kill("daws", 10)), (538.9, 611.1, "kill")),
        (at("16:10", PowerCut("daws", 60)), (538.9, 661.1, "power cut")),
        (at("16:10", Freeze("daws"), until="16:11"), (598.9, 661.1, "host frozen")),
        (at("16:10", DiskFull("daws"), until="16:20"), (538.9, 1201.1, "disk full")),
    ],
)
def test_each_fault_excuses_its_window(fault, expected):
    """The open record of 60 s, the downtime, and 1.1 s for the broken second on each side."""
    (window,) = windows(struck(fault), "daws", (), open_ns=60 * S)
    from_s, until_s, cause = expected
    assert Window(round(from_s * S), round(until_s * S), cause, 0) == window
    assert () == windows(struck(fault), "gill", (), open_ns=60 * S)


@pytest.mark.parametrize("fault", [at("16:10", Lose("vsat")), at("16:10", Reorder("vsat"))])
def test_faults_of_the_link_excuse_no_sample(fault):
    """What happens to datagrams never costs the edge anything."""
    assert () == windows(struck(fault), "daws", (), open_ns=60 * S)


@pytest.mark.parametrize("lost", [1, 381, 16_371])
def test_a_power_cut_excuses_one_record_in_flight(lost):
    """Unsynced bytes move the window a minute back, however many they are."""
    cut = struck(at("16:10", PowerCut("daws", 60)))
    loss = DiskLoss("daws", 600 * S, "riometer/x.dat", lost)
    (window,) = windows(cut, "daws", [loss, loss._replace(at_ns=5)], open_ns=60 * S)
    assert round((600 - 60 - 60 - 1.1) * S) == window.from_ns


@pytest.mark.parametrize(("felled_s", "from_s"), [(650, 650), (599, 600), (721, 600)])
def test_a_power_cut_in_mid_write_is_where_the_log_says(felled_s, from_s):
    """If that is within two minutes after it was declared."""
    plan = (at("16:10", PowerCut("daws", 60, mid_write=True)),)
    (cut,) = struck(*plan, felled={0: felled_s * S})
    assert (from_s * S, (from_s + 60) * S) == (cut.from_ns, cut.until_ns)


def line(cause, at_s, fault=0, link="vsat", direction="up"):
    """A loss line of the log."""
    return LossLine(link, at_s * S, cause, fault, direction)


@pytest.mark.parametrize(
    ("fault", "lines", "expected"),
    [
        (at("16:10", Lose("vsat", 2)), [line("lose", 600 + n) for n in range(3)], "yes yes no"),
        (at("16:10", Lose("vsat")), [line("lose", 599), line("lose", 600)], "no yes"),
        (at("16:10", Lose("vsat")), [line("lose", 600, link="lte"), line("outage", 600)], "no no"),
        (at("16:10", Corrupt("vsat")), [line("lose", 600), line("corrupt", 600)], "no yes"),
        (
            at("16:10", Outage("vsat"), until="16:11"),
            [line("outage", at_s) for at_s in (599, 600, 660, 661)],
            "no yes yes no",
        ),
        (
            at("16:10", CenterDown(), until="16:11"),
            [line("host down", 630), line("host frozen", 630), line("host down", 661)],
            "yes no no",
        ),
        (at("16:10", Kill("daws", 10)), [line("host down", 605)], "no"),
        (at("16:10", Kill("daws", 10)), [line("host down", 605, direction="down")], "yes"),
        (at("16:10", Freeze("center"), until="16:11"), [line("host frozen", 630)], "yes"),
        (
            at("16:10", Lose("vsat")),
            [line(cause, 5, -1) for cause in ("loss", "limit", "outage")],
            "yes yes yes",
        ),
        (at("16:10", Lose("vsat")), [line("lose", 600, -1), line("loss", 600, 0)], "no no"),
        (at("16:10", Lose("vsat")), [line("lose", 600, 7), line("no listener", 600, -1)], "no no"),
    ],
)
def test_loss_lines_are_judged_by_cause_place_time_and_number(fault, lines, expected):
    """A fault is blamed for what it can do, where and while it does it, and no more often."""
    found = excused(lines, struck(fault), "center")
    assert expected.split() == ["yes" if one else "no" for one in found]


def test_a_gap_is_cut_where_windows_begin_and_end():
    """What lies between two windows is nobody's."""
    declared = [Window(10 * S, 20 * S, "kill", 0), Window(15 * S, 30 * S, "disk full", 1)]
    pieces = apportion((300, 2400), declared, lambda ns: ns * 60 // S)
    expected = [
        (300, 600, None),
        (600, 1200, "kill"),
        (1200, 1800, "disk full"),
        (1800, 2400, None),
    ]
    assert expected == [
        (piece.first, piece.last, piece.window and piece.window.cause) for piece in pieces
    ]


@pytest.mark.parametrize(
    ("samples", "expected"),
    [(0, 0), (29, 0), (30, 6), (60, 6), (600, 63), (3600, 380), (7200, 760)],
)
def test_samples_count_as_the_bytes_of_their_points(samples, expected):
    """380 bytes for 60 points, in whole points."""
    assert expected == bytes_of(samples)


def test_a_clock_goes_forth_and_back():
    """Every instant of a clock that stepped back and drifted is among those its UTC names."""
    clock = Clock(1000 * S, (50 * S,), 100 * S, ((0, 0, 0), (20 * S, -5 * S, 0), (70 * S, 0, 1000)))
    for true_s in range(100):
        instants = clock.instants_of(clock.utc_at(true_s * S))
        assert any(abs(instant_ns - true_s * S) <= 1 for instant_ns in instants)
    assert 2 == len(clock.instants_of(1017 * S))


def test_a_clock_names_its_own_ranges():
    """A step back makes two stretches of UTC that overlap."""
    clock = Clock(1000 * S, (), 100 * S, ((0, 0, 0), (20 * S, -5 * S, 0)))
    assert ((1010 * S, 1020 * S), (1015 * S, 1025 * S)) == clock.utc_ranges(10 * S, 30 * S)
