"""The catalog's loader: what may not be run is refused in one sentence, and every story may be."""

from pathlib import Path

import msgspec
import pytest

from fieldproof import catalog
from fieldproof.faults import Kill, Lose, Outage, Spoof, Timed, at
from fieldproof.scenario import Center, Link, Scenario, Site, to_json
from fieldproof.wellformed import MalformedScenario, validate

GOOD = Scenario(
    name="quiet-hour",
    story="Nothing goes wrong.",
    starts="2006-01-17T00:00Z",
    lasts="1h",
    links=(Link("vsat"),),
    nodes=(Site("daws", via="vsat"), Center()),
)


@pytest.mark.parametrize("name", catalog.names())
def test_every_story_can_be_run(name: str):
    """Every story of the catalog bears its module's name and passes the check on capsules."""
    scenario = catalog.load(name)
    validate(scenario)
    assert name == scenario.name


def test_an_unknown_story_is_refused():
    """A name without a story is refused; it is a ValueError."""
    with pytest.raises(catalog.UnknownScenario, match="There is no scenario 'no-such-story'"):
        catalog.load("no-such-story")


def test_a_name_never_leaves_the_catalog():
    """A dotted or relative name is no story, whatever module it would lead to."""
    for name in ("..scenario", "fieldproof.scenario", "__init__", ""):
        with pytest.raises(catalog.UnknownScenario):
            catalog.load(name)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": "../../etc"}, "Scenario name '../../etc' is not made of lower-case words"),
        ({"starts": "yesterday"}, "Time 'yesterday' in scenario quiet-hour is neither"),
        ({"lasts": "1w"}, "Duration '1w' is not a number with s, m, h or d"),
        ({"lasts": "0h"}, "quiet-hour has lasts '0h': it must be at least 1 s"),
        ({"settles_within": "soon"}, "Duration 'soon' is not a number"),
        ({"nodes": (Site("daws", via="vsat"),)}, "must have exactly one center"),
        ({"nodes": (Site("daws", via="lte"), Center())}, "daws of quiet-hour has no link 'lte'"),
        ({"nodes": (Site("../x", via="vsat"), Center())}, "Site '../x' of quiet-hour is not four"),
        ({"nodes": (Site("daws", via="vsat"), Center("daws"))}, "two of its nodes the same name"),
        ({"nodes": (Center("../x"),)}, "Center '../x' of quiet-hour is not a word."),
        ({"fidelity": "bits"}, "Fidelity 'bits' of quiet-hour is neither seconds nor words."),
        ({"faults": (at("25:00h", Kill("daws")),)}, "Time '25:00h' in scenario quiet-hour is"),
        ({"faults": (at("00:10", Kill("arvi")),)}, "Kill at 00:10 in quiet-hour has host 'arvi'"),
        ({"faults": (at("00:10", Lose("lte")),)}, "has link 'lte'; known are: vsat."),
        ({"faults": (at("00:10", Spoof("loud", "daws")),)}, "has kind 'loud'; known are: trav"),
        ({"faults": (at("00:10", Outage("vsat"), until="00:05"),)}, "ends at 00:05, before it"),
        ({"faults": (Timed("00:10", Outage("vsat")),)}, "Outage at 00:10 in quiet-hour lasts but"),
        ({"faults": (Timed("00:10", Kill("daws"), "00:20"),)}, "strikes once but has `until`."),
    ],
)
def test_a_capsule_that_cannot_be_run(tmp_path: Path, changes: dict[str, object], sentence: str):
    """Whatever a capsule gets wrong is refused with the file's name and one sentence."""
    path = tmp_path / "scenario.json"
    path.write_bytes(to_json(msgspec.structs.replace(GOOD, **changes), 1))
    with pytest.raises(MalformedScenario) as caught:
        catalog.read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert sentence in str(caught.value)
    assert str(caught.value).endswith(".")


def test_a_capsule_is_read_whole(tmp_path: Path):
    """A capsule that can be run comes back as the value that was written."""
    path = tmp_path / "scenario.json"
    path.write_bytes(to_json(GOOD, 5))
    capsule = catalog.read(path)
    assert (GOOD, 5) == (capsule.scenario, capsule.seed)


def test_a_file_that_is_no_capsule(tmp_path: Path):
    """A file of another kind is refused by its name."""
    path = tmp_path / "scenario.json"
    path.write_text("[]")
    with pytest.raises(MalformedScenario, match=r"scenario\.json is not a scenario cap"):
        catalog.read(path)


def test_a_story_is_repeated_by_name_and_a_variant_by_capsule():
    """Only a scenario that is equal to the catalog's own is repeated by its name."""
    run_dir = Path("my runs/quiet-hour-0001")
    assert "fieldproof run 'my runs/quiet-hour-0001/scenario.json'" == catalog.command(
        GOOD, 1, run_dir
    )
