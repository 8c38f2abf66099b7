"""What a machine may be able to do for a live run, as a table; `doctor` finds out what it can.

Required are the interpreter and the tools of `ci/depends.txt`: the tests need all of them. The rest
is optional: where it is missing, a run does with less, or is skipped and says so.
"""

from typing import NamedTuple

from msgspec import Struct


class Capability(NamedTuple):
    """A thing that the machine has or has not."""

    name: str
    used_for: str
    without: str  # what happens where it is missing
    is_required: bool = False
    package: str = ""  # of Debian, that brings it
    tool: str = ""  # the program that is looked for


class Probe(Struct, frozen=True):
    """What trying it has shown."""

    is_there: bool
    found: str  # a version or a figure; why not, where it is missing
    fix: str = ""  # what to do about it; empty where it is there, or where nothing can be done


CAPABILITIES = (
    Capability("python", "everything", "nothing runs", True),
    Capability("user", "what this user may do", "nothing is lost"),
    Capability(
        "interpreter",
        "systems under another user's name",
        "systems run under the name of whoever runs fieldproof",
    ),
    Capability(
        "socat",
        "serial lines",
        "no live scenario runs on pseudo-terminals",
        True,
        "socat",
        "socat",
    ),
    Capability(
        "unshare",
        "namespaces without rights",
        "hosts live on the plain machine, and links are proxies",
        True,
        "util-linux",
        "unshare",
    ),
    Capability(
        "ip",
        "addresses and routes of hosts",
        "hosts live on the plain machine, and links are proxies",
        True,
        "iproute2",
        "ip",
    ),
    Capability(
        "namespaces",
        "a network and processes of its own",
        "hosts live on the plain machine, links are proxies, and disks cannot be full",
    ),
    Capability("tun", "links, first choice", "links go by the next backend"),
    Capability("packet", "links, second choice", "links go by the next backend"),
    Capability(
        "netem",
        "links by the kernel, if asked for",
        "`--backend netem` is refused; `./ci/run test-netem` tries netem in a guest",
    ),
    Capability("small-disk", "disks that can be full", "scenarios with a full disk are skipped"),
    Capability(
        "power-cut",
        "real power cuts",
        "power is cut in virtual time alone, and one test is skipped",
    ),
    Capability(
        "scapy",
        "forged packets",
        "live scenarios with strangers are skipped",
    ),
    Capability(
        "tshark",
        "captures, read by another program",
        "tests that compare with it are skipped",
        True,
        "tshark",
        "tshark",
    ),
    Capability(
        "rsync",
        "reconciliation by rsync, in either tier",
        "scenarios whose sites are reconciled so are skipped",
        True,
        "rsync",
        "rsync",
    ),
    Capability(
        "xdelta3",
        "reconciliation by deltas, in either tier",
        "scenarios whose sites are reconciled so are skipped",
        True,
        "xdelta3",
        "xdelta3",
    ),
    Capability(
        "chromium",
        "a look at the pages of the center",
        "the tests of the pages in a browser are skipped",
        True,
        "chromium",
        "chromium",
    ),
    Capability(
        "shellcheck",
        "the lint of shell scripts",
        "one test is skipped",
        True,
        "shellcheck",
        "shellcheck",
    ),
    Capability(
        "timer",
        "real time, on lines and links",
        "live runs may end undecided: they say how late the machine was",
    ),
    Capability(
        "processor",
        "figures that compare",
        "timings and benchmarks scatter more",
    ),
    Capability(
        "memory-limits",
        "limits on a system's memory",
        "limits on memory have no effect, and nobody says so",
    ),
)
"""In the order of need."""

NAMES = tuple(capability.name for capability in CAPABILITIES)
