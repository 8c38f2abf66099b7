"""Every story of the catalog, run and judged as a user would."""

import subprocess
import sys

import msgspec
import pytest

from fieldproof import catalog
from fieldproof.judge import judge
from fieldproof.options import VIRTUAL
from fieldproof.run import run
from fieldproof.scenario import PROGRAMS
from fieldproof.verdict import Exit, Report

MONTHS = ("dawson-december-2005", "twelve-sites-month")
SECONDS_LONG = ("power-cut-mid-record", "rough-night-at-the-edge", "twelve-sites-day")


def stories(slow, left_out=()):
    """The names of the stories that exist in virtual time, those in `slow` marked so, and those for
    which the machine needs a program."""
    return [
        pytest.param(name, marks=[pytest.mark.slow] * (name in slow) + programs(name))
        for name in catalog.names()
        if name not in left_out and VIRTUAL in catalog.load(name).tiers
    ]


def programs(name):
    """What a story needs of the machine to reconcile."""
    methods = {site.reconcile for site in catalog.load(name).sites}
    return [pytest.mark.needs(PROGRAMS[method]) for method in sorted(methods & PROGRAMS.keys())]


def judged(name, seed, run_dir):
    """The report on one run."""
    run(catalog.load(name), seed, run_dir)
    return judge(run_dir)


def failures(report):
    """What is not as it should be, for people."""
    return [(claim.name, claim.detail) for claim in report.claims if claim.verdict != "pass"]


@pytest.mark.parametrize("name", stories(slow=MONTHS))
def test_every_story_passes(name, tmp_path):
    """Each claim of each story holds with the reference system."""
    report = judged(name, 1, tmp_path)
    assert [] == failures(report)
    assert Exit.PASS == report.exit


@pytest.mark.parametrize("seed", [2, int("9f" * 20, 16)])
@pytest.mark.parametrize("name", stories(slow=SECONDS_LONG, left_out=MONTHS))
def test_stories_hold_for_other_seeds(name, seed, tmp_path):
    """No story hangs on the default seed; a seed may be a commit id."""
    assert [] == failures(judged(name, seed, tmp_path))


def test_the_dawson_day_reads_as_in_the_document(tmp_path):
    """`wc -l` of the day's index files gives 60 an hour, 59 in hours 16, 18 and 22, 1437 in all."""
    report = judged("dawson-three-lost-packets", 1, tmp_path)
    folder = tmp_path / "disks/center/udp/2006/01/17/206.172.47.234"
    counts = [len(path.read_bytes().splitlines()) for path in sorted(folder.glob("ut??_24985.idx"))]
    assert [59 if hour in (16, 18, 22) else 60 for hour in range(24)] == counts
    assert 1437 == sum(counts)
    assert (547_200, 546_060, 1_140, 0) == (
        report.ledger.produced_bytes,
        report.ledger.delivered_bytes,
        report.ledger.restored_bytes,
        report.ledger.lost_bytes,
    )
    repair = [entry for entry in report.wire if entry.purpose == "repair"]
    assert [2] == [entry.packets for entry in repair]


def test_the_command_line_prints_one_json_document(tmp_path):
    """`fieldproof run NAME --json` prints the report and nothing else on standard output."""
    command = [sys.executable, "-m", "fieldproof", "run", "dawson-three-lost-packets"]
    done = subprocess.run(
        [*command, "--seed", "7", "--json", "--runs", str(tmp_path)],
        capture_output=True,
        check=False,
    )
    report = msgspec.json.decode(done.stdout, type=Report)
    assert (0, 7, "pass") == (done.returncode, report.seed, report.verdict)
    assert str(tmp_path) in report.run_dir
