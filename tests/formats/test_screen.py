"""The screen of a whole file says what the flags of its records say."""

from hypothesis import given
from hypothesis import strategies as st

from fieldproof_reference.formats import xrio
from fieldproof_reference.formats.screen import nothing_odd

SITES = frozenset({"daws"})
SECOND = 1_137_456_005

near_limits = st.sampled_from(
    [0, 2037, 2038, 2040, 2058, 2059, 2400, 2404, 2409, 4095, 4096, 65535]
)
spreads = st.sampled_from([0, 2, 4, 300, 4095, 4096])
counts = st.sampled_from([0, 58, 59, 60, 61, 62, 316])


@st.composite
def records(draw):
    """Sound ones for the most part, with one odd second, one odd byte of the header, or neither."""
    average, spread = draw(st.sampled_from([2040, 2400, 4090])), draw(st.sampled_from([0, 4]))
    averages, ranges, numbers = [average] * 60, [spread] * 60, [60] * 60
    second = draw(st.integers(0, 59))
    if draw(st.booleans()):
        averages[second], ranges[second] = draw(near_limits), draw(spreads)
        numbers[second] = draw(counts)
    site = draw(st.sampled_from([b"DAWS", b"daws", b"Daws", b"gill", b"dawT"]))
    points = xrio.pack_points(averages, ranges, numbers)
    data = bytearray(xrio.pack(site, SECOND, points))
    data[draw(st.sampled_from([9, 10, 11, 18, 19]))] ^= draw(st.sampled_from([0, 0, 0, 1, 48]))
    return bytes(data)


@given(st.lists(records(), min_size=1, max_size=4))
def test_the_screen_agrees_with_the_flags(several):
    """Nothing is odd in a file where no record of it raises a flag, and only there."""
    expected = not any(xrio.flags(record, SITES) for record in several)
    assert expected == nothing_odd(b"".join(several), "daws")


def test_the_screen_lets_a_sound_file_pass():
    """Sixty quiet records are nothing odd, and one wild second among 3600 is."""
    quiet = xrio.pack(b"DAWS", SECOND, xrio.pack_points([2400] * 60, [4] * 60, [60] * 60))
    wild = quiet[:20] + b"\0\x0f" + quiet[22:]
    assert nothing_odd(quiet * 60, "daws")
    assert not nothing_odd(quiet * 40 + wild + quiet * 19, "daws")
