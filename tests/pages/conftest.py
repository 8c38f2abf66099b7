"""What the tests of pages share: an archive of known losses, and a browser.

The browser is headless Chromium, spoken to by its DevTools protocol over pipes. It has a profile of
its own, speaks to nobody but this machine, and is ended by its own process id.

Test files do not import each other: they get all of this as fixtures.
"""

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fieldproof_contract import SECOND_NS, Address, Monotonic, Now
from fieldproof_reference import ports
from fieldproof_reference.center import CenterSettings, EdgeAtCenter, SiteDay, provenance
from fieldproof_reference.formats import idx, trees, xrio
from fieldproof_reference.formats.days import DAY_S, day_number

TODAY = day_number("2006-01-17")
ADDRESSES = {"daws": "206.172.47.234", "gill": "2001:db8::5", "talo": "198.51.100.7"}
SETTINGS = CenterSettings(
    {site: EdgeAtCenter(b"k" * 16, Address(host, 1), "none") for site, host in ADDRESSES.items()},
    page=ports.PAGE,
)
POINTS = xrio.pack_points([3000] * 60, [4] * 60, [60] * 60)


class Disk:
    """Files in a dict."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self.files = dict(files or {})

    def size(self, path: str) -> int | None:
        return len(self.files[path]) if path in self.files else None

    def read(self, path: str, offset: int = 0, size: int = -1) -> bytes:
        if path not in self.files:
            raise FileNotFoundError(path)
        return self.files[path][offset : None if size < 0 else offset + size]

    def listing(self, prefix: str) -> tuple[str, ...]:
        return tuple(sorted(path for path in self.files if path.startswith(prefix)))

    # --- what the center writes ---

    def arrive(self, site: str, first_s: int, *, at_s: float | None = None) -> None:
        """A record comes, a minute and a second after its first sample or at `at_s`; raw."""
        record = xrio.pack(site.upper().encode(), first_s, POINTS)
        self.receive(ADDRESSES[site], record, first_s + 61.4 if at_s is None else at_s)

    def receive(self, host: str, data: bytes, at_s: float) -> None:
        """Any datagram."""
        dat, index = (
            trees.arrival_path(int(at_s), host, ports.TELEMETRY, end) for end in ("dat", "idx")
        )
        before = self.files.setdefault(dat, b"")
        self.files[dat] += data
        entry = idx.Entry(
            round(at_s * SECOND_NS),
            ports.TELEMETRY,
            Address(host, 32_769),
            len(data),
            len(before),
            data[:4],
        )
        self.files[index] = self.files.get(index, b"") + idx.line(entry)

    def file(self, site: str, first_s: int) -> None:
        """A record becomes part of the archive."""
        path = trees.hour_path(site, first_s)
        record = xrio.pack(site.upper().encode(), first_s, POINTS)
        self.files[path] = self.files.get(path, b"") + record

    def note(self, path: str, **said: object) -> None:
        """A line of notes."""
        self.files[path] = self.files.get(path, b"") + json.dumps(said).encode() + b"\n"

    def day(self, site: str, day: int, lost: Sequence[int] = (), until_s: int = DAY_S) -> None:
        """A day whose lost minutes were restored and which was proven, or as far as it goes."""
        for minute in range(until_s // 60):
            first_s = day * DAY_S + minute * 60 - 57  # arrives four seconds after the minute
            if minute not in lost:
                self.arrive(site, first_s)
            self.file(site, first_s)
        path = provenance.path_of(SiteDay(site, day))
        for minute in lost:
            what = {"what": "restored", "after_s": 60 * minute, "before_s": 60 * minute + 60}
            when = (day + 1) * DAY_S * SECOND_NS + 75 * SECOND_NS
            self.note(path, **what, items=1, bytes=380, utc_ns=when, method="repair")
        if until_s == DAY_S:
            self.note(path, what="confirmed", digest="00")


def now_at(day: int, second: float, monotonic_s: float = 0) -> Now:
    """A moment of a day."""
    return Now(Monotonic(round(monotonic_s * SECOND_NS)), round((day * DAY_S + second) * SECOND_NS))


@pytest.fixture(scope="session")
def kit() -> SimpleNamespace:
    """What a test needs to make an archive."""
    return SimpleNamespace(
        Disk=Disk, SETTINGS=SETTINGS, TODAY=TODAY, now=now_at, ADDRESSES=ADDRESSES, POINTS=POINTS
    )


@pytest.fixture(scope="session")
def three_days() -> Disk:
    """daws lost three minutes on the second day, gill the first two hours of the third, which goes
    on until noon; talo was heard on the second only. Nobody changes it."""
    made = Disk()
    for site in ("daws", "gill"):
        made.day(site, TODAY - 2)
    made.day("daws", TODAY - 1, lost=(983, 1121, 1327))
    made.day("gill", TODAY - 1)
    made.day("talo", TODAY - 1, until_s=3600)
    made.day("daws", TODAY, until_s=12 * 3600)
    made.day("gill", TODAY, lost=range(120), until_s=12 * 3600)
    quarantine = "quarantine/2006/01/16/provenance.jsonl"
    made.note(quarantine, reason="unknown site", utc_s=1, bytes=380)
    made.note(quarantine, reason="<script>alert(1)</script>", utc_s=1, bytes=380)
    made.note("flags/2006/01/17/daws.jsonl", hour=1, first_s=1, flags=["npoints"])
    return made


@pytest.fixture
def disk(three_days: Disk) -> Disk:
    """The same, for one test to change."""
    return Disk(three_days.files)


PATIENCE_S = 60
CHROMIUM = (
    "chromium",
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.*",
    "--hide-scrollbars",
)
AT_3_AND_4 = (
    "import os, sys; read, write = map(int, sys.argv[1:3]); "
    "os.dup2(read, 3); os.dup2(write, 4); os.execvp(sys.argv[3], sys.argv[3:])"
)
"""The browser reads commands from descriptor 3 and answers on 4."""


class Browser:
    """One tab."""

    def __init__(self, profile: Path) -> None:
        child_reads, self._write = (_high(fd) for fd in os.pipe())
        self._read, child_writes = (_high(fd) for fd in os.pipe())
        args = [*CHROMIUM, f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", AT_3_AND_4, str(child_reads), str(child_writes), *args],
            pass_fds=(child_reads, child_writes),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(child_reads)
        os.close(child_writes)
        self._heard = b""
        self._number = 0
        self._session = ""
        self.events: list[dict[str, Any]] = []
        tabs = self.call("Target.getTargets")["targetInfos"]
        (tab,) = [one["targetId"] for one in tabs if one["type"] == "page"]
        attached = self.call("Target.attachToTarget", targetId=tab, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "Accessibility"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)

    def close(self) -> None:
        """End it and all of its own processes."""
        os.close(self._write)
        os.close(self._read)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The answer to a command; what happens meanwhile goes to `events`."""
        self._number += 1
        command = {"id": self._number, "method": method, "params": params}
        if self._session:
            command["sessionId"] = self._session
        os.write(self._write, json.dumps(command).encode() + b"\0")
        while True:
            message = self._message()
            if message.get("id") == self._number:
                assert "error" not in message, (method, message)
                return message["result"]
            self.events.append(message)

    def until(self, method: str) -> dict[str, Any]:
        """The next event of a kind, or one that has happened already."""
        while True:
            for at, event in enumerate(self.events):
                if event.get("method") == method:
                    return self.events.pop(at)["params"]
            self.events.append(self._message())

    def open(
        self,
        url: str,
        width: int = 1280,
        height: int = 800,
        *,
        dark: bool = False,
        media: str = "screen",
    ) -> None:
        """Show a page on a screen, or sheet, of this size."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self.events.clear()
        shown = self.call("Page.navigate", url=url)
        assert not shown.get("errorText"), (url, shown)
        self.until("Page.loadEventFired")

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression on the page."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """Press and release a key."""
        code = {"Tab": 9, "Enter": 13}[key]
        for kind in ("rawKeyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
            )

    def printed(self) -> bytes:
        """The page as PDF."""
        return base64.b64decode(self.call("Page.printToPDF")["data"])

    def heard(self) -> list[dict[str, Any]]:
        """What there is to be accessible: roles, names and properties, without what is ignored."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [node for node in nodes if not node["ignored"]]

    def _message(self) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_S
        while b"\0" not in self._heard:
            left = max(0.0, deadline - time.monotonic())
            assert select.select([self._read], [], [], left)[0], "the browser says nothing"
            data = os.read(self._read, 1 << 20)
            assert data, "the browser has ended"
            self._heard += data
        message, _, self._heard = self._heard.partition(b"\0")
        return json.loads(message)


def _high(fd: int) -> int:
    """The same beyond the descriptors that the browser expects."""
    if fd > 9:
        return fd
    high = os.dup(fd)
    try:
        return _high(high)
    finally:
        os.close(fd)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser for all tests of this process."""
    if shutil.which("chromium") is None:
        pytest.skip("chromium is missing")
    one = Browser(tmp_path_factory.mktemp("profile"))
    yield one
    one.close()
