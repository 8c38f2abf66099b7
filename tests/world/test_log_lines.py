"""What the log says: facts of the world and words of nodes cannot be taken for each other."""

import json
from pathlib import Path

import pytest

from fieldproof_contract import Address, Datagram, Log
from fieldproof_simulators.world import World

PORT = 24985
BEGINS_NS = 1_137_456_000 * 10**9


class Says:
    """Says the same whenever it hears something."""

    def __init__(self, said: Log) -> None:
        self.said = said

    def start(self, disk, now):
        return ()

    def receive(self, event, now):
        return (self.said,)

    def advance(self, now):
        return ()

    def deadline(self):
        return None


def logged(folder: Path, said: Log) -> list[dict]:
    """The log of a world in which a node says this at its second nanosecond."""
    world = World(1, BEGINS_NS, folder, {})
    host = world.add_host("daws", "198.51.100.1")
    host.add("node", lambda: Says(said), (PORT,))
    world.boot(host)
    world.call_at(2, lambda: host.hears(Datagram(PORT, Address("203.0.113.66", 1), b"")))
    world.run_until(10)
    world.close()
    return [json.loads(line) for line in (folder / "log.jsonl").read_bytes().splitlines()]


@pytest.mark.parametrize(
    "said",
    [
        Log("lost", {"cause": "loss", "fault": -1, "sha": "00"}),
        Log("node died"),
        Log("sent", {"ns": "a", "utc": "", "where": "vsat", "what": "lost", "by": "x", "said": 1}),
    ],
)
def test_a_node_states_no_fact_and_no_time(tmp_path: Path, said: Log):
    """Whatever a node says is below its own name, with the world's time."""
    (_, line) = logged(tmp_path, said)
    assert {
        "ns": 2,
        "utc": "2006-01-17T00:00:00.000000Z",
        "by": "daws/node",
        "said": said.what,
        "detail": dict(said.detail),
    } == line


def test_a_fact_has_its_place_and_its_name(tmp_path: Path):
    """What happens in the world is told by the world."""
    (line, _) = logged(tmp_path, Log("hello"))
    assert {
        "ns": 0,
        "utc": "2006-01-17T00:00:00.000000Z",
        "where": "daws",
        "what": "host up",
    } == line
