"""The real rsync at one virtual instant: the right files, the right charge, the same in every run.

The yardsticks are captures of IP packets, both ways, handshake and acknowledgements included, by
"Riometer data flow" as measured again for this project (its data flow specification, section 7):
rsync 3.5.0, a veth pair of MTU 1500, 24 hour files of Dawson's day, zlib.
"""

import dataclasses
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pulling import FOLDER, PULL, Asks, Play, Scripted, ended, pulls

from fieldproof_contract import EngineEnded, PullTree, RunEngine, ServeTree
from fieldproof_reference.engines import Place
from fieldproof_reference.engines import rsync as reference
from fieldproof_simulators.engines.jobs import File
from fieldproof_simulators.engines.live import folders, rsync
from fieldproof_simulators.engines.live.tools import RealTools

NEEDS = pytest.mark.needs("rsync")
SECOND_NS = 10**9
MIDNIGHT_S = 1_137_456_000
MISSED_TEN = tuple((2 * hour, 5 * hour + 2) for hour in range(10))


def without(day: dict[str, bytes], *gaps: tuple[int, int]) -> dict[str, bytes]:
    """A day without some records, each named by hour and minute; one an hour at most."""
    files = dict(day)
    for hour, minute in gaps:
        name = f"20060117_{hour:02d}_daws_xrio.dat"
        files[name] = files[name][: 380 * minute] + files[name][380 * (minute + 1) :]
    return files


def pulled(stage, edge, center, later_s, link="dawson-2005") -> Play:
    """A world in which the center has pulled; its files are this much later than the edge's."""
    play = stage(link)
    play.give(play.site, edge)
    play.give(play.center, center, MIDNIGHT_S + later_s)
    node = pulls()
    play.up(node).run(3600)
    play.done_ns = node.times_ns[0]
    assert [EngineEnded("p")] == ended(node)
    assert edge == {**center, **play.pulled()}
    return play


# --- the charge -----------------------------------------------------------------------------------

CASES = {  # what the center has, its files' delay, IP bytes of the capture
    "2006": (lambda day: day["center"], 61, 10_043),
    "ten missing": (lambda day: without(day["daws"], *MISSED_TEN), 61, 11_547),
    "times are equal": (lambda day: day["center"], 0, 4_407),
    "nothing to do": (lambda day: day["daws"], 0, 2_810),
    "a whole day": (lambda day: {}, 0, 117_748),
}


@NEEDS
@pytest.mark.parametrize("link", ["perfect", "dawson-2005"])
@pytest.mark.parametrize("case", CASES)
def test_a_pull_costs_what_a_capture_shows(stage, dawson, case, link):
    """IP bytes of all packets are within 5 % of a live capture, on a link of no length and on one
    of 600 ms."""
    held, later_s, captured_bytes = CASES[case]
    play = pulled(stage, dawson["daws"], held(dawson), later_s, link)
    size, _ = play.wire()
    assert abs(size - captured_bytes) <= 0.05 * captured_bytes


@NEEDS
def test_packets_and_round_trips_are_as_captured(stage, dawson):
    """The 2006 command takes 40 packets, give or take four, and nine to twelve times the 600 ms of
    the link there and back."""
    play = pulled(stage, dawson["daws"], dawson["center"], 61)
    _, packets = play.wire()
    assert abs(packets - 40) <= 4
    assert 9 * 0.6e9 <= play.done_ns <= 12 * 0.6e9


@NEEDS
def test_what_differs_in_nothing_does_not_come(stage, dawson):
    """With equal times only the three files that differ are pulled; with others, all."""
    three = pulled(stage, dawson["daws"], dawson["center"], 0).pulled()
    assert {f"20060117_{hour}_daws_xrio.dat" for hour in (16, 18, 22)} == set(three)
    assert 24 == len(pulled(stage, dawson["daws"], dawson["center"], 61).pulled())


@NEEDS
def test_pulled_files_have_the_times_of_the_originals(stage, dawson):
    """The second pull after files were put in their place finds nothing to do."""
    play = pulled(stage, dawson["daws"], dawson["center"], 61)
    for name in play.pulled():
        file = play.center.files.file(PULL.into + name)
        assert file == play.site.files.file(f"riometer/{FOLDER}{name}")
        play.center.files.store(f"riometer/{FOLDER}{name}", file)
    before, _ = play.wire()
    play.center.engines.run("client", lambda event: None, "again", PULL)
    play.run(3600)
    assert {} == play.pulled()
    assert play.wire()[0] - before < 3_000


# --- what comes and what does not -----------------------------------------------------------------


@NEEDS
def test_only_plain_files_of_the_folder_that_are_small_enough(stage):
    """What lies deeper does not come, nor what is larger than the bound; an empty file does."""
    play = stage()
    play.give(play.site, {"a": b"", "b": bytes(2000), "c": b"small", "d/e": b"deep"})
    node = pulls(job=PullTree(PULL.peer, FOLDER, PULL.like, PULL.into, 1999))
    play.up(node).run(100)
    assert [EngineEnded("p")] == node.told
    assert {"a": b"", "c": b"small"} == play.pulled()


@NEEDS
@pytest.mark.parametrize("folder", ["2006/01/18/daws_xrio/", "2006/01/17/"])
def test_a_folder_without_files_is_a_reason(stage, folder):
    """rsync finds nothing there and says so."""
    play = stage()
    play.give(play.site, {"a": b"1"})
    node = pulls(job=PullTree(PULL.peer, folder, PULL.like, PULL.into, 1999))
    play.up(node).run(100)
    (event,) = node.told
    assert event.reason.startswith("rsync ended with exit code 23")
    assert {} == play.pulled()


@pytest.mark.parametrize(
    "folder", ["../", "/", "a/../../", "a//", "./", "a\0b/", "\udc80/", "x" * 300 + "/"]
)
@pytest.mark.parametrize("which", ["folder", "like", "into"])
def test_a_folder_that_leads_elsewhere_is_refused(stage, which, folder):
    """Nothing is read or written outside of what is shown, and no program runs for it."""
    play = stage(tools=Scripted())
    node = pulls(job=dataclasses.replace(PULL, **{which: folder}))
    play.up(node).run(100)
    (event,) = node.told
    assert event.reason.startswith("rsync: The path")
    assert [] == play.world.tools.asked


@NEEDS
def test_odd_names_come_as_they_are(stage):
    """Blanks, quotes, globs and letters beyond ASCII in a name mean nothing to anybody."""
    names = {"a b": b"1", "[c]*?": b"2", "it's": b"3", "Ünïcode": b"4", "--delete": b"5"}
    play = stage()
    play.give(play.site, names)
    node = pulls()
    play.up(node).run(100)
    assert names == play.pulled()


# --- the same in every run ------------------------------------------------------------------------

ALONE = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from pulling import Play, pulls
play = Play(Path(sys.argv[2]), "certus-350")
files = {f"f{n}": hashlib.sha256(b"%d" % n).digest() * 40 * n for n in range(30)}
play.give(play.site, files)
play.give(play.center, {name: data[700:] for name, data in files.items()}, 1)
node = pulls()
play.up(node).run(600)
assert files == play.pulled()
play.end()
print(hashlib.sha256((Path(sys.argv[2]) / "log.jsonl").read_bytes()).hexdigest(), play.wire(),
      node.told, node.times_ns)
"""


@NEEDS
def test_the_environment_changes_nothing(tmp_path):
    """Hash seed, time zone, locale, mask of new files, variables of rsync's own and the order of
    folders leave no trace in what is said, when, and what the link makes of it."""
    said = []
    for number, (mask, changes) in enumerate(
        (
            (0o022, {"PYTHONHASHSEED": "0", "TZ": "UTC"}),
            (0o077, {"PYTHONHASHSEED": "7", "TZ": "America/Edmonton", "LC_ALL": "C.UTF-8"}),
            (0o027, {"RSYNC_RSH": "false", "RSYNC_PROXY": "x:1", "RSYNC_CHECKSUM_LIST": "md4"}),
            (0o022, {"RSYNC_COMPRESS_LIST": "lz4", "HOME": str(tmp_path)}),
        )
    ):
        done = subprocess.run(
            [sys.executable, "-c", ALONE, str(Path(__file__).parent), str(tmp_path / str(number))],
            env=os.environ | changes,
            umask=mask,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "" == done.stderr
        said.append(done.stdout)
    assert [said[0]] * 4 == said


def said_by(tmp_path, name, *before: str) -> str:
    """What a run tells that is started behind these words."""
    folder = tmp_path / name
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    tests, run = str(Path(__file__).parent), str(folder / "run")
    command = [*before, sys.executable, "-c", ALONE, tests, run]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "" == done.stderr
    return done.stdout


@NEEDS
@pytest.mark.needs("unshare")
def test_root_of_a_user_namespace_can_serve(tmp_path):
    """Whoever runs it, with all rights or with those of a namespace alone: rsync says the same."""
    plain = said_by(tmp_path, "plain")
    assert "rsync" not in plain
    assert plain == said_by(tmp_path, "root", "unshare", "--user", "--map-root-user")
    assert plain == said_by(tmp_path, "user", "unshare", "--user", "--map-user=1234")


@NEEDS
def test_the_programs_say_the_same_every_time(dawson):
    """The turns of two programs, pieces included, are the same twenty times, and others with
    another seed."""
    tools = RealTools()
    served, like = (
        {name: File(data, MIDNIGHT_S * SECOND_NS + late) for name, data in dawson[host].items()}
        for host, late in (("daws", 0), ("center", 61 * SECOND_NS))
    )
    seen = {
        hashlib.sha256(repr(tools.pull(PULL, served, like, 17).turns).encode()).digest()
        for _ in range(20)
    }
    assert 1 == len(seen)
    assert tools.pull(PULL, served, like, 18).turns != tools.pull(PULL, served, like, 17).turns


@NEEDS
def test_files_are_shown_in_the_order_of_their_names():
    """Whatever the file system makes of it: rsync's list of files is the same on every machine."""
    files = {f"{number * 7919 % 101:03d}": File(b"", 0) for number in range(101)}
    with folders.in_order(files, "a/b/") as root:
        assert sorted(files) == [path.name for path in (root / "a/b").iterdir()]


# --- pieces ---------------------------------------------------------------------------------------


@given(st.lists(st.binary(min_size=1, max_size=5000), max_size=6))
def test_pieces_are_all_that_was_said(reads):
    """Whatever a program says is cut into pieces that are nothing but it, none of them empty."""
    for cut in (rsync._packets, rsync._client_pieces):
        pieces = cut(reads)
        assert b"".join(reads) == b"".join(pieces)
        assert all(pieces)


def test_a_full_packet_is_continued():
    """A pipe cuts what is written at once after 4096 bytes, and a piece is what was written."""
    assert (b"ab", bytes(8192) + b"c", b"d") == rsync._packets(
        [b"ab", bytes(4096), bytes(4096), b"c", b"d"]
    )


# --- the pair -------------------------------------------------------------------------------------


def test_both_tiers_start_rsync_with_the_same_words():
    """What is said over the link is asked for in the same words by the engines of the reference
    and here, but for the seed, the way to connect, and where things lie."""
    place = Place("/p", "", {"riometer/": "/r", PULL.like: "/l", PULL.into: "/i"}, (1, 2))
    theirs = set(reference.pull(PULL, place).argv[:-2])
    ours = set(rsync.words(PULL, Path("/l"), 17, "shell"))
    assert {"--contimeout=60"} == theirs - ours
    assert {"--checksum-seed=17", "--rsh=shell"} == ours - theirs
    config = reference.serve(ServeTree(1, "riometer/"), place).files["rsyncd.conf"].decode()
    shown = rsync.CONFIG.format(root="/r").splitlines()
    unheard = {"log file = /dev/null", "reverse lookup = no"}
    assert set(shown) - set(config.splitlines()) <= unheard


def test_a_node_needs_no_rsync_to_be_told_so(stage, monkeypatch):
    """Where the program is not on the path, the answer says how to get it."""
    monkeypatch.setenv("PATH", "/nowhere")
    play = stage()
    node = Asks(RunEngine("p", PULL))
    play.up(node).run(1)
    (event,) = node.told
    assert "rsync is missing; as root: apt-get install rsync." == event.reason
