"""The engine of the pump, with hosts that the test plays: routes, order, faults, the account."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from livelinks import (
    BEGINS_UTC_NS,
    CENTER,
    CLEAN,
    MS,
    OTHER_SITE,
    PORT,
    PURPOSES,
    ROUGH,
    SEED,
    SITE,
    STATUS,
    Bench,
    FarEnd,
    asking,
    down,
    up,
)

from fieldproof_contract import Address
from fieldproof_simulators.links.fates import Order, Tally
from fieldproof_simulators.links.impairments import Impairments
from fieldproof_simulators.links.live.engine import BATCH
from fieldproof_simulators.links.live.ip import RawPacket, is_sound, udp
from fieldproof_simulators.links.live.ports import Drops
from fieldproof_simulators.links.losses import GilbertElliott, RandomLoss
from fieldproof_simulators.links.virtual import Packet, VirtualLink

SECOND = 1000 * MS


@pytest.fixture
def bench(tmp_path):
    """An engine with links that change nothing."""
    with Bench(tmp_path) as bench:
        yield bench


@pytest.fixture
def made(tmp_path_factory):
    """Makes engines with links that do as they are asked."""
    benches = []

    def make(profile):
        benches.append(Bench(tmp_path_factory.mktemp("links"), profile))
        return benches[-1]

    yield make
    for bench in benches:
        bench.close()


# --- routes ---------------------------------------------------------------------------------------


def test_packets_go_by_the_link_of_their_site(bench):
    """What a site sends goes up its link, and what the center sends down the link of its site."""
    bench.send(bench.site, up(b"up"))
    bench.send(bench.center, down(b"down", OTHER_SITE))
    assert [up(b"up")] == bench.center.heard
    assert [down(b"down", OTHER_SITE)] == bench.other.heard
    assert {("up", "telemetry"): Tally(1, 30)} == bench.link.tallies
    assert {("down", "other"): Tally(1, 32)} == bench.engine.links["lte"].tallies


def test_what_the_center_sends_to_nobody_is_lost_without_a_link(bench):
    """The fact says to whom and how many bytes, and no link counts it."""
    bench.send(bench.center, down(b"four", "203.0.113.9"))
    fact = {"ns": 0, "where": "center", "what": "no route", "to": "203.0.113.9", "bytes": 4}
    assert [fact] == bench.facts()
    assert {} == bench.link.tallies


def test_what_a_site_sends_to_nobody_dies_behind_its_link(bench):
    """It crosses the link, and is lost at the far end by a cause that is no fault's."""
    bench.send(bench.site, up(b"x", to="203.0.113.9"))
    (fact,) = bench.facts()
    assert ("lost", "no such address", -1) == (fact["what"], fact["cause"], fact["fault"])
    assert {"model": 0, "fault": 1, "machine": 0} == bench.link.ways["up"].lost


def test_a_site_reaches_another_by_its_own_link_alone(bench):
    """As in virtual time: up the sender's link, and not down that of the receiver."""
    bench.send(bench.site, up(b"x", to=OTHER_SITE))
    assert [up(b"x", to=OTHER_SITE)] == bench.other.heard
    assert {("up", "telemetry"): Tally(1, 29)} == bench.link.tallies
    assert {} == bench.engine.links["lte"].tallies


def test_a_host_that_moves_is_found_at_its_new_address_alone(made):
    """What is on its way to the old address is lost there; the new one has the link of the site."""
    bench = made(asking(Impairments(delay_ns=MS)))
    new = "203.0.113.7"
    bench.send(bench.center, down(b"before"))
    bench.engine.move("daws", new)
    bench.send(bench.center, down(b"old"), down(b"new", new))
    bench.let_pass()
    assert [down(b"new", new)] == bench.site.heard
    assert ["no route", "lost"] == [fact["what"] for fact in bench.facts()]
    assert 2 == bench.link.tallies["down", "other"].packets


def test_a_stranger_reaches_a_host_by_no_link(bench):
    """An injected packet is handed over as it is, and no link knows of it."""
    forged = udp(("203.0.113.66", 4242), (CENTER, PORT), b"forged")
    bench.engine.inject("center", forged)
    assert [forged] == bench.center.heard
    assert {} == bench.link.tallies
    assert [] == bench.captured("delivered")
    bench.center.error = OSError(90, "Message too long")
    bench.engine.inject("center", forged)
    refused = {"where": "center", "what": "not injected", "reason": "Message too long"}
    assert [{**refused, "ns": 0, "bytes": len(forged)}] == bench.facts()


def test_what_is_no_ipv4_is_counted_and_dropped(bench):
    """IPv6, fragments of nothing and noise do not enter a link."""
    bench.send(bench.site, b"\x60" + bytes(47), b"", b"\x45", up(b"good"))
    assert [up(b"good")] == bench.center.heard
    assert {"daws": 3} == bench.engine.strange
    bench.close()
    assert {"where": "daws", "what": "not IPv4", "packets": 3}.items() <= bench.facts()[-1].items()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=60), max_size=20))
def test_no_bytes_of_a_host_harm_the_engine(made, noise):
    """Whatever hosts send, a good packet after it still arrives."""
    with made(CLEAN) as bench:
        bench.send(bench.site, *noise, up(b"good"))
        bench.send(bench.center, *noise, down(b"good"))
        assert up(b"good") == bench.center.heard[-1]
        assert down(b"good") == bench.site.heard[-1]


# --- order in time --------------------------------------------------------------------------------


def test_packets_leave_when_they_are_due(made):
    """A packet leaves when its delay is over, and neither capture nor host has it before."""
    bench = made(asking(Impairments(delay_ns=600 * MS)))
    bench.time_ns = SECOND
    bench.send(bench.site, up(b"x"))
    bench.let_pass(1599 * MS)
    assert [] == bench.center.heard
    bench.let_pass()
    assert [(BEGINS_UTC_NS + SECOND, up(b"x"))] == bench.captured("offered")
    assert [(BEGINS_UTC_NS + 1600 * MS, up(b"x"))] == bench.captured("delivered")


def test_what_is_due_at_once_does_not_overtake_what_is_due_already(made):
    """A packet without a delay waits behind one that should have left by now."""
    bench = made(asking(Impairments(delay_ns=10 * MS, reorder_percent=100, reorder_gap=2)))
    bench.send(bench.site, up(b"held"))
    bench.time_ns = 11 * MS
    bench.send(bench.site, up(b"early"))
    bench.let_pass()
    assert [b"held", b"early"] == [RawPacket(raw).payload for raw in bench.center.heard]


def test_packets_that_are_due_together_keep_their_order(made):
    """Same due time, same order as sent, across links."""
    bench = made(asking(Impairments(delay_ns=MS)))
    sent = [up(b"%d" % number) for number in range(20)]
    for number, raw in enumerate(sent):
        bench.send(bench.other if number % 3 else bench.site, raw)
    bench.let_pass()
    assert sent == bench.center.heard


def test_neither_reading_nor_leaving_starves_the_other(made):
    """A turn takes a batch at most, and hands a batch over at most; so does each host's own."""
    bench = made(asking(Impairments(delay_ns=1, limit_frames=10 * BATCH)))
    bench.site.sends = [up(b"x")] * (3 * BATCH)
    bench.engine.take(bench.site)
    assert 2 * BATCH == len(bench.site.sends)
    bench.send(bench.site)
    bench.time_ns = SECOND
    bench.engine.leave()
    assert BATCH == len(bench.center.heard)
    bench.other.sends = [up(b"x")] * (3 * BATCH)
    bench.engine.take(bench.other)
    assert (2 * BATCH, 2 * BATCH) == (len(bench.other.sends), len(bench.center.heard))


# --- the same fates as in virtual time ------------------------------------------------------------

STEPS = st.one_of(
    st.tuples(st.just("send"), st.sampled_from(["up", "down"]), st.sampled_from([PORT, STATUS, 7])),
    st.tuples(st.just("wait"), st.integers(0, 40 * MS)),
    st.tuples(
        st.just("order"),
        st.sampled_from(["lose", "duplicate", "delay", "corrupt"]),
        st.integers(1, 4),
    ),
    st.tuples(st.just("dark"), st.integers(0, 2)),
)
PROFILES = [
    ROUGH,
    asking(Impairments(loss=GilbertElliott(20, 40), duplicate_percent=20), "bursts"),
    asking(Impairments(delay_ns=MS, rate_bit_s=64_000, limit_frames=3), "narrow"),
    asking(Impairments(corrupt_percent=30, duplicate_percent=30, loss=RandomLoss(20)), "bits"),
]


def virtual_facts(profile, steps):
    """What a link in virtual time says about a story, arrivals included."""
    far = FarEnd()
    link = VirtualLink("vsat", profile, SEED, PURPOSES, far)

    def let_pass(until_ns):
        while far.due and min(far.due)[0] <= until_ns:
            next_due = min(far.due, key=lambda item: item[:2])
            far.due.remove(next_due)
            far.time_ns = max(far.time_ns, next_due[0])
            next_due[2]()
        far.time_ns = max(far.time_ns, until_ns)

    def send(direction, port, payload):
        hosts = {"up": (SITE, CENTER), "down": (CENTER, SITE)}[direction]
        link.send(direction, Packet(Address(hosts[0], 9), Address(hosts[1], port), payload))
        let_pass(far.time_ns)

    tell(steps, link, lambda: far.time_ns, let_pass, send)
    return far.logged, link


def live_facts(profile, steps, bench):
    """The same of a live link."""

    def send(direction, port, payload):
        hosts = {"up": (SITE, CENTER), "down": (CENTER, SITE)}[direction]
        host = {"up": bench.site, "down": bench.center}[direction]
        bench.send(host, udp((hosts[0], 9), (hosts[1], port), payload))
        bench.let_pass(bench.time_ns)

    for port in (bench.site, bench.center):
        port.deliver = lambda raw: (
            is_sound(raw) and bench.engine.say("", "arrived", {"sha": RawPacket(raw).payload.hex()})
        )
    tell(steps, bench.link, lambda: bench.time_ns, bench.let_pass, send)
    return bench.facts(), bench.link


def tell(steps, link, now_ns, let_pass, send):
    """Play a story on a link."""
    dark = set()
    for number, (what, *how) in enumerate(steps):
        if what == "send":
            send(*how, b"packet %d" % number)
        elif what == "wait":
            let_pass(now_ns() + how[0])
        elif what == "order":
            link.order(Order(how[0], how[1], number, by_ns=35 * MS))
        elif how[0] in dark:
            dark.remove(how[0])
            link.recover(how[0])
        else:
            dark.add(how[0])
            link.go_dark(how[0])
    let_pass(now_ns() + 10 * SECOND)


def comparable(fact):
    """A fact without its time and place."""
    sha = fact.get("sha")
    if fact["what"] == "arrived" and isinstance(sha, bytes):
        sha = sha.hex()
    return {**fact, "sha": sha, "ns": 0, "where": ""}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(PROFILES), st.lists(STEPS, max_size=40))
def test_a_live_link_says_what_a_virtual_one_does(made, profile, steps):
    """One seed and one story give the same facts in the same order, the same arrivals, the same
    tallies, and the same end of the generators."""
    expected, virtual = virtual_facts(profile, steps)
    with made(profile) as bench:
        said, live = live_facts(profile, steps, bench)
    assert list(map(comparable, expected)) == list(map(comparable, said))
    assert virtual.tallies == live.tallies
    assert list(virtual.generators_end()) == list(live.generators_end())


# --- the account ----------------------------------------------------------------------------------


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(PROFILES), st.lists(STEPS, max_size=40), st.booleans())
def test_every_copy_is_in_the_account(made, profile, steps, is_refused):
    """Offered and duplicated are delivered, held, or lost to model, fault or machine."""
    with made(profile) as bench:
        bench.center.error = OSError() if is_refused else None
        for number, (what, *how) in enumerate(steps):
            if what == "send":
                bench.send(bench.site, up(b"%d" % number, how[1]))
            elif what == "wait":
                bench.let_pass(bench.time_ns + how[0])
            elif what == "order":
                bench.link.order(Order(how[0], how[1], number, by_ns=MS))
    row = bench.link.ways["up"].achieved()
    lost = [row[f"lost_by_{whom}"] for whom in ("model", "fault", "machine")]
    assert row["offered"] + row["duplicated"] == row["delivered"] + row["held"] + sum(lost)
    assert sum(what == "send" for what, *_ in steps) == row["offered"]
    assert (is_refused and row["delivered"] == 0) or lost[2] == 0


def test_a_packet_that_the_machine_refuses_is_lost_by_the_machine(bench):
    """The fact names the machine, and the account charges it."""
    bench.center.error = OSError()
    bench.send(bench.site, up(b"x"))
    assert ["machine"] == [fact["cause"] for fact in bench.facts()]
    assert {"model": 0, "fault": 0, "machine": 1} == bench.link.ways["up"].lost


def test_what_the_kernel_dropped_is_charged_to_the_links_of_the_host(bench):
    """A site's drops go to its link, once; the center's to the way that was busiest of late."""
    bench.site.dropped = Drops(3, 4)
    bench.engine.look()
    bench.engine.look()
    assert (3, 4) == tuple(bench.link.ways[way].lost["machine"] for way in ("up", "down"))
    bench.send(bench.center, down(b"a", OTHER_SITE), down(b"b", OTHER_SITE), down(b"c"))
    bench.center.dropped = Drops(5, 0)
    bench.engine.look()
    lte = bench.engine.links["lte"].ways
    assert (5, 4) == (lte["down"].lost["machine"], bench.link.ways["down"].lost["machine"])


def test_asked_and_achieved_stand_side_by_side(made):
    """A row has what was asked, and the delay, lateness and rate that there were."""
    asked = Impairments(delay_ns=300 * MS, rate_bit_s=8_000, overhead_bytes=14)
    bench = made(replace(CLEAN, up=asked, down=asked, layer="ethernet"))
    size = 100 - 28 - 14
    for number in range(10):
        bench.let_pass(number * 100 * MS)
        bench.send(bench.site, up(bytes(size)))
        bench.engine.look()
    bench.let_pass()
    bench.engine.look()
    row = bench.link.ways["up"].achieved()
    assert (300, 0, 0, 8_000) == tuple(
        row[f"asked_{what}"] for what in ("delay_ms", "jitter_ms", "loss_percent", "rate_bit_s")
    )
    assert (400, 400, 0, 0, 0) == tuple(
        row[f"{what}_ms"] for what in ("delay_p50", "delay_p99", "late_p50", "late_p99", "late_max")
    )
    assert 8_000 * 10 // 13 <= row["rate_bit_s"] <= 8_000


def test_nothing_is_achieved_where_nothing_went(bench):
    """A way without traffic has no delay and no rate."""
    row = bench.link.ways["down"].achieved()
    assert [None] * 5 == [
        row[f"{what}_ms"] for what in ("delay_p50", "delay_p99", "late_p50", "late_p99", "late_max")
    ]
    assert 0 == row["rate_bit_s"]
