"""rsync, at both ends, at one virtual instant.

The client is started with a remote shell that only hands us its pipes, the server as a daemon that
serves one caller on its standard input; between them `lockstep` carries the bytes. The words of the
client are those with which a center of ours starts it (CONTRIBUTING.md has the pair), but for
`--contimeout`, which only a real connection has, and for the checksum seed, which rsync would draw
itself. The seed makes the arguments about 20 bytes longer.

A daemon on standard input says what goes wrong to its standard error and by its exit code; one on a
port says it to the client, too, in a hundred bytes that are not charged here.

What is said depends on rsync's version and on how it was built, on the names, contents and times of
the files, and on the seed; on nothing else of the machine.
"""

import fcntl
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from fieldproof_contract import PullTree
from fieldproof_simulators.engines.jobs import Pulled, Tree
from fieldproof_simulators.engines.live import folders, hand_over
from fieldproof_simulators.engines.live.lockstep import Program, converse

MODULE = "archive"
PIPE_BYTES = 1 << 20
"""The most that Linux gives anybody: a pipe of packets is full early."""

PACKET_BYTES = 4096
"""PIPE_BUF: what is written at once comes in packets of this, the last of them smaller."""

CONFIG = f"""use chroot = no
read only = yes
list = no
max connections = 8
reverse lookup = no
log file = /dev/null
[{MODULE}]
path = {{root}}
"""

AS_ROOT = "uid = 0\ngid = 0\n"
"""A daemon that root begins would become nobody, who may not read; nobody else may say this."""

AS_NOBODY = ("unshare", "--user", "--map-user=65534", "--map-group=65534", "--")
"""Root of a user namespace may not set its groups, as a daemon of root does: another name for the
same user, which is not root's, spares it that."""


def pull(job: PullTree, served: Tree, like: Tree, seed: int) -> Pulled:
    """Run both. Raises OSError where this machine cannot."""
    with ExitStack() as stack:
        root = stack.enter_context(folders.in_order(served, job.folder))
        work = stack.enter_context(folders.workplace())
        folders.write(work / "like", like, sorted(like))
        (work / "into").mkdir()
        server = _serve(stack, root, work)
        client = _call(stack, job, work, seed)
        turns = converse(client, server)
        codes = client.close(), server.close()
        if code := max(codes):
            return Pulled(turns, {}, f"rsync ended with exit code {code}: see its manual page.")
        return Pulled(turns, folders.read(work / "into"))


def _serve(stack: ExitStack, root: Path, work: Path) -> Program:
    """The daemon. It writes into a pipe that keeps the pieces apart."""
    config = work / "rsyncd.conf"
    is_root = os.geteuid() == 0
    is_caged = is_root and Path("/proc/self/setgroups").read_text() == "deny\n"
    first = AS_ROOT if is_root and not is_caged else ""
    config.write_text(first + CONFIG.format(root=root))
    hears, its_input = socket.socketpair()
    says, its_output = os.pipe2(os.O_CLOEXEC | os.O_DIRECT)
    fcntl.fcntl(says, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    command = ["rsync", "--server", "--daemon", f"--config={config}", "."]
    command = [*AS_NOBODY, *command] if is_caged else command
    with its_input:
        process = _start(stack, command, its_input.fileno(), its_output)
    os.close(its_output)
    return Program(process, hears, says, _packets)


def _call(stack: ExitStack, job: PullTree, work: Path, seed: int) -> Program:
    """The client. Its pipes are its own, so that its pieces must be told by their content."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        shell = f'"{sys.executable}" -I -S "{hand_over.__file__}" {theirs.fileno()}'
        command = [*words(job, work / "like", seed, shell), f"edge::{MODULE}/{job.folder}*"]
        command.append(f"{work / 'into'}/")
        process = _start(stack, command, inherits=(theirs.fileno(),))
        theirs.close()
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 2)
    if len(descriptors) != 2:
        raise OSError("rsync did not call its remote shell.")
    says, hears = descriptors
    return Program(process, socket.socket(fileno=hears), says, _client_pieces)


def words(job: PullTree, like: Path, seed: int, shell: str) -> tuple[str, ...]:
    """How the client is started, but for what it copies and where to."""
    return (
        "rsync",
        "-t",
        "-z",
        "--compress-choice=zlib",
        f"--checksum-seed={seed}",
        f"--compare-dest={like}",
        f"--max-size={job.most_bytes}",
        f"--rsh={shell}",
    )


def _packets(reads: Sequence[bytes]) -> tuple[bytes, ...]:
    """What a daemon wrote at once: a full packet of the pipe is continued by the next."""
    pieces: list[bytes] = []
    continues = False
    for read in reads:
        if continues:
            pieces[-1] += read
        else:
            pieces.append(read)
        continues = len(read) == PACKET_BYTES
    return tuple(pieces)


def _client_pieces(reads: Sequence[bytes]) -> tuple[bytes, ...]:
    """What a client wrote at once. Before it multiplexes, it writes its arguments and their ends
    one by one, and a text after its length; of later turns each is written at once (io.c)."""
    said = b"".join(reads)
    first = 0
    if said.startswith(b"--server\0"):
        first = len(b"--server")
    elif said and said[0] == len(said) - 1:
        first = 1
    return tuple(filter(None, (said[:first], said[first:])))


def _start(
    stack: ExitStack,
    command: list[str],
    its_input: int = subprocess.DEVNULL,
    its_output: int = subprocess.DEVNULL,
    inherits: tuple[int, ...] = (),
) -> subprocess.Popen[bytes]:
    """A program in a session of its own, which ends with the stack at the latest."""
    process = subprocess.Popen(
        command,
        stdin=its_input,
        stdout=its_output,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        pass_fds=inherits,
        start_new_session=True,
    )
    stack.callback(_end, process)
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
        process.wait()
