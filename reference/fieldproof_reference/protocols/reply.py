"""The reply of a repair: fragments that carry the edge's digest of the day and a body.

Fragment 0 begins with the 32-byte digest; each carries up to 1400 bytes of body. Byte 9 is the
fragment's index and byte 10 the index of the last. The edge keeps no state: the same request gives
the same fragments, so the center asks again by the same bytes and keeps what it has.

An assembly takes its codec and number of fragments from the first authentic one. If the edge's
files change between two tries, fragments of both may come together or never fit: the digest of the
day, or the center's patience, ends that, and the center begins with a new assembly.
"""

from collections.abc import Sequence
from typing import NamedTuple

from fieldproof_reference.formats import Malformed
from fieldproof_reference.protocols import wire
from fieldproof_reference.protocols.wire import Codec

DIGEST_BYTES = 32
FRAGMENT_BODY_BYTES = 1400
MOST_FRAGMENTS = 256

_HEADER_BYTES = wire.HEADER_BYTES + 1  # with the index of the last fragment


class Reply(NamedTuple):
    """What an edge answered, put together."""

    codec: Codec  # of the body
    digest: bytes  # of the day as the edge holds it
    body: bytes


def reply_fragments(
    request: bytes, used: Codec, digest: bytes, body: bytes, key: bytes
) -> tuple[bytes, ...]:
    """The datagrams that answer the datagram `request`, which must be an authentic one.

    Raises ValueError for a body of more than 256 fragments (358 kB)."""
    starts: Sequence[int] = range(0, len(body), FRAGMENT_BODY_BYTES) or (0,)
    if len(digest) != DIGEST_BYTES or len(starts) > MOST_FRAGMENTS:
        raise ValueError(
            f"a digest of {len(digest)} bytes and a body of {len(body)} make no reply: "
            f"{DIGEST_BYTES} and {MOST_FRAGMENTS * FRAGMENT_BODY_BYTES} are the sizes to keep to"
        )
    echo = wire.REPLY + bytes((used << 4 | request[2] & 0xF,)) + request[3:9]
    fragments = []
    for index, start in enumerate(starts):
        header = echo + bytes((index, len(starts) - 1))
        content = body[start : start + FRAGMENT_BODY_BYTES]
        signed = header + (content if index else digest + content)
        fragments.append(signed + wire.tag(key, request[-wire.TAG_BYTES :], signed))
    return tuple(fragments)


class Assembly:
    """The reply to one request, as its fragments come in, in any order and any number of times."""

    def __init__(self, request: bytes, key: bytes) -> None:
        self._request = request
        self._key = key
        self._shape: tuple[Codec, int] | None = None  # codec, index of the last fragment
        self._fragments: dict[int, bytes] = {}

    def add(self, datagram: bytes) -> bool:
        """Take a fragment; False for one that is not ours, not authentic, at odds with the first
        one, or already here. Never raises."""
        try:
            signed = wire.authentic(datagram, self._key, self._request[-wire.TAG_BYTES :])
            codec = wire.codec_of(signed)
        except Malformed:
            return False
        if not self._echoes(signed):
            return False
        index, last = signed[9], signed[10]
        shape = self._shape or (codec, last)
        if shape != (codec, last) or index > last or index in self._fragments:
            return False
        self._shape = shape
        self._fragments[index] = signed[_HEADER_BYTES:]
        return True

    @property
    def missing(self) -> int:
        """Fragments still to come; 1 as long as there is none to say how many there are."""
        return 1 if self._shape is None else self._shape[1] + 1 - len(self._fragments)

    @property
    def complete(self) -> bool:
        """Whether `result` can be asked for."""
        return self.missing == 0

    def result(self) -> Reply:
        """The reply; ValueError while fragments are missing."""
        if self._shape is None or not self.complete:
            raise ValueError(f"the reply is not complete: {self.missing} fragments are missing")
        whole = b"".join(self._fragments[index] for index in range(len(self._fragments)))
        return Reply(self._shape[0], whole[:DIGEST_BYTES], whole[DIGEST_BYTES:])

    def _echoes(self, signed: bytes) -> bool:
        """Whether it is a fragment, and has the version, site and day of our request."""
        ours = self._request
        smallest = _HEADER_BYTES + (0 if signed[9] else DIGEST_BYTES)
        return (
            signed[:2] == wire.REPLY
            and signed[2] & 0xF == ours[2] & 0xF
            and signed[3:9] == ours[3:9]
            and len(signed) >= smallest
        )
