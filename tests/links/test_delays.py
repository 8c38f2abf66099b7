"""Delay tables and their arithmetic."""

import struct
from hashlib import sha256

import pytest

from fieldproof_simulators.links.delays import delay_source, deviates, tabled_delays_ns

IPROUTE2_TABLES_SHA256 = {
    "normal": "ea496767068d0be9eb46cb69ee90470105525b9090a6d479dadf04db0f3d44a5",
    "pareto": "bb133e76721f7df4fd75dd647aad368fa8e9eaf9b9797fc8d208dde5f9ffbd2a",
    "paretonormal": "ca372e5f4871aa11f38e71c82bd18e074e068f0704291e8a859ebd1aaee2f9f1",
}


@pytest.mark.parametrize("distribution", IPROUTE2_TABLES_SHA256)
def test_tables_equal_iproute2s(distribution):
    """All 4096 entries equal those in iproute2's `.dist` file (hash of little-endian int16)."""
    packed = struct.pack("<4096h", *deviates(distribution))
    assert IPROUTE2_TABLES_SHA256[distribution] == sha256(packed).hexdigest()


def test_uniform_has_no_table():
    """Asking for the table of the distribution that has none is an error."""
    with pytest.raises(ValueError, match="uniform delay distribution has no table"):
        deviates("uniform")


def test_scaling_truncates_toward_zero():
    """One jitter of 8191 ns: the deviates -1 and 1 round to -1 and 1, as C divides."""
    table, delays_ns = deviates("normal"), tabled_delays_ns(0, 8191, "normal")
    nearest = dict(zip(table, delays_ns, strict=True))
    smallest = min(deviate for deviate in table if deviate > 0)
    assert (smallest * 8191 + 4096) // 8192 == nearest[smallest]
    largest = max(deviate for deviate in table if deviate < 0)
    assert -((-largest * 8191 + 4096) // 8192) == nearest[largest]


@pytest.mark.parametrize(("drawn", "delay_ns"), [(0, 30), (39, 69), (40, 30), (0xFFFFFFFF, 45)])
def test_uniform_spreads_from_latency_minus_jitter_upward(drawn, delay_ns):
    """`draw mod 2J + T - J`: the upper end itself is never reached."""
    assert delay_ns == delay_source(50, 20, "uniform", lambda: drawn)()


def test_no_jitter_draws_nothing():
    """A constant delay does not touch the generator."""

    def draw():
        raise AssertionError("drew")

    assert 50 == delay_source(50, 0, "normal", draw)()
