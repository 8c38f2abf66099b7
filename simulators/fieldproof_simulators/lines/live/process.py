"""The stage's side of the player: starts it, tells it what to do, hears what it says.

Every order waits until the player has carried it out, which takes less than a millisecond unless
the machine is busy: after `hurt(site, "unplug", ...)` the player has let go of the port, and the
cable may be pulled. A player that is gone is noticed with the next call, whatever ended it.
"""

import os
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import msgspec

from fieldproof_simulators.lines.live.messages import (
    Command,
    Done,
    End,
    Happened,
    HealLine,
    HostDown,
    HostUp,
    HurtLine,
    LineBegin,
    LineState,
    PlayerBegin,
    PlayerResult,
    Reopen,
    Said,
    Stats,
)
from fieldproof_simulators.machines.live.control import Control, ControlClosed, pair

__all__ = [
    "FACTS",
    "Happened",
    "LineBegin",
    "LineState",
    "LivePlayer",
    "PlayerBegin",
    "PlayerFailed",
    "PlayerResult",
    "Stats",
]

FACTS = "lines/facts.jsonl"
"""Where the player writes its facts, in the run directory."""

READY_S = 60.0
ANSWER_S = 10.0
"""How long the player may take to be ready, and to answer, on a busy machine."""

_MOST_KEPT = 4096
_MODULE = "fieldproof_simulators.lines.live.player"

Answer = TypeVar("Answer", Done, PlayerResult)


class PlayerFailed(Exception):
    """The player is gone, does not answer, or cannot do what it was told."""


class LivePlayer:
    """See the head of this file."""

    def __init__(self, begin: PlayerBegin, run_dir: Path, log: Path) -> None:
        """Start the player and wait until it has all ports open. Its output is appended to `log`,
        its facts to `FACTS` below `run_dir`. Raises PlayerFailed where it cannot play."""
        facts = run_dir / FACTS
        facts.parent.mkdir(exist_ok=True)
        ours, theirs = pair()
        with log.open("ab") as output, theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", _MODULE, str(theirs.fileno()), str(facts)],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # no thread that nobody needs
            )
        self._log = log
        self._control = Control[Said](ours, msgspec.json.Decoder(Said).decode)
        self._heard: deque[Said] = deque(maxlen=_MOST_KEPT)
        try:
            self._ask(begin, READY_S)
        except PlayerFailed:
            self.close()
            raise

    def __enter__(self) -> "LivePlayer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The player's process id."""
        return self._process.pid

    def fileno(self) -> int:
        """For selectors: readable when `said` has something, or the player is gone."""
        return self._control.fileno()

    def said(self) -> list[Stats | Happened]:
        """What the player said since this was asked last; never waits. Raises PlayerFailed."""
        self._hear(0)
        heard = [message for message in self._heard if isinstance(message, Stats | Happened)]
        self._heard.clear()
        return heard

    # --- orders ---

    def host_up(self, site: str) -> None:
        """Somebody has the site's port open from now on. Raises PlayerFailed, as all orders do."""
        self._ask(HostUp(site))

    def host_down(self, site: str) -> None:
        """Nobody has the site's port open any more: words of that time are lost."""
        self._ask(HostDown(site))

    def hurt(
        self, site: str, kind: str, fault: int, *, count: int = 0, percent: float = 0.0
    ) -> None:
        """A fault of the line strikes: see `hurts.KINDS`. After `unplug` the port is closed."""
        self._ask(HurtLine(site, kind, fault, count, percent))

    def heal(self, site: str, kind: str, fault: int) -> None:
        """A fault of the line ends. One of `unplug` needs a `replug` before."""
        self._ask(HealLine(site, kind, fault))

    def replug(self, site: str) -> None:
        """The site's port is there again, under the same name: open it."""
        self._ask(Reopen(site))

    def stop(self, timeout_s: float) -> PlayerResult:
        """End all lines and the player; what came of it."""
        try:
            self._control.send(End())
        except ControlClosed as error:
            raise self._gone(str(error)) from None
        result = self._await(PlayerResult, timeout_s)
        self.close()
        return result

    def close(self) -> None:
        """See that the player is gone. May be called again."""
        self._control.close()
        try:
            self._process.wait(ANSWER_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ask(self, order: Command | PlayerBegin, timeout_s: float = ANSWER_S) -> None:
        try:
            self._control.send(order)
        except ControlClosed as error:
            raise self._gone(str(error)) from None
        done = self._await(Done, timeout_s)
        if done.trouble:
            raise PlayerFailed(f"The player of the serial lines cannot do it: {done.trouble}")

    def _await(self, kind: type[Answer], timeout_s: float) -> Answer:
        """The answer of this kind; all else is kept for `said`."""
        give_up_s = time.monotonic() + timeout_s
        while (left_s := give_up_s - time.monotonic()) > 0:
            self._hear(left_s)
            for message in self._heard:
                if isinstance(message, kind):
                    self._heard.remove(message)
                    return message
        raise self._gone(f"It did not answer for {timeout_s:g} s.")

    def _hear(self, timeout_s: float) -> None:
        try:
            self._heard.extend(self._control.await_some(timeout_s))
        except ControlClosed as error:
            raise self._gone(str(error)) from None

    def _gone(self, why: str) -> PlayerFailed:
        return PlayerFailed(f"The player of the serial lines is gone; see {self._log}. {why}")
