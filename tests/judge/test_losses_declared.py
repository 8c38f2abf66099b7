"""losses_declared: what an edge says of its own losses, against the samples that are in no record.

The story of conftest.py: the kill of 16:40:20 cost daws 16:40:05 to 16:40:30; gill lost nothing.
"""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldproof.checks import declared
from fieldproof.judge import judge
from fieldproof.oracle.declared import Line, parse, touches, united, without
from fieldproof.verdict import Verdict

NAME = "losses_declared"
LOST = ("16:40:05", "16:40:30")


@pytest.fixture
def told(history, kit):
    """A function that lets daws declare stretches, judges the story by the claim alone, and gives
    its result."""

    def judged(*stretches, site="daws", tail=b""):
        lines = [
            {"from_s": kit.clock_s(first), "until_s": kit.clock_s(last), "why": "killed"}
            for first, last in stretches
        ]
        history.declared[site] = [json.dumps(line).encode() + b"\n" for line in lines] + [tail]
        history.checks = (declared(),)
        report = judge(history.write())
        (claim,) = [claim for claim in report.claims if claim.name == NAME]
        assert not claim.harness_fault, claim.detail
        return claim

    return judged


@pytest.mark.parametrize(
    "stretches",
    [
        (LOST,),
        (("16:40:05", "16:40:20"), ("16:40:20", "16:40:30")),
        (("16:40:07", "16:40:28"),),
        (("16:40:03", "16:40:32"),),
        (("16:39:05", "16:40:30"),),
        (LOST, ("15:50:00", "15:55:00")),
    ],
)
def test_a_loss_that_is_declared(told, stretches):
    """In one line or several, two seconds off, or with the record that was on its way to the disk;
    what is declared outside of the span is not looked at."""
    assert Verdict.PASS is told(*stretches).verdict


@pytest.mark.parametrize(
    ("stretches", "seconds"),
    [((), 25.0), ((("16:40:09", "16:40:30"),), 2.0), ((("16:40:05", "16:40:26"),), 2.0)],
)
def test_a_loss_in_silence_fails(told, stretches, seconds):
    """No declaration, or one that leaves out more than a second, says how much."""
    claim = told(*stretches)
    assert (Verdict.FAIL, seconds) == (claim.verdict, claim.measured)
    assert f"daws says nothing of {seconds} s that it lost" in claim.detail


@pytest.mark.parametrize(
    "stretches",
    [
        (("16:38:30", "16:40:30"),),
        (LOST, ("16:10:00", "16:11:01")),
        (LOST, *((f"16:{minute:02}:00", f"16:{minute:02}:02") for minute in range(5, 39))),
    ],
)
def test_more_than_was_lost_fails(told, stretches):
    """A minute may be unknown for each kill, and not a second more: who declares everything
    declares nothing."""
    claim = told(*stretches)
    assert Verdict.FAIL is claim.verdict
    assert "that are in its records, of which 60 s could not be known." in claim.detail


def test_a_site_that_was_never_killed_knows_everything(told):
    """Where no kill can have hidden anything, two seconds near nothing are too many."""
    told(LOST)
    claim = told(("16:10:00", "16:10:02"), site="gill")
    assert "gill declares 2 s that are in its records, of which 0 s could not be" in claim.detail


def test_points_of_no_samples_declare_themselves(history, kit):
    """A record that says for each second that nothing was heard needs no other word."""
    empty = kit.pack("daws", kit.clock_s("16:40:05"), [(0, 0, 0)] * 60)
    number = history.number_of("daws", "16:40:30")
    for records in (history.edge["daws"], history.center["daws"]):
        records.insert(number, empty)
    history.checks = (declared(),)
    history.restored.append((kit.clock_s("16:39:00") % 86_400, kit.clock_s("16:41:00") % 86_400))
    report = judge(history.write())
    assert [] == [claim.name for claim in report.claims if claim.verdict is not Verdict.PASS]


def test_a_run_without_a_record_fails(history):
    """Nothing is told from nothing."""
    for held in (history.edge, history.center, history.raw):
        for site in held:
            held[site] = []
    history.checks = (declared(),)
    report = judge(history.write())
    assert "fail" == {claim.name: claim.verdict for claim in report.claims}[NAME]


@pytest.mark.parametrize(
    "tail",
    [
        b'{"from_s": 1, "until_s": 2}\n',
        b'{"from_s": 2, "until_s": 2, "why": "killed"}\n',
        b'{"from_s": 1, "until_s": 2, "why": "bored"}\n',
        b'{"from_s": 1.5, "until_s": 2, "why": "killed"}\n',
        b'{"from_s": 1, "until_s": 4294967296, "why": "killed"}\n',
        b'{"from_s": 1, "unti{"from_s": 1, "until_s": 2, "why": "killed"}\n',
        b"\xff\n",
        b"\n",
    ],
)
def test_a_line_that_is_none_fails(told, tail):
    """What cannot be read is no declaration; neither is a half line that was built upon."""
    claim = told(LOST, tail=tail)
    assert "Line 2 of declared/daws.jsonl cannot be read." == claim.detail


def test_a_torn_last_line_is_the_kills(told):
    """A site that was killed may end in a half line; one that was not may not."""
    half = b'{"from_s": 1, "until_s'
    assert Verdict.PASS is told(LOST, tail=half).verdict
    assert "Line 1 of declared/gill.jsonl cannot be read." == told(site="gill", tail=half).detail


# --- the reader -----------------------------------------------------------------------------------

LINES = st.builds(Line, st.integers(0, 100), st.integers(101, 200), st.just("stopped"))
SPANS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=6)


@given(st.lists(LINES, max_size=4), st.binary(max_size=40))
def test_any_bytes_can_be_read(lines, tail):
    """Lines that are sound are found, whatever follows them; every other line is named."""
    rows = [
        f'{{"from_s": {line.from_s}, "until_s": {line.until_s}, "why": "stopped"}}\n'
        for line in lines
    ]
    found = parse("".join(rows).encode() + tail, may_be_torn=False)
    assert tuple(lines) == found.lines[: len(lines)]
    assert all(len(lines) < number for number in found.malformed)
    assert (len(lines) < len(found.lines)) or bool(tail) is bool(found.malformed)


def instants(spans):
    """Every whole instant of some spans."""
    return {at for from_ns, until_ns in spans for at in range(from_ns, until_ns)}


@given(SPANS, SPANS)
def test_spans_are_sets_of_instants(some, others):
    """Unions and differences of spans are those of their instants."""
    joined = united(some)
    assert instants(some) == instants(joined)
    assert all(first[1] < second[0] for first, second in pairwise(joined))
    left = without(joined, united(others))
    assert instants(some) - instants(others) == instants(left)
    for span in joined:
        assert bool(instants([span]) & instants(others)) is touches(span, united(others))
