"""The runtime folder of a run: sockets, PTY links, locks, and what to undo after a kill.

Laws:

1. It lies under the user's runtime directory, else the system's temporary one, as
   `fieldproof-<uid>/<run>-<random>`, mode 0700. A folder that is somebody else's, open to others,
   or a symbolic link is refused: in /tmp anybody may have made it.
2. It belongs to who holds the lock on its file `lock`. The kernel frees a lock with its holder,
   whatever ended that.
3. What a run starts or puts outside is written down as it happens (`ledger.py`).
4. A run begins with a sweep: the folder whose lock is free is undone and removed. A process is
   killed if it has the recorded pid *and* start time, or bears the recorded mark; never by its
   name. Processes of another PID namespace or boot have died with it. A symbolic link is removed
   if it still points to where it did.
5. Making, sweeping and removing folders take turns, by a lock on the parent folder: nobody sees a
   folder that has no lock yet. Runs that are alive are never touched.
"""

import fcntl
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from fieldproof_simulators.machines.live import ledger, undo

LOCK, OWNER = "lock", "owner"
TURN = ".turn"
RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
FOLDER = re.compile(RUN.pattern + "-[0-9a-f]{12}")
PATIENCE_S = 30.0
LOOK_EVERY_S = 0.02


class Swept(NamedTuple):
    """What was done about a folder that a run had left behind."""

    run: str
    """The folder's name."""
    done: tuple[str, ...]
    """One sentence each."""
    left: tuple[str, ...]
    """What could not be undone, one sentence each; the folder is then still there."""


class Runtime:
    """The runtime folder of a run of this process; gone when closed, or when swept after a kill."""

    def __init__(self, run: str, base: Path | None = None) -> None:
        """`run` is its name; `base` is `base_folder()`. Raises OSError, PermissionError for a
        base that is not safe, ValueError for a name that is none."""
        if not RUN.fullmatch(run):
            raise ValueError(f"{run!r} cannot name a run: letters, digits and . _ - only.")
        self._base = base_folder() if base is None else base
        with _turn(self._base):
            self.path = self._base / f"{run}-{secrets.token_hex(6)}"
            self.path.mkdir(mode=0o700)
            self._lock_fd = _open_lock(self.path, LOCK)
            _lock(self._lock_fd)  # nobody else can have it: law 5
            self.ledger = ledger.Ledger(self.path)
            ledger.Ledger(self.path, OWNER).process(os.getpid())

    def __enter__(self) -> "Runtime":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> Swept:
        """Undoes what is left of the run, and removes the folder. May be called again."""
        if self._lock_fd == -1:
            return Swept(self.path.name, (), ())
        with _turn(self._base):
            swept = _clear(self.path)
            os.close(self._lock_fd)
            self._lock_fd = -1
        return swept


def base_folder() -> Path:
    """The folder of all runs of this user, made if need be. Raises PermissionError where it is not
    safe (law 1)."""
    base = _parent() / f"fieldproof-{os.geteuid()}"
    with suppress(FileExistsError):
        base.mkdir(mode=0o700)
    _insist_safe(base)
    return base


def sweep(base: Path | None = None) -> list[Swept]:
    """Undoes what runs that were killed have left. Raises PermissionError where the base is not
    safe, TimeoutError where another run's sweep does not end."""
    base = base_folder() if base is None else base
    found = []
    with _turn(base):
        for folder in sorted(base.iterdir()):
            if folder.is_symlink() or not folder.is_dir() or not FOLDER.fullmatch(folder.name):
                continue
            with _lock_of_the_dead(folder) as is_dead:
                if is_dead:
                    found.append(_clear(folder))
    return found


def _clear(folder: Path) -> Swept:
    """Undoes a folder's ledger, and removes it if nothing is left."""
    done, left = undo.undo(folder)
    if not left:
        try:
            shutil.rmtree(folder)
            done.append(f"removed {folder}")
        except OSError as error:
            left.append(f"{folder} cannot be removed: {error.strerror}.")
    return Swept(folder.name, tuple(done), tuple(left))


def _parent() -> Path:
    """The user's runtime directory where there is one that is ours, else the temporary one."""
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or os.devnull)
    if runtime.is_absolute() and runtime.is_dir() and runtime.stat().st_uid == os.geteuid():
        return runtime
    return Path(tempfile.gettempdir())


def _insist_safe(base: Path) -> None:
    """Raises PermissionError unless the folder is ours alone, and nobody can put another in its
    place."""
    parent, about = base.parent.stat(), base.lstat()
    flaw = None
    if not stat.S_ISDIR(about.st_mode):
        flaw = "is no folder but was put there by somebody"
    elif about.st_uid != os.geteuid():
        flaw = f"belongs to user {about.st_uid}"
    elif stat.S_IMODE(about.st_mode) != 0o700:
        flaw = f"has mode {stat.S_IMODE(about.st_mode):04o} instead of 0700"
    elif parent.st_mode & 0o022 and not parent.st_mode & stat.S_ISVTX:
        flaw = "lies where others may replace it"
    if flaw:
        raise PermissionError(
            f"The runtime folder {base} {flaw}; remove it, or set XDG_RUNTIME_DIR to a folder of"
            " your own."
        )


@contextmanager
def _turn(base: Path) -> Iterator[None]:
    """Holds the lock of law 5. Raises TimeoutError where somebody else does not give it back."""
    descriptor = _open_lock(base, TURN)
    try:
        give_up_s = time.monotonic() + PATIENCE_S
        while not _lock(descriptor):
            if time.monotonic() > give_up_s:
                raise TimeoutError(
                    f"Another run has kept {base / TURN} locked for {PATIENCE_S:g} s; end it."
                )
            time.sleep(LOOK_EVERY_S)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _lock_of_the_dead(folder: Path) -> Iterator[bool]:
    """Whether nobody holds a run folder; then we do, meanwhile."""
    descriptor = _open_lock(folder, LOCK)
    try:
        yield _lock(descriptor)
    finally:
        os.close(descriptor)


def _open_lock(folder: Path, name: str) -> int:
    """A descriptor of a lock file, which is made if need be."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    return os.open(folder / name, flags, 0o600)


def _lock(descriptor: int) -> bool:
    """Takes the lock if nobody has it; whether we have it now."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
