"""What a person reads: one line where something changes, and how things stand once a minute.

    2006-01-17T16:24:06Z line riometer is up: /dev/ttyUSB0, 9600 8N1, raw.
    2006-01-17T16:25:00Z status: line riometer up; acquire: bytes discarded 0; filing: records ...

The time in front is UTC by the host's own clock. Lines go to stderr, or to a file that is opened
anew on request. A log that cannot be written is no reason to stop measuring.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from fieldproof_contract import SECOND_NS
from fieldproof_reference.formats.days import DAY_S, day_text
from fieldproof_reference.live.clock import Clock

STDERR = 2
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896  # of the calendar, from 1970 on


class HumanLog:
    """Raises OSError where its file cannot be opened."""

    def __init__(self, clock: Clock, path: Path | None = None) -> None:
        self._clock = clock
        self._path = path
        self._fd = STDERR
        self.reopen()

    def reopen(self) -> None:
        """Open the file anew: it may have been moved away. Raises OSError."""
        if self._path is None:
            return
        opened = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self.close()
        self._fd = opened

    def say(self, text: str) -> None:
        """Write a line."""
        line = f"{second_text(self._clock.now().utc_ns // SECOND_NS)} {text}\n"
        with suppress(OSError):
            os.write(self._fd, line.encode(errors="backslashreplace"))

    def close(self) -> None:
        """Let go of the file."""
        if self._fd != STDERR:
            os.close(self._fd)
            self._fd = STDERR


def second_text(utc_s: int) -> str:
    """`2006-01-17T16:24:06Z`, or the number of a second that is in no calendar."""
    day, second = divmod(utc_s, DAY_S)
    if not _FIRST_DAY <= day <= _LAST_DAY:
        return f"{utc_s} s"
    minute, second = divmod(second, 60)
    return f"{day_text(day)}T{minute // 60:02d}:{minute % 60:02d}:{second:02d}Z"


def pairs_text(detail: Mapping[str, str | int]) -> str:
    """`path daws.dat, bytes 100`."""
    return ", ".join(f"{key} {value}" for key, value in detail.items())
