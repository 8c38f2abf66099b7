"""Serial lines: what a hurt line costs, and what twelve real ones cost and how late they are.

The last one takes its time whatever the machine: its figures are the counts, and the processor time
that twelve instruments and their cables took.
"""

import os
import select
import shutil
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from fieldproof_contract import SECOND_NS
from fieldproof_simulators.instruments.riometer import DEFAULT_SITES, Riometer
from fieldproof_simulators.lines.adwords import encode, word_time_ns
from fieldproof_simulators.lines.hurts import Hurt
from fieldproof_simulators.lines.live.process import LineBegin, LivePlayer, PlayerBegin
from fieldproof_simulators.lines.live.socat import Cable
from fieldproof_simulators.lines.serial import SerialLine
from fieldproof_simulators.machines.live import proc

BEGINS_UTC_NS = 1_137_456_000 * SECOND_NS  # 2006-01-17
MINUTE_WORDS = 3600
PLAYED_S = 5
WORD_NS = word_time_ns()


@pytest.mark.parametrize("kind", ["garble", "cooked", "stall"])
def test_hurt_line(measure, kind):
    """A minute of words through a line that is hurt all the time."""
    riometer = Riometer("daws", 1, BEGINS_UTC_NS)
    data = encode(riometer.codes(0, MINUTE_WORDS))
    instants_ns = [riometer.instant_ns(k) for k in range(MINUTE_WORDS)]

    def play(line: SerialLine) -> int:
        line.hurt(0, Hurt(kind, 0, percent=1.0))
        heard = 0
        for k, at_ns in enumerate(instants_ns):
            line.send(at_ns, 2 * k, data[2 * k : 2 * k + 2])
            heard += len(line.advance(at_ns + WORD_NS))
            line.take_facts()
        return heard

    measure(
        f"line model, a minute, {kind}",
        play,
        setup=lambda: ((SerialLine("daws", 1),), {}),
        counts=lambda heard: {"words": MINUTE_WORDS, "bytes heard": heard},
        rounds=5,
    )


def cpu_ms(pid: int | None) -> int:
    """Processor time that a process has taken."""
    known = None if pid is None else proc.stat(pid)
    return (
        0 if known is None else 1000 * (known.utime_ticks + known.stime_ticks) // proc.TICKS_PER_S
    )


@pytest.mark.skipif(shutil.which("socat") is None, reason="socat is missing")
def test_twelve_real_lines(measure, tmp_path):
    """Twelve instruments over twelve cables to one reader, in real time."""

    def play() -> dict[str, int]:
        with ExitStack() as stack:
            cables = {site: plugged(stack, tmp_path / site) for site in DEFAULT_SITES}
            lines = tuple(
                LineBegin(site, str(cable.instrument_end), str(cable.system_end))
                for site, cable in cables.items()
            )
            begin = PlayerBegin(time.monotonic_ns(), BEGINS_UTC_NS, 1, lines)
            player = stack.enter_context(LivePlayer(begin, tmp_path, tmp_path / "log"))
            reading = select.poll()
            for cable in cables.values():
                end = os.open(cable.system_end, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
                stack.callback(os.close, end)
                reading.register(end, select.POLLIN)
            for site in cables:
                player.host_up(site)
            before_ms = cpu_ms(player.pid), sum(cpu_ms(cable.pid) for cable in cables.values())
            give_up_s = time.monotonic() + PLAYED_S
            while time.monotonic() < give_up_s:
                for end, _ in reading.poll(100):
                    os.read(end, 4096)
            after_ms = cpu_ms(player.pid), sum(cpu_ms(cable.pid) for cable in cables.values())
            rows = player.stop(10).rows
        return {
            "words": sum(row.samples for row in rows),
            "us late, half of them": round(1000 * max(row.late_p50_ms for row in rows)),
            "us late, 99 in 100": round(1000 * max(row.late_p99_ms for row in rows)),
            "us late, the last": round(1000 * max(row.late_max_ms for row in rows)),
            "ms of the player's processor": after_ms[0] - before_ms[0],
            "ms of the cables'": after_ms[1] - before_ms[1],
        }

    counts = measure(
        f"player, twelve lines for {PLAYED_S} s", play, counts=lambda counts: counts, rounds=1
    )
    assert counts["words"] == pytest.approx(12 * 60 * PLAYED_S, rel=0.1)


def plugged(stack: ExitStack, folder: Path) -> Cable:
    """A cable in a folder of its own, gone with the stack."""
    folder.mkdir()
    cable = Cable(folder, folder.with_suffix(".log"))
    stack.callback(cable.close)
    return cable
