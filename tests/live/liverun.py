"""Live runs for tests: all of them begin when the first test waits, and overlap.

A `Job` is one `fieldproof run ... --tier live` in a process of its own. The `Theatre` has at most
`ROOM` of them on at once, counted by their weight, the longest first. No more than `DOORS` come up
at a time: the start of seven interpreters is the one moment in which a run wants a processor.

Real time is real, so nothing here is tried again: a run that is undecided stays undecided.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import observed

from fieldproof import catalog
from fieldproof.scenario import Scenario, to_json
from fieldproof.verdict import Exit, Report, Verdict

ROOM = 26
"""How much is on at once. A run of one site weighs 1: it takes 4 % of a core, and a whole core for
three seconds at its begin and for one at its end."""

DOORS = 2

LOOK_S = 0.05
UP_S = 60.0
MOST_S = 540.0
"""How long a run may take to come up, and to end."""

HEARS = ("env", "--default-signal=INT")
"""Whoever runs the tests in the background has us ignore SIGINT, and our children after us."""

PYTHON = sys.executable
FOLDER = "{folder}"


def ours() -> tuple[str, ...]:
    """The program under this interpreter."""
    return PYTHON, "-m", "fieldproof"


class Job(NamedTuple):
    """One run. `about_s` is how long it takes, or more if it is to begin early. `words` are more of
    the command line; `before` is said to setpriv(1), which starts what `program` gives. `files` are
    written first. Where words, environment and files say `FOLDER`, the job's own is meant. `then`
    is a signal that the command gets when everything is up."""

    name: str
    scenario: Scenario | str  # a story of the catalog by its name
    words: tuple[str, ...] = ()
    about_s: int = 90
    weight: int = 1
    seed: int = 1
    program: Callable[[], tuple[str, ...]] = ours
    before: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    files: tuple[tuple[str, str], ...] = ()  # name, content
    then: signal.Signals | None = None
    is_looked_at: bool = False

    @property
    def story(self) -> Scenario:
        """What is played."""
        return catalog.load(self.scenario) if isinstance(self.scenario, str) else self.scenario


class Played(NamedTuple):
    """What became of a job."""

    code: int
    report: Report | None  # of a run that was judged
    said: str  # on standard error
    run_dir: Path
    folder: Path
    seen: observed.Seen | None  # of a job that is looked at

    def passed(self) -> Report:
        """The report of a run that passed. Anything else fails the test that asks, and an
        undecided run does so with the figures that the machine did not reach."""
        assert self.report is not None, f"exit {self.code}, {self.run_dir}: {self.said}"
        said = [f"{claim.name} {claim.verdict}: {claim.detail}" for claim in _bad(self.report)]
        assert Exit.PASS == self.code, "\n".join((str(self.run_dir), *said))
        return self.report

    def fallen(self) -> list[str]:
        """The claims that do not hold, or could not be judged."""
        assert self.report is not None, f"exit {self.code}, {self.run_dir}: {self.said}"
        return [claim.name for claim in _bad(self.report)]


def _bad(report: Report) -> list:
    return [claim for claim in report.claims if claim.verdict is not Verdict.PASS]


class Theatre:
    """Plays jobs; ask for each by its name."""

    def __init__(self, jobs: Sequence[Job], folder: Path) -> None:
        self._folder = folder
        self._doors = threading.Semaphore(DOORS)
        self._change = threading.Condition()
        self._left = ROOM
        self._waiting = sorted(jobs, key=lambda job: -job.about_s)
        self._ended: dict[str, Played | BaseException] = {}
        self._commands: list[subprocess.Popen[bytes]] = []
        self._is_closed = False
        threading.Thread(target=self._cast, name="cast", daemon=True).start()

    def outcome(self, job: Job) -> Played:
        """Wait until a job has ended; what became of it."""
        with self._change:
            self._change.wait_for(lambda: job.name in self._ended)
            ended = self._ended[job.name]
        if isinstance(ended, BaseException):
            raise ended
        return ended

    def clear(self, names: Sequence[str]) -> None:
        """Remove what these jobs left."""
        for name in names:
            shutil.rmtree(self._folder / name, ignore_errors=True)

    def close(self) -> None:
        """Begin nothing more, and end what is on."""
        with self._change:
            self._is_closed = True
            self._waiting.clear()
            self._change.notify_all()
            commands = list(self._commands)
        for command in commands:
            command.kill()  # and all of the run with it
            command.wait()
        for ended in self._ended.values():
            if isinstance(ended, Played) and ended.seen is not None:
                observed.forget(ended.seen)

    def _cast(self) -> None:
        """Begin jobs while there is room: of those that fit, the longest."""
        while True:
            with self._change:
                self._change.wait_for(lambda: not self._waiting or self._next() is not None)
                if not self._waiting:
                    return
                job = self._next()
                assert job is not None
                self._waiting.remove(job)
                self._left -= job.weight
            threading.Thread(target=self._run, args=(job,), name=job.name, daemon=True).start()

    def _next(self) -> Job | None:
        return next((job for job in self._waiting if job.weight <= self._left), None)

    def _run(self, job: Job) -> None:
        try:
            ended: Played | BaseException = self._play(job)
        except BaseException as error:
            ended = error
        with self._change:
            self._ended[job.name] = ended
            self._left += job.weight
            self._change.notify_all()

    def _play(self, job: Job) -> Played:
        folder = self._folder / job.name
        folder.mkdir()
        if job.before:  # it may be another user's, who must be able to write here
            folder.chmod(0o777)
        for name, content in job.files:
            (folder / name).write_text(content)
        seen = None
        with (folder / "stdout").open("wb") as output, (folder / "stderr").open("wb") as errors:
            with self._doors:
                command = self._begin(job, folder, output, errors)
                run_dir = _await_up(command, job, folder / "runs")
            if job.is_looked_at:
                seen = observed.look(command.pid, len(job.story.nodes))
            if job.then is not None:
                command.send_signal(job.then)
            try:
                code = command.wait(MOST_S)
            except subprocess.TimeoutExpired:
                command.kill()
                code = command.wait()
        said = (folder / "stdout").read_bytes()
        return Played(
            code,
            msgspec.json.decode(said, type=Report) if said else None,
            (folder / "stderr").read_text(errors="replace"),
            run_dir,
            folder,
            seen,
        )

    def _begin(self, job: Job, folder: Path, output, errors) -> subprocess.Popen[bytes]:
        name = job.scenario
        if isinstance(name, Scenario):
            (folder / "capsule.json").write_bytes(to_json(name, job.seed))
            name = str(folder / "capsule.json")
        words = ["run", name, "--tier", "live", "--seed", str(job.seed), "--json", "--quiet"]
        words += ["--runs", str(folder / "runs"), *job.words]
        words = [word.replace(FOLDER, str(folder)) for word in words]
        told = {key: value.replace(FOLDER, str(folder)) for key, value in job.environment}
        # The command dies with this thread, and so does everything that it has begun.
        with self._change:
            if self._is_closed:
                raise RuntimeError(f"{job.name} was not begun: the tests are over.")
            command = subprocess.Popen(
                [*HEARS, "setpriv", *job.before, "--pdeathsig", "KILL", *job.program(), *words],
                cwd=folder,
                env={**os.environ, **told},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
            )
            self._commands.append(command)
        return command


def _await_up(command: subprocess.Popen[bytes], job: Job, runs: Path) -> Path:
    """Wait until each host of the run has been started, or the command has ended; the run
    directory."""
    hosts = [node.name for node in job.story.nodes]
    run_dir = runs / f"{job.story.name}-0001"
    logs = [run_dir / "processes" / f"{host}.log" for host in hosts]
    give_up_s = time.monotonic() + UP_S
    while command.poll() is None and not all(log.exists() for log in logs):
        if time.monotonic() > give_up_s:
            break  # the run says itself what is wrong
        time.sleep(LOOK_S)
    return run_dir
