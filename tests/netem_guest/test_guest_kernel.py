"""The netem of a real kernel treats the same frames as the link model: `./ci/run test-netem`.

The model is what every backend of a link asks: one that carries out its passages (TUN, packet
sockets, virtual time) therefore loses, doubles, flips and reorders the same frames as netem does.
"""

import json
from dataclasses import replace
from pathlib import Path
from statistics import median

import guest_cases as cases
import pytest
from guest_readings import Guest, boot, differences, late_ns, model_of

pytestmark = pytest.mark.guest

VECTORS = Path(__file__).parents[1] / "links" / "vectors"
EARLY_NS = 2_000_000
"""A frame that arrived so soon skipped the delay of a recording with `reorder`."""


def named(case):
    """A test's name."""
    return case.name


@pytest.fixture(scope="module")
def guest(tmp_path_factory) -> Guest:
    """One boot, in which netem treated the traffic of all cases."""
    return boot(cases.ALL, tmp_path_factory.mktemp("guest"))


def row(case, reading):
    """What became of a case's frames, and how late they came."""
    copies = reading.came().values()
    late = [by_ns / 1_000 for _, by_ns in late_ns(model_of(case, reading)[0], reading)]
    return (
        f"{case.name:31}{case.frames:5} sent{case.frames - len(copies):5} lost"
        f"{sum(len(copy) == 2 for copy in copies):4} twice"
        f"{sum(not arrival.whole for arrival in reading.arrivals):4} flipped"
        f"   late by {median(late):5.1f} us, at most {max(late):5.1f}"
    )


@pytest.mark.parametrize("case", cases.ALL, ids=named)
def test_the_kernel_treats_the_same_frames_as_the_model(guest, case, record_property):
    """The copies of every frame, their flips, their order and each delay are the model's."""
    reading = guest.readings[case.name]
    found = differences(case, reading)
    assert [] == found[:5], f"{len(found)} differences"
    record_property("case", row(case, reading))


@pytest.mark.parametrize("case", cases.ALL, ids=named)
def test_a_wrong_model_is_noticed(guest, case):
    """A seed that is off by one, or a rate by a hundredth where nothing draws, disagrees."""
    reading = guest.readings[case.name]
    wrong = case._replace(seed=case.seed + 1)
    if not model_of(case, reading)[1]:
        rate = case.impairments.rate_bit_s // 800 * 808
        wrong = case._replace(impairments=replace(case.impairments, rate_bit_s=rate))
    assert [] != differences(wrong, reading._replace(seed=wrong.seed))


@pytest.mark.parametrize("case", cases.RECORDED, ids=named)
def test_the_recordings_are_true_of_this_kernel(guest, case):
    """The guest's netem loses, doubles, flips and lets overtake what the recording says."""
    vector = json.loads((VECTORS / f"{case.name}.json").read_text())
    traffic = (vector["frames"], vector["frame_len"], vector["interval_us"])
    assert (case.frames, case.length, case.interval_us) == traffic
    reading = guest.readings[case.name]
    came = reading.came()
    fates = {
        "lost": sorted(set(range(case.frames)) - came.keys()),
        "duplicated": sorted(index for index in came if len(came[index]) == 2),
        "corrupted": sorted({arrival.index for arrival in reading.arrivals if not arrival.whole}),
        "early": sorted(
            {
                arrival.index
                for arrival in reading.arrivals
                if arrival.ns - reading.sent_ns[arrival.index] < EARLY_NS
            }
        ),
    }
    assert all(vector[fate] == fates[fate] for fate in fates if fate in vector)


def test_the_guest_is_new_enough_to_know_seeds(guest, record_property):
    """The kernel and tc are of 6.6 or newer, and their versions stand in the report."""
    versions = f"kernel {guest.kernel}, {guest.tc}"
    kernel = tuple(map(int, guest.kernel.split(".")[:2]))
    assert (6, 6) <= kernel, versions
    record_property("case", versions)
