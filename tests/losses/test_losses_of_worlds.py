"""The system's loss report on simulated months and days, against what the simulator knows."""

import os
import shutil
import subprocess
from collections import Counter
from datetime import UTC, datetime

import pytest

from fieldproof import catalog
from fieldproof.evidence import Evidence
from fieldproof.faults import CenterDown, Freeze, Kill, Lose, at
from fieldproof.run import run
from fieldproof.scenario import Center, Link, Scenario, Site

RECEIVED = (
    *(1426, 1438, 1436, 1439, 1438, 1418, 1437, 1435, 1439, 1440),
    *(1439, 1439, 1437, 1430, 1436, 1411, 1438, 1440, 1439, 1439),
    *(1439, 1438, 1440, 1439, 1439, 1431, 1440, 1438, 1439, 1438, 1440),
)
"""Records from Dawson per day, 1 to 31 December 2005 (riometer data flow, 2006)."""

DAWSON = "206.172.47.234"
TREES = ("whole", "no notes", "index files alone")


def happened(scenario, run_dir):
    """The run directory of a scenario."""
    run_dir.mkdir()
    run(scenario, 1, run_dir)
    return run_dir


def truth(run_dir, site):
    """Telemetry of a site that died, by the log: day and cause."""
    evidence = Evidence(run_dir)
    from_ns, until_ns = evidence.world.judged_ns
    died = Counter()
    for line in evidence.log.lines["lost"]:
        if (
            line.where == evidence.site(site).via
            and line.text("purpose") == "telemetry"
            and from_ns <= line.ns < until_ns
        ):
            day = datetime.fromtimestamp(evidence.true_utc.utc_at(line.ns) // 10**9, UTC)
            cause = "server" if line.text("cause") == "host down" else "network"
            died[f"{day:%Y-%m-%d}", cause] += 1
    return died


def told(kit, path, *words, name):
    """The same by the system's own report."""
    stream = kit.stream(path, *words, name=name)
    return Counter(
        {
            (day, cause): number
            for day, figures in stream["days"].items()
            for cause, number in kit.causes(figures).items()
        }
    )


def trees(run_dir, tmp_path):
    """The center's disk, the same without the receiver's notes, and its index files alone."""
    center = run_dir / "disks/center"
    yield center
    no_notes = tmp_path / "no-notes"
    shutil.copytree(center / "udp", no_notes / "udp")
    yield no_notes
    for path in no_notes.rglob("*.dat"):
        path.unlink()
    yield no_notes


def wc(root, *patterns):
    """What `wc -l` prints of these files."""
    paths = sorted(path.relative_to(root) for each in patterns for path in root.glob(each))
    env = {"LC_ALL": "C", "PATH": os.environ["PATH"]}
    done = subprocess.run(
        ["wc", "-l", *paths], cwd=root, env=env, capture_output=True, check=True, text=True
    )
    return done.stdout


@pytest.mark.slow
def test_december_2005_reads_as_in_the_document(kit, tmp_path):
    """125 missing, 0.280 %, 2.01 % on the worst day, the loop's listing byte for byte, and whose
    losses they were, day by day: by notes, by records, and by index files alone."""
    run_dir = happened(catalog.load("dawson-december-2005"), tmp_path / "run")
    for number, center in enumerate(trees(run_dir, tmp_path)):
        name = DAWSON if number == 2 else "daws"
        words = ("--month", "2005-12", "--site", name)
        listing = kit.run(center, *words, "--listing").out
        days = [f"2005/12/{day:02d}/{DAWSON}" for day in range(1, 32)]
        pairs = zip(days, RECEIVED, strict=True)
        assert "".join(f"{day}  {count} total\n" for day, count in pairs) == listing
        (counted,) = {wc(center / "udp", f"{days[15]}/ut??_24985.idx")}
        assert counted == kit.run(center / f"udp/{days[15]}", "--listing").out
        total = kit.stream(center, *words, name=name)["total"]
        assert (44_640, 44_515, 125) == tuple(total[e] for e in ("expected", "received", "missing"))
        text = kit.run(center, *words).out
        said = "Of 44640 datagrams that were due 125 are missing, 0.280 %; the worst day is"
        assert f"{said} 2005-12-16 with 29, 2.01 %." in text
        assert truth(run_dir, "daws") == told(kit, center, *words, name=name)
        assert 89 == total["server"]


def test_ninety_minutes_without_a_server(kit, tmp_path):
    """Every site's losses are the server's, as the simulator knows, whatever the tree has."""
    run_dir = happened(catalog.load("center-down-ninety-minutes"), tmp_path / "run")
    addresses = {"daws": DAWSON, "gill": "198.51.100.2", "rank": "198.51.100.3"}
    for number, center in enumerate(trees(run_dir, tmp_path)):
        for site, address in addresses.items():
            name = address if number == 2 else site
            found = told(kit, center, "--day", "2006-01-17", name=name)
            assert {("2006-01-17", "server"): 90} == found == truth(run_dir, site)


def test_the_listing_of_the_document_from_the_simulated_day(kit, tmp_path):
    """Dawson's day of three lost packets lists as `wc -l` does, and the receiver's own notes say
    that the network lost them though there is no other station."""
    run_dir = happened(catalog.load("dawson-three-lost-packets"), tmp_path / "run")
    center = run_dir / "disks/center"
    folder = f"2006/01/17/{DAWSON}"
    listing = kit.run(center / "udp" / folder, "--listing").out
    assert wc(center / "udp", f"{folder}/ut??_24985.idx") == listing
    assert "    59 2006/01/17/206.172.47.234/ut16_24985.idx\n" in listing
    assert listing.endswith("  1437 total\n")
    wanted = {("2006-01-17", "network"): 3}
    assert wanted == told(kit, center, "--day", "2006-01-17", name="daws") == truth(run_dir, "daws")


def hours(*faults, stations=1):
    """Five hours of some stations, the center's clock right."""
    names = ("daws", "gill")[:stations]
    return Scenario(
        name="losses",
        story="A few hours in which the center is not always there.",
        starts="2006-01-17T10:00Z",
        lasts="5h",
        links=tuple(Link(f"vsat-{name}") for name in names),
        nodes=(
            *(
                Site(name, via=f"vsat-{name}", address=f"198.51.100.{n + 1}", phase_s=5 + 10 * n)
                for n, name in enumerate(names)
            ),
            Center(),
        ),
        faults=faults,
        settles_within="1h",
    )


def test_a_lone_station_and_a_killed_center(kit, tmp_path):
    """With the receiver's notes one station is enough: a kill, a downtime of one minute and losses
    of the link are told apart."""
    faults = (
        at("10:30:30", Lose("vsat-daws", 2)),
        at("11:20:30", Kill("center", restart_after_s=600)),
        at("12:30:36", CenterDown(), until="12:31:40"),
        at("13:10:30", Lose("vsat-daws")),
    )
    happened(hours(*faults), tmp_path / "run")
    found = told(kit, tmp_path / "run/disks/center", name="daws")
    wanted = truth(tmp_path / "run", "daws")
    assert wanted == found
    assert {("2006-01-17", "network"): 3, ("2006-01-17", "server"): 11} == wanted


@pytest.mark.parametrize("number", range(3), ids=TREES)
def test_a_frozen_center_has_lost_nothing(kit, tmp_path, number):
    """What waited while the center stood still came late, and nobody missed it."""
    frozen = at("11:20:30", Freeze("center"), until="11:50:10")
    run_dir = happened(hours(frozen, stations=2), tmp_path / "run")
    center = list(trees(run_dir, tmp_path))[number]
    for stream in kit.document(center)["streams"]:
        assert {} == kit.causes(stream["total"])
        assert stream["total"]["received"] == stream["total"]["expected"] > 290
