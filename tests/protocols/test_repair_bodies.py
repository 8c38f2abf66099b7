"""The bodies of a repair: codecs, fall-backs, sizes, bounds on what a reader unpacks."""

import lzma
import random
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldproof_reference.formats import xrio
from fieldproof_reference.protocols.repair import Codec, Gap, Malformed, pack_body, unpack_body

DAY = 13_165  # 2006-01-17
ROOM = 100_000
GAPS = (Gap(58_925, 59_045), Gap(67_205, 67_325), Gap(79_565, 79_685))
COLUMNS = (Codec.COLUMNS_DEFLATE, Codec.COLUMNS_LZMA)


def record(second: int, source: random.Random | None = None) -> bytes:
    """A quiet minute, with one-second noise about that of 2006 where a source of it is given."""
    averages, ranges = [2400] * 60, [4] * 60
    if source is not None:
        averages = [round(source.gauss(2400, 0.6)) for _ in range(60)]
        ranges = [round(abs(source.gauss(4, 1.3))) for _ in range(60)]
    return xrio.pack(b"daws", DAY * 86_400 + second, xrio.pack_points(averages, ranges, [60] * 60))


def three() -> list[list[bytes]]:
    source = random.Random(2006)
    return [[record(second, source)] for second in (58_985, 67_265, 79_625)]


def deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


@st.composite
def groups_in_gaps(draw):
    """Groups for GAPS: mostly proper records in order, now and then anything else."""
    groups = []
    for gap in GAPS:
        inside = st.integers(gap.after_s + 1, gap.before_s - 1)
        group = [record(second) for second in sorted(draw(st.lists(inside, max_size=3)))]
        if draw(st.integers(0, 4)) == 0:
            stranger = st.binary(max_size=30) | st.integers(-9, 90_000).map(record)
            group.insert(draw(st.integers(0, len(group))), draw(stranger))
        groups.append(group)
    return groups


@given(groups_in_gaps(), st.sampled_from(Codec))
def test_round_trip(groups, wanted):
    """Whatever an edge holds comes back, gap by gap, item by item, whichever codec was used."""
    used, body = pack_body(groups, wanted, DAY, GAPS)
    assert tuple(map(tuple, groups)) == unpack_body(used, body, GAPS, DAY, ROOM)


@pytest.mark.parametrize("wanted", [codec for codec in Codec if codec is not Codec.XDELTA])
def test_the_wanted_codec(wanted):
    """Ordinary records travel in the codec that was asked for, unless that is one of deltas."""
    assert wanted is pack_body(three(), wanted, DAY, GAPS)[0]


@pytest.mark.parametrize(
    "items",
    [
        [record(58_985), b"torn", record(58_990)],
        [record(58_985)[:200]],
        [record(58_990), record(58_985)],
        [record(58_985), record(67_265)],
        [record(58_925)],
        [record(59_045)],
        [record(58_985).replace(b"daws", b"DAWS"), record(58_990)],
    ],
    ids=["junk", "torn", "backwards", "other gap", "left end", "right end", "other header"],
)
@pytest.mark.parametrize("wanted", COLUMNS)
def test_columns_fall_back(wanted, items):
    """One item that columns cannot give back in its place sends the body raw."""
    groups = [items, [record(67_265)], []]
    used, body = pack_body(groups, wanted, DAY, GAPS)
    assert used is Codec.RAW_DEFLATE
    assert tuple(map(tuple, groups)) == unpack_body(used, body, GAPS, DAY, ROOM)


@pytest.mark.parametrize("wanted", Codec)
def test_nothing_in_the_gaps(wanted):
    """An edge that holds nothing says so in one byte for each gap, and in none for no gap."""
    assert (Codec.RAW, b"\0\0\0") == pack_body([[], [], []], wanted, DAY, GAPS)
    assert (Codec.RAW, b"") == pack_body([], wanted, DAY, ())
    assert ((), (), ()) == unpack_body(Codec.RAW, b"\0\0\0", GAPS, DAY, 0)
    assert () == unpack_body(Codec.RAW, b"", (), DAY, 0)


def test_incompressible_bytes_go_as_they_are():
    """Where deflate does not shrink, it is not used."""
    noise = random.Random(1).randbytes(300)
    assert (Codec.RAW, b"\1\xac\2" + noise) == pack_body(
        [[noise]], Codec.RAW_DEFLATE, DAY, GAPS[:1]
    )


def test_sizes_of_three_gaps():
    """Columns cost a fifth of the raw records and two thirds of deflated ones."""
    size = {codec: len(pack_body(three(), codec, DAY, GAPS)[1]) for codec in Codec}
    assert 3 * (380 + 3) == size[Codec.RAW]
    assert 3 * size[Codec.RAW_DEFLATE] > 4 * size[Codec.COLUMNS_DEFLATE]
    assert 1140 > 5 * size[Codec.COLUMNS_DEFLATE] > 4 * 150


def test_worst_columns_fit_the_bound():
    """Records of pure noise, longer as columns than as they are, fit a limit of just their size."""
    source = random.Random(3)
    noisy = [
        [xrio.pack(b"daws", DAY * 86_400 + second, source.randbytes(360)) for second in (58_985,)]
    ]
    for wanted in COLUMNS:
        used, body = pack_body(noisy, wanted, DAY, GAPS[:1])
        assert used is wanted
        assert (tuple(noisy[0]),) == unpack_body(used, body, GAPS[:1], DAY, 380)


@pytest.mark.parametrize("codec", Codec)
def test_limit(codec):
    """The limit is the sum of the items: one byte less and the body is refused (T24)."""
    used, body = pack_body(three(), codec, DAY, GAPS)
    assert 3 == len(unpack_body(used, body, GAPS, DAY, 1140))
    with pytest.raises(Malformed, match="1139 are the most"):
        unpack_body(used, body, GAPS, DAY, 1139)


def bombs():
    zeros = bytes(64 << 20)
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 20}]
    squeezed = lzma.compress(zeros, lzma.FORMAT_RAW, filters=filters)
    return {
        Codec.RAW_DEFLATE: deflate(zeros),
        Codec.COLUMNS_DEFLATE: deflate(zeros),
        Codec.COLUMNS_LZMA: squeezed,
    }


def test_decompression_bombs():
    """64 MiB in a few kilobytes are refused after the first kilobytes came out (T24)."""
    for codec, bomb in bombs().items():
        tracemalloc.start()
        with pytest.raises(Malformed, match="unpacks to more than the"):
            unpack_body(codec, bomb, GAPS, DAY, 1152)
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak_bytes < 2 << 20  # the dictionary of LZMA2 is 1 MiB of it


@pytest.mark.parametrize("codec", Codec)
def test_cut_and_extended_bodies(codec):
    """A body that lacks its end, or has bytes behind it, is refused."""
    used, body = pack_body(three(), codec, DAY, GAPS)
    for wrong in (body[:-1], body[: len(body) // 2], b"", body + b"\0"):
        with pytest.raises(Malformed):
            unpack_body(used, wrong, GAPS, DAY, ROOM)


def test_record_in_no_gap():
    """Columns that bring a record nobody asked for are refused."""
    used, body = pack_body(three(), Codec.COLUMNS_DEFLATE, DAY, GAPS)
    with pytest.raises(Malformed, match="lies in no gap asked for"):
        unpack_body(used, body, GAPS[:2], DAY, ROOM)


PLAIN = {codec: pack_body(three(), codec, DAY, GAPS)[1] for codec in Codec}


@given(
    st.sampled_from(Codec),
    st.booleans(),
    st.binary(max_size=60),
    st.integers(0, 1500),
    st.integers(0, 2000),
)
def test_hostile_bodies(codec, is_damaged, data, at, limit_bytes):
    """Any bytes are items within the limit or `Malformed`."""
    body = PLAIN[codec]
    body = body[: at % len(body)] + data + body[at % len(body) + 1 :] if is_damaged else data
    try:
        groups = unpack_body(codec, body, GAPS, DAY, limit_bytes)
    except Malformed:
        return
    assert 3 == len(groups)
    assert sum(len(item) for group in groups for item in group) <= limit_bytes


@given(st.sampled_from([Codec.RAW_DEFLATE, Codec.COLUMNS_DEFLATE]), st.binary(max_size=60))
def test_hostile_plain_bodies(codec, plain):
    """Any bytes under a sound compression are items or `Malformed`."""
    try:
        groups = unpack_body(codec, deflate(plain), GAPS, DAY, ROOM)
    except Malformed:
        return
    assert 3 == len(groups)
