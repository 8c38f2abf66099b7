"""Loopback addresses for runs on the plain machine, where all share one network.

Each address is leased by a lock on a file of its own in the folder of all runs of this user
(`runtime.base_folder`); the kernel frees it with the holder. With an address of its own, a host may
use the port numbers of the scenario, whatever other runs do.
"""

import fcntl
import os
from pathlib import Path

from fieldproof_simulators.machines.live import runtime

FOLDER = "127.0.0"
FIRST, LAST = 2, 254
"""127.0.0.1 is everybody's."""


class Lease:
    """An address, ours until closed."""

    def __init__(self, address: str, lock_fd: int) -> None:
        self.address = address
        self._lock_fd = lock_fd

    def __enter__(self) -> "Lease":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Gives it back. May be called again."""
        if self._lock_fd != -1:
            os.close(self._lock_fd)
            self._lock_fd = -1


def lease_loopback(base: Path | None = None) -> Lease:
    """An address 127.0.0.N that no other run of this user has. Raises OSError where all are
    taken, PermissionError where the folder of all runs is not safe."""
    folder = (runtime.base_folder() if base is None else base) / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    for last in range(FIRST, LAST + 1):
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        lock_fd = os.open(folder / str(last), flags, 0o600)
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock_fd)
            continue
        return Lease(f"127.0.0.{last}", lock_fd)
    raise OSError(f"All addresses of {folder} are taken by other runs; end some.")
