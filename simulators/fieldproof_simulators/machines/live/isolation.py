"""May this machine isolate a run? Found out by doing it, and said with the ways out.

The answer is about this user on this machine now. Ubuntu lets an ordinary user make a user
namespace and then denies all rights in it, a container engine refuses the call itself, and a
container may hide parts of proc: only the whole command shows all of this.
"""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from fieldproof_simulators.machines.live import namespaces

KINDS = ("user", "net", "pid", "mount")
AS_IN_A_CAGE = ("unshare", "--pid", "--mount", "--fork", "unshare", "--user", "true")
"""What a host's cage takes beyond the run's own namespaces (`cage.py`)."""

PATIENCE_S = 20
FACTS = {
    "apparmor": "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
    "debian": "/proc/sys/kernel/unprivileged_userns_clone",
    "limit": "/proc/sys/user/max_user_namespaces",
}


class Isolation(NamedTuple):
    """What namespaces a run may have."""

    ok: bool
    """All of them, so that `namespaces.isolated_command` works."""
    kinds: tuple[str, ...]
    """Those of `KINDS` that can be made."""
    reason: str
    """What went wrong, one sentence; empty if nothing."""
    fix: str
    """What to do about it; empty if nothing."""


def can_isolate() -> Isolation:
    """Tries, in children that end at once."""
    for tool in ("unshare", "setpriv"):
        if shutil.which(tool) is None:
            reason = f"{tool} is not on the path, and nothing else here makes namespaces."
            return Isolation(False, (), reason, "As root: apt-get install util-linux.")
    said = _run(namespaces.isolated_command(AS_IN_A_CAGE))
    if said is None:
        return Isolation(True, KINDS, "", "")
    kinds = tuple(_possible())
    reason, fix = explain(said, kinds, _facts())
    return Isolation(False, kinds, reason, fix)


def explain(said: str, kinds: tuple[str, ...], facts: Mapping[str, str]) -> tuple[str, str]:
    """Reason and fix for what the attempt said, what kinds work, and what proc says (`FACTS`, and
    `seccomp`: the mode of the filter)."""
    reason = f"namespaces cannot be made here ({said})"
    if facts.get("apparmor") == "1":
        return f"{reason}: AppArmor restricts those of ordinary users.", (
            "As root, one of: sysctl kernel.apparmor_restrict_unprivileged_userns=0; an AppArmor"
            " profile with `userns,` for unshare; or run this command as root."
        )
    if facts.get("debian") == "0":
        return f"{reason}: the kernel keeps them from ordinary users.", (
            "As root, one of: sysctl kernel.unprivileged_userns_clone=1; or run this command as"
            " root."
        )
    if facts.get("limit") == "0":
        return f"{reason}: the machine allows not one user namespace.", (
            "As root: sysctl user.max_user_namespaces=10000."
        )
    if facts.get("seccomp") == "2":
        return f"{reason}: a seccomp filter refuses, as container engines have it.", (
            "One of: start the container with --security-opt seccomp=unconfined --security-opt"
            " systempaths=unconfined --device /dev/net/tun (or with --privileged); a seccomp"
            " profile that allows unshare, setns and mount; or run outside of the container."
        )
    missing = [kind for kind in KINDS if kind not in kinds] or ["all at once"]
    return f"{reason}: refused are {', '.join(missing)}.", "Run this command as root, or elsewhere."


def _run(argv: list[str]) -> str | None:
    """None where the command succeeds, else the last line that it said."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return None
    return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]


def _possible() -> Iterator[str]:
    """The kinds of namespaces that can be made one at a time, each under a user namespace."""
    for kind in KINDS:
        also = [] if kind == "user" else [f"--{kind}", "--fork"]
        if _run(["unshare", "--user", "--map-root-user", *also, "true"]) is None:
            yield kind


def _facts() -> dict[str, str]:
    """What proc says about restrictions; absent where it says nothing."""
    facts = {name: Path(path) for name, path in FACTS.items()}
    said = {name: path.read_text().strip() for name, path in facts.items() if path.exists()}
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("Seccomp:"):
            said["seccomp"] = line.split()[1]
    return said
