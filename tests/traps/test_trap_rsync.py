"""What rsync does of itself to a good archive, and that it does it in staging alone."""

import pytest

from fieldproof_contract import PullTree
from fieldproof_reference.protocols.repair import kind

MINUTES = range(1_260, 1_440)  # from 21:00 on
ARRIVALS = {"udp/2006/01/17/206.172.47.234/ut22_25000.dat": b""}

pytestmark = pytest.mark.needs("rsync")


def day_files(kit, lost=()):
    return kit.filed([kit.record(60 * n + 5) for n in MINUTES if n not in lost])


@pytest.fixture
def evening(kit):
    """An edge with these files and a center that pulls, a minute before midnight."""

    def make(edge_files, center_files, same_time=False):
        world = kit.World(kit.DAY_S + 86_340)
        edge = world.host(kit.EDGE_ADDRESS, kit.Disk(edge_files), *kit.edge_parts())
        disk = kit.Disk({**ARRIVALS, **center_files})
        center = world.host(kit.CENTER_ADDRESS, disk, *kit.center_parts("rsync"))
        if not same_time:
            edge.disk.written_s = lambda path: 1_137_500_000
        return world, edge, center

    return make


def canonical(host):
    return host.disk.under("riometer/", ".dat")


def pulls(host):
    return [job for job in host.ran if isinstance(job, PullTree)]


def methods_failed(host):
    return [(log.detail["method"], log.detail["why"]) for log in host.logs if "failed" in log.what]


def test_hazard_a_the_edge_has_lost_a_record(kit, evening):
    """The archive is the edge's in the end, and the good record that rsync would have cut away is
    kept in quarantine."""
    lost = kit.record(60 * 1_350 + 5)
    world, edge, center = evening(day_files(kit, (1_350,)), day_files(kit))
    world.run(1_000)
    assert canonical(edge) == canonical(center)
    assert [lost] == list(center.disk.under("quarantine/", ".bin").values())


def test_hazard_a_without_a_digest_nothing_is_cut(kit, evening):
    """A pull of which the digest is not the edge's changes nothing: what is there stays there."""
    world, edge, center = evening(day_files(kit, (1_350,)), day_files(kit))
    world.run(60 + 75.1)  # the manifest is on its way
    edge.disk.files[kit.path(22)] = b""
    world.carry = lambda port, data: [] if kind(data) else [(kit.DELAY_NS, data)]
    world.run(60)
    assert 1 == len(pulls(center))
    assert day_files(kit) == canonical(center)
    assert {} == center.disk.under("staging/")


def test_hazard_b_rot_of_the_same_size_and_time(kit, evening):
    """rsync takes the two for equal and leaves the file out; the digest does not, and the next
    method has the case."""
    rotten = day_files(kit)
    rotten[kit.path(22)] = rotten[kit.path(22)][:500] + b"\x55" + rotten[kit.path(22)][501:]
    world, edge, center = evening(rotten, day_files(kit), same_time=True)
    world.run(3_000)
    assert [("rsync", "the digest is another")] == methods_failed(center)
    assert canonical(edge) == canonical(center)
    good = day_files(kit)[kit.path(22)][380:760]
    assert [good] == list(center.disk.under("quarantine/", ".bin").values())


def test_hazard_c_a_file_that_grows_while_it_is_read(kit, evening):
    """A torn copy is no day of any manifest: it stays in staging, and the closed day is pulled."""
    world, edge, center = evening(day_files(kit), day_files(kit, (1_300,)))
    path, whole = kit.path(22), edge.disk.files[kit.path(22)]
    torn = []

    def engine(job):
        if isinstance(job, PullTree) and not torn:
            edge.disk.files[path] = whole[:3_900]
            torn.append(job)
            world.at(1, lambda: edge.disk.files.update({path: whole}))

    world.engine = engine
    world.run(9_000)
    assert ([("rsync", "the digest is another")], 1) == (methods_failed(center), len(torn))
    assert canonical(edge) == canonical(center)
    assert {} == center.disk.under("staging/")
    assert {} == center.disk.under("quarantine/")


def test_hazard_d_a_hole_in_the_middle_is_not_filled_at_the_end(kit, evening):
    """No file is ever appended to on the strength of its length: the hole is where it was, and
    filled there."""
    world, edge, center = evening(day_files(kit), day_files(kit, (1_330,)))
    world.run(1_000)
    assert canonical(edge) == canonical(center)
    assert 1 == len(pulls(center))
    assert not any("append" in word for word in map(str, center.ran))
