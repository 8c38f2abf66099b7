"""A serial port that one host sees, and no other one: a terminal, mounted into the host's cage.

All pseudo-terminals of a machine lie in one folder, under numbers that change whenever a cable is
replugged. A cage has a folder of terminals of its own, so that a system cannot open another site's
line. Its own port is mounted in a folder that both the run and the cage have, and follows there
when the cable is pulled and put back, also while the system runs.

A mount needs a file to be mounted on, which nobody shall take for the port: so the port's name is a
link, which is there only while what it points to is a terminal.
"""

from pathlib import Path

from fieldproof_simulators.machines.live import mounts

TERMINALS = Path("/dev/pts")
NAME = "tty"
_COVER_BYTES = 1 << 16


class Port:
    """The port of one site; unplugged at first. Works where mounts are ours alone."""

    def __init__(self, folder: Path) -> None:
        """Makes the folder, in which the port comes and goes. Raises OSError."""
        folder.mkdir(parents=True)
        mounts.mount_tmpfs(folder, _COVER_BYTES)
        mounts.share(folder)
        self.folder = folder
        self.path = folder / NAME
        self._place: Path | None = None  # where the terminal is mounted
        self._plugged = 0

    def plug(self, terminal: Path) -> None:
        """`path` is this terminal from now on. Raises OSError."""
        self._plugged += 1
        place = self.folder / f"terminal-{self._plugged}"
        place.touch()
        mounts.bind(terminal, place)
        self._place = place
        self.path.symlink_to(place.name)

    def unplug(self) -> None:
        """`path` is gone; who has it open keeps what it has. May be called again."""
        if self._place is not None:
            self.path.unlink(missing_ok=True)
            mounts.unmount(self._place, even_if_busy=True)
            self._place.unlink()
            self._place = None

    def close(self) -> None:
        """The folder is an empty one again. Raises OSError."""
        self.unplug()
        mounts.unmount(self.folder, even_if_busy=True)
