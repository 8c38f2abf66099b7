"""The fate of one record, told from hand-written evidence."""

import struct
from hashlib import sha256
from pathlib import Path

import pytest

from fieldproof.cli import main
from fieldproof.faults import Lose, at
from fieldproof.scenario import Center, Link, Scenario, Site, to_json
from fieldproof.store import StoreError
from fieldproof.trace import Step, fate, render

SCENARIO = Scenario(
    name="one-lost",
    story="One datagram is lost.",
    starts="2006-01-17T16:00Z",
    lasts="1h",
    links=(Link("vsat"),),
    nodes=(Site("daws", via="vsat"), Center()),
    faults=(at("16:23", Lose("vsat")),),
)
FOUR_PM_S = 1_137_513_600
HOUR = "riometer/2006/01/17/daws_xrio/20060117_16_daws_xrio.dat"
ARRIVALS = "disks/center/udp/2006/01/17/198.51.100.1/ut16_24985"
NOTES = "disks/center/provenance/2006/01/17/daws.jsonl"


def record(minute: int) -> bytes:
    """The record that begins five seconds after this minute past four."""
    stamp = FOUR_PM_S + minute * 60 + 5
    header = struct.pack("<4s4scB2sIH2s", b"XRIO", b"DAWS", b"0", 1, b"", stamp, 60, b"")
    return header + struct.pack("<3H", 2600 + minute, 4, 60) * 60


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run of three records of which the second was lost and restored."""
    records = [record(minute) for minute in (22, 23, 24)]
    lost = sha256(records[1]).hexdigest()[:16]
    line = "2006-01-17 16:{}:06.421153   24985  198.51.100.1:32769      380 {:12d}  58 52 49 4f \n"
    files = {
        "scenario.json": to_json(SCENARIO, 1),
        "world.json": b'{"schema": "fieldproof-world/1"}',
        "log.jsonl": b'{"ns": 1, "utc": "2006-01-17T16:00:00Z", "where": "daws", "what": "up"}\n'
        b'{"ns": 2, "utc": "2006-01-17T16:24:06.421153Z", "where": "vsat", "what": "lost", '
        b'"direction": "up", "cause": "lose", "fault": 0, "sha": "%s"}\n' % lost.encode(),
        f"disks/daws/{HOUR}": b"".join(records),
        f"disks/center/{HOUR}": b"".join(records),
        f"{ARRIVALS}.dat": records[0] + records[2],
        f"{ARRIVALS}.idx": (line.format(23, 0) + line.format(25, 380)).encode(),
        NOTES: b'{"what": "restored", "after_s": 58925, "before_s": 59045, "items": 1, '
        b'"bytes": 380, "utc_ns": 1137542406000000000}\n{"what": "confirmed", "digest": "00"}\n',
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_a_lost_record_is_followed_to_its_restoration(run_dir: Path):
    """Archived at the edge, lost by a named fault, restored by a repair, filed at the center."""
    told = fate(run_dir, "daws:2006-01-17T16:23:05")
    assert (380, sha256(record(23)).hexdigest()) == (told.bytes, told.sha256)
    assert (
        Step("sampled", "2006-01-17T16:23:05.000000Z", "daws", "first sample, by the site's clock"),
        Step("archived", "", f"disks/daws/{HOUR}", "at byte 380"),
        Step(
            "lost",
            "2006-01-17T16:24:06.421153Z",
            "vsat",
            "lose (fault at 16:23: lose 1 on vsat)",
        ),
        Step("restored", "2006-01-18T00:00:06.000000Z", NOTES, "by a repair that brought 380 B"),
        Step("filed", "", f"disks/center/{HOUR}", "at byte 380"),
    ) == told.steps


def test_the_words_of_a_node_are_told_as_such(run_dir: Path):
    """What a node says of a record is part of its fate, under the node's name."""
    sha = sha256(record(24)).hexdigest()[:16]
    with (run_dir / "log.jsonl").open("a") as opened:
        opened.write(
            '{"ns": 3, "utc": "2006-01-17T16:25:07.000000Z", "by": "center/validate", '
            f'"said": "quarantined", "detail": {{"reason": "time", "sha": "{sha}"}}}}\n'
        )
    (said,) = (
        step
        for step in fate(run_dir, "daws:2006-01-17T16:24:05").steps
        if step.what == "quarantined"
    )
    assert (
        Step(
            "quarantined",
            "2006-01-17T16:25:07.000000Z",
            "center/validate",
            "in its own words: time",
        )
        == said
    )


def test_the_ledger_has_the_last_word(run_dir: Path):
    """A record's ledger line follows its steps; a second in no record has that line alone."""
    sha = sha256(record(23)).hexdigest()[:16]
    (run_dir / "ledger.jsonl").write_text(
        '{"site": "daws", "hour": "2006-01-17T16", "records": 3}\n'
        '{"site": "daws", "fate": "restored", "bytes": 380, "first": "2006-01-17T16:23:05Z", '
        f'"by": "repair", "at": "2006-01-18T00:00:06Z", "sha": "{sha}"}}\n'
        '{"site": "daws", "fate": "lost", "bytes": 380, "first": "2006-01-17T16:25:05.25Z", '
        '"until": "2006-01-17T16:26:05.25Z", "hop": "daws", "cause": "host down", "fault": -1}\n'
    )
    restored = Step("judged", "2006-01-18T00:00:06Z", "daws", "restored: repair")
    assert restored == fate(run_dir, "daws:2006-01-17T16:23:05").steps[-1]
    lost = Step("judged", "", "daws", "lost: host down")
    assert (lost,) == fate(run_dir, "daws:2006-01-17T16:25:30").steps
    assert "filed" == fate(run_dir, "daws:2006-01-17T16:24:05").steps[-1].what


def test_a_live_record_has_its_arrival(run_dir: Path):
    """A record that came live is archived, arrived by its index line, and filed."""
    told = fate(run_dir, "daws:2006-01-17T16:24:05Z")
    assert ["sampled", "archived", "arrived", "filed"] == [step.what for step in told.steps]
    assert (
        Step(
            "arrived",
            "2006-01-17T16:25:06.421153Z",
            f"{ARRIVALS}.dat",
            "at byte 380, from 198.51.100.1:32769",
        )
        == told.steps[2]
    )


def test_a_fate_as_text(run_dir: Path):
    """Each step is a line with what, when, where and how."""
    lines = render(fate(run_dir, "daws:2006-01-17T16:23:05")).splitlines()
    assert lines[0].startswith("daws:2006-01-17T16:23:05   380 B   sha256 ")
    assert (
        "  lost       2006-01-17T16:24:06.421153Z  vsat   lose (fault at 16:23: lose 1 on vsat)"
    ) == lines[3]


def test_show_prints_a_fate(run_dir: Path, capsys):
    """`show RUN --unit` prints the fate and ends with 0; with --json as one document."""
    unit = "daws:2006-01-17T16:23:05"
    assert 0 == main(["show", str(run_dir), "--unit", unit])
    assert render(fate(run_dir, unit)) == capsys.readouterr().out
    assert 0 == main(["show", str(run_dir), "--unit", unit, "--json"])
    assert '"what": "restored"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content"), [("log.jsonl", b'{"sha": "%s", \n'), ("ledger.jsonl", b'{"site": "da')]
)
def test_damaged_evidence_is_refused(run_dir: Path, capsys, name: str, content: bytes):
    """A line that was cut short ends with 4 and one sentence that names the run."""
    sha = sha256(record(23)).hexdigest()[:16].encode()
    (run_dir / name).write_bytes(content.replace(b"%s", sha))
    assert 4 == main(["show", str(run_dir), "--unit", "daws:2006-01-17T16:23:05"])
    err = capsys.readouterr().err
    assert err.startswith(f"fieldproof: Run {run_dir} cannot be read: Input data was truncated")
    assert 1 == err.count("\n")


@pytest.mark.parametrize(
    ("unit", "sentence"),
    [
        ("arvi:2006-01-17T16:23:05", "names no site of {run}; its sites are: daws."),
        ("daws", "Unit 'daws' has no UTC time after its site, such as daws:2006-01-17T16:23:05."),
        ("daws:16h", "has no UTC time after its site"),
        ("daws:2006-01-17T16:23:05+05:00", "has no UTC time after its site"),
        ("daws:2006-01-17T16:23:00", "The nearest is daws:2006-01-17T16:23:05."),
        ("daws:2006-01-18T16:23:00", "{run} holds no record daws:2006-01-18T16:23:00."),
    ],
)
def test_a_unit_that_is_not_there(run_dir: Path, unit: str, sentence: str):
    """What names no record of the run is refused, with the nearest record where there is one."""
    with pytest.raises(StoreError) as caught:
        fate(run_dir, unit)
    assert sentence.format(run=run_dir) in str(caught.value)


@pytest.mark.parametrize(
    "line", [b"{", b"[]", b"9" * 5000, b'{"what": "restored", "after_s": 0, "before_s": 86400}']
)
def test_an_odd_provenance_stops_nobody(run_dir: Path, line: bytes):
    """What a center notes of its repairs is its own: the other steps are told all the same."""
    notes = (run_dir / NOTES).read_bytes()
    (run_dir / NOTES).write_bytes(line + b"\n" + notes + b'{"what": "rest')
    steps = fate(run_dir, "daws:2006-01-17T16:23:05").steps
    assert ["sampled", "archived", "lost", "restored", "filed"] == list(
        dict.fromkeys(step.what for step in steps)
    )
