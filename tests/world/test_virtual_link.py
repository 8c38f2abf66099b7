"""A link in virtual time: what enters comes out, or dies by a cause that the log names."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldproof_contract import SECOND_NS, Address
from fieldproof_simulators.links.netem import GilbertElliott, Impairments, RandomLoss
from fieldproof_simulators.links.profiles import Profile
from fieldproof_simulators.links.virtual import (
    IP_UDP_BYTES,
    PROFILES_OWN,
    Order,
    Packet,
    Tally,
    VirtualLink,
    short_hash,
)

TELEMETRY, STATUS = 24985, 25000
PURPOSES = {TELEMETRY: "telemetry", STATUS: "status"}
SITE, CENTER = Address("198.51.100.1", 32769), Address("192.0.2.1", TELEMETRY)
LOSSY = Impairments(
    delay_ns=50_000_000, jitter_ns=20_000_000, loss=RandomLoss(20), corrupt_percent=10
)


class FarEnd:
    """The surroundings of one link: a clock that the test turns, and a host that notes."""

    def __init__(self) -> None:
        self.time_ns = 0
        self.due: list[tuple[int, object]] = []
        self.arrived: list[tuple[int, Packet]] = []
        self.logged: list[dict] = []
        self.refuses: tuple[str | None, int] = (None, -1)

    def now_ns(self):
        return self.time_ns

    def call_at(self, true_ns, action):
        self.due.append((true_ns, action))

    def arrive(self, packet):
        self.arrived.append((self.time_ns, packet))
        return self.refuses

    def log(self, where, what, detail):
        self.logged.append({"where": where, "what": what, **detail})

    def let_arrive(self) -> list[bytes]:
        """Everything that is on its way arrives, by time; what arrived since the world began."""
        for due_ns, action in sorted(self.due, key=lambda item: item[0]):
            self.time_ns = due_ns
            action()
        self.due.clear()
        return [packet.data for _, packet in self.arrived]


def linked(impairments: Impairments, seed: int = 1, name: str = "vsat") -> VirtualLink:
    """A link with the same impairments both ways; its surroundings are `far(link)`."""
    asked = Profile(
        name=name,
        up=impairments,
        down=impairments,
        mtu_bytes=1500,
        layer="ip",
        outages=None,
        source="a test",
        unverified=False,
    )
    return VirtualLink(name, asked, seed, PURPOSES, FarEnd())


def far(link: VirtualLink) -> FarEnd:
    """What is around a link of `linked`."""
    return link._world


def record(number: int, port: int = TELEMETRY) -> Packet:
    """A datagram of its own."""
    return Packet(SITE, Address(CENTER.host, port), b"record %03d" % number)


def records(count: int) -> list[bytes]:
    """The payloads of `record(0)`, `record(1)`, ..."""
    return [record(number).data for number in range(count)]


def send_up(link: VirtualLink, count: int, every_ns: int = SECOND_NS) -> list[bytes]:
    """Records go up, one after the other has arrived; what arrives in all."""
    for number in range(count):
        far(link).let_arrive()
        far(link).time_ns = number * every_ns
        link.send("up", record(number))
    return far(link).let_arrive()


def lines(link: VirtualLink, what: str) -> list[dict]:
    """The log's lines of one kind."""
    return [line for line in far(link).logged if line["what"] == what]


# --- delivery -------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.sampled_from(["up", "down"]), st.binary(max_size=1400)), max_size=20))
def test_a_link_without_impairments_delivers_everything_at_once(sent):
    """Each datagram arrives when it is sent, with its bytes and addresses, in order."""
    link = linked(Impairments())
    for direction, data in sent:
        link.send(direction, Packet(SITE, CENTER, data))
    far(link).let_arrive()
    assert [(0, Packet(SITE, CENTER, data)) for _, data in sent] == far(link).arrived
    assert [] == far(link).logged


def test_what_arrives_late_arrives_by_the_model():
    """A datagram arrives after the delay and its time on the line, headers included."""
    link = linked(Impairments(delay_ns=300_000_000, rate_bit_s=128_000))
    link.send("up", record(0))
    far(link).let_arrive()
    on_line_ns = (len(record(0).data) + IP_UDP_BYTES) * 8 * SECOND_NS // 128_000
    assert [(300_000_000 + on_line_ns, record(0))] == far(link).arrived


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["up", "down"]),
            st.sampled_from([TELEMETRY, STATUS, 7]),
            st.binary(min_size=1, max_size=400),
        ),
        max_size=40,
    ),
    st.sampled_from([LOSSY, Impairments(loss=GilbertElliott(10, 30)), Impairments()]),
    st.integers(0, 3),
)
def test_tallies_say_what_was_offered_and_lost(sent, impairments, seed):
    """By direction and purpose: all that entered, and all that has a line in the log as lost; the
    difference is what arrived."""
    link = linked(impairments, seed)
    expected: dict[tuple[str, str], Tally] = {}
    for number, (direction, port, data) in enumerate(sent):
        far(link).time_ns = number
        link.send(direction, Packet(SITE, Address(CENTER.host, port), data))
        tally = expected.setdefault((direction, PURPOSES.get(port, "other")), Tally())
        tally.packets += 1
        tally.bytes += len(data) + 28
    far(link).let_arrive()
    for line in lines(link, "lost"):
        tally = expected[line["direction"], line["purpose"]]
        tally.lost_packets += 1
        tally.lost_bytes += line["bytes"]
    assert expected == link.tallies
    lost = sum(tally.lost_packets for tally in expected.values())
    assert len(sent) - lost == len(far(link).arrived)
    assert {PROFILES_OWN} >= {line["fault"] for line in lines(link, "lost")}


def test_a_loss_at_the_far_end_is_a_loss_of_the_link_by_that_cause():
    """What the host refuses is tallied and logged with the host's reason and its fault."""
    link = linked(Impairments())
    far(link).refuses = ("host down", 4)
    link.send("up", record(0))
    far(link).let_arrive()
    assert {
        "where": "vsat",
        "what": "lost",
        "direction": "up",
        "fault": 4,
        "purpose": "telemetry",
        "to": CENTER.host,
        "bytes": len(record(0).data) + 28,
        "sha": short_hash(record(0).data),
        "cause": "host down",
    } == far(link).logged[0]
    assert Tally(1, 38, 1, 38) == link.tallies["up", "telemetry"]


def test_a_copy_of_the_model_is_logged_and_dies_by_itself():
    """A clone that the model makes is said to be one, and each copy that is refused is a loss."""
    link = linked(Impairments(duplicate_percent=100))
    link.send("up", record(0))
    assert records(1) * 2 == far(link).let_arrive()
    assert [PROFILES_OWN] == [line["fault"] for line in lines(link, "duplicated")]
    far(link).refuses = ("host down", 0)
    link.send("up", record(1))
    far(link).let_arrive()
    assert Tally(2, 76, 2, 76) == link.tallies["up", "telemetry"]


# --- orders ---------------------------------------------------------------------------------------


SAID = {"lose": "lost", "duplicate": "duplicated", "delay": "delayed", "corrupt": "corrupted"}


@given(st.integers(0, 4), st.integers(1, 4), st.sampled_from(sorted(SAID)))
def test_an_order_acts_on_exactly_the_next_telemetry(before, count, kind):
    """The log names the next `count` datagrams and the fault; all others arrive once, unchanged."""
    link = linked(Impairments())
    everything = records(before + count + 3)
    ordered = everything[before : before + count]
    order = Order(kind, count, 7, by_ns=SECOND_NS)
    for number in range(len(everything)):
        if number == before:
            link.order(order)
        link.send("up", record(number))
    arrived = Counter(far(link).let_arrive())
    assert [(7, short_hash(data)) for data in ordered] == [
        (line["fault"], line["sha"]) for line in far(link).logged if line["what"] == SAID[kind]
    ]
    assert len(ordered) == len(far(link).logged)
    assert (count, 0) == (order.fired, order.left)
    untouched = set(everything) - set(ordered)
    assert dict.fromkeys(untouched, 1) == {data: arrived[data] for data in untouched}
    times = {"lose": 0, "duplicate": 2, "delay": 1, "corrupt": 0}[kind]
    assert [times] * count == [arrived[data] for data in ordered]


def test_lost_by_order():
    """The log has an ordered loss with its own cause."""
    link = linked(Impairments())
    link.order(Order("lose", 1, 7))
    assert records(2)[1:] == send_up(link, 2)
    assert ["lose"] == [line["cause"] for line in lines(link, "lost")]


def test_orders_leave_other_purposes_alone():
    """Only telemetry obeys: status and what else crosses the link goes through."""
    link = linked(Impairments())
    order = link.order(Order("lose", 1, 0))
    link.send("up", record(0, STATUS))
    link.send("down", record(1, 7))
    link.send("up", record(2))
    assert records(2) == far(link).let_arrive()
    assert 1 == order.fired


def test_duplicated_by_order():
    """The datagram arrives twice, and is offered once."""
    link = linked(Impairments())
    link.order(Order("duplicate", 1, 7))
    assert [*records(1), *records(2)] == send_up(link, 2)
    assert Tally(2, 76, 0, 0) == link.tallies["up", "telemetry"]
    assert [7] == [line["fault"] for line in lines(link, "duplicated")]


def test_both_copies_die_in_an_outage():
    """A datagram that is doubled while the link is dark is lost twice, so that the log's account of
    copies stays true."""
    link = linked(Impairments())
    link.order(Order("duplicate", 1, 7))
    link.go_dark(8)
    link.send("up", record(0))
    assert [] == far(link).let_arrive()
    assert [7] == [line["fault"] for line in lines(link, "duplicated")]
    assert [8, 8] == [line["fault"] for line in lines(link, "lost")]


def test_delayed_by_order():
    """The datagram is held back by the order's time, and others overtake it."""
    link = linked(Impairments(delay_ns=1000))
    link.order(Order("delay", 1, 7, by_ns=90 * SECOND_NS))
    link.send("up", record(0))
    link.send("up", record(1))
    far(link).let_arrive()
    assert [(1000, record(1)), (90 * SECOND_NS + 1000, record(0))] == far(link).arrived
    assert [7] == [line["fault"] for line in lines(link, "delayed")]


def test_corrupted_by_order():
    """One bit of the datagram differs when it arrives; the log has both hashes."""
    link = linked(Impairments())
    link.order(Order("corrupt", 2, 7))
    arrived = send_up(link, 3)
    assert record(2).data == arrived[2]
    flips = [
        int.from_bytes(sent) ^ int.from_bytes(came)
        for sent, came in zip(records(2), arrived, strict=False)
    ]
    assert [1, 1] == [flip.bit_count() for flip in flips]
    assert [(7, short_hash(record(n).data), short_hash(arrived[n])) for n in (0, 1)] == [
        (line["fault"], line["sha"], line["becomes"]) for line in lines(link, "corrupted")
    ]


def test_a_corrupted_datagram_that_is_lost_is_named_as_it_was_sent():
    """The hash of a loss is that of the payload as it entered the link."""
    link = linked(Impairments())
    link.order(Order("corrupt", 1, 7))
    link.go_dark(8)
    link.send("up", record(0))
    assert [short_hash(record(0).data)] == [line["sha"] for line in lines(link, "lost")]


def test_orders_are_carried_out_one_after_the_other():
    """Two orders of one instant do not act on the same datagram."""
    link = linked(Impairments())
    link.order(Order("lose", 1, 0))
    link.order(Order("duplicate", 1, 1))
    assert [records(2)[1], *records(3)[1:]] == send_up(link, 3)


# --- outages --------------------------------------------------------------------------------------


def test_nothing_crosses_a_dark_link_either_way():
    """What enters during an outage is lost by its fault; what is on its way arrives."""
    link = linked(Impairments(delay_ns=SECOND_NS))
    link.send("up", record(0))
    link.go_dark(3)
    link.send("up", record(1))
    link.send("down", record(2))
    link.recover(3)
    link.send("up", record(3))
    assert [records(4)[number] for number in (0, 3)] == far(link).let_arrive()
    assert [("outage", 3, "up"), ("outage", 3, "down")] == [
        (line["cause"], line["fault"], line["direction"]) for line in lines(link, "lost")
    ]


@pytest.mark.parametrize("first_to_end", [3, PROFILES_OWN])
def test_a_link_is_dark_as_long_as_any_outage_lasts(first_to_end: int):
    """The end of one outage does not end another; each beginning and end has its own line."""
    link = linked(Impairments())
    link.go_dark(3)
    link.go_dark(PROFILES_OWN)
    link.send("up", record(0))
    link.recover(first_to_end)
    link.send("up", record(1))
    last = {3: PROFILES_OWN, PROFILES_OWN: 3}[first_to_end]
    link.recover(last)
    link.send("up", record(2))
    assert [record(2).data] == far(link).let_arrive()
    assert [3, last] == [line["fault"] for line in lines(link, "lost")]
    assert [first_to_end, last] == [line["fault"] for line in lines(link, "outage ends")]


def test_an_outage_draws_nothing_from_the_model():
    """The fates of later datagrams do not depend on what an outage swallowed."""
    clear, dark = linked(LOSSY), linked(LOSSY)
    dark.go_dark(0)
    for number in range(50):
        dark.send("up", record(number))
    dark.recover(0)
    assert send_up(clear, 30) == send_up(dark, 30)


# --- independence ---------------------------------------------------------------------------------


def test_one_directions_traffic_changes_nothing_in_the_other():
    """Each direction draws from a stream of its own."""
    quiet, busy = linked(LOSSY), linked(LOSSY)
    for _ in range(20):
        busy.send("down", record(999))
    far(busy).due.clear()
    assert send_up(quiet, 40) == send_up(busy, 40)


def test_the_two_directions_have_fates_of_their_own():
    """What is lost on the way up says nothing about the way down."""
    lost = []
    for direction in ("up", "down"):
        link = linked(LOSSY)
        for number in range(40):
            link.send(direction, record(number))
        lost.append([line["sha"] for line in lines(link, "lost")])
    assert lost[0] != lost[1]


def test_links_of_other_names_and_seeds_lose_other_datagrams():
    """Name and seed choose the stream."""
    arrived = [
        tuple(send_up(linked(LOSSY, seed, name), 40))
        for seed, name in ((1, "vsat"), (1, "lte"), (2, "vsat"))
    ]
    assert 3 == len(set(arrived))
