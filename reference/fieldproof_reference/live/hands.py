"""Carries out what nodes ask of the machine: files, syncs, datagrams, streams, engines."""

from collections.abc import Callable
from typing import TypeAlias, assert_never

from fieldproof_contract import (
    Append,
    CloseStream,
    Event,
    Failed,
    OpenStream,
    PullTree,
    Remove,
    Rename,
    Replace,
    RunEngine,
    SendDatagram,
    StopEngine,
    StreamClosed,
    Sync,
    Synced,
    Truncate,
    WriteStream,
)
from fieldproof_reference.live.disk import Disk
from fieldproof_reference.live.engines import Engines
from fieldproof_reference.live.ports import Ports
from fieldproof_reference.live.streams import Streams
from fieldproof_reference.live.syncer import Outcome, Syncer
from fieldproof_reference.live.view import View

FileEffect: TypeAlias = Append | Replace | Rename | Truncate | Remove | Sync
Task: TypeAlias = (
    FileEffect | SendDatagram | OpenStream | WriteStream | CloseStream | RunEngine | StopEngine
)
"""An effect that concerns the machine."""

ONLY_LOOKS = "This process only looks at files."

Tell = Callable[[Event], None]
"""Gives an event to the node that asked."""


class Hands:
    """The machine as far as nodes may touch it. With a `View` no file is changed."""

    def __init__(
        self,
        disk: Disk | View,
        syncer: Syncer,
        ports: Ports,
        streams: Streams,
        engines: Engines,
    ) -> None:
        self.disk = disk
        self.ports = ports
        self.streams = streams
        self.engines = engines
        self._syncer = syncer

    @property
    def idle(self) -> bool:
        """Whether everything that was asked for is done."""
        return not self._syncer.waiting and self.streams.sent

    def perform(self, node: str, task: Task, tell: Tell) -> None:
        """Carry out one effect of a node. Raises OSError and OverflowError where it fails."""
        match task:
            case SendDatagram(port, to, data):
                self.ports.send(port, to, data)
            case OpenStream(stream, to):
                self.streams.open(node, tell, stream, to)
            case WriteStream(stream, data):
                self.streams.write(node, stream, data)
            case CloseStream(stream):
                if self.streams.close(node, stream):
                    tell(StreamClosed(stream, ""))
            case RunEngine(run, job):
                if isinstance(self.disk, View) and isinstance(job, PullTree):
                    raise PermissionError(ONLY_LOOKS)
                self.engines.run(node, tell, run, job)
            case StopEngine(run):
                self.engines.stop(node, run)
            case _:
                self._change_files(task, tell)

    def _change_files(self, task: FileEffect, tell: Tell) -> None:
        disk = self.disk
        if isinstance(disk, View):
            raise PermissionError(ONLY_LOOKS)
        match task:
            case Append(path, data):
                disk.append(path, data)
            case Replace(path, data):
                disk.replace(path, data)
            case Rename(path, to):
                disk.rename(path, to)
            case Truncate(path, size):
                disk.truncate(path, size)
            case Remove(path):
                disk.remove(path)
            case Sync(paths):
                self._syncer.ask(disk.ask_sync(paths), _answer(disk, task, tell))
            case _:
                assert_never(task)


def _answer(disk: Disk, sync: Sync, tell: Tell) -> Callable[[Outcome], None]:
    """What is done when a sync has ended."""

    def answer(outcome: Outcome) -> None:
        for asked in outcome.done:
            disk.synced(asked)
        for asked in outcome.failed:
            disk.not_synced(asked)
        tell(Failed(sync, outcome.reason) if outcome.reason else Synced(sync.paths))

    return answer
