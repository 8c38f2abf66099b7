"""Namespaces: what is inside, who dies with whom, and what is said where they are refused."""

import os
import signal
import subprocess
import sys
from itertools import product

import pytest

from fieldproof_simulators.machines.live import isolation, namespaces, proc

LOOK = """
import json, os, socket
from pathlib import Path
links = Path("/proc/net/dev").read_text().splitlines()[2:]
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname()).close()
ipv6 = {path.read_text().strip() for path in Path("/proc/sys/net/ipv6/conf").glob("*/disable_ipv6")}
mounts = Path("/proc/self/mountinfo").read_text().splitlines()
print(json.dumps({
    "pid": os.getpid(), "uid": os.getuid(),
    "processes": [folder.name for folder in Path("/proc").glob("[0-9]*")],
    "links": [line.split(":")[0].strip() for line in links], "ipv6": sorted(ipv6 - {"1"}),
    "shared": [line for line in mounts if "shared:" in line],
}))
"""
ALONE = {"pid": 1, "uid": 0, "processes": ["1"], "links": ["lo"], "ipv6": [], "shared": []}

MAKE_AND_VISIT = """
import os, socket
from fieldproof_simulators.machines.live import namespaces
def where(): return os.readlink("/proc/thread-self/ns/net")
home, held = where(), len(os.listdir("/proc/self/fd"))
first_fd, second_fd = namespaces.new_netns(), namespaces.new_netns()
assert home == where()
seen, servers = set(), []
for fd in (first_fd, second_fd):
    with namespaces.inside(fd):
        seen.add(where())
        servers.append(socket.create_server(("127.0.0.1", 18000)))
        socket.create_connection(("127.0.0.1", 18000)).close()
    assert home == where()
assert 2 == len(seen - {home})
try:
    with namespaces.inside(first_fd): raise KeyError
except KeyError:
    assert home == where()
for held_by in (*servers, first_fd, second_fd):
    os.close(held_by if isinstance(held_by, int) else held_by.detach())
assert held == len(os.listdir("/proc/self/fd"))
"""

PARENT = """
import subprocess, sys
from fieldproof_simulators.machines.live import namespaces
subprocess.run(namespaces.isolated_command(["sh", "-c", sys.argv[1]]))
"""
CHILDREN = "setsid sleep 600 & nohup sleep 600 & (setsid nohup sleep 600 &) ; echo ready; wait"

DYING = """
import os, sys, time
from fieldproof_simulators.machines.live import namespaces
parent_pid = os.getpid() if sys.argv[1] == "in time" else 1 << 22
if os.fork() == 0:
    namespaces.die_with_parent(parent_pid)
    os.write(1, b"ready\\n")
    time.sleep(600)
if sys.argv[1] == "too late":
    os.wait()
    os.write(1, b"ready\\n")
time.sleep(600)
"""
SAYS = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}

DYING = """
import os, sys, time
from fieldproof_simulators.machines.live import namespaces
parent_pid = os.getpid() if sys.argv[1] == "in time" else 1 << 22
if os.fork() == 0:
    namespaces.die_with_parent(parent_pid)
    os.write(1, b"ready\\n")
    time.sleep(600)
if sys.argv[1] == "too late":
    os.wait()
    os.write(1, b"ready\\n")
time.sleep(600)
"""
SAYS = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}


def test_inside_there_is_nothing_but_the_command(start_python):
    """The command is PID 1 and uid 0, alone with a working loopback and without IPv6 or shared
    mounts."""
    ask = f"""
import subprocess, sys
from fieldproof_simulators.machines.live import namespaces
argv = namespaces.isolated_command([sys.executable, "-c", {LOOK!r}])
said = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout
import json
assert {ALONE!r} == json.loads(said), said
"""
    with start_python(ask) as asking:
        assert 0 == asking.wait()


def test_the_exit_status_passes_through(may_isolate):
    """The exit status is the command's, and 127 where there is no such command."""
    outcomes = [
        subprocess.run(namespaces.isolated_command(argv), stderr=subprocess.DEVNULL, check=False)
        for argv in (["sh", "-c", "exit 77"], ["/no/such/program"])
    ]
    assert [77, 127] == [outcome.returncode for outcome in outcomes]


def test_network_namespaces_are_apart_and_the_thread_comes_back(isolated):
    """Two new namespaces both have the same port free, and the thread is at home before, between
    and after, also after an exception, without a descriptor that stays open."""
    isolated(MAKE_AND_VISIT)


@pytest.mark.parametrize("who", ["the caller", "the first process"])
def test_sigkill_leaves_no_descendant(start_python, who):
    """SIGKILL of the caller, or of the first process, ends all that is in the namespace, setsid,
    nohup and double forks included, without any help by PID 1."""
    with start_python(PARENT, CHILDREN, **SAYS) as caller:
        assert b"ready\n" == caller.stdout.readline()
        victim = caller.pid
        if who == "the first process":
            (victim,) = [known.pid for known in proc.everyone() if known.parent_pid == caller.pid]
        os.kill(victim, signal.SIGKILL)
        assert b"" == caller.stdout.read()  # the end comes when nobody holds the pipe any more


@pytest.mark.parametrize("when", ["in time", "too late"])
def test_a_child_dies_with_its_parent(when):
    """A process that asked for it is killed with its parent, and one that asks too late, since the
    parent has gone, ends at once."""
    with subprocess.Popen([sys.executable, "-c", DYING, when], stdout=subprocess.PIPE) as parent:
        assert b"ready\n" == parent.stdout.readline()
        parent.kill()
        assert b"" == parent.stdout.read()


def test_isolation_is_found_by_doing_it(may_isolate):
    """Where the command works, all kinds of namespaces are named and nothing is to be fixed."""
    assert isolation.Isolation(True, isolation.KINDS, "", "") == isolation.can_isolate()


@pytest.mark.parametrize("tool", ["unshare", "setpriv"])
def test_a_missing_tool_is_named(tool, tmp_path, monkeypatch):
    """Where a tool is not on the path, the answer names it and the package that has it."""
    for other in {"unshare", "setpriv"} - {tool}:
        (tmp_path / other).write_text("#!/bin/sh\n")
        (tmp_path / other).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = isolation.can_isolate()
    assert (False, ()) == found[:2]
    assert tool in found.reason
    assert "apt-get install util-linux" in found.fix


def test_a_refusal_names_what_still_works(tmp_path, monkeypatch):
    """Where mounting is refused, the answer has what was said and the kinds that work."""
    said = "unshare: mount /proc failed: Operation not permitted"
    script = f'#!/bin/sh\\ncase "$*" in *--mount*) echo "{said}" >&2; exit 1;; esac\\n'
    for tool in ("unshare", "setpriv"):
        (tmp_path / tool).write_text(script.replace("\\n", "\n"))
        (tmp_path / tool).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (tmp_path / "setpriv").write_text("#!/bin/sh\n")
    monkeypatch.setattr(
        isolation.namespaces, "isolated_command", lambda argv: ["unshare", "--mount"]
    )
    found = isolation.can_isolate()
    assert (False, ("user", "net", "pid")) == found[:2]
    assert said in found.reason


FACTS = {
    "apparmor": ("1", "AppArmor", ("sysctl", "profile", "as root")),
    "debian": ("0", "kernel", ("sysctl", "as root")),
    "limit": ("0", "not one", ("sysctl",)),
    "seccomp": ("2", "seccomp", ("seccomp=unconfined", "profile", "outside of the container")),
}


@pytest.mark.parametrize("fact", FACTS)
def test_the_cause_of_a_refusal_and_its_ways_out_are_named(fact):
    """Each known cause is named with its ways out; without a known one, the kinds that are
    refused are named."""
    value, cause, ways = FACTS[fact]
    reason, fix = isolation.explain("Operation not permitted", (), {fact: value})
    assert cause in reason
    assert [] == [way for way in ways if way not in fix]
    reason, _ = isolation.explain("Operation not permitted", ("user", "net"), {fact: "other"})
    assert "refused are pid, mount" in reason


def test_every_explanation_is_a_sentence_and_has_a_fix():
    """Whatever is refused and whatever proc says, there is a reason and something to do."""
    for kinds, values in product(((), ("user",), isolation.KINDS), product("012", repeat=4)):
        facts = dict(zip(FACTS, values, strict=True))
        reason, fix = isolation.explain("no", kinds, facts)
        assert reason.endswith(".")
        assert fix.endswith(".")
