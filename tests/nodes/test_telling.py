"""The edge tells: each durable record once, each closed day once, how it is once a minute."""

import pytest

from fieldproof_contract import SECOND_NS, Address, Monotonic, Now, Topic
from fieldproof_reference import ports
from fieldproof_reference.edge import FILED, Filed
from fieldproof_reference.edge.declare import Declare, manifest_of
from fieldproof_reference.edge.status import Status
from fieldproof_reference.edge.transmit import POLL_NS, Transmit
from fieldproof_reference.protocols.repair import NO_FILE, day_digest, hour_digest, read_manifest


def world_with(kit, make, hears, files=None, begins_s=0.0):
    world = kit.World(kit.DAY_S + begins_s)
    return world, world.host(kit.EDGE_ADDRESS, kit.Disk(files), (make, hears))


# --- transmit ---


def test_records_leave_at_the_next_look(kit):
    """What was filed leaves at the next point of a grid of 1.008 s that begins with the start, each
    record in a datagram of its own, to the telemetry port of the center."""
    records = [kit.record(60 * n) for n in range(4)]
    files = {kit.path(0): b"".join(records)}
    world, host = world_with(kit, lambda: Transmit(kit.EDGE), {FILED}, files)
    for n, second in enumerate((0.0, 0.5, 1.008, 100.0)):
        world.run_to(kit.DAY_S + second)
        host.tell(FILED, Topic(FILED, Filed(kit.path(0), 380 * n, 380)))
    world.run(10)
    assert [POLL_NS, POLL_NS, 2 * POLL_NS, 100 * POLL_NS] == [ns for ns, _ in host.sent]
    assert records == [sent.data for _, sent in host.sent]
    to = Address(kit.CENTER_ADDRESS, 24_985)
    assert {(ports.SOURCE, to)} == {(sent.port, sent.to) for _, sent in host.sent}


def test_without_news_there_is_no_look(kit):
    """A node without news asks for nothing, and after a look it is without news."""
    world, host = world_with(kit, lambda: Transmit(kit.EDGE), {FILED}, {kit.path(0): b"x" * 380})
    assert host.deadline() is None
    host.tell(FILED, Topic(FILED, Filed(kit.path(0), 0, 380)))
    assert POLL_NS == host.deadline()
    world.run(2)
    assert (None, 1) == (host.deadline(), len(host.sent))


# --- declare ---


def declared(host, kit):
    """(second of day DAY, manifest) of all that was sent."""
    assert all(ports.REPAIR == sent.port for _, sent in host.sent)
    assert all(Address(kit.CENTER_ADDRESS, ports.MANIFEST) == sent.to for _, sent in host.sent)
    begins_s = host.world.begins_utc_ns / SECOND_NS - kit.DAY_S
    return [
        (begins_s + ns / SECOND_NS, read_manifest(sent.data, kit.KEY, kit.DAY))
        for ns, sent in host.sent
    ]


def test_what_a_manifest_says(kit):
    """It has the digest of the day, of each hour file, and the records in it; what is no record is
    in the digests and not counted, and an hour without a file has zeros."""
    files = {
        kit.path(0): kit.record(0) + kit.record(60),
        kit.path(5): kit.record(5 * 3_600) + b"rot",
        kit.path(3, kit.DAY + 1): b"another day",
        kit.path(4, site="gill"): b"another site",
    }
    manifest = manifest_of(kit.Disk(files), "daws", kit.DAY)
    assert [2, 0, 0, 0, 0, 1] + 18 * [0] == list(manifest.counts)
    digests = {0: hour_digest(files[kit.path(0)]), 5: hour_digest(files[kit.path(5)])}
    assert [digests.get(hour, NO_FILE) for hour in range(24)] == list(manifest.hour_digests)
    named = [(kit.path(hour).rpartition("/")[2], files[kit.path(hour)]) for hour in (0, 5)]
    assert day_digest(named) == manifest.day_digest


def test_a_day_is_declared_at_its_close(kit):
    """75 s after midnight, once; nothing is said of an open day, nor of one without files."""
    files = {kit.path(23): kit.record(86_340)}
    world, host = world_with(kit, lambda: Declare(kit.EDGE), set(), files, 40_000)
    world.run_to(kit.DAY_S + 3 * 86_400)
    assert [86_475] == [second for second, _ in declared(host, kit)]
    assert manifest_of(host.disk, "daws", kit.DAY) == declared(host, kit)[0][1]


@pytest.mark.parametrize("begins_s", [86_475, 90_000, 5 * 86_400])
def test_a_start_declares_the_newest_closed_day(kit, begins_s):
    """After a death the newest closed day that has files is declared at once, however long ago."""
    files = {kit.path(2, day): kit.record(60) for day in (kit.DAY - 1, kit.DAY, kit.DAY + 9)}
    _, host = world_with(kit, lambda: Declare(kit.EDGE), set(), files, begins_s)
    assert [(begins_s, kit.DAY)] == [(second, sent.day) for second, sent in declared(host, kit)]


def test_a_start_before_the_close_declares_the_day_before(kit):
    """A day is open until 75 s after its end."""
    files = {kit.path(2, day): kit.record(60) for day in (kit.DAY - 1, kit.DAY)}
    _, host = world_with(kit, lambda: Declare(kit.EDGE), set(), files, 86_474)
    assert [kit.DAY - 1] == [sent.day for _, sent in declared(host, kit)]


def test_a_clock_that_steps_back_closes_nothing_twice(kit):
    """An hour's step back over midnight after the close brings no second manifest."""
    files = {kit.path(23): kit.record(86_340)}
    world, host = world_with(kit, lambda: Declare(kit.EDGE), set(), files, 80_000)
    world.run_to(kit.DAY_S + 86_600)
    host.offset_ns = -3_600 * SECOND_NS
    world.run_to(kit.DAY_S + 2 * 86_400 - 4_000)
    assert [kit.DAY] == [sent.day for _, sent in declared(host, kit)]


def test_a_clock_that_was_days_ahead_is_believed_when_it_comes_back(kit):
    """After a jump forward and back the days are declared as they close."""
    files = {kit.path(23): kit.record(86_340)}
    world, host = world_with(kit, lambda: Declare(kit.EDGE), set(), files, 40_000)
    for offset_s in (5 * 86_400, 0):
        host.offset_ns = offset_s * SECOND_NS
        world.run(3_700)
    host.disk.files[kit.path(22)] = kit.record(80_000)
    world.run_to(kit.DAY_S + 86_600)
    assert manifest_of(host.disk, "daws", kit.DAY) == declared(host, kit)[-1][1]


def test_a_clock_that_steps_forward_closes_every_hour_between(kit):
    """A step over midnight is noticed within the hour, and the day is declared."""
    files = {kit.path(1): kit.record(3_600), kit.path(23): kit.record(86_340)}
    world, host = world_with(kit, lambda: Declare(kit.EDGE), set(), files, 3_600)
    world.run(10)
    host.offset_ns = 90_000 * SECOND_NS
    world.run(3_700)
    closed = [log.detail["path"] for log in host.logs if log.what == "hour closed"]
    assert [kit.path(1), kit.path(23)] == closed
    assert [kit.DAY] == [sent.day for _, sent in declared(host, kit)]


def test_a_day_that_changed_after_its_close_is_declared_again(kit):
    """A record that a full disk or a wrong clock kept back makes another manifest at the close of
    the next hour, and only one."""
    files = {kit.path(23): kit.record(86_340)}
    world, host = world_with(kit, lambda: Declare(kit.EDGE), set(), files, 80_000)
    world.run_to(kit.DAY_S + 86_600)
    host.disk.files[kit.path(22)] = kit.record(80_000)
    world.run_to(kit.DAY_S + 86_400 + 10 * 3_600)
    said = declared(host, kit)
    assert [86_475, 90_075] == [second for second, _ in said]
    assert manifest_of(host.disk, "daws", kit.DAY) == said[1][1]


# --- status ---


def test_status_once_a_minute(kit):
    """Seconds since the start and the number of hour files, as text, to port 25000."""
    files = {kit.path(0): b"", kit.path(1): b"", kit.path(1) + ".torn": b""}
    world, host = world_with(kit, lambda: Status(kit.EDGE), set(), files)
    world.run(150)
    assert [b"STAT daws 60 2", b"STAT daws 120 2"] == [sent.data for _, sent in host.sent]
    assert {Address(kit.CENTER_ADDRESS, 25_000)} == {sent.to for _, sent in host.sent}


def test_a_freeze_is_not_made_up_for(kit):
    """A host that slept for an hour reports once, not sixty times."""
    node = Status(kit.EDGE)
    node.start(kit.Disk(), Now(Monotonic(0), 0))
    late = Now(Monotonic(3_600 * SECOND_NS), 0)
    assert 1 == len(node.advance(late))
    assert 3_660 * SECOND_NS == node.deadline()
