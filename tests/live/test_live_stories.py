"""Every live story of the catalog, played and judged as a user would."""

import subprocess
from hashlib import sha256

import msgspec
import pytest
from liverun import Job

from fieldproof import catalog
from fieldproof.oracle import worldfile
from fieldproof.oracle.pcap import packets_of
from fieldproof.verdict import Exit

STORIES = {
    name: Job(
        f"story-{name}",
        name,
        about_s=catalog.load(name).lasts_s + 75,
        weight=5 if len(catalog.load(name).sites) > 1 else 1,
    )
    for name in catalog.names()
    if "live" in catalog.load(name).tiers
}
RIOMETER, TWELVE = STORIES["riometer-live"], STORIES["twelve-ptys"]
MOST_CPU_PERCENT = 60
"""Of one core, for all that twelve sites take."""

MOST_EDGE_MB, MOST_EDGE_PERCENT = 40, 3


def stories():
    """Each story with its run."""
    return [
        pytest.param(job, id=job.name, marks=pytest.mark.plays(job)) for job in STORIES.values()
    ]


def test_the_catalog_has_the_stories_of_the_tier():
    """There is a live story for each thing that only real processes can show."""
    asked = {"riometer-live", "twelve-ptys", "serial-abuse", "frozen-center", "disk-full-at-edge"}
    assert asked <= STORIES.keys()


@pytest.mark.parametrize("job", stories())
def test_every_live_story_passes(job, played):
    """Each claim of each live story holds with the reference system, where the machine can play
    it."""
    run = played(job)
    if run.code == Exit.MACHINE_LACKS:
        pytest.skip(run.said.strip())
    report = run.passed()
    assert "live" == report.tier
    assert {claim.name for claim in job.story.checks} <= {claim.name for claim in report.claims}


@pytest.mark.plays(RIOMETER)
def test_the_evidence_is_complete(played):
    """Archives, captures, the output of every process and the log are there, and not empty."""
    run_dir = played(RIOMETER).run_dir
    kept = {path.name for path in (run_dir / "processes").iterdir() if path.stat().st_size}
    assert {"daws.log", "center.log", "daws.events.jsonl", "center.events.jsonl"} <= kept
    assert {"stage.log", "pump.log", "player.log", "socat-daws.log"} <= {
        path.name for path in (run_dir / "processes").iterdir()
    }
    assert list((run_dir / "disks/daws").rglob("*_daws_xrio.dat"))
    assert list((run_dir / "disks/center/riometer").rglob("*_daws_xrio.dat"))
    assert list((run_dir / "disks/center/udp").rglob("*.idx"))
    for name in ("scenario.json", "world.json", "verdict.json", "versions.json", "ledger.jsonl"):
        assert (run_dir / name).stat().st_size, name


@pytest.mark.plays(RIOMETER)
def test_the_log_is_in_the_order_of_time(played):
    """Facts of stage, pump and player and words of nodes stand in the order of true time."""
    lines = (played(RIOMETER).run_dir / "log.jsonl").read_bytes().splitlines()
    entries = [msgspec.json.decode(line) for line in lines]
    times = [entry["ns"] for entry in entries]
    assert times == sorted(times)
    facts = {(entry["where"], entry["what"]) for entry in entries if "where" in entry}
    assert {("daws", "host down"), ("center", "host down"), ("daws", "line unplugged")} <= facts
    assert {"daws/lives", "center/reconcile"} <= {entry.get("by") for entry in entries}


@pytest.mark.plays(RIOMETER)
def test_the_log_has_the_digest_of_the_closed_archive(played):
    """The edge said, when the hour closed, what its file is; and it still is, at both ends."""
    run_dir = played(RIOMETER).run_dir
    lines = (run_dir / "log.jsonl").read_bytes().splitlines()
    entries = [msgspec.json.decode(line) for line in lines]
    closed = [entry["detail"] for entry in entries if entry.get("said") == "hour closed"]
    assert ["riometer/2006/01/16/daws_xrio/20060116_23_daws_xrio.dat"] == [
        each["path"] for each in closed
    ]
    for each in closed:
        for host in ("daws", "center"):
            data = (run_dir / "disks" / host / each["path"]).read_bytes()
            assert each["sha256"] == sha256(data).hexdigest()


@pytest.mark.plays(RIOMETER)
def test_links_and_lines_say_what_they_achieved(played):
    """The achieved figures are in world.json, and the verdict repeats them."""
    run = played(RIOMETER)
    world = worldfile.read(run.run_dir / "world.json")
    live = run.passed().live
    assert (world.links, world.lines) == (live.links, live.lines)
    assert {"up", "down"} == {link.direction for link in live.links}
    for link in live.links:
        assert link.offered == link.delivered > 0
        assert None not in (link.delay_p50_ms, link.delay_p99_ms, link.late_p99_ms, link.rate_bit_s)
        assert link.asked_delay_ms - link.asked_jitter_ms <= link.delay_p50_ms
    (line,) = live.lines
    assert line.samples > 60 * run.report.seconds / 2
    assert 0 < line.late_p50_ms <= line.late_p99_ms <= line.late_max_ms


@pytest.mark.needs("tshark")
@pytest.mark.plays(RIOMETER)
def test_an_independent_reader_counts_the_same_packets(played):
    """tshark finds as many packets in the captures as the pump counted, none of them malformed."""
    run_dir = played(RIOMETER).run_dir
    links = worldfile.read(run_dir / "world.json").links
    for stem, count in (
        ("vsat-offered", sum(link.offered for link in links)),
        ("vsat-delivered", sum(link.delivered for link in links)),
    ):
        path = run_dir / "links" / f"{stem}.pcap"
        fields = ("-T", "fields", "-e", "frame.time_epoch", "-e", "udp.checksum.status")
        done = subprocess.run(
            ["tshark", "-r", str(path), "-o", "udp.check_checksum:TRUE", *fields],
            capture_output=True,
            text=True,
            check=True,
        )
        rows = [line.split("\t") for line in done.stdout.splitlines()]
        assert count == len(rows) == len(list(packets_of(path.read_bytes())))
        assert {"1"} == {status for _, status in rows if status}  # sound
        assert all(1.137e9 < float(time) < 1.138e9 for time, _ in rows)  # January 2006


@pytest.mark.plays(TWELVE)
def test_twelve_sites_cost_little(played, record_property):
    """All processes of twelve sites take no more than 60 % of a core over the run."""
    report = played(TWELVE).passed()
    taken = {process.name: process.cpu_s for process in report.live.processes}
    seconds = worldfile.read(played(TWELVE).run_dir / "world.json").ends_ns / 1e9
    percent = 100 * sum(taken.values()) / seconds
    record_property("CPU percent of one core", round(percent, 1))
    assert {"stage", "pump", "player", "center"} <= taken.keys()
    assert len(taken) >= 16
    assert percent <= MOST_CPU_PERCENT, taken


@pytest.mark.plays(TWELVE)
def test_an_edge_is_small(played):
    """An edge with a riometer needs at most 40 MB and 3 % of a core."""
    run = played(TWELVE)
    seconds = worldfile.read(run.run_dir / "world.json").ends_ns / 1e9
    sites = [site.name for site in TWELVE.story.sites]
    edges = [one for one in run.passed().live.processes if one.name in sites]
    assert len(sites) == len(edges)
    for edge in edges:
        assert edge.rss_mb <= MOST_EDGE_MB, edge
        assert 100 * edge.cpu_s / seconds <= MOST_EDGE_PERCENT, edge
