"""Lets two programs talk so that what they say depends on nothing but what they hear.

A program that streams cuts its bytes by when it was woken and how much was there by then. So it is
held still while it is given bytes or relieved of some, and then runs until nothing more can happen:

    asleep --stopped, fed, drained, let go--> running --all its processes sleep--> asleep

That all of a program's processes sleep is certain where two looks at them, one after the other, are
equal: each process was asleep at both and woke in between not even once (its count of switches is
the same), so that all were asleep at one instant, and nobody but us can wake them.

The programs speak by turns: one runs while the other is held up. So two of one program's processes
are rarely busy at once, and what each says is the same in every run. A program hears the first
piece of a turn alone, as it would on a link: Nagle's algorithm lets that go at once and keeps the
rest until it is acknowledged.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from fieldproof_simulators.engines.jobs import Turn

PIECE_BYTES = 65_536
"""What a program is given at a time: less than any socket holds."""

GLANCE_S = 0.000_5
"""Between looks at processes that are busy."""

HUNG_S = 300
"""A program that never comes to rest is broken, or the machine is: the run ends."""

Cut = Callable[[Sequence[bytes]], tuple[bytes, ...]]

_ASLEEP = frozenset("SZ")


class Program:
    """A program in a session of its own; `hears` and `says` are our ends of its input and output.
    `cut` makes the pieces that it wrote of what was read, one read each."""

    def __init__(
        self, process: subprocess.Popen[bytes], hears: socket.socket, says: int, cut: Cut
    ) -> None:
        self.heard_bytes = 0
        self.ended = False  # its output has come to an end
        self._process = process
        self._hears, self._says, self._cut = hears, says, cut
        self._shut = False
        hears.setblocking(False)
        os.set_blocking(says, False)

    def turn(self, data: bytes, no_more: bool) -> tuple[bytes, ...]:
        """Give it bytes, and perhaps the end of all; what it says until it waits again."""
        said: list[bytes] = []
        rest = memoryview(data)
        while True:
            self._await_rest()
            self._signal(signal.SIGSTOP)
            fed = self._feed(rest[:PIECE_BYTES])
            rest = rest[fed:]
            if shuts := no_more and not rest and not self._shut:
                self._shut = True
                self._hears.shutdown(socket.SHUT_WR)
            was_open = not self.ended
            fresh = self._drain()
            said += fresh
            self._signal(signal.SIGCONT)
            if not (fed or shuts or fresh or (was_open and self.ended)):
                return self._cut(said)

    def close(self) -> int:
        """Let go of it; its exit code."""
        self._hears.close()
        os.close(self._says)
        return self._process.wait(HUNG_S)

    def _feed(self, piece: memoryview) -> int:
        if not piece:
            return 0
        try:
            fed = self._hears.send(piece)
        except BlockingIOError:
            return 0
        except (BrokenPipeError, ConnectionResetError):
            fed = len(piece)  # it does not listen any more
        self.heard_bytes += fed
        return fed

    def _drain(self) -> list[bytes]:
        said = []
        while not self.ended:
            try:
                fresh = os.read(self._says, PIECE_BYTES)
            except BlockingIOError:
                break
            except ConnectionResetError:
                fresh = b""
            if fresh:
                said.append(fresh)
            self.ended = not fresh
        return said

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return  # it is gone, as its sockets will say

    def _await_rest(self) -> None:
        until = time.monotonic() + HUNG_S
        while True:
            first = _look(self._process.pid)
            if all(state in _ASLEEP for _, state, _ in first) and first == _look(self._process.pid):
                return
            if time.monotonic() > until:
                raise TimeoutError(f"Process {self._process.pid} does not come to rest: see ps.")
            time.sleep(GLANCE_S)


def converse(client: Program, server: Program) -> tuple[Turn, ...]:
    """Let them talk until neither has more to say. Each may begin before it has heard anything."""
    turns: list[Turn] = []
    unheard: dict[Program, list[bytes]] = {client: [], server: []}
    speaker, listener = client, server
    silent, rounds = 0, 0
    while silent < 2 or rounds < 4:
        heard, unheard[speaker] = ([], unheard[speaker]) if rounds < 2 else (unheard[speaker], [])
        was_ended = speaker.ended
        said = False
        for data in _as_they_come(heard):
            if pieces := speaker.turn(data, listener.ended):
                turns.append(Turn(speaker is client, speaker.heard_bytes, pieces))
                unheard[listener] += pieces
                said = True
        silent = 0 if said or heard or speaker.ended != was_ended else silent + 1
        speaker, listener = listener, speaker
        rounds += 1
    return tuple(turns)


def _as_they_come(pieces: Sequence[bytes]) -> tuple[bytes, ...]:
    """The first piece, then all the others."""
    return (b"".join(pieces[:1]), *filter(None, (b"".join(pieces[1:]),)))


Look = Sequence[tuple[int, str, str]]
"""Of each process: its number, its state, how often it was switched."""


def _look(pid: int) -> Look:
    """A process and all that come from it."""
    seen = []
    family = [pid]
    for each in family:
        try:
            status = Path(f"/proc/{each}/status").read_text()
            for children in Path(f"/proc/{each}/task").glob("*/children"):
                family += map(int, children.read_text().split())
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended between two looks: the next will differ
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        switches = fields["voluntary_ctxt_switches"] + fields["nonvoluntary_ctxt_switches"]
        seen.append((each, fields["State"].split()[0], switches))
    return seen
