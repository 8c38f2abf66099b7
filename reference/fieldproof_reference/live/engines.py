"""Runs the programs that do nodes' jobs: one child each, until it ends or is ended (law 9).

    begun --it ends----------------------------> answered
    begun --StopEngine, its time is over, it
            says too much, its node dies-------> killed, with all that it began --> answered

1. A child has a folder of its own for its files, which is removed after it, an empty standard
   input, and no variable of this process but PATH.
2. It dies with this process, however that dies; what it began dies with it (its process group).
3. What a job names of the host's files are folders below the archive, found as nodes' files are:
   no path leads out, and none through a link.
4. Everything is bounded: what it says, what it writes, how long it takes.
5. An engine that is not on this machine is an answer, as is one that cannot be begun.
"""

import os
import resource
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from fieldproof_contract import SECOND_NS, EngineEnded, Event, Job, PullTree, ServeTree
from fieldproof_reference.engines import command
from fieldproof_reference.engines.recipe import MOST_SAID_BYTES, Command, Place, sentence
from fieldproof_reference.live.disk import Disk
from fieldproof_reference.live.loop import READ, Loop
from fieldproof_reference.live.view import View

READ_BYTES = 1 << 16
NICE = 10
"""Live telemetry comes first."""

WRAPPER = ("setpriv", "--pdeathsig", "KILL")
"""Begins a child that dies with this process."""

UNPRIVILEGED = ("unshare", "--user", "--map-user=65534", "--map-group=65534", "--", *WRAPPER)
"""Begins a child that takes itself for an ordinary user, with the same rights to files. A daemon of
rsync that takes itself for root sets its groups, which a user namespace may deny to its root."""

Tell = Callable[[Event], None]
"""Gives an event to one node."""

Key = tuple[str, str]
"""A node and its name for a run."""


@dataclass(eq=False, slots=True)
class _Engine:
    key: Key
    tell: Tell | None  # None: the node is gone
    job: Job
    command: Command
    folder: Path  # its own
    process: subprocess.Popen[bytes]
    pidfd: int
    output: bytearray = field(default_factory=bytearray)
    said: bytearray = field(default_factory=bytearray)
    verdict: str | None = None  # why it was ended, None: it was not


class Engines:
    """Every engine of the host. `address`: the host's own, empty for any."""

    def __init__(self, loop: Loop, disk: Disk | View, address: str) -> None:
        self._loop = loop
        self._disk = disk
        self._address = address
        self._engines: dict[Key, _Engine] = {}

    # --- what nodes ask for ---

    def run(self, node: str, tell: Tell, name: str, job: Job) -> None:
        """Begin a job; the node is told of its end. Raises OSError where the node has a run of this
        name, or the job names what is no folder of the archive."""
        if (node, name) in self._engines:
            raise OSError(f"There is a run {name} already: choose another name.")
        folder = Path(tempfile.mkdtemp(prefix="fieldproof-engine-"))
        try:
            told = command(job, self._place(job, folder))
            missing = next((w for w in (told.argv[0], WRAPPER[0]) if not shutil.which(w)), None)
            if missing is None:
                self._begin((node, name), tell, job, told, folder)
                return
            package = told.package if missing == told.argv[0] else "util-linux"
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(folder, ignore_errors=True)
        reason = f"{missing} is not on this machine: install the package {package}"
        self._loop.call_in(0, lambda: tell(EngineEnded(name, b"", reason)))

    def stop(self, node: str, name: str) -> None:
        """End a job; one that is over is no error."""
        engine = self._engines.get((node, name))
        if engine is not None:
            self._kill(engine, "" if isinstance(engine.job, ServeTree) else "stopped")

    def abandon(self, node: str) -> None:
        """The node died: nobody is told."""
        for engine in [one for key, one in self._engines.items() if key[0] == node]:
            engine.tell = None
            self._kill(engine, "its node died")

    def close(self) -> None:
        """End everything, and wait for it."""
        for engine in list(self._engines.values()):
            engine.tell = None
            self._kill(engine, "the process ends")
            engine.process.wait()
            self._ended(engine)

    # --- a child ---

    def _place(self, job: Job, private: Path) -> Place:
        folders: dict[str, str] = {}
        match job:
            case ServeTree(_, root):
                folders[root] = self._folder(root)
            case PullTree(_, _, like, into):
                folders[like] = self._folder(like)
                folders[into] = self._folder(into)
                self._empty(into, folders[into])
        owner = (0, 0) if os.geteuid() == 0 and not _is_confined() else None
        return Place(str(private), self._address, folders, owner)

    def _folder(self, path: str) -> str:
        if not path.endswith("/"):
            raise OSError(f"The path {path!r} names no folder: it has no final '/'.")
        return self._disk.folder(path.removesuffix("/"))

    def _begin(self, key: Key, tell: Tell, job: Job, told: Command, folder: Path) -> None:
        for name, data in told.files.items():
            (folder / name).write_bytes(data)
        needs_groups = isinstance(job, ServeTree) and _is_confined()
        with (folder / told.stdin if told.stdin else Path(os.devnull)).open("rb") as stdin:
            process = subprocess.Popen(
                (*WRAPPER, *(UNPRIVILEGED if needs_groups else ()), *told.argv),
                stdin=stdin,
                stdout=subprocess.PIPE if told.most_output else subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd=folder,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
                start_new_session=True,
            )
        with suppress(OSError):  # it may be gone already
            os.setpriority(os.PRIO_PROCESS, process.pid, NICE)
            if told.most_file:
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (told.most_file,) * 2)
        engine = _Engine(key, tell, job, told, folder, process, os.pidfd_open(process.pid))
        self._engines[key] = engine
        for pipe, take in ((process.stdout, self._take_output), (process.stderr, self._take_said)):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
                self._watch(engine, pipe.fileno(), take)
        self._loop.watch(engine.pidfd, READ, lambda: self._ended(engine))
        if told.longest_s:
            self._loop.call_in(told.longest_s * SECOND_NS, lambda: self._overdue(engine))

    def _watch(self, engine: _Engine, fd: int, take: Callable[[_Engine, bytes], None]) -> None:
        def ready() -> None:
            try:
                data = os.read(fd, READ_BYTES)
            except BlockingIOError:
                return
            if data:
                take(engine, data)
            else:
                self._loop.unwatch(fd)

        self._loop.watch(fd, READ, ready)

    def _take_output(self, engine: _Engine, data: bytes) -> None:
        engine.output += data
        if len(engine.output) > engine.command.most_output:
            most = engine.command.most_output
            self._kill(engine, f"it made more than the {most} bytes that were expected")

    def _take_said(self, engine: _Engine, data: bytes) -> None:
        engine.said += data
        del engine.said[:-MOST_SAID_BYTES]

    def _overdue(self, engine: _Engine) -> None:
        if self._engines.get(engine.key) is engine:
            self._kill(engine, f"it did not end in {engine.command.longest_s} s")

    def _kill(self, engine: _Engine, verdict: str) -> None:
        if engine.verdict is None:
            engine.verdict = verdict
        with suppress(ProcessLookupError):
            os.killpg(engine.process.pid, signal.SIGKILL)

    def _ended(self, engine: _Engine) -> None:
        """The child is gone: take its last words, and answer."""
        self._loop.unwatch(engine.pidfd)
        os.close(engine.pidfd)
        self._drain(engine)
        code = engine.process.wait()
        with suppress(ProcessLookupError):  # what it began, where that outlived it
            os.killpg(engine.process.pid, signal.SIGKILL)
        shutil.rmtree(engine.folder, ignore_errors=True)
        del self._engines[engine.key]
        reason = self._reason(engine, code)
        if isinstance(engine.job, PullTree):
            self._staged(engine.job, reason)
        if engine.tell is not None:
            output = b"" if reason else bytes(engine.output)
            engine.tell(EngineEnded(engine.key[1], output, reason))

    def _reason(self, engine: _Engine, code: int) -> str:
        if engine.verdict is not None:
            return engine.verdict
        if code:
            program = Path(engine.command.argv[0]).name
            return sentence(program, code, bytes(engine.said), engine.command.codes)
        return "it ended by itself" if isinstance(engine.job, ServeTree) else ""

    def _drain(self, engine: _Engine) -> None:
        """What is still in the pipes; not what a process that outlived it may still say."""
        ends = (
            (engine.process.stdout, self._take_output),
            (engine.process.stderr, self._take_said),
        )
        for pipe, take in ends:
            if pipe is None:
                continue
            with suppress(BlockingIOError):
                while data := os.read(pipe.fileno(), READ_BYTES):
                    take(engine, data)
            self._loop.unwatch(pipe.fileno())
            pipe.close()

    # --- the folder that a pull fills ---

    def _empty(self, into: str, place: str) -> None:
        for path in Path(place).iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        self._disk.look_below(into)

    def _staged(self, job: PullTree, reason: str) -> None:
        try:
            if reason:
                self._empty(job.into, self._folder(job.into))
            self._disk.look_below(job.into)
        except OSError:
            return  # the folder is gone: nothing is staged


def _is_confined() -> bool:
    """Whether this process is root in a user namespace that lets nobody set groups."""
    groups = Path("/proc/self/setgroups")
    return os.geteuid() == 0 and groups.exists() and groups.read_text().strip() == "deny"
