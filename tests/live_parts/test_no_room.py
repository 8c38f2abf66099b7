"""Whether a disk is full is measured by the world, at the begin of the fault and at its end."""

from types import SimpleNamespace

import pytest

from fieldproof.faults import DiskFull, at
from fieldproof.live.inflict import Inflicted, Inflictor


class Small:
    """A disk of which somebody else has taken blocks, or given them back."""

    def __init__(self, free_bytes):
        self.left = list(free_bytes)

    def fill(self):
        self.is_full = True

    def relieve(self):
        self.is_full = False

    def free_bytes(self):
        assert self.is_full  # it is measured while the fault lasts
        return self.left.pop(0)


@pytest.mark.parametrize(
    ("free_bytes", "noted"),
    [((0, 0), [0, 0]), ((0, 379), [0, 379]), ((0, 380), [0]), ((4096, 0), [0]), ((380, 9999), [])],
)
def test_a_disk_with_room_for_a_record_is_not_full(free_bytes, noted):
    """What the kernel says is free decides, whatever the system on the disk says or does."""
    facts, due = [], []
    ground = SimpleNamespace(
        calendar=SimpleNamespace(
            call_at=lambda true_ns, act: due.append((true_ns, act)), now_ns=lambda: 7
        ),
        small_disks={"daws": Small(free_bytes)},
        fact=lambda where, what, **detail: facts.append((where, what, detail)),
    )
    item = Inflicted(0, at("12:00", DiskFull("daws"), until="12:01"), 5, 9)
    Inflictor(ground, [item])
    while due:
        due.pop(0)[1]()
    assert ["disk full", "disk relieved"] == [what for _, what, _ in facts if "disk" in what]
    rooms = [("daws", "no room", {"fault": 0, "bytes": number}) for number in noted]
    assert rooms == [fact for fact in facts if fact[1] == "no room"]
