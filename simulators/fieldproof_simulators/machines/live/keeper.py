"""The keeper of a system: a process between us and the system, of which all of it descends.

It has no other purpose than to be there: as PID 1 of a cage, or on the plain machine as the one to
whom the kernel gives orphans (a subreaper). Whatever a system does with sessions and environment,
its processes stay below their keeper, so that a signal reaches them. The keeper

    waits for orphans that ended, so that what they used is counted;
    tells how the first process ended, and leaves that one unwaited for: nobody gets its number;
    on the plain machine, kills all that is below it when our own process ends. PID 1 of a cage need
    not: everything in there dies with it.

It is forked and becomes no other program: it costs no start of an interpreter, and shares memory
with us. It hears no signal of the system, and ends by SIGKILL.
"""

import ctypes
import gc
import os
import signal
import struct
import time
from collections.abc import Callable
from contextlib import suppress

from fieldproof_simulators.machines.live import namespaces, proc
from fieldproof_simulators.machines.live.cage import Cage, enter

TOLD = struct.Struct("<i")
"""What is told of the first process: its exit status, or minus the signal that ended it."""

NAME = "host-keeper"
_HEARD = (signal.SIGCHLD, signal.SIGTERM)
_GIVE_UP_S = 10.0
_LOOK_EVERY_S = 0.001


def begin(cage: Cage | None, parent_pid: int, told_fd: int, prepare: Callable[[], None]) -> None:
    """For `preexec_fn`: becomes the keeper, and returns in its first child alone, after `prepare`.
    `parent_pid` is the pid of who calls Popen; it gets `TOLD`, and then the end, by `told_fd`, or a
    sentence where the cage cannot be made. Raises OSError, in either process."""
    if cage is None:
        namespaces.die_with_parent(parent_pid, signal.SIGTERM)
        namespaces.adopt_orphans()
    else:
        parent_pid = 0  # it is outside
        namespaces.die_with_parent(parent_pid)
        try:
            enter(cage)
        except OSError as error:
            os.write(told_fd, f"The cage of a host cannot be made: {error}.".encode())
            raise
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    me = os.getpid()
    first = os.fork()
    if first:
        try:
            _Keeper(me, first, parent_pid, told_fd).keep()
        finally:
            os._exit(1)
    if cage is not None:
        namespaces.become_ordinary()
    namespaces.die_with_parent(me)
    os.setsid()
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    prepare()


class _Keeper:
    """See the head of this file."""

    def __init__(self, me: int, first: int, parent_pid: int, told_fd: int) -> None:
        self._me = me
        self._first = first
        self._parent_pid = parent_pid
        self._told_fd = told_fd
        _close_all_but(told_fd)
        gc.disable()  # to look at every object would make a copy of all memory
        namespaces.call_oneself(NAME)
        _forget_words()

    def keep(self) -> None:
        """Until there is nobody to keep it for."""
        while os.getppid() == self._parent_pid:
            self._reap()
            if self._told_fd != -1 and not self._tell():
                return
            signal.sigwait(_HEARD)
        self._end_all()

    def _reap(self) -> None:
        """Wait for orphans that have ended."""
        for pid in proc.children(self._me):
            if pid != self._first:
                os.waitpid(pid, os.WNOHANG)

    def _tell(self) -> bool:
        """Tell of the first process if it has ended. False if it was never the program that it
        should become: whoever started it knows why."""
        how = os.WEXITED | os.WNOHANG | os.WNOWAIT
        ended = os.waitid(os.P_PID, self._first, how)
        if ended is None:
            return True
        if not proc.has_become_a_program(self._first):
            return False
        by_itself = ended.si_code == os.CLD_EXITED
        with suppress(BrokenPipeError):  # our parent has just ended
            os.write(self._told_fd, TOLD.pack(ended.si_status if by_itself else -ended.si_status))
        os.close(self._told_fd)
        self._told_fd = -1
        return True

    def _end_all(self) -> None:
        """Kill whatever is below, for as long as it takes, within reason."""
        give_up_s = time.monotonic() + _GIVE_UP_S
        while time.monotonic() < give_up_s:
            left = [known for known in proc.below(self._me) if known.state not in proc.ENDED]
            if not left:
                return
            for known in left:
                proc.send(known.pid, known.start_ticks, signal.SIGKILL)
            self._reap()
            time.sleep(_LOOK_EVERY_S)


def _forget_words() -> None:
    """Anybody may read with what words a process was started; these are those of who started us."""
    begins, ends = proc.words_at(os.getpid())
    ours = NAME.encode()[: max(0, ends - begins - 1)]
    ctypes.memset(begins, 0, ends - begins)
    ctypes.memmove(begins, ours, len(ours))


def _close_all_but(kept_fd: int) -> None:
    """Let go of what belongs to who started us: wires whose ends are waited for, locks, disks."""
    with os.scandir("/proc/self/fd") as listed:
        inherited = [int(entry.name) for entry in listed]
    for descriptor in inherited:
        if descriptor > 2 and descriptor != kept_fd:
            with suppress(OSError):  # it was that of the listing
                os.close(descriptor)
