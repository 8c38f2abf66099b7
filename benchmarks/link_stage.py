"""Runs inside of namespaces of its own: a source, a pump, a sink, each a process, for a benchmark.

    python link_stage.py BACKEND PROFILE PACKETS PER_SECOND FOLDER

Prints a line when all is up, waits for one, lets the packets go, and prints what became of them as
JSON. The source is held to PER_SECOND, in bursts of half a millisecond; 0 is as fast as it goes.
"""

import json
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from struct import pack, unpack_from

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "links"))

from live_stage import running

RECORD_BYTES = 380
QUIET_S = 1.5
"""The sink ends when nothing has come for so long."""


def source(out, to, count, per_second):
    """Sends stamped records; how many a second that were."""
    burst = max(1, per_second // 2000)
    rest = bytes(RECORD_BYTES - 8)
    begin_ns = time.monotonic_ns()
    out.setblocking(True)
    for number in range(count):
        if per_second and number % burst == 0:
            wait_ns = begin_ns + number * 10**9 // per_second - time.monotonic_ns()
            if wait_ns > 0:
                time.sleep(wait_ns / 10**9)
        out.sendto(pack("q", time.monotonic_ns()) + rest, to)
    return count * 10**9 // (time.monotonic_ns() - begin_ns)


def sink(into):
    """Receives records until it is quiet; one way, milliseconds, and how long all took."""
    took, first_ns, last_ns = [], 0, 0
    into.settimeout(QUIET_S)
    while True:
        try:
            data = into.recv(2048)
        except TimeoutError:
            if took:
                break
            continue
        last_ns = time.monotonic_ns()
        first_ns = first_ns or last_ns
        took.append(last_ns - unpack_from("q", data)[0])
    took.sort()
    return {
        "heard": len(took),
        "seconds": (last_ns - first_ns) / 10**9,
        "p50_ms": took[len(took) // 2] / 10**6,
        "p99_ms": took[len(took) * 99 // 100] / 10**6,
    }


class Child:
    """An action in a process of its own; `ended` waits for what it returns."""

    def __init__(self, action, *args):
        self.reader, writer = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.write(writer, json.dumps(action(*args)).encode())
            os._exit(0)
        os.close(writer)

    def ended(self):
        told = json.loads(os.read(self.reader, 1 << 16))
        os.close(self.reader)
        os.waitpid(self.pid, 0)
        return told


def datagrams(hosts):
    """Those that reached UDP in the center's kernel, whether the sink was in time for them or not:
    an ordinary user's socket holds no more than 166 of these records."""
    rows = os.pread(hosts.snmp, 1 << 16, 0).decode().splitlines()
    names, numbers = (row.split()[1:] for row in rows if row.startswith("Udp: "))
    counters = dict(zip(names, map(int, numbers), strict=True))
    return counters["InDatagrams"] + counters["RcvbufErrors"]


def cpu_s(pid):
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(backend, asked, count, per_second, folder):
    """One run."""
    with running(backend, folder, asked) as (hosts, pump), ExitStack() as stack:
        with hosts.entered("center"):
            hosts.snmp = os.open("/proc/thread-self/net/snmp", os.O_RDONLY)
        stack.callback(os.close, hosts.snmp)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        before_s = cpu_s(pump.pid)
        listening = Child(sink, hosts.sockets["center"])
        site = hosts.sockets["site"]
        offered_s = Child(source, site, hosts.to_center, count, per_second).ended()
        told = listening.ended()
        pump_s = cpu_s(pump.pid) - before_s
        reached = datagrams(hosts)
        row = pump.stop(20).achieved[0]
        own = {"offered_s": offered_s, "reached": reached, "pump_s": pump_s}
        sys.stdout.write(json.dumps({**row, **told, **own}) + "\n")


if __name__ == "__main__":
    backend, asked, count, per_second, folder = sys.argv[1:]
    main(backend, asked, int(count), int(per_second), Path(folder))
