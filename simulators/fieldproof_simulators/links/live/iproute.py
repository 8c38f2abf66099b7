"""The `ip` program: devices, addresses and routes of the network namespace of the caller.

Several commands go in one batch, for each start of the program costs a few milliseconds.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence

from fieldproof_simulators.links.live.ports import LinkError

PATIENCE_S = 10.0


def ip(*commands: str, pass_fds: Sequence[int] = ()) -> None:
    """Carries the commands out, in order, until one fails. Raises LinkError, with its reason."""
    program = shutil.which("ip", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if program is None:
        raise LinkError("The program ip is missing; as root: apt-get install iproute2.")
    done = subprocess.run(
        [program, "-batch", "-"],
        input="\n".join(commands),
        capture_output=True,
        text=True,
        errors="replace",
        timeout=PATIENCE_S,
        check=False,
        pass_fds=pass_fds,
    )
    if done.returncode:
        raise LinkError(explain(commands, done.stderr))


def explain(commands: Sequence[str], said: str) -> str:
    """Which command failed and why, in one sentence."""
    at = re.search(r"Command failed -:(\d+)", said)
    number = int(at[1]) if at else 1
    command = commands[min(number, len(commands)) - 1]
    reason = said.strip().splitlines()[0] if said.strip() else "it does not say why"
    reason = reason.removeprefix("RTNETLINK answers: ").removeprefix("Error: ").rstrip(".")
    return f"`ip {command}` failed: {reason}."


def readdress(device: str, old: str, new: str) -> None:
    """Gives a device of this namespace another address. Raises LinkError."""
    ip(
        f"address add {new}/32 dev {device}",
        f"route replace default dev {device} src {new}",
        f"address delete {old}/32 dev {device}",
    )


def furnish(device: str, address: str, mtu_bytes: int) -> None:
    """Brings a host's device up with this address, as its way to everybody. Raises LinkError."""
    ip(
        f"address add {address}/32 dev {device}",
        f"link set dev {device} mtu {mtu_bytes} up",
        f"route add default dev {device} src {address}",
    )
