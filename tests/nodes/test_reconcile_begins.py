"""When a day gets its case: at its manifest, if it has ended; else some time after its end."""

import pytest

from fieldproof_contract import SECOND_NS
from fieldproof_reference import ports
from fieldproof_reference.center import CenterSettings, EdgeAtCenter
from fieldproof_reference.center.reconcile import GRACE_NS, Reconcile
from fieldproof_reference.edge.declare import CLOSING_NS

MIDNIGHT_S = 86_400


@pytest.fixture
def evening(kit):
    """Makes a world a minute before midnight whose center lacks one record of the day."""

    def make(parts=None, edge_offset_s=0, carry=None):
        minutes = range(1_260, 1_440)
        whole = kit.filed([kit.record(60 * n + 5) for n in minutes])
        lacking = kit.filed([kit.record(60 * n + 5) for n in minutes if n != 1_300])
        world = kit.World(kit.DAY_S + MIDNIGHT_S - 60)
        if carry is not None:
            world.carry = carry
        edge = world.host(kit.EDGE_ADDRESS, kit.Disk(whole), *kit.edge_parts())
        edge.offset_ns = edge_offset_s * SECOND_NS
        edge.boot()  # once more, by its own clock
        arrivals = {"udp/2006/01/17/206.172.47.234/ut22_25000.dat": b""}
        disk = kit.Disk({**arrivals, **lacking})
        center = world.host(kit.CENTER_ADDRESS, disk, *(parts or kit.center_parts()))
        return world, edge, center

    return make


def asked_s(world, center):
    """When the center asked, seconds after midnight by the world's time."""
    begins_ns = 60 * SECOND_NS
    return [(ns - begins_ns) / SECOND_NS for ns, one in center.sent if one.port == ports.REPAIR]


def test_a_day_that_has_ended_is_asked_for_when_its_manifest_comes(kit, evening):
    """The request leaves as the manifest arrives: a minute and a quarter after midnight."""
    world, _, center = evening()
    world.run(3_600)
    assert [(CLOSING_NS + kit.DELAY_NS) / SECOND_NS] == asked_s(world, center)


def test_a_day_without_a_manifest_waits_for_it(kit, evening):
    """Where the manifest is lost the request leaves three minutes after midnight."""
    lose = lambda port, data: [] if port == ports.MANIFEST else [(kit.DELAY_NS, data)]  # noqa: E731
    world, _, center = evening(carry=lose)
    world.run(3_600)
    assert [GRACE_NS / SECOND_NS] == asked_s(world, center)


def test_a_manifest_of_a_day_that_has_not_ended_is_kept(evening):
    """An edge whose clock is two minutes ahead declares the day before it has ended here: its case
    begins when the day's time has come."""
    world, edge, center = evening(edge_offset_s=120)
    world.run(60)
    assert [ports.MANIFEST] == [
        sent.to.port for _, sent in edge.sent if sent.to.port != ports.REPAIR
    ]
    assert [] == asked_s(world, center)
    world.run(3_600)
    assert [GRACE_NS / SECOND_NS] == asked_s(world, center)
    assert edge.disk.under("riometer/", ".dat") == center.disk.under("riometer/", ".dat")


@pytest.mark.parametrize("method", ["http-range", "none"])
def test_a_site_of_another_method_is_not_asked(kit, evening, method):
    """Manifests of sites whose archive another program serves, or that are not asked at all, open
    no case."""
    address = kit.CENTER.sites["daws"].repair
    known = {"daws": EdgeAtCenter(kit.KEY, address, method, fetch_from=address)}
    node = (lambda: Reconcile(CenterSettings(known)), {ports.MANIFEST, ports.REPAIR})
    world, _, center = evening(parts=(node,))
    world.run(90_000)
    assert [] == center.sent


@pytest.fixture
def morning(kit):
    """A world an hour after midnight, in which edge and center begin at once; the center lacks a
    record of the day before."""
    minutes = range(1_260, 1_440)
    whole = kit.filed([kit.record(60 * n + 5) for n in minutes])
    lacking = kit.filed([kit.record(60 * n + 5) for n in minutes if n != 1_300])
    world = kit.World(kit.DAY_S + MIDNIGHT_S + 3_600)
    arrivals = {"udp/2006/01/17/206.172.47.234/ut22_25000.dat": b""}
    center = world.host(kit.CENTER_ADDRESS, kit.Disk({**arrivals, **lacking}), *kit.center_parts())
    edge = world.host(kit.EDGE_ADDRESS, kit.Disk(whole), *kit.edge_parts())
    return world, edge, center


def test_what_is_under_way_when_the_manifest_comes_is_not_asked_twice(kit, morning):
    """Where both ends begin at once the manifest crosses the request: one request, one answer."""
    world, edge, center = morning
    world.run(3_600)
    assert 1 == len([one for _, one in center.sent if one.port == ports.REPAIR])
    assert [ports.MANIFEST, ports.REPAIR] == [one.to.port for _, one in edge.sent]
    assert edge.disk.under("riometer/", ".dat") == center.disk.under("riometer/", ".dat")
    assert ["confirmed"] == [said.what for said in center.logs if said.what == "confirmed"]


def test_an_answer_older_than_the_manifest_proves_nothing(kit, morning):
    """An answer that left before the edge filed another record does not prove the day that its
    manifest has declared meanwhile."""
    world, edge, center = morning
    late = kit.record(60 * 1_259 + 5)
    held = []
    deliver = world.carry

    def carry(port, data):
        if port == ports.REPAIR and data[:2] == b"RA" and not held:
            held.append(data)
            name = kit.path(20)
            edge.disk.files[name] = late + edge.disk.files.get(name, b"")
            edge.boot()  # it declares the day as it now is, and that comes first
            return [(3 * kit.DELAY_NS, data)]
        return deliver(port, data)

    world.carry = carry
    world.run(3_600)
    assert held
    assert edge.disk.under("riometer/", ".dat") == center.disk.under("riometer/", ".dat")
    assert late in center.disk.files[kit.path(20)]
