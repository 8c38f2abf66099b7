"""The asking side of HTTP ranges: what an answer must be to be believed.

The laws:

1. As many requests at a time as a client was made for, one where nothing is said; answers come in
   their order. Another request may follow on the same connection when `reusable` says so.
2. A range is answered by 206 and by nothing else: every part has a Content-Range, the parts are the
   ranges that were asked for, in that order, cut at the end of the file; all give the same length
   of the whole. 200 is an answer where the whole file was asked for, or where `if_range` says that
   the file must still be the same: then it means that it is not.
3. The bytes are the file's own: `Accept-Encoding: identity` is sent, and an answer in any other
   coding is refused. A server that compresses on the fly would answer 200 and something else.
4. Nothing comes in greater number than was asked for: fields, parts and bytes are bounded.
5. What breaks a law is `Malformed`, and the connection is of no more use.

What `hear` gives, in order:

    Head -- Part -- Body ... -- Part -- Body ... -- Done      206
    Head -- Body ... -- Done                                  200
    Head -- Done                                              HEAD, and every other status

h11 knows no request before the answer to the one before: so each exchange has an h11 connection of
its own, and what one of them leaves over is the beginning of the next.
"""

from collections import deque
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

import h11

from fieldproof_contract import Address
from fieldproof_reference.formats import Malformed
from fieldproof_reference.protocols.httprange_fields import (
    Fields,
    Span,
    boundary,
    content_range,
    digest_in,
    fields,
    range_field,
    strong_tag,
    unsatisfied_total,
)
from fieldproof_reference.protocols.httprange_parts import PartHead, PartsReader

MOST_FIELD_BYTES = 8192
MOST_IGNORED_BYTES = 1 << 16
MOST_INFORMATIONAL = 8
"""Bounds: a header; the body of an error page; answers of status 1xx before the real one."""

OK, PARTIAL, UNSATISFIABLE = 200, 206, 416


class Ask(NamedTuple):
    """One request."""

    path: str  # below the server's root, without the first slash
    spans: tuple[Span, ...] = ()  # in order, without overlap; none: the whole file
    if_range: str = ""  # a strong tag: the ranges only if the file is still that one
    method: Literal["GET", "HEAD"] = "GET"
    most_bytes: int = 1 << 20  # of a whole file


class Head(NamedTuple):
    """The answer begins."""

    status: int
    total: int | None  # length of the whole file, where it is known by now
    tag: str  # strong entity tag, "" for none
    digest: bytes  # SHA-256 of the whole file, b"" for none


class Part(NamedTuple):
    """The bytes that follow are these."""

    span: Span
    total: int


class Body(NamedTuple):
    """Bytes of the whole file, or of the part that was named last; never none."""

    data: bytes


class Done(NamedTuple):
    """The answer is whole."""


Heard: TypeAlias = Head | Part | Body | Done


class Client:
    """One connection to a server. `most`: requests that may be under way."""

    def __init__(self, server: Address, most: int = 1) -> None:
        host = f"[{server.host}]" if ":" in server.host else server.host
        self._host = f"{host}:{server.port}"
        self._most = most
        self._asked: deque[_Exchange] = deque()
        self._is_over = False  # the server takes no more requests here

    @property
    def reusable(self) -> bool:
        """Whether another request may be made."""
        return len(self._asked) < self._most and not self._is_over

    def ask(self, ask: Ask) -> bytes:
        """The bytes of a request. Raises ValueError while too many are under way, and for a path or
        a tag that no request can hold."""
        if not self.reusable:
            raise ValueError(f"no request for {ask.path} can be made on this connection now")
        lines = [("Host", self._host), ("Accept-Encoding", "identity")]
        if ask.spans:
            lines.append(("Range", range_field(ask.spans)))
        if ask.if_range:
            lines.append(("If-Range", ask.if_range))
        http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MOST_FIELD_BYTES)
        try:
            request = h11.Request(method=ask.method, target=f"/{ask.path}", headers=lines)
            sent = http.send(request) + http.send(h11.EndOfMessage())
        except (h11.LocalProtocolError, UnicodeEncodeError) as error:
            raise ValueError(f"no request can be made for {ask.path!r}: {error}") from error
        self._asked.append(_Exchange(http, _Answer(ask)))
        return sent

    def hear(self, data: bytes) -> list[Heard]:
        """What comes from the server."""
        return self._hear(data) if data else []

    def hear_end(self) -> list[Heard]:
        """The server has closed the connection: `Malformed` where an answer is cut short."""
        heard = self._hear(b"") if self._asked else []
        if self._asked:
            raise Malformed("the connection ended before the answer did")
        return heard

    def _hear(self, data: bytes) -> list[Heard]:
        heard: list[Heard] = []
        rest: bytes | None = data
        while rest is not None:
            if not self._asked:
                raise Malformed(f"{len(rest)} bytes came that nobody asked for")
            more, rest = self._hear_one(self._asked[0], rest)
            heard += more
        return heard

    def _hear_one(self, exchange: "_Exchange", data: bytes) -> tuple[list[Heard], bytes | None]:
        """What `data` is to the oldest request, and what of it is the beginning of the next."""
        http, answer = exchange
        heard: list[Heard] = []
        try:
            http.receive_data(data)
            while True:
                event = http.next_event()
                match event:
                    case h11.InformationalResponse():
                        answer.wait()
                    case h11.Response():
                        heard += answer.begin(event.status_code, fields(list(event.headers)))
                    case h11.Data():
                        heard += answer.read(bytes(event.data))
                    case h11.EndOfMessage():
                        return [*heard, answer.end()], self._finish(http)
                    case _:  # more is needed, or the connection is closed
                        return heard, None
        except h11.RemoteProtocolError as error:
            raise Malformed(f"this is not HTTP as it should be: {error}") from error

    def _finish(self, http: h11.Connection) -> bytes | None:
        """An answer is whole: what is left over is the next one's."""
        self._asked.popleft()
        self._is_over = http.our_state is not h11.DONE or http.their_state is not h11.DONE
        rest: bytes = http.trailing_data[0]
        if rest and (not self._asked or self._is_over):
            raise Malformed("bytes follow the answer that nobody asked for")
        return rest or None


class _Exchange(NamedTuple):
    """A request that is not answered yet."""

    http: h11.Connection
    answer: "_Answer"


class _Answer:
    """What is known of the answer to one request."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._waits = 0
        self._parts: PartsReader | None = None
        self._expected: list[Span] | None = None  # parts to come; None until the total is known
        self._total: int | None = None
        self._left = 0  # bytes that may still come
        self._kept = True  # whether the body is wanted

    def wait(self) -> None:
        """Status 1xx."""
        self._waits += 1
        if self._waits > MOST_INFORMATIONAL:
            raise Malformed(f"{self._waits} informational answers and no other")

    def begin(self, status: int, found: Fields) -> list[Heard]:
        """The status line and the fields; where the body is one part, its beginning as well."""
        part: list[Heard] = []
        coding = found.get("content-encoding", "identity").lower()
        if status in (OK, PARTIAL) and coding != "identity":
            raise Malformed(f"the answer is coded as {coding}; only identity was asked for")
        match status:
            case 206 if self._ask.spans:
                part = self._begin_parts(found)
            case 206:
                raise Malformed("206 answers a request for a whole file")
            case 200 if self._ask.spans and not self._ask.if_range:
                raise Malformed("200 answers a request for ranges: this server ignores them")
            case 200:
                self._begin_whole(found)
            case _:
                self._kept, self._left = False, MOST_IGNORED_BYTES
                if status == UNSATISFIABLE:
                    self._total = unsatisfied_total(found.get("content-range", ""))
        head = Head(status, self._total, strong_tag(found.get("etag", "")), digest_in(found))
        return [head, *part]

    def _begin_whole(self, found: Fields) -> None:
        length = found.get("content-length")
        if length is not None:
            self._total = int(length)  # h11 has seen to it that it is a number
        elif self._ask.method == "GET" and "transfer-encoding" not in found:
            raise Malformed("the answer does not say how long the file is")
        self._left = self._ask.most_bytes if self._ask.method == "GET" else 0
        if self._ask.method == "GET" and (self._total or 0) > self._ask.most_bytes:
            raise Malformed(f"the file has {self._total} bytes, {self._left} are the most")

    def _begin_parts(self, found: Fields) -> list[Heard]:
        mark = boundary(found.get("content-type", ""))
        if mark is None:
            return [self._begin_part(PartHead(*content_range(found.get("content-range", ""))))]
        self._parts = PartsReader(mark)
        return []

    def _begin_part(self, head: PartHead) -> Part:
        """Hold a part against what was asked for."""
        if self._expected is None:
            self._total = head.total
            self._expected = _cut(self._ask.spans, head.total)
        if head.total != self._total:
            raise Malformed(f"one part is of {self._total} bytes, another of {head.total}")
        if not self._expected or head.span != self._expected.pop(0):
            raise Malformed(f"bytes {head.span.first}-{head.span.last} were not asked for here")
        self._left = head.span.size
        return Part(head.span, head.total)

    def read(self, data: bytes) -> list[Heard]:
        """Some of the body."""
        heard: list[Heard] = []
        if self._parts is None:
            pieces: Sequence[PartHead | bytes] = [data] if data else []
        else:
            pieces = self._parts.hear(data)
        for piece in pieces:
            if isinstance(piece, PartHead):
                heard.append(self._begin_part(piece))
                continue
            self._left -= len(piece)
            if self._left < 0:
                raise Malformed("more bytes came than were asked for")
            if self._kept:
                heard.append(Body(piece))
        return heard

    def end(self) -> Done:
        """The body is over."""
        if self._expected is None:
            if self._parts is not None:
                raise Malformed("the answer in parts has none")
            return Done()
        if self._expected or self._left or (self._parts and not self._parts.complete):
            raise Malformed("fewer bytes came than were asked for")
        return Done()


def _cut(spans: Sequence[Span], total: int) -> list[Span]:
    """The spans as far as the file has them."""
    return [Span(span.first, min(span.last, total - 1)) for span in spans if span.first < total]
