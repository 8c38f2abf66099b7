"""The edge and the center as processes: killed, stopped, unplugged, and what they leave behind.

A burst of A/D words stands for minutes of them: the process is frozen while they come, and samples
that are read together are taken as 1/60 s apart, the last of them as just arrived, so that records
are finished as soon as they are read.
"""

import json
import random
import resource
import signal
import socket
import time
from pathlib import Path

import pytest

from fieldproof_reference import ports
from fieldproof_reference.formats import idx, trees, xrio

BURST_S = 130  # two records, and a third that is open; less than what a PTY holds
UP = "line riometer is up"


def records(process):
    """Every record of the archive; the files hold nothing else."""
    found = []
    for path, data in process.hour_files.items():
        spans = xrio.walk(data)
        assert all(span.valid for span in spans), path
        found += [data[span.offset : span.offset + span.size] for span in spans]
    return found


def count(process):
    """How many records the archive holds, whatever else it holds."""
    return sum(span.valid for data in process.hour_files.values() for span in xrio.walk(data))


@pytest.fixture
def burst(edge, cable, bench):
    """A function that sends the edge what so many seconds bring, all at once."""

    def send(seconds=BURST_S):
        stat = Path(f"/proc/{edge.running.pid}/stat")
        edge.signal(signal.SIGSTOP)
        edge.until(lambda: ") T " in stat.read_text())
        data = bench.words(seconds)
        cable.send(data)
        edge.until(lambda: cable.waiting == min(len(data), bench.READABLE))
        edge.signal(signal.SIGCONT)

    return send


@pytest.fixture
def live(edge, burst):
    """A function that starts the edge and lets it file the records of one burst."""

    def go():
        edge.start()
        edge.until_said(UP)
        before = count(edge)
        burst()
        edge.until(lambda: count(edge) >= before + 2)
        return edge

    return go


# --- deaths ---------------------------------------------------------------------------------------


def test_a_killed_edge_goes_on_and_declares_what_it_lost(edge, burst, bench):
    """Lives end at random moments, some of them with torn files: every record decodes, torn tails
    are moved aside, each life is noted, and each loss is declared from where records end."""
    source = random.Random(5)
    for life in range(5):
        edge.start()
        moment = source.choice(("at once", "burst", "record", "record"))
        if moment != "at once":
            edge.until_said(UP)
            before = count(edge)
            burst(BURST_S if moment == "record" else source.uniform(1, BURST_S))
        if moment == "record":
            edge.until(lambda before=before: count(edge) > before)
        edge.kill()
        if life % 2:
            tear(edge)
    killed_s = time.time()
    bench.until(lambda: time.time() > killed_s + 1, "the second after the last kill")
    edge.start()
    edge.until_said("loss declared")
    assert 0 <= edge.stop() < 2
    assert all(b"DAWS" == record[4:8] for record in records(edge))
    newest_s = max(xrio.timestamp_s(record) for record in records(edge)) + 60
    losses = edge.json_lines("declared/daws.jsonl")
    assert {"killed"} <= {loss["why"] for loss in losses} <= {"killed", "stopped"}
    assert all(loss["from_s"] < loss["until_s"] for loss in losses)
    ended_s = edge.json_lines("lives/daws.jsonl")[-1]["ended_s"]
    covered_s = newest_s
    for loss in sorted(losses, key=lambda loss: loss["from_s"]):
        if loss["until_s"] > covered_s:
            assert loss["from_s"] <= covered_s
            covered_s = loss["until_s"]
    assert ended_s < covered_s


def tear(edge):
    """What a power cut could leave: half a record, half a line."""
    for path in [*edge.hour_files][-1:]:
        with (edge.disk / path).open("ab") as file:
            file.write(b"XRIODAWS0half a record")
    for name in ("declared", "lives"):
        path = edge.disk / name / "daws.jsonl"
        if path.exists():
            with path.open("ab") as file:
                file.write(b'{"from_s": 11374')


def test_sigterm_ends_in_good_order(live, bench):
    """Within two seconds and with code 0; records that were finished are on the disk, the open one
    is declared, and so is, by the next life, the time between."""
    edge = live()
    assert edge.stop() < 2
    assert 2 == len(records(edge))
    (loss,) = edge.json_lines("declared/daws.jsonl")
    newest_s = max(map(xrio.timestamp_s, records(edge))) + 60
    assert (newest_s, "stopped") == (loss["from_s"], loss["why"])
    assert ["began_s", "ended_s"] == [key for mark in _marks(edge) for key in mark]
    assert "daws ends in good order." in edge.said
    bench.until(lambda: time.time() > loss["until_s"], "the second after the end")
    edge.start()
    edge.until(lambda: 2 == len(edge.json_lines("declared/daws.jsonl")))
    second = edge.json_lines("declared/daws.jsonl")[1]
    assert (loss["until_s"], "stopped") == (second["from_s"], second["why"])
    edge.stop()


def _marks(edge):
    return edge.json_lines("lives/daws.jsonl")


def test_an_edge_without_a_port_can_be_stopped(edge, cable):
    """A line that never came up keeps nobody from ending."""
    cable.pull()
    edge.start()
    edge.until_said("line riometer is down: No such file or directory")
    assert edge.stop() < 2


def test_sighup_opens_logs_and_line_anew(live, tmp_path):
    """After logs were moved away, their names are new files; the line went down and up."""
    edge = live()
    edge.signal(signal.SIGHUP)
    edge.until_said("log files and serial lines were opened again.")
    assert 2 == edge.said.count(UP)
    moved = edge.events_path.with_suffix(".1")
    edge.events_path.rename(moved)
    edge.signal(signal.SIGHUP)
    edge.until(edge.events_path.exists)
    assert edge.stop() < 2
    assert ["loss declared"] == [line["said"] for line in edge.events]
    assert b"" == moved.read_bytes()


def test_a_cable_is_pulled_and_plugged(live, cable, bench):
    """The process lives on and reads what comes then, which is more than any buffer of a port
    holds."""
    edge = live()
    cable.pull()
    edge.until_said("line riometer is down")
    cable.plug()
    edge.until(lambda: 2 == edge.said.count(UP))
    cable.send(bench.words(2 * BURST_S))
    assert edge.stop() < 2
    assert 2 == len(records(edge))


# --- the machine ----------------------------------------------------------------------------------


def test_a_second_edge_on_one_folder_is_refused(live, make_process):
    """One sentence, exit code 69, and the first goes on; a view of it is allowed."""
    edge = live()
    second = make_process("edge", edge.environment | {"FIELDPROOF_ADDRESS": "127.0.0.1"}, "second")
    second.environment["FIELDPROOF_ARCHIVE"] = str(edge.disk)
    second.start()
    assert 69 == second.ended()
    sentence = f"The folder {edge.disk} is in use by another process: stop that one first."
    assert f"fieldproof-edge: {sentence}" == second.said.strip()
    assert edge.stop() < 2


def test_a_port_in_use_is_a_sentence(edge, own_address):
    """The source port of telemetry is taken at the start, not with the first record."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((own_address, ports.SOURCE))
        edge.start()
        assert 69 == edge.ended()
    said = f"This needs its ports: UDP port {ports.SOURCE} of {own_address}: Address already in use"
    assert f"fieldproof-edge: {said}.\n" in edge.said


@pytest.mark.parametrize("name", ["FIELDPROOF_CLOCK", "FIELDPROOF_EVENTS", "FIELDPROOF_LOG"])
def test_what_cannot_be_opened_is_a_sentence(edge, tmp_path, name):
    """A clock, an event log and a log in a folder that is not there: exit code 69."""
    edge.environment[name] = str(tmp_path / "none" / "file")
    edge.start()
    assert 69 == edge.ended()
    assert "file: No such file or directory." in edge.said


def test_a_full_disk_costs_nothing_while_memory_lasts(edge, burst):
    """Short writes leave no half record; when there is room again, the stop files what waited."""
    edge.environment.pop("FIELDPROOF_EVENTS")
    edge.environment["FIELDPROOF_LOG"] = "/dev/null"
    edge.start()
    edge.until(lambda: edge.disk.joinpath("lives/daws.jsonl").exists())
    soft, hard = resource.prlimit(edge.running.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(edge.running.pid, resource.RLIMIT_FSIZE, (700, hard))
    burst()
    edge.until(lambda: records(edge))
    assert 1 == len(records(edge))
    resource.prlimit(edge.running.pid, resource.RLIMIT_FSIZE, (soft, hard))
    assert edge.stop() < 2
    seconds = [xrio.timestamp_s(record) for record in records(edge)]
    assert 2 == len(seconds)
    assert sorted(seconds) == seconds


def test_an_edge_lives_at_another_date_and_follows_its_clock(live, edge, bench, tmp_path):
    """Labels come from the clock file; a clock that is stepped between two lives labels the second
    by its new time."""
    clock = bench.ClockFile(tmp_path / "clock")
    edge.environment["FIELDPROOF_CLOCK"] = str(clock.path)
    begins_s = 1_137_515_046  # 2006-01-17T16:24:06Z
    for step_s in (0, 86_400):
        clock.set((begins_s + step_s) * 10**9)
        live().kill()
    days = {trees.parse_hour_path(path).utc_s // 86_400 for path in edge.hour_files}
    assert {begins_s // 86_400, begins_s // 86_400 + 1} == days
    assert "2006-01-17T16:24:0" in edge.said
    assert ["killed"] == [loss["why"] for loss in edge.json_lines("declared/daws.jsonl")]


def test_an_edge_is_small(live):
    """A riometer edge has not loaded numpy, and is resident in less than 40 MB."""
    edge = live()
    proc = Path(f"/proc/{edge.running.pid}")
    maps, status = (proc / "maps").read_text(), (proc / "status").read_text().split()
    assert "numpy" not in maps
    assert int(status[status.index("VmRSS:") + 1]) < 40_000
    assert edge.stop() < 2


# --- edge and center ------------------------------------------------------------------------------


@pytest.fixture
def center(make_process, own_address, bench, tmp_path):
    """A center that knows the edge, at an address of these tests alone, too."""
    net, second, *rest = own_address.split(".")
    address = ".".join((net, str(int(second) + 64), *rest))
    sites = tmp_path / "sites.json"
    sites.write_text(json.dumps({"daws": {"address": own_address, "key": bench.KEY}}))
    told = {"FIELDPROOF_LISTEN": f"{address}:{bench.PORT}", "FIELDPROOF_SITES": str(sites)}
    center = make_process("center", {"FIELDPROOF_ROLE": "center"} | told)
    center.address = address
    return center


def test_records_cross_from_the_edge_to_the_center(center, edge, live, bench):
    """What the edge filed arrives in the center's raw tree, byte for byte and from the source port
    of 2006, and is there after the center was killed."""
    edge.environment["FIELDPROOF_CENTER"] = f"{center.address}:{bench.PORT}"
    center.start()
    center.until_said("center begins")
    live()
    center.until(lambda: 2 == len(arrived(center)))
    center.kill()
    center.start()
    center.until_said("center begins")
    assert center.stop() < 2
    assert edge.stop() < 2
    assert records(edge) == [data for _, data in arrived(center)]
    own = (edge.environment["FIELDPROOF_ADDRESS"], ports.SOURCE)
    assert {own} == {tuple(source) for source, _ in arrived(center)}


def arrived(center):
    """The sources and contents of the datagrams that the center keeps."""
    found = []
    for index in sorted(center.disk.glob("udp/**/*.idx")):
        data = index.with_suffix(".dat").read_bytes()
        for line in index.read_bytes().splitlines(keepends=True):
            entry = idx.parse(line)
            found.append((entry.source, data[entry.offset : entry.offset + entry.size]))
    return found


def test_a_foreign_archive_is_served_as_it_grows(make_process, bench, own_address):
    """`serve` looks at a folder that somebody else writes, without taking it for itself."""
    environment = bench.edge_environment("/dev/null", own_address)
    serving = make_process("serve", environment | {"FIELDPROOF_ROLE": ""})
    path = "riometer/2006/01/17/daws_xrio/20060117_16_daws_xrio.dat"
    serving.start()
    serving.until_said("daws begins")
    file = serving.disk / path
    file.parent.mkdir(parents=True)
    file.write_bytes(b"XRIO" * 100)
    got = bytearray()
    with socket.create_connection((own_address, ports.ARCHIVE_OF_ANOTHER), 10) as asking:
        asking.sendall(f"GET /{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        while data := asking.recv(65_536):
            got += data
    assert got.startswith(b"HTTP/1.1 200 ")
    assert got.endswith(b"XRIO" * 100)
    assert serving.stop() < 2
    assert not (serving.disk / ".lock").exists()


def test_people_are_told_how_things_stand(edge, burst):
    """The status line has the line, what was no sample, what was filed and what was declared."""
    program = (
        "import sys; from fieldproof_reference import __main__ as programs\n"
        "from fieldproof_reference.live import process\n"
        "process.STATUS_NS = 20_000_000\n"
        "sys.exit(programs.edge([]))"
    )
    edge.command = [edge.command[0], "-c", program]
    edge.start()
    edge.until_said(UP)
    burst()
    edge.until_said("records filed 2")
    newest = max(map(xrio.timestamp_s, records(edge)))
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(newest))
    expected = (
        "status: line riometer up, 15600 bytes; acquire: bytes discarded 0; "
        f"filing: records filed 2, newest {text}, waiting 0; lives: losses declared 0."
    )
    edge.until_said(expected)
    assert edge.stop() < 2


def test_all_nodes_dead_is_the_end(make_process, bench, own_address, tmp_path):
    """A process without nodes ends with code 1, and its last words say what each node died of."""
    broken = make_process("edge", bench.edge_environment("/dev/null", own_address))
    program = (
        "import sys; from fieldproof_reference import hosts, __main__ as programs\n"
        "class Dies:\n"
        "    def __init__(self, settings): raise RuntimeError('at once')\n"
        "hosts.EDGE = {'acquire': (Dies, ())}\n"
        "sys.exit(programs.edge([]))"
    )
    broken.command = [broken.command[0], "-c", program]
    broken.start()
    assert 1 == broken.ended()
    assert "acquire: the node died, the others go on: RuntimeError('at once')" in broken.said
    assert "daws ends: no node is left." in broken.said
    assert ["node died"] == [line["fact"] for line in broken.events]
