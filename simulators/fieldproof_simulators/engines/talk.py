"""One end of a recorded conversation, said again over a virtual stream.

1. A program says its next turn as soon as it has heard as many bytes of the other's as it had heard
   when it was recorded. It takes no time to think (our assumption): the link is what is slow.
2. It writes what it says in the pieces in which it was written, and a small one waits until the one
   before it is acknowledged (Nagle's algorithm), since rsync does not ask for anything else.
3. What arrives is only counted: a stream loses no byte and changes none.
4. A stream on which nothing moves in either direction for `PATIENCE_NS` is given up. rsync does so
   only while it connects (--contimeout); later the kernel's keepalive would, or whoever started it
   (our assumption: as soon). It is looked at that often, so that it can take twice as long. A
   frozen program does not look.
"""

from collections import deque
from collections.abc import Callable, Iterable

from fieldproof_contract import SECOND_NS
from fieldproof_simulators.engines.jobs import Turn
from fieldproof_simulators.links.streams import End, Stack, State

PATIENCE_NS = 60 * SECOND_NS
"""rsync's --contimeout, as our center starts it."""


class Speaker:
    """The turns of one end."""

    def __init__(self, end: End, turns: Iterable[Turn], by_client: bool) -> None:
        turns = tuple(turns)
        end.gather()
        self._end = end
        self._mine = deque(turn for turn in turns if turn.by_client is by_client)
        self._theirs_bytes = sum(
            len(turn.data) for turn in turns if turn.by_client is not by_client
        )
        self._heard_bytes = 0

    @property
    def done(self) -> bool:
        """Whether both have said all."""
        return not self._mine and self._heard_bytes == self._theirs_bytes

    def hear(self, data: bytes) -> None:
        """Bytes of the other end."""
        self._heard_bytes += len(data)
        self.speak()

    def speak(self) -> None:
        """Say what is due."""
        while self._mine and self._mine[0].after_bytes <= self._heard_bytes:
            for piece in self._mine.popleft().pieces:
                self._end.write(piece)


class Patience:
    """Watches an end, and calls once where nothing moves on it."""

    def __init__(self, stack: Stack, end: End, gives_up: Callable[[], None]) -> None:
        self._stack = stack
        self._end = end
        self._gives_up: Callable[[], None] | None = gives_up
        self._moved = end.moved
        self._wait()

    def stop(self) -> None:
        """Nobody waits any more."""
        self._gives_up = None

    def _wait(self) -> None:
        self._stack.world.call_at(self._stack.world.now_ns() + PATIENCE_NS, self._look)

    def _look(self) -> None:
        if self._gives_up is None or self._end.state is State.GONE:
            return
        if self._end.moved == self._moved and not self._stack.machine.frozen:
            self._gives_up()
            return
        self._moved = self._end.moved
        self._wait()
