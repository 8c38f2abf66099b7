"""A host of a live run: a network of its own, a folder for a disk, a clock, and what runs there.

    down --boot--> up --freeze--> frozen --thaw--> up
     ^              |               |
     +--- kill -----+---------------+

As in the virtual world, a life is entered where it begins and ends, in true time. What runs is a
command that knows nothing of the harness. When it ends by itself that is a fact of the run, and
nobody starts it again: the harness restarts only what it has killed. What a kill could not end is a
fact, too.
"""

import os
import resource
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fieldproof.live.calendar import Calendar
from fieldproof_simulators.machines.clock import HostClock
from fieldproof_simulators.machines.live.cage import Cage
from fieldproof_simulators.machines.live.clock import ClockFile
from fieldproof_simulators.machines.live.ledger import Ledger
from fieldproof_simulators.machines.live.processes import Exit, HostProcess, Usage

STOPPING_S = 5.0
"""How long a system has to end after SIGTERM: the 2006 text is silent, our assumption."""

MOST_FILE_BYTES = 1 << 30
"""No system may write a file larger than this, so that one that runs wild does not take the
machine's disk. An hour file has 22 800 bytes: our assumption."""

MOST_WORDS = 200
"""Characters."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a host is on this machine, and what runs there."""

    name: str
    address: str
    disk: Path
    netns: int | None  # None on the plain machine
    log: Path
    commands: Sequence[Sequence[str]]  # the system first, then what the harness adds to the host
    told: Mapping[str, str]  # the FIELDPROOF_* variables
    cage: Cage | None  # what its systems see; None on the plain machine, where they see all


class LiveHost:
    """See the head of this file."""

    def __init__(
        self,
        place: Place,
        clock: HostClock,
        file: ClockFile,
        calendar: Calendar,
        ledger: Ledger,
        fact: Callable[..., None],
    ) -> None:
        self.name = place.name
        self.place = place
        self.clock = clock
        self.lives: list[list[int | None]] = []
        self.state: Literal["down", "up", "frozen"] = "down"
        self._file = file
        self._calendar = calendar
        self._ledger = ledger
        self._fact = fact
        self._processes: list[HostProcess] = []
        self._spent = Usage(0.0, 0.0, 0)  # by former lives

    def boot(self) -> None:
        """Start what runs here. Raises OSError where a command cannot be started."""
        self.set_clock()
        environment = {**os.environ, **self.place.told}
        for command in self.place.commands:
            process = HostProcess(
                command,
                env=environment,
                log=self.place.log,
                netns_fd=self.place.netns,
                cage=self.place.cage,
                limits={resource.RLIMIT_FSIZE: MOST_FILE_BYTES},
            )
            self._ledger.process(process.pid, process.mark)
            self._processes.append(process)
        self.lives.append([self._calendar.now_ns(), None])
        self.state = "up"

    def freeze(self) -> None:
        """SIGSTOP for everything on the host."""
        for process in self._processes:
            process.freeze()
        self.state = "frozen"

    def thaw(self) -> None:
        """SIGCONT for everything on the host."""
        for process in self._processes:
            process.thaw()
        self.state = "up"

    def kill(self) -> None:
        """SIGKILL for everything on the host; no more is done where it is down."""
        for process in self._processes:
            process.kill()
        self._end()

    def stop(self) -> Exit | None:
        """SIGTERM; how the system ended, None where it was down already."""
        exits = [process.terminate(STOPPING_S) for process in self._processes]
        self._end()
        return exits[0] if exits else None

    def ended(self) -> Exit | None:
        """How the system ended by itself, once; None while it runs or is down."""
        how = self._processes[0].poll() if self._processes else None
        if how is not None:
            self.kill()
        return how

    def set_clock(self) -> None:
        """Tell the host what time it is, as its clock has it from now on."""
        now_ns = self._calendar.now_ns()
        drift_ppb = self.clock.history[-1].drift_ppb
        self._file.write(self._calendar.began_ns + now_ns, self.clock.utc_ns(now_ns), drift_ppb)

    def usage(self) -> Usage:
        """Time of the processors in all lives; resident memory of this one."""
        return _sum([self._spent, *(process.usage() for process in self._processes)])

    def last_words(self) -> str:
        """The last line of what runs here, cut to what fits into a report."""
        with self.place.log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 20 * MOST_WORDS))
            lines = file.read().decode(errors="replace").split("\n")
        return next((line[:MOST_WORDS] for line in reversed(lines) if line.strip()), "")

    def pids(self) -> list[int]:
        """The processes that somebody here waits for."""
        return [pid for process in self._processes for pid in process.pids()]

    def _end(self) -> None:
        if not self._processes:
            return
        self._spent = self.usage()._replace(rss_bytes=0)
        survivors = [str(pid) for process in self._processes for pid in process.survivors]
        if survivors:
            self._fact(self.name, "survived", pids=" ".join(survivors))
        self._processes = []
        self.state = "down"
        self.lives[-1][1] = self._calendar.now_ns()


def _sum(usages: Sequence[Usage]) -> Usage:
    return Usage(
        sum(usage.utime_s for usage in usages),
        sum(usage.stime_s for usage in usages),
        sum(usage.rss_bytes for usage in usages),
    )
