"""The tiny host of `tests/nodes`, and the two stages on which most traps are set."""

import importlib.util
import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from fieldproof_contract import Address, Datagram, Topic
from fieldproof_reference import ports
from fieldproof_reference.center import ARRIVED, CONFIRMED, PROMOTED, REOPENED, CenterSettings
from fieldproof_reference.center.receive import Receive
from fieldproof_reference.center.validate import Validate
from fieldproof_reference.edge import RECORD

SOURCE = Address("206.172.47.234", 32_769)

_spec = importlib.util.spec_from_file_location(
    "tiny_host", Path(__file__).parents[1] / "nodes" / "conftest.py"
)
_tiny_host = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_tiny_host)
kit = _tiny_host.kit


@pytest.fixture
def stage(kit) -> SimpleNamespace:
    """What a center does with what comes, and what a center and an edge do in an evening."""

    def center(files=None, begins_s=43_200.0, settings: CenterSettings = kit.CENTER):
        """A center that receives and validates, at a second of the day; its world and host."""
        world = kit.World(kit.DAY_S + begins_s)
        hears = {ARRIVED, PROMOTED, CONFIRMED, REOPENED}
        parts = (
            (lambda: Receive(settings), {ports.TELEMETRY}),
            (lambda: Validate(settings), hears),
        )
        return world, world.host(kit.CENTER_ADDRESS, kit.Disk(files), *parts)

    def evening(records, carry=None, begins_s=82_800.0):
        """An edge that files these a minute after their first sample, or when it comes up, and a
        center that hears of them over a link; the world and both hosts."""
        world = kit.World(kit.DAY_S + begins_s)
        world.carry = carry or world.carry
        edge = world.host(kit.EDGE_ADDRESS, kit.Disk(), *kit.edge_parts())
        known = {"udp/2006/01/16/206.172.47.234/ut22_25000.dat": b""}  # the center was up before
        host = world.host(kit.CENTER_ADDRESS, kit.Disk(known), *kit.center_parts())
        for at_s, record in records:
            world.at_utc(at_s, lambda one=record: edge.tell(RECORD, Topic(RECORD, one)))
        return world, edge, host

    return SimpleNamespace(
        SOURCE=SOURCE,
        arrive=arrive,
        canonical=lambda host: host.disk.under("riometer/", ".dat"),
        center=center,
        changed=changed,
        evening=evening,
        flags=flags,
        quarantined=quarantined,
    )


def arrive(host, *datagrams, source=SOURCE):
    """Telemetry comes."""
    for data in datagrams:
        host.tell(ports.TELEMETRY, Datagram(ports.TELEMETRY, source, data))


def changed(record, offset, data):
    """The record with other bytes at an offset."""
    return record[:offset] + data + record[offset + len(data) :]


def quarantined(host):
    """Reasons and bytes of all that is kept out."""
    notes = host.disk.under("quarantine/", "provenance.jsonl")
    found = Counter()
    for path, data in notes.items():
        for note in map(json.loads, data.splitlines()):
            name = f"{note['reason'].replace(' ', '-')}-{note['sha256'][:16]}.bin"
            found[note["reason"], host.disk.files[f"{path.rpartition('/')[0]}/{name}"]] += 1
    return found


def flags(host):
    """Every line of all flag files."""
    texts = host.disk.under("flags/").values()
    return [json.loads(line) for text in texts for line in text.splitlines()]
