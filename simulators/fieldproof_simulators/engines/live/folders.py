"""Files of virtual disks as real files for a moment, in which outside programs can work.

A folder lists its files in an order that is its file system's own, and rsync sends them in that
order. Where the order is a hash (ext4), it differs from one machine to the next. So a folder that
is shown to rsync is made where the order is that of making, or its reverse: on a tmpfs.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fieldproof_simulators.engines.jobs import File, Tree

PLACES = ("/dev/shm", tempfile.gettempdir())
"""Where to try. The first is a tmpfs on any Linux that has one."""

MODE = 0o644
"""Of every file: rsync sends it."""


@contextmanager
def workplace() -> Iterator[Path]:
    """An empty folder, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="fieldproof-engine-") as folder:
        yield Path(folder)


@contextmanager
def in_order(files: Tree, below: str) -> Iterator[Path]:
    """A folder that has these files in `below`, which ends with `/`, listed in the order of their
    names. Raises OSError where this machine has no place for it."""
    names = sorted(files)
    for place in PLACES:
        if not Path(place).is_dir():
            continue
        for making in (names, names[::-1]):
            with tempfile.TemporaryDirectory(prefix="fieldproof-engine-", dir=place) as folder:
                shown = Path(folder, below)
                write(shown, files, making)
                if [path.name for path in shown.iterdir()] == names:
                    yield Path(folder)
                    return
    raise OSError(
        "rsync has no place here where files stay in order: mount a tmpfs at /dev/shm, or let "
        "TMPDIR name one."
    )


def write(folder: Path, files: Tree, names: Sequence[str]) -> None:
    """Make these files with their times, in the order of `names`, which may be paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files[name].data)
        path.chmod(MODE)
        os.utime(path, ns=(files[name].changed_utc_ns,) * 2)


def read(folder: Path) -> Tree:
    """The plain files of a folder."""
    return {
        path.name: File(path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.iterdir())
        if path.is_file() and not path.is_symlink()
    }
