"""The disk against a model that a reader can check at a glance: bytes, and how many are durable."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fieldproof_simulators.machines.disk import AskedSync, Disk, DiskFullError
from fieldproof_simulators.machines.spool import CHILD_FRAMES, Spool

PATHS = st.sampled_from(["a", "b/c"])
DATA = st.binary(max_size=4)
SIZES = st.integers(0, 5)


class Modelled(RuleBasedStateMachine):
    """Every operation is done to a disk and to the model: for each path a number that names its
    file; for each file its bytes and how many of them are durable."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.spool = Spool(Path(self.folder.name) / "disks")
        self.disk = Disk(self.spool.platter("host"))
        self.at: dict[str, int] = {}
        self.content: list[bytes] = []
        self.durable: list[int] = []
        self.asked: list[tuple[AskedSync, int, bytes]] = []  # file, and what it held

    def teardown(self) -> None:
        """The platter ends up with exactly the model's files."""
        self.disk.store_all()
        self.spool.finish()
        root = Path(self.folder.name) / "disks/host"
        stored = {path.relative_to(root).as_posix(): path for path in root.rglob("*")}
        found = {name: path.read_bytes() for name, path in stored.items() if path.is_file()}
        assert {path: self.content[file] for path, file in self.at.items()} == found
        self.folder.cleanup()

    def make(self, path: str, content: bytes, durable: int) -> int:
        """A new file at a path."""
        self.at[path] = len(self.content)
        self.content.append(content)
        self.durable.append(durable)
        return self.at[path]

    @rule(path=PATHS, data=DATA)
    def append(self, path: str, data: bytes) -> None:
        """Bytes come to the end; a full disk takes none."""
        if self.disk.full:
            with pytest.raises(DiskFullError):
                self.disk.append(path, data)
            return
        self.disk.append(path, data)
        file = self.at[path] if path in self.at else self.make(path, b"", 0)
        self.content[file] += data

    @rule(path=PATHS, data=DATA)
    def replace(self, path: str, data: bytes) -> None:
        """Another file takes the path, durable; a full disk takes none."""
        if self.disk.full:
            with pytest.raises(DiskFullError):
                self.disk.replace(path, data)
            return
        self.disk.replace(path, data)
        self.make(path, data, len(data))

    @rule(path=PATHS, to=PATHS)
    def rename(self, path: str, to: str) -> None:
        """The file goes on under another path."""
        if path not in self.at:
            with pytest.raises(FileNotFoundError):
                self.disk.rename(path, to)
            return
        self.disk.rename(path, to)
        self.at[to] = self.at.pop(path)

    @rule(path=PATHS, size=SIZES)
    def truncate(self, path: str, size: int) -> None:
        """What is cut off is gone; what comes after it in its place is not what was synced."""
        if path not in self.at:
            with pytest.raises(FileNotFoundError):
                self.disk.truncate(path, size)
            return
        self.disk.truncate(path, size)
        file = self.at[path]
        self.content[file] = self.content[file][:size]
        self.durable[file] = min(self.durable[file], size)
        self.asked = [
            (asked, of, held[:size] if of == file else held) for asked, of, held in self.asked
        ]

    @rule(path=PATHS)
    def remove(self, path: str) -> None:
        """The path is free."""
        if path not in self.at:
            with pytest.raises(FileNotFoundError):
                self.disk.remove(path)
            return
        self.disk.remove(path)
        del self.at[path]

    @rule(path=PATHS)
    def ask_sync(self, path: str) -> None:
        """A sync is on its way for what is there now."""
        if path not in self.at:
            with pytest.raises(FileNotFoundError):
                self.disk.ask_sync(path)
            return
        file = self.at[path]
        self.asked.append((self.disk.ask_sync(path), file, self.content[file]))

    @precondition(lambda self: self.asked)
    @rule()
    def sync(self) -> None:
        """The oldest sync is done: of what it was asked for, all that still exists is durable."""
        asked, file, held = self.asked.pop(0)
        self.disk.sync(asked)
        self.durable[file] = max(self.durable[file], len(held))

    @rule()
    def settle_cold(self) -> None:
        """Where files lie is nobody's business."""
        self.disk.settle_cold()

    @rule(full=st.booleans())
    def fill(self, full: bool) -> None:
        """The disk has no room, or has room again."""
        self.disk.full = full

    @rule(data=st.data())
    def power_cut(self, data: st.DataObject) -> None:
        """Unsynced tails are cut where the draw says, and reported; nothing synced is lost."""
        draws = data.draw(st.lists(st.integers(0, 100), min_size=4, max_size=4))
        coming = iter(draws)
        lost = []
        for path in sorted(self.at):
            file = self.at[path]
            unsynced = len(self.content[file]) - self.durable[file]
            if unsynced:
                kept = next(coming) % (unsynced + 1)
                self.content[file] = self.content[file][: self.durable[file] + kept]
                if kept < unsynced:
                    lost.append((path, unsynced - kept))
            self.durable[file] = len(self.content[file])
        again = iter(draws)
        assert lost == self.disk.power_cut(lambda most: next(again) % (most + 1))
        self.asked.clear()

    @rule(path=PATHS, offset=SIZES, size=st.integers(-1, 5))
    def read(self, path: str, offset: int, size: int) -> None:
        """Any stretch can be read, wherever the file lies."""
        if path not in self.at:
            with pytest.raises(FileNotFoundError):
                self.disk.read(path, offset, size)
            return
        end = None if size < 0 else offset + size
        assert self.content[self.at[path]][offset:end] == self.disk.read(path, offset, size)

    @precondition(lambda self: any(self.content[file] for file in self.at.values()))
    @rule(data=st.data(), bit=st.integers(0, 7))
    def flip(self, data: st.DataObject, bit: int) -> None:
        """One stored bit changes and nothing else."""
        path = data.draw(st.sampled_from([p for p in sorted(self.at) if self.content[self.at[p]]]))
        file = self.at[path]
        offset = data.draw(st.integers(0, len(self.content[file]) - 1))
        self.disk.flip(path, offset, bit)
        rotten = bytearray(self.content[file])
        rotten[offset] ^= 1 << bit
        self.content[file] = bytes(rotten)

    @invariant()
    def shows_the_model(self) -> None:
        """The view has the model's paths, sorted, and sizes."""
        assert tuple(sorted(self.at)) == self.disk.listing("")
        sizes = {path: len(self.content[file]) for path, file in self.at.items()}
        assert sizes == {path: self.disk.size(path) for path in self.disk.listing("")}


TestDiskAgainstItsModel = Modelled.TestCase
TestDiskAgainstItsModel.settings = settings(max_examples=200, stateful_step_count=50)


@pytest.fixture
def spool(tmp_path: Path):
    """Where cold files go; at the end of the test they are real."""
    opened = Spool(tmp_path / "disks")
    yield opened
    opened.finish()


@pytest.fixture
def disk(spool: Spool):
    """An empty disk."""
    return Disk(spool.platter("host"))


def test_a_sync_covers_only_what_was_there_when_it_was_asked_for(disk: Disk):
    """Bytes that are appended while a sync is on its way are still at risk."""
    disk.append("a", b"first")
    asked = disk.ask_sync("a")
    disk.append("a", b"second")
    disk.sync(asked)
    assert [("a", 6)] == disk.power_cut(lambda most: 0)
    assert b"first" == disk.read("a")


def test_a_sync_follows_its_file_through_a_rename(disk: Disk):
    """A file that is renamed while its sync is on its way is durable under its new name."""
    disk.append("a", b"kept")
    asked = disk.ask_sync("a")
    disk.rename("a", "b")
    disk.append("a", b"another")
    disk.sync(asked)
    assert [("a", 7)] == disk.power_cut(lambda most: 0)
    assert b"kept" == disk.read("b")


def test_a_sync_does_not_cover_what_took_the_place_of_what_was_cut_off(disk: Disk):
    """Bytes that are appended where a file was cut after its sync was asked for are at risk."""
    disk.append("a", b"123456")
    asked = disk.ask_sync("a")
    disk.truncate("a", 2)
    disk.append("a", b"xyz")
    disk.sync(asked)
    assert [("a", 3)] == disk.power_cut(lambda most: 0)
    assert b"12" == disk.read("a")


def test_what_a_cut_leaves_durable_stays_so_and_nothing_more(disk: Disk):
    """After a durable file was cut, what is appended to it is at risk from the cut on."""
    disk.replace("a", b"123456")
    disk.truncate("a", 2)
    disk.append("a", b"xyz")
    assert [("a", 3)] == disk.power_cut(lambda most: 0)


def test_an_older_sync_takes_nothing_back(disk: Disk):
    """A sync that is done after a later one leaves what the later one made durable."""
    disk.append("a", b"12")
    older = disk.ask_sync("a")
    disk.append("a", b"34")
    later = disk.ask_sync("a")
    disk.sync(later)
    disk.sync(older)
    assert [] == disk.power_cut(lambda most: 0)


def test_a_path_never_leads_out_of_the_disk(disk: Disk, tmp_path: Path):
    """A node that asks for a path outside of its disk is told that this failed."""
    disk.append("a", b"here")
    for path in ("../a", "/a", "b/../../a", "b//a", ".", ""):
        with pytest.raises(PermissionError):
            disk.append(path, b"there")
        with pytest.raises(PermissionError):
            disk.rename("a", path)
    assert ("a",) == disk.listing("")
    assert b"here" == disk.read("a")


@pytest.mark.parametrize(
    "path",
    [
        "file/below",
        "file/far/below",
        "folder",
        "n" * 256,
        "\N{EURO SIGN}" * 86,  # 258 bytes
        "/".join(["n" * 255] * 12 + ["n"]),  # 3073 bytes
        "\ud800",
        "zero\0byte",
    ],
)
def test_a_path_that_linux_could_not_make_is_refused(disk: Disk, path: str):
    """Whatever makes a file there fails, and leaves everything as it was."""
    disk.append("file", b"1")
    disk.append("folder/gone", b"2")
    disk.remove("folder/gone")
    for make in (disk.append, disk.replace):
        with pytest.raises(OSError, match=r"^The path .*\.$"):
            make(path, b"3")
    with pytest.raises(OSError, match=r"^The path .*\.$"):
        disk.rename("file", path)
    assert ("file",) == disk.listing("")
    disk.append("far/below", b"4")


def test_the_longest_names_and_paths_become_real(disk: Disk, spool: Spool, tmp_path: Path):
    """What the disk takes, the run directory takes."""
    paths = ("\N{EURO SIGN}" * 85, "/".join(["n" * 255] * 12))
    for path in paths:
        disk.append(path, b"1")
    disk.store_all()
    spool.finish()
    assert all((tmp_path / "disks/host" / path).read_bytes() == b"1" for path in paths)


@pytest.mark.parametrize("is_cold", [False, True])
def test_a_file_that_makes_way_for_a_folder_is_a_folder_in_the_end(
    is_cold: bool, disk: Disk, spool: Spool, tmp_path: Path
):
    """A name is free for a folder once its file is gone, on the real disk too."""
    disk.replace("a", b"1")
    if is_cold:
        disk.store_all()
    disk.rename("a", "b")
    disk.append("a/c", b"2")
    disk.store_all()
    spool.finish()
    root = tmp_path / "disks/host"
    assert {"b": b"1", "a/c": b"2"} == {path: (root / path).read_bytes() for path in ("a/c", "b")}


def test_a_file_is_not_cut_to_less_than_nothing(disk: Disk):
    """A negative size is refused, and cuts nothing off."""
    disk.append("a", b"123")
    with pytest.raises(OSError, match="cannot be cut to -2 bytes"):
        disk.truncate("a", -2)
    assert b"123" == disk.read("a")


def test_listing_takes_a_prefix_by_its_characters(disk: Disk):
    """A prefix need not end at a folder, and later paths do not slip in."""
    for path in ("b", "a/2", "a/10", "a0", "ab"):
        disk.append(path, b"")
    assert ("a/10", "a/2") == disk.listing("a/")
    assert ("a/10", "a/2", "a0", "ab") == disk.listing("a")
    assert () == disk.listing("c")


def test_cold_files_leave_memory_and_come_back(disk: Disk):
    """A durable file that was left alone between two rounds is cold; one at risk is not."""
    disk.replace("durable", b"1")
    disk.append("at/risk", b"2")
    disk.settle_cold()
    disk.settle_cold()
    disk.replace("another", b"3")
    assert b"1" == disk.read("durable")
    assert [("at/risk", 1)] == disk.power_cut(lambda most: 0)
    disk.append("durable", b"4")
    assert b"14" == disk.read("durable")


@pytest.mark.parametrize("files", [3, CHILD_FRAMES + 3])
def test_every_file_is_real_at_the_end(files: int, tmp_path: Path):
    """Few files are made at the end, many by a child meanwhile; later frames replace earlier."""
    spool = Spool(tmp_path / "disks")
    disk = Disk(spool.platter("host"))
    for number in range(files):
        disk.replace(f"{number % 7}/{number}", b"old")
    disk.store_all()
    spool.announce()
    disk.replace("1/1", b"new")
    disk.remove("2/2")
    disk.store_all()
    spool.finish()
    root = tmp_path / "disks/host"
    expected = {f"{number % 7}/{number}": b"old" for number in range(files)} | {"1/1": b"new"}
    del expected["2/2"]
    found = {path for path in root.rglob("*") if path.is_file()}
    assert expected == {path.relative_to(root).as_posix(): path.read_bytes() for path in found}
    assert [tmp_path / "disks"] == list(tmp_path.iterdir())


def test_a_failure_of_the_real_disk_is_not_swallowed(tmp_path: Path):
    """A file that cannot be written to the run directory is an error at the end."""
    spool = Spool(tmp_path / "disks")
    (tmp_path / "disks/host").write_bytes(b"in the way")
    disk = Disk(spool.platter("host"))
    disk.append("a", b"1")
    disk.store_all()
    with pytest.raises(OSError, match="host"):
        spool.finish()


def test_the_child_is_out_of_reach_of_the_terminal(spool: Spool, disk: Disk):
    """Ctrl-C in the terminal of the run does not reach the child, which ends with its input."""
    for number in range(CHILD_FRAMES):
        disk.replace(str(number), b"1")
    disk.store_all()
    spool.announce()
    assert spool._child is not None
    assert spool._child.pid == os.getsid(spool._child.pid)


def test_a_child_that_cannot_write_is_not_swallowed(tmp_path: Path, capfd):
    """Where the child fails, so does the end of the run."""
    spool = Spool(tmp_path / "disks")
    (tmp_path / "disks/host").write_bytes(b"in the way")
    disk = Disk(spool.platter("host"))
    for number in range(CHILD_FRAMES):
        disk.replace(str(number), b"1")
    disk.store_all()
    spool.announce()
    with pytest.raises(OSError, match=r"could not all be written|cannot be written"):
        spool.finish()
    assert "NotADirectoryError" in capfd.readouterr().err
