"""What a system may take of the machine, and what is noted of one that no kill ends."""

import select
from types import SimpleNamespace

import pytest

from fieldproof.live import hosts, stage
from fieldproof.live.calendar import Calendar
from fieldproof.live.hosts import LiveHost, Place
from fieldproof.live.messages import NotHere
from fieldproof_simulators.machines.clock import HostClock, TrueUtc
from fieldproof_simulators.machines.live.clock import ClockFile
from fieldproof_simulators.machines.live.ledger import Ledger
from fieldproof_simulators.machines.live.processes import Exit, Usage


@pytest.fixture
def make_host(tmp_path):
    """Makes a host of the plain machine for a shell command; facts are entered in a list."""
    made = []

    def make(script, facts):
        place = Place(
            name="daws",
            address="127.0.0.2",
            disk=tmp_path,
            netns=None,
            log=tmp_path / "log",
            commands=[["sh", "-c", script]],
            told={},
            cage=None,
        )
        calendar = Calendar(0)
        clock, file = HostClock(TrueUtc(0)), ClockFile(tmp_path / "clock")

        def fact(*where_and_what, **detail):
            facts.append((*where_and_what, detail))

        host = LiveHost(place, clock, file, calendar, Ledger(tmp_path), fact)
        made.append((host, file, calendar))
        return host

    yield make
    for host, file, calendar in made:
        host.kill()
        file.close()
        calendar.close()


def test_a_system_writes_no_file_beyond_the_limit(make_host, tmp_path):
    """A file grows to the limit and not by a byte more."""
    most, more = tmp_path / "most", tmp_path / "more"
    most_bytes = hosts.MOST_FILE_BYTES
    script = f"truncate -s {most_bytes} {most}; : > {more}; truncate -s {most_bytes + 1} {more}"
    host = make_host(f"{script}; exit 3", [])
    host.boot()
    while not (how := host.ended()):
        select.select((), (), (), 0.002)
    assert 3 == how.code
    assert [most_bytes, 0] == [most.stat().st_size, more.stat().st_size]


class Undying:
    """A process that a kill does not end."""

    pid = 7
    mark = ""
    survivors = (7, 8)

    def __init__(self, *args, **given):
        self.given = given

    def kill(self):
        return Exit(-9)

    def usage(self):
        return Usage(0.0, 0.0, 0)


def test_what_no_kill_ends_is_a_fact(make_host, monkeypatch):
    """Of a host whose processes outlive a kill the pids are noted, once for each kill, and nothing
    is noted of others."""
    facts = []
    make_host("true", facts)
    host = make_host("exec sleep 600", facts)
    host.boot()
    host.kill()
    assert [] == facts
    monkeypatch.setattr(hosts, "HostProcess", Undying)
    host.boot()
    host.kill()
    host.kill()
    assert [("daws", "survived", {"pids": "7 8"})] == facts


def test_a_full_disk_of_the_machine_ends_the_run(tmp_path, monkeypatch):
    """Where less than the reserve is free, the stage's look ends the run with a sentence that says
    what to do, before any system is judged."""
    built = SimpleNamespace(request=SimpleNamespace(run_dir=str(tmp_path)))
    monkeypatch.setattr(stage, "RESERVE_BYTES", 1 << 62)
    with pytest.raises(NotHere, match=r"has only \d+ MB left.*--runs"):
        stage.Stage._look(SimpleNamespace(built=built))
