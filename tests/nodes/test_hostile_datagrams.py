"""Whatever datagram comes from wherever to any port, no node dies and none writes elsewhere."""

import hmac
import re

from hypothesis import given
from hypothesis import strategies as st

from fieldproof_contract import SECOND_NS, Address, Datagram
from fieldproof_reference import ports
from fieldproof_reference.edge.declare import manifest_of
from fieldproof_reference.edge.status import Status
from fieldproof_reference.protocols.repair import pack_manifest

CENTER_PATHS = re.compile(
    r"udp/\d{4}/\d\d/\d\d/[0-9a-f.:]+/ut\d\d_\d{1,5}\.(dat|idx)"
    r"|riometer/\d{4}/\d\d/\d\d/daws_xrio/\d{8}_\d\d_daws_xrio\.dat"
    r"|quarantine/\d{4}/\d\d/\d\d/([a-z-]+-[0-9a-f]{16}\.bin|provenance\.jsonl)"
    r"|(flags|provenance)/\d{4}/\d\d/\d\d/daws\.jsonl"
    r"|receiver/\d{4}/\d\d/\d\d\.jsonl"
)
PORTS = (ports.TELEMETRY, ports.STATUS, ports.REPAIR, ports.MANIFEST)

addresses = st.builds(
    Address,
    st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str),
    st.integers(0, 65_535),
)
codecs = st.integers(0, 255).map(lambda byte: bytes((byte,)))
days = st.sampled_from([13_163, 13_164, 13_165, 13_166, 0]).map(
    lambda day: day.to_bytes(2, "little")
)


@st.composite
def repair_like(draw):
    """Something under the right key that begins like a datagram of the repair protocol."""
    magic = draw(st.sampled_from([b"RQ", b"RA", b"RM"]))
    site = draw(st.sampled_from([b"daws", b"gill", b"../.", b"DAWS"]))
    return magic + draw(codecs) + site + draw(days) + draw(st.binary(max_size=300))


@st.composite
def record_like(draw, kit):
    """A record with some bytes changed, cut or added."""
    data = bytearray(kit.record(draw(st.integers(0, 86_400)), points=draw(st.integers(0, 70))))
    for _ in range(draw(st.integers(0, 3))):
        data[draw(st.integers(0, min(len(data), 24) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, 400))]) + draw(st.binary(max_size=3))


def datagrams(kit):
    """Plain bytes, records, and repair datagrams without tag, with it, or bound to a request."""
    return st.one_of(
        st.binary(max_size=500),
        record_like(kit),
        repair_like(),
        repair_like().map(lambda data: data + hmac.digest(kit.KEY, data, "sha256")[:16]),
    )


def hosts(kit):
    """An edge with a day, and a center that has asked for it and got nothing."""
    world = kit.World(kit.DAY_S + 86_340)
    records = [kit.record(60 * n + 5) for n in range(1_200, 1_440, 7)]
    parts = (*kit.edge_parts(), (lambda: Status(kit.EDGE), set(PORTS)))
    edge = world.host(kit.EDGE_ADDRESS, kit.Disk(kit.filed(records)), *parts)
    files = {"udp/2006/01/17/10.0.0.1/ut22_25000.dat": b"", **kit.filed(records[::2])}
    center = world.host(kit.CENTER_ADDRESS, kit.Disk(files), *kit.center_parts())
    world.carry = lambda port, data: []
    world.run(600)
    return world, edge, center


def bound(kit, request, data):
    """A reply's tag covers the request's."""
    return data + hmac.digest(kit.KEY, request[-16:] + data, "sha256")[:16]


def test_a_replayed_manifest_moves_no_repair_address(kit):
    """Who sends an authentic manifest again from elsewhere is not asked for anything (T9, T17)."""
    world, edge, center = hosts(kit)
    manifest = pack_manifest(manifest_of(edge.disk, "daws", kit.DAY), kit.KEY)
    for host in (kit.EDGE_ADDRESS, "203.0.113.66"):
        source = Address(host, ports.REPAIR)
        center.tell(ports.MANIFEST, Datagram(ports.MANIFEST, source, manifest))
        world.run(600)
    asked = {effect.to.host for _, effect in center.sent if effect.port == ports.REPAIR}
    assert {kit.EDGE_ADDRESS} == asked


@given(st.data())
def test_no_datagram_kills_a_node_or_leaves_its_trees(kit, data):
    """Every node hears everything, forged and signed, and goes on; the edge's archive stays as it
    is, and every path at the center is one of its own."""
    world, edge, center = hosts(kit)
    archive = edge.disk.under("")
    request = next(sent.data for _, sent in center.sent if sent.port == ports.REPAIR)
    for datagram in data.draw(st.lists(datagrams(kit), min_size=1, max_size=6)):
        source = data.draw(addresses)
        for hostile in (datagram, bound(kit, request, datagram)):
            for port in PORTS:
                edge.tell(port, Datagram(port, source, hostile))
                center.tell(port, Datagram(port, source, hostile))
        world.run(data.draw(st.sampled_from([0, 11, 3_700])))
    world.run(11)
    assert archive == edge.disk.under("")
    assert [] == [path for path in center.disk.files if not CENTER_PATHS.fullmatch(path)]
    assert (7, 3) == (len(edge.nodes), len(center.nodes))
    world.carry = lambda port, data: [(kit.DELAY_NS, data)] if port != ports.MANIFEST else []
    edge.tell(ports.REPAIR, Datagram(ports.REPAIR, Address(kit.CENTER_ADDRESS, 1), request))
    world.run(60)
    answers = [ns for ns, sent in edge.sent if sent.port == ports.REPAIR]
    assert answers[-1] >= world.now_ns - 60 * SECOND_NS
