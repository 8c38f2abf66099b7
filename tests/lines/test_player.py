"""The player in real time: words in order, at 60 Hz, and no process that outlives its stage."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from fieldproof_contract import SECOND_NS
from fieldproof_simulators.lines.live.process import (
    FACTS,
    LineBegin,
    LivePlayer,
    PlayerBegin,
    PlayerFailed,
)

PATIENCE_S = 30.0
LATE_S = 0.25  # how late the machine that runs the tests may make a word

STAGE = """
import os, sys, time
from pathlib import Path
from fieldproof_simulators.lines.live.process import LineBegin, LivePlayer, PlayerBegin
master, slave = os.openpty()
line = LineBegin("daws", os.ttyname(slave))
begin = PlayerBegin(time.monotonic_ns(), 0, 1, (line,))
player = LivePlayer(begin, Path(sys.argv[1]), Path(sys.argv[1]) / "log")
print(player.pid, flush=True)
time.sleep(600)
"""


def test_words_come_in_order_at_sixty_a_second(bare_line):
    """Every byte of the instrument's stream comes, in order, and as many come as time passed."""
    line, reader = bare_line, bare_line.reader
    line.up()
    reader.until(2)
    began_ns, first = line.now_ns(), len(reader.data)
    while line.now_ns() < began_ns + 2 * SECOND_NS:
        reader.read(0.1)
    words = (len(reader.data) - first) / 2
    passed_s = (line.now_ns() - began_ns) / SECOND_NS
    assert 60 * passed_s == pytest.approx(words, abs=1 + 60 * LATE_S)
    place = line.place(reader.data)
    assert (True, 0) == (place >= 0, place % 2)


def test_what_was_played_is_told_in_the_end(own_bare_line):
    """The result counts the words, says how late they were, and names the last sample."""
    line, reader = own_bare_line, own_bare_line.reader
    line.up()
    reader.until(40)
    last_ns = line.now_ns()
    result = line.player.stop(PATIENCE_S)
    reader.read()
    (row,) = result.rows
    assert ("daws", len(reader.data) // 2, 0) == (row.site, row.samples, row.overrun_bytes)
    assert 0 <= row.late_p50_ms <= row.late_p99_ms <= row.late_max_ms
    last = result.last_samples["daws"]
    assert line.place(reader.data) // 2 + row.samples == last + 1
    assert 60 * last_ns / SECOND_NS == pytest.approx(last, abs=60 * LATE_S + 3)
    assert {} == result.fired
    assert 0 < result.cpu_s < 60


def test_figures_come_by_themselves(bare_line):
    """While it plays the player tells rates and lateness of each line."""
    line = bare_line
    line.up()
    line.wait_for_words(45)
    assert 60 == pytest.approx(
        sum(state.words_per_s for state in line.states()[-3:]) / 3, abs=2 * 60 * LATE_S
    )
    assert line.states()[-1].plugged
    assert line.states()[-1].late_p99_ms >= 0


def test_nobody_hears_while_the_host_is_down(bare_line):
    """Words of a host's downtime are lost without a fact, and the next life begins with a whole
    one."""
    line, reader = bare_line, bare_line.reader
    line.up()
    reader.until(20)
    line.down()
    reader.read()
    first, reader.data = reader.data, b""
    assert b"" == reader.read(0.2)
    line.up()
    reader.until(20)
    end, begin = line.place(first) + len(first), line.place(reader.data)
    assert 20 <= begin - end
    assert (0, 0) == (end % 2, begin % 2)
    assert [] == line.facts()


def test_a_burst_in_real_time(own_bare_line, tmp_path):
    """The fact of a loss names exactly the bytes that did not come, in the file as on the wire."""
    line, reader = own_bare_line, own_bare_line.reader
    line.up()
    reader.until(40)
    line.hurt("burst", 5, count=11)
    fact = line.fact("line dropped")
    reader.until(20)
    first, last = fact.detail["from_byte"], fact.detail["until_byte"]
    assert (11, 5, first // 2) == (last - first, fact.detail["fault"], fact.detail["from_sample"])
    begin = line.place(reader.data[:40])
    assert last == line.place(reader.data[first - begin :])
    assert {5: 11} == line.player.stop(PATIENCE_S).fired
    (said,) = (tmp_path / FACTS).read_bytes().splitlines()
    assert {"ns": fact.ns, "where": "daws", "what": "line dropped", **fact.detail} == (
        msgspec.json.decode(said)
    )


def test_a_stall_in_real_time(bare_line):
    """Nothing comes while the line is stalled; then comes what the sender kept, and all goes on."""
    line, reader = bare_line, bare_line.reader
    line.up()
    reader.until(20)
    line.hurt("stall", 0)
    reader.read()
    assert b"" == reader.read(0.4)
    line.heal("stall", 0)
    reader.until(80)
    assert line.place(reader.data) >= 0


def test_a_player_that_dies_is_noticed(own_bare_line):
    """When the player is killed, the next question to it says so."""
    player = own_bare_line.player
    os.kill(player.pid, signal.SIGKILL)
    with pytest.raises(PlayerFailed, match="is gone"):
        player.host_up("daws")
    with pytest.raises(PlayerFailed, match="is gone"):
        player.said()


def test_it_dies_with_its_stage(tmp_path):
    """When the stage is killed, the player ends by itself."""
    command = [sys.executable, "-c", STAGE, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as stage:
        player = Path("/proc", stage.stdout.readline().strip(), "stat")
        assert player.exists()
        stage.kill()
    give_up_s = time.monotonic() + PATIENCE_S
    while is_alive(player):
        assert time.monotonic() < give_up_s, "the player outlives its stage"
        os.sched_yield()


def is_alive(stat: Path) -> bool:
    """Whether the process with this stat file has not ended."""
    try:
        return stat.read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (LineBegin("nome", "/dev/null"), "no site 'nome'"),
        (LineBegin("daws", "/dev/null", noise="loud"), "no noise preset 'loud'"),
        (LineBegin("daws", "/no/such/port"), "No such file"),
        (LineBegin("daws", "/dev/null"), "/dev/null"),
    ],
)
def test_what_cannot_be_played_is_refused(tmp_path, line, why):
    """A site, a preset or a port that is none is said at once, and no process stays."""
    begin = PlayerBegin(time.monotonic_ns(), 0, 1, (line,))
    with pytest.raises(PlayerFailed, match=why):
        LivePlayer(begin, tmp_path, tmp_path / "log")


def test_orders_that_make_no_sense(bare_line):
    """A site without a line, a kind that there is not, and a port that cannot be spoilt are
    refused, and the player goes on."""
    line = bare_line
    with pytest.raises(PlayerFailed, match="no line of 'nome'"):
        line.player.host_up("nome")
    with pytest.raises(PlayerFailed, match="cannot be hurt by 'gnaw'"):
        line.hurt("gnaw", 0)
    with pytest.raises(PlayerFailed, match="no pseudo-terminal"):
        line.hurt("cooked", 0)
    line.up()
    assert line.place(line.reader.until(4)) >= 0
