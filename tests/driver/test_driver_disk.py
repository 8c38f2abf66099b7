"""Files of the live driver: nothing half, nothing outside, nothing that is only said to be kept."""

import errno
import os
import random
import resource
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldproof_contract import Append, Datagram, Failed, Sync, Synced
from fieldproof_reference.live.disk import Disk
from fieldproof_reference.live.syncer import Syncer, sync
from fieldproof_reference.live.tree import HALF_WRITTEN, LOCK, Tree, check_path
from fieldproof_reference.live.view import View

PORT = 24985


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


@pytest.fixture
def tree(root):
    tree = Tree(root)
    yield tree
    tree.close()


@pytest.fixture
def disk(tree):
    return Disk(tree)


@contextmanager
def room_for(size):
    """Files of at most so many bytes: then a short write, then EFBIG, as a full disk has ENOSPC."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def failing(monkeypatch):
    """Makes os.fsync fail once for a file whose path ends so; returns the paths it is asked."""
    asked = []
    real = os.fsync

    def install(ending):
        left = [1]

        def fsync(fd):
            path = str(Path(f"/proc/self/fd/{fd}").readlink())
            asked.append(path)
            if path.endswith(ending) and left:
                left.pop()
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            real(fd)

        monkeypatch.setattr(os, "fsync", fsync)
        return asked

    return install


# --- what nodes see -------------------------------------------------------------------------------


def test_nodes_read_what_was_written(disk):
    """Unsynced appends included; parts by offset and size; a missing file is none."""
    disk.append("a/b/c", b"0123456789")
    assert (10, b"0123456789") == (disk.size("a/b/c"), disk.read("a/b/c"))
    assert (b"34", b"89", b"", b"") == (
        disk.read("a/b/c", 3, 2),
        disk.read("a/b/c", 8, 50),
        disk.read("a/b/c", 50),
        disk.read("a/b/c", 2, 0),
    )
    assert (None, None, None) == (disk.size("a/b"), disk.size("none"), disk.size("../a"))
    for path in ("a/b", "none", "a/b/c/d", "/etc/passwd", "../a"):
        with pytest.raises(FileNotFoundError):
            disk.read(path)


@given(st.lists(st.text("ab/.", min_size=1, max_size=8), max_size=20))
def test_listings_are_sorted_and_by_prefix(tmp_path_factory, names):
    """After any appends and removals a listing is what a new look at the folder finds."""
    tree = Tree(tmp_path_factory.mktemp("tree"))
    disk = Disk(tree)
    held = set()
    for number, name in enumerate(names):
        try:
            disk.append(name, b"") if number % 3 else disk.remove(name)
        except OSError:
            continue
        (held.add if number % 3 else held.discard)(name)
    for prefix in ("", "a", "a/", "b", "ab/"):
        expected = tuple(sorted(name for name in held if name.startswith(prefix)))
        assert expected == disk.listing(prefix) == Disk(tree).listing(prefix)
    tree.close()


def test_a_file_that_somebody_removed_is_missed_and_noticed(disk, root):
    """A look at it says that it is gone, and so does the next listing; a new look finds others."""
    for name in ("a", "b", "c"):
        disk.append(name, b"1")
    (root / "a").unlink()
    (root / "b").unlink()
    (root / "d").write_bytes(b"new")
    assert None is disk.size("a")
    with pytest.raises(FileNotFoundError):
        disk.read("b")
    assert ("c",) == disk.listing("")
    disk.rescan()
    assert ("c", "d") == disk.listing("")


def test_a_listing_of_thousands_is_fast(tmp_path):
    """What a listing costs does not depend on how many files there are: it reads no folder."""
    tree = Tree(tmp_path / "many")
    disk = Disk(tree)
    disk._paths = [
        f"riometer/2006/01/{day:02}/{hour:02}/x" for day in range(9) for hour in range(99)
    ]
    tree.close()  # whoever looked at the folder now would raise
    assert 99 == len(disk.listing("riometer/2006/01/03/"))


# --- paths ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "a//b",
        "./a",
        "a/..",
        "a/\0",
        "\ud800",
        "n" * 256,
        "a/" * 1600 + "a",
        LOCK,
        f"{HALF_WRITTEN}1",
        f"a/{HALF_WRITTEN}",
    ],
)
def test_a_path_that_leads_out_or_cannot_be_is_refused(disk, root, path):
    """Whatever would be done to it, it is an OSError, and nothing is made."""
    for act in (
        lambda: disk.append(path, b"1"),
        lambda: disk.replace(path, b"1"),
        lambda: disk.remove(path),
        lambda: disk.truncate(path, 0),
        lambda: disk.rename(path, "b"),
        lambda: disk.ask_sync((path,)),
    ):
        with pytest.raises(OSError):
            act()
    assert [] == list(root.iterdir())


@given(st.text(max_size=50))
def test_any_text_is_a_path_or_an_error(path):
    """What is no path raises OSError, never anything else."""
    try:
        check_path(path)
    except OSError:
        return
    assert not path.startswith("/")


def test_no_link_leads_out(disk, root, tmp_path):
    """Neither a folder nor a file that is a symbolic link is followed, in any operation, and the
    scan at the start does not list what is behind it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"precious")
    (root / "folder").symlink_to(outside)
    (root / "link").symlink_to(outside / "file")
    disk.append("mine", b"1")
    for path in ("folder/file", "folder/new", "link"):
        for act in (
            lambda path=path: disk.append(path, b"1"),
            lambda path=path: disk.truncate(path, 0),
            lambda path=path: disk.ask_sync((path,)),
            lambda path=path: disk.rename(path, "b"),
        ):
            with pytest.raises(OSError):
                act()
    disk.replace("link", b"new")  # takes the link's place
    assert {"file": b"precious"} == {path.name: path.read_bytes() for path in outside.iterdir()}
    disk.rescan()
    assert ("link", "mine") == disk.listing("")


def test_a_pipe_is_no_file(disk, root):
    """Opening one would wait for its other end for ever."""
    os.mkfifo(root / "pipe")
    for act in (lambda: disk.append("pipe", b"1"), lambda: disk.truncate("pipe", 0)):
        with pytest.raises(OSError):
            act()
    disk.rescan()
    assert () == disk.listing("")


def test_half_a_replacement_of_an_earlier_life_is_removed(tree, root):
    """What a death left of a replacement is gone at the next start; other files stay."""
    (root / "a").mkdir()
    (root / "a" / f"{HALF_WRITTEN}7").write_bytes(b"half")
    (root / "a" / "b").write_bytes(b"whole")
    assert ("a/b",) == Disk(tree).listing("")
    assert ["b"] == [path.name for path in (root / "a").iterdir()]


def test_names_that_no_node_could_say_are_passed_over(tree, root):
    """A file whose name is not UTF-8 is in nobody's listing."""
    (root / os.fsdecode(b"\xff")).write_bytes(b"")
    assert () == Disk(tree).listing("")


# --- full disks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("held", [0, 380, 760])
@pytest.mark.parametrize("room", [0, 1, 379])
def test_a_failed_append_wrote_nothing(disk, held, room):
    """A disk that fills up in the middle of an append leaves the file as it was, and none where
    there was none; the next append finds it so."""
    if held:
        disk.append("a", b"h" * held)
    with room_for(held + room), pytest.raises(OSError):
        disk.append("a", b"n" * 380)
    assert (held or None) == disk.size("a")
    disk.append("a", b"n" * 380)
    assert b"h" * held + b"n" * 380 == disk.read("a")


def test_what_could_not_be_cut_off_is_cut_before_the_next_append(disk, monkeypatch):
    """Even a disk that fails twice in a row does not make an append half."""
    disk.append("a", b"held")
    real = os.ftruncate

    def refuse(fd, size):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "ftruncate", refuse)
    with room_for(6), pytest.raises(OSError):
        disk.append("a", b"new")
    monkeypatch.setattr(os, "ftruncate", real)
    disk.append("a", b"new")
    assert b"heldnew" == disk.read("a")


@pytest.mark.parametrize("room", [0, 3])
def test_a_failed_replacement_leaves_the_old(disk, root, room):
    """Readers see the old content, and nothing half is left over."""
    disk.append("a", b"old")
    with room_for(room), pytest.raises(OSError):
        disk.replace("a", b"newer")
    assert b"old" == disk.read("a")
    assert ["a"] == [path.name for path in root.iterdir()]


def test_cutting_never_lengthens(disk):
    """Truncating to more than there is changes nothing."""
    disk.append("a", b"123")
    disk.truncate("a", 10)
    assert b"123" == disk.read("a")


# --- syncs ----------------------------------------------------------------------------------------


def test_a_new_file_is_synced_with_its_folder(disk, root, failing):
    """The first sync of a file makes its name durable too; folders are durable before they hold
    anything; a second sync concerns the file alone."""
    asked = failing("nothing")
    disk.append("a/b/c", b"1")
    assert [root, root / "a"] == [Path(path) for path in asked]
    asked.clear()
    for expected in (["a/b/c", "a/b"], ["a/b/c"]):
        (each,) = disk.ask_sync(("a/b/c",))
        assert "" == sync((each,)).reason
        disk.synced(each)
        assert [root / path for path in expected] == [Path(path) for path in asked]
        asked.clear()


@pytest.mark.parametrize("change", ["replace", "rename", "remove"])
def test_changes_of_names_are_durable_when_they_return(disk, root, failing, change):
    """The folder is synced, and for a new content the file before it is named."""
    disk.append("a", b"1")
    asked = failing("nothing")
    acts = {"replace": ("a", b"2"), "rename": ("a", "b"), "remove": ("a",)}
    getattr(disk, change)(*acts[change])
    assert root == Path(asked[-1])
    assert ("replace" == change) == any(HALF_WRITTEN in path for path in asked)


def test_after_a_failed_sync_the_file_is_written_again(disk, root, failing):
    """Linux takes what it could not write for written: the next sync puts a new file, synced before
    it is named, in the place of the old; the content is the same, and one sync is enough."""
    disk.append("a", b"12")
    failing("/a")
    (each,) = disk.ask_sync(("a",))
    outcome = sync((each,))
    assert ("Input/output error", (each,)) == (outcome.reason, outcome.failed)
    disk.not_synced(each)
    disk.append("a", b"34")
    before = (root / "a").stat().st_ino
    (again,) = disk.ask_sync(("a",))
    assert "" == sync((again,)).reason
    disk.synced(again)
    after = (root / "a").stat().st_ino
    assert before != after
    assert b"1234" == disk.read("a")
    (third,) = disk.ask_sync(("a",))
    sync((third,))
    assert after == (root / "a").stat().st_ino


def test_a_file_is_suspect_under_its_new_name_too(disk, root, failing):
    """A rename after a failed sync does not make the content durable."""
    disk.append("a", b"12")
    failing("/a")
    (each,) = disk.ask_sync(("a",))
    sync((each,))
    disk.not_synced(each)
    disk.rename("a", "b")
    before = (root / "b").stat().st_ino
    sync(disk.ask_sync(("b",)))
    assert before != (root / "b").stat().st_ino


def test_a_sync_ends_at_the_first_file_that_fails(disk, failing):
    """What comes before it is done; it and all after it are not, and are suspect."""
    for name in "abc":
        disk.append(name, b"1")
    failing("/b")
    outcome = sync(disk.ask_sync(("a", "b", "c")))
    assert (["a"], ["b", "c"]) == ([e.path for e in outcome.done], [e.path for e in outcome.failed])


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_sync_of_a_missing_file_leaves_no_descriptor_open(disk):
    """Neither a failed question nor a finished sync keeps files open."""
    disk.append("a", b"1")
    before = open_files()
    for _ in range(3):
        with pytest.raises(FileNotFoundError):
            disk.ask_sync(("a", "none"))
        sync(disk.ask_sync(("a", "a")))
    assert before == open_files()


def test_a_sync_follows_the_file_not_the_path(disk):
    """A file that takes the path meanwhile is still new after the sync of the other."""
    disk.append("a", b"1")
    (asked,) = disk.ask_sync(("a",))
    disk.rename("a", "b")
    disk.append("a", b"2")
    sync((asked,))
    disk.synced(asked)
    (fresh,) = disk.ask_sync(("a",))
    assert 2 == len(fresh.fds)
    sync((fresh,))


def test_a_node_hears_of_a_failed_sync_and_can_try_again(host, bench, failing):
    """`Failed` comes later, in the place of `Synced`; the second attempt is answered, and the disk
    holds everything."""
    notes = []

    def react(event, now):
        match event:
            case Datagram():
                return (Append("a", b"1"), Sync(("a",)))
            case Failed():
                return (Sync(("a",)),)
        return ()

    host.add("node", lambda: bench.Probe(notes, react), (PORT,))
    host.boot()
    failing("/a")
    host.hears(b"")
    host.until(lambda: len(notes) > 3)
    events = [event for event, _ in notes[2:]]
    assert [Failed(Sync(("a",)), "Input/output error"), Synced(("a",))] == events
    assert b"1" == host.disk.read("a")


def test_the_syncer_answers_in_order_and_ends(disk):
    """Jobs are done one after the other, told by `answer` alone, and all of them before the end."""
    syncer, told = Syncer(), []
    for number in range(20):
        disk.append(f"f{number}", b"1")
        syncer.ask(disk.ask_sync((f"f{number}",)), lambda outcome, n=number: told.append(n))
    assert ([], 20) == (told, syncer.waiting)
    while syncer.waiting:
        syncer.answer()
    syncer.close()
    assert list(range(20)) == told


# --- one process, and lookers-on ------------------------------------------------------------------


def test_one_process_writes_and_no_more(tree, root):
    """A second tree cannot be locked until the first is closed."""
    tree.lock()
    other = Tree(root)
    with pytest.raises(BlockingIOError):
        other.lock()
    tree.close()
    other.lock()
    other.close()


def test_a_view_sees_what_others_write_and_changes_nothing(tree, root, tmp_path):
    """New files, grown files and removed files are seen at once; a half-written one is not listed,
    and links lead nowhere."""
    view = View(tree)
    (root / "a").mkdir()
    (root / "a" / "b").write_bytes(b"12")
    (root / f"{HALF_WRITTEN}1").write_bytes(b"half")
    (root / "link").symlink_to(tmp_path)
    assert (("a/b",), 2, b"2") == (view.listing("a/"), view.size("a/b"), view.read("a/b", 1))
    assert ("a/b",) == view.listing("")
    (root / "a" / "b").unlink()
    assert ((), None) == (view.listing(""), view.size("a/b"))
    with pytest.raises(FileNotFoundError):
        view.read("a/b")
    assert (root / f"{HALF_WRITTEN}1").exists()


def test_random_work_leaves_what_a_model_has(disk, root):
    """After hundreds of effects the files are those of a dictionary."""
    source, model = random.Random(1), {}
    names = ["a", "b", "f/a", "f/b", "f/g/a"]
    for _ in range(400):
        name, other = source.choice(names), source.choice(names)
        data = source.randbytes(source.randrange(20))
        match source.randrange(6):
            case 0 | 1:
                disk.append(name, data)
                model[name] = model.get(name, b"") + data
            case 2:
                disk.replace(name, data)
                model[name] = data
            case 3 if name in model:
                disk.rename(name, other)
                model[other] = model.pop(name)
            case 4 if name in model:
                disk.truncate(name, size := source.randrange(20))
                model[name] = model[name][:size]
            case 5 if name in model:
                disk.remove(name)
                del model[name]
    assert model == {path: disk.read(path) for path in disk.listing("")}
    assert model == {path: Disk(disk._tree).read(path) for path in model}
