"""Whatever a foreign system leaves on its disk or in its event log: a verdict, never a crash."""

import json
import os
import shutil
import socket
import stat
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fieldproof.checks import declared, quarantined
from fieldproof.judge import judge
from fieldproof.live.merge import Entry, merge
from fieldproof.oracle import foreign, log
from fieldproof.store import read_report
from fieldproof.verdict import Exit, Verdict
from fieldproof_simulators.machines.clock import TrueUtc

DAY = "2006/01/17"
READ = (
    f"disks/daws/riometer/{DAY}/daws_xrio/20060117_16_daws_xrio.dat",
    f"disks/center/riometer/{DAY}/daws_xrio/20060117_16_daws_xrio.dat",
    f"disks/center/udp/{DAY}/198.51.100.1/ut16_24985.dat",
    f"disks/center/udp/{DAY}/198.51.100.1/ut16_24985.idx",
    f"disks/center/provenance/{DAY}/daws.jsonl",
    f"disks/center/quarantine/{DAY}/daws.jsonl",
    f"disks/center/quarantine/{DAY}/wrong-size-1",
    "disks/daws/declared/daws.jsonl",
    f"disks/center/flags/{DAY}/daws.jsonl",
    f"disks/center/receiver/{DAY}.jsonl",
    "disks/center/riometer",
    "disks/center/udp",
    "disks/center/provenance",
    "disks/center/quarantine",
    "disks/center/flags",
    "disks/center/receiver",
    "disks/daws/declared",
    "disks/daws",
    "disks/center",
)
"""What a judge looks at on the disks of systems."""

FILES = READ[:10]


# --- what can be in the place of a file -----------------------------------------------------------


def _away(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _socket(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as there:
        there.bind(f"/proc/self/fd/{folder}/{path.name}")  # a path of sockets has 108 bytes
    os.close(folder)


def _huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def _device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))  # endless zeros
    except PermissionError:
        path.symlink_to("/dev/zero")


def _odd_names(path: Path) -> None:
    path.mkdir()
    (path / os.fsdecode(b"\xff\xfe\n\x1b[31m")).write_bytes(b"x")
    deep = path
    for _ in range(20):
        deep /= "d" * 100
    deep.mkdir(parents=True)


def _too_deep(path: Path) -> None:
    """Folders in folders, until no path leads there."""
    path.mkdir()
    here = os.open(path, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=here)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


THINGS = {
    "nothing": lambda path: None,
    "a folder": lambda path: path.mkdir(),
    "a fifo": os.mkfifo,
    "a socket": _socket,
    "a device": _device,
    "a link to nowhere": lambda path: path.symlink_to("/nowhere/at/all"),
    "a link to itself": lambda path: path.symlink_to(path),
    "a link to endless zeros": lambda path: path.symlink_to("/dev/zero"),
    "a link to another host": lambda path: path.symlink_to(path.parents[-3]),
    "more than can be read": _huge,
    "odd names": _odd_names,
    "folders without end": _too_deep,
}


@pytest.fixture
def told(history, kit):
    """A history with a quarantine and declarations; the judge's report on what is on its disks."""
    history.checks += (quarantined("wrong size", 0), declared())
    lost = {"from_s": kit.clock_s("16:40:05"), "until_s": kit.clock_s("16:40:30"), "why": "killed"}
    history.declared["daws"] = [json.dumps(lost).encode() + b"\n"]
    root = history.write()
    for path in READ:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
    return root


def verdict(root: Path) -> Exit:
    """The judge's verdict; it is one, whatever there is, and the report can be read back."""
    report = judge(root)
    crashed = [claim for claim in report.claims if claim.harness_fault]
    assert [] == crashed
    for claim in report.claims:
        assert claim.detail.isprintable()
        assert claim.detail or claim.verdict is not Verdict.FAIL
    assert report == read_report(root)
    return Exit(report.exit)


@pytest.mark.parametrize("thing", THINGS)
@pytest.mark.parametrize("path", READ)
def test_any_thing_in_the_place_of_a_file_gets_a_verdict(told, path, thing):
    """A fifo, a folder, a link or nothing is judged for what it is: not a file."""
    place = told / path
    _away(place)
    THINGS[thing](place)
    assert verdict(told) in (Exit.PASS, Exit.FAIL)


@pytest.mark.parametrize("path", READ[:6])
def test_a_file_that_nobody_may_read_gets_a_verdict(told, path, monkeypatch):
    """What the machine refuses is not a file that holds what it should."""
    refused = told / path
    refused.write_bytes(b"x")
    read = Path.read_bytes

    def read_bytes(self):
        if self == refused:
            raise PermissionError(13, "Permission denied", str(self))
        return read(self)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    assert Exit.FAIL is verdict(told)


# --- what can be in a file ------------------------------------------------------------------------

NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70), st.floats(), st.just(10**4000), st.booleans(), st.none()
)
VALUES = st.recursive(
    st.one_of(NUMBERS, st.text(max_size=20)),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
KEYS = ("what", "after_s", "before_s", "reason", "sha256", "from_s", "until_s", "why", "utc_ns")
KEYS += ("hour", "offset", "bytes", "flags", "digest")
WORDS = st.sampled_from(
    [
        *("restored", "confirmed", "hour proven", "wrong size", "killed"),
        *(16, 380, 86_000, 86_100, 315_976, 1_137_513_700),
        *(["npoints"], ["corrupt"], [7]),
    ]
)


def _dumped(note: object) -> bytes:
    return json.dumps(note).encode()


NOTES = st.lists(
    st.one_of(
        st.dictionaries(st.sampled_from(KEYS), st.one_of(WORDS, VALUES)).map(_dumped),
        VALUES.map(_dumped),
        st.binary(max_size=40),
        st.just(b'{"what": "restored", "after_s": 1, "bef'),
        st.just(b'{"after_s": ' + b"9" * 5000 + b"}"),
        st.just(b"[" * 100_000),
        st.just(b'{"x": ' * 100_000),
        st.just(b'{"what": "\\ud800"}'),
    ),
    max_size=6,
).map(b"\n".join)

FIELDS = st.sampled_from(
    [b"0", b"4", b"380", b"-1", b"65536", b"9" * 19, b"9" * 30, b"9" * 5000, b"x", b"\xff", b"58"]
)
DATES = st.sampled_from([b"2006-01-17", b"9999-12-31", b"0001-01-01", b"1969-12-31", b"x"])
SOURCES = st.sampled_from([b"198.51.100.1:32769", b"[::1]:1", b":", b"\xff"])
INDEX_LINES = st.builds(
    lambda date, port, source, size, at, first: b" ".join(
        (date, b"16:00:00.000001", port, source, size, at, *first)
    ),
    DATES,
    st.one_of(st.just(b"24985"), FIELDS),
    SOURCES,
    FIELDS,
    FIELDS,
    st.sampled_from([(), (b"58", b"52", b"49", b"4f"), (b"zz",) * 4]),
)
INDEX = st.lists(st.one_of(INDEX_LINES, st.binary(max_size=30)), max_size=8).map(
    lambda lines: b"\n".join(lines) + b"\n"
)

POINTS = st.lists(
    st.tuples(*(st.sampled_from([0, 1, 60, 61, 2000, 65_535]),) * 3), min_size=1, max_size=90
)
STAMPS = st.sampled_from([0, 1_137_513_605, 1_137_513_665, 1_137_516_000, 2**32 - 1])
SITES = st.sampled_from([b"DAWS", b"daws", b"GILL", b"\xff\xff\xff\xff"])
RECORDS = st.builds(
    lambda site, stamp_s, points, cut: (
        struct.pack("<4s4scBHIHH", b"XRIO", site, b"0", 1, 0, stamp_s, len(points), 0)
        + b"".join(struct.pack("<3H", *point) for point in points)
    )[: cut or None],
    SITES,
    STAMPS,
    POINTS,
    st.sampled_from([0, 0, 0, -1, 19]),
)
ARCHIVES = st.lists(st.one_of(RECORDS, st.binary(max_size=50)), max_size=12).map(b"".join)

CONTENTS = {
    ".jsonl": NOTES,
    ".idx": INDEX,
    ".dat": ARCHIVES,
    "": st.binary(max_size=60),
}


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_content_of_files_gets_a_verdict(told, data):
    """Torn lines, wrong types, huge numbers and bytes that are no text are judged, and fail at
    most."""
    kept = {path: (told / path).read_bytes() for path in FILES if (told / path).is_file()}
    try:
        for path in data.draw(st.sets(st.sampled_from(FILES), min_size=1, max_size=4)):
            drawn = data.draw(CONTENTS[Path(path).suffix])
            before = kept.get(path, b"")
            cut = data.draw(st.integers(0, len(before)))
            (told / path).write_bytes(before[:cut] + drawn)
        assert verdict(told) in (Exit.PASS, Exit.FAIL)
    finally:
        for path in FILES:
            (told / path).unlink(missing_ok=True)
        for path, content in kept.items():
            (told / path).write_bytes(content)


def test_points_of_endless_samples_are_judged_soon(told):
    """An archive that claims more samples than there ever were is not walked through."""
    points = [(2000, 5, 65_535)] * 60
    header = struct.pack("<4s4scBHIHH", b"XRIO", b"DAWS", b"0", 1, 0, 1_137_513_605, 60, 0)
    record = header + b"".join(struct.pack("<3H", *point) for point in points)
    (told / READ[0]).write_bytes(record * 2000)
    assert Exit.FAIL is verdict(told)


def test_right_points_that_claim_endless_samples_are_wrong(told):
    """Averages that are right do not make up for a count that nobody can have."""
    sound = (told / READ[0]).read_bytes()
    points = [sound[at : at + 4] + b"\xff\xff" for at in range(20, 380, 6)]
    long = [sound[at : at + 20] + b"".join(points) for at in range(0, len(sound), 380)]
    (told / READ[0]).write_bytes(b"".join(long))
    assert "identical(*, oracle)" in failed(told)


# --- provenance, quarantine and declarations, by the right claim ----------------------------------


def failed(root: Path) -> dict[str, str]:
    """The claims that do not hold, and why."""
    return {
        claim.name: claim.detail
        for claim in judge(root).claims
        if claim.verdict is not Verdict.PASS
    }


def test_a_torn_provenance_proves_nothing(told):
    """A restored record of which only half a line speaks is not proven, and the line is named."""
    path = told / READ[4]
    path.write_bytes(path.read_bytes()[:-9])
    said = failed(told)["accounted"]
    assert {"accounted", "origins_noted"} == failed(told).keys()
    assert f"(line 2 of provenance/{DAY}/daws.jsonl cannot be read)" in said


@pytest.mark.parametrize("line", [b"{", b"[]", b"\xff", b'{"what": "restored"}', b"9" * 30])
def test_an_odd_line_beside_sound_ones_costs_nothing(told, line):
    """What the other lines of a provenance prove is proven."""
    path = told / READ[4]
    path.write_bytes(line + b"\n" + path.read_bytes())
    assert {} == failed(told)


def test_a_provenance_that_is_a_folder_proves_nothing(told):
    """It is said that it cannot be read."""
    _away(told / READ[4])
    (told / READ[4]).mkdir()
    assert f"(provenance/{DAY}/daws.jsonl cannot be read)" in failed(told)["accounted"]


def test_an_odd_note_of_the_quarantine_fails_its_claim(told):
    """A quarantine of which nobody can say what it holds is none."""
    (told / READ[5]).write_bytes(b'{"reason": ["wrong size"], "sha256": 7}\n')
    names = {"quarantined(*, 0)", "quarantined(wrong size, 0)"}
    assert names == failed(told).keys()
    assert f"a note of quarantine/{DAY}/daws.jsonl cannot be read" in str(failed(told))


def test_a_declaration_that_is_no_file_fails_its_claim(told):
    """It is said which site declares nothing that can be read."""
    _away(told / READ[7])
    (told / READ[7]).symlink_to("/dev/zero")
    (said,) = failed(told).values()
    assert "declared/daws.jsonl of daws is there and cannot be read." == said


# --- what is read at all --------------------------------------------------------------------------


@given(data=st.one_of(NOTES, st.binary(max_size=200)))
def test_any_bytes_are_notes(data):
    """Every line is a note or is numbered."""
    found = foreign.notes(data)
    lines = data.removesuffix(b"\n").count(b"\n") + 1 if data else 0
    assert lines == len(found.lines) + len(found.malformed)


def test_content_has_a_limit(tmp_path, monkeypatch):
    """A file at the limit is read whole, one byte more and it has no content."""
    monkeypatch.setattr(foreign, "MOST_BYTES", 4)
    (tmp_path / "x").write_bytes(b"four")
    assert b"four" == foreign.content(tmp_path, "x")
    (tmp_path / "x").write_bytes(b"five!")
    assert foreign.content(tmp_path, "x") is None
    assert foreign.is_there(tmp_path, "x")
    assert not foreign.is_there(tmp_path, "x/y")


# --- event logs -----------------------------------------------------------------------------------

UTC = TrueUtc(1_137_455_000 * 10**9)
EVENTS = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            {},
            optional={
                "ns": st.one_of(st.integers(0, 100), VALUES),
                "by": st.one_of(st.just("daws/filing"), st.just("daws/\ud800"), VALUES),
                "said": st.one_of(st.sampled_from(["repaired", "quarantined", "\x1b[31m"]), VALUES),
                "fact": st.one_of(st.sampled_from(["node died", "survived", "late"]), VALUES),
                "detail": st.one_of(
                    st.dictionaries(st.sampled_from(["ms", "error", "\udfff", "ns"]), VALUES),
                    VALUES,
                ),
            },
        ).map(_dumped),
        NOTES,
    ),
    max_size=8,
).map(b"\n".join)


@settings(max_examples=200, deadline=None)
@given(data=st.one_of(EVENTS, st.binary(max_size=300)))
def test_any_event_log_makes_a_log_that_can_be_read(tmp_path_factory, data):
    """What a system writes of itself is words, or nothing: the run's log stays one."""
    folder = tmp_path_factory.mktemp("events")
    (folder / "events").write_bytes(data)
    world = [Entry(5, "daws", "host up", {}, False)]
    merged = merge(folder / "log", UTC, world, [("daws", folder / "events")], 0, 50)
    read = log.read(folder / "log")
    assert merged.sha256 == read.sha256
    assert {"host up", "node died", "effect failed"} >= {what for what, _ in read.counts}


@pytest.mark.parametrize("thing", [thing for thing in THINGS if thing != "more than can be read"])
def test_an_event_log_that_is_no_file_is_no_log(tmp_path, thing):
    """A system makes it itself, and may make anything."""
    path = tmp_path / "run" / "events"
    path.parent.mkdir()
    THINGS[thing](path)
    merged = merge(tmp_path / "log", UTC, (), [("daws", path)], 0, 50)
    assert (thing != "nothing") == merged.unreadable
    assert not log.read(tmp_path / "log").words


def test_an_event_log_without_end_is_cut(tmp_path, monkeypatch):
    """What is beyond the limit is not read."""
    monkeypatch.setattr("fieldproof.live.merge.MOST_EVENT_BYTES", 1 << 16)
    _huge(tmp_path / "events")
    merge(tmp_path / "log", UTC, (), [("daws", tmp_path / "events")], 0, 50)
    assert not log.read(tmp_path / "log").words
