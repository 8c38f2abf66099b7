"""mount(2) and umount2(2), and what is mounted."""

import ctypes
import os
import re
from pathlib import Path

MS_NOSUID, MS_NODEV, MS_NOEXEC = 2, 4, 8  # linux/mount.h
MNT_DETACH = 2  # sys/mount.h

_LIBC = ctypes.CDLL(None, use_errno=True)
_MOUNTINFO, _UID_MAP = Path("/proc/self/mountinfo"), Path("/proc/self/uid_map")
_EVERYBODY = ["0", "0", "4294967295"]


def mount_tmpfs(folder: Path, size_bytes: int) -> None:
    """Mounts an empty file system in memory, which holds `size_bytes` rounded up to whole pages and
    is open to its owner alone. Raises OSError."""
    flags = MS_NOSUID | MS_NODEV | MS_NOEXEC
    options = f"size={size_bytes},mode=0700".encode()
    if _LIBC.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", flags, options) == -1:
        raise _error(folder)


def unmount(folder: Path, *, even_if_busy: bool = False) -> None:
    """Unmounts what was mounted here last. Busy (open files, somebody's working folder): it leaves
    the tree at once and ends with the last user. Raises OSError (EBUSY without `even_if_busy`)."""
    if _LIBC.umount2(os.fsencode(folder), MNT_DETACH if even_if_busy else 0) == -1:
        raise _error(folder)


def mounted() -> list[Path]:
    """Where something is mounted in our mount namespace, in the order of mounting."""
    fields = (
        line.split(" ") for line in _MOUNTINFO.read_text(errors="surrogateescape").splitlines()
    )
    return [Path(re.sub(r"\\([0-7]{3})", _character, field[4])) for field in fields]


def is_in_user_namespace() -> bool:
    """Whether our user namespace is not the machine's own, so that mounts are ours alone."""
    return _UID_MAP.read_text().split() != _EVERYBODY


def _character(octal: re.Match[str]) -> str:
    """A character that mountinfo has as three octal digits."""
    return chr(int(octal[1], 8))


def _error(folder: Path) -> OSError:
    """What the C library said."""
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), str(folder))
