"""mount(2) and umount2(2), and what is mounted.

Mounts pass from one mount namespace to another only below a folder that is `shared` in the one and,
by `receive_only`, a follower in the other: what is mounted there in the first one later, also
appears in the second, and never the other way.
"""

import ctypes
import os
import re
from pathlib import Path

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8  # linux/mount.h
MS_REMOUNT, MS_BIND, MS_REC, MS_SLAVE, MS_SHARED = 1 << 5, 1 << 12, 1 << 14, 1 << 19, 1 << 20
_KEPT = MS_NOSUID | MS_NODEV | MS_NOEXEC
"""Flags that statvfs(3) has with the same bits, and that an ordinary user cannot take away."""

MNT_DETACH = 2  # sys/mount.h

_LIBC = ctypes.CDLL(None, use_errno=True)
_MOUNTINFO, _UID_MAP = Path("/proc/self/mountinfo"), Path("/proc/self/uid_map")
_EVERYBODY = ["0", "0", "4294967295"]


def mount_tmpfs(folder: Path, size_bytes: int) -> None:
    """Mounts an empty file system in memory, which holds `size_bytes` rounded up to whole pages and
    is open to its owner alone. Raises OSError."""
    _mount("tmpfs", folder, "tmpfs", _KEPT, f"size={size_bytes},mode=0700")


def mount_proc() -> None:
    """Mounts the proc of our own PID namespace. Raises OSError."""
    _mount("proc", Path("/proc"), "proc", _KEPT)


def mount_terminals() -> None:
    """Mounts an empty set of pseudo-terminals; nobody can open those of others. Raises OSError."""
    options = "newinstance,ptmxmode=0666,mode=0600"
    _mount("devpts", Path("/dev/pts"), "devpts", MS_NOSUID | MS_NOEXEC, options)


def bind(source: Path, place: Path) -> None:
    """Mounts what `source` is (a file, a device, a folder and what is mounted below it) on `place`,
    which is there and of its kind. Raises OSError."""
    _mount(str(source), place, "", MS_BIND | MS_REC)


def make_read_only(place: Path) -> None:
    """What is mounted on `place` cannot be written there; elsewhere it can. Raises OSError."""
    flags = os.statvfs(place).f_flag & _KEPT
    _mount("", place, "", MS_REMOUNT | MS_BIND | MS_RDONLY | flags)


def share(place: Path) -> None:
    """What will be mounted below the mount on `place` reaches its copies. Raises OSError."""
    _mount("", place, "", MS_SHARED)


def receive_only() -> None:
    """Nothing that is mounted in our mount namespace reaches any other. Raises OSError."""
    _mount("", Path("/"), "", MS_REC | MS_SLAVE)


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


def _mount(source: str, place: Path, kind: str, flags: int, options: str = "") -> None:
    """mount(2). Raises OSError."""
    words = (os.fsencode(word) for word in (source, place, kind))
    if _LIBC.mount(*words, ctypes.c_ulong(flags), options.encode()) == -1:
        raise _error(place)


def _character(octal: re.Match[str]) -> str:
    """A character that mountinfo has as three octal digits."""
    return chr(int(octal[1], 8))


def _error(folder: Path) -> OSError:
    """What the C library said."""
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), str(folder))
