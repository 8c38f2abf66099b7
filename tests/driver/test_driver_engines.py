"""Other programs do nodes' jobs: in time, within bounds, and none outlives its host."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from fieldproof_contract import (
    Address,
    ApplyDelta,
    DrawDay,
    EngineEnded,
    Failed,
    MakeDelta,
    PullTree,
    RunEngine,
    ServeTree,
    Stop,
    StopEngine,
)
from fieldproof_reference import engines as recipes
from fieldproof_reference.engines.recipe import Command, Place
from fieldproof_reference.live import engines as live_engines

PORT = 24_993
FOLDER = "2006/01/17/daws_xrio/"
NAMES = [f"20060117_{hour:02d}_daws_xrio.dat" for hour in range(3)]
RECORDS = [bytes((n,)) * 380 for n in range(60)]
WHOLE, GAPPED = b"".join(RECORDS), b"".join(RECORDS[:22] + RECORDS[23:])
MOST = 1 << 20


def ended(notes, run=None):
    """What a node was told of engines."""
    told = [event for event, _ in notes if isinstance(event, EngineEnded)]
    return [event for event in told if run in (None, event.run)]


@pytest.fixture
def asker(host, bench):
    """A host whose node asks for what a test says; its notes."""

    class Asking:
        def __init__(self):
            self.notes, self.todo = [], []
            reaction = lambda event, now: self._next(event)  # noqa: E731
            host.add("node", lambda: bench.Probe(self.notes, reaction), [25_000])
            host.boot()
            self.host = host

        def _next(self, event):
            if isinstance(event, (EngineEnded, Failed, Stop)):
                return ()
            todo, self.todo = tuple(self.todo), []
            return todo

        def asks(self, *effects):
            self.todo = list(effects)
            self.host.driver.hears_datagram(25_000, Address("127.0.0.9", 9), b"go")

        def ended(self, run, what="the end of an engine"):
            self.host.until(lambda: ended(self.notes, run), what)
            return self.notes.pop(self._last(run))[0]

        def _last(self, run):
            told = ended(self.notes, run)[-1]
            return max(at for at, (event, _) in enumerate(self.notes) if event is told)

    return Asking()


def command_of(*argv, **more):
    """Puts a command in the place of any job's."""
    return lambda job, place: Command(argv, "a package", **more)


# --- xdelta3 ---


@pytest.mark.needs("xdelta3")
@pytest.mark.parametrize(
    ("source", "target"),
    [(GAPPED, WHOLE), (b"", WHOLE), (WHOLE, b""), (b"\x1f\x8b" + GAPPED, b"\x1f\x8b" + WHOLE)],
)
def test_a_delta_makes_the_target_of_its_source(asker, source, target):
    """One program makes it, the same program applies it, and no other is run on what looks like a
    compressed file."""
    asker.asks(RunEngine("make", MakeDelta(source, target)))
    made = asker.ended("make")
    assert ("", True) == (made.reason, len(made.output) < 200)
    asker.asks(RunEngine("apply", ApplyDelta(source, made.output, MOST)))
    assert EngineEnded("apply", target) == asker.ended("apply")


@pytest.mark.needs("xdelta3")
def test_a_delta_that_makes_too_much(asker):
    """A delta of a few bytes that makes a megabyte is ended when the bound is passed (T24)."""
    asker.asks(RunEngine("make", MakeDelta(b"", bytes(1 << 20))))
    bomb = asker.ended("make").output
    assert len(bomb) < 1 << 10
    asker.asks(RunEngine("apply", ApplyDelta(b"", bomb, 22_800)))
    told = asker.ended("apply")
    reason = "it made more than the 22800 bytes that were expected"
    assert EngineEnded("apply", b"", reason) == told


@pytest.mark.needs("xdelta3")
@pytest.mark.parametrize("delta", [b"", b"no delta", b"\xd6\xc3\xc4\x00" + bytes(99)])
def test_what_is_no_delta(asker, delta):
    """Nonsense is an answer: one sentence, and no output."""
    asker.asks(RunEngine("apply", ApplyDelta(GAPPED, delta, MOST)))
    told = asker.ended("apply")
    assert b"" == told.output
    assert "xdelta3 failed, exit code 1" in told.reason


# --- rsync ---


def serve(asker, root="riometer/", port=PORT):
    """Have a daemon on the host, and wait for its port."""
    asker.asks(RunEngine("serve", ServeTree(port, root)))
    asker.host.until(lambda: is_open(asker.host.address, port), "the daemon's port")


def is_open(address, port):
    """Whether somebody listens."""
    with socket.socket() as calling:
        calling.settimeout(0.2)
        return calling.connect_ex((address, port)) == 0


def pull(asker, run="pull", folder=FOLDER, most_bytes=MOST, port=PORT):
    """Pull a folder into staging; the answer and what is there."""
    like = f"canonical/{folder}"
    peer = Address(asker.host.address, port)
    asker.asks(RunEngine(run, PullTree(peer, folder, like, "staging/daws/", most_bytes)))
    told = asker.ended(run)
    disk = asker.host.disk
    return told.reason, {path: disk.read(path) for path in disk.listing("staging/")}


def stocked(asker, edge, center):
    """Files at the edge's and the center's side, of different times."""
    for number, name in enumerate(NAMES):
        asker.host.disk.append(f"riometer/{FOLDER}{name}", edge[number])
        if number < len(center):
            path = f"canonical/{FOLDER}{name}"
            asker.host.disk.append(path, center[number])
            os.utime(asker.host.root / path, (1_137_500_000, 1_137_500_000))


@pytest.mark.needs("rsync")
def test_a_folder_is_pulled_into_staging(asker):
    """Files that differ come whole into staging, be they here, gapped, or missing; what the folder
    is compared with stays as it was, and what was staged before is gone."""
    stocked(asker, [WHOLE, WHOLE, WHOLE], [GAPPED, WHOLE])
    asker.host.disk.append("staging/daws/old.dat", b"old")
    canonical = sorted((asker.host.root / "canonical").rglob("*.dat"))
    before = [path.read_bytes() for path in canonical]
    serve(asker)
    reason, staged = pull(asker)
    assert ("", {f"staging/daws/{name}": WHOLE for name in NAMES}) == (reason, staged)
    assert before == [path.read_bytes() for path in canonical]


SERVED = """
import sys
from pathlib import Path
from fieldproof_contract import ServeTree
from fieldproof_reference.live import engines
from fieldproof_reference.live.disk import Disk
from fieldproof_reference.live.loop import Loop
from fieldproof_reference.live.tree import Tree
loop = Loop()
made = engines.Engines(loop, Disk(Tree(Path(sys.argv[1]))), sys.argv[2])
made.run("node", print, "one", ServeTree(int(sys.argv[3]), "riometer/"))
while True:
    loop.turn(None)
"""


@pytest.mark.needs("rsync")
@pytest.mark.needs("unshare")
@pytest.mark.parametrize("user", ["root of a namespace", "an ordinary user"])
def test_a_daemon_of_anybody(asker, tmp_path, user):
    """Whoever the edge is on its machine, its daemon shows what it may read itself, and leaves
    nothing behind when the edge is killed."""
    stocked(asker, [WHOLE] * 3, [])
    words = ["unshare", "--user", "--map-root-user"]
    if user == "an ordinary user":
        words += ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    root = asker.host.root
    (root / ".lock").unlink(missing_ok=True)
    argv = [*words, sys.executable, "-c", SERVED, str(root), asker.host.address, str(PORT)]
    edge = subprocess.Popen(argv, env={"TMPDIR": str(tmp_path), **os.environ})
    try:
        asker.host.until(lambda: is_open(asker.host.address, PORT), "the daemon's port")
        reason, staged = pull(asker)
        assert ("", 3) == (reason, len(staged))
    finally:
        edge.kill()
        edge.wait()
    asker.host.until(lambda: not is_open(asker.host.address, PORT), "the end of the daemon")


@pytest.mark.needs("rsync")
def test_what_a_pull_leaves_at_the_edge(asker):
    """Folders, links, hidden files and files above the bound stay where they are."""
    stocked(asker, [WHOLE, WHOLE[:380], b""], [])
    shown = asker.host.root / "riometer" / FOLDER
    (shown / "folder").mkdir()
    (shown / "folder/secret.dat").write_bytes(b"x")
    (shown / "link.dat").symlink_to("/etc/hostname")
    (shown / ".hidden").write_bytes(b"x")
    serve(asker)
    reason, staged = pull(asker, most_bytes=22_799)
    assert "" == reason
    names = {f"staging/daws/{NAMES[1]}": WHOLE[:380], f"staging/daws/{NAMES[2]}": b""}
    assert names == staged


@pytest.mark.needs("rsync")
def test_a_daemon_takes_nothing_and_shows_no_more_than_a_pull_needs(asker, tmp_path):
    """Writing, following links, walking the tree and paths that lead out are refused."""
    stocked(asker, [WHOLE] * 3, [])
    serve(asker)
    (tmp_path / "new.dat").write_bytes(b"new")
    url = f"rsync://{asker.host.address}:{PORT}/archive/"
    for words in (
        ["-t", str(tmp_path / "new.dat"), url],
        ["-tL", f"{url}{FOLDER}*", str(tmp_path)],
        ["-r", url, str(tmp_path)],
        ["-t", "--delete", f"{url}{FOLDER}*", str(tmp_path)],
        ["-t", f"{url}../events.jsonl", str(tmp_path)],
    ):
        done = subprocess.Popen(
            ["rsync", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        asker.host.until(lambda done=done: done.poll() is not None, "a refusal")
        assert 0 != done.wait()
    assert ["daws", "new.dat"] == sorted(path.name for path in tmp_path.iterdir())
    assert 3 == len(list((asker.host.root / "riometer").rglob("*.*")))


@pytest.mark.needs("rsync")
@pytest.mark.parametrize(
    ("port", "folder", "words"),
    [(PORT + 1, FOLDER, "cannot be reached"), (PORT, "2007/", "could not be read")],
)
def test_a_pull_that_cannot_be(asker, port, folder, words):
    """A closed port and a folder that is not there are answers, and nothing is staged."""
    stocked(asker, [WHOLE] * 3, [])
    asker.host.disk.append("staging/daws/old.dat", b"old")
    serve(asker)
    reason, staged = pull(asker, folder=folder, port=port)
    assert {} == staged
    assert words in reason


@pytest.mark.needs("rsync")
def test_a_daemon_is_stopped_and_dies_with_its_connections(asker):
    """`StopEngine` ends it without a reason, its port is free, and a stuck client is let go."""
    stocked(asker, [WHOLE] * 3, [])
    serve(asker)
    with socket.create_connection((asker.host.address, PORT), 5) as stuck:
        asker.asks(StopEngine("serve"))
        assert EngineEnded("serve") == asker.ended("serve")
        with suppress(ConnectionResetError):
            while stuck.recv(100):
                pass
    serve(asker)


@pytest.mark.needs("rsync")
def test_a_port_in_use(asker):
    """A daemon that cannot have its port is answered with its last words."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((asker.host.address, PORT))
        taken.listen()
        asker.asks(RunEngine("serve", ServeTree(PORT, "riometer/")))
        assert "rsync failed" in asker.ended("serve").reason


# --- bounds and ends ---


def test_an_engine_that_is_not_here(asker, monkeypatch):
    """A program that is not on the machine is an answer that says what to install."""
    monkeypatch.setenv("PATH", "/nowhere")
    asker.asks(RunEngine("make", MakeDelta(b"", b"x")))
    told = asker.ended("make")
    assert "xdelta3 is not on this machine: install the package xdelta3" == told.reason


@pytest.mark.parametrize(
    "job", [ServeTree(PORT, "../"), ServeTree(PORT, "riometer"), ServeTree(PORT, "/etc/")]
)
def test_no_folder_of_a_job_leads_out(asker, job):
    """A folder that is none, or lies elsewhere, is a failure of the effect."""
    asker.asks(RunEngine("serve", job))
    failed = [event for event, _ in asker.notes if isinstance(event, Failed)]
    assert [RunEngine("serve", job)] == [event.effect for event in failed]


def test_no_folder_of_a_job_is_behind_a_link(asker):
    """Staging that is a link to somewhere else is not emptied, and nothing is put there."""
    elsewhere = asker.host.root.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").write_bytes(b"kept")
    (asker.host.root / "staging").symlink_to(elsewhere)
    asker.asks(RunEngine("pull", PullTree(Address("127.0.0.1", 1), "a/", "b/", "staging/", 1)))
    assert 1 == len([event for event, _ in asker.notes if isinstance(event, Failed)])
    assert ["kept"] == [path.name for path in elsewhere.iterdir()]


@pytest.mark.parametrize(
    "effect",
    [
        RunEngine("one", MakeDelta(b"", "text")),
        RunEngine("one", ApplyDelta(b"", b"", "many")),
        RunEngine("one", ServeTree("port", "a/")),
        RunEngine("one", PullTree(("127.0.0.1", 1), "a/", "b/", "c/", 1)),
        RunEngine("one", DrawDay("text")),
        RunEngine("one", None),
        RunEngine(1, MakeDelta(b"", b"")),
        StopEngine(None),
    ],
)
def test_what_is_no_job_ends_its_node(asker, effect):
    """A wrong type is a programming error, and nothing is begun."""
    asker.asks(effect)
    assert ["node died"] == [line["fact"] for line in asker.host.facts]
    assert {} == asker.host.engines._engines


def test_a_run_of_a_name_that_is_taken(asker, monkeypatch):
    """Two runs of one name cannot be told apart: the second is a failure, the first goes on."""
    monkeypatch.setattr(live_engines, "command", command_of("sleep", "60"))
    run = RunEngine("one", MakeDelta(b"", b""))
    asker.asks(run, run)
    assert [run] == [event.effect for event, _ in asker.notes if isinstance(event, Failed)]
    asker.asks(StopEngine("one"), StopEngine("another"))
    assert EngineEnded("one", b"", "stopped") == asker.ended("one")


@pytest.mark.parametrize(
    ("argv", "more", "reason"),
    [
        (("sleep", "60"), {"longest_s": 0.05}, "it did not end in 0.05 s"),
        (("yes",), {"most_output": 99}, "it made more than the 99 bytes that were expected"),
        (("sh", "-c", "echo no; echo why >&2; exit 3"), {}, "sh failed, exit code 3: why"),
        (("sh", "-c", "kill -9 $$"), {}, "sh failed, signal 9"),
        (("sh", "-c", "yes | head -c 100000 >&2; exit 4"), {}, "sh failed, exit code 4: y"),
    ],
)
def test_bounds(asker, monkeypatch, argv, more, reason):
    """What takes too long, says too much or fails is one sentence."""
    monkeypatch.setattr(live_engines, "command", command_of(*argv, **{"most_output": 9, **more}))
    asker.asks(RunEngine("one", MakeDelta(b"", b"")))
    assert EngineEnded("one", b"", reason) == asker.ended("one")


def test_a_plot_is_drawn_by_a_program_of_its_own(asker):
    """The document goes in by a file, the picture comes out."""
    asker.asks(RunEngine("plot", DrawDay(b"no document")))
    assert "failed" in asker.ended("plot").reason
    told = recipes.command(DrawDay(b"x"), Place("/p", "", {}, None))
    assert (sys.executable, {"document": b"x"}, "document") == (
        told.argv[0],
        told.files,
        told.stdin,
    )


def test_what_is_left_of_an_engine(asker, monkeypatch, tmp_path):
    """Its folder is removed, and what it began is ended with it."""
    (tmp_path / "own").mkdir()
    monkeypatch.setattr(live_engines.tempfile, "tempdir", str(tmp_path / "own"))
    script = "sleep 60 & echo $!"
    monkeypatch.setattr(live_engines, "command", command_of("sh", "-c", script, most_output=99))
    asker.asks(RunEngine("one", MakeDelta(b"", b"")))
    pid = int(asker.ended("one").output)
    asker.host.until(lambda: not is_alive(pid), "the end of a grandchild")
    assert [] == list((tmp_path / "own").iterdir())


def is_alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


KILLED = """
import sys
from fieldproof_contract import MakeDelta
from fieldproof_reference.engines.recipe import Command, Place
from fieldproof_reference.live import engines
from fieldproof_reference.live.disk import Disk
from fieldproof_reference.live.loop import Loop
from fieldproof_reference.live.tree import Tree
from pathlib import Path
engines.command = lambda job, place: Command(("sleep", "60"), "")
loop = Loop()
made = engines.Engines(loop, Disk(Tree(Path(sys.argv[1]))), "")
made.run("node", print, "one", MakeDelta(b"", b""))
(one,) = made._engines.values()
print(one.process.pid, flush=True)
loop.turn(None)
"""


def test_an_engine_dies_with_a_host_that_is_killed(tmp_path):
    """A process that is killed leaves no program behind."""
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE
    ) as host:
        pid = int(host.stdout.readline())
        ends_s = time.monotonic() + 15
        while Path(f"/proc/{pid}/cmdline").read_text() != "sleep\x0060\0":
            assert time.monotonic() < ends_s
        host.send_signal(signal.SIGKILL)
    while is_alive(pid):
        assert time.monotonic() < ends_s


def test_the_engines_of_a_node_that_dies(asker, monkeypatch):
    """They end with it, and the host's others go on."""
    monkeypatch.setattr(live_engines, "command", command_of("sleep", "60"))
    asker.asks(RunEngine("one", MakeDelta(b"", b"")))
    (engine,) = asker.host.engines._engines.values()
    pid = engine.process.pid
    asker.asks("no effect")
    asker.host.until(lambda: not is_alive(pid), "the end of the engine")
    assert [] == ended(asker.notes)
