"""Real disks: a full one takes not a byte, and a power cut takes what was not synced."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fieldproof_simulators.machines.live import disks, mounts

FULL = """
import errno, os, sys, tempfile
from pathlib import Path
from fieldproof_simulators.machines.live import disks

def append(path, size):
    "Bytes that an append of `size` bytes stores; the name of the error where there is one."
    with path.open("ab", buffering=0) as file:
        try:
            return file.write(bytes(size))
        except OSError as error:
            return errno.errorcode[error.errno]

with tempfile.TemporaryDirectory() as place:
    folder = Path(place)
    disk = disks.SmallDisk(folder, 1 << 20)
    assert 1 << 20 == disk.free_bytes()
    (folder / "a").mkdir()
    sizes = {"a/young": 760, "old": 4096, "empty": 0, "freed": 20_000}
    for name, size in sizes.items():
        (folder / name).write_bytes(bytes(size))
    full = disk.fill()
    assert {"a/young": 4096 - 760, "freed": 480} == full.slack_bytes, full
    assert (1 << 20) - 4096 - 4096 - 20_480 == full.filler_bytes, full
    assert sorted(["a", "old", "empty", "freed"]) == sorted(os.listdir(folder))
    assert 0 == disk.free_bytes()
    for name in ("new", "old", "empty"):
        before = (folder / name).stat().st_size if (folder / name).exists() else 0
        assert "ENOSPC" == append(folder / name, 380), name
        assert before == (folder / name).stat().st_size
    assert 380 == append(folder / "a/young", 380)
    assert 4096 - 1140 == append(folder / "a/young", 4096)
    assert "ENOSPC" == append(folder / "a/young", 1)
    (folder / "freed").unlink()
    assert 20_480 == disk.free_bytes()
    assert full.filler_bytes + 20_480 == disk.fill().filler_bytes
    assert "ENOSPC" == append(folder / "new", 1)
    disk.relieve()
    disk.relieve()
    assert 380 == append(folder / "new", 380)
    busy = (folder / "new").open("rb")
    disk.fill()
    disk.close()
    assert [] == os.listdir(folder)
    assert 380 == len(busy.read())
assert disks.Able(True, "") == disks.can_mount()
"""

CUT = """
import errno, os, sys, tempfile
from pathlib import Path
from fieldproof_simulators.machines.live import disks, mounts

able = disks.can_cut_power()
if not able.ok:
    sys.exit(able.reason)
before = mounts.mounted()
with tempfile.TemporaryDirectory() as place:
    image, folder = Path(place) / "image", Path(place) / "disk"
    folder.mkdir()
    disk = disks.PowerCutDisk(image, folder)
    with (folder / "archive").open("wb", buffering=0) as file:
        file.write(b"s" * 380)
        os.fsync(file.fileno())
        folder_fd = os.open(folder, os.O_RDONLY)
        os.fsync(folder_fd)
        os.close(folder_fd)
        file.write(b"u" * 380)
        (folder / "never synced").write_bytes(b"u" * 380)
        disk.cut()
        try:
            file.write(b"too late")
        except OSError as error:
            assert errno.EIO == error.errno
        else:
            raise AssertionError("a write after the cut succeeded")
        try:
            disk.remount()
        except OSError as error:
            assert errno.EBUSY == error.errno
        else:
            raise AssertionError("the disk was unmounted under an open file")
    disk.remount()
    assert b"s" * 380 == (folder / "archive").read_bytes()
    assert not (folder / "never synced").exists()
    (folder / "archive").write_bytes(b"works again")
    disk.close()
    assert ["disk"] == os.listdir(place)
assert before == mounts.mounted()
"""


def run_isolated(script):
    """A script that runs another one in namespaces of its own."""
    return f"""
import subprocess, sys
from fieldproof_simulators.machines.live import namespaces
subprocess.run(namespaces.isolated_command([sys.executable, "-c", {script!r}]), check=True)
"""


def test_a_full_disk_takes_nothing_and_a_relieved_one_everything(start_python):
    """Full, an append of 380 bytes to a new file or at the end of a block fails and stores nothing,
    other files take what was foretold and not a byte more, until the disk is relieved."""
    with start_python(run_isolated(FULL)) as running:
        assert 0 == running.wait()


def test_the_filler_goes_with_its_process(isolated):
    """A disk that was filled by a process that is killed is not full any more."""
    assert "0 65536\n" == isolated(
        """
import os, signal, sys, tempfile
from pathlib import Path
from fieldproof_simulators.machines.live import disks
with tempfile.TemporaryDirectory() as place:
    disk = disks.SmallDisk(Path(place), 65536)
    read_fd, write_fd = os.pipe()
    child_pid = os.fork()
    if child_pid == 0:
        disk.fill()
        os.write(write_fd, b"full")
        signal.pause()
    os.read(read_fd, 4)
    full = disk.free_bytes()
    os.kill(child_pid, signal.SIGKILL)
    os.wait()
    print(full, disk.free_bytes())
    disk.close()
"""
    )


@pytest.mark.skipif(mounts.is_in_user_namespace(), reason="the tests run in a user namespace")
def test_nothing_is_mounted_on_the_machine_itself(tmp_path):
    """Outside of namespaces of our own a small disk is refused, with the reason, also to root."""
    before = mounts.mounted()
    able = disks.can_mount()
    assert not able.ok
    assert "run it isolated" in able.reason
    with pytest.raises(PermissionError, match="run it isolated"):
        disks.SmallDisk(tmp_path, 4096)
    assert before == mounts.mounted()


def test_a_power_cut_takes_what_was_not_synced():
    """After a cut a write fails, and after mounting again the synced bytes are there and no others,
    and the disk works."""
    private = ["unshare", "--mount", "--propagation", "private", sys.executable, "-c", CUT]
    done = subprocess.run(private, capture_output=True, text=True, check=False)
    if done.returncode == 1 and "Traceback" not in done.stderr:
        pytest.skip(done.stderr.strip())
    assert (0, "") == (done.returncode, done.stderr)


def test_without_rights_there_is_no_power_cut_and_a_reason(start_python):
    """In a user namespace a power cut is refused, with what it needs."""
    script = """
from fieldproof_simulators.machines.live import disks
able = disks.can_cut_power()
assert not able.ok
assert "root of the machine" in able.reason, able
"""
    with start_python(run_isolated(script)) as running:
        assert 0 == running.wait()


def test_a_missing_tool_is_named(tmp_path, monkeypatch):
    """Without the tool that makes file systems, the reason names it and its package."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(disks.os, "geteuid", lambda: 0)
    monkeypatch.setattr(disks.mounts, "is_in_user_namespace", lambda: False)
    able = disks.can_cut_power()
    assert not able.ok
    assert "mkfs.ext4" in able.reason
    assert "apt-get install e2fsprogs" in able.reason


def test_a_disk_that_cannot_be_made_leaves_no_image(tmp_path, monkeypatch):
    """Where mounting fails, the error has the tool's words, and the image is removed."""
    for tool in ("mkfs.ext4", "mount"):
        Path(tmp_path / tool).write_text("#!/bin/sh\necho no loop devices >&2\nexit 32\n")
        Path(tmp_path / tool).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "disk").mkdir()
    with pytest.raises(OSError, match="no loop devices"):
        disks.PowerCutDisk(tmp_path / "image", tmp_path / "disk")
    assert not (tmp_path / "image").exists()
