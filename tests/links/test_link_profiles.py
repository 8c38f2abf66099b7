"""The named links."""

from dataclasses import replace

import pytest

from fieldproof_simulators.links.netem import LinkModel
from fieldproof_simulators.links.profiles import OVERHEAD_BYTES, PROFILES, profile

IP_RECORD_BYTES = 408
"""One 380-byte riometer record with its UDP and IP headers."""


def test_an_unknown_profile_names_the_known_ones():
    """The error lists every name that would have worked."""
    with pytest.raises(
        ValueError, match=r"No link profile is named 'dawson': choose from"
    ) as error:
        profile("dawson")
    assert all(name in str(error.value) for name in PROFILES)


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_says_where_its_figures_come_from(name):
    """Each has the name it is found by and a source, and those that admit doubt are marked."""
    found = profile(name)
    assert name == found.name
    assert found.source
    guessed = {"geo-vsat", "iridium-dialup", "lte-remote"}
    assert found.unverified == (name in guessed or name.startswith("certus-"))


def test_perfect_is_a_control():
    """The perfect link passes a record at once."""
    assert 7 == LinkModel(profile("perfect").up, 0).send(7, IP_RECORD_BYTES).copies[0].due_ns


def test_dawson_takes_a_record_in_about_a_third_of_a_second():
    """300 +- 20 ms and 26.375 ms of serialisation, and not one record of a month is lost."""
    model = LinkModel(profile("dawson-2005").up, 1)
    minute_ns = 60_000_000_000
    delays_ms = [
        (model.send(minute * minute_ns, IP_RECORD_BYTES).copies[0].due_ns - minute * minute_ns)
        / 1_000_000
        for minute in range(44_640)
    ]
    assert 306.375 == pytest.approx(min(delays_ms), abs=0.01)
    assert 346.375 == pytest.approx(max(delays_ms), abs=0.01)


def test_dawson_lossy_differs_by_its_losses_only():
    """The lossy twin is the same line with 0.11 % random loss and outages."""
    clean, lossy = profile("dawson-2005"), profile("dawson-2005-lossy")
    assert clean.up == replace(lossy.up, loss=None)
    assert clean.down == replace(lossy.down, loss=None)
    assert 0.11 == lossy.up.loss.percent == lossy.down.loss.percent
    assert clean.outages is None
    assert lossy.outages is not None


def test_a_rate_counts_the_overhead_of_its_layer():
    """A profile whose rate and layer disagree cannot be made."""
    dawson = profile("dawson-2005")
    assert OVERHEAD_BYTES["ethernet"] == dawson.up.overhead_bytes
    with pytest.raises(ValueError, match="gives its rate at layer ppp: set overhead_bytes to 8"):
        replace(dawson, layer="ppp")
