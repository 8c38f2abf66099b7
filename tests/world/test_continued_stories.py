"""A story that begins with the disks that another ended with."""

import json
from pathlib import Path

import msgspec
import pytest

from fieldproof import catalog
from fieldproof.checks import accounted, identical, in_order, kept, latency, sometimes
from fieldproof.faults import Kill, Lose, Outage, at
from fieldproof.judge import judge
from fieldproof.run import before, run
from fieldproof.scenario import Center, Link, Riometer, Scenario, Site, from_json, to_json
from fieldproof.verdict import Verdict
from fieldproof.wellformed import MalformedScenario, validate

DAWSON = "206.172.47.234"
BEFORE = Scenario(
    name="two-hours-before-midnight",
    story="Two datagrams are lost.",
    starts="2006-01-17T22:00Z",
    lasts="2h",
    links=(Link("vsat"),),
    nodes=(Site("daws", via="vsat", address=DAWSON), Center()),
    faults=(at("22:24", Lose("vsat")), at("23:10", Lose("vsat"))),
)
AFTER = Scenario(
    name="the-night-after",
    story="The records are brought back.",
    starts="2006-01-18T00:15Z",
    lasts="1m",
    lead="5s",
    links=(Link("vsat"),),
    nodes=(Site("daws", via="vsat", address=DAWSON, instruments=()), Center()),
    checks=(
        sometimes("repaired", "center/reconcile"),
        identical("center", to="daws"),
        identical("center:*", to="edges"),
        in_order(),
    ),
    settles_within="10m",
    continues=BEFORE,
)


def changed(**changes) -> Scenario:
    """AFTER with changes."""
    return msgspec.structs.replace(AFTER, **changes)


def judged(scenario: Scenario, run_dir: Path, seed: int = 1):
    """By name: what is not passed, and why."""
    run_dir.mkdir(exist_ok=True)
    run(scenario, seed, run_dir)
    return failures(run_dir)


def failures(run_dir: Path) -> dict[str, str]:
    """By name: the claims of a run that do not hold."""
    claims = judge(run_dir).claims
    return {claim.name: claim.detail for claim in claims if claim.verdict is not Verdict.PASS}


def test_what_was_lost_before_is_brought_back(tmp_path):
    """The center begins with two gaps and ends with none, and the edge keeps all that it had: the
    claim is made without being asked for, in the place of `produced`."""
    assert {} == judged(AFTER, tmp_path)
    names = [claim.name for claim in judge(tmp_path).claims]
    assert ("kept(daws)" in names, "produced" in names) == (True, False)
    path = "riometer/2006/01/17/daws_xrio/20060117_23_daws_xrio.dat"
    sizes = [(tmp_path / f"{part}disks/center" / path).stat().st_size for part in ("before/", "")]
    assert [22_420, 22_800] == sizes


def test_the_story_before_is_a_run_of_its_own(tmp_path):
    """It lies below the run, with a center that asked for nothing, and can be judged like any."""
    judged(AFTER, tmp_path)
    capsule = from_json((tmp_path / "before/scenario.json").read_bytes(), "before")
    assert (1, False) == (capsule.seed, capsule.scenario.center.reconciles)
    assert BEFORE.faults == capsule.scenario.faults
    assert {} == failures(tmp_path / "before")


def test_files_keep_their_times(tmp_path):
    """The files have the times at which they were changed in the story before, by the clocks of
    their hosts: the center's are later than the edge's."""
    disks = before(AFTER, 1, tmp_path)
    path = "riometer/2006/01/17/daws_xrio/20060117_22_daws_xrio.dat"
    edge, center = (disks[host][path].changed_utc_ns for host in ("daws", "center"))
    ends_ns = 1_137_538_800 * 10**9  # 23:00
    assert ends_ns < edge < center < ends_ns + 120 * 10**9


def test_the_same_seed_gives_the_same_end(tmp_path):
    """Both stories have the seed of the run."""
    logs = []
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        judged(AFTER, tmp_path / name, seed)
        files = ("log.jsonl", "before/log.jsonl")
        logs.append([(tmp_path / name / file).read_bytes() for file in files])
    assert logs[0] == logs[1]
    assert logs[0][0] != logs[2][0]
    assert logs[0][1] != logs[2][1]


@pytest.mark.parametrize(
    "fault",
    [
        at("00:15:30", Kill("daws", 20)),
        at("00:15:20", Kill("center", 30)),
        at("00:15:05", Outage("vsat"), until="00:15:50"),
    ],
)
def test_what_goes_wrong_meanwhile_does_not_matter(tmp_path, fault):
    """Deaths and outages of the second story are as those of any."""
    assert {} == judged(changed(lead="10s", faults=(fault,)), tmp_path)


def test_an_archive_that_changed_was_not_kept(tmp_path):
    """A file of the edge that is another, is gone or is new is named; one of the center is not the
    edge's business."""
    judged(AFTER, tmp_path)
    folder = tmp_path / "disks/daws/riometer/2006/01/17/daws_xrio"
    path = folder / "20060117_22_daws_xrio.dat"
    data = path.read_bytes()
    path.write_bytes(data[:380] + bytes(380) + data[760:])
    said = failures(tmp_path)["kept(daws)"]
    assert f"First of 1 that changed, came or went: {path.relative_to(folder.parents[4])}." == said
    path.unlink()
    (folder / "new.dat").write_bytes(b"new")
    assert "First of 2 that" in failures(tmp_path)["kept(daws)"]


def test_nothing_is_not_kept(tmp_path):
    """An edge that began with no archive does not pass for one that kept it."""
    judged(AFTER, tmp_path)
    for part in ("before/", ""):
        for path in (tmp_path / f"{part}disks/daws/riometer").rglob("*.dat"):
            path.unlink()
    assert "There was nothing at the beginning." == failures(tmp_path)["kept(daws)"]


def test_a_center_that_does_not_ask_does_not_pass(tmp_path):
    """The gaps of the story before are gaps of this one, as long as nobody fills them."""
    node = Center(reconciles=False)
    said = judged(changed(nodes=(AFTER.sites[0], node)), tmp_path)
    assert {
        "sometimes(repaired, center/reconcile)",
        "identical(center, daws)",
        "identical(center:*, edges)",
    } == set(said)


REFUSED = {
    "has other hosts than": {"nodes": (*AFTER.nodes, Site("fsmi", "vsat", "198.51.100.7", 5, ()))},
    "has another center than": {
        "nodes": (Site("cent", "vsat", DAWSON, 5, ()), Center("daws")),
        "continues": msgspec.structs.replace(
            BEFORE, nodes=(Site("daws", "vsat", DAWSON), Center("cent"))
        ),
        "checks": (),
    },
    "has instruments": {"nodes": (Site("daws", via="vsat"), Center())},
    "begins before the one ends": {"starts": "2006-01-18T00:09Z"},
    "let it start 3 minutes later": {"starts": "2006-01-18T00:08Z"},
    "continues one that continues another": {"continues": AFTER},
    "continues one that is not for virtual time": {
        "continues": msgspec.structs.replace(BEFORE, tiers=("live",))
    },
    "Link 'VSAT' of two-hours": {
        "continues": msgspec.structs.replace(BEFORE, links=(Link("VSAT"),))
    },
    "is neither HH:MM": {"starts": "later"},
    "has site 'daws'": {"checks": (latency("daws", 1, 2),)},
    "Claim identical(daws, oracle)": {"checks": (identical("daws", to="oracle"),)},
    "Claim kept(fsmi)": {"checks": (kept("fsmi"),)},
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_cannot_be_continued_is_refused(sentence):
    """One sentence says which story, and what is wrong with it."""
    with pytest.raises(MalformedScenario) as refusal:
        validate(changed(**REFUSED[sentence]))
    assert sentence in str(refusal.value)
    assert str(refusal.value).count(". ") == 0


def test_a_story_before_is_planned_before_any_file_is_made(tmp_path):
    """Faults of the story before that overlap are refused like those of any, and nothing is
    played."""
    twice = (at("22:30", Kill("daws", 60)), at("22:30:30", Kill("daws", 60)))
    story = msgspec.structs.replace(BEFORE, faults=twice)
    with pytest.raises(MalformedScenario, match="strikes daws before"):
        run(changed(continues=story), 1, tmp_path)
    assert [] == list(tmp_path.iterdir())


def test_kept_needs_a_story_before(tmp_path):
    """Without one the claim is refused, for there is nothing to compare with."""
    with pytest.raises(MalformedScenario, match=r"Claim kept\(daws\) .* there is none"):
        validate(msgspec.structs.replace(BEFORE, checks=(kept("daws"),)))


def test_a_run_without_samples_accounts_for_nothing(tmp_path):
    """`accounted` does not pass where nothing was produced."""
    assert {"accounted"} == set(judged(changed(checks=(accounted(),)), tmp_path))


def test_a_capsule_of_stories_without_end_is_refused():
    """Nesting is bounded, in one sentence."""
    story = json.loads(to_json(changed(continues=None), 1))["scenario"]
    del story["continues"]
    opened = json.dumps(story)[:-1] + ', "continues": '
    nested = f'{{"schema": "x", "seed": 1, "scenario": {opened * 3000}null{"}" * 3001}'
    with pytest.raises(ValueError, match="is not a scenario capsule"):
        from_json(nested.encode(), "deep.json")


@pytest.mark.needs("rsync")
@pytest.mark.needs("xdelta3")
@pytest.mark.parametrize("method", ["repair", "xdelta", "rsync", "http-range"])
def test_every_way_to_reconcile_can_be_tried_so(tmp_path, method):
    """The same two gaps, by each of the four ways that a center has."""
    site = Site("daws", via="vsat", address=DAWSON, instruments=(), reconcile=method)
    assert {} == judged(changed(nodes=(site, Center())), tmp_path)
    lines = map(json.loads, (tmp_path / "log.jsonl").read_text().splitlines())
    repaired = [line["detail"]["method"] for line in lines if line.get("said") == "repaired"]
    assert {method} == set(repaired)


def test_a_story_of_the_catalog_names_what_it_continues():
    """The catalog's own stories begin with Dawson's day, and need no instrument."""
    for name in ("three-gaps-by-rsync", "three-gaps-by-xdelta"):
        story = catalog.load(name)
        assert catalog.load("dawson-three-lost-packets") == story.continues
        assert not any(isinstance(part, Riometer) for part in story.sites[0].instruments)
