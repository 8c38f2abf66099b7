"""File descriptors and times: the one place where the process waits.

1. What a descriptor brings is handled in turns; an action takes what is there, up to a bound, so
   that none keeps the others waiting.
2. An action that has lapsed, because an earlier one of the same turn closed its descriptor, is not
   called, even if the number is in use again.
3. Actions of one time are done in the order in which they were asked for.
"""

import heapq
import selectors
import time
from collections.abc import Callable

from fieldproof_contract import SECOND_NS

Action = Callable[[], None]
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Loop:
    """Waits for descriptors and for times on CLOCK_MONOTONIC, ns."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._agenda: list[tuple[int, int, Action]] = []
        self._asked = 0

    def watch(self, fd: int, events: int, action: Action) -> None:
        """Call `action` whenever the descriptor is ready; replaces what was asked before."""
        if fd in self._selector.get_map():
            self._selector.modify(fd, events, action)
        else:
            self._selector.register(fd, events, action)

    def unwatch(self, fd: int) -> None:
        """Forget a descriptor, before it is closed. One that is not watched is no error."""
        if fd in self._selector.get_map():
            self._selector.unregister(fd)

    def call_at(self, due_ns: int, action: Action) -> None:
        """Do `action` once, then or later."""
        self._asked += 1
        heapq.heappush(self._agenda, (due_ns, self._asked, action))

    def call_in(self, wait_ns: int, action: Action) -> None:
        """Do `action` once, after a while."""
        self.call_at(time.monotonic_ns() + wait_ns, action)

    def turn(self, until_ns: int | None) -> None:
        """Wait for a descriptor, a time of the agenda, or `until_ns`; do what is due."""
        due_ns = [self._agenda[0][0]] if self._agenda else []
        due_ns += [] if until_ns is None else [until_ns]
        wait_s = max(0, min(due_ns) - time.monotonic_ns()) / SECOND_NS if due_ns else None
        for key, _ in self._selector.select(wait_s):
            if self._selector.get_map().get(key.fd) is key:
                key.data()
        now_ns = time.monotonic_ns()
        while self._agenda and self._agenda[0][0] <= now_ns:
            heapq.heappop(self._agenda)[2]()

    def close(self) -> None:
        """Forget everything."""
        self._selector.close()
        self._agenda.clear()
