"""The center's trees as folders and files, read-only, for browsers (R1-22).

The laws:

1. A target is a plain path: names of ASCII letters, digits, `_`, `-`, `:` and single dots between
   them, parted by single `/`. Whatever else there is in it (an escape, a dot segment, a trailing
   dot, a backslash, a query, a whole URL) is 400, and what is longer than `LONGEST_TARGET` is 414:
   nothing is decoded, so there is no spelling that leads out (T16).
2. Only the roots, be they empty, and what lies below them is there. All else is 404, whether it
   exists or not.
3. A folder is a page: its folders with how many files they hold, its files with their sizes,
   `MOST_ENTRIES` at most. Names that are no target are shown without a link.
4. A file is sent as it is, in ranges where these are asked for, with the type that its ending says;
   what strangers sent is no text. A larger one than `MOST_FILE_BYTES` is refused: a page is no
   way to fetch it, and the node does not wait for anybody.
"""

import re
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from http import HTTPStatus
from typing import NamedTuple

from fieldproof_contract import DiskView
from fieldproof_reference.center.pages.markup import Html, document, joined, number, row, tag
from fieldproof_reference.protocols.httprange_fields import Fields
from fieldproof_reference.protocols.httprange_server import Response, file_response

LONGEST_TARGET = 1024
MOST_ENTRIES = 1000
MOST_FILE_BYTES = 1_000_000
"""Less than what a driver keeps for a connection that takes its time."""

_NAME = r"[A-Za-z0-9_:-]+(?:\.[A-Za-z0-9_:-]+)*"
_TARGET = re.compile(rf"/(?:{_NAME}/)*(?:{_NAME})?")
_LINKED = re.compile(_NAME)

TYPES = {
    "png": "image/png",
    "json": "application/json",
    "idx": "text/plain; charset=utf-8",
    "jsonl": "text/plain; charset=utf-8",
}
BYTES = "application/octet-stream"
HTML = {"Content-Type": "text/html; charset=utf-8"}

_WORDS = {
    HTTPStatus.BAD_REQUEST: "This is no address of a page or file here.",
    HTTPStatus.NOT_FOUND: "There is no such page or file.",
    HTTPStatus.FORBIDDEN: "This file is too large for this page: take it from the center's disk.",
    HTTPStatus.REQUEST_URI_TOO_LONG: "No address is so long here.",
}


class Entry(NamedTuple):
    """A line of a folder."""

    name: str  # of a folder with a final `/`
    files: int  # in it; 1 for a file


def path_of(target: str) -> str | HTTPStatus:
    """The path that a request asks for, "" for the first page; or what is wrong with it."""
    if len(target) > LONGEST_TARGET:
        return HTTPStatus.REQUEST_URI_TOO_LONG
    return target[1:] if _TARGET.fullmatch(target) else HTTPStatus.BAD_REQUEST


class Shown:
    """What of a disk is shown: the trees below these roots."""

    def __init__(self, disk: DiskView, roots: Collection[str], style: str) -> None:
        """`roots`: names of folders; `style`: the name of the style sheet."""
        self._disk = disk
        self._roots = roots
        self._style = style

    def answer(self, path: str, found: Fields, may_range: bool) -> Response:
        """The answer for a path that `path_of` has found good. `found`: the request's fields."""
        root, slash, _ = path.partition("/")
        if root not in self._roots:
            return self.refusal(HTTPStatus.NOT_FOUND)
        if path.endswith("/"):
            return self._folder(path, found, may_range)
        if slash and (size := self._disk.size(path)) is not None:
            return self._file(path, size, found, may_range)
        if self._disk.listing(path + "/"):
            name = path.rpartition("/")[2]
            return Response(HTTPStatus.MOVED_PERMANENTLY, {"Location": f"./{name}/"})
        return self.refusal(HTTPStatus.NOT_FOUND)

    def refusal(self, status: HTTPStatus) -> Response:
        """A page that says what is wrong."""
        words = _WORDS.get(status, status.phrase)
        way = tag("a", "To the status page", href="/")
        body = tag("body", tag("main", tag("h1", words), tag("p", way)))
        return Response(status, HTML, document(words, body, self._style, "/"))

    def _file(self, path: str, size: int, found: Fields, may_range: bool) -> Response:
        if size > MOST_FILE_BYTES:
            return self.refusal(HTTPStatus.FORBIDDEN)
        try:
            content = self._disk.read(path, 0, MOST_FILE_BYTES)
        except OSError:
            return self.refusal(HTTPStatus.NOT_FOUND)
        response = file_response(content, found, may_range)
        kind = TYPES.get(path.rpartition("/")[2].rpartition(".")[2], BYTES)
        return response._replace(lines={"Content-Type": kind, **response.lines})

    def _folder(self, path: str, found: Fields, may_range: bool) -> Response:
        listed = self._disk.listing(path)
        if not listed and path.rstrip("/") not in self._roots:
            return self.refusal(HTTPStatus.NOT_FOUND)
        entries = list(_entries(listed, path))
        names = path.rstrip("/").split("/")
        more = "There is more than can be shown." if len(entries) > MOST_ENTRIES else ""
        body = tag(
            "body",
            tag("header", tag("nav", _trail(names), aria_label="Folders above")),
            tag(
                "main",
                tag("h1", names[-1], "/"),
                tag("p", more) if more else "",
                self._table(path, entries[:MOST_ENTRIES]),
            ),
        )
        page = document(f"{path} at the center", body, self._style, "../" * len(names))
        response = file_response(page, found, may_range)
        return response._replace(lines={**HTML, **response.lines})

    def _table(self, path: str, entries: Sequence[Entry]) -> Html:
        caption = f"{number(len(entries))} {'entry' if len(entries) == 1 else 'entries'}"
        return tag(
            "table",
            tag("caption", caption),
            tag("thead", row("Name", "Size", head=True)),
            tag("tbody", *(row(_link(each.name), self._size(path, each)) for each in entries)),
            class_="files",
        )

    def _size(self, path: str, entry: Entry) -> str:
        if entry.name.endswith("/"):
            return f"{number(entry.files)} {'file' if entry.files == 1 else 'files'}"
        return f"{number(self._disk.size(path + entry.name) or 0)} B"


def _entries(listed: Sequence[str], path: str) -> Iterator[Entry]:
    """What is in a folder, one more than is shown. `listed`: all paths below it, sorted: what lies
    in one folder is passed over at once."""
    at = count = 0
    while at < len(listed) and count <= MOST_ENTRIES:
        name, slash, _ = listed[at][len(path) :].partition("/")
        after = bisect_left(listed, f"{path}{name}0", at) if slash else at + 1  # 0 follows /
        yield Entry(name + slash, after - at)
        at, count = after, count + 1


def _trail(names: Sequence[str]) -> Html:
    """The way back."""
    ways = [("Status", "../" * len(names))]
    ways += [(name, "../" * (len(names) - 1 - at)) for at, name in enumerate(names[:-1])]
    return tag("ol", *(tag("li", tag("a", name, href=way)) for name, way in ways), class_="trail")


def _link(name: str) -> Html:
    """A name in the folder that is shown."""
    if _LINKED.fullmatch(name.removesuffix("/")) is None:
        return joined((name,))
    return tag("a", name, href=f"./{name}")
