"""The forge: packets that no honest sender makes, and captures taken to pieces.

scapy does both, in a process of its own (`forge_process.py`): its licence is GPL-2.0-only, it is
slow to start (0.3 to 1.8 s), and nothing of it belongs on the path of a link. So start a forge
ahead of time: `start` returns at once, and only what comes before it is ready waits for it. What
it makes goes to a link's pump, which lets it into the link; the forge itself sends nothing.

A forge ends with its owner: it reads orders until the pipe that they come by is closed.
"""

import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

import msgspec

from fieldproof_simulators.links.live.forge_orders import (
    Answer,
    Dissect,
    Dissected,
    Done,
    Made,
    Making,
    Order,
    Ready,
    Trouble,
)

PROGRAM = "fieldproof_simulators.links.live.forge_process"
PATIENCE_S = 20.0
"""How long an answer may take; the first one includes the start."""

NO_HOME = dict.fromkeys(("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"), os.devnull)
"""Without these, scapy makes folders in the user's home."""

_READ_BYTES = 1 << 16
_decoder: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)


class ForgeError(Exception):
    """An order cannot be carried out; one sentence."""


class ForgeMissing(ForgeError):
    """This machine has no forge; one sentence says how to get one."""


class Forge:
    """One process with scapy in it; `log` is where it complains. Ends with `stop`, or as the
    context manager that it is."""

    def __init__(self, log: Path | None = None) -> None:
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = b""
        self._is_ready = False

    def start(self) -> None:
        """Start the process, and return at once. A forge that was started already is left alone."""
        if self._process is not None:
            return
        stderr: IO[bytes] | int = subprocess.DEVNULL if self._log is None else self._log.open("ab")
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", PROGRAM],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                bufsize=0,
                env=os.environ | NO_HOME,
            )
        finally:
            if not isinstance(stderr, int):
                stderr.close()

    @property
    def pid(self) -> int | None:
        """The forge's process, while there is one."""
        return None if self._process is None else self._process.pid

    def await_ready(self) -> None:
        """Wait until the forge takes orders. Raises ForgeMissing where it never will."""
        self.start()
        if self._is_ready:
            return
        match self._answer():
            case Ready():
                self._is_ready = True
            case Trouble(why):
                self.stop()
                raise ForgeMissing(why)
            case answer:
                raise ForgeError(f"The forge began with {type(answer).__name__}, not with Ready.")

    def make(self, order: Making) -> list[bytes]:
        """Raw IPv4 packets to order. Raises ForgeError where they cannot be made."""
        self._order(order)
        match self._answer():
            case Made(packets):
                return list(packets)
            case Trouble(why):
                raise ForgeError(why)
            case answer:
                raise ForgeError(f"The forge answered an order with {type(answer).__name__}.")

    def dissect(self, capture: Path) -> Iterator[Dissected]:
        """Every packet of a capture of raw IP packets, in order; to be read to its end before the
        next order. Raises ForgeError where the file is no such capture."""
        self._order(Dissect(str(capture)))
        while True:
            match self._answer():
                case Dissected() as packet:
                    yield packet
                case Done():
                    return
                case Trouble(why):
                    raise ForgeError(why)
                case answer:
                    raise ForgeError(f"The forge dissects into {type(answer).__name__}.")

    def stop(self) -> None:
        """End the process; what it was asked for last is lost."""
        process, self._process = self._process, None
        if process is None:
            return
        self._is_ready, self._buffer = False, b""
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        process.kill()  # it has nothing to lose
        process.wait()

    def __enter__(self) -> "Forge":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _order(self, order: Order) -> None:
        self.await_ready()
        assert self._process is not None and self._process.stdin is not None
        line = memoryview(msgspec.json.encode(order) + b"\n")
        try:
            while line:
                line = line[self._process.stdin.write(line) :]
        except OSError as error:
            raise ForgeError(f"The forge takes no order: {error}.") from None

    def _answer(self) -> Answer:
        """The next line. Raises ForgeError where none comes, or none that makes sense."""
        assert self._process is not None and self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        until_s = time.monotonic() + PATIENCE_S
        while b"\n" not in self._buffer:
            if not select.select((pipe,), (), (), max(0.0, until_s - time.monotonic()))[0]:
                self.stop()
                raise ForgeError(f"The forge gave no answer for {PATIENCE_S:g} s: it was ended.")
            data = os.read(pipe, _READ_BYTES)
            if not data:
                code = self._process.wait()
                self.stop()
                raise ForgeError(f"The forge ended with code {code}; its log says why.")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        try:
            return _decoder.decode(line)
        except msgspec.MsgspecError as error:
            raise ForgeError(f"An answer of the forge makes no sense: {error}.") from None


def dissect(capture: Path, log: Path | None = None) -> Iterator[Dissected]:
    """Every packet of a capture of raw IP packets, in order, by a forge of its own.

    Raises ForgeError where the file is no such capture, ForgeMissing where there is no scapy."""
    with Forge(log) as forge:
        yield from forge.dissect(capture)
