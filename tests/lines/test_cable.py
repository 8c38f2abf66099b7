"""A cable is a real socat: plugged, pulled, put back, and gone without a trace."""

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import serial

from fieldproof_simulators.lines.live.socat import Cable, CableBroken

pytestmark = pytest.mark.needs("socat")

PATIENCE_S = 20.0

PARENT = """
import sys, time
from pathlib import Path
from fieldproof_simulators.lines.live.socat import Cable
cable = Cable(Path(sys.argv[1]), Path(sys.argv[2]))
print(cable.pid, flush=True)
time.sleep(600)
"""


def read(descriptor: int, size: int) -> bytes:
    """So many bytes, waited for."""
    data, give_up_s = b"", time.monotonic() + PATIENCE_S
    while (
        len(data) < size and select.select((descriptor,), (), (), give_up_s - time.monotonic())[0]
    ):
        data += os.read(descriptor, size - len(data))
    return data


def until(condition) -> bool:
    """Whether something comes to be true."""
    give_up_s = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > give_up_s:
            return False
        os.sched_yield()
    return True


def opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_NOCTTY)


def test_bytes_cross_unchanged(cable):
    """All 256 values go through in both directions, and only the owner may open the ends."""
    every = bytes(range(256))
    ends = [opened(end) for end in (cable.instrument_end, cable.system_end)]
    try:
        for one, other in (ends, ends[::-1]):
            os.write(one, every)
            assert every == read(other, 256)
        modes = {
            oct(end.stat().st_mode & 0o777) for end in (cable.instrument_end, cable.system_end)
        }
        assert {"0o600"} == modes
    finally:
        for end in ends:
            os.close(end)


def test_a_stranger_reads_the_other_end(cable):
    """Another program opens the system's end by its name and reads what the instrument sends."""
    command = ["head", "-c", "6", str(cable.system_end)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as reader:
        instrument = opened(cable.instrument_end)
        os.write(instrument, b"\x80\x01\x80\x0d\x80\x03")
        assert b"\x80\x01\x80\x0d\x80\x03" == reader.communicate(timeout=PATIENCE_S)[0]
        os.close(instrument)


def test_unplug_and_replug(cable):
    """A reader learns of the unplugging, nobody finds the port meanwhile, and it comes back under
    its name."""
    with serial.Serial(str(cable.system_end), timeout=PATIENCE_S) as port:
        cable.unplug()
        with pytest.raises(OSError):
            port.read(1)
    assert (False, None) == (cable.is_plugged, cable.pid)
    with pytest.raises(FileNotFoundError):
        opened(cable.system_end)
    assert [] == list(cable.system_end.parent.iterdir())
    cable.replug()
    with serial.Serial(str(cable.system_end), 9600, timeout=PATIENCE_S) as port:
        instrument = opened(cable.instrument_end)
        os.write(instrument, b"back")
        assert b"back" == port.read(4)
        os.close(instrument)


def test_out_of_turn(cable):
    """A plugged cable cannot be plugged in, nor an unplugged one pulled."""
    with pytest.raises(ValueError, match="is plugged"):
        cable.replug()
    cable.unplug()
    with pytest.raises(ValueError, match="unplugged already"):
        cable.unplug()


def test_close_leaves_nothing(cable):
    """After `close` there is no process and no name, and its log has what socat said."""
    pid = cable.pid
    cable.close()
    cable.close()
    assert not Path(f"/proc/{pid}").exists()
    assert [] == list(cable.system_end.parent.iterdir())
    said = (cable.system_end.parents[1] / "socat.log").read_text()
    assert (2, 1) == (said.count("PTY is /dev/pts/"), said.count("starting data transfer loop"))
    assert said.splitlines()[-1].endswith("exit(143)")


def test_its_words_never_stop_the_line(cable):
    """socat's output is non-blocking, so that a reader who does not read cannot hold it up."""
    told = Path(f"/proc/{cable.pid}/fdinfo/2").read_text()
    flags = int(told.partition("flags:")[2].split()[0], 8)
    assert os.O_NONBLOCK == flags & os.O_NONBLOCK
    cable.drain()  # and nobody has to, but may


def test_a_name_that_is_not_ours_stays(cable):
    """A link that somebody put in the place of ours is not removed."""
    cable.system_end.unlink()
    cable.system_end.symlink_to("/dev/null")
    cable.unplug()
    assert "/dev/null" == str(cable.system_end.readlink())
    assert not cable.instrument_end.is_symlink()


def test_a_socat_that_died_by_itself_is_noticed(cable):
    """Somebody else's kill shows, and what is left is cleared away."""
    os.kill(cable.pid, signal.SIGKILL)
    assert until(lambda: not cable.is_plugged)
    cable.close()
    assert [] == list(cable.system_end.parent.iterdir())


def test_it_dies_with_its_parent_and_takes_its_names_along(tmp_path):
    """When whoever made the cable is killed, socat ends and removes both names."""
    folder = tmp_path / "daws"
    folder.mkdir()
    command = [sys.executable, "-c", PARENT, str(folder), str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        assert 2 == len(list(folder.iterdir()))
        parent.kill()
    assert until(lambda: not is_alive(pid))
    assert [] == list(folder.iterdir())


def is_alive(pid: int) -> bool:
    """Whether there is such a process that has not ended; nobody may wait for an orphan here."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_no_socat(tmp_path, monkeypatch):
    """A machine without socat says so in one sentence."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CableBroken, match="made no cable"):
        Cable(tmp_path, tmp_path / "log")


def test_a_folder_that_is_not_there(tmp_path):
    """A cable needs a folder for its names."""
    with pytest.raises(CableBroken, match="no folder"):
        Cable(tmp_path / "missing", tmp_path / "log")


def test_a_real_cable_is_left_alone(tmp_path):
    """Between two real devices there is no socat, and nothing to pull."""
    real = Cable.between("/dev/ttyUSB0", "/dev/ttyUSB1")
    real.unplug()
    real.replug()
    real.close()
    assert (True, True, None) == (real.is_real, real.is_plugged, real.pid)
