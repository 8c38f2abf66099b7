"""`fieldproof-center rebuild` on real files: what it says, what it changes, and when it refuses."""

import pytest

from fieldproof_contract import Address, Datagram
from fieldproof_reference import ports
from fieldproof_reference.center import ARRIVED, CONFIRMED, PROMOTED
from fieldproof_reference.center.receive import Receive
from fieldproof_reference.center.validate import Validate
from fieldproof_reference.live.tree import Tree
from fieldproof_reference.rebuild import rebuild


@pytest.fixture
def archive(kit, tmp_path):
    """The folder of a center that received three hours, some junk, and a dead preamplifier."""
    world = kit.World(kit.DAY_S + 43_200)
    parts = (
        (lambda: Receive(kit.CENTER), {ports.TELEMETRY}),
        (lambda: Validate(kit.CENTER), {ARRIVED, PROMOTED, CONFIRMED}),
    )
    host = world.host(kit.CENTER_ADDRESS, kit.Disk(), *parts)
    records = [kit.record(43_205 + 60 * n) for n in range(150)]
    records[70] = records[70][:20] + 60 * bytes.fromhex("0008 0100 3c00")
    for record in (*records, b"junk"):
        source = Address("206.172.47.234", 32_769)
        host.tell(ports.TELEMETRY, Datagram(ports.TELEMETRY, source, record))
        world.run(60)
    root = tmp_path / "center"
    for path, data in host.disk.files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root


def contents(root, *trees):
    """The files of a folder, by path."""
    paths = (path for tree in trees for path in (root / tree).rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


def hour_file(root, hour):
    return root / "riometer/2006/01/17/daws_xrio" / f"20060117_{hour}_daws_xrio.dat"


def test_a_sound_archive_is_equal(archive, capsys):
    """All hour files and flags are rebuilt into a folder beside it, byte for byte, and nothing of
    the archive is touched."""
    before = contents(archive, ".")
    assert 0 == rebuild([str(archive)])
    assert before == contents(archive, ".")
    trees = ("riometer", "flags")
    assert contents(archive, *trees) == contents(archive.with_name("center.rebuilt"), *trees)
    said = capsys.readouterr().out.splitlines()
    assert ["equal", "3"] == said[3].split()
    assert "  quarantined: 1" == said[1]


def test_odds_are_named_and_promoted(archive, tmp_path, capsys):
    """A rotten hour is named with exit code 1; promoted, the archive is as before the rot, and what
    was taken out is in quarantine."""
    before = contents(archive, "riometer", "flags")
    data = bytearray(hour_file(archive, 12).read_bytes())
    data[380 * 3 + 10] ^= 4
    hour_file(archive, 12).write_bytes(data)
    assert 1 == rebuild([str(archive), "--into", str(tmp_path / "first")])
    said = capsys.readouterr().out
    assert "daws 2006-01-17 12h, at odds: more 12:03:05; less 12:03:05" in said
    assert bytes(data) == hour_file(archive, 12).read_bytes()
    assert 0 == rebuild([str(archive), "--into", str(tmp_path / "second"), "--promote"])
    assert before == contents(archive, "riometer", "flags")
    assert 1 == len(list(archive.glob("quarantine/*/*/*/not-in-the-raw-tree-*.bin")))
    assert 0 == rebuild([str(archive), "--into", str(tmp_path / "third")])


def test_a_lost_tree_comes_back(archive, tmp_path):
    """Without a canonical tree the sites must be named; then all of it is promoted."""
    before = contents(archive, "riometer", "flags")
    for path in contents(archive, "riometer", "flags"):
        (archive / path).unlink()
    assert 4 == rebuild([str(archive), "--into", str(tmp_path / "a")])
    into = str(tmp_path / "b")
    assert 0 == rebuild([str(archive), "--into", into, "--sites", "daws", "--promote"])
    assert before == contents(archive, "riometer", "flags")


def test_nothing_is_overwritten(archive, tmp_path, capsys):
    """A folder that has files in it is refused, and so is a promotion while a center is at work."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_bytes(b"")
    assert 4 == rebuild([str(archive), "--into", str(tmp_path / "full")])
    assert "name an empty folder" in capsys.readouterr().err
    tree = Tree(archive)
    tree.lock()
    try:
        assert 4 == rebuild([str(archive), "--into", str(tmp_path / "new"), "--promote"])
    finally:
        tree.close()
    assert "A center is at work" in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv", [["/nonexistent"], [".", "--into"], ["ARCHIVE", "--sites", "daws,../x"]]
)
def test_bad_calls(archive, argv, capsys):
    """A bad call ends with 4 and one sentence."""
    argv = [str(archive) if word == "ARCHIVE" else word for word in argv]
    try:
        code = rebuild(argv)
    except SystemExit as ended:
        code = ended.code
    assert 4 == code
    assert 1 == capsys.readouterr().err.count("\n")
