"""Every fault really does to a small world what it says, counts it, and leaves its lines."""

import json
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest

from fieldproof.faults import (
    MID_WRITE_WITHIN_S,
    SPOOF_KINDS,
    CenterDown,
    ClockDrift,
    ClockStep,
    Corrupt,
    DeadPreamplifier,
    DiskFull,
    Duplicate,
    Freeze,
    Kill,
    Lose,
    MoveAddress,
    Outage,
    PowerCut,
    Reorder,
    RotRecord,
    Spoof,
    Timed,
    at,
)
from fieldproof.run import Stage
from fieldproof.scenario import Center, Link, Scenario, Site
from fieldproof.systems.reference import Reference
from fieldproof_contract import SECOND_NS
from fieldproof_simulators.machines.buffers import LINE_BUFFER_BYTES

MINUTE_NS = 60 * SECOND_NS
ARCHIVE = "riometer/2006/01/17/daws_xrio/20060117_12_daws_xrio.dat"
RAW = "udp/2006/01/17/198.51.100.1/ut12_24985.dat"


class Outcome(NamedTuple):
    """What is left of a small world."""

    log: list[dict]
    disks: dict[str, dict[str, bytes]]
    facts: dict

    def lines(self, what: str, *keys: str) -> list[tuple]:
        """The lines of one kind: when, in seconds after 12:00, where, and some of their details."""
        return [
            (line["ns"] / SECOND_NS, line["where"], *(line[key] for key in keys))
            for line in self.log
            if line.get("what") == what
        ]

    @property
    def fired(self) -> list[int]:
        """How often each fault acted."""
        return [fault["fired"] for fault in self.facts["faults"]]


def happen(*faults: Timed, minutes: int = 10, fidelity: str = "seconds") -> Outcome:
    """The first minutes of a world that begins at 12:00:00, with one site on a perfect link; its
    records begin five seconds after each minute, and are sent at most 1.1 s after their end."""
    scenario = Scenario(
        name="small-world",
        story="A few minutes of a site.",
        starts="2006-01-17T12:10Z",
        lasts="1h",
        links=(Link("vsat", "perfect"),),
        nodes=(Site("daws", via="vsat"), Center()),
        faults=faults,
        fidelity=fidelity,
    )
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(scenario, 1, Path(folder), Reference())
        stage.world.run_until(minutes * MINUTE_NS)
        disks = {
            name: {path: host.disk.read(path) for path in host.disk.listing("")}
            for name, host in stage.world.hosts.items()
        }
        facts = stage.close()
        log = [json.loads(line) for line in (Path(folder) / "log.jsonl").read_text().splitlines()]
    return Outcome(log, disks, facts)


def labels(data: bytes) -> list[int]:
    """Seconds after 12:00 of the records in a file."""
    stamps = [int.from_bytes(data[at + 12 : at + 16], "little") for at in range(0, len(data), 380)]
    return [stamp - 1_137_499_200 for stamp in stamps]


QUIET = happen()


def test_a_quiet_world_delivers_every_record():
    """Without faults the center's raw file is the edge's archive; nothing is lost or refused."""
    assert [5 + 60 * minute for minute in range(9)] == labels(QUIET.disks["daws"][ARCHIVE])
    assert QUIET.disks["daws"][ARCHIVE] == QUIET.disks["center"][RAW]
    assert [(0.0, "center"), (5.0, "daws")] == QUIET.lines("host up")
    assert [] == QUIET.lines("lost")
    assert [] == QUIET.fired


# --- traffic --------------------------------------------------------------------------------------


def test_lose():
    """The next two records never reach the center; the log has their hashes and the fault."""
    left = happen(at("12:03:30", Lose("vsat", 2)))
    assert [5, 65, 125, 305, 365, 425, 485] == labels(left.disks["center"][RAW])
    assert [("vsat", "lose", 0, "up", 408)] * 2 == [
        line[1:] for line in left.lines("lost", "cause", "fault", "direction", "bytes")
    ]
    assert [2] == left.fired


def test_lose_waits_for_datagrams_and_counts_those_that_came():
    """An order for more datagrams than there are fires as often as there were some."""
    assert [3] == happen(at("12:06:30", Lose("vsat", 99))).fired


def test_duplicate():
    """The next record is in the raw file twice, and once in the tallies."""
    left = happen(at("12:03:30", Duplicate("vsat")))
    assert [5, 65, 125, 185, 185, 245, 305, 365, 425, 485] == labels(left.disks["center"][RAW])
    assert [("vsat", 0)] == [line[1:] for line in left.lines("duplicated", "fault")]
    assert [9] == [entry["packets"] for entry in left.facts["wire"]]
    assert [1] == left.fired


def test_reorder():
    """The next record arrives `by_s` later, behind the one after it."""
    left = happen(at("12:03:30", Reorder("vsat", by_s=90.0)))
    assert [5, 65, 125, 245, 185, 305, 365, 425, 485] == labels(left.disks["center"][RAW])
    assert [("vsat", 0)] == [line[1:] for line in left.lines("delayed", "fault")]
    assert [1] == left.fired


def test_corrupt():
    """The next record arrives with one bit wrong, the archive's is right."""
    left = happen(at("12:03:30", Corrupt("vsat")))
    sent, came = left.disks["daws"][ARCHIVE], left.disks["center"][RAW]
    assert 1 == (int.from_bytes(sent) ^ int.from_bytes(came)).bit_count()
    assert sent[: 3 * 380] + sent[4 * 380 :] == came[: 3 * 380] + came[4 * 380 :]
    ((_, where, fault, sha, becomes),) = left.lines("corrupted", "fault", "sha", "becomes")
    assert ("vsat", 0) == (where, fault)
    assert sha != becomes
    assert [1] == left.fired


def test_an_outage():
    """Records of the window are lost, by that fault, and none before or after it."""
    left = happen(at("12:03:30", Outage("vsat"), until="12:05:30"))
    assert [5, 65, 125, 305, 365, 425, 485] == labels(left.disks["center"][RAW])
    assert [(210.0, "vsat", 0)] == left.lines("outage begins", "fault")
    assert [(330.0, "vsat", 0)] == left.lines("outage ends", "fault")
    assert [("outage", 0)] * 2 == [line[2:] for line in left.lines("lost", "cause", "fault")]
    assert [1] == left.fired


def test_outages_that_overlap():
    """The link is dark until the last of them ends; the one that began first has the blame."""
    left = happen(
        at("12:02:30", Outage("vsat"), until="12:05:30"),
        at("12:03:30", Outage("vsat"), until="12:04:30"),
        at("12:04:45", Outage("vsat"), until="12:07:30"),
    )
    assert [5, 65, 425, 485] == labels(left.disks["center"][RAW])
    assert [0, 0, 0, 2, 2] == [line[2] for line in left.lines("lost", "fault")]
    assert [1, 1, 1] == left.fired


# --- hosts ----------------------------------------------------------------------------------------


def test_kill():
    """The open record is lost, the archive keeps the rest, and the site begins anew."""
    left = happen(at("12:03:30", Kill("daws", restart_after_s=20)))
    assert [(210.0, "daws", "kill", 0)] == left.lines("host down", "cause", "fault")
    assert [(0.0, "center"), (5.0, "daws"), (230.0, "daws")] == left.lines("host up")
    assert [5, 65, 125, 230, 290, 350, 410, 470, 530] == labels(left.disks["daws"][ARCHIVE])
    lives = left.facts["hosts"]["daws"]["lives"]
    assert [[5 * SECOND_NS, 210 * SECOND_NS], [230 * SECOND_NS, None]] == lives
    assert [1] == left.fired


def test_a_host_is_killed_twice():
    """Two kills of one host are two deaths and two boots."""
    left = happen(at("12:03:30", Kill("daws", 20)), at("12:05:10", Kill("daws", 40)))
    assert [(210.0, "daws", 0), (310.0, "daws", 1)] == left.lines("host down", "fault")
    assert [5.0, 230.0, 350.0] == [at_s for at_s, who in left.lines("host up") if who == "daws"]
    assert [5, 65, 125, 230, 350, 410, 470, 530] == labels(left.disks["daws"][ARCHIVE])
    assert [1, 1] == left.fired


def test_a_power_cut_between_writes():
    """The site goes down as by a kill; nothing of its archive is at risk, and nothing is lost."""
    left = happen(at("12:03:30", PowerCut("daws", restart_after_s=20)))
    assert [(210.0, "daws", "power cut", 0)] == left.lines("host down", "cause", "fault")
    assert [] == left.lines("disk lost")
    assert [5, 65, 125, 230, 290, 350, 410, 470, 530] == labels(left.disks["daws"][ARCHIVE])
    assert [1] == left.fired


@pytest.mark.parametrize(("host", "path"), [("daws", ARCHIVE), ("center", RAW)])
def test_a_power_cut_in_the_middle_of_a_write(host: str, path: str):
    """The cut waits for the next write, strikes once, and costs bytes of that record; the host
    boots as long after the cut as the fault says."""
    left = happen(at("12:03:30", PowerCut(host, restart_after_s=20, mid_write=True)))
    ((down_s, *who),) = left.lines("host down", "cause", "fault")
    assert [host, "power cut", 0] == who
    assert 245 <= down_s < 246.2
    (_, down_ns), (up_ns, _) = left.facts["hosts"][host]["lives"]
    assert 20 * SECOND_NS == up_ns - down_ns
    assert 2 == len([up for _, up in left.lines("host up") if up == host])
    lost = {what: size for _, _, what, size in left.lines("disk lost", "path", "bytes")}
    assert 0 < lost[path] <= 380
    assert [1] == left.fired


def test_a_power_cut_that_waits_in_vain():
    """Where nothing is written in time it does not strike, then or later, and says so."""
    left = happen(
        at("12:03:30", DiskFull("daws"), until="12:06"),
        at("12:03:40", PowerCut("daws", mid_write=True)),
    )
    assert 220 + MID_WRITE_WITHIN_S < 6 * 60
    assert [1, 0] == left.fired
    assert [] == left.lines("host down")
    assert 9 == len(labels(left.disks["daws"][ARCHIVE]))


def test_center_down():
    """Datagrams that arrive meanwhile are lost by that fault; the sites go on."""
    left = happen(at("12:03:30", CenterDown(), until="12:05:30"))
    assert [(210.0, "center", "center down", 0)] == left.lines("host down", "cause", "fault")
    assert [(0.0, "center"), (5.0, "daws"), (330.0, "center")] == left.lines("host up")
    assert [("vsat", "host down", 0)] * 2 == [
        line[1:] for line in left.lines("lost", "cause", "fault")
    ]
    assert [5, 65, 125, 305, 365, 425, 485] == labels(left.disks["center"][RAW])
    assert [1] == left.fired


def test_freeze_of_a_center():
    """What arrives meanwhile is heard at the thaw, in order; nothing is lost that buffers hold."""
    left = happen(at("12:03:30", Freeze("center"), until="12:05:30"))
    assert [(210.0, "center", 0)] == left.lines("host frozen", "fault")
    assert [(330.0, "center", 0)] == left.lines("host thawed", "fault")
    assert QUIET.disks["center"][RAW] == left.disks["center"][RAW]
    index = left.disks["center"][RAW.replace(".dat", ".idx")].decode().splitlines()
    assert ["12:05:30.000000"] * 2 == [line.split()[1] for line in index[3:5]]
    assert [1] == left.fired


def test_freeze_of_a_site():
    """Its line keeps 2047 words of two minutes; the node takes them as what came last, evenly."""
    left = happen(at("12:03:30", Freeze("daws"), until="12:05:30"), fidelity="words")
    assert [(210.0, "daws", 0)] == left.lines("host frozen", "fault")
    assert [(330.0, "daws", 0)] == left.lines("host thawed", "fault")
    quiet, frozen = (_npoints(each.disks["daws"][ARCHIVE]) for each in (QUIET, left))
    assert 120 * 60 - LINE_BUFFER_BYTES // 2 == sum(quiet) - sum(frozen)
    assert 540 - 120 + 34 + 1 == sum(count > 0 for count in frozen)
    assert 61 == max(frozen)
    assert [1] == left.fired


def _npoints(data: bytes) -> list[int]:
    """Samples in each second of a file of records."""
    return [
        int.from_bytes(data[row + 24 + 6 * second :][:2], "little")
        for row in range(0, len(data), 380)
        for second in range(60)
    ]


def test_disk_full():
    """No record is filed while the disk is full; they follow when it is relieved."""
    left = happen(at("12:03:30", DiskFull("daws"), until="12:06:30"))
    assert [(210.0, "daws", 0)] == left.lines("disk full", "fault")
    assert [(390.0, "daws", 0)] == left.lines("disk relieved", "fault")
    room = [(210.0, "daws", 0, 0), (390.0, "daws", 0, 0)]
    assert room == left.lines("no room", "bytes", "fault")
    failed = left.lines("effect failed", "effect")
    assert {("daws/filing", "append")} == {line[1:] for line in failed}
    assert all(210 < line[0] < 390 for line in failed)
    assert QUIET.disks["daws"][ARCHIVE] == left.disks["daws"][ARCHIVE]
    assert [1] == left.fired


# --- clocks ---------------------------------------------------------------------------------------


def test_clock_step():
    """The host's UTC steps, for good; the records after it are labelled by the new clock."""
    left = happen(at("12:03:30", ClockStep("daws", by_s=-30.0)))
    assert [(210.0, "daws", -30 * SECOND_NS, 0)] == left.lines("clock stepped", "by_ns", "fault")
    assert [5, 65, 125, 185, 215, 275, 335, 395, 455] == labels(left.disks["daws"][ARCHIVE])
    history = left.facts["hosts"]["daws"]["utc_offset"]
    assert [(0, 0, 0), (210 * SECOND_NS, -30 * SECOND_NS, 0)] == history
    assert [1] == left.fired


def test_clock_drift():
    """The host's UTC drifts until the end, and steps back to true UTC then."""
    left = happen(at("12:03:30", ClockDrift("daws", ppm=50_000.0), until="12:06:50"))
    assert [(210.0, "daws", 50_000_000, 0)] == left.lines("clock drifting", "ppb", "fault")
    back_ns = -10 * SECOND_NS
    assert [(410.0, "daws", back_ns, 0)] == left.lines("clock disciplined", "by_ns", "fault")
    assert [(0, 0, 0), (210 * SECOND_NS, 0, 50_000_000), (410 * SECOND_NS, 0, 0)] == left.facts[
        "hosts"
    ]["daws"]["utc_offset"]
    assert [1] == left.fired


# --- what is stored, measured and sent ------------------------------------------------------------


def test_rot_record():
    """One bit of the newest archived record differs from what it was; the center has it sound."""
    left = happen(at("12:03:30", RotRecord("daws", bit=3039)))
    ((_, where, path, offset, bit, fault),) = left.lines("rotted", "path", "offset", "bit", "fault")
    assert ("daws", ARCHIVE, 2 * 380, 3039, 0) == (where, path, offset, bit, fault)
    sound, rotten = QUIET.disks["daws"][ARCHIVE], left.disks["daws"][ARCHIVE]
    assert sound[: 3 * 380 - 1] + sound[3 * 380 :] == rotten[: 3 * 380 - 1] + rotten[3 * 380 :]
    assert 0x80 == sound[3 * 380 - 1] ^ rotten[3 * 380 - 1]
    assert sound == left.disks["center"][RAW]
    assert [1] == left.fired


def test_rot_takes_a_record_and_not_a_torn_tail():
    """Beside a torn tail that was moved aside, it is still the newest whole record that rots."""
    left = happen(
        at("12:03:30", PowerCut("daws", restart_after_s=20, mid_write=True)),
        at("12:05:10", RotRecord("daws")),
    )
    assert f"{ARCHIVE}.torn" in left.disks["daws"]
    assert [ARCHIVE] == [line[2] for line in left.lines("rotted", "path")]


def test_rot_without_a_record_does_not_fire():
    """Before the first record is archived there is nothing to rot."""
    left = happen(at("12:01:01", RotRecord("daws")))
    assert [0] == left.fired
    assert [] == left.lines("rotted")


def test_move_address():
    """The site sends from its new address from then on."""
    left = happen(at("12:03:30", MoveAddress("daws", to="198.51.100.77")))
    assert [(210.0, "daws", "198.51.100.77", 0)] == left.lines("moved", "to", "fault")
    assert [5, 65, 125] == labels(left.disks["center"][RAW])
    moved = left.disks["center"][RAW.replace("198.51.100.1", "198.51.100.77")]
    assert [185, 245, 305, 365, 425, 485] == labels(moved)
    assert [1] == left.fired


def test_dead_preamplifier():
    """The riometer logs values within 50 mV of zero from beginning to end, and arrives as ever."""
    left = happen(at("12:03:05", DeadPreamplifier("daws"), until="12:05:05"))
    means = [
        int.from_bytes(left.disks["daws"][ARCHIVE][row + 20 : row + 22], "little")
        for row in range(0, 9 * 380, 380)
    ]
    assert [False, False, False, True, True, False, False, False, False] == [
        2038 <= mean <= 2058 for mean in means
    ]
    assert left.disks["daws"][ARCHIVE] == left.disks["center"][RAW]
    assert [1] == left.fired


@pytest.mark.parametrize("kind", SPOOF_KINDS)
def test_spoof(kind: str):
    """A stranger's datagram reaches its host by no link; the log has its kind, hash and size."""
    left = happen(at("12:03:30", Spoof(kind, "daws")))
    ((_, where, said, fault, size),) = left.lines("spoofed", "kind", "fault", "bytes")
    assert ("daws" if kind == "repair" else "center", kind, 0) == (where, said, fault)
    heard = RAW.replace("198.51.100.1", "203.0.113.66")
    assert (kind not in ("repair", "manifest")) == (heard in left.disks["center"])
    assert size == len(left.disks["center"].get(heard, bytes(size)))
    assert {"short": 379, "long": 381, "empty": 0, "repair": 30, "manifest": 274}.get(
        kind, 380
    ) == size
    assert QUIET.facts["wire"] == left.facts["wire"]
    assert QUIET.disks["daws"] == left.disks["daws"]
    assert [1] == left.fired
