"""The kernel's own netem as the link of one direction: the yardstick for every other backend.

Rules:

1. A seed that was set is read back: kernels before 6.6 know none and say nothing (tc refuses).
2. A device gets a fresh qdisc: a changed one goes on with the state of its loss machine.
3. netem shapes what leaves a device, frame by frame, the Ethernet header included. Who wants
   the decisions of `LinkModel`, frame for frame, switches IPv6 off before the device comes up,
   turns the offloads of both ends off, and makes neighbours permanent: each stray frame draws.
4. Nothing is tried in the machine's own network unasked: `probe` and `apply` act on the network
   namespace that they are called in, and need its CAP_NET_ADMIN.

That netem then treats the same frames as `LinkModel` is proven in a guest: `ci/run test-netem`.
"""

import os
import re
import shutil
import subprocess

from fieldproof_simulators.links.impairments import Impairments
from fieldproof_simulators.links.losses import (
    FourState,
    GilbertElliott,
    LossModel,
    RandomLoss,
    threshold,
)

SEEDS = 2**64
NEEDED = "netem with a seed needs a kernel with sch_netem and an iproute2, both 6.6 or newer"
COMMAND_S = 10.0
"""How long tc or ip may take."""


class NetemError(OSError):
    """The kernel's netem cannot be had, or not as asked."""


def tc_arguments(impairments: Impairments, seed: int) -> list[str]:
    """What follows `tc qdisc add dev DEVICE root netem`; `seed` counts modulo 2^64.

    Everything that tc would fill in is written out, as far as it matters to a decision.
    """
    link = impairments
    words = ["limit", str(link.limit_frames)]
    if link.delay_ns or link.jitter_ns:
        words += ["delay", f"{link.delay_ns}ns"]
    if link.jitter_ns:
        words.append(f"{link.jitter_ns}ns")
    if link.distribution != "uniform":
        words += ["distribution", link.distribution]
    words += _loss_words(link.loss)
    if link.duplicate_percent:
        words += ["duplicate", _percent(link.duplicate_percent)]
    if link.corrupt_percent:
        words += ["corrupt", _percent(link.corrupt_percent)]
    if link.reorder_percent:
        words += ["reorder", _percent(link.reorder_percent), "gap", str(link.reorder_gap)]
    if link.rate_bit_s:
        words += ["rate", f"{link.rate_bit_s}bit"]
        words += map(str, (link.overhead_bytes, link.cell_bytes, link.cell_overhead_bytes))
    return [*words, "seed", str(seed % SEEDS)]


def _loss_words(loss: LossModel | None) -> list[str]:
    match loss:
        case GilbertElliott():
            r = 100 - loss.p if loss.r is None else loss.r
            percentages = [loss.p, r, loss.one_minus_h, loss.one_minus_k]
            return ["loss", "gemodel", *map(_percent, percentages)]
        case FourState():
            p31 = 100 - loss.p13 if loss.p31 is None else loss.p31
            percentages = [loss.p13, p31, loss.p32, loss.p23, loss.p14]
            return ["loss", "state", *map(_percent, percentages)]
        case RandomLoss() if threshold(loss.percent):
            return ["loss", _percent(loss.percent)]
        case _:
            return []


def _percent(percent: float) -> str:
    """The shortest text that tc reads as the same double."""
    return f"{percent!r}%"


def read_back(shown: str) -> int | None:
    """The seed of the netem qdisc in what `tc qdisc show dev DEVICE` printed, if there is one."""
    found = re.search(r"^qdisc netem [^\n]*? seed ([0-9]{1,20})\b", shown, re.MULTILINE)
    return int(found[1]) if found else None


def apply(device: str, impairments: Impairments, seed: int) -> None:
    """Gives a device a fresh netem qdisc for what leaves it.

    Raises NetemError where tc is missing or refuses, or where the kernel has another seed.
    """
    words = tc_arguments(impairments, seed)
    if "qdisc netem" in _run("tc", "qdisc", "show", "dev", device):
        _run("tc", "qdisc", "del", "dev", device, "root")
    _run("tc", "qdisc", "add", "dev", device, "root", "netem", *words)
    has = read_back(_run("tc", "qdisc", "show", "dev", device))
    if has != seed % SEEDS:
        raise NetemError(
            f"netem on {device} was given the seed {seed % SEEDS} and has "
            f"{'none' if has is None else has}, so its losses cannot be repeated: {NEEDED}."
        )


def probe() -> str | None:
    """Why netem cannot serve in this network namespace, one sentence; None where it can.

    Makes a pair of devices for the trial and removes them. Call it in a namespace of your own.
    """
    near, far = (f"np{os.getpid()}{end}" for end in "ab")
    try:
        _run("ip", "link", "add", near, "type", "veth", "peer", "name", far)
        try:
            apply(near, Impairments(), SEEDS - 1)
        finally:
            _run("ip", "link", "del", near)
    except NetemError as error:
        return str(error)
    return None


def _run(program: str, *words: str) -> str:
    """What tc or ip printed. Raises NetemError with the first thing it said where it failed."""
    path = shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if path is None:
        raise NetemError(f"{program} is missing; as root: apt-get install iproute2")
    command = " ".join((program, *words))
    try:
        done = subprocess.run(
            [path, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NetemError(f"`{command}` did not end within {COMMAND_S:.0f} s.") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").split("\n")[0].strip() or "nothing"
        advice = f" ({NEEDED})" if "netem" in words else ""
        raise NetemError(f"`{command}` failed and said: {said}{advice}")
    return done.stdout.decode(errors="replace")
