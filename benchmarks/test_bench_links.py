"""Live links: how many packets a pump carries, how late, and whether its losses are the model's.

Source, pump and sink are three processes in namespaces of their own, on the same cores. What the
model loses and doubles is exact and compared here; times, and what the machine had no time for, are
told. Let nothing else run meanwhile.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "links"))

from livelinks import PROFILES, SEED

from fieldproof_simulators.links.fates import models
from fieldproof_simulators.links.live import probe
from fieldproof_simulators.machines.live.namespaces import isolated_command

STAGE = Path(__file__).parent / "link_stage.py"
IP_BYTES = 408
WAYS = ["tun", "packet"]


@pytest.fixture
def stage(tmp_path):
    """Starts a stage and waits until all is up; gives what lets its packets go."""
    started = []

    def start(backend, profile, packets, per_second):
        found = {each.name: each for each in probe.backends()}[backend]
        if not found.ok:
            pytest.skip(f"{backend}: {found.reason} {found.fix}")
        words = [backend, profile, str(packets), str(per_second), str(tmp_path / "run")]
        process = subprocess.Popen(
            isolated_command([sys.executable, str(STAGE), *words]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return (process,), {}

    yield start
    for process in started:
        process.communicate()


def go(process):
    """Lets the packets go; what became of them."""
    process.stdin.write("go\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def foretold(profile, packets):
    """What the model alone loses and doubles of so many packets."""
    model = models("vsat", PROFILES[profile], SEED)["up"]
    passages = [model.send(number, IP_BYTES) for number in range(packets)]
    return (
        sum(not passage.copies for passage in passages),
        sum(len(passage.copies) == 2 for passage in passages),
    )


def us(milliseconds):
    """Whole microseconds."""
    return round(1000 * milliseconds)


@pytest.mark.parametrize("per_second", [60_000, 0])
@pytest.mark.parametrize("backend", WAYS)
def test_throughput(measure, stage, backend, per_second):
    """100 000 records of 380 bytes at a link that delays, loses and doubles, with both captures on:
    the losses are those of the model, and what reaches the far kernel is all the rest."""
    asked = f"{per_second} a second" if per_second else "as fast as it goes"
    told = measure(
        f"link, {backend}, {asked}",
        go,
        setup=lambda: stage(backend, "flood", 100_000, per_second),
        counts=lambda told: {
            "packets": told["offered"],
            "sent a second": told["offered_s"],
            "received a second": round(told["reached"] / told["seconds"]),
            "lost by the model": told["lost_by_model"],
            "doubled": told["duplicated"],
            "lost by the machine": told["lost_by_machine"],
            "ns of the pump for one": round(told["pump_s"] * 1e9 / told["offered"]),
            "us late at the pump": us(told["late_p50_ms"]),
        },
        rounds=1,
    )
    lost, doubled = foretold("flood", told["offered"])
    assert (lost, doubled) == (told["lost_by_model"], told["duplicated"])
    assert told["offered"] + told["lost_by_machine"] == 100_000
    assert told["offered"] - lost + doubled == told["delivered"] == told["reached"]


@pytest.mark.parametrize("profile", ["clean", "slow"])
@pytest.mark.parametrize("backend", WAYS)
def test_latency(measure, stage, backend, profile):
    """What the way adds to no delay at all, and to 600 ms, from socket to socket."""
    asked_ms = PROFILES[profile].up.delay_ns // 1_000_000
    told = measure(
        f"link, {backend}, {asked_ms} ms",
        go,
        setup=lambda: stage(backend, profile, 2000, 500),
        counts=lambda told: {
            "packets": told["delivered"],
            "us one way": us(told["p50_ms"]),
            "us one way at p99": us(told["p99_ms"]),
            "us late at the pump": us(told["late_p50_ms"]),
            "us late at the pump at p99": us(told["late_p99_ms"]),
        },
        rounds=1,
    )
    assert told["heard"] == 2000
    assert told["p50_ms"] >= asked_ms == told["asked_delay_ms"]
