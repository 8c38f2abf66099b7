"""Waits for the disk so that nobody else does: one thread that syncs, and answers.

An SD card takes up to half a second for a sync, and a serial line does not wait. Syncs are done one
after the other, in the order in which they were asked for, the files of each in theirs. A sync ends
at the first file that fails. The thread touches nothing but the descriptors that it is given, and
closes them.

A sync that waits holds descriptors. So at most `MOST_WAITING` wait; who asks for one more waits for
the disk after all, and what comes from outside waits in the kernel, or is lost there and counted.
"""

import os
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import NamedTuple

from fieldproof_reference.live.disk import Asked

MOST_WAITING = 64


class Outcome(NamedTuple):
    """How a sync ended: those that are done, and those that are not, with the reason."""

    done: tuple[Asked, ...]
    failed: tuple[Asked, ...]
    reason: str  # empty where all are done


class Job(NamedTuple):
    """A sync, and who is told of its outcome."""

    asked: tuple[Asked, ...]
    tell: Callable[[Outcome], None]


class Syncer:
    """Give it jobs with `ask`; when `fd` is readable, `answer` tells of those that ended."""

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.waiting = 0  # jobs asked for and not answered
        self._room = threading.Semaphore(MOST_WAITING)
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._ended: deque[tuple[Job, Outcome]] = deque()
        # A daemon: a disk that never answers must not keep a process from ending.
        self._thread = threading.Thread(target=self._work, name="syncer", daemon=True)
        self._thread.start()

    def ask(self, asked: tuple[Asked, ...], tell: Callable[[Outcome], None]) -> None:
        """Sync these, later; `tell` is called by `answer`."""
        self._room.acquire()
        self.waiting += 1
        self._jobs.put(Job(asked, tell))

    def answer(self) -> None:
        """Tell of the jobs that ended, in order."""
        try:
            os.eventfd_read(self.fd)
        except BlockingIOError:
            return
        while self._ended:
            job, outcome = self._ended.popleft()
            self.waiting -= 1
            job.tell(outcome)

    def close(self) -> None:
        """End, once all jobs are done; a disk that does not answer is left alone."""
        self._jobs.put(None)
        self._thread.join(timeout=0 if self.waiting else None)
        if not self._thread.is_alive():
            os.close(self.fd)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._ended.append((job, sync(job.asked)))
            self._room.release()
            os.eventfd_write(self.fd, 1)


def sync(asked: tuple[Asked, ...]) -> Outcome:
    """Sync files and, where their names are new, folders; close all descriptors."""
    reason, done = "", 0
    for each in asked:
        try:
            for fd in each.fds if not reason else ():
                os.fsync(fd)
        except OSError as error:
            reason = error.strerror or str(error)
        for fd in each.fds:
            os.close(fd)
        done += not reason
    return Outcome(asked[:done], asked[done:], reason)
