"""The sky over a riometer, and the detector's law."""

import ast
import math
from pathlib import Path

import numpy as np
import pytest

from fieldproof_simulators.instruments import absorption, sky, voltage
from fieldproof_simulators.instruments.absorption import absorption_mdb, events_of
from fieldproof_simulators.instruments.sites import DEFAULT_SITES, SITES

DAY_2006_01_17 = 13_165
DAY_NS = 86_400 * 10**9
MINUTES_NS = DAY_2006_01_17 * DAY_NS + np.arange(1440) * 60 * 10**9


def test_cosine_is_the_cosine():
    """The series agrees with the C library to 1e-9 over several turns of either sign."""
    turns = np.arange(-300, 300) / 97
    expected = [math.cos(2 * math.pi * turn) for turn in turns.tolist()]
    assert expected == pytest.approx(sky.cosine(turns).tolist(), abs=1e-9)


def test_bell_is_nearly_gaussian():
    """The bell stays within 0.02 of a Gaussian and ends at zero."""
    z = np.arange(-70, 71) / 10
    expected = [math.exp(-x * x / 2) for x in z.tolist()]
    assert expected == pytest.approx(sky.bell(z).tolist(), abs=0.02)
    assert 0.0 == sky.bell(np.array([5.7]))[0]


def test_quiet_day_comes_236_seconds_earlier_the_next_day():
    """The curve follows the stars: it repeats after 23 h 56 min 4 s, and not after 24 h."""
    today = sky.quiet_day_volts(MINUTES_NS, -139.4)
    sidereal = sky.quiet_day_volts(MINUTES_NS + DAY_NS - 236 * 10**9, -139.4)
    solar = sky.quiet_day_volts(MINUTES_NS + DAY_NS, -139.4)
    assert np.abs(today - sidereal).max() < 1e-4
    assert np.abs(today - solar).max() > 1e-2


def test_quiet_day_reaches_eastern_sites_earlier():
    """Fifteen degrees of longitude are one sidereal hour."""
    west = sky.quiet_day_volts(MINUTES_NS, -124.4)
    east_ns = MINUTES_NS - round(3600e9 * 86_164.0905 / 86_400)
    assert np.abs(west - sky.quiet_day_volts(east_ns, -109.4)).max() < 1e-4


def test_scintillation_is_slow_and_one_percent():
    """The level scintillates by 1 % overall, and by far less from knot to knot."""
    relative = sky.scintillation(1, np.arange(400_000))
    assert 0.01 == pytest.approx(relative.std(), rel=0.05)
    assert np.abs(np.diff(relative)).max() < 0.001


def test_calibrated_day_has_its_four_events():
    """Dawson, 2006-01-17: the deepest minute is 18:24 UT with 3 dB and up to a quarter more."""
    dimming = absorption_mdb("daws", 1, MINUTES_NS)
    assert 18 * 60 + 24 == int(dimming.argmax())
    assert 3_000 <= dimming.max() <= 3_750


def test_calibrated_day_does_not_depend_on_the_seed():
    """The day that is judged by its byte count has the same sky under every seed."""
    assert events_of("daws", 1, DAY_2006_01_17) == events_of("daws", 2, DAY_2006_01_17)


def test_drawn_events_are_plausible():
    """Over a year of days events are 1 to 3.4 dB deep and 10 to 90 minutes wide at half depth."""
    events = [event for day in range(365) for event in events_of("gill", 5, day)]
    full_widths_min = [event.sigma_s * 2.3548 / 60 for event in events]
    assert 365 < len(events) < 4 * 365
    assert min(event.depth_mdb for event in events) >= 1_000
    assert max(event.depth_mdb for event in events) <= 3_400
    assert min(full_widths_min) >= 10
    assert max(full_widths_min) <= 90


def test_absorption_reaches_over_midnight():
    """Asking for two days together or one by one gives the same dimming, midnight included."""
    both_ns = np.concatenate([MINUTES_NS, MINUTES_NS + DAY_NS])
    parts = [absorption_mdb("gill", 5, MINUTES_NS + n * DAY_NS) for n in range(2)]
    assert np.concatenate(parts).tolist() == absorption_mdb("gill", 5, both_ns).tolist()


@pytest.mark.parametrize("law", [voltage.DETECTOR, voltage.LINEAR], ids=["detector", "linear"])
def test_law_inverts(law: voltage.VoltageLaw):
    """Power to volts and back is the same power to a few thousandths of a decibel."""
    power_mdb = np.arange(-29_900, 1, 7, dtype=np.int64)
    assert np.abs(power_mdb - law.power_mdb(law.microvolts(power_mdb))).max() <= 2


@pytest.mark.parametrize("law", [voltage.DETECTOR, voltage.LINEAR], ids=["detector", "linear"])
def test_law_clamps_at_both_ends(law: voltage.VoltageLaw):
    """No power gives more than 7.5 V, and below 30 dB the output stays at its floor."""
    ends = law.microvolts(np.array([-60_000, -30_000, 0, 5_000], dtype=np.int64)).tolist()
    assert (ends[1], 7_500_000, 7_500_000) == (ends[0], ends[2], ends[3])


@pytest.mark.parametrize(
    ("top_mdb", "bottom_mdb", "exponent"),
    [
        (0, -5_000, 0.41),
        (-5_000, -10_000, 0.37),
        (-10_000, -20_000, 0.33),
        (-20_000, -25_000, 0.28),
        (-25_000, -30_000, 0.18),
    ],
)
def test_detector_has_the_published_exponents(top_mdb: int, bottom_mdb: int, exponent: float):
    """Over each published range, volts go as power to the published exponent."""
    top, bottom = voltage.DETECTOR.microvolts(np.array([top_mdb, bottom_mdb])).tolist()
    decades = (top_mdb - bottom_mdb) / 10_000
    assert exponent == pytest.approx(math.log10(top / bottom) / decades, abs=1e-5)


def test_linear_law_is_linear():
    """A tenth of the power gives a tenth of the volts."""
    assert [750_000, 75_000] == voltage.LINEAR.microvolts(np.array([-10_000, -20_000])).tolist()


def test_default_sites_are_twelve():
    """Twelve of the thirteen sites report, and Contwoyto Lake is the one that does not."""
    assert {"cont"} == SITES.keys() - set(DEFAULT_SITES)
    assert 12 == len(DEFAULT_SITES)


def test_instruments_use_no_function_whose_last_bit_may_differ():
    """No numpy function but elementary ones: sin, exp, interp and the like differ between CPUs."""
    forbidden = {"sin", "cos", "tan", "exp", "log", "log10", "power", "interp", "linspace", "dot"}
    sources = sorted(Path(absorption.__file__).parent.glob("*.py"))
    used = {
        node.attr
        for source in sources
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "np"
    }
    assert set() == used & forbidden
    assert "arange" in used
