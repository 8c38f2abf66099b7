"""The command: what it takes as PATH, what it prints, and what it says where it cannot."""

import json
import os
import shutil
import subprocess
import sys

import pytest

DOCUMENT = """\
    60 2006/01/17/206.172.47.234/ut00_24985.idx
    60 2006/01/17/206.172.47.234/ut01_24985.idx
    60 2006/01/17/206.172.47.234/ut02_24985.idx
    60 2006/01/17/206.172.47.234/ut03_24985.idx
    60 2006/01/17/206.172.47.234/ut04_24985.idx
    60 2006/01/17/206.172.47.234/ut05_24985.idx
    60 2006/01/17/206.172.47.234/ut06_24985.idx
    60 2006/01/17/206.172.47.234/ut07_24985.idx
    60 2006/01/17/206.172.47.234/ut08_24985.idx
    60 2006/01/17/206.172.47.234/ut09_24985.idx
    60 2006/01/17/206.172.47.234/ut10_24985.idx
    60 2006/01/17/206.172.47.234/ut11_24985.idx
    60 2006/01/17/206.172.47.234/ut12_24985.idx
    60 2006/01/17/206.172.47.234/ut13_24985.idx
    60 2006/01/17/206.172.47.234/ut14_24985.idx
    60 2006/01/17/206.172.47.234/ut15_24985.idx
    59 2006/01/17/206.172.47.234/ut16_24985.idx
    60 2006/01/17/206.172.47.234/ut17_24985.idx
    59 2006/01/17/206.172.47.234/ut18_24985.idx
    60 2006/01/17/206.172.47.234/ut19_24985.idx
    60 2006/01/17/206.172.47.234/ut20_24985.idx
    60 2006/01/17/206.172.47.234/ut21_24985.idx
    59 2006/01/17/206.172.47.234/ut22_24985.idx
    60 2006/01/17/206.172.47.234/ut23_24985.idx
  1437 total
"""
"""As "Riometer data flow" prints it."""


@pytest.fixture
def tree(kit, tmp_path):
    """Dawson's day of the document, and a second station and port; no `.dat`."""
    made = kit.Tree(tmp_path / "archive/udp")
    made.put(kit.DAWS, kit.minutes(6, without={983, 1121, 1327}))
    made.put(kit.DAWS, kit.minutes(20), port=25000, first=b"STAT")
    made.put(kit.RANK, kit.minutes(40))
    return made


def test_the_listing_of_the_document(kit, tree):
    """The day's listing is the document's, byte for byte."""
    done = kit.run(tree.root / "2006/01/17", "--site", kit.DAWS, "--port", "24985", "--listing")
    assert (0, DOCUMENT, "") == (done.code, done.out, done.err)


@pytest.mark.parametrize("hours", [24, 3, 2, 1])
def test_the_listing_is_that_of_wc(kit, tree, hours):
    """`wc -l` itself prints the same of as many files as there are, torn lines or not."""
    folder = tree.root / f"2006/01/17/{kit.RANK}"
    for path in sorted(folder.iterdir())[hours:]:
        path.unlink()
    with (folder / "ut00_24985.idx").open("ab") as file:
        file.write(b"no line\n2006-01-17 00:59:59.1  24985")
    paths = [path.relative_to(tree.root) for path in sorted(folder.iterdir())]
    counted = subprocess.run(
        ["wc", "-l", *paths],
        cwd=tree.root,
        env={"LC_ALL": "C", "PATH": os.environ["PATH"]},
        capture_output=True,
        check=True,
        text=True,
    )
    assert counted.stdout == kit.run(folder, "--listing").out


def test_the_report_says_what_the_document_says(kit, tree):
    """The text has the listing, a row with the day's counts, and the percentage."""
    done = kit.run(tree.root, "--day", "2006-01-17", "--site", kit.DAWS, "--port", "24985")
    lines = done.out.splitlines()
    assert DOCUMENT in done.out
    assert "2006-01-17      1440      1437           0            0        3     0.21" in done.out
    assert "Of 1440 datagrams that were due 3 are missing, 0.208 %." in lines


def test_an_hour_has_its_row(kit, tree):
    """With --hours there is a row for each hour, with its percentage."""
    lines = kit.run(
        tree.root, "--day", "2006-01-17", "--site", kit.DAWS, "--hours"
    ).out.splitlines()
    (row,) = [line.split() for line in lines if line.startswith("2006-01-17 16") and " 59 " in line]
    assert ["60", "59", "0", "0", "1", "1.67"] == row[2:8]
    assert 48 == sum(line.startswith("2006-01-17 ") for line in lines)


@pytest.mark.parametrize("below", ["", "udp", "udp/2006", "udp/2006/01", "udp/2006/01/17"])
def test_any_folder_will_do(kit, tree, below):
    """An archive, its raw tree, a year, a month and a day of it report the same streams."""
    report = kit.document(tree.root.parent / below, "--day", "2006-01-17")
    names = [(each["name"], each["port"], each["total"]["missing"]) for each in report["streams"]]
    assert [(kit.RANK, 24985, 0), (kit.DAWS, 24985, 3), (kit.DAWS, 25000, 0)] == names


def test_a_raw_tree_of_any_name_and_place(kit, tree, tmp_path):
    """The folder above the years may be called anything, a year even, and lie behind a link."""
    other = tmp_path / "backups/2023"
    other.parent.mkdir()
    shutil.move(tree.root, other)
    link = tmp_path / "link"
    link.symlink_to(other)
    for path in (other, link, link / "2006/01/17"):
        assert 3 == kit.stream(path, "--day", "2006-01-17")["total"]["missing"]


def test_a_folder_is_the_time_that_is_asked_about(kit, tree):
    """A day's folder means the whole day, a month's the whole month; a tree, what came."""
    for path in tree.root.rglob("ut2*.idx"):
        path.unlink()
    day = kit.stream(tree.root / "2006/01/17")["total"]
    month = kit.stream(tree.root / "2006/01")["total"]
    everything = kit.stream(tree.root)["total"]
    assert (1440, 44_640) == (day["expected"], month["expected"])
    assert (1200, 2) == (everything["expected"], everything["missing"])


def test_unreadable_lines_are_told(kit, tree):
    """File and line of what is not counted are named, and twenty of them at most."""
    index = tree.index(kit.DAWS, kit.DAY_S + 3600)
    index.write_bytes(index.read_bytes() + b"rubbish\n" * 25 + b"2006-01-17 01:59")
    done = kit.run(tree.root)
    assert "26 lines could not be read and are not counted:" in done.out
    assert f"2006/01/17/{kit.DAWS}/ut01_24985.idx:61: it has 1 of six fields" in done.out
    assert "and 6 more" in done.out
    told = kit.document(tree.root)["unreadable"]
    assert (26, 86, "the last line has no end") == (len(told), told[-1]["line"], told[-1]["why"])


def test_a_file_that_cannot_be_read_is_told(kit, tree):
    """An index that is a folder costs its hour, and the report says so."""
    index = tree.index(kit.DAWS, kit.DAY_S + 3600)
    index.unlink()
    index.mkdir()
    (unreadable,) = kit.document(tree.root)["unreadable"]
    assert (f"2006/01/17/{kit.DAWS}/ut01_24985.idx", 0) == (unreadable["path"], unreadable["line"])


def test_what_else_lies_there_is_nobodys_business(kit, tree):
    """Other files and folders in the tree, links in a circle included, change nothing."""
    before = kit.document(tree.root)
    (tree.root / "2006/01/17/README").write_text("x")
    (tree.root / "2006/01/17/circle").symlink_to(tree.root)
    odd = tree.root / "2006/02/31" / kit.DAWS
    odd.mkdir(parents=True)
    (odd / "ut00_24985.idx").write_bytes(kit.index_line(0, kit.DAWS))
    (tree.root / f"2006/01/17/{kit.DAWS}/ut24_24985.idx").write_bytes(b"x\n")
    (tree.root / f"2006/01/17/{kit.DAWS}/ut03_24985.idx.torn").write_bytes(b"x\n")
    os.mkfifo(tree.root / f"2006/01/17/{kit.DAWS}/ut03_25001.idx")
    shutil.copytree(
        os.fsencode(tree.root / f"2006/01/17/{kit.RANK}"),
        os.fsencode(tree.root) + b"/2006/01/17/\xff",
    )
    assert before == kit.document(tree.root)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nowhere"], "is no folder"),
        (["empty"], "holds no index file"),
        (["archive", "--day", "2006-01-18"], "holds no index file"),
        (["archive", "--day", "2006-02-31"], "Give a month as YYYY-MM, and a day as YYYY-MM-DD."),
        (["archive", "--month", "06-01"], "Give a month as YYYY-MM, and a day as YYYY-MM-DD."),
        (["archive", "--site", "gill"], "No station is called gill here: there are 2001:db8::7, "),
        (["archive", "--events", "nowhere"], "is no file: give the event log"),
        (["."], "holds several trees"),
        ([], "the following arguments are required: path"),
        (["archive", "--json", "--listing"], "not allowed with argument"),
        (["archive", "--sit", "daws"], "unrecognized arguments"),
    ],
)
def test_a_bad_call_is_told_in_a_sentence(kit, tree, tmp_path, monkeypatch, words, says):
    """Exit code 4, nothing on standard output, and one line that says what to do."""
    (tmp_path / "empty").mkdir()
    shutil.copytree(tree.root, tmp_path / "copy")
    if words[:1] == ["archive"]:
        shutil.rmtree(tmp_path / "copy")
    monkeypatch.chdir(tmp_path)
    done = kit.run(*words)
    assert (4, "", 1) == (done.code, done.out, done.err.count("\n"))
    assert done.err.startswith("fieldproof-center losses: ")
    assert says in done.err


def test_json_is_one_document(kit, tree):
    """--json prints one document, with the time that it is about."""
    done = kit.run(tree.root, "--month", "2006-01", "--json")
    report = json.loads(done.out)
    days = (report["from_utc_s"] // 86_400, report["until_utc_s"] // 86_400)
    assert (kit.DAY - 16, kit.DAY + 15) == days


def test_who_reads_may_stop(kit, tree):
    """A reader that has seen enough makes no noise."""
    words = [
        sys.executable,
        "-c",
        "import sys, fieldproof_reference.losses as c; c.losses(sys.argv[1:])",
    ]
    with subprocess.Popen(
        [*words, tree.root], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert b"" == process.stderr.read()
