"""The ledger: fates, sums and lines."""

import json

from fieldproof.checks import accounted
from fieldproof.evidence import Evidence
from fieldproof.verdict import Verdict


def test_every_record_has_one_fate_and_the_sums_close(history):
    """Sixty records of each site and a gap of daws, eleven of them restored."""
    ledger = Evidence(history.write()).ledger
    assert () == ledger.open_books
    restored = [unit for unit in ledger.units if unit.fate == "restored"]
    assert {("vsat", "lose", 0): 1, ("center", "host down", 1): 10} == {
        place: sum((unit.hop, unit.cause, unit.fault) == place for unit in restored)
        for place in (("vsat", "lose", 0), ("center", "host down", 1))
    }
    records = sum(hour.records for hour in ledger.hours)
    assert records == sum(hour.delivered + hour.restored + hour.lost for hour in ledger.hours)
    assert 120 == records
    summary = ledger.summary
    assert 11 * 380 == summary.restored_bytes
    assert 109 * 380 == summary.delivered_bytes
    assert 25 * 380 // 60 == summary.lost_bytes
    assert summary.produced_bytes == 11 * 380 + 109 * 380 + 25 * 380 // 60


def test_samples_that_a_kill_took_are_lost_at_the_site(history, kit):
    """From the open record's first sample to the restart, by name."""
    ledger = Evidence(history.write()).ledger
    (lost,) = [unit for unit in ledger.units if unit.fate == "lost"]
    since_s = kit.clock_s("16:40:05") - kit.BEGINS_S
    riometer = history.riometers["daws"]
    assert ("daws", "kill", 2) == (lost.hop, lost.cause, lost.fault)
    assert riometer.first_at(since_s * kit.S) == lost.from_sample
    assert riometer.first_at((since_s + 25) * kit.S) == lost.to_sample
    assert ("2006-01-17T16:40:05Z", "2006-01-17T16:40:30Z") == (lost.first, lost.until)


def test_a_restored_record_says_when_how_and_why_it_was_missing(history, kit):
    """One line of ledger.jsonl is the whole story of a record."""
    lines = Evidence(history.write()).ledger.jsonl().splitlines()
    units = [unit for unit in map(json.loads, lines) if unit.get("fault") == 0]
    record = history.edge["daws"][history.number_of("daws", "16:19:05")]
    path, offset = "riometer/2006/01/17/daws_xrio/20060117_16_daws_xrio.dat", 19 * 380
    expected = {
        "site": "daws",
        "fate": "restored",
        "bytes": 380,
        "first": "2006-01-17T16:19:05Z",
        "hop": "vsat",
        "cause": "lose",
        "fault": 0,
        "by": "gaps",
        "at": "2006-01-17T17:05:00Z",
        "path": path,
        "offset": offset,
        "sha": kit.sha16(record),
    }
    assert [expected] == [{"fault": 0, **unit} for unit in units if unit["cause"] == "lose"]


def test_a_duplicated_datagram_delivers_once(history):
    """The raw tree keeps both; the ledger counts one record."""
    before = Evidence(history.write()).ledger.summary
    history.raw["daws"].append(history.raw["daws"][-1])
    assert before == Evidence(history.write()).ledger.summary


def test_a_rotted_record_is_judged_as_it_was_and_kept_as_it_is(history, kit):
    """One bit flips at the edge after sending: the samples are all there, the record is restored
    in the form that the edge now has."""
    number = history.number_of("gill", "16:10:35")
    rotten = bytearray(history.edge["gill"][number])
    rotten[100 // 8] ^= 1 << 100 % 8
    history.edge["gill"][number] = history.center["gill"][number] = bytes(rotten)
    offset = 380 * (number - history.number_of("gill", "16:00:35"))
    path = "riometer/2006/01/17/gill_xrio/20060117_16_gill_xrio.dat"
    facts = {"path": path, "offset": offset, "bit": 100, "fault": 0}
    history.note(kit.clock_s("16:12:00") * kit.S, "gill", "rotted", **facts)
    evidence = Evidence(history.write())
    assert () == evidence.partition("gill").deviations
    (unit,) = [unit for unit in evidence.ledger.units if unit.cause == "rot"]
    assert ("gill", "restored") == (unit.hop, unit.fate)


def test_a_ledger_that_forgets_a_range_does_not_close(history):
    """Samples that are neither in a point nor named as skipped open the books: no pass."""
    evidence = Evidence(history.write())
    seen = evidence.partition
    evidence.partition = lambda site: seen(site)._replace(gaps=())
    result = accounted().judge(evidence)
    assert Verdict.FAIL == result.verdict
    assert "The books do not close: daws" in result.detail


def test_a_ledger_that_forgets_a_record_does_not_close(history, monkeypatch):
    """A record without a fate is bytes without a fate."""
    monkeypatch.setattr("fieldproof.ledger._Book._enter_undelivered", lambda *row: None)
    result = accounted().judge(Evidence(history.write()))
    assert Verdict.FAIL == result.verdict
    assert "of 45758 bytes, 41578 have a fate" in result.detail
