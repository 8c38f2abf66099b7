"""The real time of a live run, and what is to be done when.

True time is the machine's monotonic clock since the run began, so every process on the machine has
it. Actions of one instant happen in the order in which they were asked for; between them, whatever
a descriptor has to say is heard. An action may come late: `late_ns` of the machine's clock is the
price of real time, and is measured elsewhere.
"""

import heapq
import selectors
import time
from collections.abc import Callable
from itertools import count

from fieldproof_contract import SECOND_NS

Action = Callable[[], None]


class Calendar:
    """See the head of this file. `began_ns`: CLOCK_MONOTONIC at true time 0; it may be ahead."""

    def __init__(self, began_ns: int) -> None:
        self.began_ns = began_ns
        self._selector = selectors.DefaultSelector()
        self._coming: list[tuple[int, int, Action]] = []
        self._numbers = count()
        self._is_over = False

    def now_ns(self) -> int:
        """True time; negative before the run begins."""
        return time.monotonic_ns() - self.began_ns

    def call_at(self, true_ns: int, action: Action) -> None:
        """Do `action` at a true time, or as soon as possible where that is past."""
        heapq.heappush(self._coming, (true_ns, next(self._numbers), action))

    def every(self, period_ns: int, action: Action) -> None:
        """Do `action` again and again, on a grid that begins now."""
        begins_ns = self.now_ns()

        def again() -> None:
            action()
            passed = (self.now_ns() - begins_ns) // period_ns + 1
            self.call_at(begins_ns + passed * period_ns, again)

        self.call_at(begins_ns + period_ns, again)

    def listen(self, fileno: int, action: Action) -> None:
        """Do `action` whenever a descriptor has something to read."""
        self._selector.register(fileno, selectors.EVENT_READ, action)

    def ignore(self, fileno: int) -> None:
        """No longer listen to a descriptor."""
        self._selector.unregister(fileno)

    def run_until(self, true_ns: int) -> None:
        """Let everything happen that is due before a true time, or before the end."""
        while (now_ns := self.now_ns()) < true_ns and not self._is_over:
            while self._coming and self._coming[0][0] <= now_ns:
                heapq.heappop(self._coming)[2]()
                now_ns = self.now_ns()
            next_ns = min(true_ns, self._coming[0][0] if self._coming else true_ns)
            wait_s = max(0, next_ns - now_ns) / SECOND_NS
            for key, _ in self._selector.select(wait_s):
                key.data()

    def end(self) -> None:
        """There is nothing more to wait for: time stands still from here on."""
        self._is_over = True

    def close(self) -> None:
        """Forget everything."""
        self._selector.close()
