"""Namespaces of the kernel: a network of one's own, and a process tree that dies as a whole.

A network namespace here has no name: it lives as long as a process is in it or a descriptor to it
is open, and goes without a trace when we are killed. A new one has loopback up and IPv6 off, so
that nothing is on a link but what was put there.

A thread is in a namespace, not a process: `inside` moves the calling thread and brings it back.
What that thread starts meanwhile stays inside. `numbered_anew` is the same for PID namespaces, into
which nobody moves: whatever the thread starts first there is PID 1, which outlives all others.

Who dies with whom (`isolated_command`). The launcher of a PID namespace that is killed would leave
its PID 1 behind, and that one all the others. So the first process dies with its parent, PID 1
dies with the first, and with PID 1 the kernel kills everything that is in its namespace, setsid
and nohup or not. Entering a user namespace clears the parent-death signal; hence the command
enters it first and asks again before it goes on. Between a fork and that request a parent can die
unnoticed; PID 1 closes this gap by reading a pipe whose other end its parent holds (a lifeline).

Nothing here needs rights, but a kernel that lets an ordinary user make user namespaces.
"""

import array
import ctypes
import fcntl
import os
import signal
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
"""linux/sched.h"""
PR_SET_PDEATHSIG, PR_SET_NAME, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER = 1, 15, 24, 36
"""linux/prctl.h"""
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1  # linux/sockios.h, linux/if.h

_LIBC = ctypes.CDLL(None, use_errno=True)
_IPV6 = Path("/proc/sys/net/ipv6/conf")
_LAST_CAPABILITY = Path("/proc/sys/kernel/cap_last_cap")

ORDINARY = 1000
"""The uid and gid of a system in a cage: what the first user of a Debian has."""


def _check(result: int, what: str) -> None:
    """Raises `OSError` with errno where a call of the C library gave -1."""
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


# --- network namespaces ---------------------------------------------------------------------------


def new_netns() -> int:
    """The descriptor of a fresh network namespace, which lives as long as it is open or a process
    is inside. The calling thread stays where it was. Raises `OSError` where the kernel refuses;
    inside of `isolated_command` it does not."""
    home_fd = _own_netns()
    try:
        _check(_LIBC.unshare(CLONE_NEWNET), "cannot make a network namespace")
        try:
            settle_network()
            return _own_netns()
        finally:
            _check(_LIBC.setns(home_fd, CLONE_NEWNET), "cannot return to the own network namespace")
    finally:
        os.close(home_fd)


@contextmanager
def inside(netns_fd: int) -> Iterator[None]:
    """Has the calling thread, and what it starts and opens meanwhile, in a network namespace.
    Raises `OSError`."""
    home_fd = _own_netns()
    try:
        _check(_LIBC.setns(netns_fd, CLONE_NEWNET), "cannot enter the network namespace")
        try:
            yield
        finally:
            _check(_LIBC.setns(home_fd, CLONE_NEWNET), "cannot return to the own network namespace")
    finally:
        os.close(home_fd)


def settle_network() -> None:
    """Switches IPv6 off and loopback on in the calling thread's network namespace, which has to be
    a fresh one. Raises `OSError`."""
    for which in ("all", "default"):
        if _IPV6.exists():  # a kernel without IPv6 has it off
            (_IPV6 / which / "disable_ipv6").write_text("1")
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as any_socket:
        request = array.array("B", struct.pack("16sH22x", b"lo", 0))
        fcntl.ioctl(any_socket, SIOCGIFFLAGS, request)
        (flags,) = struct.unpack_from("H", request, 16)
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", flags | IFF_UP))


def _own_netns() -> int:
    """A descriptor to the network namespace that the calling thread is in."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


# --- PID and mount namespaces ---------------------------------------------------------------------


@contextmanager
def numbered_anew() -> Iterator[None]:
    """What the calling thread starts first meanwhile is PID 1 of a new PID namespace, where the
    rest of what it starts then is, too. Raises `OSError` where the kernel refuses."""
    home_fd = os.open("/proc/thread-self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_LIBC.unshare(CLONE_NEWPID), "cannot make a PID namespace")
        try:
            yield
        finally:
            _check(_LIBC.setns(home_fd, CLONE_NEWPID), "cannot return to the own PID namespace")
    finally:
        os.close(home_fd)


def leave_mounts() -> None:
    """Has this process, of one thread, in a copy of its mount namespace. Raises `OSError`."""
    _check(_LIBC.unshare(CLONE_NEWNS), "cannot make a mount namespace")


# --- process trees --------------------------------------------------------------------------------


def die_with_parent(parent_pid: int, by: int = signal.SIGKILL) -> None:
    """Has the kernel send this process a signal when the thread that started it ends.

    For `preexec_fn`, with the parent's own `os.getpid()`: if that is not the parent any more, the
    request came too late, and this process ends at once. A `parent_pid` of 0 is a parent that is
    outside of this PID namespace; whether it lives cannot be seen.
    """
    _check(_LIBC.prctl(PR_SET_PDEATHSIG, int(by), 0, 0, 0), "cannot ask for the signal")
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), signal.SIGKILL)


def adopt_orphans() -> None:
    """Has this process, in the place of PID 1, be the parent of all below it whose own parent
    ends. Raises `OSError`."""
    _check(_LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "cannot adopt orphans")


def call_oneself(name: str) -> None:
    """What `ps` shows of this process: the first 15 bytes of a name. Raises `OSError`."""
    _check(_LIBC.prctl(PR_SET_NAME, name.encode(), 0, 0, 0), "cannot take a name")


def become_ordinary() -> None:
    """Enter a user namespace in which we are an ordinary user, with the same rights to files and,
    once this process becomes a program, with none of the rights of root. Programs that find
    themselves to be root do more than a confined root may: rsync's daemon sets its groups. Raises
    `OSError`. Clears the parent-death signal."""
    uid, gid = os.geteuid(), os.getegid()
    _check(_LIBC.unshare(CLONE_NEWUSER), "cannot make a user namespace")
    own = Path("/proc/self")
    (own / "setgroups").write_text("deny")  # the kernel wants it so before groups are mapped
    (own / "uid_map").write_text(f"{ORDINARY} {uid} 1")
    (own / "gid_map").write_text(f"{ORDINARY} {gid} 1")
    for capability in range(int(_LAST_CAPABILITY.read_text()) + 1):  # nor may a file give any
        _check(_LIBC.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0), "cannot renounce a right")


def isolated_command(argv: Sequence[str]) -> list[str]:
    """The command that runs `argv` as PID 1 of new user, network, PID and mount namespaces.

    Inside: uid 0 of its own user namespace (our uid outside), also where we are root already;
    loopback up, IPv6 off, private mounts, a proc of its own. The exit status is that of `argv`; 127
    where it cannot be started, 1 where the kernel refuses. PID 1 hears no signal that it has no
    handler for, but SIGKILL from outside; the first process ignores SIGTERM and SIGINT. Kill the
    first process, and all are gone. Needs util-linux 2.33.
    """
    user = ["unshare", "--user", "--map-root-user"]
    again = ["setpriv", "--pdeathsig", "KILL"]  # what entering the user namespace has cleared
    rest = ["unshare", "--net", "--pid", "--mount", "--propagation", "private"]
    rest += ["--fork", "--kill-child=KILL", "--mount-proc"]
    entry = [sys.executable, "-m", "fieldproof_simulators.machines.live.entry"]
    return [*user, *again, *rest, *entry, *argv]
