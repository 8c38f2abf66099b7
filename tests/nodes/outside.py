"""What lies outside of the hosts in memory: connections between them, and programs that are real.

Part of `conftest.py`, which imports it; test files get it as the fixture `kit`.
"""

import os
import subprocess
import tempfile
from pathlib import Path

from fieldproof_contract import (
    Address,
    Append,
    CloseStream,
    Effect,
    Job,
    Listen,
    OpenStream,
    PullTree,
    Remove,
    ServeTree,
    StreamClosed,
    StreamData,
    StreamOpened,
    WriteStream,
)
from fieldproof_reference import engines
from fieldproof_reference.engines.recipe import Place

SEGMENT_BYTES = 1_400


class Wires:
    """Connections: each end is a host, one of its nodes, and its name there."""

    def __init__(self, world, delay_ns: int) -> None:
        self.world, self.delay_ns = world, delay_ns
        self.ends: dict[tuple, tuple] = {}  # what stands, both ways
        self.accepted = 0

    def perform(self, host, index: int, effect: Effect) -> None:
        end = (host, index, effect.stream)
        match effect:
            case OpenStream(_, to):
                self.world.at(2 * self.delay_ns, lambda life=host.life: self._open(end, to, life))
            case WriteStream(stream, data):
                if end not in self.ends:
                    raise OSError(f"There is no stream {stream}.")
                for at in range(0, len(data), SEGMENT_BYTES):
                    self._send(end, data[at : at + SEGMENT_BYTES])
            case CloseStream():
                self._close(end, "")

    def leave(self, host) -> None:
        """A host died."""
        for end in [end for end in self.ends if end[0] is host]:
            self._close(end, "Connection reset by peer")

    def cut(self) -> None:
        """Everything that stands breaks."""
        for end in list(self.ends):
            if end in self.ends:
                self._close(end, "Connection reset by peer")
                end[0].tell_node(end[1], StreamClosed(end[2], "Connection reset by peer"))

    def _open(self, end: tuple, to: Address, life: int) -> None:
        host, index, stream = end
        if life != host.life:
            return
        serving = self.world.hosts.get(to.host)
        hears = [n for n, (_, hears) in enumerate(serving.parts) if Listen(to.port) in hears]
        if not serving.nodes or not hears:
            host.tell_node(index, StreamClosed(stream, "Connection refused"))
            return
        self.accepted += 1
        other = (serving, hears[0], f"accepted-{self.accepted}")
        self.ends[end], self.ends[other] = other, end
        serving.tell_node(other[1], StreamOpened(other[2], Address(host.address, 40_000)))
        host.tell_node(index, StreamOpened(stream, to))

    def _send(self, end: tuple, data: bytes) -> None:
        sent = self.world.pipe(data)
        if sent is None:
            self.world.at(self.delay_ns, self.cut)
            return
        other = self.ends[end]
        self.world.at(self.delay_ns, lambda: self._arrive(end, other, sent))

    def _arrive(self, end: tuple, other: tuple, data: bytes) -> None:
        if self.ends.get(other) == end and data:
            other[0].tell_node(other[1], StreamData(other[2], data))

    def _close(self, end: tuple, reason: str) -> None:
        other = self.ends.pop(end, None)
        if other is None:
            return
        said = StreamClosed(other[2], reason)

        def closed() -> None:
            if self.ends.pop(other, None) is not None:
                other[0].tell_node(other[1], said)

        self.world.at(self.delay_ns, closed)


def engine_done(host, job: Job) -> tuple[bytes, str]:
    """What the real program makes of a job: output and reason."""
    with tempfile.TemporaryDirectory() as private:
        if isinstance(job, PullTree):
            return b"", pulled(host, job, Path(private))
        told = engines.command(job, Place(private, "", {}, None))
        for name, data in told.files.items():
            Path(private, name).write_bytes(data)
        done = subprocess.run(told.argv, capture_output=True, check=False)
        if done.returncode or len(done.stdout) > told.most_output:
            return b"", f"{told.argv[0]} failed, exit code {done.returncode}"
        return done.stdout, ""


def pulled(host, job: PullTree, folder: Path) -> str:
    """rsync from the peer's disk to the host's, by way of real folders; the reason, if any."""
    for path in host.disk.listing(job.into):
        host.disk.perform(Remove(path))
    serving = host.world.hosts.get(job.peer.host)
    roots = [
        daemon.root
        for daemon in (serving.running.values() if serving and serving.nodes else ())
        if isinstance(daemon, ServeTree) and daemon.port == job.peer.port
    ]
    if not roots:
        return "rsync failed, the other end cannot be reached"
    shown = roots[0] + job.folder
    if not serving.disk.listing(shown):
        return "rsync failed, the folder could not be read"
    for disk, prefix, name in ((serving.disk, shown, "from"), (host.disk, job.like, "like")):
        (folder / name).mkdir()
        for path in disk.listing(prefix):
            (folder / name / path[len(prefix) :]).write_bytes(disk.read(path))
            os.utime(folder / name / path[len(prefix) :], (disk.written_s(path),) * 2)
    (folder / "into").mkdir()
    folders = {job.like: str(folder / "like"), job.into: str(folder / "into")}
    words = engines.command(job, Place(str(folder), "", folders, None)).argv
    options = [word for word in words[:-2] if "timeout" not in word]
    files = sorted(map(str, (folder / "from").iterdir()))
    subprocess.run([*options, *files, words[-1]], check=True, capture_output=True)
    for path in sorted((folder / "into").iterdir()):
        host.disk.perform(Append(job.into + path.name, path.read_bytes()))
    return ""
