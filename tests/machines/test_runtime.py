"""The runtime folder: safe against others, undone after a kill, and never somebody else's."""

import json
import os
import signal
import stat
import subprocess
import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldproof_simulators.machines.live import leases, ledger, proc, runtime
from fieldproof_simulators.machines.live.runtime import Runtime

OWNER = """
import os, sys
from pathlib import Path
from fieldproof_simulators.machines.live import processes, runtime
base, outside = map(Path, sys.argv[1:])
run = runtime.Runtime("killed", base)
script = "sleep 600 & setsid sleep 600 & (setsid nohup sleep 600 &) ; echo ready; wait"
system = processes.HostProcess(["sh", "-c", script], env=dict(os.environ), log=run.path / "log")
run.ledger.process(system.pid, system.mark)
for name in ("ours", "turned"):
    (outside / name).symlink_to("/dev/pts/7")
    run.ledger.link(outside / name)
while not (run.path / "log").read_text():
    pass
print(run.path.name, system.mark, *system.pids(), flush=True)
input()
"""


@pytest.fixture
def base(tmp_path):
    """A folder for runs."""
    folder = tmp_path / "base"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def abandon(base):
    """Makes a runtime folder whose run is dead, with a ledger of these entries."""

    def make(*entries):
        folder = base / "dead-0123456789ab"
        folder.mkdir()
        lines = [
            entry if isinstance(entry, bytes) else msgspec.json.encode(entry) for entry in entries
        ]
        (folder / ledger.NAME).write_bytes(b"".join(line + b"\n" for line in lines))
        return folder

    return make


@pytest.fixture
def bystander():
    """A process that no run has started."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        assert process.poll() is None
        process.kill()


def owner(base, outside):
    """A run in a process of its own, which has started and made things."""
    argv = [sys.executable, "-c", OWNER, base, outside]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


# --- the folder -----------------------------------------------------------------------------------


def test_the_folder_is_ours_alone(base):
    """A run has a folder of mode 0700 with its owner's identity, and it goes when closed."""
    with Runtime("run", base) as first, Runtime("run", base) as second:
        assert first.path != second.path
        assert 0o700 == stat.S_IMODE(first.path.stat().st_mode)
        said = json.loads((first.path / runtime.OWNER).read_text())
        assert proc.identity(os.getpid()) == tuple(said[field] for field in proc.Identity._fields)
    assert [".turn"] == [path.name for path in base.iterdir()]
    assert runtime.Swept(first.path.name, (), ()) == first.close()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-a", "a\n", "a b", "ä", "a" * 101])
def test_a_name_that_could_lead_elsewhere_is_refused(base, name):
    """The name of a run is a plain word."""
    with pytest.raises(ValueError, match="cannot name a run"):
        Runtime(name, base)


def test_the_users_runtime_directory_is_preferred(tmp_path, monkeypatch):
    """The base lies in XDG_RUNTIME_DIR if that is a folder of ours, else in the temporary one."""
    monkeypatch.setattr(runtime.tempfile, "tempdir", str(tmp_path / "temporary"))
    for name in ("temporary", "runtime"):
        (tmp_path / name).mkdir(mode=0o700)
    cases = {str(tmp_path / "runtime"): "runtime", "": "temporary", "/no/such": "temporary"}
    for said, used in cases.items():
        monkeypatch.setenv("XDG_RUNTIME_DIR", said)
        assert tmp_path / used / f"fieldproof-{os.geteuid()}" == runtime.base_folder()


def plant_link(base):
    """Somebody's link to somewhere."""
    base.parent.joinpath("elsewhere").mkdir(mode=0o700)
    base.symlink_to(base.parent / "elsewhere")


def plant_file(base):
    """Somebody's file."""
    base.touch(mode=0o700)


def plant_open_folder(base):
    """A folder that others may read."""
    base.mkdir(mode=0o755)


def plant_replaceable(base):
    """A folder that others may rename."""
    base.mkdir(mode=0o700)
    base.parent.chmod(0o777)


def plant_foreign(base):
    """A folder of another user."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    base.mkdir(mode=0o700)
    os.chown(base, 65534, 65534)


@pytest.mark.parametrize(
    "plant", [plant_link, plant_file, plant_open_folder, plant_replaceable, plant_foreign]
)
def test_a_planted_base_is_refused(plant, tmp_path, monkeypatch):
    """A base that somebody else made, can read or can replace is not used, and the refusal says
    what to do."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    plant(tmp_path / f"fieldproof-{os.geteuid()}")
    for use in (runtime.base_folder, runtime.sweep, lambda: Runtime("run")):
        with pytest.raises(OSError, match="remove it"):
            use()


# --- the sweep ------------------------------------------------------------------------------------


def test_a_killed_run_is_undone_by_the_next_sweep(base, tmp_path, bearers, bystander, until):
    """After SIGKILL of its owner and of the keeper, without any namespace, nothing of a run is
    left: no process, whatever session it is in, no link and no folder; a link that was turned
    elsewhere stays."""
    with owner(base, tmp_path) as killed:
        name, mark, keeper = killed.stdout.readline().split()
        os.kill(int(keeper), signal.SIGKILL)
        killed.kill()
    until(lambda: len(bearers(mark)) == 3, "all but the first process survive")
    (tmp_path / "turned").unlink()
    (tmp_path / "turned").symlink_to("/dev/pts/8")
    (swept,) = runtime.sweep(base)
    assert (name, ()) == (swept.run, swept.left)
    assert set() == bearers(mark)
    assert ["turned"] == [path.name for path in tmp_path.iterdir() if path.is_symlink()]
    assert [] == list(base.glob("killed-*"))
    assert f"removed {base / name}" == swept.done[-1]
    assert [] == runtime.sweep(base)


def test_a_living_run_is_not_touched(base, tmp_path, bearers):
    """A sweep, and the end of another run, leave all of a run that is alive as it is."""
    with owner(base, tmp_path) as living:
        name, mark, _ = living.stdout.readline().split()
        before = bearers(mark), sorted((base / name).iterdir())
        with Runtime("other", base):
            assert [] == runtime.sweep(base)
        assert before == (bearers(mark), sorted((base / name).iterdir()))
        assert (tmp_path / "ours").is_symlink()
        living.kill()
    assert [name] == [swept.run for swept in runtime.sweep(base)]


def test_runs_side_by_side_do_not_disturb_each_other(base):
    """Processes that make, use, sweep and close runs at the same time all find their own folder as
    they left it, and nothing stays."""
    script = """
import sys
from pathlib import Path
from fieldproof_simulators.machines.live import runtime
for round in range(8):
    with runtime.Runtime("busy", Path(sys.argv[1])) as run:
        (run.path / "file").write_text(run.path.name)
        assert [] == runtime.sweep(Path(sys.argv[1]))
        assert run.path.name == (run.path / "file").read_text()
"""
    argv = [sys.executable, "-c", script, str(base)]
    busy = [subprocess.Popen(argv) for _ in range(4)]
    assert [0] * 4 == [process.wait() for process in busy]
    assert [".turn"] == [path.name for path in base.iterdir()]


def test_closing_undoes_what_is_left(base, bystander):
    """A run that ends in order takes along what it started and did not end."""
    with Runtime("run", base) as run, subprocess.Popen(["sleep", "600"]) as left:
        run.ledger.process(left.pid)
        assert (f"killed process {left.pid}", f"removed {run.path}") == run.close().done
        assert -signal.SIGKILL == left.wait()


def changed(pid, **changes):
    """A record of a process in which something is wrong."""
    return ledger.Process(**{**proc.identity(pid)._asdict(), **changes})


@pytest.mark.parametrize(
    "changes",
    [{"start_ticks": 1}, {"namespace": "pid:[1]"}, {"boot": "another"}],
    ids=lambda changes: next(iter(changes)),
)
def test_another_process_with_the_pid_is_not_killed(abandon, base, bystander, changes):
    """A record with another start time, PID namespace or boot means another process, which is dead
    already."""
    abandon(changed(bystander.pid, **changes))
    (swept,) = runtime.sweep(base)
    assert ((f"removed {base / 'dead-0123456789ab'}",), ()) == swept[1:]


def test_a_sweep_does_not_kill_itself(abandon, base):
    """Our own process is not killed, though a ledger has it."""
    abandon(changed(os.getpid()))
    assert 1 == len(runtime.sweep(base))


def test_what_a_ledger_cannot_mean_is_not_undone(abandon, base, tmp_path, bystander):
    """A mark that every process bears, PID 1, lines that are torn and files in the place of links
    are passed over."""
    (tmp_path / "file").write_text("kept")
    record = msgspec.to_builtins(changed(bystander.pid, start_ticks=1))
    abandon(
        msgspec.json.encode({**record, "mark": "PATH=" + os.environ["PATH"]}),
        msgspec.json.encode({**record, "mark": "="}),
        msgspec.json.encode({**record, "pid": 1}),
        ledger.Link(str(tmp_path / "file"), "/dev/pts/7"),
        ledger.Link(str(tmp_path / "file" / "below"), "/dev/pts/7"),
        ledger.Link(str(tmp_path / "nothing"), "/dev/pts/7"),
        ledger.Mount(str(tmp_path)),
        ledger.Cgroup("/sys/fs/cgroup/no/such/group"),
        b'{"kind":"link","path":"/torn',
    )
    (swept,) = runtime.sweep(base)
    assert ((f"removed {base / 'dead-0123456789ab'}",), ()) == swept[1:]
    assert "kept" == (tmp_path / "file").read_text()


@pytest.mark.parametrize("path", ["{}", "/sys/fs/cgroup/../../../{}", "/sys/fs/cgroup"])
def test_a_control_group_elsewhere_is_left_and_told(abandon, base, tmp_path, path):
    """A folder that is no control group is not removed, and the run folder stays, with a reason."""
    (tmp_path / "group").mkdir()
    folder = abandon(ledger.Cgroup(path.format(tmp_path / "group")))
    (swept,) = runtime.sweep(base)
    assert 1 == len(swept.left)
    assert "is none" in swept.left[0]
    assert folder.is_dir()
    assert (tmp_path / "group").is_dir()


def test_only_run_folders_are_swept(base, tmp_path):
    """Other folders, files, and links to folders stay, and a folder is removed without following
    the links in it."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("kept")
    (base / "link-0123456789ab").symlink_to(tmp_path / "precious")
    (base / "file-0123456789ab").write_text("kept")
    (base / "other").mkdir()
    (base / "dead-0123456789ab").mkdir()
    (base / "dead-0123456789ab" / "way-out").symlink_to(tmp_path / "precious")
    assert ["dead-0123456789ab"] == [swept.run for swept in runtime.sweep(base)]
    assert "kept" == (tmp_path / "precious" / "file").read_text()
    assert {".turn", "link-0123456789ab", "file-0123456789ab", "other"} == {
        path.name for path in base.iterdir()
    }


def test_a_sweep_unmounts_what_a_killed_run_has_mounted(isolated, tmp_path):
    """Mounts in the folder, recorded or not, and recorded ones elsewhere are gone then."""
    assert "unmounted unmounted unmounted removed 0 [] False\n" == isolated(
        """
import sys
from pathlib import Path
from fieldproof_simulators.machines.live import ledger, mounts, runtime
base, before = Path(sys.argv[1]), mounts.mounted()
run = base / "dead-0123456789ab"
places = [run / "a disk", run / "a disk" / "inner", base / "elsewhere"]
for place in places:
    place.mkdir(parents=True)
    mounts.mount_tmpfs(place, 4096 * 4)
busy = (run / "a disk" / "busy").open("w")
ledger.Ledger(run).mount(places[2])
(swept,) = runtime.sweep(base)
words = [done.split()[0] for done in swept.done]
print(*words, len(swept.left), [m for m in mounts.mounted() if m not in before], run.exists())
""",
        tmp_path,
    )


@given(st.lists(st.binary(max_size=80)))
def test_a_ledger_of_any_bytes_can_be_read(tmp_path_factory, lines):
    """Bytes that are no entries are passed over, and those after them are read."""
    folder = tmp_path_factory.mktemp("ledger")
    entry = ledger.Mount("/somewhere")
    lines = [line.replace(b"\n", b"") for line in lines]
    (folder / ledger.NAME).write_bytes(b"\n".join([*lines, msgspec.json.encode(entry)]))
    assert entry == list(ledger.read(folder))[-1]


def test_a_ledger_that_is_not_there_is_empty(tmp_path):
    """A run that was killed before it started anything has nothing to undo."""
    assert [] == list(ledger.read(tmp_path))


def test_a_stuck_sweep_is_an_error(base, monkeypatch):
    """Where somebody keeps the turn for himself, the others say so instead of waiting for ever."""
    monkeypatch.setattr(runtime, "PATIENCE_S", 0.05)
    with runtime._turn(base), pytest.raises(TimeoutError, match="locked"):
        runtime.sweep(base)


# --- leases ---------------------------------------------------------------------------------------


def test_addresses_are_unique_until_given_back(tmp_path):
    """No two leases have the same address, 127.0.0.1 is nobody's, and a lease that was given back
    or whose holder was killed is free again."""
    purpose = f"test-{tmp_path}"
    taken = [leases.lease_loopback(purpose) for _ in range(253)]
    assert {f"127.0.0.{last}" for last in range(2, 255)} == {lease.address for lease in taken}
    with pytest.raises(OSError, match="taken"):
        leases.lease_loopback(purpose)
    taken[7].close()
    script = "import sys; from fieldproof_simulators.machines.live import leases;"
    script += (
        "lease = leases.lease_loopback(sys.argv[1]); print(lease.address, flush=True); input()"
    )
    argv = [sys.executable, "-c", script, purpose]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert taken[7].address == holder.stdout.readline().strip()
        with pytest.raises(OSError, match="taken"):
            leases.lease_loopback(purpose)
        holder.kill()
    with leases.lease_loopback(purpose) as again:
        assert taken[7].address == again.address
    for lease in taken:
        lease.close()
