"""Links between hosts: nobody changes anybody else's losses, and a perfect link changes nothing."""

import json
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from fieldproof.faults import Kill, at
from fieldproof.run import Stage
from fieldproof.scenario import Center, Link, Riometer, Scenario, Site, StatusMonitor
from fieldproof.systems.reference import Reference
from fieldproof_contract import SECOND_NS, Address
from fieldproof_simulators.links.outages import Outages, intervals
from fieldproof_simulators.links.profiles import profile
from fieldproof_simulators.links.virtual import Packet
from fieldproof_simulators.streams import child_seed
from fieldproof_simulators.world import World

SOURCE_PORT, TELEMETRY = 32769, 24985
CENTER = Address("192.0.2.1", TELEMETRY)
PURPOSES = {TELEMETRY: "telemetry"}


class Sends:
    """A site whose node sends a datagram every second; `heard` is what the center's node gets."""

    def __init__(self) -> None:
        self.heard: Counter[tuple[str, bytes]] = Counter()

    def start(self, disk, now):
        return ()

    def receive(self, event, now):
        self.heard[event.source.host, event.data] += 1
        return ()

    def advance(self, now):
        return ()

    def deadline(self):
        return None


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[Path]:
    """New folders for worlds."""

    def make() -> Iterator[Path]:
        for number in range(10):
            folder = tmp_path / f"world{number}"
            folder.mkdir()
            yield folder

    return make()


def play(folder: Path, sites: int, lasts_s: int = 7200) -> tuple[Counter, World, list[dict]]:
    """A world of sites, each on its own lossy link with outages; each sends once a second."""
    lossy = profile("certus-350")
    center = Sends()
    world = World(5, 0, folder, PURPOSES)
    host = world.add_host("center", CENTER.host)
    host.add("listen", lambda: center, (TELEMETRY,))
    host.boot()
    for number in range(sites):
        site = world.add_host(f"s{number}", f"198.51.100.{number}")
        world.add_link(f"l{number}", lossy, lasts_s * SECOND_NS)
        world.connect(site, world.links[f"l{number}"])
        for second in range(lasts_s):
            send = second * SECOND_NS
            world.call_at(send, _sender(world, site, second))
    world.run_until((lasts_s + 100) * SECOND_NS)
    world.close()
    text = (folder / "log.jsonl").read_text()
    return center.heard, world, [json.loads(line) for line in text.splitlines()]


def _sender(world: World, site, second: int):
    return lambda: world.transmit(site, SOURCE_PORT, CENTER, b"%d" % second)


def test_another_site_changes_nothing_on_this_link(folders):
    """With one site more, the first site's datagrams meet the same fates at the same times."""
    one_heard, one, one_log = play(next(folders), 1)
    two_heard, two, two_log = play(next(folders), 2)
    first = {key: count for key, count in two_heard.items() if key[0] == "198.51.100.0"}
    assert dict(one_heard) == first
    assert [line for line in two_log if line["where"] == "l0"] == one_log
    assert one.links["l0"].tallies == two.links["l0"].tallies
    ends = dict(two.generators_end())
    assert dict(one.generators_end()).items() <= ends.items()
    assert two.links["l0"].tallies != two.links["l1"].tallies


def test_a_profiles_outages_strike_when_their_stream_says(folders):
    """The log has the profile's outages, as the stream of that link's name gives them."""
    _, _, log = play(next(folders), 1)
    outages = profile("certus-350").outages
    assert isinstance(outages, Outages)
    found = [line["ns"] for line in log if line["what"] in ("outage begins", "outage ends")]
    expected = intervals(outages, child_seed(5, "link:l0"), 0, 7200 * SECOND_NS)
    assert [at_ns for interval in expected for at_ns in interval] == found
    lost = [line["ns"] for line in log if line.get("cause") == "outage"]
    seconds = range(0, 7200 * SECOND_NS, SECOND_NS)
    dark = [at for at in seconds if any(begin <= at < end for begin, end in expected)]
    assert dark == lost


def test_a_datagram_to_nobody_is_lost_without_a_link(folders):
    """What a center sends to an address that no site has is logged as having no route."""
    folder = next(folders)
    world = World(5, 0, folder, PURPOSES)
    host = world.add_host("center", CENTER.host)
    world.transmit(host, TELEMETRY, Address("198.51.100.99", 1), b"lost")
    world.close()
    (line,) = (folder / "log.jsonl").read_text().splitlines()
    assert ("center", "no route", "198.51.100.99", 4) == tuple(
        json.loads(line)[key] for key in ("where", "what", "to", "bytes")
    )


# --- the control ----------------------------------------------------------------------------------


class NoLink:
    """What a site has in the place of a link: the far end itself."""

    def __init__(self, world: World) -> None:
        self.world = world

    def send(self, direction: str, packet: Packet) -> None:
        self.world.call_at(self.world.now_ns(), partial(self.world.arrive, packet))


def left_by(folder: Path, *, link: bool) -> tuple[dict, str]:
    """Disks and log hash of three hours around midnight, through a perfect link or none."""
    scenario = Scenario(
        name="control",
        story="Nothing goes wrong.",
        starts="2006-01-17T22:40Z",
        lasts="2h",
        links=(Link("vsat", "perfect"),),
        nodes=(Site("daws", "vsat", instruments=(Riometer(), StatusMonitor())), Center()),
        faults=(at("23:00", Kill("daws")),),  # so that there is something to repair
    )
    stage = Stage(scenario, 1, folder, Reference())
    if not link:
        stage.world.connect(stage.world.hosts["daws"], NoLink(stage.world))
    stage.world.run_until(3 * 3600 * SECOND_NS)
    disks = {
        name: {path: host.disk.read(path) for path in host.disk.listing("")}
        for name, host in stage.world.hosts.items()
    }
    return disks, stage.world.close()


def test_a_perfect_link_is_as_good_as_none(folders):
    """A run through a perfect link leaves the bytes and the log of a run without any link."""
    through, without = (left_by(next(folders), link=link) for link in (True, False))
    assert without == through
    assert any(path.startswith("udp/2006/01/18/") for path in through[0]["center"])
