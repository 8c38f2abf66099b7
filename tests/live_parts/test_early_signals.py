"""The reference's programs are asked to end while they are coming up."""

import signal
import subprocess
import sys

import pytest

WAITS = """
import signal, sys
class Waits:
    def find_spec(self, name, path, target=None):
        if name == "fieldproof_reference.programs":
            heavy = {"argparse", "socket", "fieldproof_reference.config"} & sys.modules.keys()
            print("importing", sorted(heavy), flush=True)
            while True:
                signal.pause()
sys.meta_path.insert(0, Waits())
from fieldproof_reference import __main__ as programs
sys.exit(programs.ROLE([]))
"""

OPENING = """
import os, signal, sys
from fieldproof_reference import __main__ as programs
from fieldproof_reference.live import process
tree = process.Tree
def asked(*given):
    os.kill(os.getpid(), signal.SIGNAL)
    return tree(*given)
process.Tree = asked
sys.exit(programs.center([]))
"""

RESTORED = """
import signal, sys
from fieldproof_reference import __main__ as programs
before = [signal.getsignal(number) for number in programs.EARLY]
programs.main(["edge", "--no-such-word"]) if sys.argv[1:] else programs.edge([])
assert before == [signal.getsignal(number) for number in programs.EARLY]
"""


def start(program, tmp_path):
    """A Python program as a process, told to be a center on loopback."""
    told = {
        "FIELDPROOF_ROLE": "center",
        "FIELDPROOF_ARCHIVE": str(tmp_path / "disk"),
        "FIELDPROOF_LISTEN": "127.0.0.1:24985",
        "FIELDPROOF_SITES": str(tmp_path / "sites.json"),
    }
    (tmp_path / "sites.json").write_text("{}")
    argv = [sys.executable, "-c", program]
    return subprocess.Popen(argv, env=told, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize("role", ["edge", "center"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_program_that_is_still_importing_ends_in_good_order(role, number, tmp_path):
    """Before anything heavy is imported SIGHUP does nothing, and SIGTERM ends it with 0."""
    with start(WAITS.replace("ROLE", role), tmp_path) as process:
        assert b"importing []\n" == process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        process.send_signal(number)
        assert 0 == process.wait(20)
        assert b"" == process.stderr.read()


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
def test_a_signal_while_the_disk_is_opened_is_heard(number, tmp_path):
    """A signal that comes while the process opens its things is heard once they are open."""
    with start(OPENING.replace("SIGNAL", number), tmp_path) as process:
        assert 0 == process.wait(20), process.stderr.read()
        assert b"ends in good order" in process.stderr.read()


def test_signals_mean_what_they_meant_once_a_program_has_returned(tmp_path):
    """Who calls a program as a function has its own handlers back."""
    with start(RESTORED, tmp_path) as process:
        assert 0 == process.wait(20), process.stderr.read()
