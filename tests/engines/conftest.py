"""What these tests share is a module beside them, found by this path; and a day of Dawson's."""

import sys
from pathlib import Path

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from pulling import Play, Scripted

from fieldproof import catalog
from fieldproof.run import run
from fieldproof.scenario import Center


@pytest.fixture(scope="session")
def dawson(tmp_path_factory) -> dict[str, dict[str, bytes]]:
    """By host: the hour files of 17 January 2006, which the center has with three gaps."""
    folder = tmp_path_factory.mktemp("dawson")
    story = catalog.load("dawson-three-lost-packets")
    nodes = (*story.sites, Center(reconciles=False))
    run(msgspec.structs.replace(story, nodes=nodes, checks=()), 1, folder)
    below = "riometer/2006/01/17/daws_xrio"
    return {
        host: {path.name: path.read_bytes() for path in (folder / "disks" / host / below).iterdir()}
        for host in ("daws", "center")
    }


@pytest.fixture
def stage(tmp_path):
    """Makes worlds of a site and a center, and closes them."""
    plays = []

    def make(*link, **more) -> Play:
        plays.append(Play(tmp_path / str(len(plays)), *link, **more))
        return plays[-1]

    yield make
    for play in plays:
        play.end()


@pytest.fixture
def play(stage) -> Play:
    """A site and a center with tools that run nothing, and something that draws."""
    return stage(tools=Scripted(), draw=lambda document: b"plot of " + document)
