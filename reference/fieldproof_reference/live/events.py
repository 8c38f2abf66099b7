"""The event log of a process: what nodes say, and what only their driver can know.

    {"ns": 81, "by": "daws/filing", "said": "torn tail moved aside", "detail": {"bytes": 100}}
    {"ns": 95, "by": "daws/filing", "fact": "effect failed", "detail": {"reason": "..."}}

`ns` is CLOCK_MONOTONIC. A line is one write to a file opened for appending, so that a line may be
torn by a kill, and that is the last; lines of several processes never mix.
"""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

Detail = Mapping[str, str | int]


class EventLog:
    """Appends to the file, or does nothing where there is none. Raises OSError where the file
    cannot be opened; a line that cannot be written is lost, and `lost` counts it."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._fd = -1
        self.lost = 0
        self.reopen()

    def reopen(self) -> None:
        """Open the file anew: it may have been moved away. Raises OSError."""
        if self._path is None:
            return
        opened = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self.close()
        self._fd = opened

    def said(self, by: str, what: str, detail: Detail) -> None:
        """Words of a node."""
        self._write(by, "said", what, detail)

    def fact(self, by: str, what: str, detail: Detail) -> None:
        """What only the driver can know."""
        self._write(by, "fact", what, detail)

    def close(self) -> None:
        """Let go of the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _write(self, by: str, kind: str, what: str, detail: Detail) -> None:
        if self._fd < 0:
            return
        line = {"ns": time.monotonic_ns(), "by": by, kind: what, "detail": dict(detail)}
        data = json.dumps(line).encode() + b"\n"
        try:
            written = os.write(self._fd, data)
        except OSError:
            written = 0
        self.lost += written < len(data)
