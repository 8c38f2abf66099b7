"""The loop of the pump: descriptors that speak, and a calendar, by one epoll and one timer.

A turn waits for the first of: a descriptor that is readable, an entry of the calendar, a time that
the caller names. It then lets everything that is readable speak once, and does what the calendar
says. The timer is set only where there is nothing to read: under load it never is. Times are true
time.
"""

import select
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

from fieldproof_simulators.links.live.timer import Timer

Action = Callable[[], None]


class Loop:
    """One thread's. `clock` is true time, whose zero is `began_ns` on CLOCK_MONOTONIC."""

    def __init__(self, clock: Callable[[], int], began_ns: int) -> None:
        self._now_ns = clock
        self._began_ns = began_ns
        self._epoll = select.epoll()
        self._timer = Timer()
        self._handlers: dict[int, Action] = {}
        self._sequence = count()
        self._calendar: list[tuple[int, int, Action]] = []
        # Each ring wakes up once, and that is all: a timer stays readable until it is set anew.
        self._epoll.register(self._timer.fileno(), select.EPOLLIN | select.EPOLLET)

    def watch(self, descriptor: int, handler: Action) -> None:
        """Call this whenever the descriptor is readable."""
        self._handlers[descriptor] = handler
        self._epoll.register(descriptor, select.EPOLLIN)

    def forget(self, descriptor: int) -> None:
        """Call nothing more for it."""
        self._epoll.unregister(descriptor)
        del self._handlers[descriptor]

    def at(self, true_ns: int, action: Action) -> None:
        """Do this once, at that time or as soon as it is past."""
        heappush(self._calendar, (true_ns, next(self._sequence), action))

    def turn(self, also_due_ns: int | None) -> None:
        """Wait, until `also_due_ns` at most, and act. The calendar may not be empty."""
        calendar, now_ns = self._calendar, self._now_ns
        due_ns = calendar[0][0]
        if also_due_ns is not None and also_due_ns < due_ns:
            due_ns = also_due_ns
        ready = self._epoll.poll(0)
        if not ready and due_ns > now_ns():
            self._timer.set(self._began_ns + due_ns)
            ready = self._epoll.poll(-1)
        for descriptor, _ in ready:
            if handler := self._handlers.get(descriptor):
                handler()
        while calendar and calendar[0][0] <= now_ns():
            heappop(calendar)[2]()

    def close(self) -> None:
        """End it; what it watched is others'."""
        self._epoll.close()
        self._timer.close()
