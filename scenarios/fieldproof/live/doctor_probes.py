"""How each capability is found out: by trying, for a tool that is there may still not work.

A probe never raises, leaves nothing behind and needs no rights. What takes longer than `PATIENCE_S`
is missing.
"""

import importlib.metadata
import os
import platform
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from fieldproof.live.capabilities import CAPABILITIES, Capability, Probe
from fieldproof_simulators.lines.live.socat import Cable, CableBroken
from fieldproof_simulators.links.live.forge import Forge, ForgeError
from fieldproof_simulators.machines.live.clock import Watch
from fieldproof_simulators.machines.live.disks import can_cut_power
from fieldproof_simulators.machines.live.isolation import can_isolate
from fieldproof_simulators.machines.live.namespaces import isolated_command

PATIENCE_S = 30.0
OLDEST_PYTHON = (3, 11)
NOBODY = 65534

TIMER_S = 1.0
TIMER_PERIOD_NS = 5_000_000
LATE_P99_MS = 10.0
"""How late a wake-up may be: what a link of the live tier may be late on an idle machine."""

CPUS = Path("/sys/devices/system/cpu")
CGROUPS = Path("/sys/fs/cgroup")
CMDLINE_FIX = (
    "On a Raspberry Pi: add cgroup_enable=memory to the line in /boot/firmware/cmdline.txt, and"
    " reboot."
)
INSIDE = "fieldproof.live.doctor_inside"
VERSION = re.compile(r"\d+(?:\.\d+)+")

NOT_TRIED = "was not tried: it lives inside of namespaces"


def examine() -> dict[str, Probe]:
    """Every capability, tried."""
    probes: dict[str, Callable[[], Probe]] = {
        "python": python,
        "user": user,
        "interpreter": interpreter,
        "socat": socat,
        "namespaces": namespaces,
        "power-cut": power_cut,
        "scapy": scapy,
        "timer": timer,
        "processor": processor,
        "memory-limits": memory_limits,
    }
    found = {name: probe() for name, probe in probes.items()}
    found |= inside(found["namespaces"])
    return {
        each.name: found[each.name] if each.name in found else tool(each) for each in CAPABILITIES
    }


# --- programs -------------------------------------------------------------------------------------


def tool(capability: Capability) -> Probe:
    """A program that says its version."""
    path = found_at(capability.tool)
    return absent(capability.package) if path is None else Probe(True, version_of(path))


def absent(package: str) -> Probe:
    """A program that is not there."""
    return Probe(False, "not on the path", f"As root: apt-get install {package}.")


def found_at(program: str) -> str | None:
    """Where a program lies; ordinary users have no /usr/sbin on their path."""
    return shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


def version_of(path: str) -> str:
    """What a program calls its version: the first figures that it says."""
    for option in ("--version", "-V"):
        match = VERSION.search(said(path, option))
        if match:
            return match[0]
    return "there, of an unknown version"


def said(*command: str) -> str:
    """What a command says, on either output; nothing where it cannot be started or does not end."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace")


def socat() -> Probe:
    """A pair of pseudo-terminals that carries a byte."""
    path = found_at("socat")
    if path is None:
        return absent("socat")
    with tempfile.TemporaryDirectory() as folder:
        try:
            cable = Cable(Path(folder), Path(folder) / "log")
        except CableBroken as error:
            return Probe(False, str(error))
        try:
            carries = _carries(cable)
        finally:
            cable.close()
    if not carries:
        return Probe(False, "a byte did not cross the pair of pseudo-terminals")
    return Probe(True, version_of(path))


def _carries(cable: Cable) -> bool:
    ends = []
    try:
        for path in (cable.instrument_end, cable.system_end):
            ends.append(os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK))
        os.write(ends[0], b"\x80")
        select.select(ends[1:], (), (), PATIENCE_S)
        return os.read(ends[1], 2) == b"\x80"
    except OSError:
        return False
    finally:
        for end in ends:
            os.close(end)


def scapy() -> Probe:
    """A forge that takes orders."""
    try:
        with Forge() as forge:
            forge.await_ready()
    except ForgeError as error:
        return Probe(False, str(error), "pip install 'fieldproof[forge]'")
    return Probe(True, importlib.metadata.version("scapy"))


# --- rights and namespaces ------------------------------------------------------------------------


def python() -> Probe:
    """The interpreter that runs this."""
    found = (
        f"{platform.python_version()} ({platform.python_implementation()}, {platform.machine()})"
    )
    if sys.version_info >= OLDEST_PYTHON:
        return Probe(True, found)
    return Probe(False, found, "Install Python 3.11 or newer, and make the environment anew.")


def user() -> Probe:
    """Who asks, and how many of the kernel's capabilities he has: uid 0 alone says little."""
    status = Path("/proc/self/status").read_text()
    rights, all_rights = (
        int(match[1], 16).bit_count() if (match := re.search(rf"{name}:\s+(\w+)", status)) else 0
        for name in ("CapEff", "CapBnd")
    )
    return Probe(True, f"uid {os.geteuid()}, {rights} of {all_rights} capabilities")


def interpreter() -> Probe:
    """Whether another user could run this interpreter and read what it imports. Who may not change
    the user looks whether the folders on the way are open."""
    why = closed_folder() if os.geteuid() else _denied_to_nobody()
    if why:
        fix = "Install Python and the environment where every user may read them."
        return Probe(False, why, fix)
    return Probe(True, "open to all users")


def closed_folder() -> str:
    """The first folder on the way to the interpreter, or to this file, that others cannot enter."""
    for path in (Path(sys.executable), Path(sys.executable).resolve(), Path(__file__)):
        for folder in reversed(path.parents):
            if not folder.stat().st_mode & 0o001:
                return f"others cannot enter {folder}"
    return ""


def _denied_to_nobody() -> str:
    try:
        done = subprocess.run(
            [sys.executable, "-c", "import fieldproof, fieldproof_simulators"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            user=NOBODY,
            group=NOBODY,
            extra_groups=(),
            cwd="/",
            timeout=PATIENCE_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return closed_folder() or f"uid {NOBODY} cannot run it: {error}"
    return f"uid {NOBODY} runs it, but cannot import what it needs" if done.returncode else ""


def namespaces() -> Probe:
    """What a run lives in."""
    isolation = can_isolate()
    return Probe(isolation.ok, isolation.reason or ", ".join(isolation.kinds), isolation.fix)


def inside(namespaces: Probe) -> dict[str, Probe]:
    """What can be had inside of namespaces."""
    names = ("tun", "packet", "netem", "small-disk")
    if not namespaces.is_there:
        return {name: Probe(False, NOT_TRIED, namespaces.fix) for name in names}
    text = said(*isolated_command([sys.executable, "-m", INSIDE]))
    try:
        return msgspec.json.decode(text, type=dict[str, Probe])
    except msgspec.MsgspecError:
        why = (text.strip().splitlines() or ["nothing was said"])[-1]
        return {name: Probe(False, f"the trial failed: {why}") for name in names}


def power_cut() -> Probe:
    """An ext4 on a loop device, shut down without its log."""
    able = can_cut_power()
    return Probe(able.ok, able.reason or "an ext4 was shut down and unmounted")


# --- the machine ----------------------------------------------------------------------------------


def timer() -> Probe:
    """How late wake-ups are, for one second."""
    begins_ns = time.monotonic_ns()
    watch = Watch(begins_ns, TIMER_PERIOD_NS)
    while watch.due_ns < begins_ns + TIMER_S * 1e9:
        time.sleep(max(0, watch.due_ns - time.monotonic_ns()) / 1e9)
        watch.woken(time.monotonic_ns())
    late = watch.lateness()
    p50_ms, p99_ms, max_ms = (ns / 1e6 for ns in (late.p50_ns, late.p99_ns, late.max_ns))
    found = f"late by {p50_ms:.2f} ms p50, {p99_ms:.2f} p99, {max_ms:.2f} at most"
    fix = "End what else keeps the processors busy, or use another machine."
    return Probe(p99_ms <= LATE_P99_MS, found, "" if p99_ms <= LATE_P99_MS else fix)


def processor() -> Probe:
    """Whether the processor always runs at one speed, as far as that can be read."""
    governors = sorted(
        {path.read_text().strip() for path in CPUS.glob("cpu*/cpufreq/scaling_governor")}
    )
    throttled = re.search(r"throttled=(0x[0-9a-f]+)", said("vcgencmd", "get_throttled"))
    if throttled and int(throttled[1], 16):
        found = f"throttled ({throttled[1]}), governor {', '.join(governors) or 'unknown'}"
        return Probe(False, found, "A stronger power supply, and cooling.")
    if not governors:
        return Probe(False, "neither governor nor throttling can be read (a virtual machine?)")
    if governors == ["performance"]:
        return Probe(True, "governor performance")
    fix = "As root: cpupower frequency-set --governor performance."
    return Probe(False, f"governor {', '.join(governors)}", fix)


def memory_limits() -> Probe:
    """Whether control groups can limit memory: the kernel of a Raspberry Pi has that off."""
    controllers = CGROUPS / "cgroup.controllers"
    if controllers.exists():
        named = controllers.read_text().split()
        version, has_memory = "v2", "memory" in named
    else:
        version, has_memory = "v1", (CGROUPS / "memory").is_dir()
    if has_memory:
        return Probe(True, f"cgroup {version} with its memory controller")
    return Probe(False, f"cgroup {version} without a memory controller", CMDLINE_FIX)
