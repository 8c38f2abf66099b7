"""Repair: what three records or a whole day cost in bytes on the wire and in time at both ends.

The nodes and the wire are those of a real day; the link between them is left out, because its time
is the scenario's own. Wire bytes are whole IP packets.
"""

from collections.abc import Sequence

import pytest

from fieldproof_contract import SECOND_NS, Address, Datagram, Effects, Monotonic, Now, SendDatagram
from fieldproof_reference import ports
from fieldproof_reference.center.assemble import assembled
from fieldproof_reference.edge import EdgeSettings
from fieldproof_reference.edge.answer import Answer
from fieldproof_reference.formats import trees, xrio
from fieldproof_reference.protocols.repair import (
    Assembly,
    Codec,
    Gap,
    Request,
    day_digest,
    pack_body,
    pack_request,
    unpack_body,
)

KEY = bytes(32)
DAY = 13_165  # 2006-01-17, counted from 1970
CENTER = Address("192.0.2.1", ports.REPAIR)
EDGE = EdgeSettings("daws", CENTER.host, KEY)
NEXT_DAY_NS = (DAY + 1) * 86_400 * SECOND_NS + 180 * SECOND_NS
IP_UDP_BYTES = 28
THREE = tuple(Gap(second - 60, second + 60) for second in (58_985, 67_265, 79_625))
WHOLE = (Gap(None, 86_400),)
LIMIT_BYTES = 600_000


class Files(dict[str, bytes]):
    """A disk in memory, as nodes look at it."""

    def size(self, path: str) -> int | None:
        return len(self[path]) if path in self else None

    def read(self, path: str, offset: int = 0, size: int = -1) -> bytes:
        return self[path][offset : None if size < 0 else offset + size]

    def listing(self, prefix: str) -> tuple[str, ...]:
        return tuple(sorted(path for path in self if path.startswith(prefix)))


def answer(files: Files, request: bytes) -> list[bytes]:
    """The fragments with which an edge answers, its pacing skipped."""
    node = Answer(EDGE)
    now = Now(Monotonic(0), NEXT_DAY_NS)
    node.start(files, now)
    sent = list(sent_by(node.receive(Datagram(ports.REPAIR, CENTER, request), now)))
    while (due := node.deadline()) is not None:
        sent += sent_by(node.advance(Now(due, NEXT_DAY_NS + due)))
    return sent


def sent_by(effects: Effects) -> list[bytes]:
    """The payloads of datagrams among the effects."""
    return [effect.data for effect in effects if isinstance(effect, SendDatagram)]


def apply(
    day: dict[int, bytes], gaps: Sequence[Gap], request: bytes, fragments: Sequence[bytes]
) -> tuple[dict[int, bytes], bytes]:
    """What a center does with an answer: the day as it would be, and the edge's digest of it."""
    assembly = Assembly(request, KEY)
    for fragment in fragments:
        assembly.add(fragment)
    reply = assembly.result()
    groups = unpack_body(reply.codec, reply.body, gaps, DAY, LIMIT_BYTES)
    after = assembled(day, DAY, gaps, groups)
    names = {hour: trees.hour_path("daws", DAY * 86_400 + hour * 3600) for hour in after}
    files = [(names[hour].rpartition("/")[2], data) for hour, data in after.items()]
    return (after, reply.digest) if day_digest(files) == reply.digest else ({}, reply.digest)


def by_hour(hour_files: dict[str, bytes], without: Sequence[Gap]) -> dict[int, bytes]:
    """The day as a center holds it that lacks what lies in these gaps."""
    day = {}
    for path, data in hour_files.items():
        kept = b"".join(
            data[span.offset : span.offset + span.size]
            for span in xrio.walk(data)
            if not any(gap.holds(_second(data, span.offset)) for gap in without)
        )
        if kept:
            day[trees.hour_of(path)] = kept
    return day


def _second(data: bytes, offset: int) -> int:
    return xrio.timestamp_s(data[offset : offset + 20]) - DAY * 86_400


CASES = [
    pytest.param("three records", THREE, Codec.COLUMNS_DEFLATE, 400, id="three"),
    pytest.param("a whole day", WHOLE, Codec.COLUMNS_LZMA, 56_000, id="day"),
]


@pytest.mark.parametrize(("what", "gaps", "codec", "most_bytes"), CASES)
def test_edge_answers(measure, hour_files, what, gaps, codec, most_bytes):
    """The edge reads the day, picks what lies in the gaps, compresses, signs and sends."""
    files = Files(hour_files)
    request = pack_request(Request("daws", DAY, codec, gaps), KEY)
    asked_bytes = len(request) + IP_UDP_BYTES
    fragments = measure(
        f"repair, edge answers {what}",
        answer,
        files,
        request,
        counts=lambda sent: {
            "records": 3 if gaps is THREE else 1440,
            "packets": len(sent),
            "request bytes": asked_bytes,
            "reply bytes": sum(len(each) + IP_UDP_BYTES for each in sent),
        },
        rounds=3,
    )
    assert asked_bytes + sum(len(each) + IP_UDP_BYTES for each in fragments) <= most_bytes


@pytest.mark.parametrize(("what", "gaps", "codec", "most_bytes"), CASES)
def test_center_applies(measure, hour_files, what, gaps, codec, most_bytes):
    """The center unpacks an answer into a copy of the day and compares the day's digest."""
    request = pack_request(Request("daws", DAY, codec, gaps), KEY)
    fragments = answer(Files(hour_files), request)
    after, _ = measure(
        f"repair, center applies {what}",
        apply,
        by_hour(hour_files, gaps),
        gaps,
        request,
        fragments,
        counts=lambda _: {"records": 3 if gaps is THREE else 1440, "packets": len(fragments)},
        rounds=5,
        against=f"repair, edge answers {what}",
    )
    assert list(hour_files.values()) == [after[hour] for hour in sorted(after)]


@pytest.mark.parametrize(
    ("codec", "most_bytes"),
    [(Codec.RAW_DEFLATE, 113_000), (Codec.COLUMNS_DEFLATE, 60_000), (Codec.COLUMNS_LZMA, 55_000)],
)
def test_body_of_a_day(measure, hour_files, codec, most_bytes):
    """Columns halve what deflate alone makes of a day, and LZMA takes off some more."""
    spans = [(data, span) for data in hour_files.values() for span in xrio.walk(data)]
    records = [data[span.offset : span.offset + span.size] for data, span in spans]
    used, body = measure(
        f"body of a day, {codec.name.lower().replace('_', ', ')}",
        pack_body,
        [records],
        codec,
        DAY,
        WHOLE,
        counts=lambda packed: {"records": len(records), "bytes": len(packed[1])},
        rounds=3,
        against="" if codec is Codec.RAW_DEFLATE else "body of a day, raw, deflate",
    )
    assert codec is used
    assert len(body) <= most_bytes
