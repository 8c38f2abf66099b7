"""Real disks that are full, and real disks whose power fails.

A `SmallDisk` is a tmpfs of a few megabytes in the mount namespace of the run, as ordinary user. It
is filled by a file without a name, so that nobody but us sees or removes it, and which goes with
our process. As on any file system with blocks, a file still grows to the end of its last block
(4096 bytes, a page): full means that no file gets another one. So a file that is new or ends at
a block takes nothing; the others take what `Full.slack_bytes` says, less than a block each.

A `PowerCutDisk` is ext4 in a file, mounted through a loop device, and needs root of the machine.
The cut is the kernel's own: the shutdown ioctl (FS_IOC_SHUTDOWN without log flush), after which
every call fails with EIO, and what was not synced is gone after mounting again.
"""

import errno
import fcntl
import os
import shutil
import stat
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from fieldproof_simulators.machines.live import mounts

FS_IOC_SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2  # linux/fs.h: _IOR('X', 125, __u32)
IMAGE_BYTES = 8 << 20
CHUNK = bytes(1 << 16)
TOOLS_S = 30


class Able(NamedTuple):
    """Whether this process can do something, and why not."""

    ok: bool
    reason: str
    """One sentence with what to do; empty if ok."""


class Full(NamedTuple):
    """A disk that was filled."""

    filler_bytes: int
    slack_bytes: dict[str, int]
    """What the files can still take to the end of their last blocks, by path on the disk; files
    that take nothing are not named."""


def can_mount() -> Able:
    """Whether a `SmallDisk` can be made here: by the first process of `isolated_command`, and those
    below."""
    if not mounts.is_in_user_namespace():
        return Able(
            False, "A small disk is mounted in the run's own namespaces only; run it isolated."
        )
    with tempfile.TemporaryDirectory() as folder:
        try:
            SmallDisk(Path(folder), len(CHUNK)).close()
        except OSError as error:
            return Able(False, f"A tmpfs cannot be mounted here ({error.strerror}).")
    return Able(True, "")


class SmallDisk:
    """A disk of a fixed size, mounted on an existing folder until closed."""

    def __init__(self, folder: Path, size_bytes: int) -> None:
        """Raises PermissionError outside of namespaces of our own, OSError."""
        if not mounts.is_in_user_namespace():
            raise PermissionError(
                errno.EPERM, "a disk is not mounted on the machine itself; run it isolated", folder
            )
        mounts.mount_tmpfs(folder, size_bytes)
        self.folder = folder
        self._filler_fd = -1

    def free_bytes(self) -> int:
        """Bytes in blocks that no file has."""
        about = os.statvfs(self.folder)
        return about.f_bavail * about.f_frsize

    def fill(self) -> Full:
        """Takes every free block; again, to take those that were freed since. Raises OSError."""
        if self._filler_fd == -1:
            self._filler_fd = os.open(self.folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            while True:
                os.write(self._filler_fd, CHUNK)  # cut short at the end, then refused
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
        return Full(os.fstat(self._filler_fd).st_size, self._slack())

    def relieve(self) -> None:
        """Gives all blocks back that `fill` took."""
        if self._filler_fd != -1:
            os.close(self._filler_fd)
            self._filler_fd = -1

    def close(self) -> None:
        """Unmounts it, with all that it holds; what is still open ends with its users."""
        self.relieve()
        mounts.unmount(self.folder, even_if_busy=True)

    def _slack(self) -> dict[str, int]:
        """What each file still takes."""
        block_bytes = os.statvfs(self.folder).f_bsize
        slack = {}
        for folder, _, names in os.walk(self.folder):
            for path in (Path(folder) / name for name in names):
                with suppress(FileNotFoundError):  # removed meanwhile
                    about = path.lstat()
                    if stat.S_ISREG(about.st_mode) and about.st_size % block_bytes:
                        free_bytes = -about.st_size % block_bytes
                        slack[path.relative_to(self.folder).as_posix()] = free_bytes
        return slack


def can_cut_power() -> Able:
    """Whether a `PowerCutDisk` works here; tries one."""
    if os.geteuid() != 0 or mounts.is_in_user_namespace():
        return Able(False, "A power cut needs root of the machine itself, for a loop device.")
    for tool in ("mkfs.ext4", "mount"):
        if shutil.which(tool) is None:
            return Able(False, f"{tool} is missing; as root: apt-get install e2fsprogs mount.")
    with tempfile.TemporaryDirectory() as folder:
        try:
            disk = PowerCutDisk(Path(folder) / "image", Path(folder))
        except OSError as error:
            return Able(False, f"A power cut cannot be made here: {error}.")
        try:
            disk.cut()
        except OSError as error:
            return Able(False, f"The kernel cannot cut the power of ext4 here: {error}.")
        finally:
            disk.close()
    return Able(True, "")


class PowerCutDisk:
    """An ext4 of 8 MB in a new file `image`, mounted on an existing folder until closed."""

    def __init__(self, image: Path, folder: Path, size_bytes: int = IMAGE_BYTES) -> None:
        """Raises OSError, with what the tools said."""
        self.image, self.folder = image, folder
        with image.open("xb") as file:
            file.truncate(size_bytes)
        try:
            _tool("mkfs.ext4", "-q", "-F", "-E", "root_owner", str(image))
            self._mount()
        except OSError:
            image.unlink()
            raise

    def cut(self) -> None:
        """Cuts the power. What uses the disk from now on gets EIO. Raises OSError."""
        folder_fd = os.open(self.folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(folder_fd, FS_IOC_SHUTDOWN, NO_LOG_FLUSH.to_bytes(4, "little"))
        finally:
            os.close(folder_fd)

    def remount(self) -> None:
        """Power is back: the journal is replayed, unsynced bytes are gone. Whoever has files open
        on the disk has to be killed before. Raises OSError (EBUSY if not)."""
        mounts.unmount(self.folder)
        self._mount()

    def close(self) -> None:
        """Unmounts it and removes the image. Raises OSError (EBUSY where files are open)."""
        mounts.unmount(self.folder)
        self.image.unlink()

    def _mount(self) -> None:
        """The loop device frees itself with the mount."""
        _tool("mount", "-t", "ext4", "-o", "loop,nosuid,nodev", str(self.image), str(self.folder))


def _tool(*argv: str) -> None:
    """Runs a tool. Raises OSError with its last words where it fails."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TOOLS_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise OSError(errno.ETIMEDOUT, f"{argv[0]} does not end") from None
    if done.returncode:
        raise OSError(errno.EIO, f"{argv[0]}: {(done.stderr.strip() or 'failed').splitlines()[-1]}")
