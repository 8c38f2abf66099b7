"""The judge's reading of a log: what counts as a fact, and what as the words of a node."""

import json
from pathlib import Path

import pytest

from fieldproof.checks import accounted
from fieldproof.judge import judge
from fieldproof.oracle import log
from fieldproof.verdict import Verdict

FACTS = [
    ("vsat", "lost", {"cause": "loss"}),
    ("lte", "lost", {"cause": "lose"}),
    ("daws/filing", "effect failed", {"effect": "append"}),
    ("daws", "host down", {"fault": 3}),
]
WORDS = [
    ("center/reconcile", "repaired", {"site": "daws"}),
    ("daws/filing", "lost", {"cause": "lose"}),
    ("daws/filing", "effect failed", {}),
    ("daws/filing", "effect failed", {}),
    ("daws/filing", "node died", {}),
    ("daws/filing", "host down", {}),
]


@pytest.fixture
def read(tmp_path: Path) -> log.Log:
    """A log in which a system says all that it might like to be believed."""
    lines = [
        *({"ns": 1, "where": where, "what": what, **facts} for where, what, facts in FACTS),
        *({"ns": 2, "by": by, "said": said, "detail": detail} for by, said, detail in WORDS),
    ]
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return log.read(path)


def test_facts_and_words_are_kept_apart(read: log.Log):
    """`lines` has what the world says, `said` what nodes say; neither has the other's."""
    assert ["vsat", "lte"] == [line.where for line in read.lines["lost"]]
    assert [] == list(read.lines["node died"])
    ((ns, where, what, detail),) = read.said["repaired"]
    assert (2, "center/reconcile", "repaired", {"site": "daws"}) == (ns, where, what, detail)


@pytest.mark.parametrize(
    ("what", "where", "times"),
    [
        ("lost", "*", 2),
        ("lost", "vsat", 1),
        ("lost", "daws/filing", 1),
        ("repaired", "center/reconcile", 1),
        ("repaired", "*", 0),
        ("repaired", "center", 0),
        ("effect failed", "daws/filing", 1),
        ("effect failed", "*", 1),
        ("node died", "daws/filing", 0),
        ("node died", "*", 0),
        ("host down", "*", 1),
        ("host down", "daws", 1),
    ],
)
def test_words_count_where_a_node_is_asked_for(read: log.Log, what: str, where: str, times: int):
    """Facts count everywhere but at a node; there its words do, unless the world alone can tell."""
    assert times == read.times(what, where)


@pytest.mark.parametrize(
    "line", [b"{", b"[]", b"{}", b'{"ns": 1, "by": "daws/filing", "said": "x"}', b'{"what": "x"}']
)
def test_what_is_no_line_is_refused_with_its_number(tmp_path: Path, line: bytes):
    """A log that cannot be read whole is not read at all."""
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"ns": 1, "where": "a", "what": "b"}\n' + line + b"\n")
    with pytest.raises(ValueError, match=r"log\.jsonl, line 2, is not a line of a run's log\.$"):
        log.read(path)


@pytest.mark.parametrize(
    ("word", "expected"), [("fact", []), ("said", ["raw_untouched", "accounted"])]
)
def test_a_system_cannot_excuse_itself(history, kit, word: str, expected: list[str]):
    """A record that is nowhere is excused by a loss that happened, not by one that was said."""
    history.checks = (accounted(),)
    history.reconciles = False
    data = history.center["daws"].pop(history.number_of("daws", "16:19:05"))
    taken = next(line for line in history.log if line.get("cause") == "lose")
    assert kit.sha16(data) == taken["sha"]
    if word == "said":
        history.log.remove(taken)
        history.log.append({"ns": taken["ns"], "by": "daws/x", "said": "lost", "detail": taken})
    report = judge(history.write())
    assert expected == [item.name for item in report.claims if item.verdict is not Verdict.PASS]


def test_a_node_that_only_says_that_one_died_did_not_die(history, kit):
    """Death is the world's to tell."""
    history.say(kit.clock_s("16:10:00") * kit.S, "center/validate", "node died", error="none")
    report = judge(history.write())
    verdicts = {item.name: item.verdict for item in report.claims}
    assert Verdict.PASS is verdicts["nodes_lived"]
