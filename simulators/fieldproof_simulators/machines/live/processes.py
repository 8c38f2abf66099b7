"""A system under test as a process of a host: started, frozen, killed, stopped, counted.

    running --freeze--> frozen --thaw--> running
    either  --it ends by itself-->  ended (poll says how; what it started may still run)
    any     --kill, terminate-->    gone (all of it, and waited for)

What belongs to it is what is below its keeper (`keeper.py`), whatever it does with its session and
its environment: in a cage the kernel sees to that. On the plain machine somebody may kill the
keeper; so what is of the first process's session or group, or bears its mark, belongs to it, too,
and, where the host has a network namespace, whatever is in there and younger. A signal goes to the
group first, at one instant, and then to the stragglers until there are none. A cage is killed with
its PID 1, by the kernel. What a kill has not ended within `PATIENCE_S` is named (`survivors`).

It dies with the process that started it, in a cage with the thread; start it from one that lives as
long as the run. It reads nothing, and inherits no descriptor but its log.
"""

import os
import resource
import secrets
import select
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

from fieldproof_simulators.machines.live import keeper, namespaces, proc
from fieldproof_simulators.machines.live.cage import Cage

DECLINED = 77
"""The exit status that says: I do not do this scenario."""

MARK = "FIELDPROOF_LIFE"
"""The variable that marks what belongs to one start of a system."""

PATIENCE_S = 10.0
"""How long a signal that nobody can refuse may take; a disk can hold a process for a while."""

LOOK_EVERY_S = 0.001
_LOOKS = 3


class Exit(NamedTuple):
    """How a system ended."""

    code: int
    """Its exit status, or minus the signal that ended it."""
    in_time: bool = True
    """False where it had to be killed since it had not stopped when told to."""

    @property
    def declined(self) -> bool:
        """It says that it does not do this scenario."""
        return self.in_time and self.code == DECLINED

    @property
    def words(self) -> str:
        """To be put behind the system's name: "ended with status 3"."""
        if not self.in_time:
            return "did not stop when told to and was killed"
        if self.declined:
            return f"declined the scenario (status {DECLINED})"
        if self.code >= 0:
            return f"ended with status {self.code}"
        number = -self.code
        if number not in {known.value for known in signal.Signals}:
            return f"was ended by signal {number}"
        meaning = (signal.strsignal(number) or "").lower()
        return f"was ended by {signal.Signals(number).name} ({meaning})"


class Usage(NamedTuple):
    """What a system has used so far."""

    utime_s: float
    stime_s: float
    rss_bytes: int
    """At this moment; shared pages count for each process."""


class HostProcess:
    """One start of a system. Use it in one thread, and `kill` it in the end."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        log: Path,
        netns_fd: int | None = None,
        cage: Cage | None = None,
        cwd: Path | None = None,
        limits: Mapping[int, int] | None = None,
    ) -> None:
        """Starts it. `env` is the whole environment; `log` is appended to (stdout and stderr);
        `limits` are soft and hard resource limits by `resource.RLIMIT_`. Raises OSError where
        program, folder, log or namespace are not there or a cage cannot be made,
        `subprocess.SubprocessError` where a limit is refused."""
        self.argv = tuple(argv)
        self.mark = f"{MARK}={secrets.token_hex(16)}"
        self.survivors: tuple[int, ...] = ()
        self._is_caged = cage is not None
        self._told_fd, telling_fd = os.pipe()
        limit = partial(_limit, limits or {})
        begin = partial(keeper.begin, cage, os.getpid(), telling_fd, limit)
        environment = {**env, MARK: self.mark.partition("=")[2]}
        try:
            self._keeper = self._start(log, netns_fd, telling_fd, environment, cwd, begin)
        except (OSError, subprocess.SubprocessError):
            said = os.read(self._told_fd, 4096).decode(errors="replace")
            os.close(self._told_fd)
            if said:
                raise OSError(said) from None
            raise
        os.set_blocking(self._told_fd, False)
        self.pid = next(iter(proc.children(self._keeper.pid)), self._keeper.pid)
        self._netns = None if netns_fd is None else os.fstat(netns_fd).st_ino
        started = proc.stat(self._keeper.pid)
        self._start_ticks = 0 if started is None else started.start_ticks
        self._exit: Exit | None = None
        self._last_usage = Usage(0.0, 0.0, 0)

    def __enter__(self) -> "HostProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def fileno(self) -> int:
        """For selectors: readable when the first process has ended. Unregister it before `kill` and
        `terminate`, which close it (-1 from then on)."""
        return self._told_fd

    @property
    def is_gone(self) -> bool:
        """Whether all of it was killed and waited for."""
        return self._told_fd == -1

    def poll(self) -> Exit | None:
        """How the first process ended; None while it has not. Its children may still run."""
        if self._exit is None:
            with suppress(BlockingIOError):
                said = os.read(self._told_fd, keeper.TOLD.size)
                # A keeper that was killed says nothing; its first child dies with it.
                self._exit = Exit(keeper.TOLD.unpack(said)[0] if said else -signal.SIGKILL)
        return self._exit

    def freeze(self) -> None:
        """Stops all of it, and returns when every thread stands still. Raises TimeoutError."""
        self._insist(signal.SIGSTOP, _moving)

    def thaw(self) -> None:
        """Lets all of it go on, and returns when every process does. Raises TimeoutError."""
        self._insist(signal.SIGCONT, _stopped)

    def terminate(self, timeout_s: float) -> Exit:
        """Asks all of it to stop (SIGTERM, frozen or not), waits for the first process, and kills
        what is left. The verdict is about the first process."""
        if self.is_gone:
            return self.kill()
        for number in (signal.SIGTERM, signal.SIGCONT):
            for known in self._members():
                proc.send(known.pid, known.start_ticks, number)
        _is_readable(self._told_fd, timeout_s)
        said = self.poll() or Exit(-signal.SIGKILL, in_time=False)
        self.kill()
        self._exit = said
        return said

    def kill(self) -> Exit:
        """Ends all of it (SIGKILL), waits until it is gone, and lets go of its numbers. How the
        first process ended: by itself before, or now. What is still there after `PATIENCE_S` is in
        `survivors`, by pid. May be called again."""
        if not self.is_gone:
            self._last_usage = self.usage()._replace(rss_bytes=0)
            self.poll()
            left = [] if self._is_caged else self._signal_until(signal.SIGKILL, _alive)
            self._keeper.kill()
            if not _has_ended(self._keeper, PATIENCE_S):
                left = _alive(proc.family(self._keeper.pid))
            self.survivors = tuple(known.pid for known in left)
            os.close(self._told_fd)
            self._told_fd = -1
        return self._exit or Exit(-signal.SIGKILL)

    def usage(self) -> Usage:
        """Of all that is below the keeper, with the children that were waited for; in steps of a
        clock tick (10 ms). When it is gone: what it had used when it was killed."""
        if self.is_gone:
            return self._last_usage
        for _ in range(_LOOKS):
            members = proc.family(self._keeper.pid)
            if proc.stat(self._keeper.pid) in members:
                break  # else it has meanwhile waited for one that we did not see any more
        return Usage(
            sum(known.utime_ticks for known in members) / proc.TICKS_PER_S,
            sum(known.stime_ticks for known in members) / proc.TICKS_PER_S,
            sum(known.rss_bytes for known in members if known.pid != self._keeper.pid),
        )

    def pids(self) -> tuple[int, ...]:
        """The processes that somebody here waits for."""
        return (self._keeper.pid,)

    def _start(
        self,
        log: Path,
        netns_fd: int | None,
        telling_fd: int,
        env: Mapping[str, str],
        cwd: Path | None,
        begin: Callable[[], None],
    ) -> "subprocess.Popen[bytes]":
        """The keeper, once its first child is the program. Closes `telling_fd`."""
        network = nullcontext() if netns_fd is None else namespaces.inside(netns_fd)
        numbers = namespaces.numbered_anew() if self._is_caged else nullcontext()
        try:
            with log.open("ab") as output, network, numbers:
                # None but `kill` waits for it, and that is before this object goes.
                return subprocess.Popen(
                    self.argv,
                    env=env,
                    cwd=cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    preexec_fn=begin,
                )
        finally:
            os.close(telling_fd)

    def _members(self) -> list[proc.Stat]:
        """The processes that belong to it and are not waited for."""
        below = {known.pid: known for known in proc.below(self._keeper.pid)}
        if self._is_caged:  # nobody leaves it
            return list(below.values())
        return [
            known
            for known in proc.everyone()
            if known.start_ticks >= self._start_ticks  # what is older cannot be its child
            and known.pid != self._keeper.pid
            and (
                known.pid in below
                or self.pid in (known.session, known.group)
                or proc.bears(known.pid, self.mark)
                or (self._netns is not None and proc.netns(known.pid) == self._netns)
            )
        ]

    def _insist(self, number: signal.Signals, disobeying: "_Disobeying") -> None:
        """A signal that has to be obeyed. Raises TimeoutError."""
        if not self.is_gone and (left := self._signal_until(number, disobeying)):
            raise TimeoutError(
                f"{self.argv[0]} (pid {left[0].pid}, state {left[0].state}) did not obey"
                f" {number.name} within {PATIENCE_S:g} s."
            )

    def _signal_until(self, number: int, disobeying: "_Disobeying") -> list[proc.Stat]:
        """Sends a signal to the group at once, then to every straggler until all have obeyed; those
        that do not within `PATIENCE_S`."""
        with suppress(ProcessLookupError):  # where all of the group have ended
            os.killpg(self.pid, number)
        give_up_s = time.monotonic() + PATIENCE_S
        empty_looks = 0
        while empty_looks < proc.LOOKS:
            left = disobeying(self._members())
            empty_looks = 0 if left else empty_looks + 1
            if left and time.monotonic() > give_up_s:
                return left
            for known in left:
                proc.send(known.pid, known.start_ticks, number)
            time.sleep(LOOK_EVERY_S)
        return []


def reap_orphans(own: Collection[int]) -> list[int]:
    """Waits for children that have ended and are not `own`: what others left to PID 1 when they
    ended. `own` are the pids of all children that somebody else waits for, such as a HostProcess;
    one that is missing in it loses its exit status. Returns the pids that are gone now."""
    me = os.getpid()
    ended = [
        known.pid
        for known in proc.everyone()
        if known.parent_pid == me and known.state == "Z" and known.pid not in own
    ]
    for pid in ended:
        os.waitpid(pid, os.WNOHANG)
    return ended


_Disobeying: TypeAlias = Callable[[list[proc.Stat]], list[proc.Stat]]
"""Of the members of a system, those that have not done yet what a signal tells them."""


def _moving(members: list[proc.Stat]) -> list[proc.Stat]:
    """Who may still do something. A thread in vfork(2) is not stopped before its child goes on, and
    does nothing either (state D); a shell that starts commands is caught there soon."""
    parents = {known.parent_pid for known in members if known.state in proc.STOPPED}
    still = {True: proc.STOPPED + proc.ENDED + "D", False: proc.STOPPED + proc.ENDED}
    return [
        known for known in members if not proc.threads_are(still[known.pid in parents], known.pid)
    ]


def _stopped(members: list[proc.Stat]) -> list[proc.Stat]:
    """Who is stopped."""
    return [known for known in members if known.state in proc.STOPPED]


def _alive(members: list[proc.Stat]) -> list[proc.Stat]:
    """Who has not ended."""
    return [known for known in members if known.state not in proc.ENDED]


def _limit(limits: Mapping[int, int]) -> None:
    """Sets soft and hard resource limits of this process."""
    for which, limit in limits.items():
        resource.setrlimit(which, (limit, limit))


def _has_ended(process: "subprocess.Popen[bytes]", timeout_s: float) -> bool:
    """Waits for a child of ours, but not for ever; whether it has ended."""
    if process.poll() is not None:
        return True
    pidfd = os.pidfd_open(process.pid)
    try:
        return _is_readable(pidfd, timeout_s) and process.wait() is not None
    finally:
        os.close(pidfd)


def _is_readable(descriptor: int, timeout_s: float) -> bool:
    """Waits until there is something to be heard; whether there is."""
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    return bool(waiting.poll(timeout_s * 1000))
