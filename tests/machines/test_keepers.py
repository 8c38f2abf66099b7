"""Nobody leaves a host: whatever its processes do, they are stopped, killed and counted with it.

Each scene is played twice, in a PID namespace of the test's own: by a host in a cage, and by one on
the plain machine.
"""

import os
import signal
import subprocess
import sys

import pytest

from fieldproof_simulators.machines.live import processes

PRELUDE = """
import os, select, signal, sys, time
from contextlib import suppress
from pathlib import Path
from fieldproof_simulators.machines.live import proc, processes
from fieldproof_simulators.machines.live.cage import Cage
place, is_caged = Path(sys.argv[1]), sys.argv[2] == "caged"
log = place / "log"
(place / "hidden").mkdir()
given = {"env": {"PATH": os.environ["PATH"]}, "log": log}
given["cage"] = Cage((place / "hidden",)) if is_caged else None
def start(script):
    return processes.HostProcess(["sh", "-c", script], **given)
def until(holds, words):
    give_up_s = time.monotonic() + 20
    while not (held := holds()):
        assert time.monotonic() < give_up_s, words
        select.select((), (), (), 0.002)
    return held
def said(words="ready"):
    return until(lambda: words in log.read_text() and log.read_text(), words)
def others():
    "Those that run beside this script, by state."
    everyone = (known for known in proc.everyone() if known.pid != os.getpid())
    return {known.pid: known.state for known in everyone if known.state not in proc.ENDED}
ESCAPED = "(setsid env -i sleep 600 &)"
LEFT = f"{ESCAPED}; {ESCAPED}; setsid env -i sh -c '{ESCAPED}; exec sleep 600' & "
def have_left():
    "Whether the four are what they become last, by when all between them and the shell has ended."
    names = []
    for pid in others():
        with suppress(OSError):  # it ended meanwhile
            names.append(Path(f"/proc/{pid}/comm").read_text())
    return names.count("sleep\\n") == 4
"""


@pytest.fixture(params=["caged", "plain"])
def play(request, isolated, tmp_path):
    """Plays a scene, and gives what it printed."""
    return lambda scene: isolated(PRELUDE + scene, tmp_path, request.param)


def test_a_kill_reaches_those_that_left_everything(play):
    """Processes with an empty environment and a session of their own, whose parents ended, are
    gone when the kill returns."""
    assert "Exit(code=-9, in_time=True) () {}\n" == play(
        """
system = start(LEFT + "echo ready; wait")
said()
until(have_left, "all have left")
print(system.kill(), system.survivors, others())
"""
    )


def test_they_are_killed_when_the_system_has_ended_by_itself(play):
    """What left everything does not outlive a system that ended by itself, and a system that was
    asked to end, whose statuses stay."""
    assert "3 {} 5 {}\n" == play(
        """
ended = start(LEFT + "echo ready; exit 3")
until(ended.poll, "its end")
until(have_left, "all have left")
first = ended.kill().code, others()
log.unlink()
deaf = "(trap '' TERM; setsid env -i sleep 600 &)"
asked = start(f"trap 'exit 5' TERM; {deaf}; sleep 600 & echo ready; wait")
said()
print(*first, asked.terminate(20).code, others())
"""
    )


def test_ends_are_told_as_they_are(play):
    """Statuses and signals pass through the keeper unchanged, and a system that has no handler ends
    by SIGTERM, frozen or not."""
    assert "[0, 3, 77, 139, -11, -9, -15, -15]\n" == play(
        """
ends = []
for script in ("exit 0", "exit 3", "exit 77", "exit 139", "kill -SEGV $$", "kill -KILL $$"):
    with start(script) as system:
        ends.append(until(system.poll, "its end").code)
for is_frozen in (False, True):
    with start("exec sleep 600") as system:
        if is_frozen:
            system.freeze()
        ends.append(system.terminate(20).code)
print(ends)
"""
    )


def test_freezing_stops_those_that_left_everything(play):
    """Frozen, all but the keeper are stopped, grandchildren of other sessions included; thawed,
    none is."""
    assert "['T', 'T', 'T', 'T', 'T'] True\n" == play(
        """
with start(LEFT + "echo ready; wait") as system:
    said()
    until(have_left, "all have left")
    system.freeze()
    frozen = sorted(state for pid, state in others().items() if pid not in system.pids())
    system.thaw()
    print(frozen, "T" not in others().values())
"""
    )


def test_usage_counts_orphans_that_are_dead(play):
    """Processor time of children and of orphans that left everything counts, also when they have
    ended, and when the system has; resident memory is that of those that run."""
    assert "True True True 0\n" == play(
        """
(place / "burn").write_text("import time\\nwhile time.process_time() < 0.15: pass")
burn = f"{sys.executable} -IS {place / 'burn'}"
system = start(f"{burn}; (setsid env -i {burn} &); echo ready; exec sleep 600")
said()
def used():
    seen = system.usage()
    return seen.utime_s + seen.stime_s
until(lambda: len(others()) == 2 and used() >= 0.25, "the orphan has ended and is counted")
used_s, resident = used(), system.usage().rss_bytes
system.kill()
last = system.usage()
print(0.25 <= used_s < 2, 100_000 < resident < 8_000_000,
    used_s <= last.utime_s + last.stime_s, last.rss_bytes)
"""
    )


def test_orphans_are_waited_for(play):
    """An orphan that ended does not stay as a zombie, and the first process does, until the kill:
    its number is nobody else's."""
    assert "[('Z', 4)] 4\n" == play(
        """
system = start("(setsid env -i true &); (true &); echo ready; exit 4")
said()
how = until(system.poll, "its end")
def zombies():
    ended = [known for known in proc.everyone() if known.state == "Z"]
    return ended if len(ended) == 1 else None
(left,) = until(zombies, "only one zombie")
print([(left.state, how.code)] if left.pid == system.pid else left, system.kill().code)
"""
    )


@pytest.mark.parametrize("name", ["TERM", "HUP", "INT", "CHLD", "STOP"])
def test_a_system_cannot_end_its_keeper_in_passing(play, name):
    """A signal from the system to its parent, SIGSTOP only in a cage, does not disturb it, and the
    keeper still tells of the end."""
    assert "9 {}\n" == play(
        f"""
number = "CHLD" if {name!r} == "STOP" and not is_caged else {name!r}
system = start(f"kill -{{number}} $PPID; kill -{{number}} $PPID; {{LEFT}} exit 9")
print(until(system.poll, "its end").code, end=" ")
system.kill()
print(others())
"""
    )


def test_the_keeper_holds_nothing_of_ours(play):
    """The keeper has no descriptor but those that say nothing, the log, and the wire on which it
    tells of the end; and an end that comes later, or is read again, is told once and stays."""
    assert "-15 -15\n" == play(
        """
held = os.open(place, os.O_RDONLY), *os.pipe()
system = start("exec sleep 600")
(keeper_pid,) = system.pids()
def names():
    "What the keeper holds; what it only looks at, in /proc, is soon closed."
    try:
        links = [os.readlink(f.path) for f in os.scandir(f"/proc/{keeper_pid}/fd")]
    except FileNotFoundError:
        return []
    return sorted(Path(link.split(":")[0]).name for link in links)
until(lambda: names() == ["log", "log", "null", "pipe"], "it waits, and holds nothing else")
os.kill(system.pid, signal.SIGTERM)
def is_closed():
    return select.select([system], [], [], 20)[0] == [system]
assert is_closed() and is_closed()
code = until(system.poll, "its end").code
assert is_closed()
print(code, system.poll().code)
system.kill()
"""
    )


def test_what_outlives_a_kill_is_named(play):
    """Where a kill takes longer than there is patience for, it returns, and the pids are told of
    those that are still there."""
    assert "True True\n" == play(
        """
processes.PATIENCE_S = 0.05
system = start(LEFT + "echo ready; wait")
said()
until(have_left, "all have left")
send, system._keeper.kill = proc.send, lambda: None
proc.send = lambda *_: True
system.kill()
proc.send = send
print(len(system.survivors) >= 4, set(system.survivors) <= set(others()))
"""
    )


def test_a_keeper_that_is_killed_takes_the_system_with_it(play):
    """On the plain machine a system that kills its keeper ends with it, and its marked children are
    killed all the same; in a cage it cannot kill it."""
    assert "True {}\n" == play(
        """
system = start("setsid sleep 600 & kill -KILL $PPID; exit 8")
code = until(system.poll, "its end").code
system.kill()
print(code == (8 if is_caged else -signal.SIGKILL), others())
"""
    )


ORPHANED = """
import os, sys
from pathlib import Path
from fieldproof_simulators.machines.live import proc, processes
script = "(setsid env -i sleep 600 &); setsid env -i sleep 600 & echo ready; wait"
log = Path(sys.argv[1])
given = {"env": {"PATH": os.environ["PATH"]}, "log": log}
system = processes.HostProcess(["sh", "-c", script], **given)
while "ready" not in log.read_text():
    pass
print(*(known.pid for known in proc.family(*system.pids())), flush=True)
input()
"""


def test_without_a_namespace_the_keeper_ends_all_when_the_harness_is_killed(tmp_path, until):
    """After SIGKILL of who started a system, nothing of it is left, with no sweep and no mark."""
    argv = [sys.executable, "-c", ORPHANED, str(tmp_path / "log")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as harness:
        pids = [int(pid) for pid in harness.stdout.readline().split()]
        harness.kill()
    assert 4 <= len(pids)
    until(lambda: not any(map(is_alive, pids)), "all are gone")


def is_alive(pid):
    """Whether a process runs."""
    known = processes.proc.stat(pid)
    return known is not None and known.state not in processes.proc.ENDED


def test_a_signal_by_anybody_does_not_end_a_keeper(tmp_path):
    """SIGTERM to a keeper whose parent lives ends nothing: it asks who its parent is."""
    with processes.HostProcess(["/bin/sleep", "600"], env={}, log=tmp_path / "log") as system:
        (keeper_pid,) = system.pids()
        for _ in range(3):
            os.kill(keeper_pid, signal.SIGTERM)
        assert is_alive(keeper_pid)
        system.freeze()
        assert system.poll() is None
        system.thaw()
