"""Tables: what is summed, what is estimated, and that a table says what its runs show."""

import json
import struct

import numpy as np
import pytest
from msgspec.structs import replace

from fieldproof import cli
from fieldproof.oracle.xrio import POINT
from fieldproof.plan import check
from fieldproof.tables import captures, command, reconcile
from fieldproof.tables.entropy import HOUR_POINTS, least_bytes
from fieldproof.tables.text import markdown
from fieldproof.verdict import Exit

SITE, CENTER = "206.172.47.234", "192.0.2.1"
PURPOSES = {24990: "repair", 24991: "manifest"}


def capture(*packets):
    """A capture of (time ns, source, destination, protocol, ports, total length)."""
    data = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 101)
    for at_ns, source, destination, protocol, ports, size in packets:
        addresses = bytes(map(int, f"{source}.{destination}".split(".")))
        head = struct.pack(">BBHHHBBH", 0x45, 0, size, 0, 0, 64, protocol, 0) + addresses
        packet = (head + struct.pack(">HH", *ports)).ljust(size, b"\0")
        data += struct.pack("<IIII", *divmod(at_ns, 10**9), size, size) + packet
    return data


def test_costs_are_sums_of_packets(tmp_path):
    """Every IP packet from or to the site counts with its total length, once, for its purpose; the
    time ends when the last one has come out."""
    ask = (10**9, CENTER, SITE, 17, (24990, 24990), 66)
    answer = (2 * 10**9, SITE, CENTER, 17, (24990, 24990), 305)
    other = (10**9, "198.51.100.9", CENTER, 17, (24990, 24990), 999)
    proof = (5 * 10**8, SITE, CENTER, 17, (24990, 24991), 302)
    (tmp_path / "vsat-offered.pcap").write_bytes(capture(ask, answer, other, proof))
    late = (answer[0] + 3 * 10**8, *answer[1:])
    (tmp_path / "vsat-delivered.pcap").write_bytes(capture(ask, late, other))
    found = captures.costs(tmp_path, SITE, PURPOSES)
    repair = found["repair"]
    assert (305, 66, 1, 1) == repair[:4]
    assert (371, 2) == (repair.all_bytes, repair.all_packets)
    assert 1.3 == pytest.approx(repair.seconds)
    assert 2.1667 == pytest.approx(repair.round_trips(300), abs=1e-3)


def test_what_has_no_port_of_ours_is_other(tmp_path):
    """ICMP counts, too, and a packet that went and never came out takes no time."""
    refused = (10**9, SITE, CENTER, 1, (0, 0), 80)
    (tmp_path / "vsat-offered.pcap").write_bytes(capture(refused))
    assert (80, 0, 1, 0, 0.0) == captures.costs(tmp_path, SITE, PURPOSES)["other"]


def test_entropy_is_that_of_the_shares():
    """Four equally frequent values are two bits each; what is always the same is nothing; only what
    is lacking counts."""
    points = np.zeros(HOUR_POINTS, dtype=POINT)
    points["range"] = np.arange(HOUR_POINTS) % 4
    points["npoints"] = 60
    points["average"] = 2000
    lacking = np.zeros(HOUR_POINTS, dtype=bool)
    lacking[:600] = True
    assert 600 * 2 / 8 == pytest.approx(least_bytes(points, lacking))
    assert 0 == least_bytes(points, np.zeros(HOUR_POINTS, dtype=bool))


def test_shares_are_those_of_the_hour():
    """A value that is rare over the day and frequent in its hour costs what it does there."""
    points = np.zeros(2 * HOUR_POINTS, dtype=POINT)
    points["range"][HOUR_POINTS:] = np.arange(HOUR_POINTS) % 2
    lacking = np.zeros(len(points), dtype=bool)
    lacking[HOUR_POINTS : HOUR_POINTS + 80] = True
    assert 80 / 8 == pytest.approx(least_bytes(points, lacking))


@pytest.mark.parametrize("case", reconcile.CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("method", reconcile.METHODS)
def test_every_cell_is_a_story(case, method):
    """Each cell can be run in the live tier as it is written."""
    check(reconcile.scenario(case, method), "live")


@pytest.mark.slow
@pytest.mark.needs("socat", "ip", "unshare", "xdelta3")
@pytest.mark.xdist_group("live")
def test_the_table_is_what_its_runs_show(tmp_path, monkeypatch, capsys):
    """The command measures real runs: three gaps by repair take one small request and one answer,
    and the table tells what the captures in its run directories hold."""
    for module in (reconcile, command):
        monkeypatch.setattr(module, "CASES", reconcile.CASES[:1])
        monkeypatch.setattr(module, "METHODS", ("repair", "xdelta"))
    code = cli.main(["table", "reconcile", "--runs", str(tmp_path)])
    said = capsys.readouterr().out
    table = json.loads((tmp_path / "table-reconcile-0001" / "table.json").read_bytes())
    assert Exit.PASS == code, said
    (lacks,) = table["cases"]
    assert (3, 1140) == (lacks["records"], lacks["record_bytes"])
    assert 80 < lacks["least_bytes"] < 200
    by_method = {row["method"]: row for row in table["rows"]}
    repair = by_method["repair"]
    found = captures.costs(tmp_path / repair["run_dir"] / "links", SITE, PURPOSES)["repair"]
    assert (repair["up_bytes"], repair["down_bytes"]) == (found.up_bytes, found.down_bytes)
    assert repair["up_bytes"] + repair["down_bytes"] <= 500  # once more, if the first was too early
    assert 400 < by_method["xdelta"]["up_bytes"] < 700
    assert "| repair |" in said and "three gaps: 3 records lacking" in said


def test_a_table_in_words():
    """Every row is there, the cheapest first, with thousands apart, and the figures of 2006 beside
    it."""
    lacks = reconcile.Lacking("three gaps", 3, 1140, 113, 302, (("rsync, sent", 5235),))
    rows = (
        reconcile.Row("three gaps", "rsync", 6508, 3535, 40, 5.2, 8.7, "pass", "runs/a"),
        reconcile.Row("three gaps", "repair", 305, 66, 2, 0.65, 1.1, "pass", "runs/b"),
    )
    text = markdown(reconcile.Table(1, "dawson-2005", 300.0, (lacks,), rows))
    lines = text.splitlines()
    assert lines.index("| repair | 305 | 66 | 371 | 2 | 1.1 | 0.65 | pass |") < lines.index(
        "| rsync | 6 508 | 3 535 | 10 043 | 40 | 8.7 | 5.2 | pass |"
    )
    assert "rsync, sent 5 235" in text
    assert "entropy of what is new: 113 B" in text


def test_a_picture_of_a_table(tmp_path):
    """The plot is a PNG of some size."""
    pytest.importorskip("matplotlib")
    from fieldproof.tables.plot import draw

    cases, rows = [], []
    for number, case in enumerate(reconcile.CASES, 1):
        cases.append(reconcile.Lacking(case.name, number, 380, 100, 302, ()))
        for method in reconcile.METHODS:
            size = 10**number
            rows.append(reconcile.Row(case.name, method, size, 66, 2, 1.0, 1.0, "pass", "runs/x"))
    table = reconcile.Table(1, "dawson-2005", 300.0, tuple(cases), tuple(rows))
    draw(table, tmp_path / "table.png")
    draw(replace(table, seed=2), tmp_path / "again.png")
    picture = (tmp_path / "table.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and len(picture) > 10_000
    assert picture == (tmp_path / "again.png").read_bytes()
