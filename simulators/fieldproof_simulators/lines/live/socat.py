"""A serial cable: two pseudo-terminals that a socat joins, under two names in a folder.

    plugged --unplug--> unplugged --replug--> plugged          either --close--> closed

Rules:

1. A name never points to a terminal that is not ours. Terminal numbers are soon given to others,
   so names are taken away before socat dies, and only if they still point where socat said.
2. Of what socat says, the three lines of its start alone are waited for (pexpect). Its output is
   non-blocking, so that a socat that nobody reads loses words, not bytes of the line; what it said
   is written to the log whenever somebody asks, and at the end.
3. socat dies with whoever started it (the thread, as the kernel has it), and removes its names.

Unplugged means SIGKILL: whoever has the port open gets an end of file or EIO, and cannot open it
again until there is a new pair under the same names, possibly of other numbers. A cable between two
real devices has no socat and cannot be unplugged from here.
"""

import ctypes
import fcntl
import os
import re
import select
import signal
import termios
from functools import partial
from pathlib import Path

import pexpect

START_S = 10.0
END_S = 2.0
"""How long a socat may take to start, and to end when asked to."""

INSTRUMENT, SYSTEM = "instrument", "system"
"""The names of the two ends in the cable's folder."""

_ENDS = "pty,raw,echo=0,b9600,mode=0600,link="
_MOST_SAID = 65_536
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LIBC = ctypes.CDLL(None)


class CableBroken(Exception):
    """There is no socat, or it does not what it should."""


class Cable:
    """See the head of this file."""

    def __init__(self, folder: Path, log: Path) -> None:
        """Plug a new cable. The folder is there, is the cable's own and is not shared; what socat
        says is appended to `log`. Raises CableBroken."""
        self.instrument_end = folder / INSTRUMENT
        self.system_end = folder / SYSTEM
        self.is_real = False
        self._log = log
        self._socat: pexpect.spawn[bytes] | None = None
        self._targets: dict[Path, str] = {}  # where socat said that the names point
        self.replug()

    @classmethod
    def between(cls, instrument_end: str, system_end: str) -> "Cable":
        """A cable that is there already, between two serial devices of this machine."""
        cable = cls.__new__(cls)
        cable.instrument_end = Path(instrument_end)
        cable.system_end = Path(system_end)
        cable.is_real = True
        cable._socat = None
        cable._targets = {}
        return cable

    @property
    def pid(self) -> int | None:
        """The process id of socat, while there is one."""
        return None if self._socat is None else self._socat.pid

    @property
    def is_plugged(self) -> bool:
        """Whether bytes can cross: socat is there and lives, or the cable is real."""
        return self.is_real or (self._socat is not None and self._socat.isalive())

    def replug(self) -> None:
        """A new pair under the same names. Raises CableBroken; ValueError where it is plugged."""
        if self.is_real:
            return
        if self._socat is not None:
            raise ValueError(f"The cable of {self.system_end} is plugged: unplug it first.")
        if not self.system_end.parent.is_dir():
            raise CableBroken(f"There is no folder for {self.system_end}: make it first.")
        ends = [f"{_ENDS}{end.name}" for end in (self.instrument_end, self.system_end)]
        try:
            socat = self._socat = pexpect.spawn(
                "socat",
                ["-d", "-d", *ends],  # relative: a folder's name may hold what socat would parse
                timeout=START_S,
                cwd=str(self.instrument_end.parent),
                preexec_fn=partial(_before_exec, os.getpid()),
            )
            vars(socat)["ptyproc"].delayafterclose = 0.0  # pexpect would sleep there
            said = [self._told(socat, rb"PTY is (/\S+)\r\n") for _ in range(2)]
            self._told(socat, rb"starting data transfer loop()[^\n]*\n")
        except pexpect.ExceptionPexpect as error:
            before = self._socat.before if self._socat is not None else None
            words = self._end(signal.SIGTERM, before) or type(error).__name__
            raise CableBroken(f"socat made no cable for {self.system_end}: {words}.") from None
        self._targets = dict(zip((self.instrument_end, self.system_end), said, strict=True))

    def unplug(self) -> None:
        """Kill socat; whoever has an end open learns it. Raises ValueError where it is unplugged
        already. A real cable stays as it is."""
        if self.is_real:
            return
        if self._socat is None:
            raise ValueError(f"The cable of {self.system_end} is unplugged already.")
        self._take_names_away()
        self._end(signal.SIGKILL)

    def drain(self) -> None:
        """Write to the log what socat has said since; never waits."""
        if self._socat is not None:
            self._write_down(_waiting(self._socat.child_fd))

    def close(self) -> None:
        """End socat and see that its names are gone. May be called again."""
        if self._socat is not None:
            self._end(signal.SIGTERM)
        self._take_names_away()

    def _told(self, socat: "pexpect.spawn[bytes]", pattern: bytes) -> str:
        """Wait for a line of socat's start; what its one group holds."""
        socat.expect(pattern)
        line = socat.match
        whole, group = (line[0], line[1]) if isinstance(line, re.Match) else (b"", b"")
        self._write_down((socat.before or b"") + whole)
        return group.decode()

    def _end(self, how: signal.Signals, said: bytes | None = None) -> str:
        """End socat, if it lives, by a signal, or by SIGKILL where it does not obey; the last line
        of what it had said, which begins with `said`."""
        socat, self._socat = self._socat, None
        if socat is None:
            return "there is no such program"
        if socat.pid is not None and socat.isalive():
            socat.kill(how)
            if not _ends(socat.pid):
                socat.kill(signal.SIGKILL)
            socat.wait()
        said = (said or b"") + _waiting(socat.child_fd)
        self._write_down(said)
        socat.close()
        lines = said.decode(errors="replace").splitlines()
        return lines[-1] if lines else ""

    def _take_names_away(self) -> None:
        """Remove the names that still point where socat said."""
        for name, target in self._targets.items():
            if name.is_symlink() and str(name.readlink()) == target:
                name.unlink(missing_ok=True)
        self._targets = {}

    def _write_down(self, said: bytes) -> None:
        if said:
            with self._log.open("ab") as log:
                log.write(said.replace(b"\r\n", b"\n"))


def _before_exec(parent_pid: int) -> None:
    """What the child does between fork and exec. SIGTERM lets socat remove its names."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), signal.SIGKILL)  # the request came too late
    # Without a terminal of its own there is no SIGHUP when the parent's end of it goes: a second
    # signal ends socat (1.7.4) before it has removed its names.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    fcntl.ioctl(0, termios.TIOCNOTTY)
    os.set_blocking(2, False)


def _ends(pid: int) -> bool:
    """Whether a child of ours ends within `END_S`."""
    watched = os.pidfd_open(pid)
    try:
        return _is_readable(watched, END_S)
    finally:
        os.close(watched)


def _waiting(descriptor: int) -> bytes:
    """What can be read at once from a terminal."""
    said = b""
    while len(said) < _MOST_SAID and _is_readable(descriptor, 0):
        try:
            said += os.read(descriptor, 4096)
        except OSError:
            break  # the other side is closed, and all was read
    return said


def _is_readable(descriptor: int, timeout_s: float) -> bool:
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    return bool(waiting.poll(timeout_s * 1000))
