"""The center's status page, and its trees for browsers: read-only, for whoever reaches the port.

    /                          how the sites do (html.py)
    /udp/..., /riometer/...    folders and files (files.py)

The laws:

1. Nothing can be changed from here, and what is shown is not secret: nobody is asked who he is.
2. A request costs little, whatever it asks for: the status page is made of what was read before
   (reading.py), in steps between which the center hears everything else; it is made once in
   `KEPT_NS`. A connection may ask `AT_ONCE` times in one breath, and is bounded as guests.py says.
3. What is malformed ends its connection, never the node.
4. Every answer has `ALWAYS`: browsers run nothing here, guess no types, show it in no frame, and
   ask again before they show it again.
"""

import struct
from collections.abc import Mapping
from http import HTTPStatus

from fieldproof_contract import (
    SECOND_NS,
    DiskView,
    Effects,
    Event,
    Monotonic,
    Now,
    Topic,
)
from fieldproof_reference.center import (
    ARRIVED,
    CenterSettings,
    Promoted,
    SiteDay,
    SiteHour,
)
from fieldproof_reference.center.pages.files import HTML, Shown, path_of
from fieldproof_reference.center.pages.html import TREES, Plot, page
from fieldproof_reference.center.pages.reading import Reading
from fieldproof_reference.center.pages.style import ICON, NAME, STYLE
from fieldproof_reference.formats.days import DAY_S, day_text
from fieldproof_reference.guests import Guests
from fieldproof_reference.protocols.httprange_fields import Fields
from fieldproof_reference.protocols.httprange_server import (
    METHOD_NOT_ALLOWED,
    METHODS,
    Conversation,
    Response,
    file_response,
)

LOOK_NS = 20 * SECOND_NS
"""How long nothing is read when all was read. Silence is news, too: a record may be due."""

STEPS, PAUSE_NS = 8, 10_000_000
"""How much is read at a time, and how long others come first then."""

KEPT_NS = 2 * SECOND_NS
AT_ONCE = 4

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
ALWAYS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
FOR_GOOD = {"Cache-Control": "public, max-age=31536000, immutable"}

FIXED: Mapping[str, tuple[bytes, Mapping[str, str]]] = {
    NAME: (STYLE.encode(), {"Content-Type": "text/css; charset=utf-8", **FOR_GOOD}),
    "icon.svg": (ICON.encode(), {"Content-Type": "image/svg+xml"}),
}

_PNG = struct.Struct(">8s4x4sII")
_PNG_BEGINS = b"\x89PNG\r\n\x1a\n"


class Pages:
    """The node that listens on the page's port. It needs nothing but the disk."""

    def __init__(self, settings: CenterSettings) -> None:
        self._settings = settings
        self._guests = Guests(self._greet)
        self._work_at = Monotonic(0)
        self._is_busy = True  # there is something to read; else it is time for a look
        self._page = b""
        self._made_at = Monotonic(0)
        self._now: Now
        self._disk: DiskView
        self._shown: Shown
        self._reading: Reading

    def start(self, disk: DiskView, now: Now) -> Effects:
        """There is a month to read, and nobody is connected yet."""
        self._disk, self._now = disk, now
        self._shown = Shown(disk, TREES, NAME)
        self._reading = Reading(self._settings, disk, now)
        self._work_at = now.monotonic
        return ()

    def receive(self, event: Event, now: Now) -> Effects:
        """Answer requests; note what is new."""
        self._now = now
        match event:
            case Topic(topic, str() as path) if topic == ARRIVED:
                self._reading.arrived(path)
            case Topic(_, Promoted(paths)):
                self._reading.promoted(paths)
            case Topic(_, (SiteDay() | SiteHour()) as proven):
                self._reading.changed(proven)
            case _:
                return self._guests.receive(event, now)
        return ()

    def advance(self, now: Now) -> Effects:
        """Read on, or look for news; close what was silent for too long."""
        self._now = now
        if self._work_at <= now.monotonic:
            self._work(now)
        return self._guests.advance(now)

    def deadline(self) -> Monotonic | None:
        """The next piece to read, or the next connection that has been silent for too long."""
        silent_at = self._guests.deadline()
        return self._work_at if silent_at is None else min(self._work_at, silent_at)

    def _work(self, now: Now) -> None:
        if not self._is_busy:
            self._reading.look(now)
        self._is_busy = all(self._reading.step(now) for _ in range(STEPS))
        self._work_at = Monotonic(now.monotonic + (PAUSE_NS if self._is_busy else LOOK_NS))

    # --- answers ---

    def _greet(self) -> Conversation:
        return Conversation(self._answer, ALWAYS, AT_ONCE)

    def _answer(self, method: str, target: str, found: Fields) -> Response:
        if method not in METHODS:
            return METHOD_NOT_ALLOWED
        path, may_range = path_of(target), method == "GET"
        if isinstance(path, HTTPStatus):
            return self._shown.refusal(path)
        if path in FIXED:
            content, lines = FIXED[path]
            return _with(lines, file_response(content, found, may_range))
        if path == "":
            return _with(HTML, file_response(self._status(), found, may_range))
        return self._shown.answer(path, found, may_range)

    def _status(self) -> bytes:
        """The status page, as it is or was a moment ago."""
        if not self._page or self._now.monotonic - self._made_at > KEPT_NS:
            facts = self._reading.facts(self._now)
            self._page = page(facts, dict(self._plots()), self._now, NAME)
            self._made_at = self._now.monotonic
        return self._page

    def _plots(self) -> list[tuple[str, Plot]]:
        today = self._now.utc_ns // (DAY_S * SECOND_NS)
        folder = f"products/{day_text(today, '%Y/%m/%d')}"
        paths = ((site, f"{folder}/{site}.png") for site in self._settings.sites)
        return [
            (site, _plot(self._disk, path))
            for site, path in paths
            if self._disk.size(path) is not None
        ]


def _plot(disk: DiskView, path: str) -> Plot:
    """A plot, and how large the header of its file says that it is."""
    try:
        head = disk.read(path, 0, _PNG.size)
    except OSError:
        head = b""
    if len(head) < _PNG.size:
        return Plot(path, 0, 0)
    begins, chunk, width, height = _PNG.unpack(head)
    if (begins, chunk) != (_PNG_BEGINS, b"IHDR"):
        return Plot(path, 0, 0)
    return Plot(path, width, height)


def _with(lines: Mapping[str, str], response: Response) -> Response:
    return response._replace(lines={**lines, **response.lines})
