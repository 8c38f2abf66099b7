"""What a system sees from inside of a cage, who looks as hard as it can: its own, and no more."""

import json
import subprocess
import sys

import pytest

from fieldproof_simulators.machines.live import namespaces

STAGE = """
import json, os, select, subprocess, sys, tempfile, time
from pathlib import Path
from fieldproof_simulators.machines.live import clock, disks, mounts, processes, terminals
from fieldproof_simulators.machines.live.cage import Cage
# Short names: a temporary folder that an ordinary user can write.
place = Path(tempfile.mkdtemp())
run, runtime = place / "run", place / "base"
own, other = run / "disks/daws", run / "disks/chur"
for folder in (own / "riometer", other, run / "lines", runtime / "run-1", runtime / "run-2"):
    folder.mkdir(parents=True)
events, sites = run / "processes.jsonl", runtime / "run-1/sites.json"
for path in (run / "scenario.json", run / "lines/facts.jsonl", other / "file", events, sites,
        runtime / "run-2/sites.json", own / "riometer/hour"):
    path.write_text("the secret seed" if path not in (events, sites) else "")
told = clock.ClockFile(runtime / "run-1/clock")
told.write(1, 2, 3)
held = os.open(run / "scenario.json", os.O_RDONLY)
cage = Cage((run, runtime), (own, events), (told.path, sites))
def start(argv, cage=cage, **more):
    given = {"env": {"PATH": os.environ["PATH"]}, "log": place / "log", "cage": cage, "cwd": place}
    return processes.HostProcess(argv, **given | more)
def until(holds, words):
    give_up_s = time.monotonic() + 20
    while not (found := holds()):
        assert time.monotonic() < give_up_s, f"{words}: {(place / 'log').read_text()}"
        select.select((), (), (), 0.002)
    return found
def run_inside(script, *words, **more):
    with start([sys.executable, "-IS", "-c", script, *map(str, words)], **more) as system:
        assert until(system.poll, "its end").code == 0, (place / "log").read_text()
    return (place / "log").read_text()
def clean():
    subprocess.run(["rm", "-rf", place], check=True)
"""

SPY = """
import json, os, sys
place, secret = sys.argv[1], b"the secret seed"
seen = {"files": [], "secrets": [], "processes": []}
for folder, folders, files in os.walk(place):
    seen["files"] += [os.path.relpath(os.path.join(folder, name), place) for name in files]
def look(path):
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # it may be a pipe
    except OSError:
        return
    try:
        data = os.read(descriptor, 1 << 22)
    except OSError:
        data = b""
    os.close(descriptor)
    if secret in data:
        seen["secrets"].append(path)
for path in seen["files"]:
    look(os.path.join(place, path))
me = str(os.getpid())
for pid in filter(str.isdecimal, os.listdir("/proc")):
    seen["processes"].append(int(pid))
    if pid == me:
        continue
    for name in ("environ", "cmdline", "maps", "stack"):
        look(f"/proc/{pid}/{name}")
    for way in ("cwd", "root"):
        try:
            seen["secrets"] += os.listdir(f"/proc/{pid}/{way}/.")
        except OSError:
            pass
    for number in range(64):
        look(f"/proc/{pid}/fd/{number}")
    try:
        with open(f"/proc/{pid}/mem", "rb") as memory, open(f"/proc/{pid}/maps") as maps:
            memory.seek(int(next(maps).split("-")[0], 16)); memory.read(1)
            seen["secrets"].append("memory")
    except OSError:
        pass
seen["terminals"] = sorted(os.listdir("/dev/pts"))
print(json.dumps(seen))
"""


@pytest.fixture
def play(start_python):
    """Plays a scene in namespaces, as us and as an ordinary user; what it printed."""

    def run(scene):
        launch = (
            "import os, subprocess, sys\n"
            "from fieldproof_simulators.machines.live import namespaces\n"
            f"argv = namespaces.isolated_command([sys.executable, '-c', {STAGE + scene!r}])\n"
            "held = {**os.environ, 'HELD': 'the secret seed'}\n"
            "sys.exit(subprocess.run(argv, env=held).returncode)"
        )
        with start_python(launch, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as playing:
            said, errors = playing.communicate(timeout=30)
        assert (0, b"") == (playing.returncode, errors), errors.decode()
        return said.decode()

    return run


def test_a_spy_finds_its_own_and_nothing_else(play):
    """Of the folders of the run it finds its disk, its event log, its clock and its file of sites;
    of processes its own and the keeper; what they are told, hold and remember it cannot read; and
    there is no terminal but what makes new ones."""
    seen = json.loads(
        play(
            f"""
master, slave = os.openpty()
print(run_inside({SPY!r}, place))
clean()
"""
        )
    )
    own = ["base/run-1/clock", "base/run-1/sites.json", "log", "run/disks/daws/riometer/hour"]
    assert {
        "files": [*own, "run/processes.jsonl"],
        "secrets": ["run/disks/daws/riometer/hour"],
        "processes": [1, 2],
        "terminals": ["ptmx"],
    } == {
        name: sorted(found) if name != "secrets" else [path[-len(own[-1]) :] for path in found]
        for name, found in seen.items()
    }


def test_without_a_cage_the_spy_finds_everything(isolated, monkeypatch):
    """The spy of the test above is a good one: without a cage, by the same user, it finds the
    files, the terminals and what the harness is told."""
    monkeypatch.setenv("HELD", "the secret seed")
    seen = json.loads(
        isolated(
            f"""{STAGE}
master, slave = os.openpty()
print(run_inside({SPY!r}, place, cage=None))
clean()
"""
        )
    )
    found = " ".join(seen["secrets"])
    assert all(
        name in found
        for name in ("scenario.json", "chur/file", "facts.jsonl", "environ", "/fd/", "memory")
    )
    assert 3 <= len(seen["processes"])
    assert 2 <= len(seen["terminals"])


def test_own_things_are_written_and_read_as_they_are(play):
    """What it writes to its disk and its event log is there for the run, what it is only to read it
    cannot change, and a clock that is set goes on in the cage."""
    assert "ok\n" == play(
        """
script = '''
import os, sys
own, events, clock, sites, run, runtime = sys.argv[1:]
with open(f"{own}/new", "w") as file: file.write("mine")
with open(events, "a") as file: file.write("a line")
os.rename(f"{own}/new", f"{own}/riometer/new")
for path in (clock, sites, f"{run}/new", f"{run}/scenario.json", f"{runtime}/new"):
    try:
        open(path, "a")
        sys.exit(f"{path} can be written")
    except OSError:
        pass
print("ready", flush=True)
with open(clock, "rb", buffering=0) as file:
    while file.read(16)[8:] != (9).to_bytes(8, "little"):
        file.seek(0)
'''
log = place / "log"
argv = [sys.executable, "-IS", "-c", script, own, events, told.path, sites, run, runtime]
with start(list(map(str, argv))) as system:
    until(lambda: "ready" in log.read_text(), "ready")
    told.write(9, 9, 9)
    assert until(system.poll, "its end").code == 0, log.read_text()
assert ("mine", "a line") == ((own / "riometer/new").read_text(), events.read_text())
assert (run / "scenario.json").read_text() == "the secret seed"
clean()
print("ok")
"""
    )


def test_a_small_disk_in_a_cage_is_small(play):
    """A disk that is a file system of its own is the same in the cage, full when it is filled."""
    assert "full fits\n" == play(
        """
script = '''
import sys
try:
    with open(sys.argv[1] + "/new", "wb", buffering=0) as file: file.write(b"x")
    print("fits", end="")
except OSError:
    print("full", end=" ")
'''
disk = disks.SmallDisk(other, 1 << 16)
small = Cage((run, runtime), (other,))
disk.fill()
run_inside(script, other, cage=small)
disk.relieve()
print(run_inside(script, other, cage=small))
assert ["new"] == os.listdir(other)
disk.close()
clean()
"""
    )


def test_covers_cannot_be_lifted(play):
    """A system has no rights: it cannot unmount a cover, neither directly nor in namespaces of its
    own, mount anything, leave its namespaces, or take rights back by becoming another program."""
    assert "ok\n" == play(
        """
script = '''
run=$1
for way in "umount $run" "mount -t tmpfs x /tmp" "mount --bind / /tmp" "nsenter -t 1 -m true" \\
    "chroot / true"; do
    if $way >/dev/null 2>&1; then echo "$way works"; fi
done
for way in "unshare -m" "unshare -Urm" "unshare -Urm --propagation private"; do
    $way sh -c "umount -l $run; cat $run/scenario.json" 2>/dev/null
done
cat $run/scenario.json 2>/dev/null
grep -E "Cap(Prm|Eff|Bnd|Amb)" /proc/self/status | grep -v 0000000000000000
$2 -ISc "import os; os.openpty()" || echo "no terminal can be made"
echo done
'''
with start(["sh", "-c", script, "spy", str(run), sys.executable]) as system:
    until(system.poll, "its end")
said = (place / "log").read_text()
assert said == "done\\n", said
clean()
print("ok")
"""
    )


def test_a_port_comes_and_goes_while_the_system_runs(play):
    """Of all terminals a system sees its own port, under one name, also after the cable was pulled
    and another terminal is plugged; what it opened stays its own."""
    assert "ok\n" == play(
        """
script = '''
import os, sys, select
port = sys.argv[1]
def wait(holds):
    while not holds():
        select.select((), (), (), 0.002)
for expected in (b"first", b"second"):
    wait(lambda: os.path.exists(port))
    line = os.open(port, os.O_RDWR | os.O_NOCTTY)
    assert os.read(line, 100) == expected + b"\\\\n"
    os.write(line, b"heard")
    print(expected.decode(), flush=True)
    wait(lambda: not os.path.exists(port))
    os.close(line)
    print(expected.decode(), "is gone", flush=True)
print(os.listdir("/dev/pts"))
'''
log = place / "log"
port = terminals.Port(runtime / "run-1/ports")
neighbour = terminals.Port(runtime / "run-1/others")
stranger = os.openpty()
neighbour.plug(Path(os.ttyname(stranger[1])))
own_cage = Cage((run, runtime), (own,), (port.folder,))
with start([sys.executable, "-IS", "-c", script, str(port.path)], cage=own_cage) as system:
    for word in ("first", "second"):
        master, slave = os.openpty()
        port.plug(Path(os.ttyname(slave)))
        os.write(master, word.encode() + b"\\n")
        until(lambda: word in log.read_text(), word)
        port.unplug()
        port.unplug()
        until(lambda: f"{word} is gone" in log.read_text(), "no port")
        os.close(slave)
        os.close(master)
    assert until(system.poll, "its end").code == 0, log.read_text()
assert log.read_text().splitlines()[-1] == "['ptmx']"
port.close()
neighbour.close()
assert [] == os.listdir(port.folder)
clean()
print("ok")
"""
    )


def test_nothing_of_a_cage_is_left(play):
    """Mounts are as before, also below a mount that is shared and while the cage is there, and so
    are our own namespaces and descriptors; the next start makes the cage anew."""
    assert "ok\n" == play(
        """
shared = place / "shared"
shared.mkdir()
mounts.mount_tmpfs(shared, 1 << 16)
mounts.share(shared)
(shared / "run").mkdir()
def state():
    kinds = ("mnt", "pid", "pid_for_children", "net")
    spaces = [os.readlink(f"/proc/self/ns/{kind}") for kind in kinds]
    return mounts.mounted(), spaces, len(os.listdir("/proc/self/fd"))
before = state()
for _ in range(2):
    with start(["sleep", "600"], cage=Cage((run, shared / "run"))) as system:
        inside = {os.readlink(f"/proc/{system.pid}/ns/{kind}") for kind in ("mnt", "pid")}
        assert not inside & set(before[1])
        assert before[0] == mounts.mounted()
assert before == state()
mounts.unmount(shared)
clean()
print("ok")
"""
    )


@pytest.mark.parametrize(
    ("cage", "words"),
    [
        ('Cage((Path("/no/such/folder"),))', "/no/such/folder"),
        ('Cage((run,), (Path("/no/such/disk"),))', "/no/such/disk"),
    ],
)
def test_a_cage_that_cannot_be_made_is_an_error(isolated, cage, words):
    """Where a folder is not there, the error names it, and no process or descriptor stays."""
    assert f"The cage of a host cannot be made {words}\n" == isolated(
        f"""{STAGE}
before = len(os.listdir("/proc/self/fd"))
try:
    start(["sleep", "600"], cage={cage})
except OSError as error:
    print(str(error).partition(":")[0], {words!r} if {words!r} in str(error) else error)
assert before == len(os.listdir("/proc/self/fd"))
assert ["1"] == [name for name in os.listdir("/proc") if name.isdecimal()]
clean()
"""
    )


def test_a_program_that_is_not_there_leaves_no_cage(isolated):
    """A program that is not found is the error that it is without a cage, and nobody is left."""
    assert "no-such-program ['1']\n" == isolated(
        f"""{STAGE}
try:
    start(["no-such-program"])
except FileNotFoundError as error:
    print(error.filename, [name for name in os.listdir("/proc") if name.isdecimal()])
clean()
"""
    )


def test_the_machine_itself_makes_no_cages(tmp_path):
    """Where we have no rights over mounts, a cage is refused with an error, not left out."""
    script = """
import sys
from pathlib import Path
from fieldproof_simulators.machines.live.cage import Cage
from fieldproof_simulators.machines.live.processes import HostProcess
try:
    HostProcess(["true"], env={}, log=Path(sys.argv[1]), cage=Cage((Path("/tmp"),)))
except OSError as error:
    print(error.strerror)
"""
    bare = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", sys.executable, "-c", script]
    done = subprocess.run(
        [*bare, str(tmp_path / "log")], capture_output=True, text=True, check=False
    )
    assert "cannot make a PID namespace: Operation not permitted\n" == done.stdout, done.stderr
    assert "unshare" in namespaces.isolated_command(["true"])
