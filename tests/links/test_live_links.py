"""Live links with real hosts: namespaces, devices, sockets and a pump in a process of its own.

Each case of `live_stage.py` runs in namespaces that end with it, as whoever runs the tests and, for
the ways that need no rights at all, also as nobody.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from livelinks import (
    BEGINS_UTC_NS,
    CENTER,
    FADING,
    MS,
    PORT,
    PURPOSES,
    ROUGH,
    SEED,
    SITE,
    FarEnd,
    captured,
    lines,
)
from recordings import VECTORS

from fieldproof_contract import Address
from fieldproof_simulators.links.fates import PROFILES_OWN, short_hash
from fieldproof_simulators.links.live import probe, proxy
from fieldproof_simulators.links.live.ports import LinkError
from fieldproof_simulators.links.live.process import LivePump, PumpBegin
from fieldproof_simulators.links.outages import intervals
from fieldproof_simulators.links.virtual import Packet, VirtualLink
from fieldproof_simulators.machines.live.isolation import can_isolate
from fieldproof_simulators.machines.live.namespaces import isolated_command
from fieldproof_simulators.streams import child_seed

STAGE = Path(__file__).parent / "live_stage.py"
PATIENCE_S = 60
NOBODY = 65_534
NEW_ADDRESS = "203.0.113.7"
SECOND = 1000 * MS

pytestmark = [pytest.mark.needs("ip"), pytest.mark.needs("unshare")]


def played(case, backend, folder, **more):
    """What a case printed."""
    argv = [sys.executable, str(STAGE), case, backend, str(folder)]
    argv = more.pop("argv", argv)
    done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE_S, **more)
    assert (0, "") == (done.returncode, done.stderr)
    return json.loads(done.stdout)


@pytest.fixture
def play(tmp_path):
    """Plays a case, or skips with what this machine lacks for it."""

    def run(case, backend):
        if backend == "proxy":
            return played(case, backend, tmp_path)
        require(backend)
        command = [sys.executable, str(STAGE), case, backend, str(tmp_path)]
        return played(case, backend, tmp_path, argv=isolated_command(command))

    return run


@cache
def ways():
    """What works here, by name: probed once."""
    return {each.name: each for each in probe.backends(with_netem=True)}


def require(backend):
    """Skips where a way to attach hosts does not work here."""
    found = ways()[backend]
    if not found.ok:
        pytest.skip(f"{backend}: {found.reason} {found.fix}")


def record(number):
    """What the site sends in `live_stage.py`."""
    return b"record %06d" % number + bytes(380 - 13)


def virtually(count):
    """What a virtual link with the same seed says about these records, and what arrives."""
    far = FarEnd()
    link = VirtualLink("vsat", ROUGH, SEED, PURPOSES, far)
    for number in range(count):
        link.send("up", Packet(Address(SITE, PORT), Address(CENTER, PORT), record(number)))
    said = list(far.logged)
    for *_, action in far.due:
        action()
    arrived = Counter(short_hash(line["sha"]) for line in far.logged[len(said) :])
    return said, arrived, link


# --- the same fates everywhere --------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["tun", "packet", "proxy"])
def test_one_seed_has_the_same_fates_live_and_in_virtual_time(play, backend):
    """Every record that is lost, doubled or damaged in virtual time meets that fate on a live link,
    in the facts, in the tallies and at the far end; and no other record does."""
    came = play("rough", backend)
    said, arrived, link = virtually(1500)
    assert said == came["facts"]
    assert arrived == Counter(came["heard"]["center"])
    assert list(link.wire()) == came["wire"]
    assert dict(link.generators_end()) == came["generators_end"]
    row = came["achieved"][0]
    assert (backend, 0, 0, 0) == tuple(
        row[key] for key in ("backend", "lost_by_machine", "lost_by_fault", "held")
    )


@pytest.mark.parametrize("backend", ["tun", "packet"])
def test_recordings_of_a_kernel_come_true_on_real_devices(play, backend):
    """What the recorded kernel lost does not arrive, what it doubled arrives twice, what it damaged
    dies at this kernel's checksum, and what overtook there overtakes here."""
    for name, delays in play("vectors", backend).items():
        vector = VECTORS[name]
        lost, doubled, hurt = (set(vector[fate]) for fate in ("lost", "duplicated", "corrupted"))
        assert vector["frames"] == len(delays)
        for frame, delays_ms in enumerate(delays):
            copies = (frame not in lost) + (frame in doubled)
            if frame in hurt:
                assert len(delays_ms) < copies, (name, frame)
            else:
                assert len(delays_ms) == copies, (name, frame)
        if "early" in vector:
            is_early = {frame for frame, ms in enumerate(delays) if ms and min(ms) < 25}
            assert set(vector["early"]) - lost - hurt == is_early - hurt


# --- time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["tun", "packet"])
def test_a_delay_is_kept_and_reported(play, backend):
    """Of 600 ms not one packet takes less and the quickest hardly more, and the report says what
    the pump itself added."""
    came = play("slow", backend)
    row = came["achieved"][0]
    assert 600 == row["asked_delay_ms"]
    assert 600 <= came["least_ms"] <= 700
    assert 600 <= row["delay_p50_ms"] <= row["delay_p99_ms"] <= 600 + row["late_max_ms"]
    assert row["delay_p50_ms"] == pytest.approx(600 + row["late_p50_ms"])
    assert came["p50_ms"] >= row["delay_p50_ms"]


def test_a_burst_waits_for_a_pump_that_is_not_there_yet(play):
    """A device holds all that a host sends within a sixth of a second, whole and in order."""
    assert {"is_whole": True, "dropped": 0} == play("burst", "tun")


# --- faults ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["tun", "packet", "proxy"])
def test_faults_act_on_exactly_what_they_are_for(play, backend):
    """Orders, darkness, a stranger and a move hit the packets that they name, and the facts, the
    counts and both hosts agree about it."""
    came = play("hurt", backend)
    kinds = ["lost", "duplicated", "corrupted", "delayed"]
    expected = [(what, fault) for fault, what in enumerate(kinds) for _ in range(2)]
    expected += [("outage begins", 4), ("lost", 4), ("lost", 4), ("outage ends", 4)]
    *told, no_route = came["facts"]
    assert expected == [(fact["what"], fact["fault"]) for fact in told]
    assert {"where": "center", "what": "no route", "to": SITE, "bytes": 3} == no_route
    sha = [short_hash(record(number)) for number in range(14)]
    assert [sha[n] for n in (1, 2, 3, 4, 5, 6, 7, 8, 10, 11)] == [
        fact["sha"] for fact in told if "sha" in fact
    ]
    becomes = [fact["becomes"] for fact in told if "becomes" in fact]
    forged = short_hash(bytes(50_000))
    heard = [sha[0], *[sha[3]] * 2, *[sha[4]] * 2, *becomes, *[sha[n] for n in (7, 8, 9, 12, 13)]]
    assert Counter([*heard, forged]) == Counter(came["heard"]["center"])
    assert [short_hash(b"before"), short_hash(b"new")] == came["heard"]["site"]
    assert {"0": 2, "1": 2, "2": 2, "3": 2} == came["fired"]
    assert 3 == len(came["sources"])  # the site before and after it moved, and the stranger
    if backend != "proxy":
        assert [SITE, "203.0.113.66", NEW_ADDRESS] == came["sources"]


def test_a_profiles_own_outages_strike_when_they_do_in_virtual_time(play):
    """Beginnings and ends come in the same order as in a world of the same seed, each at its true
    time or somewhat later, and none after the time until which they strike."""
    came = play("fading", "proxy")
    facts, ready_ns = came["facts"], came["ready_ns"]
    seed = child_seed(SEED, "link:vsat")
    planned = [ns for both in intervals(FADING.outages, seed, 0, SECOND) for ns in both]
    assert len(planned) >= 4
    assert ["outage begins", "outage ends"] * (len(planned) // 2) == [
        fact["what"] for fact in facts
    ]
    assert {("vsat", PROFILES_OWN)} == {(fact["where"], fact["fault"]) for fact in facts}
    late_ns = [fact["ns"] - ns for fact, ns in zip(facts, planned, strict=True) if ns > ready_ns]
    assert all(fact["ns"] >= ns for fact, ns in zip(facts, planned, strict=True))
    assert all(0 <= late < 200 * MS for late in sorted(late_ns)[: len(late_ns) // 2])


def test_noise_on_a_device_does_no_harm(play):
    """300 packets that are none are counted, and the record behind them arrives."""
    came = play("noise", "tun")
    (fact,) = came["facts"]
    assert ("site", "not IPv4", 300) == (fact["where"], fact["what"], fact["packets"])
    assert 1 == came["heard"]


# --- other ways -----------------------------------------------------------------------------------


def test_a_link_can_lead_through_the_kernel(play):
    """Packets that go through a pair of devices arrive as ever, and are accounted for."""
    came = play("through_kernel", "packet")
    assert [short_hash(record(number)) for number in range(300)] == came["heard"]["center"]
    assert [] == came["facts"]
    assert [("netem", 300, 300, 0), ("netem", 1, 1, 0)] == [
        (row["backend"], row["offered"], row["delivered"], row["lost_by_machine"])
        for row in came["achieved"]
    ]


def test_streams_through_a_relay_are_late_stall_and_break(play):
    """Without namespaces TCP arrives whole and no faster than asked, waits for the end of darkness,
    is reset where nobody listens and where a site moves, and is charged to the link."""
    came = play("streams", "proxy")
    for direction in ("up", "down"):
        took_ms, is_same = came[direction]
        assert is_same
        assert took_ms >= 450  # 50 ms, and 400 ms for 50 kB at 1 Mbit/s
    assert ("", "in the dark", "") == tuple(came[key] for key in ("dark", "light", "end"))
    assert all(came[key] for key in ("seen_from", "refused", "moved", "anew"))
    for row in came["wire"]:
        assert ("telemetry", 35) == (row["purpose"], row["bytes"] // 1448)
        assert 50_000 < row["bytes"] < 52_500


def test_all_ways_are_probed_in_order():
    """Each way has a verdict; one that does not work says why and what to do, in sentences."""
    found = probe.backends(with_netem=True)
    assert ["tun", "packet", "netem", "proxy"] == [each.name for each in found]
    for each in found:
        assert each.ok == (each.reason == "") == (each.fix == "")
        assert each.ok or (each.reason.strip() and each.fix.endswith("."))
    assert found[-1].ok


# --- without rights -------------------------------------------------------------------------------


@contextmanager
def unprivileged():
    """How to run Python as nobody, and a folder for it; skips where that cannot be."""
    if os.geteuid() != 0:
        pytest.skip("Only root can become nobody; all other tests have no rights already.")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    usual = shutil.which(version, path="/usr/bin:/usr/local/bin")
    paths = os.pathsep.join(path for path in sys.path if path)
    how = {
        "env": {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"},
        "user": NOBODY,
        "group": NOBODY,
        "extra_groups": [],
        "cwd": "/",
    }
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        trial = f"import fieldproof_simulators.links.live.pump; open({folder + '/it'!r}, 'w')"
        for python in filter(None, (sys.executable, usual)):
            try:
                done = subprocess.run([python, "-c", trial], capture_output=True, text=True, **how)
            except PermissionError:
                continue
            if done.returncode == 0:
                yield python, folder, how
                return
    pytest.skip("No Python that nobody may run finds our packages here.")


def isolated_by(python, argv):
    """`isolated_command`, for another interpreter than ours."""
    return [python if word == sys.executable else word for word in isolated_command(argv)]


def test_links_work_without_rights():
    """As nobody, who may not open /dev/net/tun where it is root's, a lossy link between namespaces
    has the same fates."""
    with unprivileged() as (python, folder, how):
        if not can_isolate().ok:
            pytest.skip(can_isolate().reason)
        argv = isolated_by(python, [python, str(STAGE), "rough", "packet", folder])
        came = played("rough", "packet", folder, argv=argv, **how)
    said, arrived, _ = virtually(1500)
    assert said == came["facts"]
    assert arrived == Counter(came["heard"]["center"])


def test_without_rights_the_next_way_is_found():
    """As nobody the probe still finds a way, and says of the device that it may not be opened."""
    ask = f"import {probe.__name__} as probe; print(*map(list, probe.backends()), sep='\\n')"
    with unprivileged() as (python, _, how):
        done = subprocess.run([python, "-c", ask], capture_output=True, text=True, **how)
        may_open = Path("/dev/net/tun").stat().st_mode & 0o006 == 0o006
    assert "" == done.stderr
    assert may_open or "['tun', False, '/dev/net/tun cannot be opened: Permission denied.'" in (
        done.stdout
    )
    assert "['proxy', True, '', '']" in done.stdout


# --- life and death of the pump -------------------------------------------------------------------


@pytest.fixture
def plan():
    """Two hosts on loopback."""
    network = os.getpid() % 200 + 20
    return proxy.plan(("center", CENTER), [("site", (SITE,))], [PORT], network)


def beginning():
    """A run with one clean link."""
    return PumpBegin(
        time.monotonic_ns(),
        BEGINS_UTC_NS,
        SEED,
        PURPOSES,
        (("vsat", "perfect"),),
        (("site", SITE, "vsat"),),
        ("center", CENTER),
    )


@pytest.fixture
def pump(plan, tmp_path):
    """A pump of our own."""
    with (
        (tmp_path / "pump.log").open("wb") as log,
        LivePump(beginning(), plan.attachments, tmp_path, log) as pump,
    ):
        yield pump


def until(condition):
    """Wait for a condition, but not for ever."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.002)


def test_a_pump_that_is_told_to_end_leaves_its_results(pump, tmp_path):
    """SIGTERM ends it as `stop` does: the results are there, and the evidence is on disk."""
    pump._process.send_signal(signal.SIGTERM)
    assert 0 == pump._process.wait(PATIENCE_S)
    result = pump.stop(5)
    assert ["up", "down"] == [row["direction"] for row in result.achieved]
    assert [] == captured(tmp_path / "links" / "vsat-offered.pcap")


def test_the_death_of_a_pump_is_noticed(pump):
    """Whoever listens or orders is told in a sentence, with the status and the log."""
    pump._process.kill()
    pump._process.wait(PATIENCE_S)
    with pytest.raises(LinkError, match=r"The link pump ended with status -9: see .*pump\.log\."):
        until(lambda: pump.said() == "never")
    with pytest.raises(LinkError, match="ended with status -9"):
        pump.go_dark("vsat", 0)
    with pytest.raises(LinkError, match="ended with status -9"):
        pump.stop(5)


def test_an_order_for_nothing_that_is_there_is_refused(pump):
    """A link or host that the pump does not have is named, and so are those that it has."""
    with pytest.raises(LinkError, match=r"no link 'lte', only vsat\."):
        pump.order("lte", "lose", 1, 0)
    with pytest.raises(LinkError, match=r"no host 'moon', only center, site\."):
        pump.inject("moon", b"")
    assert pump.stop(5).fired == {}


def test_a_pump_that_cannot_begin_says_why(plan, pump, tmp_path):
    """A second pump on the same addresses ends, and its log has one sentence."""
    with (
        (tmp_path / "second.log").open("wb") as log,
        pytest.raises(LinkError, match=r"ended with status 1: see .*second\.log\."),
    ):
        LivePump(beginning(), plan.attachments, tmp_path / "second", log)
    (sentence,) = (tmp_path / "second.log").read_text().splitlines()
    assert "cannot be had for a proxy: Address already in use." in sentence


def test_a_pump_dies_with_its_parent(tmp_path):
    """When the stage is killed without a word, the pump writes its evidence and is gone."""
    argv = [sys.executable, str(STAGE), "orphan", "proxy", str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as parent:
        pump_pid = int(parent.stdout.readline())
        parent.kill()
    until(lambda: not Path(f"/proc/{pump_pid}").exists())
    (packet,) = captured(tmp_path / "links" / "vsat-delivered.pcap")
    assert packet[1].endswith(record(0))
    assert "outage begins" == lines(tmp_path / "links" / "facts.jsonl")[0]["what"]
    assert "" == (tmp_path / "pump.log").read_text()


def test_news_come_about_four_times_a_second(pump):
    """Somebody who looks on sees time pass and the facts as they happen, each once."""
    pump.go_dark("vsat", 3)
    news = []
    until(lambda: news.extend(pump.said()) or len(news) >= 6)
    steps = [later.ns - earlier.ns for earlier, later in pairwise(news)]
    assert all(200 * MS < step for step in steps[1:])
    facts = [fact for each in news for fact in each.facts]
    assert ["outage begins"] == [fact["what"] for fact in facts]
    assert {("vsat", "up"), ("vsat", "down")} == {
        (way.link, way.direction) for way in news[-1].ways
    }
