"""A whole run, as one of its systems sees it: a spy in the place of an edge, who then declines."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fieldproof.checks import accounted
from fieldproof.scenario import Center, Link, Riometer, Scenario, Site, to_json
from fieldproof.verdict import Exit
from fieldproof_simulators.machines.live.isolation import can_isolate

SPY = """
import json, os, signal, sys
told = {name[11:]: os.environ[name] for name in os.environ if name.startswith("FIELDPROOF_")}
if told["SITE"] != "daws":
    signal.pause()
run = told["ARCHIVE"].rpartition("/disks/")[0]
runtime = os.path.dirname(os.path.dirname(told["CLOCK"]))
line = os.open(told["SERIAL"], os.O_RDWR | os.O_NOCTTY)
words = b""
while len(words) < 20:
    words += os.read(line, 20)
seen = {
    "files": sorted(
        os.path.relpath(os.path.join(folder, name), root)
        for root in (run, runtime) for folder, _, names in os.walk(root) for name in names
    ),
    "disks": os.listdir(run + "/disks"),
    "terminals": os.listdir("/dev/pts"),
    "processes": sorted(int(name) for name in os.listdir("/proc") if name.isdecimal()),
    "words": all(byte & 0x80 for byte in words[::2]) or all(byte & 0x80 for byte in words[1::2]),
    "clock": told["CLOCK"],
}
with open(told["EVENTS"], "a") as events:
    events.write("no event\\n")
with open(told["ARCHIVE"] + "/mine", "w") as file:
    file.write("x")
print("SEEN", json.dumps(seen), flush=True)
sys.exit(77)
"""

TWO = Scenario(
    name="spied-upon",
    story="Two sites, of which one looks around.",
    starts="2006-01-17T08:10:00Z",
    lasts="59s",
    lead="10s",
    links=(Link("sky"),),
    nodes=(
        Site("daws", "sky", "198.51.100.1", instruments=(Riometer(),)),
        Site("chur", "sky", "198.51.100.2", instruments=(Riometer(),)),
        Center(),
    ),
    checks=(accounted(),),
    tiers=("live",),
    fidelity="words",
    settles_within="1s",
)


@pytest.fixture
def spy(tmp_path):
    """Plays a scenario with a spy for an edge; what it saw, and the run directory."""

    def play(*words):
        (tmp_path / "spy.py").write_text(SPY)
        (tmp_path / "capsule.json").write_bytes(to_json(TWO, 4711))
        argv = [sys.executable, "-m", "fieldproof", "run", str(tmp_path / "capsule.json")]
        argv += ["--tier", "live", "--quiet", "--runs", str(tmp_path / "runs"), *words]
        argv += ["--edge", f"{sys.executable} -IS {tmp_path / 'spy.py'}"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert Exit.NOTHING == done.returncode, done.stderr + done.stdout
        run_dir = tmp_path / "runs" / "spied-upon-0001"
        said = (run_dir / "processes/daws.log").read_text()
        (line,) = (line for line in said.splitlines() if line.startswith("SEEN "))
        return json.loads(line.removeprefix("SEEN ")), run_dir

    return play


@pytest.mark.needs("socat")
def test_an_isolated_system_sees_what_is_its_own(spy):
    """Of the whole run a system finds its disk, its event log, its clock and its serial port, which
    brings words, and no process but itself and the keeper."""
    able = can_isolate()
    if not able.ok:
        pytest.skip(f"{able.reason} {able.fix}")
    seen, run_dir = spy()
    name = Path(seen["clock"]).parent.name
    port = {f"{name}/ports/daws/tty", f"{name}/ports/daws/terminal-1"}
    own = {f"{name}/clock-daws", "processes/daws.events.jsonl", *port}
    assert own == {file for file in seen["files"] if not file.startswith("disks/daws/")}
    assert ["daws"] == seen["disks"]
    assert ["ptmx"] == seen["terminals"]
    assert [1, 2] == seen["processes"]
    assert seen["words"]
    assert "x" == (run_dir / "disks/daws/mine").read_text()
    assert "no event\n" == (run_dir / "processes/daws.events.jsonl").read_text()
    assert {"scenario.json", "world.json"} <= {path.name for path in run_dir.iterdir()}
    assert not Path(seen["clock"]).parent.exists()


@pytest.mark.needs("socat")
def test_on_the_plain_machine_the_spy_would_see_it(spy):
    """The spy is a good one: on the plain machine it finds the scenario, facts and other disks."""
    seen, _ = spy("--isolate", "none")
    assert {"scenario.json", "lines/facts.jsonl"} <= set(seen["files"])
    assert {"daws", "chur", "center"} == set(seen["disks"])
