"""Each way to the edge's bytes ends in the same day, says what it did, and yields to the next."""

import json
import random

import pytest

from fieldproof_contract import SECOND_NS, ApplyDelta, MakeDelta, PullTree, ServeTree
from fieldproof_reference import ports
from fieldproof_reference.center.reconcile import TRIES
from fieldproof_reference.protocols.repair import Codec, kind

MINUTES = range(1_260, 1_440)  # from 21:00 on
LOST = (1_263, 1_321, 1_387)
ARRIVALS = {"udp/2006/01/17/206.172.47.234/ut22_25000.dat": b""}
TOOLS = {"xdelta": "xdelta3", "rsync": "rsync"}
METHODS = [
    pytest.param(name, marks=[pytest.mark.needs(TOOLS[name])] if name in TOOLS else [])
    for name in ("repair", "xdelta", "rsync", "http-range")
]
OTHERS = METHODS[1:]


def day_files(kit, lost=(), minutes=MINUTES):
    return kit.filed([kit.record(60 * n + 5) for n in minutes if n not in lost])


@pytest.fixture
def scene(kit):
    """Makes an edge that has a day and a center that has less of it, a minute before midnight."""

    def make(method, files=None, lost=LOST, edge_files=None):
        world = kit.World(kit.DAY_S + 86_340)
        edge_files = day_files(kit) if edge_files is None else edge_files
        edge = world.host(kit.EDGE_ADDRESS, kit.Disk(edge_files), *kit.edge_parts())
        edge.disk.written_s = lambda path: 1_137_500_000
        files = day_files(kit, lost) if files is None else files
        disk = kit.Disk({**ARRIVALS, **files})
        center = world.host(kit.CENTER_ADDRESS, disk, *kit.center_parts(method))
        return world, edge, center

    return make


def canonical(host):
    return host.disk.under("riometer/", ".dat")


def notes(host, what="restored"):
    data = host.disk.files.get("provenance/2006/01/17/daws.jsonl", b"")
    return [note for note in map(json.loads, data.splitlines()) if note["what"] == what]


def logged(host, what):
    return [log.detail for log in host.logs if log.what == what]


def is_proven(edge, center):
    """The day is the edge's, the center says so, and nothing is left in staging."""
    return (
        canonical(edge) == canonical(center)
        and notes(center, "confirmed") != []
        and not center.disk.under("staging/")
    )


# --- what each of them does ---


@pytest.mark.parametrize("method", METHODS)
def test_three_lost_records(scene, method):
    """The day is the edge's at the first try; the log and every stretch's note name the method
    (I4), and nothing else was asked for."""
    world, edge, center = scene(method)
    world.run(1_000)
    assert is_proven(edge, center)
    (repaired,) = logged(center, "repaired")
    assert (method, "gaps") == (repaired["method"], repaired["step"])
    assert {method} == {note["method"] for note in notes(center)}
    assert {True} == {"utc_ns" in note for note in [*notes(center), *notes(center, "confirmed")]}
    assert ([], []) == (logged(center, "method failed"), logged(center, "answer not usable"))
    asked = [sent.data for _, sent in center.sent if sent.port == ports.REPAIR]
    assert len(asked) == (method in ("repair", "xdelta"))


@pytest.mark.parametrize("method", METHODS)
def test_every_record_has_its_note(kit, scene, method):
    """What came lies in the stretches that the notes name, and is counted there (I4)."""
    world, _, center = scene(method)
    world.run(1_000)
    for n in LOST:
        (note,) = [one for one in notes(center) if one["after_s"] < 60 * n + 5 < one["before_s"]]
        assert note["bytes"] == 380 * note["items"] > 0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "spoil",
    ["nothing", "no file", "an extra hour", "a flipped bit", "torn", "all lost", "an extra record"],
)
def test_whatever_the_center_has(kit, scene, method, spoil):
    """Any damage at the center leads to the edge's day, at whatever price; what has to leave it
    goes to quarantine."""
    files, gone = day_files(kit, LOST), set()
    path = kit.path(22)
    match spoil:
        case "no file":
            del files[path]
        case "an extra hour":
            files[kit.path(3)] = kit.record(3 * 3_600)
            gone = {kit.record(3 * 3_600)}
        case "a flipped bit":
            gone = {files[path][380:480] + b"\x55" + files[path][481:760]}
            files[path] = files[path][:480] + b"\x55" + files[path][481:]
        case "torn":
            files[path] = files[path][:3_900]
        case "all lost":
            files = {}
        case "an extra record":
            files[path] += kit.record(82_790)
            gone = {kit.record(82_790)}
    world, edge, center = scene(method, files)
    world.run(4_000)
    assert is_proven(edge, center)
    assert gone <= set(center.disk.under("quarantine/", ".bin").values())


@pytest.mark.parametrize("method", METHODS)
def test_no_manifest(kit, scene, method):
    """Where the manifest is lost the digest is asked for, and the day becomes the edge's all the
    same, by its method."""
    world, edge, center = scene(method)
    world.carry = lambda port, data: [] if kind(data) == "manifest" else [(kit.DELAY_NS, data)]
    world.run(4_000)
    assert is_proven(edge, center)
    assert {method} == {note["method"] for note in notes(center)}


@pytest.mark.parametrize("method", METHODS)
def test_a_day_that_is_whole_costs_nothing(scene, method):
    """The manifest alone proves it."""
    world, edge, center = scene(method, lost=())
    world.run(1_000)
    assert is_proven(edge, center)
    assert ([], []) == (center.sent, center.ran)


@pytest.mark.parametrize("method", METHODS)
def test_many_days_at_a_start(kit, scene, method):
    """A center that lacks records of several days gets them all, one after the other where the
    method takes a connection or an engine."""
    world, edge, center = scene(method)
    for day in (-1, -2, -3):
        files = {
            kit.path(hour, kit.DAY + day): kit.record(0, salt=hour) * 3 for hour in range(20, 24)
        }
        edge.disk.files |= files
        center.disk.files |= {path: data[380:] for path, data in files.items()}
    center.disk.files["udp/2006/01/14/206.172.47.234/ut22_25000.dat"] = b""
    center.boot()
    world.run(9_000)
    assert canonical(edge) == canonical(center)
    assert 4 == len(logged(center, "confirmed"))


# --- when it cannot be had ---


def no_tool(job):
    return None if isinstance(job, ServeTree) else (b"", "it is not on this machine")


@pytest.mark.parametrize("method", METHODS[1:3])
def test_no_such_program_at_the_center(scene, method):
    """After some tries the next method has the case, the log says so, and notes name the method
    that brought the bytes."""
    world, edge, center = scene(method)
    world.engine = lambda job: no_tool(job) if not isinstance(job, MakeDelta) else None
    world.run(4_000)
    assert is_proven(edge, center)
    said = logged(center, "method failed")
    assert TRIES == len(said)
    assert (method, "repair") == (said[-1]["method"], said[-1]["next"])
    assert [method] * (TRIES - 1) == [one["next"] for one in said[:-1]]
    assert {"repair"} == {note["method"] for note in notes(center)}


def test_no_xdelta_at_the_edge(scene):
    """The edge answers the same request with records and says so; nothing fails."""
    world, edge, center = scene("xdelta")
    world.engine = lambda job: (b"", "xdelta3 is not on this machine")
    world.run(1_000)
    assert is_proven(edge, center)
    replies = [sent.data for _, sent in edge.sent if kind(sent.data) == "reply"]
    assert {Codec.COLUMNS_LZMA} == {Codec(data[2] >> 4) for data in replies}
    assert [] == center.ran
    assert 1 == len(logged(edge, "no delta"))


def test_an_edge_that_knows_no_deltas(scene, kit):
    """An edge to which the codec is unknown is silent; after some tries the next method is used."""
    world, edge, center = scene("xdelta")
    world.carry = lambda port, data: (
        [] if kind(data) == "request" and data[2] >> 4 == Codec.XDELTA else [(kit.DELAY_NS, data)]
    )
    world.run(1_000)
    assert is_proven(edge, center)
    assert ["xdelta", "xdelta", "repair"] == [
        one["next"] for one in logged(center, "method failed")
    ]


@pytest.mark.parametrize("method", ["rsync", "http-range"])
def test_a_closed_port(kit, scene, method):
    """An edge that serves nothing by TCP gets its case to the next method."""
    world, edge, center = scene(method)
    edge.parts = [part for part in edge.parts if part[1] == {ports.REPAIR} or part[1] == set()][:3]
    edge.boot()
    edge.running.clear()
    world.run(4_000)
    assert is_proven(edge, center)
    assert "repair" == logged(center, "method failed")[-1]["next"]


@pytest.mark.needs("rsync")
def test_a_daemon_that_ends_is_begun_again(scene):
    """The edge's node keeps it running, and asks less and less often where it cannot be."""
    world, edge, _ = scene("rsync", lost=())
    world.engine = lambda job: (b"", "no rsync here")
    for (index, run), job in list(edge.running.items()):
        edge.running[index, run] = job
        edge._run(index, run, job, edge.life)
    world.run(3_600)
    served = [job for job in edge.ran if isinstance(job, ServeTree)]
    assert 1 + 1 == len(served)  # in this host a daemon that is begun runs
    assert ["5"] == [str(said["wait_s"]) for said in logged(edge, "not shared")]


@pytest.mark.parametrize("method", OTHERS)
def test_a_dark_link_ends_nothing(kit, scene, method):
    """Nobody gives up: after a day without the link, whatever was tried in it, the day is the
    edge's; meanwhile the log says what is missing."""
    world, edge, center = scene(method)
    world.run(60)
    world.carry = lambda port, data: []
    world.pipe = lambda data: None
    world.engine = lambda job: None if isinstance(job, ServeTree) else (b"", "silence")
    world.run(86_000)
    assert [] == notes(center, "confirmed")
    told = logged(center, "day differs")
    assert (1, ["daws"], ["2006-01-17"]) <= (
        len(told),
        [told[0]["site"]],
        [told[0]["day"]],
    )
    for n in LOST:
        assert f"{60 * n - 55}..{60 * n + 65}" in told[0]["seconds"]
    world.carry = lambda port, data: [(kit.DELAY_NS, data)]
    world.pipe = lambda data: data
    world.engine = lambda job: None
    world.run(86_400)
    assert canonical(edge)[kit.path(22)] == canonical(center)[kit.path(22)]
    assert notes(center, "confirmed") != []


# --- interrupted at every message ---


def flipped(data, at):
    """One bit changed somewhere."""
    place = random.Random(at).randrange(len(data))
    return data[:place] + bytes((data[place] ^ 0x10,)) + data[place + 1 :]


class Interrupted:
    """Does something at the n-th message after the manifest: a datagram, a segment, a job."""

    def __init__(self, kit, world, edge, center, at, what):
        self.kit, self.world, self.hosts = kit, world, {"edge": edge, "center": center}
        self.at, self.what, self.count = at, what, -1
        world.carry, world.pipe, world.engine = self.carry, self.pipe, self.engine

    def hits(self):
        self.count += 1
        if self.count != self.at:
            return False
        victim = self.hosts.get(self.what)
        if victim is not None:
            self.world.at(1_000, victim.die)
            self.world.at(40 * SECOND_NS, victim.boot)
        return True

    def carry(self, port, data):
        delay_ns = self.kit.DELAY_NS
        if kind(data) not in ("request", "reply") or not self.hits():
            return [(delay_ns, data)]
        return {
            "lost": [],
            "flipped": [(delay_ns, flipped(data, self.at))],
            "doubled": [(delay_ns, data), (delay_ns, data), (9 * SECOND_NS, data)],
            "late": [(5 * SECOND_NS, data)],
        }.get(self.what, [(delay_ns, data)])

    def pipe(self, data):
        if not self.hits():
            return data
        fates = {"lost": b"", "cut": None, "flipped": flipped(data, self.at), "doubled": data * 2}
        return fates.get(self.what, data)

    def engine(self, job):
        if isinstance(job, ServeTree) or not self.hits():
            return None
        if self.what == "flipped" and isinstance(job, ApplyDelta | MakeDelta):
            return job.target if isinstance(job, MakeDelta) else flipped(job.source, 0), ""
        return {"lost": "hangs", "cut": (b"", "the connection broke")}.get(self.what)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("what", ["lost", "cut", "flipped", "doubled", "late", "edge", "center"])
def test_interrupted_at_every_message(kit, scene, method, what):
    """Whatever happens to any one message, and whoever dies at it, the day ends as the edge's."""
    for at in range(100):
        world, edge, center = scene(method)
        world.run(60)
        stage = Interrupted(kit, world, edge, center, at, what)
        world.run(12_000)
        if stage.count < at:
            break
        assert is_proven(edge, center), f"message {at} {what}: {center.logs[-5:]}"
    assert 2 <= at < 99 or (method, at) == ("rsync", 1)


@pytest.mark.parametrize("method", METHODS)
def test_the_center_dies_at_every_effect(kit, scene, method):
    """A center that loses power after any one of its effects ends with the edge's day."""
    for lives_for in range(100):
        world, edge, center = scene(method)
        center.disk.synced.update(dict.fromkeys(day_files(kit, LOST), 100))
        center.lives_for = lives_for
        try:
            world.run(600)
        except kit.Death:
            center.die(random.Random(lives_for))
        else:
            break
        center.lives_for = -1
        center.boot()
        world.run(10_000)
        assert is_proven(edge, center)
    assert 10 < lives_for < 99


@pytest.mark.parametrize("method", METHODS)
def test_the_edge_changes_meanwhile(kit, scene, method):
    """The edge files a late record while it is asked: the day ends as the edge's at its next
    manifest, and no mixture is ever proven (T10)."""
    world, edge, center = scene(method)
    world.run(60 + 75.4)
    edge.disk.files[kit.path(23)] += kit.record(86_399)
    world.run(20_000)
    assert canonical(edge) == canonical(center)
    assert notes(center, "confirmed") != []


@pytest.mark.needs("rsync")
def test_a_pull_asks_with_the_canonical_folder_as_its_basis(kit, scene):
    """What is pulled goes to staging, and only the folder of the day is named."""
    world, _, center = scene("rsync")
    world.run(1_000)
    (job,) = [job for job in center.ran if isinstance(job, PullTree)]
    folder = kit.path(3).rpartition("/")[0] + "/"
    assert (folder, "staging/rsync/daws/") == (job.like, job.into)
    assert folder == f"riometer/{job.folder}"
    assert (kit.EDGE_ADDRESS, ports.RSYNC) == job.peer
