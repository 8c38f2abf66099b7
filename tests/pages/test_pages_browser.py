"""A real browser looks at the pages of a real center: by mouse, by keys, on paper, and by ear."""

import http.client
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from fieldproof_reference import ports
from fieldproof_reference.formats.days import DAY_S

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.slow]

WITHIN_S = 60
NOON_S = 12 * 3600 + 20
WIDTHS = (320, 360, 768, 1280)
LISTING = "/quarantine/2006/01/16/"
HOUR = "/riometer/2006/01/16/daws_xrio/"
PAGES = ("/", "/udp/", HOUR, LISTING, "/no-such-page")
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63f8ff"
    "ff3f0300080002fee0b8d0ef0000000049454e44ae426082"
)


def fetched(url: str) -> tuple[int, bytes]:
    """Status and body, without following anything."""
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.netloc, timeout=WITHIN_S)
    try:
        connection.request("GET", where.path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def counted(url: str) -> bool:
    """Whether the center is up and has read everything."""
    try:
        status, body = fetched(url)
    except OSError:
        return False
    return status == 200 and b"counted yet: " not in body


@pytest.fixture(scope="module")
def center(tmp_path_factory, kit, three_days):
    """The address of a center, at noon of the third day, with a plot of today for one site."""
    root: Path = tmp_path_factory.mktemp("center")
    files = dict(three_days.files)
    del files["flags/2006/01/17/daws.jsonl"]  # untrue: the center would take it away
    files["products/2006/01/17/daws.png"] = PIXEL
    files[f"{LISTING[1:]}{'very-' * 45}long.bin"] = b"\0"
    for path, data in files.items():
        (root / "disk" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "disk" / path).write_bytes(data)
    site = {"key": "00" * 16, "reconcile": "none"}
    sites = {name: {**site, "address": host} for name, host in kit.ADDRESSES.items()}
    (root / "sites.json").write_text(json.dumps(sites))
    pid = os.getpid()
    address = f"127.{128 + (pid >> 16) % 64}.{(pid >> 8) % 256}.{1 + pid % 250}"
    told = {
        "ARCHIVE": str(root / "disk"),
        "SITES": str(root / "sites.json"),
        "LISTEN": address,
        "PAGE": str(ports.PAGE),
        "LOG": str(root / "log"),
        "UTC_OFFSET_S": str(round(kit.TODAY * DAY_S + NOON_S - time.time())),
    }
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FIELDPROOF_")}
    environment |= {f"FIELDPROOF_{name}": value for name, value in told.items()}
    process = subprocess.Popen(
        [sys.executable, "-m", "fieldproof_reference", "center"], env=environment
    )
    url = f"http://{address}:{ports.PAGE}"
    deadline_s = time.monotonic() + WITHIN_S
    try:
        while not counted(url + "/"):
            assert process.poll() is None, (root / "log").read_text()
            assert time.monotonic() < deadline_s, f"the center does not answer at {url}"
            select.select((), (), (), 0.05)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(WITHIN_S)


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_screen(center, browser, path, width):
    """Nobody has to scroll sideways, on the narrowest phone as little as at a desk."""
    browser.open(center + path, width)
    assert width >= browser.run("document.documentElement.scrollWidth")
    assert [] == browser.run(
        """[...document.querySelectorAll("body *:not(.skip):not(.hidden)")]
        .filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML)"""
    )


CONTRASTS = """
(() => {
  const parts = text => text.match(/[\\d.]+/g).map(Number);
  const light = text => {
    const [r, g, b] = parts(text).map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const color = getComputedStyle(e).backgroundColor;
      if (parts(color).length === 3) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest(".hidden, svg")) continue;
    const [a, b] = [light(getComputedStyle(element).color), light(behind(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    found.push([contrast, element.className + ": " + walker.currentNode.data]);
  }
  return found;
})()
"""


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("dark", [False, True])
def test_all_text_can_be_read(center, browser, path, dark):
    """Text has a contrast of at least 4.5 to what is behind it, by day and by night."""
    browser.open(center + path, dark=dark)
    contrasts = browser.run(CONTRASTS)
    assert contrasts
    assert [] == [(contrast, text) for contrast, text in contrasts if contrast < 4.5]
    paper = browser.run("getComputedStyle(document.body).backgroundColor")
    assert ("rgb(20, 23, 26)" if dark else "rgb(251, 250, 247)") == paper


def test_the_browser_finds_nothing_to_complain_of(center, browser):
    """Everything that the page asks for comes from the center and is allowed by its policy."""
    browser.open(center + "/", dark=True)
    asked = [
        event["params"]["request"]["url"]
        for event in browser.events
        if event.get("method") == "Network.requestWillBeSent"
    ]
    assert 3 <= len(asked)
    assert all(url.startswith(center) for url in asked), asked
    assert [] == [event for event in browser.events if event.get("method") == "Log.entryAdded"]
    assert "grid" == browser.run('getComputedStyle(document.querySelector(".cards")).display')


@pytest.mark.parametrize("path", PAGES)
def test_headings_are_in_order(center, browser, path):
    """There is one first heading, and no level is left out on the way down."""
    browser.open(center + path)
    levels = browser.run(
        '[...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].map(h => Number(h.tagName[1]))'
    )
    assert 1 == levels[0] == Counter(levels)[1]
    assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("path", PAGES)
def test_who_hears_the_page_knows_all_of_it(center, browser, path):
    """Links, pictures and tables have names, tables have headers, and the language is told."""
    browser.open(center + path)
    named = ("link", "image", "table", "navigation", "article")
    nameless = [
        node
        for node in browser.heard()
        if node["role"]["value"] in named and not node["name"]["value"].strip()
    ]
    assert [] == nameless
    assert "en" == browser.run("document.documentElement.lang")
    assert browser.run("[...document.images].every(image => image.alt && image.complete)")
    assert browser.run('[...document.querySelectorAll("th")].every(th => th.scope)')
    assert browser.run('[...document.querySelectorAll("table")].every(t => t.caption && t.tHead)')
    ids = browser.run('[...document.querySelectorAll("[id]")].map(e => e.id)')
    assert len(set(ids)) == len(ids)


def test_the_parts_of_the_page_are_landmarks(center, browser):
    """Header, main part, footer and navigation can be jumped to, and the sections have names."""
    browser.open(center + "/")
    roles = Counter(node["role"]["value"] for node in browser.heard())
    assert (1, 1, 1) == (roles["banner"], roles["main"], roles["contentinfo"])
    assert (1, 4, 3) == (roles["navigation"], roles["region"], roles["article"])
    regions = [n["name"]["value"] for n in browser.heard() if n["role"]["value"] == "region"]
    assert ["Sites", "Day by day", "Reconciliation", "Kept out, and flagged"] == regions


def test_what_is_seen_is_what_is_there(center, browser):
    """The page shows the losses of the archive, and a plot where there is one."""
    browser.open(center + "/")
    rows = browser.run('[...document.querySelectorAll(".sites tbody tr")].map(r => r.innerText)')
    daws, gill, talo = (" ".join(row.replace("\u202f", " ").split()) for row in rows)
    assert daws.startswith("DAWS live ")
    assert " 3 0.08 %" in daws
    assert " 120 16.67 % 120 3.33 %" in gill
    assert talo.startswith("TALO silent 16 Jan ")
    assert 1 == browser.run("document.images.length")
    assert 2 == browser.run('document.querySelectorAll(".noplot").length')
    assert browser.run('document.body.innerText.includes("<script>alert(1)</script>")')


def test_every_link_leads_somewhere(center, browser):
    """Each link of the status page, and of the folders below it, leads to something here."""
    todo, seen = [center + "/"], set()
    while todo:
        url = todo.pop()
        seen.add(url)
        browser.open(url)
        links = browser.run("[...document.links].map(a => [a.href, a.hash])")
        for href, fragment in links:
            assert href.startswith(center), href
            if fragment:
                assert browser.run(f"!!document.getElementById({json.dumps(fragment[1:])})"), href
            elif href not in seen:
                seen.add(href)
                assert 200 == fetched(href)[0], href
                if href.endswith("/") and len(seen) < 300 and "/udp/2006/01/1" not in href:
                    todo.append(href)
    assert any(url.endswith("_daws_xrio.dat") for url in seen)


def test_keys_are_enough(center, browser):
    """Tab goes from link to link, shows where it is, and the first one skips to the sites."""
    browser.open(center + "/", 1000, 700)
    total = browser.run("document.links.length")
    for number in range(min(total, 40)):
        browser.press("Tab")
        where = browser.run(
            """(() => { const e = document.activeElement, s = getComputedStyle(e);
            const r = e.getBoundingClientRect(), wide = parseFloat(s.outlineWidth);
            return [e.tagName, s.outlineStyle, wide, r.left, r.bottom]; })()"""
        )
        assert ["A", "solid"] == where[:2], number
        assert where[2] >= 2, number
        assert where[3] >= 0, number
        assert 0 < where[4] <= 700, number
    browser.open(center + "/", 1000, 700)
    browser.press("Tab")
    browser.press("Enter")
    assert "#sites" == browser.run("location.hash")


def test_it_prints(center, browser):
    """On a sheet of paper nothing is cut off, and dark colours are left on the screen."""
    browser.open(center + "/", 794, 1123, dark=True, media="print")
    assert 794 >= browser.run("document.documentElement.scrollWidth")
    assert "rgb(255, 255, 255)" == browser.run(
        "getComputedStyle(document.body).getPropertyValue('background-color')"
    )
    assert [] == [found for found in browser.run(CONTRASTS) if found[0] < 4.5]
    assert b"%PDF-" == browser.printed()[:5]


@pytest.mark.parametrize(
    "target",
    [
        b"/../../../etc/passwd",
        b"/riometer/%2e%2e/%2e%2e/etc/passwd",
        b"/riometer/..%5c..%5c.lock",
        b"/.lock",
        b"/sites.json",
        b"http://127.0.0.1/.lock",
        b"/riometer/\xc0\xae\xc0\xae/",
        b"/" + b"a" * 100_000,
    ],
)
def test_no_spelling_leads_out_of_a_real_center(center, target):
    """A real center refuses what a browser would never send, and goes on."""
    where = urlsplit(center)
    connection = http.client.HTTPConnection(where.netloc, timeout=WITHIN_S)
    try:
        connection.connect()
        connection.sock.sendall(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        said = connection.sock.recv(1 << 16)
    except ConnectionError:
        said = b""
    finally:
        connection.close()
    assert said == b"" or said[:10] == b"HTTP/1.1 4"
    assert b"root:" not in said
    assert 200 == fetched(center + "/")[0]
