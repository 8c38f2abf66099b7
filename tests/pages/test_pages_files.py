"""What is shown is below the roots and nothing else, however it is asked for."""

import re
from html.parser import HTMLParser
from urllib.parse import urljoin

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fieldproof_reference.center.pages.files import MOST_ENTRIES, MOST_FILE_BYTES, Shown, path_of

SECRET = b"a secret"
HOUR = "riometer/2006/01/17/daws_xrio/20060117_16_daws_xrio.dat"
FILES = {
    HOUR: bytes(380),
    "riometer/2006/01/17/gill_xrio/20060117_16_gill_xrio.dat": bytes(380),
    "riometer/2006/01/17.old": b"x",
    "riometer/2006/01/17-more/x": b"x",
    "udp/2006/01/17/2001:db8::1/ut16_24985.idx": b"a line\n",
    "products/2006/01/17/daws.png": b"\x89PNG",
    "products/2006/01/17/daws.json": b"{}",
    "provenance/2006/01/17/daws.jsonl": b"{}\n",
    "quarantine/2006/01/17/length-00.bin": b"<script>alert(1)</script>",
    "riometer/rotten.html": b"<script>",
    "keys": SECRET,
    "staging/riometer/x": SECRET,
    ".lock": SECRET,
    "riometer.key": SECRET,
    "udp": SECRET,
}
ROOTS = ("riometer", "udp", "products", "provenance", "quarantine")


def shown(kit, files=None) -> Shown:
    return Shown(kit.Disk(FILES if files is None else files), ROOTS, "style.css")


def asked(kit, target, found=None, files=None):
    path = path_of(target)
    where = shown(kit, files)
    if not isinstance(path, str):
        return where.refusal(path)
    return where.answer(path, found or {}, True)


class Links(HTMLParser):
    """The targets of a page's links, and the names of all its elements."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.links: dict[str, str] = {}
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self._href = ""
        self.feed(page.decode())

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "a":
            self._href = dict(attrs)["href"]
            self.links[self._href] = ""

    def handle_data(self, data):
        if self._href:
            self.links[self._href] += data
            self._href = ""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (HOUR, "application/octet-stream"),
        ("udp/2006/01/17/2001:db8::1/ut16_24985.idx", "text/plain; charset=utf-8"),
        ("products/2006/01/17/daws.png", "image/png"),
        ("products/2006/01/17/daws.json", "application/json"),
        ("provenance/2006/01/17/daws.jsonl", "text/plain; charset=utf-8"),
        ("quarantine/2006/01/17/length-00.bin", "application/octet-stream"),
        ("riometer/rotten.html", "application/octet-stream"),
    ],
)
def test_a_file_has_the_type_of_its_ending(kit, path, kind):
    """Files come as they are, and none that a stranger could have made is a document."""
    response = asked(kit, f"/{path}")
    assert (200, FILES[path]) == (response.status, response.body)
    assert kind == response.lines["Content-Type"]


def test_ranges_of_a_file(kit):
    """Files are served in ranges, too, with the tag of the whole."""
    response = asked(kit, f"/{HOUR}", {"range": "bytes=0-1"})
    assert (206, b"\0\0") == (response.status, response.body)
    assert "bytes 0-1/380" == response.lines["Content-Range"]
    again = asked(kit, f"/{HOUR}", {"if-none-match": response.lines["ETag"]})
    assert (304, b"") == (again.status, again.body)


HOSTILE = [
    "/../keys",
    "/riometer/../keys",
    "/riometer/..",
    "/riometer/../",
    "/riometer/./rotten.html",
    "/./riometer/",
    "//keys",
    "/riometer//2006/",
    "//example.org/riometer/",
    "/%2e%2e/keys",
    "/%2E%2E/keys",
    "/riometer/%2e%2e/keys",
    "/riometer/%2e%2e%2fkeys",
    "/riometer%2F..%2Fkeys",
    "/riometer/..%2fkeys",
    "/riometer/%252e%252e/keys",
    "/riometer/%252e%252e%252fkeys",
    "/riometer/%c0%ae%c0%ae/keys",
    "/riometer/%c0%af../keys",
    "/riometer/%e0%80%ae%e0%80%ae/keys",
    "/riometer/%u002e%u002e/keys",
    "/riometer/%00",
    "/keys%00.png",
    "/keys\0.png",
    "/riometer/..\\keys",
    "/riometer\\..\\keys",
    "\\keys",
    "/riometer/..;/keys",
    "/riometer/...//keys",
    "/riometer/.../keys",
    "/riometer/..../keys",
    "/keys.",
    "/riometer/rotten.html.",
    "/riometer/rotten.html..",
    "/riometer./rotten.html",
    "/riometer/ rotten.html",
    "/riometer/rotten.html ",
    "/riometer/rotten.html?x",
    "/riometer/rotten.html#x",
    "/?",
    "/.lock",
    "/riometer/.lock",
    "http://127.0.0.1/keys",
    "http://example.org/riometer/",
    "file:///keys",
    "keys",
    "*",
    "",
    "/riometer/\u2025/keys",
    "/riometer/．．/keys",
    "/" + "riometer/" * 1000,
    "/" + "a" * 10_000,
]


@pytest.mark.parametrize("target", HOSTILE)
def test_a_target_that_is_no_plain_path(kit, target):
    """Every other spelling is refused before anything is looked for."""
    response = asked(kit, target)
    assert response.status in (400, 414)
    assert SECRET not in response.body
    assert "Location" not in response.lines


@pytest.mark.parametrize(
    "target",
    [
        "/keys",
        "/staging/riometer/x",
        "/staging/",
        "/riometer.key",
        "/udp",
        "/RIOMETER/",
        "/riometer/2006/01/1",
        "/riometer/2006/01/17.ol",
        "/riometer/2006/01/18/",
        f"/{HOUR}/",
        f"/{HOUR}/x",
        "/riometer/x:y",
    ],
)
def test_a_path_that_is_not_shown(kit, target):
    """What lies beside the roots is not there; nor is what only looks like a path below them."""
    response = asked(kit, target)
    assert target == "/udp" or 404 == response.status
    assert SECRET not in response.body


def test_a_root_that_is_empty(kit):
    """A tree in which there is nothing yet is an empty folder: ways to it lead somewhere."""
    response = asked(kit, "/products/", files={})
    assert (200, True) == (response.status, b"0 entries" in response.body)
    assert 404 == asked(kit, "/products/2006/", files={}).status


def test_a_folder_without_its_slash(kit):
    """The way to a folder leads to itself and nowhere else, also where its name looks like a
    scheme."""
    for target in ("/riometer", "/riometer/2006", "/udp/2006/01/17/2001:db8::1"):
        response = asked(kit, target)
        assert 301 == response.status
        location = urljoin(f"http://center{target}", response.lines["Location"])
        assert f"http://center{target}/" == location


def test_a_folder_lists_what_is_in_it(kit):
    """Folders come with how many files they hold, files with their sizes, and links lead there."""
    page = Links(asked(kit, "/riometer/2006/01/").body)
    here = "http://center/riometer/2006/01/"
    names = {urljoin(here, href): text for href, text in page.links.items()}
    assert {
        "http://center/": "Status",
        "http://center/riometer/": "riometer",
        "http://center/riometer/2006/": "2006",
        f"{here}17/": "17/",
        f"{here}17-more/": "17-more/",
        f"{here}17.old": "17.old",
    } == names
    text = re.sub("<[^>]*>", " ", asked(kit, "/riometer/2006/01/").body.decode())
    assert "3 entries Name Size 17-more/ 1 file 17.old 1 B 17/ 2 files" == " ".join(
        text.split()[8:]
    )


def test_every_link_of_a_folder_leads_to_something(kit):
    """Whoever follows links from the roots reaches every file that is shown."""
    found, todo = set(), [f"/{root}/" for root in ROOTS]
    while todo:
        target = todo.pop()
        response = asked(kit, target)
        assert 200 == response.status, target
        if not target.endswith("/"):
            found.add(target[1:])
            continue
        page = f"http://center{target}"
        links = (urljoin(page, href) for href in Links(response.body).links)
        todo += [link[13:] for link in links if link.startswith(page)]
    assert {path for path in FILES if path.partition("/")[0] in ROOTS and "/" in path} == found


def test_a_folder_of_very_many(kit):
    """A flood in a folder does not make its page endless."""
    files = {f"quarantine/2006/01/17/{number:05d}.bin": b"" for number in range(5000)}
    page = asked(kit, "/quarantine/2006/01/17/", files=files).body
    assert MOST_ENTRIES == page.count(b'<tr><th scope="row">')
    assert b"more than can be shown" in page


def test_a_file_that_is_too_large(kit):
    """What a connection could not take in one piece is refused, and not read."""
    files = {"udp/big.dat": bytes(MOST_FILE_BYTES + 1), "udp/fits.dat": bytes(MOST_FILE_BYTES)}
    assert 403 == asked(kit, "/udp/big.dat", files=files).status
    assert 200 == asked(kit, "/udp/fits.dat", files=files).status


def test_a_file_that_goes_away(kit):
    """A file that is gone between a look and a read is not there."""

    class Fading(kit.Disk):
        def read(self, path, offset=0, size=-1):
            raise FileNotFoundError(path)

    where = Shown(Fading(FILES), ROOTS, "style.css")
    assert 404 == where.answer(HOUR, {}, True).status


@given(target=st.text(max_size=60) | st.text("/.%2eEfF\\riometukys:0", max_size=40))
@example("/riometer/2006/01/17/")
def test_no_spelling_leads_out(kit, target):
    """Of whatever a target is made, the answer is a file below a root, a folder there, or no."""
    response = asked(kit, target)
    assert SECRET not in response.body
    if response.status == 200:
        assert target.lstrip("/").partition("/")[0] in ROOTS
        assert ".." not in target


NAMES = st.text(min_size=1, max_size=20).filter(lambda name: "/" not in name and "\0" not in name)


@given(names=st.lists(NAMES, max_size=5))
@example(["<img src=x onerror=alert(1)>", '"><script>', "javascript:alert(1)", "a\nb", "\ud800"])
def test_names_on_the_disk_are_text(kit, names):
    """A name is shown as it is, never as markup, and is a link only where it is a plain one."""
    files = {f"quarantine/{name}": b"" for name in names} | {"quarantine/x": b""}
    page = Links(asked(kit, "/quarantine/", files=files).body)
    allowed = "html head meta title link body header nav ol li a main h1 table caption thead tbody"
    assert set(allowed.split()) | {"tr", "th", "td"} >= page.names
    assert not any(name.startswith("on") for name in page.attributes)
    assert all(re.fullmatch(r"\.\./|\./[\w:.-]+", href, re.ASCII) for href in page.links)
