"""An alarm clock with a descriptor (timerfd), for who waits by epoll, whose own timeout counts
milliseconds: this one counts nanoseconds. The clock is CLOCK_MONOTONIC, as of `time.monotonic_ns`.
"""

import ctypes
import os
import time
from struct import Struct

from fieldproof_contract import SECOND_NS

_LIBC = ctypes.CDLL(None, use_errno=True)
_ABSOLUTE = 1  # TFD_TIMER_ABSTIME, sys/timerfd.h
_SPECIFICATION = Struct("@llll")  # struct itimerspec: interval and time, seconds and nanoseconds


class Timer:
    """Readable from the time on that it was set to, until it is set again."""

    def __init__(self) -> None:
        """Raises OSError where the kernel has none to give."""
        flags = os.O_NONBLOCK | os.O_CLOEXEC
        self._fd = _LIBC.timerfd_create(time.CLOCK_MONOTONIC, flags)
        if self._fd == -1:
            raise OSError(ctypes.get_errno(), "A timer cannot be made")
        self._at_ns = -1
        self._specification = ctypes.create_string_buffer(_SPECIFICATION.size)

    def fileno(self) -> int:
        """For epoll."""
        return int(self._fd)

    def set(self, monotonic_ns: int) -> None:
        """Ring at this time, or at once where that is past, or never for 0; to set it twice costs
        nothing."""
        if monotonic_ns == self._at_ns:
            return
        self._at_ns = monotonic_ns
        seconds, ns = divmod(monotonic_ns, SECOND_NS)
        _SPECIFICATION.pack_into(self._specification, 0, 0, 0, seconds, ns)
        if _LIBC.timerfd_settime(self._fd, _ABSOLUTE, self._specification, None) == -1:
            raise OSError(ctypes.get_errno(), "A timer cannot be set")

    def stop(self) -> None:
        """Ring no more."""
        self.set(0)

    def close(self) -> None:
        """End it."""
        os.close(self._fd)
