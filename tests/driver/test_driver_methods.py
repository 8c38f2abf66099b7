"""A day becomes the edge's by each method with everything real: sockets, disks, programs."""

import json
import time

import pytest

from fieldproof_contract import SECOND_NS, Address, Listen
from fieldproof_reference import ports
from fieldproof_reference.center import CenterSettings, EdgeAtCenter
from fieldproof_reference.center.reconcile import Reconcile
from fieldproof_reference.edge import EdgeSettings
from fieldproof_reference.edge.answer import Answer
from fieldproof_reference.edge.serve import Serve
from fieldproof_reference.edge.share import Share
from fieldproof_reference.formats import trees, xrio
from fieldproof_reference.formats.days import DAY_S, day_text

KEY = b"a key"
TOOLS = {"xdelta": "xdelta3", "rsync": "rsync"}
METHODS = [
    pytest.param(name, marks=[pytest.mark.needs(TOOLS[name])] if name in TOOLS else [])
    for name in ("repair", "xdelta", "rsync", "http-range")
]
LOST = (983, 1_121, 1_327)


@pytest.fixture
def ended_day():
    """The day that ended last, for center and edge, in days since 1970."""
    return (time.time_ns() // SECOND_NS - 300) // DAY_S - 1


def record(day, minute):
    points = xrio.pack_points([2_700 + minute % 30] * 60, [minute % 8] * 60, [60] * 60)
    return xrio.pack(b"DAWS", day * DAY_S + 60 * minute + 5, points)


@pytest.fixture
def pair(make_host, own_address, ended_day):
    """An edge that has a day, and a center that lacks three records of it, up."""

    def make(method):
        net, half, *rest = own_address.split(".")  # nobody else's, as that of the edge is
        center_address = ".".join((net, str(int(half) + 64), *rest))
        edge, center = make_host("edge"), make_host("center", center_address)
        settings = EdgeSettings("daws", center_address, KEY, shares=True)
        edge.add("answer", lambda: Answer(settings), [ports.REPAIR])
        edge.add("serve", lambda: Serve(settings), [Listen(ports.ARCHIVE)])
        edge.add("share", lambda: Share(settings))
        known = EdgeAtCenter(KEY, Address(edge.address, ports.REPAIR), method)
        center.add(
            "reconcile",
            lambda: Reconcile(CenterSettings({"daws": known})),
            [ports.MANIFEST, ports.REPAIR],
        )
        for minute in range(1_440):
            path = trees.hour_path("daws", ended_day * DAY_S + 60 * minute)
            edge.disk.append(path, record(ended_day, minute))
            if minute not in LOST:
                center.disk.append(path, record(ended_day, minute))
        day = day_text(ended_day, "%Y/%m/%d")
        center.disk.append(f"udp/{day}/10.0.0.1/ut00_25000.dat", b"")
        edge.boot()
        center.boot()
        return edge, center

    return make


def said(host, what):
    return [line["detail"] for line in host.lines if line.get("said") == what]


@pytest.mark.parametrize("method", METHODS)
def test_three_lost_records(pair, ended_day, method):
    """The center asks for the day of which it heard no manifest, gets it by its method, proves it,
    and leaves nothing in staging and no program behind."""
    edge, center = pair(method)

    def step():
        edge.turn()
        center.turn()

    ends_s = time.monotonic() + 30
    while not said(center, "confirmed"):
        step()
        assert time.monotonic() < ends_s, center.events_path.read_text()
    folder = trees.day_folder("daws", ended_day * DAY_S) + "/"
    files = edge.disk.listing(folder)
    assert 24 == len(files)
    assert [edge.disk.read(path) for path in files] == [center.disk.read(path) for path in files]
    assert [method] == [line["method"] for line in said(center, "repaired")]
    assert () == center.disk.listing("staging/")
    (notes,) = center.disk.listing("provenance/")
    lines = list(map(json.loads, center.disk.read(notes).splitlines()))
    assert {method} == {line["method"] for line in lines if line["what"] == "restored"}
    assert {} == center.engines._engines
