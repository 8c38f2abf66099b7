"""Traps on the way to the edge's day: what changes, is missing, is too much, or is a stranger's."""

import json

import pytest

from fieldproof_contract import SECOND_NS, Address, Datagram
from fieldproof_reference import ports
from fieldproof_reference.edge.answer import PACE_BIT_S
from fieldproof_reference.edge.declare import manifest_of
from fieldproof_reference.protocols.repair import (
    Codec,
    Gap,
    Request,
    kind,
    pack_manifest,
    pack_request,
    read_request,
)

MINUTES = range(1_260, 1_440)  # from 21:00 on
ARRIVALS = {"udp/2006/01/17/206.172.47.234/ut22_25000.dat": b""}
TOOLS = {"xdelta": "xdelta3", "rsync": "rsync"}
METHODS = [
    pytest.param(name, marks=[pytest.mark.needs(TOOLS[name])] if name in TOOLS else [])
    for name in ("repair", "xdelta", "rsync", "http-range")
]


def day_files(kit, lost=()):
    return kit.filed([kit.record(60 * n + 5) for n in MINUTES if n not in lost])


@pytest.fixture
def evening(kit):
    """Makes an edge and a center with these files, a minute before midnight; all, but run."""

    def make(center_files, edge_files=None, method="repair"):
        world = kit.World(kit.DAY_S + 86_340)
        files = day_files(kit) if edge_files is None else edge_files
        edge = world.host(kit.EDGE_ADDRESS, kit.Disk(files), *kit.edge_parts())
        disk = kit.Disk({**ARRIVALS, **center_files})
        return world, edge, world.host(kit.CENTER_ADDRESS, disk, *kit.center_parts(method))

    return make


def canonical(host):
    return host.disk.under("riometer/", ".dat")


def notes(host):
    data = host.disk.files.get("provenance/2006/01/17/daws.jsonl", b"")
    return [json.loads(line) for line in data.splitlines()]


def is_proven(edge, center):
    same = canonical(edge) == canonical(center)
    return same and notes(center)[-1]["what"] == "confirmed"


def requests(kit, host):
    """What the center asked for, by the repair protocol."""
    asked = [sent.data for _, sent in host.sent if kind(sent.data) == "request"]
    return [read_request(data, kit.KEY, kit.DAY) for data in asked]


# --- time ---


@pytest.mark.parametrize("method", METHODS)
def test_t3_a_late_record_reopens_a_proven_day(kit, evening, method):
    """The edge files a record after the day was proven: the day is taken up again and proven anew,
    with the new version of the hour and the old proof in the notes."""
    world, edge, center = evening(day_files(kit), method=method)
    world.run(600)
    assert is_proven(edge, center)
    edge.disk.files[kit.path(22)] += kit.record(82_790)
    world.run(100_000)
    assert is_proven(edge, center)
    told = [note["what"] for note in notes(center) if note["what"] != "restored"]
    assert ["confirmed", "reopened", "confirmed"] == told


def test_t3_a_packet_that_comes_after_the_hour(kit, evening):
    """It lies by its arrival in the raw tree and by its first sample in the archive."""
    world, _, center = evening({}, {})
    late = kit.record(80_000)
    source = Address(kit.EDGE_ADDRESS, 32_769)
    center.tell(ports.TELEMETRY, Datagram(ports.TELEMETRY, source, late))
    world.run(20)
    raw = [path for path in center.disk.under("udp/", ".dat") if "24985" in path]
    assert [f"udp/2006/01/17/{kit.EDGE_ADDRESS}/ut23_24985.dat"] == raw
    assert late == center.disk.files[kit.path(22)]


@pytest.mark.parametrize("method", METHODS)
def test_t21_the_last_records_of_the_day(kit, evening, method):
    """No record follows them that would show the gap: the manifest does."""
    world, edge, center = evening(day_files(kit, (1_437, 1_438, 1_439)), method=method)
    world.run(600)
    assert is_proven(edge, center)


def test_t21_the_last_records_and_the_manifest(kit, evening):
    """Nor does a manifest come: the end of the day by the center's clock is enough."""
    world, edge, center = evening(day_files(kit, (1_438, 1_439)))
    world.carry = lambda port, data: [] if kind(data) == "manifest" else [(kit.DELAY_NS, data)]
    world.run(600)
    assert is_proven(edge, center)


def test_t22_a_stream_that_falls_silent(kit, evening):
    """The request has an open end: whatever the edge holds after the last record that came."""
    world, edge, center = evening(day_files(kit, range(1_300, 1_440)))
    world.run(600)
    assert is_proven(edge, center)
    assert Gap(1_299 * 60 + 5, 86_400) == requests(kit, center)[0].gaps[-1]


def test_t22_a_site_that_says_nothing_at_all(kit, evening):
    """Neither records nor manifests nor answers: the site is asked for the whole day, less and
    less often, and the log says what is missing."""
    world, edge, center = evening({})
    edge.die()
    world.run(90_000)
    assert {(Gap(None, 86_400),)} == {request.gaps for request in requests(kit, center)[:3]}
    told = [log.detail for log in center.logs if log.what == "day differs"]
    assert "-1..86400" in told[0]["seconds"]
    assert len(requests(kit, center)) < 40


# --- who ---


def test_t9_records_from_another_address(kit, evening):
    """Each address has its raw folder; the records of both lie in the site's one hour file."""
    world, _, center = evening({}, {})
    for n, host in enumerate((kit.EDGE_ADDRESS, "10.0.0.1")):
        source = Address(host, 32_769)
        data = kit.record(80_000 + 60 * n)
        center.tell(ports.TELEMETRY, Datagram(ports.TELEMETRY, source, data))
    world.run(20)
    raw = center.disk.under("udp/", "ut23_24985.dat")
    assert {"10.0.0.1", kit.EDGE_ADDRESS} == {path.split("/")[4] for path in raw}
    assert {kit.path(22): kit.record(80_000) + kit.record(80_060)} == canonical(center)


def test_t9_the_edge_has_another_address(kit, evening):
    """It is asked where its newest authentic manifest came from; a forged one moves nothing."""
    world, edge, center = evening(day_files(kit, (1_300,)))
    forged = pack_manifest(manifest_of(edge.disk, "daws", kit.DAY), b"another key")
    world.hosts = {"10.0.0.1": edge, kit.CENTER_ADDRESS: center}
    edge.address = "10.0.0.1"
    world.run(100)
    spoofed = Address("10.6.6.6", ports.REPAIR)
    center.tell(ports.MANIFEST, Datagram(ports.MANIFEST, spoofed, forged))
    world.run(600)
    assert is_proven(edge, center)
    assert {"10.0.0.1"} == {sent.to.host for _, sent in center.sent}


@pytest.mark.parametrize("method", ["http-range", pytest.param("rsync", marks=METHODS[2].marks)])
def test_t9_a_connection_goes_to_the_new_address(kit, evening, method):
    """So does what goes over TCP."""
    world, edge, center = evening(day_files(kit, (1_300,)), method=method)
    world.hosts = {"10.0.0.1": edge, kit.CENTER_ADDRESS: center}
    edge.address = "10.0.0.1"
    world.run(600)
    assert is_proven(edge, center)


@pytest.mark.parametrize("codec", [Codec.COLUMNS_LZMA, Codec.XDELTA])
def test_t17_an_edge_is_no_amplifier(kit, evening, codec):
    """Requests that are not signed get nothing; a signed one, replayed a thousand times from many
    addresses, gets no more than the edge's pace and its bounded queue allow, and few engines."""
    world, edge, center = evening({})
    center.die()
    world.run(200)
    edge.sent.clear()
    edge.ran.clear()
    good = pack_request(Request("daws", kit.DAY, codec, (Gap(None, 86_400),)), kit.KEY)
    for n in range(1_000):
        source = Address(f"10.0.{n % 250}.1", 53)
        for data in (good[:-1] + bytes((good[-1] ^ 1,)), b"RQ" + bytes(70)):
            edge.tell(ports.REPAIR, Datagram(ports.REPAIR, source, data))
    assert ([], []) == (edge.sent, edge.ran)
    begins_ns = world.now_ns
    for n in range(1_000):
        source = Address(f"10.0.{n % 250}.1", 53)
        edge.tell(ports.REPAIR, Datagram(ports.REPAIR, source, good))
    world.run(3_600)
    lasts_ns = edge.sent[-1][0] - begins_ns
    sent_bytes = sum(len(sent.data) + 28 for _, sent in edge.sent[:-1])
    assert 8 * sent_bytes * SECOND_NS <= PACE_BIT_S * lasts_ns * 1.01
    assert len(edge.sent) <= 1_024
    assert len(edge.ran) <= 24


# --- what ---


@pytest.mark.parametrize("method", METHODS)
def test_t10_the_edge_changes_during_the_exchange(kit, evening, method):
    """No mixture is promoted: the day ends as the edge has it then."""
    world, edge, center = evening(day_files(kit, (1_300, 1_390)), method=method)
    world.run(60 + 75.4)
    edge.disk.files[kit.path(23)] += kit.record(86_399)
    world.run(20_000)
    assert is_proven(edge, center)


def test_t10_another_file_after_a_break(kit, evening):
    """A range is asked for again only if the file is still that one (`If-Range`)."""
    world, edge, center = evening({}, method="http-range")
    count = [0]

    def pipe(data):
        count[0] += 1
        if count[0] == 20:
            edge.disk.files[kit.path(21)] += kit.record(76_000)
        return None if count[0] == 20 else data

    world.pipe = pipe
    world.run(20_000)
    assert 40 < count[0]
    assert is_proven(edge, center)


@pytest.mark.parametrize("method", METHODS)
def test_t11_an_hour_that_is_missing_at_the_center(kit, evening, method):
    """It comes whole."""
    files = day_files(kit)
    del files[kit.path(22)]
    world, edge, center = evening(files, method=method)
    world.run(600)
    assert is_proven(edge, center)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("hour", [3, 22])
def test_t11_an_hour_that_is_missing_at_the_edge(kit, evening, method, hour):
    """The center's records of it leave the archive, which is the edge's, and none is lost: each is
    in quarantine, with a note (T12)."""
    edge_files = day_files(kit)
    gone = [kit.record(hour * 3_600 + 5), kit.record(hour * 3_600 + 65)]
    edge_files.pop(kit.path(hour), None)
    center_files = {**day_files(kit), kit.path(hour): b"".join(gone)}
    world, edge, center = evening(center_files, edge_files, method)
    world.run(3_000)
    assert is_proven(edge, center)
    assert set(gone) == set(center.disk.under("quarantine/", ".bin").values())


@pytest.mark.parametrize("method", METHODS)
def test_t12_extra_records_at_the_center(kit, evening, method):
    """What somebody else sent under the site's name goes to quarantine."""
    files = day_files(kit)
    spoofed = kit.record(82_790, salt=6)
    files[kit.path(22)] += spoofed
    world, edge, center = evening(files, method=method)
    world.run(3_000)
    assert is_proven(edge, center)
    assert [spoofed] == list(center.disk.under("quarantine/", ".bin").values())


@pytest.mark.parametrize("method", METHODS[:2])
def test_t23_replies_that_are_lost_and_doubled(kit, evening, method):
    """Two of three are lost and the third comes three times: it is applied once."""
    world, edge, center = evening(day_files(kit, (1_300, 1_390)), method=method)
    replies = []

    def carry(port, data):
        if kind(data) != "reply":
            return [(kit.DELAY_NS, data)]
        replies.append(data)
        return [] if len(replies) < 3 else [(at_s * SECOND_NS, data) for at_s in (1, 2, 9)]

    world.carry = carry
    world.run(3_000)
    assert is_proven(edge, center)
    assert 1 == len(set(replies[:3]))
    assert 1 == sum(log.what == "repaired" for log in center.logs)
