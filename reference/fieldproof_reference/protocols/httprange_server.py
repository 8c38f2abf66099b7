"""The serving side of HTTP ranges: the files below one root, read-only.

`Server` serves a root, `Conversation` whatever a function answers: the center's pages are made of
the latter and of `file_response`. The laws of a root:

1. GET and HEAD; any other method is 405. A target is a plain path below the root, in letters,
   digits, `.`, `_`, `-` and `/`: whatever else there is in it (an escape, a dot segment, a query, a
   whole URL) is 400, so that no spelling leads out (T16).
2. A file is read once for an answer. Its entity tag is strong, made of its content; `Repr-Digest`
   has the SHA-256 of all of it, in a 206 as well, so that who fetched parts can prove the whole.
3. Ranges are served as RFC 9110 says: one as it is, many as multipart/byteranges, in the order
   asked for, cut at the end of the file; 416 where the file has none of them. Ignored is a field
   that is not well formed, or asks for more bytes than the file has, or for too many ranges.
4. `If-Range` and `If-Match` compare strong tags, `If-None-Match` any; dates are not compared, and
   none is sent: this side has no clock.
5. A path that ends in `/` is a folder: its files as lines of JSON, `{"name": ..., "size": ...}`.
6. What is not HTTP is answered by one 4xx, if it still can be, and the connection is over. Bodies
   of requests are skipped, and bounded, as everything is that a stranger sends.

Left out, being of no use to a center: `Content-Type` of the files, `Last-Modified`, compression.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import NamedTuple, Protocol, TypeAlias

import h11

from fieldproof_reference.formats import Malformed
from fieldproof_reference.protocols.httprange_fields import (
    Fields,
    Span,
    fields,
    tag_and_digest,
    wanted_spans,
)

MOST_RANGES = 64
MOST_FIELD_BYTES = 8192
MOST_BODY_BYTES = 1 << 16
MOST_AT_ONCE = 32
"""Bounds: ranges, header and body of a request, requests that one piece of input may hold."""

_TARGET = re.compile(r"/(?:[A-Za-z0-9_-][A-Za-z0-9_.-]*/)*(?:[A-Za-z0-9_-][A-Za-z0-9_.-]*)?")
METHODS = ("GET", "HEAD")


class Files(Protocol):
    """What is served. A node's `DiskView` is one."""

    def size(self, path: str) -> int | None:
        """Bytes in the file, None where there is none."""

    def read(self, path: str, offset: int = 0, size: int = -1) -> bytes:
        """The content of a file; OSError where it cannot be read."""

    def listing(self, prefix: str) -> tuple[str, ...]:
        """Every path that starts with `prefix`, sorted."""


class Response(NamedTuple):
    """What a request is answered."""

    status: HTTPStatus
    lines: Mapping[str, str] = {}
    body: bytes = b""  # sent to GET alone; its length is told to HEAD as well


METHOD_NOT_ALLOWED = Response(HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": ", ".join(METHODS)})

Answer: TypeAlias = Callable[[str, str, Fields], Response]
"""The answer to a request of this method, target and header; `Malformed` is answered by 400."""


class Conversation:
    """One connection of a client."""

    def __init__(
        self, answer: Answer, always: Mapping[str, str] | None = None, at_once: int = MOST_AT_ONCE
    ) -> None:
        """`always`: lines of every response that does not say otherwise, refusals included.
        `at_once`: how many requests one piece of input may hold."""
        self._respond = answer
        self._always = always or {}
        self._at_once = at_once
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MOST_FIELD_BYTES)
        self._skipped_bytes = 0
        self.over = False
        """Whether the connection is to be closed, once all was sent."""

    def hear(self, data: bytes) -> bytes:
        """What to send to the client, who sent `data`."""
        if self.over or not data:
            return b""
        answers: list[bytes] = []
        try:
            self._http.receive_data(data)
            while len(answers) < self._at_once and self._step(answers):
                pass
        except h11.RemoteProtocolError as error:
            answers.append(self._refuse(error.error_status_hint))
        self.over = self.over or len(answers) == self._at_once
        return b"".join(answers)

    def _step(self, answers: list[bytes]) -> bool:
        """Take the next event of the connection; whether there may be another."""
        event = self._http.next_event()
        match event:
            case h11.Request():
                answers.append(self._answer(event))
            case h11.Data():
                self._skipped_bytes += len(event.data)
                self.over = self.over or self._skipped_bytes > MOST_BODY_BYTES
            case h11.EndOfMessage():
                self._skipped_bytes = 0
                if self._http.our_state is h11.DONE:
                    self._http.start_next_cycle()
                self.over = self._http.our_state is not h11.IDLE
            case _:
                return False
        return not self.over

    def _answer(self, request: h11.Request) -> bytes:
        method = request.method.decode("ascii")
        target = request.target.decode("ascii")
        try:
            found = fields(list(request.headers))
            response = self._respond(method, target, found)
        except Malformed:
            response = Response(HTTPStatus.BAD_REQUEST)
        return self._send(response, method == "HEAD")

    def _refuse(self, hint: int) -> bytes:
        """Say what was wrong, where nothing was said yet."""
        self.over = True
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return b""
        return self._send(Response(HTTPStatus(hint), {"Connection": "close"}), False)

    def _send(self, response: Response, head_alone: bool) -> bytes:
        lines = [*{**self._always, **response.lines}.items()]
        if response.status is not HTTPStatus.NOT_MODIFIED:
            lines.append(("Content-Length", str(len(response.body))))
        head = h11.Response(
            status_code=response.status,
            headers=lines,
            reason=response.status.phrase.encode("ascii"),
        )
        body = b"" if head_alone else response.body
        sent = [self._http.send(head), self._http.send(h11.Data(data=body))]
        return b"".join(filter(None, [*sent, self._http.send(h11.EndOfMessage())]))


class Server(Conversation):
    """One connection of a client to the files below one root."""

    def __init__(self, files: Files, root: str) -> None:
        """`root`: the folder below which everything may be read, with a final `/`."""
        super().__init__(partial(respond, files, root))


def respond(files: Files, root: str, method: str, target: str, found: Fields) -> Response:
    """The answer to one request. `found`: its header fields."""
    if method not in METHODS:
        return METHOD_NOT_ALLOWED
    if _TARGET.fullmatch(target) is None:
        return Response(HTTPStatus.BAD_REQUEST)
    path = target[1:]
    if not path.startswith(root):
        return Response(HTTPStatus.NOT_FOUND)
    if path.endswith("/"):
        return _folder(files, path)
    try:
        content = files.read(path) if files.size(path) is not None else None
    except OSError:
        content = None
    if content is None:
        return Response(HTTPStatus.NOT_FOUND)
    return file_response(content, found, method == "GET")


def _folder(files: Files, path: str) -> Response:
    """The files of a folder; the folders in it have none to show."""
    names = [name for each in files.listing(path) if "/" not in (name := each[len(path) :])]
    if not names:
        return Response(HTTPStatus.NOT_FOUND)
    lines = [{"name": name, "size": files.size(path + name)} for name in names]
    body = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
    return Response(HTTPStatus.OK, {"Content-Type": "application/jsonl"}, body)


def file_response(content: bytes, found: Fields, may_range: bool) -> Response:
    """A file, or the ranges of it that the header asks for, or that nothing of it is wanted."""
    tag, digest = tag_and_digest(content)
    lines = {"ETag": tag, "Repr-Digest": digest}
    if "if-match" in found and not _names(found["if-match"], tag):
        return Response(HTTPStatus.PRECONDITION_FAILED, lines)
    if "if-none-match" in found and _names(found["if-none-match"].replace("W/", ""), tag):
        return Response(HTTPStatus.NOT_MODIFIED, lines)
    spans = None
    if may_range and "range" in found and found.get("if-range", tag) == tag:
        spans = wanted_spans(found["range"], len(content), MOST_RANGES)
    if spans is None:
        return Response(HTTPStatus.OK, {"Accept-Ranges": "bytes", **lines}, content)
    if not spans:
        total = {"Content-Range": f"bytes */{len(content)}"}
        return Response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, total)
    return _partial(content, spans, lines)


def _names(tags: str, tag: str) -> bool:
    """Whether a list of entity tags names this one; `*` names all."""
    return tags == "*" or tag in [each.strip() for each in tags.split(",")]


def _partial(content: bytes, spans: Sequence[Span], lines: Mapping[str, str]) -> Response:
    if len(spans) == 1:
        body = content[spans[0].first : spans[0].last + 1]
        ranged = {"Content-Range": _content_range(spans[0], len(content))}
        return Response(HTTPStatus.PARTIAL_CONTENT, {**ranged, **lines}, body)
    mark = lines["ETag"][1:9]
    while f"--{mark}".encode() in content:
        mark += "-"
    parts = [
        f"\r\n--{mark}\r\nContent-Range: {_content_range(span, len(content))}\r\n\r\n".encode()
        + content[span.first : span.last + 1]
        for span in spans
    ]
    body = b"".join([parts[0][2:], *parts[1:], f"\r\n--{mark}--\r\n".encode()])
    kind = {"Content-Type": f"multipart/byteranges; boundary={mark}"}
    return Response(HTTPStatus.PARTIAL_CONTENT, {**kind, **lines}, body)


def _content_range(span: Span, total: int) -> str:
    return f"bytes {span.first}-{span.last}/{total}"
