"""The comparison of a guest with the model notices what differs; no guest is needed to see that."""

from itertools import count

import pytest
from guest_readings import Arrival, Case, Reading, differences, parse

from fieldproof_simulators.links.netem import Impairments, LinkModel, RandomLoss

MS = 1_000_000
CASE = Case(
    "all",
    Impairments(
        delay_ns=50 * MS,
        jitter_ns=20 * MS,
        loss=RandomLoss(10),
        duplicate_percent=10,
        corrupt_percent=10,
        limit_frames=40,
    ),
    seed=77,
    frames=200,
    interval_us=1000,
)
CALLS_NS = 9_000
"""What the system calls of a guest take."""


def told(case: Case) -> Reading:
    """What a guest would read whose kernel does as the model does."""
    model = LinkModel(case.impairments, case.seed)
    sent_ns = tuple(index * case.interval_us * 1_000 for index in range(case.frames))
    passages = [model.send(ns, case.length) for ns in sent_ns]
    order = count()
    arrivals = sorted(
        (copy.due_ns + CALLS_NS, next(order), index, not copy.corrupted)
        for index, passage in enumerate(passages)
        for copy in passage.copies
    )
    refused = sum(passage.dropped == "limit" for passage in passages)
    came = tuple(Arrival(index, ns, whole) for ns, _, index, whole in arrivals)
    return Reading(case.seed, sent_ns, refused, came)


READING = told(CASE)
ONE = next(each for each in READING.arrivals if each.whole and len(READING.came()[each.index]) == 1)


def instead(*arrivals: Arrival) -> dict[str, object]:
    """The arrivals of the reading, with others in the place of one that came once and whole."""
    at = READING.arrivals.index(ONE)
    return {"arrivals": (*READING.arrivals[:at], *arrivals, *READING.arrivals[at + 1 :])}


def later(reading: Reading, by_ns: int) -> tuple[Arrival, ...]:
    """The arrivals of the reading, all of them later."""
    return tuple(each._replace(ns=each.ns + by_ns) for each in reading.arrivals)


def test_a_kernel_like_the_model_is_accepted():
    """No difference is found where there is none, and every kind of fate occurs in the case."""
    assert [] == differences(CASE, READING)
    assert READING.refused and any(not arrival.whole for arrival in READING.arrivals)
    assert {1, 2} == {len(copies) for copies in READING.came().values()}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (instead(), "arrived never, not whole"),
        (instead(ONE, ONE), "arrived whole and whole, not whole"),
        (instead(ONE._replace(whole=False)), "arrived flipped, not whole"),
        (instead(ONE._replace(index=200)), "frame 200 was never sent"),
        (instead(ONE._replace(ns=ONE.ns + 2 * MS)), "arrived 2.009 ms late"),
        (instead(ONE._replace(ns=ONE.ns - MS)), "arrived -0.991 ms late"),
        ({"arrivals": later(READING, 60_000)}, "half of the frames arrived 0.069 ms late"),
        ({"arrivals": (ONE, *instead()["arrivals"])}, "was overtaken by one due"),
        ({"arrivals": ()}, "arrived never, not whole"),
        ({"refused": 0}, "had no room for 0 frames, not"),
        ({"seed": None}, "has the seed None"),
        ({"sent_ns": READING.sent_ns[:-1]}, "199 of 200 frames were sent"),
    ],
)
def test_what_differs_is_named(changed, says):
    """One frame, one flip, one time, the order, the queue or the seed is enough, and is said."""
    found = differences(CASE, READING._replace(**changed))
    assert any(says in difference for difference in found), found


TEXT = """6.12.1
tc utility, iproute2-6.15.0
case first
qdisc netem 8001: root refcnt 2 limit 1000 loss 5% seed 42
sent 10 20 30
refused 1
came 0 15 2! 35
qdisc netem 8001: root refcnt 2 limit 1000 loss 5% seed 42
 Sent 800 bytes 2 pkt (dropped 1, overlimits 0 requeues 0)
end
"""


def test_the_guests_words_are_understood():
    """A case's name, seed, times, refusals and flips are read."""
    guest = parse(TEXT)
    assert ("6.12.1", "tc utility, iproute2-6.15.0") == (guest.kernel, guest.tc)
    arrivals = (Arrival(0, 15, True), Arrival(2, 35, False))
    assert {"first": Reading(42, (10, 20, 30), 1, arrivals)} == guest.readings


@pytest.mark.parametrize("lines", [2, 6, 9])
def test_readings_that_stop_are_refused(lines):
    """A guest that did not say that it got to the end is not believed."""
    with pytest.raises(ValueError, match="readings stop after case"):
        parse("".join(TEXT.splitlines(keepends=True)[:lines]))
