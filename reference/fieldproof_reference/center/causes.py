"""Whose fault it was that a datagram did not come: the server's or the network's (R1-20, R1-21).

The laws:

1. What was due while the receiver was down by its own word (beats.py) is lost to the *server*. Of
   all others since its first word, the *network* or the edge lost it.
2. For times before any word: where nobody was heard from one arrival to the next, and as many
   moments were missed then as there are streams that send once a minute, there was a minute without
   a packet from anybody. What was due then is lost to the *server*, all else to the *network*.
3. A lone station cannot be told from its network like that: the cause is *untold*.
4. What the kernel dropped since the datagram before (`Drop`) is lost to the *receiver*, as far as
   the server did not lose it, and anything was missed then at that port (T20).
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

from fieldproof_contract import SECOND_NS
from fieldproof_reference.center.beats import BEAT_NS, Downtime
from fieldproof_reference.center.rhythm import EDGE_NS

Cause: TypeAlias = Literal["network", "server", "receiver", "untold"]
StreamKey: TypeAlias = tuple[str, int]
"""A station's name and a port."""

_FOR_EVER_NS = 1 << 62


class Drop(NamedTuple):
    """What a socket's kernel buffer had no room for since the datagram before."""

    utc_ns: int
    port: int
    datagrams: int


class Receiver(NamedTuple):
    """What is known of the receiver."""

    down: tuple[Downtime, ...] = ()
    since_ns: int | None = None  # from when on it is known when it was down; None: never
    drops: tuple[Drop, ...] = ()


class Missed(NamedTuple):
    """A due moment to which nobody came."""

    utc_ns: int
    cause: Cause


def causes(
    missed_ns: Mapping[StreamKey, Sequence[int]],
    came_ns: Sequence[int],
    receiver: Receiver,
    *,
    is_lone: bool,
    others: Collection[StreamKey] = (),
) -> dict[StreamKey, list[Missed]]:
    """Whose fault each missed moment was, stream by stream. `came_ns`: the arrivals of everybody,
    in order. `others`: the streams that do not send once a minute."""
    minutely = [whens for key, whens in missed_ns.items() if key not in others]
    silent = [] if is_lone else _silences(minutely, came_ns)

    def cause(when: int) -> Cause:
        if receiver.since_ns is not None and when >= receiver.since_ns - EDGE_NS:
            return "server" if _is_in(receiver.down, when) else "network"
        return "untold" if is_lone else "server" if _is_in(silent, when) else "network"

    told = {key: [Missed(when, cause(when)) for when in whens] for key, whens in missed_ns.items()}
    _drop(told, receiver.drops)
    return told


def _silences(missed_ns: Sequence[Sequence[int]], came_ns: Sequence[int]) -> list[Downtime]:
    """The times without an arrival in which as many moments were missed as there are streams."""
    between = Counter(bisect_left(came_ns, when) for whens in missed_ns for when in whens)
    return [
        Downtime(
            came_ns[after - 1] if after else 0,
            came_ns[after] if after < len(came_ns) else _FOR_EVER_NS,
        )
        for after, missed in sorted(between.items())
        if missed >= len(missed_ns)
    ]


def _is_in(down: Sequence[Downtime], when: int) -> bool:
    last = bisect_right(down, when, key=lambda each: each.from_ns) - 1
    return last >= 0 and when <= down[last].until_ns + EDGE_NS


def _drop(told: Mapping[StreamKey, list[Missed]], drops: Iterable[Drop]) -> None:
    """Put down what the kernel dropped (law 4)."""
    for drop in drops:
        lost = sorted(
            (missed.utc_ns, key, number)
            for key, found in told.items()
            for number, missed in enumerate(found)
            if key[1] == drop.port
            and missed.cause in ("network", "untold")
            and drop.utc_ns - BEAT_NS <= missed.utc_ns <= drop.utc_ns + SECOND_NS
        )
        for _, key, number in lost[: drop.datagrams]:
            told[key][number] = told[key][number]._replace(cause="receiver")
