"""A system's process: what it is given, and that signals reach all that belongs to it."""

import os
import resource
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fieldproof_simulators.machines.live import proc, processes
from fieldproof_simulators.machines.live.processes import Exit, HostProcess

SLEEP = "exec sleep 600"
FAMILY = "sleep 600 & setsid sleep 600 & (setsid nohup sleep 600 &) ; echo ready; wait"
SIZE_OF_FAMILY = 4
DEAF = "trap '' TERM; echo ready; while :; do sleep 600; done"
ENV = {"PATH": os.environ["PATH"]}
STEPS = "while :; do echo step; sleep 0.001; done"


@pytest.fixture
def start(tmp_path):
    """Starts shell commands, and ends them with the test."""
    started = []

    def run(script, **options):
        options = {"env": ENV, "log": tmp_path / "log", **options}
        started.append(HostProcess(["sh", "-c", script], **options))
        return started[-1]

    yield run
    for process in started:
        process.kill()


@pytest.fixture
def log(tmp_path, until):
    """The log's text, once it has a line."""

    def read(words="\n"):
        until(lambda: words in (tmp_path / "log").read_text(), f"{words!r} in the log")
        return (tmp_path / "log").read_text()

    return read


@pytest.fixture
def family(start, log, until, bearers):
    """A system with a child, a child of its own session, and a daemon that has left everything."""
    process = start(FAMILY)
    log("ready")
    until(lambda: len(bearers(process.mark)) == SIZE_OF_FAMILY, "all of the family run")
    return process


def ended(process):
    """Waits for the first process as a selector does."""
    assert [process] == select.select([process], [], [], 30)[0]
    return process.poll()


def test_it_is_given_what_was_said_and_nothing_else(tmp_path, log):
    """Environment, folder, streams and limits are those asked for, and no descriptor, terminal or
    session of ours comes along."""
    held_fd = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(held_fd, True)
    script = (
        "import os, resource, sys; from pathlib import Path;"
        "descriptors = {p.name: os.path.realpath(p) for p in Path('/proc/self/fd').iterdir()};"
        "descriptors = {k: v for k, v in descriptors.items() if not v.startswith('/proc/')};"
        "marks = {'FIELDPROOF_LIFE', 'LC_CTYPE'};"
        "print({'env': {k: v for k, v in os.environ.items() if k not in marks},"
        " 'cwd': os.getcwd(), 'descriptors': descriptors, 'leads': os.getsid(0) == os.getpid(),"
        " 'limit': resource.getrlimit(resource.RLIMIT_FSIZE)})"
    )
    (tmp_path / "folder").mkdir()
    log_path = str(tmp_path / "log")
    with HostProcess(
        [sys.executable, "-S", "-c", script],
        env={"ASKED": "yes"},
        log=tmp_path / "log",
        cwd=tmp_path / "folder",
        limits={resource.RLIMIT_FSIZE: 100_000},
    ) as process:
        assert Exit(0) == ended(process)
    os.close(held_fd)
    expected = {
        "env": {"ASKED": "yes"},
        "cwd": str(tmp_path / "folder"),
        "descriptors": {"0": "/dev/null", "1": log_path, "2": log_path},
        "leads": True,
        "limit": (100_000, 100_000),
    }
    assert f"{expected}\n" == log()


def test_the_log_is_appended_to(tmp_path, start):
    """A second start keeps what the first one wrote, stderr included."""
    for script in ("echo first", "echo second >&2"):
        ended(start(script))
    assert "first\nsecond\n" == (tmp_path / "log").read_text()


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        ("exit 0", 0, "ended with status 0"),
        ("exit 3", 3, "ended with status 3"),
        ("exit 77", 77, "declined the scenario (status 77)"),
        ("kill -SEGV $$", -11, "was ended by SIGSEGV (segmentation fault)"),
    ],
)
def test_the_end_is_told_in_words(start, script, code, words):
    """A selector hears of the end, and the verdict has the code and its words, before and after
    all of it is gone."""
    process = start(script)
    said = ended(process)
    assert (code, words, code == 77) == (said.code, said.words, said.declined)
    assert not process.is_gone
    assert said == process.kill() == process.kill() == process.poll()
    assert process.is_gone


@given(st.integers(-200, 300), st.booleans())
@example(-signal.SIGRTMIN - 1, True)
def test_every_end_has_words(code, in_time):
    """Whatever the status or the signal, there are words for it."""
    words = Exit(code, in_time).words
    assert words
    assert in_time != ("did not stop" in words)


def test_kill_ends_all_of_it(family, bearers):
    """SIGKILL ends the group, a child with its own session, and a daemon, and returns when they
    are gone."""
    assert Exit(-signal.SIGKILL) == family.kill()
    assert set() == bearers(family.mark)
    assert -1 == family.fileno()


def test_kill_ends_what_a_dead_parent_left(start, log, bearers):
    """Where the first process ended by itself, killing ends its children, and the verdict stays."""
    process = start("sleep 600 & setsid sleep 600 & exit 4")
    assert Exit(4) == ended(process)
    assert process.kill() == Exit(4)
    assert set() == bearers(process.mark)


def test_frozen_nothing_moves_until_thawed(start, log, until, tmp_path):
    """Frozen, not a byte more is written, also where a shell was caught in a vfork; thawed, the
    system goes on."""
    process = start(STEPS)
    log("step")
    for _ in range(10):
        process.freeze()
        size = (tmp_path / "log").stat().st_size
        members = [known for known in proc.everyone() if known.session == process.pid]
        assert {known.state for known in members} <= set("TDZ")
        assert [] == select.select([process], [], [], 0.005)[0]
        assert size == (tmp_path / "log").stat().st_size
        process.thaw()
        until(lambda size=size: (tmp_path / "log").stat().st_size > size, "another step")


def test_the_whole_family_freezes_and_thaws(family, bearers):
    """Freezing and thawing reach children that have left the group."""
    family.freeze()
    assert ["T"] * SIZE_OF_FAMILY == [proc.stat(pid).state for pid in bearers(family.mark)]
    family.thaw()
    assert "T" not in {proc.stat(pid).state for pid in bearers(family.mark)}


def test_a_frozen_process_can_be_killed_and_terminated(start):
    """A frozen system dies of SIGKILL at once, and hears SIGTERM without being thawed before."""
    for end in (HostProcess.kill, lambda process: process.terminate(30)):
        process = start(SLEEP)
        process.freeze()
        assert end(process).code in (-signal.SIGKILL, -signal.SIGTERM)


def test_terminate_gives_the_status_of_an_orderly_end(start, log, bearers):
    """A system that ends on SIGTERM tells its own status, and what it left is ended too."""
    process = start(
        "setsid sh -c \"trap '' TERM; sleep 600\" & trap 'exit 5' TERM; echo ready; wait"
    )
    log("ready")
    assert Exit(5) == process.terminate(30)
    assert Exit(5) == process.terminate(30)
    assert set() == bearers(process.mark)


def test_a_system_that_ignores_sigterm_is_killed_and_told(start, log, bearers):
    """A system that does not stop in time is killed, and the verdict says so, not its status."""
    process = start(DEAF)
    log("ready")
    said = process.terminate(0.05)
    assert (False, False) == (said.in_time, said.declined)
    assert "did not stop when told to and was killed" == said.words
    assert said == process.kill()
    assert set() == bearers(process.mark)


def test_usage_counts_all_of_it_and_stays(start, log):
    """Processor time counts children, waited for or not, and does not vanish with the process."""
    burn = f"{sys.executable} -S -c 'import time\nwhile time.process_time() < 0.1: pass'"
    process = start(f"{burn}; {burn} & wait; echo ready; sleep 600")
    log("ready")
    used = process.usage()
    assert 0.15 <= used.utime_s + used.stime_s < 2
    assert 100_000 < used.rss_bytes < 200_000_000
    process.kill()
    assert used.utime_s <= process.usage().utime_s
    assert 0 == process.usage().rss_bytes


@pytest.mark.parametrize(
    "options",
    [{"cwd": Path("/no/such/folder")}, {"log": Path("/no/such/folder/log")}, {"netns_fd": 0}],
    ids=lambda options: next(iter(options)),
)
def test_what_cannot_be_started_leaves_nothing(start, options):
    """A folder, log or namespace that is not there is an error, and no descriptor stays open."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(OSError):
        start(SLEEP, **options)
    assert before == len(list(Path("/proc/self/fd").iterdir()))


def test_a_program_that_is_not_there_is_named(tmp_path):
    """The error for a missing program has its name."""
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        HostProcess(["no-such-program"], env=ENV, log=tmp_path / "log")


def test_it_dies_with_the_harness(tmp_path, until, bearers):
    """SIGKILL of the process that started a system ends the system's first process."""
    script = f"""
from pathlib import Path
from fieldproof_simulators.machines.live.processes import HostProcess
process = HostProcess(["sleep", "600"], env={ENV!r}, log=Path({str(tmp_path / "log")!r}))
print(process.mark, flush=True)
input()
"""
    argv = [sys.executable, "-c", script]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as harness:
        mark = harness.stdout.readline().decode().strip()
        until(lambda: len(bearers(mark)) == 1, "the system runs")
        harness.kill()
    until(lambda: not bearers(mark), "the system ends")


def test_pid_1_reaps_what_is_left_to_it_and_nothing_else(isolated):
    """In a PID namespace, PID 1 waits for children of dead parents, and leaves the exit statuses
    of its own alone."""
    assert "Exit(code=6, in_time=True) [True] []\n" == isolated(
        """
import os, subprocess, sys, time
from pathlib import Path
from fieldproof_simulators.machines.live import proc, processes
own = processes.HostProcess(["sh", "-c", "exit 6"], env=dict(os.environ), log=Path(sys.argv[1]))
subprocess.run(["sh", "-c", "sh -c 'exit 0' & exit 0"], check=True)
reaped, give_up_s = [], time.monotonic() + 20
while not reaped and time.monotonic() < give_up_s:
    reaped += processes.reap_orphans({own.pid})
while not own.poll():
    time.sleep(0.001)
again = processes.reap_orphans({own.pid})
print(own.kill(), [pid != own.pid for pid in reaped], again)
""",
        "/dev/null",
    )


def test_a_system_is_started_in_its_network_namespace(isolated):
    """The system is in the namespace of the descriptor, and its starter is not."""
    assert "True False\n" == isolated(
        """
import os, sys
from pathlib import Path
from fieldproof_simulators.machines.live import namespaces, processes
fd = namespaces.new_netns()
given = {"env": dict(os.environ), "log": Path("/dev/null"), "netns_fd": fd}
with processes.HostProcess(["sleep", "600"], **given) as host:
    where = os.stat(f"/proc/{host.pid}/ns/net").st_ino
    print(where == os.fstat(fd).st_ino, where == os.stat("/proc/self/ns/net").st_ino)
"""
    )


STAT = "7 ({}) S 3 4 5 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 1234 5 6 7 8\n"


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
@example(") Z 1 1 1 (")
def test_a_name_cannot_forge_a_stat_file(name):
    """Whatever a program calls itself, the fields behind its name are read as they are."""
    expected = (7, "S", 3, 4, 5, 40, 60, 1234, 6 * proc.PAGE_BYTES)
    assert expected == proc.parse_stat(STAT.format(name))


@given(st.text())
def test_a_stat_file_that_is_none_is_refused(text):
    """Text that is no stat file raises ValueError or IndexError, and nothing else."""
    with pytest.raises((ValueError, IndexError)):
        proc.parse_stat(text)


def test_a_signal_is_for_one_process_only(start):
    """A signal is sent if pid and start time are right, and to nobody if the start time is not."""
    process = start(SLEEP)
    known = proc.stat(process.pid)
    assert not proc.send(process.pid, known.start_ticks + 1, signal.SIGKILL)
    assert process.poll() is None
    assert proc.send(process.pid, known.start_ticks, signal.SIGKILL)
    assert Exit(-signal.SIGKILL) == ended(process)


def test_the_empty_mark_is_borne_by_nobody():
    """A process does not bear the empty mark, although its environment ends with one."""
    assert not proc.bears(os.getpid(), "")


def test_the_mark_says_whose_a_process_is(start):
    """Each start has a mark of its own, in the documented variable."""
    marks = [start(SLEEP).mark for _ in range(2)]
    assert 2 == len(set(marks))
    assert [processes.MARK] * 2 == [mark.partition("=")[0] for mark in marks]
