"""Which ways to attach hosts work on this machine, for this user: found out by doing it.

    tun      raw IP devices; needs a /dev/net/tun that this user may open
    packet   virtual Ethernet and packet sockets; needs namespaces and nothing else
    netem    only where asked for: the kernel's own netem, between hosts attached by either
    proxy    loopback addresses; always, and less of a network

Whatever needs a namespace is tried in a child with namespaces of its own, so that nothing of this
machine's network is touched. They are in the order in which a live run should want them.
"""

import subprocess
import sys
from collections.abc import Callable
from typing import NamedTuple

from fieldproof_simulators.links.live import kernel_netem, packet, proxy, tun
from fieldproof_simulators.links.live.ports import LinkError
from fieldproof_simulators.machines.live.isolation import Isolation, can_isolate
from fieldproof_simulators.machines.live.namespaces import isolated_command, new_netns

PATIENCE_S = 20.0
ADDRESS = "192.0.2.1"  # of no network (RFC 5737)
MTU_BYTES = 1500


class Backend(NamedTuple):
    """One way, and whether it works."""

    name: str
    ok: bool
    reason: str
    """Why not, one sentence; empty if it works."""
    fix: str
    """What to do about it; empty if nothing."""


def backends(with_netem: bool = False) -> list[Backend]:
    """All ways, the best first. Takes about half a second."""
    isolation = can_isolate()
    names = ["tun", "packet", *(["netem"] if with_netem else [])]
    return [*(_in_namespaces(name, isolation) for name in names), _proxy()]


def _in_namespaces(name: str, isolation: Isolation) -> Backend:
    if not isolation.ok:
        return Backend(name, False, isolation.reason, isolation.fix)
    try:
        done = subprocess.run(
            isolated_command([sys.executable, "-m", __name__, name]),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Backend(name, False, f"The trial did not end: {error}.", FIXES[name])
    if done.returncode == 0:
        return Backend(name, True, "", "")
    said = (done.stdout or done.stderr).strip().splitlines()
    reason = said[-1] if said else f"The trial ended with status {done.returncode}."
    return Backend(name, False, reason, FIXES[name])


def _proxy() -> Backend:
    """Tries to have a socket at an address of a plan."""
    plan = proxy.plan(("center", ADDRESS), [("site", ("198.51.100.1",))], [0], network=254)
    try:
        for attachment in plan.attachments:
            proxy.ProxyPort(attachment).close()
    except (OSError, LinkError) as error:
        return Backend("proxy", False, str(error), FIXES["proxy"])
    return Backend("proxy", True, "", "")


def _try_tun() -> None:
    tun.attach("host", ADDRESS, MTU_BYTES, new_netns()).close()


def _try_packet() -> None:
    packet.attach("host", ADDRESS, MTU_BYTES, new_netns()).close()


def _try_netem() -> None:
    reason = kernel_netem.probe()
    if reason is not None:
        raise LinkError(reason)


TRIALS: dict[str, Callable[[], None]] = {
    "tun": _try_tun,
    "packet": _try_packet,
    "netem": _try_netem,
}

FIXES = {
    "tun": "As root: modprobe tun, and chmod 0666 /dev/net/tun, as udev has it.",
    "packet": "As root: modprobe veth af_packet; apt-get install iproute2.",
    "netem": "Use a kernel with sch_netem and an iproute2 that are both 6.6 or newer.",
    "proxy": "Bring loopback up: as root, ip link set lo up.",
}


def main(argv: list[str]) -> int:
    """Tries one way here and now, in the namespaces of this process; says why it fails."""
    try:
        TRIALS[argv[0]]()
    except (LinkError, OSError) as error:
        sys.stdout.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
