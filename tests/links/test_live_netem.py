"""A link through the kernel's netem: the shadow foretells, and a kernel that differs is found out.

The kernel is played: a pair of devices that keep, double or damage what the test says.
"""

import pytest
from livelinks import MS, ROUGH, Bench, asking, up

from fieldproof_simulators.links.impairments import Impairments
from fieldproof_simulators.links.live.ip import RawPacket, damaged
from fieldproof_simulators.links.live.netem import MISSING_NS, KernelWay, on_ethernet
from fieldproof_simulators.links.live.ports import LinkError
from fieldproof_simulators.links.losses import RandomLoss
from fieldproof_simulators.links.profiles import profile

LOSSY = asking(Impairments(delay_ns=10 * MS, loss=RandomLoss(20), duplicate_percent=20), "lossy")


class Devices:
    """A pair of devices; the test takes packets out of one and puts them into the other."""

    def __init__(self):
        self.entered, self.waiting = [], []

    def send(self, packet):
        self.entered.append(packet)

    def receive(self):
        if not self.waiting:
            raise BlockingIOError
        return self.waiting.pop(0)


@pytest.fixture
def kernel(tmp_path):
    """An engine whose link goes through a kernel that is played, with 100 records under way."""
    with Bench(tmp_path, LOSSY, way=KernelWay) as bench:
        bench.devices = Devices()
        bench.way = bench.link.ways["up"]
        bench.way.connect(bench.devices, bench.devices)
        bench.send(bench.site, *(up(b"%03d" % number) for number in range(100)))
        yield bench


def foretold(bench):
    """What the shadow expects the kernel to let through, with copies."""
    return [raw for raw, copies in bench.way._expected.items() for _ in copies]


def emerge(bench, packets, at_ns=10 * MS):
    """The kernel lets packets go."""
    bench.let_pass(at_ns)
    bench.devices.waiting += packets
    while bench.devices.waiting:
        bench.way.emerge()
    bench.let_pass()


def test_every_packet_is_asked_of_the_kernel_once(kernel):
    """What the shadow loses and doubles goes to the kernel as well: it decides by itself."""
    assert [up(b"%03d" % number) for number in range(100)] == kernel.devices.entered
    assert 60 < len(set(foretold(kernel))) < 95
    assert [] == kernel.center.heard


def test_a_kernel_that_does_what_was_foretold_is_accounted_for(kernel):
    """The facts are the shadow's, and nothing is held or lost by the machine in the end."""
    expected = foretold(kernel)
    emerge(kernel, expected, 12 * MS)
    assert expected == kernel.center.heard
    row = kernel.way.achieved()
    assert (len(expected), 0, 0) == (row["delivered"], row["held"], row["lost_by_machine"])
    assert 100 + row["duplicated"] - row["lost_by_model"] == len(expected)
    assert (12, 2) == (row["delay_p50_ms"], row["late_p50_ms"])
    assert {"lost", "duplicated"} == {fact["what"] for fact in kernel.facts()}


def test_a_kernel_that_is_early_is_held_back(kernel):
    """What comes out before its due time leaves when it is due."""
    emerge(kernel, foretold(kernel), 9 * MS)
    assert 0 == kernel.way.achieved()["late_max_ms"]
    assert 10 * MS == kernel.time_ns


def test_a_kernel_that_keeps_a_packet_is_found_out(kernel):
    """What never comes out is given up, and lost by the machine."""
    expected = foretold(kernel)
    kept = next(raw for raw in expected if expected.count(raw) == 1)
    emerge(kernel, [raw for raw in expected if raw != kept])
    kernel.engine.look()
    assert 1 == kernel.way.achieved()["held"]
    kernel.let_pass(10 * MS + MISSING_NS + 1)
    kernel.engine.look()
    row = kernel.way.achieved()
    assert (0, 1) == (row["held"], row["lost_by_machine"])
    assert kept not in kernel.center.heard
    assert "machine" == kernel.facts()[-1]["cause"]


def test_a_kernel_that_lets_too_much_through_is_found_out(kernel):
    """A packet that should have been lost arrives, and a fact says that it was not expected."""
    (stranger, *_) = set(kernel.devices.entered) - set(foretold(kernel))
    emerge(kernel, [*foretold(kernel), stranger])
    assert stranger == kernel.center.heard[-1]
    assert "not expected" == kernel.facts()[-1]["what"]
    assert 0 == kernel.way.achieved()["held"]


def test_what_the_kernel_damaged_is_passed_on_without_a_word(tmp_path):
    """The shadow has said which copies die at the checksum; nobody knows by which bit."""
    with Bench(tmp_path, ROUGH, way=KernelWay) as bench:
        bench.devices = Devices()
        bench.way = bench.link.ways["up"]
        bench.way.connect(bench.devices, bench.devices)
        bench.send(bench.site, *(up(b"%03d" % number) for number in range(200)))
        said = bench.facts()
        hurt = [fact["sha"] for fact in said if fact.get("cause") == "checksum"]
        assert 0 < len(hurt)
        emerge(bench, [damaged(raw, 77) for raw in bench.devices.entered[: len(hurt)]])
        assert said == bench.facts()
        assert len(hurt) == len(bench.center.heard)
        assert len(foretold(bench)) == bench.way.achieved()["held"]
        assert 0 == bench.way.achieved()["delivered"]
        assert all(RawPacket(raw).is_datagram for raw in bench.center.heard)


@pytest.mark.parametrize("name", ["dawson-2005", "perfect"])
def test_the_kernel_counts_an_ethernet_header_by_itself(name):
    """What a profile adds for Ethernet is not asked of netem again."""
    asked = on_ethernet("vsat", profile(name).up)
    assert 0 == asked.overhead_bytes
    assert profile(name).up.rate_bit_s == asked.rate_bit_s


def test_a_rate_below_ethernet_is_refused():
    """A device cannot count less than its own frames."""
    with pytest.raises(LinkError, match="Link phone gives its rate below Ethernet"):
        on_ethernet("phone", profile("iridium-dialup").up)
