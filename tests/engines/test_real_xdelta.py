"""The real xdelta3 at one virtual instant: what it makes, and what it refuses."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldproof_contract import ApplyDelta, MakeDelta
from fieldproof_reference.engines import Place
from fieldproof_reference.engines import xdelta as reference
from fieldproof_simulators.engines.live import xdelta
from fieldproof_simulators.engines.live.tools import RealTools

NEEDS = pytest.mark.needs("xdelta3")
TOOLS = RealTools()


@NEEDS
@settings(max_examples=25)
@given(st.binary(max_size=2000), st.binary(max_size=2000))
def test_a_delta_and_its_source_are_the_target(source, target):
    """Whatever the two are, empty ones included."""
    made = TOOLS.make_delta(MakeDelta(source, target))
    assert "" == made.reason
    applied = TOOLS.apply_delta(ApplyDelta(source, made.output, len(target)))
    assert (target, "") == applied


@NEEDS
def test_three_lost_records_are_three_small_deltas(dawson):
    """The hours with a gap, made whole: 1241 bytes in 2006, 534 with xdelta3, checksums and
    header aside; the same bytes every time."""
    day, gaps = dawson["daws"], dawson["center"]
    hours = [name for name in day if day[name] != gaps[name]]
    made = [TOOLS.make_delta(MakeDelta(gaps[name], day[name])).output for name in sorted(hours)]
    assert 3 == len(hours)
    assert 400 < sum(map(len, made)) <= 534
    assert made == [
        TOOLS.make_delta(MakeDelta(gaps[name], day[name])).output for name in sorted(hours)
    ]


@NEEDS
def test_more_than_the_bound_is_refused():
    """A delta that makes more than may be is ended, however small it is itself (T24)."""
    made = TOOLS.make_delta(MakeDelta(b"", bytes(500_000)))
    assert len(made.output) < 1000
    assert (bytes(500_000), "") == TOOLS.apply_delta(ApplyDelta(b"", made.output, 500_000))
    refused = TOOLS.apply_delta(ApplyDelta(b"", made.output, 499_999))
    assert (b"", "xdelta3 made more than 499999 bytes and was ended.") == refused


@NEEDS
@pytest.mark.parametrize("delta", [b"", b"no delta at all", b"\xd6\xc3\xc4\x00", bytes(100)])
def test_what_is_no_delta_is_refused(delta):
    """xdelta3's own refusal is a reason, and there is no output."""
    refused = TOOLS.apply_delta(ApplyDelta(b"source", delta, 1000))
    assert b"" == refused.output
    assert refused.reason.startswith("xdelta3 ended with exit code ")


def test_a_machine_without_xdelta3(monkeypatch):
    """The answer says how to get it."""
    monkeypatch.setenv("PATH", "/nowhere")
    lacking = "xdelta3 is missing; as root: apt-get install xdelta3."
    assert (b"", lacking) == TOOLS.make_delta(MakeDelta(b"", b""))
    assert (b"", lacking) == TOOLS.apply_delta(ApplyDelta(b"", b"", 1))


def test_both_tiers_start_xdelta3_with_the_same_words():
    """The engines of the reference and those here make the same bytes of the same files."""
    place = Place("/p", "", {}, (1, 2))
    made, applied = reference.make(MakeDelta(b"", b""), place), ApplyDelta(b"", b"", 1)
    assert xdelta.MAKE == made.argv[: len(xdelta.MAKE)]
    assert xdelta.APPLY == reference.apply(applied, place).argv[: len(xdelta.APPLY)]
    assert xdelta.MOST_DELTA_BYTES == made.most_output
