"""Captures that others can read, figures that are what they say, errors that say why."""

import select
import subprocess
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livelinks import BEGINS_UTC_NS, CENTER, MS, PORT, Bench, asking, captured, lines, up

from fieldproof_simulators.links.impairments import Impairments
from fieldproof_simulators.links.live.evidence import BATCH_BYTES, Capture, Facts
from fieldproof_simulators.links.live.figures import (
    KEPT,
    Rate,
    Timing,
    mean_loss_percent,
    percentile_ms,
)
from fieldproof_simulators.links.live.ip import udp
from fieldproof_simulators.links.live.iproute import explain
from fieldproof_simulators.links.live.timer import Timer
from fieldproof_simulators.links.losses import FourState, GilbertElliott, RandomLoss

SECOND = 1000 * MS


@pytest.fixture
def hurt(tmp_path):
    """The folder of a run in which a link damaged a part of 200 records."""
    with Bench(tmp_path, asking(Impairments(delay_ns=300 * MS, corrupt_percent=20))) as bench:
        for number in range(200):
            bench.time_ns = number * 10 * MS
            bench.send(bench.site, up(b"record %03d" % number))
        bench.let_pass()
        lost = bench.link.tallies["up", "telemetry"].lost_packets
    assert 20 < lost < 60
    return tmp_path, lost


def test_a_capture_is_readable_at_any_time(tmp_path):
    """Header and whole packets are on disk after a flush, stamped with true UTC."""
    capture = Capture(tmp_path / "new" / "x.pcap", BEGINS_UTC_NS)
    packets = [udp(("10.0.0.1", 1), ("10.0.0.2", 2), bytes(size)) for size in (0, 1, 1472)]
    for number, raw in enumerate(packets):
        capture.packet(number * 1_500_000_007, raw)
        capture.flush()
        assert number + 1 == len(captured(tmp_path / "new" / "x.pcap"))
    capture.close()
    expected = [(BEGINS_UTC_NS + n * 1_500_000_007, raw) for n, raw in enumerate(packets)]
    assert expected == captured(tmp_path / "new" / "x.pcap")


def test_a_capture_does_not_wait_for_ever(tmp_path):
    """What fills a batch is written without being asked for."""
    capture = Capture(tmp_path / "x.pcap", 0)
    raw = udp(("10.0.0.1", 1), ("10.0.0.2", 2), bytes(1400))
    for number in range(BATCH_BYTES // len(raw) + 1):
        capture.packet(number, raw)
    assert (tmp_path / "x.pcap").stat().st_size > BATCH_BYTES
    capture.close()


@pytest.mark.needs("tshark")
def test_an_independent_reader_sees_the_same(hurt):
    """tshark counts the packets, finds the damaged ones and no other by their checksums, and reads
    the times to the nanosecond."""
    folder, lost = hurt
    for which, damaged in (("offered", 0), ("delivered", lost)):
        asked = ["-o", "udp.check_checksum:TRUE", "-T", "fields", "-e", "frame.time_epoch"]
        fields = [*asked, "-e", "udp.checksum.status", "-e", "udp.dstport", "-e", "ip.dst"]
        done = subprocess.run(
            ["tshark", "-n", "-r", folder / f"vsat-{which}.pcap", *fields],
            capture_output=True,
            text=True,
            check=True,
        )
        rows = [line.split("\t") for line in done.stdout.splitlines()]
        seen = captured(folder / f"vsat-{which}.pcap")
        assert [f"{ns // SECOND}.{ns % SECOND:09}" for ns, _ in seen] == [row[0] for row in rows]
        assert damaged == sum(row[1] in {"0", "Bad"} for row in rows)
        assert {(str(PORT), CENTER)} == {(row[2], row[3]) for row in rows}


def test_a_damaged_packet_is_in_the_capture_as_it_came(hurt):
    """Offered and delivered differ in one bit of each damaged record, and in nothing else."""
    folder, lost = hurt
    offered, delivered = (captured(folder / f"vsat-{w}.pcap") for w in ("offered", "delivered"))
    flips = [
        (int.from_bytes(sent) ^ int.from_bytes(came)).bit_count()
        for (_, sent), (_, came) in zip(offered, delivered, strict=True)
    ]
    assert [0] * (200 - lost) + [1] * lost == sorted(flips)


def test_facts_are_shown_once_and_kept_in_the_file(tmp_path):
    """Who looks on sees each fact once, or at least how many there were more."""
    facts = Facts(tmp_path / "facts.jsonl")
    for number in range(Facts.KEPT + 5):
        facts.say(number, "vsat", "lost", {"fault": -1})
    shown, unshown = facts.latest()
    assert (Facts.KEPT, 5) == (len(shown), unshown)
    assert ([], 0) == facts.latest()
    facts.close()
    written = lines(tmp_path / "facts.jsonl")
    assert shown == written[: Facts.KEPT]
    assert {"ns": 104, "where": "vsat", "what": "lost", "fault": -1} == written[-1]


# --- figures --------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=300), st.integers(1, 100))
def test_a_percentile_is_a_value_that_enough_do_not_exceed(values, percent):
    """So many percent are at most that, and the next smaller value would be too few."""
    ascending = sorted(values)
    found_ns = round(percentile_ms(ascending, percent) * MS)
    assert found_ns in values
    assert 100 * sum(value <= found_ns for value in values) >= percent * len(values)
    assert 100 * sum(value < found_ns for value in values) < percent * len(values)


def test_timing_takes_a_bounded_sample_and_the_true_maximum():
    """Of many packets some are kept, evenly, and the largest is never missed."""
    timing = Timing()
    for number in range(3 * KEPT):
        timing.add(number, 2 * number)
    timing.add(10**9, 0)
    assert len(timing._kept) < KEPT
    figures = timing.figures()
    assert 1.5 * KEPT / MS == pytest.approx(figures["late_p50_ms"], rel=0.01)
    assert 2.97 * KEPT * 2 / MS == pytest.approx(figures["delay_p99_ms"], rel=0.01)
    assert 1000 == figures["late_max_ms"]


@given(st.lists(st.integers(1, 400), min_size=2, max_size=40), st.integers(1, 10_000))
def test_a_steady_flow_has_its_rate(steps_ms, bit_ms):
    """However it is looked at, the busiest second of a steady flow is no busier than the flow."""
    rate, now_ms = Rate(), 0
    for step_ms in steps_ms:
        now_ms += step_ms
        rate.look(now_ms * MS, now_ms * bit_ms)
    assert rate.busiest_bit_s <= 1000 * bit_ms
    if now_ms >= 1000:
        assert 1000 * bit_ms == rate.busiest_bit_s


def test_the_busiest_second_is_remembered():
    """A burst shows in the figure after it is long over, and the present rate forgets it."""
    rate = Rate()
    for second, bits in enumerate((0, 100, 1100, 1100, 1100)):
        rate.look(second * SECOND, bits)
    assert (0, 1000) == (rate.bit_s, rate.busiest_bit_s)


@pytest.mark.parametrize(
    ("loss", "percent"),
    [
        (None, 0),
        (RandomLoss(0.11), 0.11),
        (GilbertElliott(1, 20, 90, 0.1), (0.1 * 20 + 90) / 21),
        (GilbertElliott(0, 0, 100, 3), 3),
        (FourState(1), None),
    ],
)
def test_what_is_asked_is_a_mean_loss(loss, percent):
    """The mean of a loss model is told where there is a formula for it."""
    assert percent == mean_loss_percent(loss)


# --- timer and errors -----------------------------------------------------------------------------


def test_a_timer_rings_when_it_is_time():
    """It is silent before its time, rings from then on, and is silent when set anew or stopped."""
    timer = Timer()
    begin_ns = time.monotonic_ns()
    timer.set(begin_ns + 20 * MS)
    assert [timer] == select.select((timer,), (), (), 5)[0]
    assert time.monotonic_ns() >= begin_ns + 20 * MS
    assert [timer] == select.select((timer,), (), (), 0)[0]
    timer.set(begin_ns + 3600 * SECOND)
    assert [] == select.select((timer,), (), (), 0)[0]
    timer.set(begin_ns)
    assert [timer] == select.select((timer,), (), (), 5)[0]
    timer.stop()
    assert [] == select.select((timer,), (), (), 0)[0]
    timer.close()


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            "RTNETLINK answers: Operation not permitted\nCommand failed -:2\n",
            "`ip link set lo up` failed: Operation not permitted.",
        ),
        (
            'Error: argument "x" is wrong.\nCommand failed -:1\n',
            '`ip address add x dev lo` failed: argument "x" is wrong.',
        ),
        ("", "`ip address add x dev lo` failed: it does not say why."),
        ("noise\nCommand failed -:99\n", "`ip link set lo up` failed: noise."),
    ],
)
def test_a_failed_command_is_named_with_its_reason(said, sentence):
    """Of a batch, the sentence has the command that failed and what was said."""
    assert sentence == explain(["address add x dev lo", "link set lo up"], said)
