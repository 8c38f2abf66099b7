"""The door: systems that are not ours, and systems that are none, in a live run."""

import shlex
from pathlib import Path

import pytest
from liverun import FOLDER, PYTHON, Job
from msgspec.structs import replace
from worlds import NOISY, PLAIN, TO_TRUTH, TWO_RECORDS, world

from fieldproof import catalog
from fieldproof.checks.world import NodesLived
from fieldproof.faults import Kill, at
from fieldproof.scenario import Site
from fieldproof.verdict import Exit, Verdict

EDGE = Path(__file__).parents[2] / "scenarios/third_party/edge.py"
FROM_A_COUNT = (
    '    recorder, waiting = Recorder(told["SITE"]), list[bytes]()\n',
    """    recorder, waiting = Recorder(told["SITE"]), list[bytes]()
    for filed in sorted(Path(told["ARCHIVE"]).rglob("*.dat"))[-1:]:
        last_s = int.from_bytes(filed.read_bytes()[-368:-364], "little")
        offset_ns = (last_s + RECORD_POINTS) * SECOND_NS - time.time_ns()
""",
)
"""After a restart the time goes on where the last record ended."""

ON_TORN_RECORDS = (
    """        file.truncate(file.tell() // RECORD_BYTES * RECORD_BYTES)
        if file.write(record) < RECORD_BYTES:
""",
    """        if not file.tell():
            file.write(record[:190])
            time.sleep(30)
            record = record[190:]
        if file.write(record) < len(record):
""",
)
"""A disk that needs half a minute for the first record; nobody looks at what a kill left."""

THE_WRONG_SECOND = (
    "(utc_ns - later * SECOND_NS // RATE_HZ) // SECOND_NS",
    "(utc_ns - later * SECOND_NS // RATE_HZ - SECOND_NS // 2) // SECOND_NS",
)
"""Seconds begin at their halves."""

TORN = replace(
    world(
        "live-torn",
        at("08:10:46", Kill("daws", restart_after_s=2)),
        lasts="105s",
        lead="20s",
        reconciles=False,
    ),
    checks=(TO_TRUTH, *(c for c in TWO_RECORDS.checks if c.name in ("accounted", "in_order"))),
)
"""The edge is killed four seconds after its first record was complete: with a lead of 20 s."""

STORY = catalog.load("riometer-live")
NOISY_STORY = replace(
    STORY,
    nodes=tuple(
        replace(node, instruments=(NOISY,)) if isinstance(node, Site) else node
        for node in STORY.nodes
    ),
)
"""With seconds that do not look alike, so that the judge can tell which one was taken."""


def sabotaged(change):
    """The example edge with some lines of it replaced."""
    text, (old, new) = EDGE.read_text(), change
    assert 1 == text.count(old), "The example edge has changed: change what is replaced, too."
    return text.replace(old, new)


def command(*words):
    """An option's value."""
    return shlex.join(words)


def copy(name, scenario, change):
    """A run with a sabotaged copy."""
    return Job(
        name,
        scenario,
        ("--edge", f"{shlex.quote(PYTHON)} {FOLDER}/edge.py"),
        about_s=150,
        files=(("edge.py", sabotaged(change)),),
    )


SOUND = Job(
    "door-third-party", "riometer-live", ("--edge", command(PYTHON, str(EDGE))), about_s=170
)
COPIES = (
    copy("door-from-a-count", replace(TWO_RECORDS, checks=TORN.checks), FROM_A_COUNT),
    copy("door-on-torn-records", TORN, ON_TORN_RECORDS),
    copy("door-the-wrong-second", NOISY_STORY, THE_WRONG_SECOND),
)
HOPELESS = replace(PLAIN, settles_within="1s", name="live-hopeless")
DECLINING = Job("door-declining", HOPELESS, ("--edge", command("sh", "-c", "exit 77")), about_s=75)
CRASHING = Job("door-crashing", HOPELESS, ("--edge", command("sh", "-c", "exit 3")), about_s=75)
WRAPPER = f"umask 027; exec {shlex.quote(PYTHON)} -m fieldproof_reference center"
WRAPPED = Job("door-wrapped-center", PLAIN, ("--center", command("sh", "-c", WRAPPER)))


@pytest.mark.plays(SOUND)
def test_an_edge_that_is_not_ours_passes(played):
    """The example edge, which imports nothing of ours, plays the whole story of the tier."""
    report = played(SOUND).passed()
    assert str(EDGE) in report.system
    assert {claim.name for claim in STORY.checks} <= {claim.name for claim in report.claims}


@pytest.mark.parametrize(
    "job", [pytest.param(job, id=job.name, marks=pytest.mark.plays(job)) for job in COPIES]
)
def test_a_sabotaged_copy_fails_by_the_right_claim(job, played):
    """The claim that compares the archive with the instrument fails, and no other does."""
    run = played(job)
    assert [TO_TRUTH.name] == run.fallen(), run.run_dir
    assert Verdict.FAIL is run.report.verdict


@pytest.mark.plays(DECLINING)
def test_a_system_may_decline(played):
    """A run whose edge does not do the scenario is skipped, and not judged."""
    run = played(DECLINING)
    assert (Exit.NOTHING, Verdict.SKIPPED) == (run.code, run.report.verdict)
    assert ["declined"] == [claim.name for claim in run.report.claims]
    assert "daws declined the scenario (status 77)" in run.report.claims[0].detail


@pytest.mark.plays(CRASHING)
def test_a_system_that_ends_by_itself_is_noticed(played):
    """A program that crashes at once fails the claim that nodes live, which says how it ended."""
    run = played(CRASHING)
    assert Exit.FAIL == run.code
    said = {claim.name: claim.detail for claim in run.report.claims}
    assert NodesLived().name in run.fallen()
    assert "daws ended with status 3" in said[NodesLived().name]


@pytest.mark.plays(WRAPPED)
def test_a_center_in_a_wrapper_passes(played):
    """A center may be any command that becomes one."""
    report = played(WRAPPED).passed()
    assert "center sh -c" in report.system
