"""Faults of a serial line excuse samples and values of their window, and nothing else.

In the story of conftest.py, daws hears something else than what its riometer sent."""

from itertools import pairwise

import numpy as np
import pytest

from fieldproof.checks import accounted, identical
from fieldproof.faults import (
    BurstLoss,
    Cooked,
    DropBytes,
    Garble,
    Stall,
    Unplug,
    XonXoff,
    at,
)
from fieldproof.judge import judge
from fieldproof.oracle.excuses import EDGE_NS, STARTUP_NS, Struck, Window, line_windows
from fieldproof.verdict import Verdict

ORACLE = "identical(*, oracle)"
RECORD = "16:10:05"


def failing(history):
    """The names of the claims that do not hold."""
    history.checks = (identical("*", to="oracle"), accounted())
    report = judge(history.write())
    assert not any(claim.harness_fault for claim in report.claims), report.claims
    return {claim.name for claim in report.claims if claim.verdict is not Verdict.PASS}


def hurt(history, timed):
    """One more fault in the story, which acts as often as it was to."""
    history.faults = (*history.faults, timed)
    history.fired = [*history.fired, getattr(timed.fault, "count", 1)]


@pytest.fixture
def hears(history, kit):
    """A function that replaces what daws hears from second `first` on, of the record of RECORD, by
    other codes for each of some seconds."""

    def replace(first, *heard):
        label_s = kit.clock_s(RECORD)
        riometer = history.riometers["daws"]
        seconds_ns = (np.arange(61) + label_s - kit.BEGINS_S) * kit.S
        bounds = riometer.firsts_at(seconds_ns).tolist()
        sent = [riometer.codes(*pair) for pair in pairwise(bounds)]
        seconds = [*sent[:first], *heard, *sent[first + len(heard) :]]
        points = [kit.measure(codes) if len(codes) else (0, 0, 0) for codes in seconds]
        number = history.number_of("daws", RECORD)
        history.replace("daws", number, kit.pack("daws", label_s, points))

    def sent(second):
        first_ns = (kit.clock_s(RECORD) + second - kit.BEGINS_S) * kit.S
        riometer = history.riometers["daws"]
        return riometer.codes(riometer.first_at(first_ns), riometer.first_at(first_ns + kit.S))

    return replace, sent


def dropped(codes, rng):
    """One sample of the second is missing."""
    return np.delete(codes, 30)


def glued(codes, rng):
    """Two samples became one: the upper half of the first with the lower half of the other."""
    halves = (int(codes[30]) & 0xFC0) | (int(codes[31]) & 0x3F)
    return np.concatenate((codes[:30], np.array([halves ^ 0x15], codes.dtype), codes[32:]))


def doubled(codes, rng):
    """Garbage passed for one more sample."""
    return np.insert(codes, 30, 99)


def garbled(codes, rng):
    """Every third sample is another, and some are none."""
    wrong = codes.copy()
    wrong[::3] ^= rng.integers(1, 64, len(wrong[::3])).astype(codes.dtype)
    return np.delete(wrong, rng.integers(0, len(codes), 3))


FAULTS = {
    "drop": (at("16:10:25.5", DropBytes("daws", 2)), 1),
    "burst": (at("16:10:25.5", BurstLoss("daws", 2)), 1),
    "garble": (at("16:10:25", Garble("daws", 20), until="16:10:45"), 20),
    "stall": (at("16:10:25", Stall("daws"), until="16:10:28"), 3),
    "cooked": (at("16:10:25", Cooked("daws"), until="16:10:35"), 10),
    "flow": (at("16:10:25", XonXoff("daws"), until="16:10:35"), 10),
}


@pytest.mark.parametrize("change", [dropped, glued, doubled, garbled])
@pytest.mark.parametrize("kind", FAULTS)
def test_what_a_bad_line_brought_is_excused(history, hears, kind, change):
    """Wrong, missing and additional samples in the window of a fault of the line; all before and
    behind it is judged as ever."""
    replace, sent = hears
    timed, seconds = FAULTS[kind]
    rng = np.random.default_rng(7)
    replace(20, *(change(sent(20 + second), rng) for second in range(seconds)))
    assert {ORACLE} <= failing(history)
    hurt(history, timed)
    assert set() == failing(history)


@pytest.mark.parametrize("kind", FAULTS)
def test_what_a_bad_line_did_not_bring_is_not_excused(history, hears, kind):
    """A wrong value some seconds behind the window is the edge's."""
    replace, sent = hears
    timed, seconds = FAULTS[kind]
    hurt(history, timed)
    replace(20 + seconds + 3, doubled(sent(20 + seconds + 3), None))
    assert {ORACLE} == failing(history)


def test_an_unplugged_cable_excuses_samples_and_no_value(history, hears):
    """Seconds without a sample are the cable's; a wrong average is the edge's."""
    replace, sent = hears
    hurt(history, at("16:10:25.5", Unplug("daws"), until="16:10:30"))
    silence = np.empty(0, sent(20).dtype)
    replace(20, sent(20)[:30], *(silence,) * 4)
    assert set() == failing(history)
    replace(20, garbled(sent(20), np.random.default_rng(7)), *(silence,) * 4)
    assert {ORACLE} == failing(history)


def test_another_sites_line_excuses_nothing(history, hears):
    """A fault hurts the line that it names."""
    replace, sent = hears
    timed, _ = FAULTS["garble"]
    hurt(history, at(timed.when, Garble("gill", 20), until=timed.until))
    replace(20, doubled(sent(20), None))
    assert {ORACLE} == failing(history)


S = 1_000_000_000


@pytest.mark.parametrize(
    ("fault", "until_s", "ends_s", "cause"),
    [
        (Unplug("daws"), 70, 70 + STARTUP_NS / S, "unplugged"),
        (Garble("daws"), 70, 70, "garbled"),
        (Stall("daws"), 70, 70, "line stalled"),
        (Cooked("daws"), 70, 70, "cooked mode"),
        (XonXoff("daws"), 70, 70, "flow control"),
        (DropBytes("daws", 120), None, 77, "bytes dropped"),
        (BurstLoss("daws", 119), None, 61, "burst lost"),
    ],
)
def test_each_fault_of_a_line_has_its_window(fault, until_s, ends_s, cause):
    """As long as it lasted, or as its bytes take at 120 a second, and until a port is open again;
    what was heard before is not at stake."""
    struck = (Struck(fault, 60 * S, until_s and until_s * S),)
    (window,) = line_windows(struck, "daws", STARTUP_NS)
    about = pytest.approx(round(ends_s * S) + EDGE_NS, abs=S / 1000)
    assert Window(60 * S - EDGE_NS, window.until_ns, cause, 0) == window
    assert about == window.until_ns
    assert () == line_windows(struck, "gill")
