"""What can be had inside of namespaces of one's own; `doctor` starts this as their first process.

Each thing is tried and given back. Standard output gets one JSON object: a probe for each name.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from fieldproof.live.capabilities import Probe
from fieldproof_simulators.links.live import kernel_netem, packet, tun
from fieldproof_simulators.links.live.ports import Attachment, LinkError
from fieldproof_simulators.machines.live.disks import can_mount
from fieldproof_simulators.machines.live.namespaces import new_netns

ADDRESS, MTU_BYTES = "198.51.100.1", 1500
TUN_MISSING = "As root: modprobe tun; a container is started with --device /dev/net/tun."
TUN_CLOSED = "As root: chmod 0666 /dev/net/tun."


def main() -> None:
    """Try everything."""
    tried = {
        "tun": _attached(tun.attach, _tun_fix()),
        "packet": _attached(packet.attach, "Another kernel: one with veth and packet sockets."),
        "netem": _netem(),
        "small-disk": _small_disk(),
    }
    sys.stdout.buffer.write(msgspec.json.encode(tried))


def _attached(attach: Callable[[str, str, int, int], Attachment], fix: str) -> Probe:
    """Whether a host with a network of its own can be attached so."""
    try:
        netns_fd = new_netns()
    except OSError as error:
        return Probe(False, f"A network namespace cannot be made: {error.strerror}.")
    try:
        attach("doctor", ADDRESS, MTU_BYTES, netns_fd).close()
    except (LinkError, OSError) as error:
        return Probe(False, str(error), fix)
    finally:
        os.close(netns_fd)
    return Probe(True, "a device was made and removed")


def _tun_fix() -> str:
    return TUN_CLOSED if Path("/dev/net/tun").exists() else TUN_MISSING


def _netem() -> Probe:
    why = kernel_netem.probe()
    if why is not None:
        return Probe(False, why, "Both kernel (with sch_netem) and iproute2 of 6.6 or newer.")
    tc = shutil.which("tc", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin") or "tc"
    said = subprocess.run([tc, "-V"], capture_output=True, text=True, check=False).stdout
    return Probe(True, f"keeps its seed; kernel {os.uname().release}, {said.strip()}")


def _small_disk() -> Probe:
    able = can_mount()
    return Probe(able.ok, able.reason or "a tmpfs was mounted and unmounted")


if __name__ == "__main__":
    main()
