"""By rsync, from the daemon at the edge into a staging copy: never onto the canonical files.

1. The canonical folder is what rsync compares with, and stays as it is. So a file that is shorter,
   torn or rotten at the edge harms nothing before its digest was looked at.
2. What rsync left out it takes for equal by size and time. That is no proof: the digest of the
   whole day is, over the staged files and, where there is none, the center's own.
3. Which hours the edge has not is said by the manifest; a file that rsync did not bring is none of
   them.
4. What is staged is removed once it is read. Files are bounded, and only hour files are looked at.
"""

from typing import ClassVar

from fieldproof_contract import (
    SECOND_NS,
    Address,
    Effects,
    EngineEnded,
    Event,
    Failed,
    Now,
    PullTree,
    Remove,
    RunEngine,
    StopEngine,
)
from fieldproof_reference import ports
from fieldproof_reference.center import Method
from fieldproof_reference.center.assemble import differing
from fieldproof_reference.center.canonical import folder_of, path_of, read_day
from fieldproof_reference.center.gaps import ALL_HOURS
from fieldproof_reference.center.methods import (
    NOTHING,
    Copy,
    Heard,
    Level,
    Task,
    Unavailable,
)
from fieldproof_reference.protocols.repair import NO_FILE

STAGING = "staging/rsync/"

MOST_HOUR_BYTES = 1 << 20
"""The largest hour file: 46 times a full one, as for ranges of them."""

LONGEST_NS = 3600 * SECOND_NS
"""How long a pull may take: a day at less than a kilobit a second (our assumption)."""

ROOT = "riometer/"
"""What the edge's daemon shows."""


class Pull:
    """One run of rsync."""

    name: ClassVar[Method] = "rsync"
    top: ClassVar[Level] = Level.GAPS
    silence: ClassVar[str] = "rsync does not end"
    alone: ClassVar[bool] = True
    trusts_manifest: ClassVar[bool] = True

    def __init__(self, task: Task) -> None:
        self.task = task
        self._into = f"{STAGING}{task.of.site}/"
        self._runs = 0
        self._running = False

    @property
    def patience_ns(self) -> int:
        """rsync has its own patience with the edge; this is ours with rsync."""
        return LONGEST_NS

    def ask(self, now: Now) -> Effects:
        """Let it run."""
        self._runs += 1
        self._running = True
        folder = folder_of(self.task.of)
        server = Address(self.task.edge.host, ports.RSYNC)
        shown = folder.removeprefix(ROOT)
        job = PullTree(server, shown, folder, self._into, MOST_HOUR_BYTES)
        return (RunEngine(self._run, job),)

    def hear(self, event: Event, now: Now) -> Heard:
        """The end of it."""
        match event:
            case EngineEnded(run, _, reason) if self._running and run == self._run:
                self._running = False
                return self._tidy(), Unavailable(reason) if reason else self._copy()
            case Failed(RunEngine(run), reason) if self._running and run == self._run:
                self._running = False
                return (), Unavailable(reason)
        return NOTHING

    def drop(self) -> Effects:
        """End it; what it has staged is overwritten by the next one."""
        running, self._running = self._running, False
        return (StopEngine(self._run),) if running else ()

    @property
    def _run(self) -> str:
        return f"{self.task.run}-rsync-{self._runs}"

    def _copy(self) -> Copy:
        """The day as the edge has it, if rsync and the manifest are right."""
        before = read_day(self.task.disk, self.task.of)
        day = before | self._staged()
        for hour in ALL_HOURS:
            if self.task.manifest and self.task.manifest.hour_digests[hour] == NO_FILE:
                day.pop(hour, None)
        changed = [hour for hour in ALL_HOURS if before.get(hour) != day.get(hour)]
        stretches = [
            differing(before.get(hour, b""), day.get(hour, b""), self.task.of.day, hour)
            for hour in changed
        ]
        return Copy(day, tuple(gap for gap, _ in stretches), [items for _, items in stretches])

    def _staged(self) -> dict[int, bytes]:
        disk, of = self.task.disk, self.task.of
        names = {hour: path_of(of, hour).rpartition("/")[2] for hour in ALL_HOURS}
        found = {hour: self._into + name for hour, name in names.items()}
        return {hour: disk.read(p) for hour, p in found.items() if disk.size(p) is not None}

    def _tidy(self) -> Effects:
        return tuple(map(Remove, self.task.disk.listing(self._into)))
